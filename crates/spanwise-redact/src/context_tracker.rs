//! Tracks the open string and the URL around a position in a text.
//!
//! The characters that end the value of a key depend on both.

use crate::{
    byte_search::is_space,
    scan_cost, urls,
    value_end::{Notation, Quote},
};

/// The strings and the URL that enclose a position.
///
/// The position only moves forward, from key to key, so that each byte is read once.
#[derive(Debug, Default)]
pub(crate) struct ContextTracker {
    /// The position. All text before it was read.
    at: usize,
    /// One bit for each open `"`. Its index is the number of backslashes before the quote.
    double_quotes: u64,
    /// The number of backslashes before the open `'`, if there is one.
    single_quote: Option<usize>,
    /// The number of backslashes right before the position.
    slashes: usize,
    /// Whether a `?` precedes the position in the same run. White space, quotes, `<` and `>`
    /// separate runs.
    has_query: bool,
    /// Whether the `://` of a web URL precedes the position in the same run.
    has_web_url: bool,
    /// Whether the `://` of another URL precedes the position in the same run.
    has_other_url: bool,
}

impl ContextTracker {
    /// Moves the position to `to`, unless the position is already there or beyond.
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
                    self.double_quotes = (self.double_quotes ^ bit) & (bit | (bit - 1));
                    self.end_run();
                }
                b'\'' => {
                    let is_letter = |at: Option<usize>| {
                        at.and_then(|at| text.get(at))
                            .is_some_and(u8::is_ascii_alphabetic)
                    };
                    let is_apostrophe = is_letter(at.checked_sub(1)) && is_letter(Some(at + 1));
                    if !is_apostrophe || self.single_quote.is_some() {
                        self.single_quote = match self.single_quote {
                            Some(_) => None,
                            None => Some(self.slashes),
                        };
                    }
                    self.end_run();
                }
                b'?' => self.has_query = true,
                b'/' if text[..at].ends_with(b":/") => {
                    let is_web = urls::ends_with_web_scheme(&text[..at - 2]);
                    self.has_web_url |= is_web;
                    self.has_other_url |= !is_web;
                }
                b'<' | b'>' => self.end_run(),
                byte if is_space(byte) => self.end_run(),
                _ => {}
            }
            self.slashes = 0;
        }
        self.at = to;
    }

    fn end_run(&mut self) {
        (self.has_query, self.has_web_url, self.has_other_url) = (false, false, false);
    }

    /// Returns the notation of a URL query if a `?` or the `://` of a web URL precedes the position
    /// in the same run.
    pub(crate) fn query(&self) -> Option<Notation> {
        (self.has_query || self.has_web_url).then_some(Notation::Query {
            is_web: !self.has_other_url,
        })
    }

    /// Returns the quote of the innermost open string. Nested strings have quotes with more
    /// backslashes. A `"` has priority, because a `'` may be an apostrophe.
    pub(crate) fn open_string(&self) -> Option<Quote> {
        match self.double_quotes.checked_ilog2() {
            Some(slashes) => Some((b'"', slashes as usize)),
            None => self.single_quote.map(|slashes| (b'\'', slashes)),
        }
    }
}
