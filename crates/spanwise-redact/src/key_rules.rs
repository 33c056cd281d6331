//! Key rules: decide which keys hide their values.
//!
//! A built-in rule is part of this crate, and can be switched on and off. A user rule is a pattern
//! that the application adds. Rules are identified by their index in `PolicyRules::rule_states`:
//! first the built-in rules, then the user rules.

use crate::{
    builtin_rules::{RULES, Tier, shows_network_addresses},
    key_pattern::{Pattern, Segment, parts, path_matches},
    normalized_key::NormalizedKey,
    prefix_filter::{Literal, PrefixFilter},
};

/// The rules about keys. Built-in rules match words of a key. User rules match a whole name, the
/// end or a part of a name, or a path.
#[derive(Debug, Clone)]
pub(crate) struct KeyRules {
    /// Whether each built-in rule is enabled, by its index.
    enabled: Vec<bool>,
    /// Whether a built-in rule about PII is enabled.
    hides_pii: bool,
    /// Whether the built-in rule `address` or `ip` is enabled. Its decision depends on the value.
    hides_addresses: bool,
    /// The patterns of the user rules. Their indices follow those of the built-in rules.
    user_rules: Vec<Pattern>,
    /// Patterns of keys that the application shows. They take precedence over all rules.
    shown: Vec<Pattern>,
    index: PatternIndex,
}

/// The user rules by kind of pattern, for lookup. Each pattern has the index of its rule.
#[derive(Debug, Clone)]
struct PatternIndex {
    exact_names: ExactNames,
    /// Parts of names: `*part*`.
    parts: Vec<(String, usize)>,
    /// Finds the texts of `parts`.
    part_filter: PrefixFilter,
    /// Ends of names: `*end`.
    ends: Vec<(String, usize)>,
    paths: Vec<(Vec<Segment>, usize)>,
}

/// The decision about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyDecision {
    /// The rule with this index hides the value.
    Hide { rule: usize, origin: Origin },
    /// The built-in rule with this index hides the value, unless the value is a network address:
    /// see [`is_network_address`](crate::addresses::is_network_address).
    HideUnlessNetworkAddress { rule: usize },
    /// The value is an id in a fixed format. Its text is not scanned.
    Trust,
    /// No rule hides the value. Its text is scanned.
    Pass,
}

/// The origin of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A built-in rule. It shows values that cannot be the secret, such as booleans.
    BuiltIn,
    /// A user rule. It hides every value, except an absent one inside a text, such as `null`.
    User,
}

impl KeyRules {
    /// Creates key rules with only the built-in rules about secrets enabled.
    pub(crate) fn secrets() -> Self {
        let named = RULES.named();
        let mut keys = Self {
            enabled: named
                .iter()
                .map(|(_, tier)| *tier == Tier::Secrets)
                .collect(),
            hides_pii: false,
            hides_addresses: false,
            user_rules: Vec::new(),
            shown: Vec::new(),
            index: PatternIndex::new(&[], 0),
        };
        keys.update_flags();
        keys
    }

    /// Switches a built-in rule on or off.
    pub(crate) fn switch(&mut self, rule: usize, on: bool) {
        self.enabled[rule] = on;
        self.update_flags();
    }

    /// Computes `hides_pii` and `hides_addresses` after a built-in rule was switched.
    fn update_flags(&mut self) {
        let enabled_rules = || {
            let rules = RULES.named().iter().zip(&self.enabled);
            rules.filter(|(_, enabled)| **enabled).map(|(rule, _)| rule)
        };
        self.hides_pii = enabled_rules().any(|(_, tier)| *tier == Tier::Pii);
        self.hides_addresses = enabled_rules().any(|(name, _)| shows_network_addresses(name));
    }

