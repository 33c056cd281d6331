//! Matches path rules such as `user.*.token` inside JSON texts.
//!
//! A prefix of a rule is its first `n` segments. For the current value and each value around it,
//! the matcher stores the set of prefixes that match the path to that value. So a member or an
//! array element costs one step for each segment of all rules, and one for each byte of its name.
//! The depth of the document does not matter.

use crate::{
    byte_search::{is_space, run_end, skip_space},
    credential::is_absent,
    json_strings::JsonReader,
    key_pattern::{Segment, add_empty_prefix, advance, parts},
    key_rules::KeyRules,
    matches::{Match, Matches, Rule},
    normalized_key::NormalizedKey,
    scan_cost,
};

/// Returns whether the text begins like an object or an array.
pub(crate) fn may_be_json(text: &str) -> bool {
    text.trim_ascii_start().starts_with(['{', '['])
}

/// Appends a match for each value in a JSON text that a path rule hides.
///
/// A rule matches either the path from the root of the text, or `key` followed by that path. `key`
/// is the key of the field that contains the text.
pub(crate) fn find_matches(key: Option<&str>, text: &str, keys: &KeyRules, matches: &mut Matches) {
    let mut walk = Walk {
        reader: JsonReader::new(text),
        prefixes: PrefixSets::new(keys.paths(), key),
        containers: Vec::new(),
        next_value: None,
        matches,
    };
    if walk.read(text).is_none() {
        walk.end_open_values();
    }
}

/// The rule prefixes that match the path to the current value and to each value around it.
///
/// Sets avoid backtracking: `**.**.**` matches a path in many ways, but a set contains each prefix
/// only once.
struct PrefixSets<'k> {
    /// The path rules, each with its index.
    rules: &'k [(Vec<Segment>, usize)],
    /// The number of prefixes of all rules, which is the length of one set.
    set_len: usize,
    /// The sets, one after the other: one for the root, then one for each value that contains the
    /// current one. A set has a flag for each prefix of each rule, from the empty prefix to the
    /// whole path.
    sets: Vec<bool>,
}

impl<'k> PrefixSets<'k> {
    fn new(rules: &'k [(Vec<Segment>, usize)], key: Option<&str>) -> Self {
        let set_len = rules.iter().map(|(path, _)| path.len() + 1).sum();
        let mut prefixes = Self {
            rules,
            set_len,
            sets: vec![false; set_len],
        };
        prefixes.start_all_rules();
        let parts: Vec<&str> = key.map(parts).into_iter().flatten().collect();
        for part in &parts {
            prefixes.push(Some(part));
        }
        // The set after the last part of the key becomes the set of the root.
        let root = prefixes.sets.split_off(parts.len() * set_len);
        prefixes.sets = root;
        // Rules also match without the key.
        if !parts.is_empty() {
            prefixes.start_all_rules();
        }
        prefixes
    }

    /// Adds the empty prefix of each rule to the last set, so that each rule can match a path that
    /// begins there.
    fn start_all_rules(&mut self) {
        let mut from = self.sets.len() - self.set_len;
        for (path, _) in self.rules {
            add_empty_prefix(path, &mut self.sets[from..from + path.len() + 1]);
            from += path.len() + 1;
        }
    }

    /// Appends the set for the member `name` of the current object. Without a name, the set is for
    /// an element of the current array.
    fn push(&mut self, name: Option<&str>) {
        scan_cost::add(self.set_len + name.map_or(0, str::len));
        let name = name.map(NormalizedKey::new);
        let mut from = self.sets.len() - self.set_len;
        self.sets.resize(self.sets.len() + self.set_len, false);
        for (path, _) in self.rules {
            let (parent, child) = self.sets[from..].split_at_mut(self.set_len);
            advance(path, parent, &mut child[..path.len() + 1], name.as_ref());
            from += path.len() + 1;
        }
    }

    fn pop(&mut self) {
        self.sets.truncate(self.sets.len() - self.set_len);
    }

    /// Returns the index of the first rule that matches the whole current path.
    fn matching_rule(&self) -> Option<usize> {
        let mut from = self.sets.len() - self.set_len;
        self.rules.iter().find_map(|(path, rule)| {
            from += path.len() + 1;
            self.sets[from - 1].then_some(*rule)
        })
    }
}

