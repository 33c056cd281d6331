//! Where the strings of a text are that is JSON as a whole: what is hidden in one ends in it, and
//! the rest stays what it is.

use crate::{
    bytes::{backslashes_before, find2, run, run_back, skip_space},
    scan::Hit,
    work,
};

/// The strings of a text that is an object, a list or a string of JSON.
#[derive(Debug)]
pub(crate) struct Document {
    /// From after the quote to before it.
    strings: Vec<(usize, usize)>,
}

impl Document {
    /// Nothing of a text that is no JSON.
    pub(crate) fn of(text: &str) -> Option<Self> {
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
    pub(crate) fn fit(&self, text: &str, mut hits: Vec<Hit>) -> Vec<Hit> {
        for hit in &mut hits {
            whole_escapes(text.as_bytes(), hit);
        }
        let mut fitting = Vec::with_capacity(hits.len());
        // Where the last number ends that was hidden: more may be found in it.
        let mut number = 0;
        for hit in hits {
            match self.string_at(hit.start) {
                Some((_, end)) if hit.end <= end => fitting.push(hit),
                Some(_) => self.split(text, &hit, &mut fitting),
                // A value that is no string gets quotes.
                None if hit.needs_quotes.is_some() => fitting.push(hit),
                None if hit.start < number => {}
                // What stands between strings is hidden with them, and is no value by itself.
                None if !matches!(text.as_bytes()[hit.start], b'-' | b'0'..=b'9') => {
                    self.split(text, &hit, &mut fitting);
                }
                None => {
                    let hit = whole_number(text, &hit);
                    number = hit.end;
                    fitting.push(hit);
                }
            }
        }
        fitting
    }

    /// Of a private key that goes on in other strings, the part in each of them.
    fn split(&self, text: &str, hit: &Hit, hits: &mut Vec<Hit>) {
        let text = text.as_bytes();
        let is_name = |end: usize| text.get(skip_space(text, end + 1)) == Some(&b':');
        let first = self.strings.partition_point(|(_, end)| *end < hit.start);
        let strings = self.strings[first..].iter();
        for (start, end) in strings.take_while(|(start, _)| *start < hit.end) {
            work::step(1);
            let is_whole = *start > hit.start;
            let (start, end) = (hit.start.max(*start), hit.end.min(*end));
            if start < end && !(is_whole && is_name(end)) {
                hits.push(Hit {
                    start,
                    end,
                    ..hit.clone()
                });
            }
        }
    }
}

/// An escape of which a part is hidden is hidden as a whole: the other part would be another one.
fn whole_escapes(text: &[u8], hit: &mut Hit) {
    hit.start -= backslashes_before(text, hit.start) % 2;
    hit.end += backslashes_before(text, hit.end) % 2;
}

/// The number that digits are part of, which becomes a string.
fn whole_number(text: &str, hit: &Hit) -> Hit {
    let text = text.as_bytes();
    Hit {
        start: run_back(text, hit.start, hit.start, is_scalar),
        end: run(text, hit.end, is_scalar),
        needs_quotes: Some(0),
        ..hit.clone()
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
        let end = run(self.text, self.at, is_scalar);
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
