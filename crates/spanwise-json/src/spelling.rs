//! The names of fields as formats write them, such as `_order_id` in GELF.

use std::{borrow::Cow, fmt};

/// How a format writes the names of fields that have no key in its table. If the receiver fixes the
/// type of a name when it first sees the name, each type of values has another name.
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
    /// All names are written as they were logged.
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

/// Returns `prefix` and the name, with `_` in place of each character that is not allowed.
pub(crate) fn prefixed(prefix: &str, name: &str, is_allowed: impl Fn(char) -> bool) -> String {
    let clean = name.chars().map(|c| if is_allowed(c) { c } else { '_' });
    prefix.chars().chain(clean).collect()
}
