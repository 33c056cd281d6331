//! Which keys are secret.

use std::{fmt, str::FromStr};

use crate::{Detector, RuleError, literals::Literals};

/// Rules about keys, looked up by the name of one.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    rules: Vec<Pattern>,
    origins: Vec<Origin>,
    /// Keys that are no secret, whatever rule of part of a name they meet: whole names, and ends of names.
    never: Names,
    never_ends: Vec<String>,
    /// Keys that a user said are no secret.
    shown: Vec<Pattern>,
    index: Index,
}

/// The rules again, as they are looked up; each with its number.
#[derive(Debug, Clone)]
struct Index {
    exact: Names,
    contains: Vec<(String, usize)>,
    literals: Literals,
    ends: Vec<(String, usize)>,
    paths: Vec<(Vec<Segment>, usize)>,
}

/// What a rule says about keys: a name, `*end`, `*part*`, or a path with dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    Exact(String),
    EndsWith(String),
    Contains(String),
    Path(Vec<Segment>),
}

/// A part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Name(String),
    /// `*` or `[*]`: any one part.
    Any,
    /// `**`: any number of parts.
    AnyDepth,
}

/// What the rules say of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// By this rule.
    Hide {
        rule: usize,
        origin: Origin,
    },
    Trust,
    Pass,
}

/// Who made the rule that hides a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This crate: values that cannot be the secret, such as booleans, are shown.
    BuiltIn,
    /// The user: every value is hidden.
    User,
}

impl Keys {
    pub(crate) fn new(rules: &[&str], never: &[&str]) -> Self {
        // The lists of this crate have no wrong pattern: a test reads them.
        let read = |list: &[&str]| -> Vec<Pattern> {
            list.iter().filter_map(|rule| rule.parse().ok()).collect()
        };
        let (mut names, mut ends) = (Vec::new(), Vec::new());
        for pattern in read(never) {
            match pattern {
                Pattern::EndsWith(name) => ends.push(name),
                Pattern::Exact(name) | Pattern::Contains(name) => names.push(name),
                Pattern::Path(_) => {}
            }
        }
        let rules = read(rules);
        Self {
            index: Index::new(&rules),
            origins: vec![Origin::BuiltIn; rules.len()],
            rules,
            never: Names::new(names.into_iter().map(|name| (name, 0)).collect()),
            never_ends: ends,
            shown: Vec::new(),
        }
    }

    /// The number of the rule, which is new if it was not there.
    pub(crate) fn hide(&mut self, pattern: Pattern, origin: Origin) -> usize {
        self.shown.retain(|shown| *shown != pattern);
        if let Some(known) = self.rules.iter().position(|rule| *rule == pattern) {
            if origin == Origin::User {
                self.origins[known] = origin;
            }
            return known;
        }
        self.rules.push(pattern);
        self.origins.push(origin);
        self.index = Index::new(&self.rules);
        self.rules.len() - 1
    }

    /// The rule of that pattern is gone, and no other hides such a key.
    pub(crate) fn show(&mut self, pattern: Pattern) {
        self.forget(&pattern);
        self.shown.push(pattern);
    }

    /// The rule of that pattern is gone.
    pub(crate) fn forget(&mut self, pattern: &Pattern) {
        // Numbers stay: a rule without a name matches no key.
        for rule in self.rules.iter_mut().filter(|rule| *rule == pattern) {
            *rule = Pattern::Exact(String::new());
        }
        self.index = Index::new(&self.rules);
    }

    pub(crate) fn decide(&self, key: &str) -> Decision {
        let normal = Normal::new(key);
        let (whole, last) = (normal.whole(), normal.last());
        if self.is_shown(&normal, key) {
            return Decision::Pass;
        }
        let index = &self.index;
        let exact = index.exact.find(last);
        let exact = exact.or_else(|| index.exact.find(whole).filter(|_| last.len() < whole.len()));
        if let Some(rule) = exact {
            return self.hidden_by(rule);
        }
        if let Some(rule) = index.path(key) {
            return self.hidden_by(rule);
        }
        let never = |name: &[u8]| self.never.find(name).is_some();
        if never(last) || (last.len() < whole.len() && never(whole)) {
            return Decision::Trust;
        }
        if let Some(rule) = index.contains(whole) {
            return self.hidden_by(rule);
        }
        if self
            .never_ends
            .iter()
            .any(|end| whole.ends_with(end.as_bytes()))
        {
            return Decision::Trust;
        }
        match index
            .ends
            .iter()
            .find(|(end, _)| whole.ends_with(end.as_bytes()))
        {
            Some((_, rule)) => self.hidden_by(*rule),
            None => Decision::Pass,
        }
    }

    pub(crate) fn hidden_by(&self, rule: usize) -> Decision {
        Decision::Hide {
            rule,
            origin: self.origins[rule],
        }
    }

    fn is_shown(&self, key: &Normal, written: &str) -> bool {
        let mut shown = self.shown.iter();
        shown.any(|pattern| pattern.matches(key, written))
    }

