//! Which keys are secret.

use std::{fmt, str::FromStr};

use crate::{
    Detector, RuleError,
    builtin_keys::{EXEMPT_ATTRIBUTES, HEADER_PREFIXES},
    builtin_rules::{KeyMeaning, RULES, Tier, is_address},
    confusables,
    prefix_filter::PrefixFilter,
    work,
};

/// Rules about keys: the built-in ones, which are about words, and those of the user, which are
/// about whole names.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    /// Which of the built-in rules are on, by their number.
    on: Vec<bool>,
    /// Whether one of the tier of personal data is on, and the one about addresses.
    pii: bool,
    addresses: bool,
    /// The rules of the user. Their numbers come after the built-in ones.
    rules: Vec<Pattern>,
    /// Keys that the user shows.
    shown: Vec<Pattern>,
    index: Index,
}

/// The rules of the user as they are looked up; each with its number.
#[derive(Debug, Clone)]
struct Index {
    exact: Names,
    contains: Vec<(String, usize)>,
    literals: PrefixFilter,
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
pub(crate) enum KeyDecision {
    /// By this rule.
    Hide { rule: usize, origin: Origin },
    /// By this built-in rule, unless the value is an address of a network, see
    /// [`is_network_address`].
    HideUnlessAddress { rule: usize },
    /// The value is an id of a fixed form. Its text need not be read.
    Trust,
    /// No rule hides it. Its text is read.
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
    /// The built-in rules about secrets.
    pub(crate) fn secrets() -> Self {
        let named = RULES.named();
        let mut keys = Self {
            on: named
                .iter()
                .map(|(_, tier)| *tier == Tier::Secrets)
                .collect(),
            pii: false,
            addresses: false,
            rules: Vec::new(),
            shown: Vec::new(),
            index: Index::new(&[], 0),
        };
        keys.switched();
        keys
    }

    /// Switches a built-in rule on or off.
    pub(crate) fn switch(&mut self, rule: usize, on: bool) {
        self.on[rule] = on;
        self.switched();
    }

    fn switched(&mut self) {
        let on = || RULES.named().iter().zip(&self.on).filter(|(_, on)| **on);
        self.pii = on().any(|((_, tier), _)| *tier == Tier::Pii);
        self.addresses = on().any(|((name, _), _)| is_address(name));
    }

    /// The number of the rule, which is new if it was not there.
    ///
    /// The name of a built-in rule switches that rule on, too.
    pub(crate) fn hide(&mut self, pattern: Pattern) -> usize {
        self.shown.retain(|shown| *shown != pattern);
        if let Some(rule) = pattern.built_in() {
            self.switch(rule, true);
        }
        if let Some(known) = self.rules.iter().position(|rule| *rule == pattern) {
            return self.on.len() + known;
        }
        self.rules.push(pattern);
        self.index = Index::new(&self.rules, self.on.len());
        self.on.len() + self.rules.len() - 1
    }

    /// The rule of that pattern is gone, and no other hides such a key. The name of a built-in rule
    /// switches it off.
    pub(crate) fn show(&mut self, pattern: Pattern) {
        // Numbers stay: a rule without a name matches no key.
        for rule in self.rules.iter_mut().filter(|rule| **rule == pattern) {
            *rule = Pattern::Exact(String::new());
        }
        self.index = Index::new(&self.rules, self.on.len());
        if let Some(rule) = pattern.built_in() {
            self.switch(rule, false);
        }
        self.shown.push(pattern);
    }

    pub(crate) fn decide(&self, key: &str) -> KeyDecision {
        if self.rules.is_empty() && self.shown.is_empty() && !RULES.may_be_about(key, self.pii) {
            return KeyDecision::Pass;
        }
        self.decide_by_words(key)
    }