    /// Adds a user rule and returns its index. If there is a user rule with this pattern, returns
    /// the index of that rule.
    ///
    /// A pattern that is the name of a built-in rule also switches that rule on.
    pub(crate) fn hide(&mut self, pattern: Pattern) -> usize {
        self.shown.retain(|shown| *shown != pattern);
        if let Some(rule) = pattern.built_in() {
            self.switch(rule, true);
        }
        if let Some(known) = self.user_rules.iter().position(|rule| *rule == pattern) {
            return self.enabled.len() + known;
        }
        self.user_rules.push(pattern);
        self.index = PatternIndex::new(&self.user_rules, self.enabled.len());
        self.enabled.len() + self.user_rules.len() - 1
    }

    /// Shows the keys that the pattern matches, and removes the user rule with this pattern. A
    /// pattern that is the name of a built-in rule switches that rule off.
    pub(crate) fn show(&mut self, pattern: Pattern) {
        // A removed rule gets the empty name, which matches no key. It stays in the list, so that
        // the indices of the other rules do not change.
        for rule in self.user_rules.iter_mut().filter(|rule| **rule == pattern) {
            *rule = Pattern::Exact(String::new());
        }
        self.index = PatternIndex::new(&self.user_rules, self.enabled.len());
        if let Some(rule) = pattern.built_in() {
            self.switch(rule, false);
        }
        self.shown.push(pattern);
    }

    /// Returns the decision about a key as the application wrote it.
    pub(crate) fn decide(&self, key: &str) -> KeyDecision {
        if self.user_rules.is_empty()
            && self.shown.is_empty()
            && !RULES.may_match(key, self.hides_pii)
        {
            return KeyDecision::Pass;
        }
        self.decide_normalized(key)
    }

    fn decide_normalized(&self, key: &str) -> KeyDecision {
        let normal = NormalizedKey::new(key);
        if !self.shown.is_empty() && self.is_shown(&normal, key) {
            return KeyDecision::Pass;
        }
        if !self.user_rules.is_empty()
            && let Some(rule) = self.index.find(&normal, key)
        {
            return self.hidden_by(rule);
        }
        if normal.is_exempt_attribute || !RULES.may_match(key, self.hides_pii) {
            return KeyDecision::Pass;
        }
        RULES.decide(&normal, &self.enabled)
    }

    /// Returns whether a key ends in words that name something harmless: `first pass`.
    pub(crate) fn is_harmless_phrase(&self, key: &str) -> bool {
        RULES.is_harmless_phrase(&NormalizedKey::new(key))
    }

    /// Returns whether the decision about a key may depend on its value. Checks only whether the
    /// key ends in `ss` or `ip`, as `address` and `ip` do, or in a mark, as in `user[address]`.
    /// Non-ASCII bytes count as these letters, because they may look alike.
    #[inline]
    pub(crate) fn may_depend_on_value(&self, key: &str) -> bool {
        let Some((&last, before)) = key.as_bytes().split_last() else {
            return false;
        };
        let may_precede_last = |letter| {
            let byte = before.last();
            byte.is_some_and(|byte| byte | 0x20 == letter || !byte.is_ascii())
        };
        self.hides_addresses
            && match last | 0x20 {
                b's' => may_precede_last(b's'),
                b'p' => may_precede_last(b'i'),
                b'a'..=b'z' => false,
                _ => !last.is_ascii_digit(),
            }
    }

    /// Returns the decision that the rule with this index hides the value.
    pub(crate) fn hidden_by(&self, rule: usize) -> KeyDecision {
        let origin = if rule < self.enabled.len() {
            Origin::BuiltIn
        } else {
            Origin::User
        };
        KeyDecision::Hide { rule, origin }
    }

    fn is_shown(&self, key: &NormalizedKey, written: &str) -> bool {
        let mut shown = self.shown.iter();
        shown.any(|pattern| pattern.matches(key, written))
    }

    /// Returns whether the application shows this key.
    pub(crate) fn shows(&self, key: &str) -> bool {
        self.is_shown(&NormalizedKey::new(key), key)
    }

    /// Returns how many rules hide keys, and how many patterns show keys.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let is_removed = |rule: &Pattern| matches!(rule, Pattern::Exact(name) if name.is_empty());
        let built_in_count = self.enabled.iter().filter(|enabled| **enabled).count();
        let user_count = self
            .user_rules
            .iter()
            .filter(|rule| !is_removed(rule))
            .count();
        (built_in_count + user_count, self.shown.len())
    }

    /// Returns the user rules that are paths, each with its index.
    pub(crate) fn paths(&self) -> &[(Vec<Segment>, usize)] {
        &self.index.paths
    }
}

