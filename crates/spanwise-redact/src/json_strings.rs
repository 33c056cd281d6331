//! Finds the strings of a JSON text, so that the text remains valid JSON when matches are replaced.
//!
//! For that, a match must not extend beyond the string in which it begins.

use crate::{
    byte_search::{backslashes_before, find2, run_end, run_start, skip_space},
    matches::Match,
    scan_cost,
};

/// The strings and the brackets of a text that is a JSON object, array or string.
#[derive(Debug, Default)]
pub(crate) struct JsonStrings {
    /// The range of each string, without its quotes.
    strings: Vec<(usize, usize)>,
    /// The range of each object and array, with its brackets.
    brackets: Vec<(usize, usize)>,
}

impl JsonStrings {
    /// Parses a text. Returns `None` if the text is not a JSON object, array or string.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser {
            reader: JsonReader::new(text),
            parsed: Self::default(),
        };
        matches!(parser.reader.peek()?, b'{' | b'[' | b'"').then_some(())?;
        parser.read()?;
        Some(parser.parsed)
    }

    /// Returns the end of the value that begins after `at`, with its closing quote or bracket.
    pub(crate) fn end_of_value(&self, text: &str, at: usize) -> usize {
        let start = skip_space(text.as_bytes(), at);
        let bracket = self
            .brackets
            .binary_search_by_key(&start, |(open, _)| *open);
        match (bracket, self.string_at(start + 1)) {
            (Ok(bracket), _) => self.brackets[bracket].1,
            (Err(_), Some((_, quote))) => quote + 1,
            (Err(_), None) => run_end(text.as_bytes(), start, is_scalar_byte),
        }
    }

    /// Returns the range of the string that contains `at`, or whose closing quote is at `at`.
    pub(crate) fn string_at(&self, at: usize) -> Option<(usize, usize)> {
        let next = self.strings.partition_point(|(_, end)| *end < at);
        self.strings
            .get(next)
            .copied()
            .filter(|(start, _)| *start <= at)
    }

    /// Changes matches, which must be sorted, so that each covers a part of one string, or a whole
    /// value that is not a string. The result may be unsorted.
    pub(crate) fn align(&self, text: &str, mut matches: Vec<Match>) -> Vec<Match> {
        for found in &mut matches {
            widen_to_escapes(text.as_bytes(), found);
        }
        let mut aligned = Vec::with_capacity(matches.len());
        // The end of the last hidden number. Further matches inside the number are dropped.
        let mut number_end = 0;
        for found in matches {
            match self.string_at(found.start) {
                Some((_, end)) if found.end <= end => aligned.push(found),
                Some(_) => self.split_at_strings(text, &found, &mut aligned),
                // A match that needs quotes is already a whole value that is not a string.
                None if found.needs_quotes.is_some() => aligned.push(found),
                None if found.start < number_end => {}
                // The match begins between strings, but not at a number. Only its parts inside
                // strings are hidden.
                None if !matches!(text.as_bytes()[found.start], b'-' | b'0'..=b'9') => {
                    self.split_at_strings(text, &found, &mut aligned);
                }
                None => {
                    let found = widen_to_number(text, &found);
                    number_end = found.end;
                    aligned.push(found);
                }
            }
        }
        aligned
    }

    /// Splits a match that spans several strings, such as a private key, and appends a match for
    /// each string to `parts`. Names of members are shown, except for a name in which the match
    /// begins.
    fn split_at_strings(&self, text: &str, found: &Match, parts: &mut Vec<Match>) {
        let text = text.as_bytes();
        let is_name = |end: usize| text.get(skip_space(text, end + 1)) == Some(&b':');
        let first = self.strings.partition_point(|(_, end)| *end < found.start);
        let strings = self.strings[first..].iter();
        for (start, end) in strings.take_while(|(start, _)| *start < found.end) {
            scan_cost::add(1);
            let is_whole = *start > found.start;
            let (start, end) = (found.start.max(*start), found.end.min(*end));
            if start < end && !(is_whole && is_name(end)) {
                parts.push(Match {
                    start,
                    end,
                    ..found.clone()
                });
            }
        }
    }
}