    /// Whether somebody said that it is no secret.
    pub(crate) fn shows(&self, key: &str) -> bool {
        self.is_shown(&Normal::new(key), key)
    }

    /// How many rules hide, and how many show.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let gone = |rule: &Pattern| matches!(rule, Pattern::Exact(name) if name.is_empty());
        let hide = self.rules.iter().filter(|rule| !gone(rule)).count();
        (hide, self.shown.len())
    }

    pub(crate) fn has_paths(&self) -> bool {
        !self.index.paths.is_empty()
    }

    /// The rule for a path of keys within a value.
    pub(crate) fn path(&self, path: &[&str]) -> Option<usize> {
        self.index.path_of(path)
    }
}

impl Index {
    fn new(rules: &[Pattern]) -> Self {
        let (mut exact, mut contains, mut ends, mut paths) = (vec![], vec![], vec![], vec![]);
        for (number, rule) in rules.iter().enumerate() {
            match rule {
                Pattern::Exact(name) => exact.push((name.clone(), number)),
                Pattern::EndsWith(name) => ends.push((name.clone(), number)),
                Pattern::Contains(name) => contains.push((name.clone(), number)),
                Pattern::Path(path) => paths.push((path.clone(), number)),
            }
        }
        Self {
            literals: Literals::new(contains.iter().map(|(part, _)| part.as_str())),
            exact: Names::new(exact),
            contains,
            ends,
            paths,
        }
    }

    fn contains(&self, name: &[u8]) -> Option<usize> {
        let part_at = |at: usize| {
            let rest = name.get(at..)?;
            let mut parts = self
                .literals
                .starting(rest)
                .map(|part| &self.contains[part]);
            parts.find(|(part, _)| rest.starts_with(part.as_bytes()))
        };
        let mut at = 0;
        while let Some(start) = self.literals.next_start(name, at) {
            if let Some((_, rule)) = part_at(start).or_else(|| part_at(start + 1)) {
                return Some(*rule);
            }
            at = start + 2;
        }
        None
    }

    fn path(&self, key: &str) -> Option<usize> {
        if self.paths.is_empty() {
            return None;
        }
        self.path_of(&parts(key).collect::<Vec<_>>())
    }

    fn path_of(&self, parts: &[&str]) -> Option<usize> {
        let parts: Vec<Normal> = parts.iter().map(|part| Normal::new(part)).collect();
        let found = self.paths.iter().find(|(path, _)| is_on_path(path, &parts));
        found.map(|(_, rule)| *rule)
    }
}

/// Whole names with a number each.
#[derive(Debug, Clone)]
struct Names {
    sorted: Vec<(String, usize)>,
    /// A bit for each hash of a name: most keys are none of them, and are told so here.
    hashes: [u64; 16],
}

impl Names {
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

/// The parts of a path, or of a key with dots.
pub(crate) fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split(['.', '[', ']']).filter(|part| !part.is_empty())
}

fn is_on_path(path: &[Segment], parts: &[Normal]) -> bool {
    // Which beginnings of the path the parts so far have taken: a set, so that `**.**.**` costs no more than its length.
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    let open = |reached: &mut Vec<bool>| {
        for (at, segment) in path.iter().enumerate() {
            if *segment == Segment::AnyDepth && reached[at] {
                reached[at + 1] = true;
            }
        }
    };
    open(&mut reached);
    for part in parts {
        let mut next = vec![false; path.len() + 1];
        for (at, segment) in path.iter().enumerate().filter(|(at, _)| reached[*at]) {
            match segment {
                Segment::AnyDepth => next[at] = true,
                Segment::Any => next[at + 1] = true,
                Segment::Name(name) => next[at + 1] |= part.whole() == name.as_bytes(),
            }
        }
        open(&mut next);
        reached = next;
    }
    reached.last() == Some(&true)
}

impl Pattern {
    fn matches(&self, key: &Normal, written: &str) -> bool {
        match self {
            Self::Exact(name) => key.last() == name.as_bytes() || key.whole() == name.as_bytes(),
            Self::EndsWith(name) => key.whole().ends_with(name.as_bytes()),
            Self::Contains(name) => memchr::memmem::find(key.whole(), name.as_bytes()).is_some(),
            Self::Path(path) => {
                is_on_path(path, &parts(written).map(Normal::new).collect::<Vec<_>>())
            }
        }
    }

    /// The detector of that name, if it is one.
    pub(crate) fn detector(&self) -> Option<Detector> {
        let Self::Exact(name) = self else { return None };
        let mut all = Detector::ALL.into_iter();
        all.find(|detector| Normal::new(detector.name()).whole() == name.as_bytes())
    }

    pub(crate) fn is_of(&self, key: &str) -> bool {
        self.matches(&Normal::new(key), key)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::EndsWith(name) => write!(f, "*{name}"),
            Self::Contains(name) => write!(f, "*{name}*"),
            Self::Path(path) => {
                for (index, segment) in path.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { "." })?;
                    f.write_str(match segment {
                        Segment::Name(name) => name,
                        Segment::Any => "*",
                        Segment::AnyDepth => "**",
                    })?;
                }
                Ok(())
            }
        }
    }
}

