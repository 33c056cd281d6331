//! The lists `truncated` and `redacted` of a line: keys of fields whose values are not as logged.

use crate::{
    conversion::unquoted,
    escape,
    format::{REDACTED, TRUNCATED},
    format_table::{FormatTable, Style},
    json_lexer::string_end,
};

/// The keys of the truncated fields, and those of the redacted fields.
#[derive(Debug, Clone, Default)]
pub(crate) struct AlteredFields {
    pub(crate) truncated: QuotedKeys,
    pub(crate) redacted: QuotedKeys,
}

/// The lists of a line on which every value is as it was logged.
pub(crate) static UNALTERED: AlteredFields = AlteredFields {
    truncated: QuotedKeys(Vec::new()),
    redacted: QuotedKeys(Vec::new()),
};

/// A list of distinct keys, as JSON strings joined by commas. After [`MAX_KEYS`] keys, it ends with
/// `"…"`. The limit bounds its length and the time to search it.
#[derive(Debug, Clone, Default)]
pub(crate) struct QuotedKeys(Vec<u8>);

impl AlteredFields {
    pub(crate) fn is_empty(&self) -> bool {
        self.truncated.is_empty() && self.redacted.is_empty()
    }

    /// Adds the keys of `other` for which `wanted` returns true.
    pub(crate) fn add(&mut self, other: &Self, wanted: impl Fn(&[u8]) -> bool) {
        self.truncated.add(&other.truncated, &wanted);
        self.redacted.add(&other.redacted, &wanted);
    }

    /// Replaces each key by the one that `change` returns. Removes keys for which it returns
    /// `None`.
    pub(crate) fn change_keys(&mut self, change: impl Fn(&[u8]) -> Option<Vec<u8>>) {
        for keys in [&mut self.truncated, &mut self.redacted] {
            let before = std::mem::take(keys);
            let changed = before.iter().filter_map(&change);
            changed.for_each(|key| keys.push(&key));
        }
    }

    /// Returns a member for each list that is not empty.
    pub(crate) fn to_members(&self, table: &FormatTable) -> Vec<u8> {
        let mut members = Vec::new();
        for (name, keys) in [(TRUNCATED, &self.truncated), (REDACTED, &self.redacted)] {
            if !keys.is_empty() {
                keys.push_member(&mut members, table, name);
            }
        }
        members
    }
}

impl QuotedKeys {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Appends the list as a member, under the key that the format has for `name`.
    pub(crate) fn push_member(&self, to: &mut Vec<u8>, table: &FormatTable, name: &str) {
        self.shown(table).push_shown(to, table, name);
    }

    /// Returns the list with the names that the receiver shows for the keys.
    pub(crate) fn shown(&self, table: &FormatTable) -> Self {
        let is_scalar = table.style == Style::Scalar;
        if !is_scalar && table.listed_names.is_empty() {
            return self.clone();
        }
        let mut shown = Self::default();
        for key in self.iter() {
            let mut names = table.listed_names.iter();
            let listed = names.find(|(hidden, _)| hidden.as_bytes() == unquoted(key));
            match (listed, key.strip_prefix(b"\"_")) {
                (Some((_, name)), _) => shown.push(&escape::quoted(name)),
                // Graylog shows the name of a field without its underscore.
                (None, Some(rest)) if is_scalar => shown.push(&[b"\"", rest].concat()),
                (None, _) => shown.push(key),
            }
        }
        shown
    }

    /// Like [`push_member`](Self::push_member), for a list from [`shown`](Self::shown).
    pub(crate) fn push_shown(&self, to: &mut Vec<u8>, table: &FormatTable, name: &str) {
        to.push(b',');
        to.extend(escape::quoted(&table.spell(name)));
        to.push(b':');
        let list = table.style.list();
        to.extend(list.open);
        match table.style {
            Style::Json | Style::Labels => to.extend(&self.0),
            Style::Scalar | Style::Words => {
                for (index, name) in self.iter().enumerate() {
                    if index > 0 {
                        to.push(b',');
                    }
                    to.extend(unquoted(name));
                }
            }
        }
        to.extend(list.close);
    }

    /// Adds a key, which is a JSON string, unless the list has it. If the list already has
    /// [`MAX_KEYS`] keys, adds `"…"` instead, once.
    pub(crate) fn push(&mut self, quoted: &[u8]) {
        if self.0.ends_with(ELLIPSIS.as_bytes()) {
            return;
        }
        let mut count = 0;
        for name in self.iter() {
            if name == quoted {
                return;
            }
            count += 1;
        }
        let quoted = if count < MAX_KEYS {
            quoted
        } else {
            ELLIPSIS.as_bytes()
        };
        if !self.is_empty() {
            self.0.push(b',');
        }
        self.0.extend(quoted);
    }

    /// Adds the keys of `list`, which are JSON strings joined by commas. Ignores a bracket after
    /// them.
    pub(crate) fn add_list(&mut self, mut list: &[u8]) {
        while list.first() == Some(&b'"') {
            let (name, rest) = list.split_at(string_end(list, 0));
            self.push(name);
            list = rest.strip_prefix(b",").unwrap_or(rest);
        }
    }

    /// Adds the keys of a list from a line, as [`push_shown`](Self::push_shown) wrote it.
    pub(crate) fn add_shown(&mut self, list: &[u8], style: Style) {
        match style {
            Style::Json | Style::Labels => self.add_list(list.get(1..).unwrap_or_default()),
            Style::Scalar | Style::Words => {
                for name in unquoted(list).split(|byte| *byte == b',') {
                    self.push(&[b"\"", name, b"\""].concat());
                }
            }
        }
    }

    /// Limits the list to `max_len` bytes: replaces keys at its end, if necessary all, by `"…"`.
    pub(crate) fn shorten(&mut self, max_len: usize) {
        if self.0.len() <= max_len {
            return;
        }
        let mut kept_len = 0;
        for name in self.iter() {
            let next_len = kept_len + name.len() + 1;
            if next_len + ELLIPSIS.len() > max_len {
                break;
            }
            kept_len = next_len;
        }
        self.0.truncate(kept_len);
        self.0.extend_from_slice(ELLIPSIS.as_bytes());
    }

    fn add(&mut self, other: &Self, wanted: impl Fn(&[u8]) -> bool) {
        let wanted = other.iter().filter(|name| wanted(name));
        wanted.for_each(|name| self.push(name));
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut list = self.0.as_slice();
        std::iter::from_fn(move || {
            if list.is_empty() {
                return None;
            }
            let (name, rest) = list.split_at(string_end(list, 0));
            list = rest.get(1..).unwrap_or_default();
            Some(name)
        })
    }
}

/// The maximum number of keys in a list.
const MAX_KEYS: usize = 64;

/// The last item of a list that omits keys, as a JSON string.
const ELLIPSIS: &str = "\"…\"";
