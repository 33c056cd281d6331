//! Matches path rules inside JSON texts.
//!
//! The matcher keeps, for each depth of the document, the set of rule prefixes that match the
//! current path. A step costs the total length of the rules, at any depth.

use crate::{
    byte_search::{is_space, run_end, skip_space},
    json_strings::JsonReader,
    key_pattern::{Segment, advance, parts, start},
    key_rules::KeyRules,
    normalized_key::NormalizedKey,
    scan::{Match, Rule},
    scan_cost,
};

/// Returns whether the text begins like an object or an array.
pub(crate) fn may_be_json(text: &str) -> bool {
    text.trim_ascii_start().starts_with(['{', '['])
}

/// Appends the values that path rules hide in a JSON text. A path starts at the root, or at the key
/// of the field that contains the text.
pub(crate) fn by_path(key: Option<&str>, text: &str, keys: &KeyRules, matches: &mut Vec<Match>) {
    let mut walk = Walk {
        reader: JsonReader::new(text),
        states: States::new(keys.paths(), key),
        open: Vec::new(),
        member: None,
        matches,
    };
    if walk.read(text).is_none() {
        walk.cut_off();
    }
}

/// The rule prefixes that match the current path and each of its ancestors. They are sets, so that
/// `**.**.**` costs no more than its length.
struct States<'k> {
    rules: &'k [(Vec<Segment>, usize)],
    /// The length of one set.
    width: usize,
    sets: Vec<bool>,
}

impl<'k> States<'k> {
    fn new(rules: &'k [(Vec<Segment>, usize)], key: Option<&str>) -> Self {
        let width = rules.iter().map(|(path, _)| path.len() + 1).sum();
        let mut states = Self {
            rules,
            width,
            sets: vec![false; width],
        };
        states.enter();
        let parts: Vec<&str> = key.map(parts).into_iter().flatten().collect();
        for part in &parts {
            states.push(Some(part));
        }
        // At the root, rules match both after the key of the field and without it.
        let root = states.sets.split_off(parts.len() * width);
        states.sets = root;
        if !parts.is_empty() {
            states.enter();
        }
        states
    }

    /// Adds the start of each rule to the last set.
    fn enter(&mut self) {
        let mut from = self.sets.len() - self.width;
        for (path, _) in self.rules {
            start(path, &mut self.sets[from..from + path.len() + 1]);
            from += path.len() + 1;
        }
    }

    /// Descends to a member, or to an element of an array.
    fn push(&mut self, name: Option<&str>) {
        scan_cost::add(self.width + name.map_or(0, str::len));
        let name = name.map(NormalizedKey::new);
        let mut from = self.sets.len() - self.width;
        self.sets.resize(self.sets.len() + self.width, false);
        for (path, _) in self.rules {
            let (before, next) = self.sets[from..].split_at_mut(self.width);
            advance(path, before, &mut next[..path.len() + 1], name.as_ref());
            from += path.len() + 1;
        }
    }

    fn pop(&mut self) {
        self.sets.truncate(self.sets.len() - self.width);
    }

    /// Returns the first rule that matches the whole path.
    fn rule(&self) -> Option<usize> {
        let mut from = self.sets.len() - self.width;
        self.rules.iter().find_map(|(path, rule)| {
            from += path.len() + 1;
            self.sets[from - 1].then_some(*rule)
        })
    }
}

/// A value of an object or an array whose end was not read yet.
struct Member {
    /// The start and the end of its name.
    name: (usize, usize),
    start: usize,
    rule: Option<usize>,
}

/// An open object or array.
struct Open {
    is_object: bool,
    member: Option<Member>,
}

struct Walk<'t, 'k, 'h> {
    reader: JsonReader<'t>,
    states: States<'k>,
    open: Vec<Open>,
    /// The member that the next value belongs to.
    member: Option<Member>,
    matches: &'h mut Vec<Match>,
}

impl Walk<'_, '_, '_> {
    /// Returns `None` if the text is not valid JSON from some position on.
    fn read(&mut self, text: &str) -> Option<()> {
        loop {
            match self.reader.peek()? {
                bracket @ (b'{' | b'[') => {
                    self.reader.at += 1;
                    self.open.push(Open {
                        is_object: bracket == b'{',
                        member: self.member.take(),
                    });
                }
                quote_or_scalar => {
                    if quote_or_scalar == b'"' {
                        self.reader.string()?;
                    } else {
                        let is_scalar = |byte| !b",]}".contains(&byte) && !is_space(byte);
                        self.reader.at = run_end(self.reader.text, self.reader.at, is_scalar);
                    }
                    let member = self.member.take();
                    self.close(member, false);
                }
            }
            loop {
                let is_object = match self.open.last() {
                    Some(open) => open.is_object,
                    None => return Some(()),
                };
                match self.reader.peek()? {
                    b'}' | b']' => {
                        self.reader.at += 1;
                        let done = self.open.pop().and_then(|open| open.member);
                        self.close(done, false);
                        continue;
                    }
                    b',' => {
                        self.reader.at += 1;
                        continue;
                    }
                    _ => {}
                }
                let mut name = (self.reader.at, self.reader.at);
                if is_object {
                    name = self.reader.string()?;
                    if self.reader.peek()? != b':' {
                        return None;
                    }
                    self.reader.at += 1;
                    self.states.push(text.get(name.0..name.1));
                } else {
                    self.states.push(None);
                }
                let rule = self.states.rule();
                let start = skip_space(self.reader.text, self.reader.at);
                self.member = Some(Member { name, start, rule });
                break;
            }
        }
    }

    /// Ends all open values at the end of a truncated text.
    fn cut_off(&mut self) {
        self.reader.at = self.reader.text.len();
        let member = self.member.take();
        self.close(member, true);
        while let Some(open) = self.open.pop() {
            self.close(open.member, true);
        }
    }

    fn close(&mut self, member: Option<Member>, is_cut: bool) {
        let Some(member) = member else { return };
        self.states.pop();
        let Some(rule) = member.rule else { return };
        let quoted = self.reader.text.get(member.start) == Some(&b'"') && !is_cut;
        let (start, end) = (member.start.min(self.reader.at), self.reader.at);
        self.matches.push(Match {
            start: start + usize::from(quoted),
            end: end - usize::from(quoted),
            rule: Rule::Key {
                rule,
                at: member.name,
            },
            needs_quotes: (!quoted).then_some(0),
        });
    }
}