impl FromStr for Pattern {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let trimmed = text.trim();
        let wrong = |why: &str| {
            Err(RuleError::new(format!(
                "`{text}` names no key: {why}; write a name, `*end`, `*part*`, or a path such as `user.*.token`"
            )))
        };
        let name = |part: &str| {
            let normal = Normal::new(part);
            String::from_utf8_lossy(normal.whole()).into_owned()
        };
        let no_name = ['=', ',', ':', ';', '"', '\''];
        if trimmed.contains(no_name) {
            return wrong("it has a character that no name has");
        }
        if trimmed.starts_with('/') {
            return wrong("the parts of a path are separated by dots");
        }
        if trimmed.contains(['.', '[', ']']) {
            let path = match path_of_rule(trimmed) {
                Ok(path) => path,
                Err(why) => return wrong(why),
            };
            let path: Vec<Segment> = path
                .into_iter()
                .map(|part| match part {
                    "*" => Segment::Any,
                    "**" => Segment::AnyDepth,
                    part => Segment::Name(name(part)),
                })
                .collect();
            let named =
                |segment: &Segment| matches!(segment, Segment::Name(name) if !name.is_empty());
            let starred = |segment: &Segment| matches!(segment, Segment::Name(name) if name.is_empty() || name.contains('*') );
            if !path.iter().any(named) || path.iter().any(starred) {
                return wrong("a part of a path is a whole name, `*` or `**`");
            }
            return Ok(Self::Path(path));
        }
        if matches!(trimmed, "*" | "**") {
            return wrong(
                "it would hide everything; `Policy::allow_only` does, but for the keys it is given",
            );
        }
        let (from, starts) = trimmed
            .strip_prefix('*')
            .map_or((trimmed, false), |rest| (rest, true));
        let (part, ends) = from
            .strip_suffix('*')
            .map_or((from, false), |rest| (rest, true));
        if part.contains('*') {
            return wrong("it has a character that no name has");
        }
        let part = name(part);
        match (starts, ends) {
            _ if part.is_empty() => wrong("it is empty"),
            (false, false) => Ok(Self::Exact(part)),
            (true, false) => Ok(Self::EndsWith(part)),
            (true, true) if part.len() < 3 => wrong("a part of a name has at least three letters"),
            (true, true) => Ok(Self::Contains(part)),
            (false, true) => wrong("how a name begins is no rule"),
        }
    }
}

/// The parts of a path as a rule writes it: `items[*].card`.
fn path_of_rule(path: &str) -> Result<Vec<&str>, &'static str> {
    let mut found = Vec::new();
    for part in path.split('.') {
        let (name, mut brackets) = part.split_at(part.find(['[', ']']).unwrap_or(part.len()));
        match name {
            "$" if found.is_empty() => {
                return Err("a path begins with its first key, not with `$`");
            }
            "" if brackets.is_empty() => return Err("a part of it is empty"),
            "" => {}
            name => found.push(name),
        }
        while !brackets.is_empty() {
            let inside = brackets
                .strip_prefix('[')
                .and_then(|rest| rest.split_once(']'));
            let Some((inside, rest)) = inside else {
                return Err("its brackets do not match");
            };
            if inside.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err("an element of a list is `[*]`, whichever it is");
            }
            found.push(inside);
            brackets = rest;
        }
    }
    Ok(found)
}

/// A key as it is compared: lower case, without `-`, `_`, `.` and spaces. Of a key that is longer the end.
#[derive(Debug)]
pub(crate) struct Normal {
    bytes: [u8; LONGEST],
    length: usize,
    /// Where the part after the last dot begins.
    last: usize,
}

const LONGEST: usize = 128;

impl Normal {
    pub(crate) fn new(key: &str) -> Self {
        let mut normal = Self {
            bytes: [0; LONGEST],
            length: 0,
            last: 0,
        };
        let dotted = key.contains('.');
        let header = HEADERS
            .iter()
            .filter(|_| dotted)
            .find_map(|headers| key.strip_prefix(headers));
        let is_convention =
            dotted && header.is_none() && CONVENTIONS.iter().any(|name| key.starts_with(name));
        let key = header.unwrap_or(key).as_bytes();
        for byte in &key[key.len().saturating_sub(LONGEST)..] {
            match byte {
                b'.' if !is_convention => normal.last = normal.length,
                b'-' | b'_' | b'.' | b' ' => {}
                byte => {
                    normal.bytes[normal.length] = byte.to_ascii_lowercase();
                    normal.length += 1;
                }
            }
        }
        normal
    }

    pub(crate) fn whole(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub(crate) fn last(&self) -> &[u8] {
        &self.bytes[self.last..self.length]
    }
}

/// The names of the semantic conventions: `client.address` is no postal one.
const CONVENTIONS: [&str; 9] = [
    "client.",
    "server.",
    "http.",
    "url.",
    "network.",
    "code.",
    "source.",
    "destination.",
    "user_agent.",
];

/// What comes after them is the name of a header.
const HEADERS: [&str; 2] = ["http.request.header.", "http.response.header."];