/// Widens a match that begins or ends between the backslash of an escape and the next character,
/// because the part that remains would be a different escape.
fn widen_to_escapes(text: &[u8], found: &mut Match) {
    found.start -= backslashes_before(text, found.start) % 2;
    found.end += backslashes_before(text, found.end) % 2;
}

/// Widens a match inside a number to the whole number, which becomes a string.
fn widen_to_number(text: &str, found: &Match) -> Match {
    let text = text.as_bytes();
    Match {
        start: run_start(text, found.start, found.start, is_scalar_byte),
        end: run_end(text, found.end, is_scalar_byte),
        needs_quotes: Some(0),
        ..found.clone()
    }
}

/// Returns whether a byte may be part of a number, a boolean or `null`.
fn is_scalar_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
}

/// A reader at a position in a JSON text.
pub(crate) struct JsonReader<'t> {
    pub(crate) text: &'t [u8],
    pub(crate) at: usize,
}

impl<'t> JsonReader<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let text = text.as_bytes();
        Self { text, at: 0 }
    }

    /// Skips white space, and returns the next byte.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        self.at = skip_space(self.text, self.at);
        self.text.get(self.at).copied()
    }

    /// Reads a string. Returns the start and the end of the text between the quotes.
    pub(crate) fn string(&mut self) -> Option<(usize, usize)> {
        (self.peek()? == b'"').then_some(())?;
        let start = self.at + 1;
        let mut end = find2(self.text, *b"\"\\", start)?;
        while self.text[end] != b'"' {
            end = find2(self.text, *b"\"\\", end + 2)?;
        }
        self.at = end + 1;
        Some((start, end))
    }
}

struct Parser<'t> {
    reader: JsonReader<'t>,
    parsed: JsonStrings,
}

impl Parser<'_> {
    /// Reads one value, which must end at the end of the text. Returns `None` if it is not JSON.
    fn read(&mut self) -> Option<()> {
        // For each open object and array: whether it is an object, and its index in `brackets`.
        let mut open_values: Vec<(bool, usize)> = Vec::new();
        loop {
            match self.reader.peek()? {
                bracket @ (b'{' | b'[') => {
                    let start = self.reader.at;
                    self.reader.at += 1;
                    let is_object = bracket == b'{';
                    self.parsed.brackets.push((start, start));
                    if self.reader.peek()? != closing(is_object) {
                        open_values.push((is_object, self.parsed.brackets.len() - 1));
                        self.name_of_member(is_object)?;
                        continue;
                    }
                    self.reader.at += 1;
                    self.parsed.brackets.last_mut()?.1 = self.reader.at;
                }
                b'"' => self.string()?,
                byte if is_scalar_byte(byte) => self.scalar()?,
                _ => return None,
            }
            // After a value: a comma and the next value, or closing brackets.
            loop {
                let Some((is_object, index)) = open_values.last().copied() else {
                    return self.reader.peek().is_none().then_some(());
                };
                match self.reader.peek()? {
                    b',' => {
                        self.reader.at += 1;
                        self.name_of_member(is_object)?;
                        break;
                    }
                    byte if byte == closing(is_object) => {
                        self.reader.at += 1;
                        self.parsed.brackets[index].1 = self.reader.at;
                        open_values.pop();
                    }
                    _ => return None,
                }
            }
        }
    }

    /// Reads the name and the colon before the next value of an object. Reads nothing in an array.
    fn name_of_member(&mut self, is_object: bool) -> Option<()> {
        if is_object {
            self.string()?;
            (self.reader.peek()? == b':').then_some(())?;
            self.reader.at += 1;
        }
        Some(())
    }

    fn scalar(&mut self) -> Option<()> {
        let JsonReader { text, at } = self.reader;
        let end = run_end(text, at, is_scalar_byte);
        let scalar = std::str::from_utf8(&text[at..end]).ok()?;
        let is_number = || {
            scalar.starts_with(|c: char| c == '-' || c.is_ascii_digit())
                && scalar.parse::<f64>().is_ok()
        };
        self.reader.at = end;
        (matches!(scalar, "true" | "false" | "null") || is_number()).then_some(())
    }

    fn string(&mut self) -> Option<()> {
        let string = self.reader.string()?;
        self.parsed.strings.push(string);
        Some(())
    }
}

fn closing(is_object: bool) -> u8 {
    if is_object { b'}' } else { b']' }
}
