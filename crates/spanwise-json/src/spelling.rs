//! The names of fields, as formats write them.

use std::borrow::Cow;

/// The names under which a format shows fields that have no place of their own. A receiver that
/// fixes the type of a name when it first sees it needs several.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spelling {
    pub(crate) text: fn(&str) -> Cow<'_, str>,
    pub(crate) number: fn(&str) -> Cow<'_, str>,
    /// For numbers that are shown as text: NaN, the infinities, and more than 64 bits.
    pub(crate) number_as_text: fn(&str) -> Cow<'_, str>,
}

impl Spelling {
    /// The names as they are.
    pub(crate) const AS_IS: Self = Self {
        text: as_is,
        number: as_is,
        number_as_text: as_is,
    };
}

fn as_is(name: &str) -> Cow<'_, str> {
    Cow::Borrowed(name)
}

/// Returns `prefix` and the name, with `_` for each character that is not `kept`.
pub(crate) fn prefixed(prefix: &str, name: &str, kept: impl Fn(char) -> bool) -> String {
    let clean = name.chars().map(|c| if kept(c) { c } else { '_' });
    prefix.chars().chain(clean).collect()
}
