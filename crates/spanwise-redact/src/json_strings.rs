//! Where the strings of a text are that is JSON as a whole: what is hidden in one ends in it, and
//! the rest stays what it is.

use crate::{
    byte_search::{backslashes_before, find2, run_end, run_start, skip_space},
    scan::Match,
    work,
};

/// The strings of a text that is an object, a list or a string of JSON.
#[derive(Debug)]
pub(crate) struct JsonStrings {
    /// From after the quote to before it.
    strings: Vec<(usize, usize)>,
}

impl JsonStrings {
    /// Nothing of a text that is no JSON.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser {
            text: text.as_bytes(),
            at: skip_space(text.as_bytes(), 0),
            strings: Vec::new(),
        };
        matches!(parser.text.get(parser.at), Some(b'{' | b'[' | b'"')).then_some(())?;
        parser.read()?;
        Some(Self {
            strings: parser.strings,
        })
    }

    /// The string that `at` is in.
    pub(crate) fn string_at(&self, at: usize) -> Option<(usize, usize)> {
        let next = self.strings.partition_point(|(_, end)| *end < at);
        self.strings
            .get(next)
            .copied()
            .filter(|(start, _)| *start <= at)
    }

    /// The hits, sorted, each of them of a whole number or of parts of strings.
    pub(crate) fn align(&self, text: &str, mut matches: Vec<Match>) -> Vec<Match> {
        for found in &mut matches {
            whole_escapes(text.as_bytes(), found);
        }
        let mut fitting = Vec::with_capacity(matches.len());
        // Where the last number ends that was hidden: more may be found in it.
        let mut number = 0;
        for found in matches {
            match self.string_at(found.start) {
                Some((_, end)) if found.end <= end => fitting.push(found),
                Some(_) => self.split_at_strings(text, &found, &mut fitting),
                // A value that is no string gets quotes.
                None if found.needs_quotes.is_some() => fitting.push(found),
                None if found.start < number => {}
                // What stands between strings is hidden with them, and is no value by itself.
                None if !matches!(text.as_bytes()[found.start], b'-' | b'0'..=b'9') => {
                    self.split_at_strings(text, &found, &mut fitting);
                }
                None => {
                    let found = whole_number(text, &found);
                    number = found.end;
                    fitting.push(found);
                }
            }
        }
        fitting
    }

    /// Of a private key that goes on in other strings, the part in each of them.
    fn split_at_strings(&self, text: &str, found: &Match, matches: &mut Vec<Match>) {
        let text = text.as_bytes();
        let is_name = |end: usize| text.get(skip_space(text, end + 1)) == Some(&b':');
        let first = self.strings.partition_point(|(_, end)| *end < found.start);
        let strings = self.strings[first..].iter();
        for (start, end) in strings.take_while(|(start, _)| *start < found.end) {
            work::step(1);
            let is_whole = *start > found.start;
            let (start, end) = (found.start.max(*start), found.end.min(*end));
            if start < end && !(is_whole && is_name(end)) {
                matches.push(Match {
                    start,
                    end,
                    ..found.clone()
                });
            }
        }
    }
}

/// An escape of which a part is hidden is hidden as a whole: the other part would be another one.
fn whole_escapes(text: &[u8], found: &mut Match) {
    found.start -= backslashes_before(text, found.start) % 2;
    found.end += backslashes_before(text, found.end) % 2;
}

/// The number that digits are part of, which becomes a string.
fn whole_number(text: &str, found: &Match) -> Match {
    let text = text.as_bytes();
    Match {
        start: run_start(text, found.start, found.start, is_scalar),
        end: run_end(text, found.end, is_scalar),
        needs_quotes: Some(0),
        ..found.clone()
    }
}

fn is_scalar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
}

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
    strings: Vec<(usize, usize)>,
}

impl Parser<'_> {
    /// One value and nothing after it.
    fn read(&mut self) -> Option<()> {
        // Whether what is open is an object.
        let mut open: Vec<bool> = Vec::new();
        loop {
            match self.next()? {
                bracket @ (b'{' | b'[') => {
                    self.at += 1;
                    let is_object = bracket == b'{';
                    if self.next()? != closing(is_object) {
                        open.push(is_object);
                        self.name(is_object)?;
                        continue;
                    }
                    self.at += 1;
                }
                b'"' => self.string()?,
                byte if is_scalar(byte) => self.scalar()?,
                _ => return None,
            }
            // After a value.
            loop {
                let Some(is_object) = open.last().copied() else {
                    return (skip_space(self.text, self.at) == self.text.len()).then_some(());
                };
                match self.next()? {
                    b',' => {
                        self.at += 1;
                        self.name(is_object)?;
                        break;
                    }
                    byte if byte == closing(is_object) => {
                        self.at += 1;
                        open.pop();
                    }
                    _ => return None,
                }
            }
        }
    }

    fn name(&mut self, is_object: bool) -> Option<()> {
        if is_object {
            (self.next()? == b'"').then_some(())?;
            self.string()?;
            (self.next()? == b':').then_some(())?;
            self.at += 1;
        }
        Some(())
    }

    fn scalar(&mut self) -> Option<()> {
        let end = run_end(self.text, self.at, is_scalar);
        let scalar = std::str::from_utf8(&self.text[self.at..end]).ok()?;
        let is_number = || {
            scalar.starts_with(|c: char| c == '-' || c.is_ascii_digit())
                && scalar.parse::<f64>().is_ok()
        };
        self.at = end;
        (matches!(scalar, "true" | "false" | "null") || is_number()).then_some(())
    }

    fn string(&mut self) -> Option<()> {
        let start = self.at + 1;
        let mut at = start;
        loop {
            at = find2(self.text, *b"\"\\", at)?;
            if self.text[at] == b'"' {
                break;
            }
            at += 2;
        }
        self.strings.push((start, at));
        self.at = at + 1;
        Some(())
    }

    /// The next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        self.at = skip_space(self.text, self.at);
        self.text.get(self.at).copied()
    }
}

fn closing(is_object: bool) -> u8 {
    if is_object { b'}' } else { b']' }
}
