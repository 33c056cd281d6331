//! What must not be logged: the question every sink asks. The rules that answer it are a policy's own.

use std::{borrow::Cow, fmt};

use crate::guarded;

/// Stands where a hidden value would.
pub const REDACTED: &str = "[REDACTED]";

/// A policy that decides what a sink may show.
///
/// A sink asks about a key once per callsite, and about a text each time it has one, before it is escaped or cut. A policy that
/// panics hides the whole value: sinks fail closed.
///
/// ```
/// use std::borrow::Cow;
/// use spanwise_core::{KeyVerdict, Redact};
///
/// #[derive(Debug)]
/// struct NoPasswords;
///
/// impl Redact for NoPasswords {
///     fn key(&self, key: &str) -> KeyVerdict {
///         if key.contains("password") { KeyVerdict::Redact } else { KeyVerdict::Pass }
///     }
///     fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
///         Cow::Borrowed(text)
///     }
/// }
/// assert_eq!(NoPasswords.key("user.password"), KeyVerdict::Redact);
/// ```
pub trait Redact: fmt::Debug + Send + Sync + 'static {
    /// What to do with the values of this key. It is not asked about the message of an event, which is only read as text.
    fn key(&self, key: &str) -> KeyVerdict;

    /// `text` with what is secret in it replaced; borrowed if nothing is.
    fn text<'t>(&self, text: &'t str) -> Cow<'t, str>;

    /// What is shown of `value` under a key whose verdict is [`KeyVerdict::Replace`]: its last digits, a pseudonym.
    ///
    /// `value` is all of the value's text, at most 64 KiB of it; of a longer one nothing is shown. Default: [`REDACTED`].
    fn replace(&self, key: &str, value: &str) -> String {
        let (_, _) = (key, value);
        REDACTED.to_owned()
    }

    /// False if [`text`](Self::text) never changes anything: sinks then need not collect a value before they write it.
    fn reads_text(&self) -> bool {
        true
    }
}

impl dyn Redact {
    /// [`text`](Redact::text), or [`REDACTED`] if the policy panics: a sink calls this one.
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        guarded::catch(|| self.text(text)).unwrap_or(Cow::Borrowed(REDACTED))
    }

    /// [`key`](Redact::key), or [`KeyVerdict::Redact`] if the policy panics: a sink calls this one.
    #[must_use]
    pub fn verdict(&self, key: &str) -> KeyVerdict {
        guarded::catch(|| self.key(key)).unwrap_or(KeyVerdict::Redact)
    }

    /// [`replace`](Redact::replace), or [`REDACTED`] if the policy panics: a sink calls this one.
    #[must_use]
    pub fn replaced(&self, key: &str, value: &str) -> String {
        guarded::catch(|| self.replace(key, value)).unwrap_or_else(|| REDACTED.to_owned())
    }

    /// What is shown of `value`, formatted here, under a key whose verdict is [`KeyVerdict::Replace`]: a sink calls this one.
    ///
    /// A value that is longer than a policy reads is [`REDACTED`].
    #[must_use]
    pub fn replaced_display(&self, key: &str, value: fmt::Arguments<'_>) -> String {
        let mut text = String::new();
        if guarded::append(&mut text, value, BUDGET) {
            return REDACTED.to_owned();
        }
        self.replaced(key, &text)
    }
}

/// What a policy says about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyVerdict {
    /// Show the value, as far as [`Redact::text`] lets it pass.
    Pass,
    /// Show the value as it is: its text is not read.
    Trust,
    /// Show [`REDACTED`] instead of the value.
    Redact,
    /// Leave the field out.
    Remove,
    /// Show what [`Redact::replace`] makes of the value.
    Replace,
}

/// The policy that hides nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRedaction;

impl Redact for NoRedaction {
    fn key(&self, _: &str) -> KeyVerdict {
        KeyVerdict::Pass
    }

    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        Cow::Borrowed(text)
    }

    fn reads_text(&self) -> bool {
        false
    }
}

/// A policy reads no more of a value than this; of a longer one nothing is shown.
pub(crate) const BUDGET: usize = 64 * 1024;

/// The text of `value` as `policy` lets it be shown, before it is cut.
pub(crate) fn text_of(policy: &dyn Redact, value: fmt::Arguments<'_>) -> String {
    let mut text = String::new();
    if guarded::append(&mut text, value, BUDGET) {
        return REDACTED.to_owned();
    }
    policy.hide(&text).into_owned()
}
