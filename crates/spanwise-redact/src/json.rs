//! The path of a value inside JSON.

use crate::{
    keys::Keys,
    scan::{Hit, Rule},
};

/// Appends what rules about paths hide of a text that is JSON.
pub(crate) fn by_path(text: &str, keys: &Keys, hits: &mut Vec<Hit>) {
    if text.trim_start().starts_with(['{', '[']) {
        let mut walk = Walk {
            text,
            keys,
            path: Vec::new(),
            hits,
            at: 0,
        };
        let _: Option<()> = walk.value();
    }
}

/// Values inside one another beyond this many are not followed.
const DEEPEST: usize = 64;

struct Walk<'t, 'h> {
    text: &'t str,
    keys: &'h Keys,
    path: Vec<&'t str>,
    hits: &'h mut Vec<Hit>,
    at: usize,
}

impl<'t> Walk<'t, '_> {
    /// Nothing where the text stops being JSON.
    fn value(&mut self) -> Option<()> {
        match self.peek()? {
            b'{' if self.path.len() < DEEPEST => self.members(true),
            b'[' if self.path.len() < DEEPEST => self.members(false),
            b'{' | b'[' => None,
            b'"' => self.string().map(|_| ()),
            _ => {
                let rest = &self.text.as_bytes()[self.at..];
                let is_end = |byte: &u8| b",]}".contains(byte) || byte.is_ascii_whitespace();
                self.at += rest.iter().position(is_end).unwrap_or(rest.len());
                Some(())
            }
        }
    }

    fn members(&mut self, named: bool) -> Option<()> {
        self.at += 1;
        loop {
            match self.peek()? {
                b'}' | b']' => {
                    self.at += 1;
                    return Some(());
                }
                b',' => {
                    self.at += 1;
                    continue;
                }
                _ => {}
            }
            let mut at = (self.at, self.at);
            if named {
                let (from, to) = self.string()?;
                at = (from, to);
                self.path.push(&self.text[from..to]);
                (self.peek()? == b':').then(|| self.at += 1)?;
            } else {
                self.path.push("*");
            }
            self.peek()?;
            let start = self.at;
            let whole = self.value();
            if let Some(rule) = self.keys.path(&self.path) {
                let end = if whole.is_some() {
                    self.at
                } else {
                    self.text.len()
                };
                let quoted = self.text.as_bytes()[start] == b'"' && whole.is_some();
                self.hits.push(Hit {
                    start: start + usize::from(quoted),
                    end: end - usize::from(quoted),
                    rule: Rule::Key { rule, at },
                    needs_quotes: (!quoted).then_some(0),
                });
            }
            self.path.pop();
            whole?;
        }
    }

    /// Where the string is, without its quotes.
    fn string(&mut self) -> Option<(usize, usize)> {
        let bytes = self.text.as_bytes();
        (bytes[self.at] == b'"').then_some(())?;
        let start = self.at + 1;
        let mut at = start;
        loop {
            match bytes.get(at)? {
                b'"' => break,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        self.at = at + 1;
        Some((start, at))
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let gap = rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        self.at += gap;
        Some(rest[gap])
    }
}