impl PatternIndex {
    /// Creates the index of all user rules. `first_index` is the index of the first user rule.
    fn new(user_rules: &[Pattern], first_index: usize) -> Self {
        let (mut exact_names, mut parts, mut ends, mut paths) = (vec![], vec![], vec![], vec![]);
        for (rule, pattern) in (first_index..).zip(user_rules) {
            match pattern {
                Pattern::Exact(name) => exact_names.push((name.clone(), rule)),
                Pattern::EndsWith(end) => ends.push((end.clone(), rule)),
                Pattern::Contains(part) => parts.push((part.clone(), rule)),
                Pattern::Path(path) => paths.push((path.clone(), rule)),
            }
        }
        Self {
            part_filter: PrefixFilter::new(parts.iter().enumerate().map(|(index, (part, _))| {
                let literal = Literal {
                    text: part,
                    next_class: None,
                    any_case: false,
                    bucket: index,
                };
                (index, literal)
            })),
            exact_names: ExactNames::new(exact_names),
            parts,
            ends,
            paths,
        }
    }

    /// Returns the index of the user rule that hides a key, which the application wrote as
    /// `written`. Exact names take precedence over paths, then parts, then ends.
    fn find(&self, key: &NormalizedKey, written: &str) -> Option<usize> {
        let (whole, last_part) = (key.full(), key.last_part());
        let ends = || {
            self.ends
                .iter()
                .find(|(end, _)| whole.ends_with(end.as_bytes()))
        };
        self.exact_names
            .find(last_part)
            .or_else(|| {
                let rule = self.exact_names.find(whole);
                rule.filter(|_| last_part.len() < whole.len())
            })
            .or_else(|| self.find_path(written))
            .or_else(|| self.find_part(whole))
            .or_else(|| ends().map(|(_, rule)| *rule))
    }

    fn find_part(&self, name: &[u8]) -> Option<usize> {
        if self.parts.is_empty() {
            return None;
        }
        let positions = 0..name.len().saturating_sub(2);
        self.part_filter.find_map(name, positions, |index, at| {
            let (part, rule) = &self.parts[index];
            name[at..].starts_with(part.as_bytes()).then_some(*rule)
        })
    }

    fn find_path(&self, key: &str) -> Option<usize> {
        let mut paths = self.paths.iter();
        let found = paths.find(|(path, _)| path_matches(path, parts(key)));
        found.map(|(_, rule)| *rule)
    }
}

/// Whole names, each with the index of its rule.
#[derive(Debug, Clone)]
struct ExactNames {
    sorted: Vec<(String, usize)>,
    /// The set of the hashes of all names, with one bit per hash. The hash of most keys is not in
    /// the set, so these keys need no binary search.
    hashes: [u64; 16],
}

impl ExactNames {
    fn new(mut names: Vec<(String, usize)>) -> Self {
        names.retain(|(name, _)| !name.is_empty());
        names.sort();
        let mut hashes = [0; 16];
        for (name, _) in &names {
            let hash = Self::hash(name.as_bytes());
            hashes[hash >> 6] |= 1 << (hash & 63);
        }
        Self {
            sorted: names,
            hashes,
        }
    }

    fn hash(name: &[u8]) -> usize {
        let (first, last) = (name.first().copied(), name.last().copied());
        let letters = usize::from(first.unwrap_or(0)) << 5 | usize::from(last.unwrap_or(0)) & 31;
        letters
            .wrapping_mul(7)
            .wrapping_add(name.len().wrapping_mul(131))
            & 1023
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        let hash = Self::hash(name);
        if self.hashes[hash >> 6] >> (hash & 63) & 1 == 0 {
            return None;
        }
        let found = self
            .sorted
            .binary_search_by(|(known, _)| known.as_bytes().cmp(name));
        found.ok().map(|at| self.sorted[at].1)
    }
}
