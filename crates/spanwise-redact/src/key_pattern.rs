//! Patterns of user rules: a name, `*end`, `*part*`, or a path with dots.

use std::{fmt, str::FromStr};

use spanwise_core::ParseError;

use crate::{Detector, builtin_rules::RULES, normalized_key::NormalizedKey};

/// A pattern that matches keys. Its names are normalized, like a [`NormalizedKey`].
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
    /// `**`: any number of parts, including none.
    AnyDepth,
}

/// Returns the parts of a path, or of a key with dots.
pub(crate) fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split(['.', '[', ']']).filter(|part| !part.is_empty())
}

/// Returns whether the path of a rule matches a key that has these parts.
pub(crate) fn path_matches<'t>(path: &[Segment], parts: impl Iterator<Item = &'t str>) -> bool {
    let mut reached = vec![false; path.len() + 1];
    add_empty_prefix(path, &mut reached);
    for part in parts {
        let mut next = vec![false; path.len() + 1];
        advance(path, &reached, &mut next, Some(&NormalizedKey::new(part)));
        reached = next;
    }
    reached.last() == Some(&true)
}

/// Adds the empty prefix of `path` to a set of matched prefixes, and the prefixes that consist only
/// of `**`, because `**` may match no part.
///
/// `set[n]` is true if the first `n` segments match. A set avoids backtracking, so that `**.**.**`
/// costs one step for each segment and part.
pub(crate) fn add_empty_prefix(path: &[Segment], set: &mut [bool]) {
    set[0] = true;
    skip_any_depth(path, set);
}

/// Adds to `next` the prefixes of `path` that match after one more part. `reached` has the prefixes
/// that match before this part. With a `name`, the part is a member of an object. Without one, it
/// is an element of an array.
pub(crate) fn advance(
    path: &[Segment],
    reached: &[bool],
    next: &mut [bool],
    name: Option<&NormalizedKey>,
) {
    for (at, segment) in path.iter().enumerate().filter(|(at, _)| reached[*at]) {
        match segment {
            Segment::AnyDepth => next[at] = true,
            Segment::Any => next[at + 1] = true,
            Segment::Name(wanted) => {
                next[at + 1] |= name.is_some_and(|name| name.full() == wanted.as_bytes());
            }
        }
    }
    skip_any_depth(path, next);
}

/// Extends each prefix in a set with the `**` segments that follow it, because `**` may match no
/// part.
fn skip_any_depth(path: &[Segment], set: &mut [bool]) {
    for (at, _) in path
        .iter()
        .enumerate()
        .filter(|(_, segment)| **segment == Segment::AnyDepth)
    {
        set[at + 1] |= set[at];
    }
}

impl Pattern {
    /// Returns whether the pattern matches `key`. `written` is the key as the application wrote it.
    pub(crate) fn matches(&self, key: &NormalizedKey, written: &str) -> bool {
        match self {
            Self::Exact(name) => {
                key.last_part() == name.as_bytes() || key.full() == name.as_bytes()
            }
            Self::EndsWith(name) => key.full().ends_with(name.as_bytes()),
            Self::Contains(name) => memchr::memmem::find(key.full(), name.as_bytes()).is_some(),
            Self::Path(path) => path_matches(path, parts(written)),
        }
    }

    /// Returns the index of the built-in rule that the pattern names.
    pub(crate) fn built_in(&self) -> Option<usize> {
        let Self::Exact(name) = self else { return None };
        RULES.find(name)
    }

    /// Returns the detector that the pattern names.
    pub(crate) fn detector(&self) -> Option<Detector> {
        let Self::Exact(name) = self else { return None };
        let mut all = Detector::ALL.into_iter();
        all.find(|detector| NormalizedKey::new(detector.name()).full() == name.as_bytes())
    }

    /// Returns whether the pattern matches `key` as the application wrote it.
    pub(crate) fn matches_written(&self, key: &str) -> bool {
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
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let trimmed = text.trim();
        let wrong = |why: &str| {
            Err(ParseError::new(format!(
                "`{text}` is not a valid key: {why}; write a name, `*end`, `*part*`, or a path \
                 such as `user.*.token`"
            )))
        };
        let name = |part: &str| {
            let normal = NormalizedKey::new(part);
            String::from_utf8_lossy(normal.full()).into_owned()
        };
        let invalid_chars = ['=', ',', ':', ';', '"', '\''];
        if trimmed.contains(invalid_chars) {
            return wrong("it has a character that names cannot have");
        }
        if trimmed.starts_with('/') {
            return wrong("the parts of a path are separated by dots");
        }
        if trimmed.contains(['.', '[', ']']) {
            let path = match split_path(trimmed) {
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
            let is_name =
                |segment: &Segment| matches!(segment, Segment::Name(name) if !name.is_empty());
            let is_invalid = |segment: &Segment| matches!(segment, Segment::Name(name) if name.is_empty() || name.contains('*') );
            if !path.iter().any(is_name) || path.iter().any(is_invalid) {
                return wrong("a part of a path is a whole name, `*` or `**`");
            }
            return Ok(Self::Path(path));
        }
        if matches!(trimmed, "*" | "**") {
            return wrong(
                "it would hide everything; use `Policy::allow_only` to show only some keys",
            );
        }
        let (star_first, star_last) = (trimmed.starts_with('*'), trimmed.ends_with('*'));
        let part = &trimmed[usize::from(star_first)..trimmed.len() - usize::from(star_last)];
        if part.contains('*') {
            return wrong("it has a character that names cannot have");
        }
        let part = name(part);
        match (star_first, star_last) {
            _ if part.is_empty() => wrong("it is empty"),
            (false, false) => Ok(Self::Exact(part)),
            (true, false) => Ok(Self::EndsWith(part)),
            (true, true) if part.len() < 3 => wrong("a part of a name has at least three letters"),
            (true, true) => Ok(Self::Contains(part)),
            (false, true) => wrong("a rule cannot match the beginning of a name"),
        }
    }
}

/// Splits a path such as `items[*].card` into its parts, without the brackets. An error is the
/// reason why the path is not valid.
fn split_path(path: &str) -> Result<Vec<&str>, &'static str> {
    let mut parts = Vec::new();
    for part in path.split('.') {
        let (name, mut brackets) = part.split_at(part.find(['[', ']']).unwrap_or(part.len()));
        match name {
            "$" if parts.is_empty() => {
                return Err("a path begins with its first key, not with `$`");
            }
            "" if brackets.is_empty() => return Err("a part of it is empty"),
            "" => {}
            name => parts.push(name),
        }
        while !brackets.is_empty() {
            let inside = brackets
                .strip_prefix('[')
                .and_then(|rest| rest.split_once(']'));
            let Some((inside, rest)) = inside else {
                return Err("its brackets do not match");
            };
            if inside.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err("an array element is written `[*]`, without an index");
            }
            parts.push(inside);
            brackets = rest;
        }
    }
    Ok(parts)
}
