//! The path of a value inside JSON.

use crate::{
    keys::{Keys, parts},
    scan::{Hit, Rule},
};

/// True if it begins as an object or a list.
pub(crate) fn may_be_json(text: &str) -> bool {
    text.trim_ascii_start().starts_with(['{', '['])
}

/// Appends what rules about paths hide of a text that is JSON: paths from its root, and from the key it stands under.
pub(crate) fn by_path<'t>(key: Option<&'t str>, text: &'t str, keys: &Keys, hits: &mut Vec<Hit>) {
    let path: Vec<&str> = key.map(parts).into_iter().flatten().collect();
    let mut walk = Walk {
        text,
        keys,
        root: path.len(),
        path,
        hits,
        at: 0,
    };
    let _: Option<()> = walk.value();
}

/// Values inside one another beyond this many are not followed.
const DEEPEST: usize = 64;

struct Walk<'t, 'h> {
    text: &'t str,
    keys: &'h Keys,
    path: Vec<&'t str>,
    /// How many parts of the path are above the text.
    root: usize,
    hits: &'h mut Vec<Hit>,
    at: usize,
}

impl<'t> Walk<'t, '_> {
    /// Nothing where the text stops being JSON.
    fn value(&mut self) -> Option<()> {
        match self.peek()? {
            b'{' if self.depth() < DEEPEST => self.members(true),
            b'[' if self.depth() < DEEPEST => self.members(false),
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

    fn depth(&self) -> usize {
        self.path.len() - self.root
    }

    /// The rule for the path, whether it begins with the key or in the text.
    fn rule(&self) -> Option<usize> {
        let inside = self.keys.path(&self.path[self.root..]);
        inside.or_else(|| self.keys.path(&self.path).filter(|_| self.root > 0))
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
            if let Some(rule) = self.rule() {
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