    fn decide_by_words(&self, key: &str) -> KeyDecision {
        let normal = NormalizedKey::new(key);
        if !self.shown.is_empty() && self.is_shown(&normal, key) {
            return KeyDecision::Pass;
        }
        if !self.rules.is_empty()
            && let Some(rule) = self.index.find(&normal, key)
        {
            return self.hidden_by(rule);
        }
        if normal.is_attribute || !RULES.may_be_about(key, self.pii) {
            return KeyDecision::Pass;
        }
        match RULES.read(&normal, &self.on) {
            KeyMeaning::Hidden(rule) => self.hidden_by(rule),
            KeyMeaning::Address(rule) => KeyDecision::HideUnlessAddress { rule },
            KeyMeaning::Id => KeyDecision::Trust,
            KeyMeaning::Unknown => KeyDecision::Pass,
        }
    }

    /// Whether the values of a key may have to be looked at to decide, which is seen from its last
    /// letters. Costs next to nothing.
    #[inline]
    pub(crate) fn may_need_value(&self, key: &str) -> bool {
        self.addresses
            && matches!(
                key.as_bytes(),
                [.., b's' | b'S', b's' | b'S'] | [.., b'i' | b'I', b'p' | b'P']
            )
    }

    pub(crate) fn hidden_by(&self, rule: usize) -> KeyDecision {
        let origin = if rule < self.on.len() {
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

    /// Whether the user shows it.
    pub(crate) fn shows(&self, key: &str) -> bool {
        self.is_shown(&NormalizedKey::new(key), key)
    }

    /// How many rules hide, and how many show.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let gone = |rule: &Pattern| matches!(rule, Pattern::Exact(name) if name.is_empty());
        let on = self.on.iter().filter(|on| **on).count();
        let hide = self.rules.iter().filter(|rule| !gone(rule)).count();
        (on + hide, self.shown.len())
    }

    pub(crate) fn has_paths(&self) -> bool {
        !self.index.paths.is_empty()
    }

    /// The rules about paths of keys, each with its number.
    pub(crate) fn paths(&self) -> &[(Vec<Segment>, usize)] {
        &self.index.paths
    }
}

impl Index {
    fn new(rules: &[Pattern], first: usize) -> Self {
        let (mut exact, mut contains, mut ends, mut paths) = (vec![], vec![], vec![], vec![]);
        for (number, rule) in (first..).zip(rules) {
            match rule {
                Pattern::Exact(name) => exact.push((name.clone(), number)),
                Pattern::EndsWith(name) => ends.push((name.clone(), number)),
                Pattern::Contains(name) => contains.push((name.clone(), number)),
                Pattern::Path(path) => paths.push((path.clone(), number)),
            }
        }
        Self {
            literals: PrefixFilter::new(contains.iter().map(|(part, _)| (part.as_str(), None))),
            exact: Names::new(exact),
            contains,
            ends,
            paths,
        }
    }

    /// The rule that hides a key: one about its whole name before one about a path, a part or an
    /// end of it.
    fn find(&self, key: &NormalizedKey, written: &str) -> Option<usize> {
        let (whole, last) = (key.whole(), key.last());
        let ends = || {
            self.ends
                .iter()
                .find(|(end, _)| whole.ends_with(end.as_bytes()))
        };
        self.exact
            .find(last)
            .or_else(|| self.exact.find(whole).filter(|_| last.len() < whole.len()))
            .or_else(|| self.path(written))
            .or_else(|| self.contains(whole))
            .or_else(|| ends().map(|(_, rule)| *rule))
    }

