//! Where the strings of a text are that is JSON as a whole: what is hidden in one ends in it, and the rest stays what it is.

use crate::{
    bytes::skip_space,
    scan::{Hit, Rule},
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

    /// Makes a hit of a detector one of a whole number, or one of parts of strings.
    pub(crate) fn fit(&self, text: &str, hit: Hit, hits: &mut Vec<Hit>) {
        let bytes = text.as_bytes();
        match self.string_at(hit.start) {
            Some((_, end)) if hit.end <= end => hits.push(hit),
            None if matches!(hit.rule, Rule::Detector(_)) => {
                let is_part = |byte: &&u8| is_scalar(**byte);
                let start = hit.start - bytes[..hit.start].iter().rev().take_while(is_part).count();
                let end = hit.end + bytes[hit.end..].iter().take_while(is_part).count();
                hits.push(Hit {
                    start,
                    end,
                    needs_quotes: Some(0),
                    ..hit
                });
            }
            None => hits.push(hit),
            // A private key that goes on in other strings.
            Some(_) => {
                let first = self.strings.partition_point(|(_, end)| *end < hit.start);
                let is_name = |end: usize| bytes.get(skip_space(bytes, end + 1)) == Some(&b':');
                let strings = self.strings[first..].iter();
                let strings = strings.filter(|(start, end)| *start <= hit.start || !is_name(*end));
                for (start, end) in strings.take_while(|(start, _)| *start < hit.end) {
                    let (start, end) = (hit.start.max(*start), hit.end.min(*end));
                    if start < end {
                        hits.push(Hit { start, end, ..hit });
                    }
                }
            }
        }
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
    /// One value and nothing after it. Scalars are not looked into.
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
                byte if is_scalar(byte) => {
                    self.at += self.text[self.at..]
                        .iter()
                        .take_while(|byte| is_scalar(**byte))
                        .count();
                }
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

    fn string(&mut self) -> Option<()> {
        let start = self.at + 1;
        let mut at = start;
        loop {
            at += memchr::memchr2(b'"', b'\\', self.text.get(at..)?)?;
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
