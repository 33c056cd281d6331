//! Tracks the open string and URL around a position of a text.

use crate::{
    byte_search::is_space,
    scan_cost, urls,
    value_end::{Quote, ValueContext},
};

/// The strings and the URL that enclose a position.
///
/// The position only moves forward from key to key, so that each byte is read once.
#[derive(Debug, Default)]
pub(crate) struct ContextTracker {
    at: usize,
    /// For each open `"`, the bit whose index is the number of backslashes before the quote.
    double: u64,
    /// The number of backslashes before the open `'`.
    single: Option<usize>,
    /// The number of backslashes that end at the position.
    slashes: usize,
    /// Whether the current run has a `?`. A run begins after white space, a quote, `<` or `>`.
    query: bool,
    /// Whether the current run has the `://` of a web URL.
    web: bool,
    /// Whether the current run has the `://` of another URL.
    other_url: bool,
}

impl ContextTracker {
    pub(crate) fn move_to(&mut self, text: &[u8], to: usize) {
        if to <= self.at {
            return;
        }
        scan_cost::add(to - self.at);
        for at in self.at..to {
            let byte = text[at];
            match byte {
                b'\\' => {
                    self.slashes += 1;
                    continue;
                }
                b'\n' => {
                    *self = Self {
                        at,
                        ..Self::default()
                    }
                }
                b'"' => {
                    let bit = 1 << self.slashes.min(63);
                    // A closing quote also closes the strings inside it.
                    self.double = (self.double ^ bit) & (bit | (bit - 1));
                    self.leave_url();
                }
                b'\'' => {
                    let is_letter = |at: Option<usize>| {
                        at.and_then(|at| text.get(at))
                            .is_some_and(u8::is_ascii_alphabetic)
                    };
                    let is_apostrophe = is_letter(at.checked_sub(1)) && is_letter(Some(at + 1));
                    if !is_apostrophe || self.single.is_some() {
                        self.single = match self.single {
                            Some(_) => None,
                            None => Some(self.slashes),
                        };
                    }
                    self.leave_url();
                }
                b'?' => self.query = true,
                b'/' if text[..at].ends_with(b":/") => {
                    let is_web = urls::ends_with_web_scheme(&text[..at - 2]);
                    self.web |= is_web;
                    self.other_url |= !is_web;
                }
                b'<' | b'>' => self.leave_url(),
                byte if is_space(byte) => self.leave_url(),
                _ => {}
            }
            self.slashes = 0;
        }
        self.at = to;
    }

    fn leave_url(&mut self) {
        (self.query, self.web, self.other_url) = (false, false, false);
    }

    /// Returns the query context if the position is after a `?` or inside a web URL.
    pub(crate) fn query(&self) -> Option<ValueContext> {
        (self.query || self.web).then_some(ValueContext::Query {
            is_web: !self.other_url,
        })
    }

    /// Returns the innermost open string. Nested strings have quotes with more backslashes. A `'`
    /// may be an apostrophe.
    pub(crate) fn open(&self) -> Option<Quote> {
        match self.double.checked_ilog2() {
            Some(slashes) => Some((b'"', slashes as usize)),
            None => self.single.map(|slashes| (b'\'', slashes)),
        }
    }
}