    fn contains(&self, name: &[u8]) -> Option<usize> {
        if self.contains.is_empty() {
            return None;
        }
        let part_at = |at: usize| {
            let rest = name.get(at..)?;
            let mut parts = self
                .literals
                .candidates_at(rest)
                .map(|part| &self.contains[part]);
            parts.find(|(part, _)| rest.starts_with(part.as_bytes()))
        };
        let mut at = 0;
        while let Some(start) = self.literals.next_candidate(name, at) {
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
        let parts: Vec<NormalizedKey> = parts.iter().map(|part| NormalizedKey::new(part)).collect();
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

fn is_on_path(path: &[Segment], parts: &[NormalizedKey]) -> bool {
    // Which beginnings of the path the parts so far have taken: a set, so that `**.**.**` costs no
    // more than its length.
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
    fn matches(&self, key: &NormalizedKey, written: &str) -> bool {
        match self {
            Self::Exact(name) => key.last() == name.as_bytes() || key.whole() == name.as_bytes(),
            Self::EndsWith(name) => key.whole().ends_with(name.as_bytes()),
            Self::Contains(name) => memchr::memmem::find(key.whole(), name.as_bytes()).is_some(),
            Self::Path(path) => is_on_path(
                path,
                &parts(written).map(NormalizedKey::new).collect::<Vec<_>>(),
            ),
        }
    }

    /// The built-in rule of that name, if it is one.
    pub(crate) fn built_in(&self) -> Option<usize> {
        let Self::Exact(name) = self else { return None };
        RULES.find(name)
    }

    /// The detector of that name, if it is one.
    pub(crate) fn detector(&self) -> Option<Detector> {
        let Self::Exact(name) = self else { return None };
        let mut all = Detector::ALL.into_iter();
        all.find(|detector| NormalizedKey::new(detector.name()).whole() == name.as_bytes())
    }

    pub(crate) fn is_of(&self, key: &str) -> bool {
        self.matches(&NormalizedKey::new(key), key)
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
            let normal = NormalizedKey::new(part);
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

/// A key as it is compared: in lower case, only letters and digits, with the places where words
/// begin. Of a key that is longer the end.
///
/// Letters that look like those of ASCII are those, and escapes of JSON are what they stand for.
#[derive(Debug)]
pub(crate) struct NormalizedKey {
    bytes: [u8; MAX_KEY_LEN],
    length: usize,
    /// Where the part after the last dot begins.
    last: usize,
    /// A bit for each place where a word begins.
    starts: u128,
    /// An attribute of the semantic conventions whose words say something else there.
    pub(crate) is_attribute: bool,
}

const MAX_KEY_LEN: usize = 128;

impl NormalizedKey {
    pub(crate) fn new(key: &str) -> Self {
        if key.bytes().any(|byte| !byte.is_ascii() || byte == b'\\') {
            return Self::folded(key);
        }
        Self::from_ascii(key)
    }

    #[cold]
    #[inline(never)]
    fn folded(key: &str) -> Self {
        let (mut looks, mut len) = ([0; 8 * MAX_KEY_LEN], 0);
        // Written out, a letter takes up to eight bytes.
        let mut from = key.len().saturating_sub(8 * MAX_KEY_LEN);
        while !key.is_char_boundary(from) {
            from += 1;
        }
        confusables::fold(&key[from..], |c| {
            if let Some(room) = looks
                .get_mut(len..)
                .filter(|room| room.len() >= c.len_utf8())
            {
                len += c.encode_utf8(room).len();
            }
        });
        Self::from_ascii(str::from_utf8(&looks[..len]).unwrap_or_default())
    }

    fn from_ascii(key: &str) -> Self {
        let mut normal = Self {
            bytes: [0; MAX_KEY_LEN],
            length: 0,
            last: 0,
            starts: 0,
            is_attribute: false,
        };
        let mut key = key;
        if key.contains('.') {
            let header = HEADER_PREFIXES
                .iter()
                .find_map(|headers| key.strip_prefix(headers));
            normal.is_attribute = EXEMPT_ATTRIBUTES.contains(&key);
            key = header.unwrap_or(key);
        }
        let bytes = key.as_bytes();
        let bytes = &bytes[bytes.len().saturating_sub(MAX_KEY_LEN)..];
        let mut before = GAP;
        let mut is_acronym = false;
        for (at, byte) in bytes.iter().enumerate() {
            let class = class(*byte);
            let length = normal.length;
            if class == GAP {
                if *byte == b'.' && !normal.is_attribute {
                    normal.last = length;
                }
                before = GAP;
                continue;
            }
            if is_acronym && class == LOWER && before == UPPER {
                // `HTTPToken` is two words, and `IDs` is one.
                let goes_on = bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
                if *byte != b's' || goes_on {
                    normal.starts |= 1 << (length - 1);
                }
            }
            if STARTS >> (before * 8 + class) & 1 != 0 {
                normal.starts |= 1 << length;
            }
            is_acronym = class == UPPER && before == UPPER;
            normal.bytes[length] = byte.to_ascii_lowercase();
            normal.length += 1;
            before = class;
        }
        normal
    }

    pub(crate) fn whole(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub(crate) fn last(&self) -> &[u8] {
        &self.bytes[self.last..self.length]
    }

    /// The words, and whether each is in the part after the last dot.
    pub(crate) fn words(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let mut starts = self.starts;
        std::iter::from_fn(move || {
            if starts == 0 {
                return None;
            }
            let start = starts.trailing_zeros() as usize;
            starts &= starts - 1;
            let end = (starts.trailing_zeros() as usize).min(self.length);
            Some((&self.bytes[start..end], start >= self.last))
        })
    }
}

/// What a character of a key is.
const GAP: u32 = 0;
const LOWER: u32 = 1;
const UPPER: u32 = 2;
const DIGIT: u32 = 3;
/// A letter beyond ASCII that looks like none of it.
const FOREIGN: u32 = 4;

/// After which of these a word begins with which, a bit each: `db_password`, `dbPassword`,
/// `oauth2Token`, `sha256sum`.
const STARTS: u64 = {
    let pairs = [
        (GAP, LOWER),
        (GAP, UPPER),
        (GAP, DIGIT),
        (LOWER, UPPER),
        (DIGIT, UPPER),
        (DIGIT, LOWER),
        (GAP, FOREIGN),
        (LOWER, FOREIGN),
        (UPPER, FOREIGN),
        (DIGIT, FOREIGN),
        (FOREIGN, LOWER),
        (FOREIGN, UPPER),
        (FOREIGN, DIGIT),
    ];
    let mut starts = 0;
    let mut at = 0;
    while at < pairs.len() {
        starts |= 1 << (pairs[at].0 * 8 + pairs[at].1);
        at += 1;
    }
    starts
};

#[inline]
fn class(byte: u8) -> u32 {
    match byte {
        b'a'..=b'z' | b'*' => LOWER,
        b'A'..=b'Z' => UPPER,
        b'0'..=b'9' => DIGIT,
        0x80.. => FOREIGN,
        _ => GAP,
    }
}

/// Whether a value under a key such as `address` is one of a network rather than of a house:
/// `10.0.0.7:80`, `db.internal:5432`, `[::1]:80`, `https://…`, `/run/x.sock`, `0x7ffe`.
pub(crate) fn is_network_address(value: &str) -> bool {
    work::step(value.len());
    let value = value.trim();
    let value = value
        .strip_prefix("Some(")
        .and_then(|value| value.strip_suffix(')'))
        .unwrap_or(value);
    let value = value.trim_matches('"');
    if value.is_empty() {
        return true;
    }
    if value.contains("://") || value.starts_with(['/', '@']) || value.starts_with("0x") {
        return !value.contains(char::is_whitespace);
    }
    let host = match value
        .strip_prefix('[')
        .and_then(|value| value.split_once(']'))
    {
        Some((inside, port))
            if port.is_empty() || port.strip_prefix(':').is_some_and(is_number) =>
        {
            return inside
                .split('%')
                .next()
                .is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok());
        }
        Some(_) => return false,
        None => value,
    };
    if host.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let (host, has_port) = match host.rsplit_once(':') {
        Some((host, port)) if is_number(port) => (host, true),
        _ => (host, false),
    };
    // A network (`10.0.0.0/8`), any address (`:80`), a name.
    let (host, _) = host
        .rsplit_once('/')
        .filter(|(_, bits)| is_number(bits))
        .unwrap_or((host, ""));
    if host.parse::<std::net::IpAddr>().is_ok() || host.is_empty() && has_port {
        return true;
    }
    let is_label = |label: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_*".contains(&byte);
        !label.is_empty() && label.bytes().all(is_part)
    };
    let is_name = !host.is_empty() && host.split('.').all(is_label);
    let top = host.rsplit('.').next().unwrap_or(host);
    let has_top =
        host.contains('.') && top.len() > 1 && top.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_name && (has_top || has_port || matches!(host, "localhost" | "unknown"))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