/// A value that was not read to its end yet: a member of an object or an element of an array.
struct OpenValue {
    /// The start and the end of the member's name. They are equal for an array element.
    name: (usize, usize),
    /// The position of the first byte of the value.
    start: usize,
    /// The index of the rule that hides the value.
    rule: Option<usize>,
}

/// An object or an array that was not read to its end yet.
struct Container {
    is_object: bool,
    /// The container as a value of its parent. `None` for the root.
    value: Option<OpenValue>,
}

struct Walk<'t, 'k, 'm> {
    reader: JsonReader<'t>,
    prefixes: PrefixSets<'k>,
    /// The open containers, from the root to the innermost.
    containers: Vec<Container>,
    /// The value at the position of the reader. `None` for the root and between values.
    next_value: Option<OpenValue>,
    matches: &'m mut Matches,
}

/// Whether the end of a value is known when its match is recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The value was read to its end.
    Read,
    /// The text ends in the value, or cannot be parsed from some position in the value on.
    Missing,
}

impl Walk<'_, '_, '_> {
    /// Reads the value at the start of the text. Returns `None` if the text ends in the value or
    /// cannot be parsed.
    ///
    /// The reader is lenient, so that values are also hidden in a text that is not quite JSON. It
    /// accepts missing and additional commas, a bracket of the wrong kind at the end of a
    /// container, any text as a scalar, and text after the value.
    fn read(&mut self, text: &str) -> Option<()> {
        loop {
            match self.reader.peek()? {
                bracket @ (b'{' | b'[') => {
                    self.reader.at += 1;
                    self.containers.push(Container {
                        is_object: bracket == b'{',
                        value: self.next_value.take(),
                    });
                }
                quote_or_scalar => {
                    if quote_or_scalar == b'"' {
                        self.reader.string()?;
                    } else {
                        let is_scalar_byte = |byte| !b",]}".contains(&byte) && !is_space(byte);
                        self.reader.at = run_end(self.reader.text, self.reader.at, is_scalar_byte);
                    }
                    let value = self.next_value.take();
                    self.close(value, End::Read);
                }
            }
            loop {
                let is_object = match self.containers.last() {
                    Some(container) => container.is_object,
                    None => return Some(()),
                };
                match self.reader.peek()? {
                    b'}' | b']' => {
                        self.reader.at += 1;
                        let closed = self.containers.pop();
                        self.close(closed.and_then(|container| container.value), End::Read);
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
                    self.prefixes.push(text.get(name.0..name.1));
                } else {
                    self.prefixes.push(None);
                }
                let rule = self.prefixes.matching_rule();
                let start = skip_space(self.reader.text, self.reader.at);
                self.next_value = Some(OpenValue { name, start, rule });
                break;
            }
        }
    }

    /// Ends all open values at the end of a text that is truncated or cannot be parsed. If one of
    /// them is hidden, the rest of the text is hidden.
    fn end_open_values(&mut self) {
        self.reader.at = self.reader.text.len();
        let value = self.next_value.take();
        self.close(value, End::Missing);
        while let Some(container) = self.containers.pop() {
            self.close(container.value, End::Missing);
        }
    }

    /// Closes a value that ends at the position of the reader, and appends a match if a rule hides
    /// the value. An absent value is shown.
    fn close(&mut self, value: Option<OpenValue>, end: End) {
        let Some(value) = value else { return };
        self.prefixes.pop();
        let Some(rule) = value.rule else { return };
        let is_string = self.reader.text.get(value.start) == Some(&b'"') && end == End::Read;
        let value_end = self.reader.at;
        let start = value.start.min(value_end) + usize::from(is_string);
        let value_end = value_end - usize::from(is_string);
        let content = &self.reader.text[start..value_end];
        // `is_absent` reads the value again. It is not called for objects and arrays, because then
        // a byte would be read once for each container around it.
        if !content.starts_with(b"{") && !content.starts_with(b"[") && is_absent(content) {
            return;
        }
        self.matches.push(Match {
            start,
            end: value_end,
            rule: Rule::Key {
                rule,
                key_range: value.name,
            },
            // The text is JSON itself, so no backslash precedes its quotes.
            needs_quotes: (!is_string).then_some(0),
        });
    }
}
