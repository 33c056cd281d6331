//! The names of fields, as formats write them.

use std::{borrow::Cow, fmt};

/// The names under which a format shows fields for which its table has no key. A receiver that
/// fixes the type of a name when it first sees the name needs another name for each type.
#[derive(Clone, Copy)]
pub(crate) struct Spelling {
    pub(crate) text: Spell,
    pub(crate) number: Spell,
    /// For numbers that are shown as text: NaN, the infinities, and more than 64 bits.
    pub(crate) number_as_text: Spell,
}

/// Returns a name as a format writes it.
pub(crate) type Spell = &'static (dyn Fn(&str) -> Cow<'_, str> + Sync);

impl Spelling {
    /// The names as they are.
    pub(crate) const AS_IS: Self = Self {
        text: &as_is,
        number: &as_is,
        number_as_text: &as_is,
    };
}

impl fmt::Debug for Spelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spelling").finish_non_exhaustive()
    }
}

fn as_is(name: &str) -> Cow<'_, str> {
    Cow::Borrowed(name)
}

/// Returns `prefix` and the name, with `_` for each character that is not `kept`.
pub(crate) fn prefixed(prefix: &str, name: &str, kept: impl Fn(char) -> bool) -> String {
    let clean = name.chars().map(|c| if kept(c) { c } else { '_' });
    prefix.chars().chain(clean).collect()
}
