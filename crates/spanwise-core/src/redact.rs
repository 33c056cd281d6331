//! What must not be logged: the question every sink asks. The rules that answer it are a policy's
//! own.

use std::{borrow::Cow, fmt, ptr};

use crate::internal::panic_safe;

/// Stands where a hidden value would.
pub const REDACTED: &str = "[REDACTED]";

/// A policy that decides what a sink may show.
///
/// What a policy says of a key or of a text must stay the same: sinks may remember it.
///
/// A policy must not log: it would be asked about what it logs.
///
/// It should not panic: of what it panics about nothing is shown, and while a panic is being logged
/// another one ends the program.
///
/// A sink asks about a key once per callsite, and about a text each time it has one, before it is
/// escaped or cut. It is shown no more than 64 KiB of a text; what comes after is hidden.
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
    /// What to do with the values of this key. It is not asked about the message of an event, which
    /// is only read as text.
    fn key(&self, key: &str) -> KeyVerdict;

    /// What to do with a value of this key that is a boolean: `password = true` says that there is
    /// one, and not which. Default: the same as with others, [`key`](Self::key).
    fn key_of_bool(&self, key: &str) -> KeyVerdict {
        self.key(key)
    }

    /// `text` with what is secret in it replaced; borrowed if nothing is.
    fn text<'t>(&self, text: &'t str) -> Cow<'t, str>;

    /// [`text`](Self::text) of a value that stands under `key`, for rules about what is in the JSON of a field. Default: `text`,
    /// whatever the key.
    fn value<'t>(&self, key: &str, text: &'t str) -> Cow<'t, str> {
        let _ = key;
        self.text(text)
    }

    /// What is shown of `value` under a key whose verdict is [`KeyVerdict::Replace`]: its last
    /// digits, a pseudonym.
    ///
    /// `value` is all of the value's text, at most 64 KiB of it; of a longer one nothing is shown.
    /// Default: [`REDACTED`].
    fn replace(&self, key: &str, value: &str) -> String {
        let (_, _) = (key, value);
        REDACTED.to_owned()
    }

    /// How often each rule hid something, for [`Stats`](crate::Stats). Default: nothing is known.
    fn counts(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    /// False if [`text`](Self::text) never changes anything: sinks then need not collect a value
    /// before they write it.
    fn reads_text(&self) -> bool {
        true
    }
}

impl dyn Redact {
    /// A policy is shown no more bytes of a text than this.
    pub const MAX_SCAN_LEN: usize = 64 * 1024;

    /// Who collects a text for [`redact_text`](#method.redact_text) collects so many bytes of it: one character
    /// more than the policy is shown, so that it is seen that there was more.
    pub const MAX_COLLECT_LEN: usize = Self::MAX_SCAN_LEN + 4;

    /// [`text`](Redact::text), or [`REDACTED`] if the policy panics: a sink calls this one.
    pub fn redact_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.redact_with(text, |text| self.text(text))
    }

    /// [`value`](Redact::value), or [`REDACTED`] if the policy panics: a sink calls this one.
    pub fn redact_value<'t>(&self, key: &str, text: &'t str) -> Cow<'t, str> {
        self.redact_with(text, |text| self.value(key, text))
    }

    /// What is shown instead of `text`, which may stand under a key, if that is something else.
    #[must_use]
    pub fn replacement_for(&self, key: Option<&str>, text: &str) -> Option<String> {
        let shown = match key {
            Some(key) => self.redact_value(key, text),
            None => self.redact_text(text),
        };
        match shown {
            // Borrowed is not enough: it may be borrowed from elsewhere.
            Cow::Borrowed(shown) if ptr::eq(shown, text) => None,
            shown => (shown != text).then(|| shown.into_owned()),
        }
    }

    #[inline]
    fn redact_with<'t>(
        &self,
        text: &'t str,
        redact: impl FnOnce(&'t str) -> Cow<'t, str>,
    ) -> Cow<'t, str> {
        let scanned = if text.len() > Self::MAX_SCAN_LEN {
            scanned_part(text)
        } else {
            text
        };
        let shown = panic_safe::catch_panic(|| redact(scanned)).unwrap_or(Cow::Borrowed(REDACTED));
        if scanned.len() == text.len() {
            return shown;
        }
        Cow::Owned(shown.into_owned() + REDACTED)
    }

    /// Returns what a sink does with the values of this key, by their type. A policy that panics
    /// shows nothing: [`KeyVerdict::Redact`].
    #[must_use]
    pub fn verdicts(&self, key: &str) -> KeyVerdicts {
        let guarded = |ask: &dyn Fn() -> KeyVerdict| {
            panic_safe::catch_panic(ask).unwrap_or(KeyVerdict::Redact)
        };
        let text = guarded(&|| self.key(key));
        KeyVerdicts {
            text,
            number: text.without_text(),
            boolean: guarded(&|| self.key_of_bool(key)).without_text(),
        }
    }

    /// [`replace`](Redact::replace), or [`REDACTED`] if the policy panics: a sink calls this one.
    #[must_use]
    pub fn replace_text(&self, key: &str, value: &str) -> String {
        panic_safe::catch_panic(|| self.replace(key, value)).unwrap_or_else(|| REDACTED.to_owned())
    }

    /// What is shown of `value`, formatted here, under a key whose verdict is
    /// [`KeyVerdict::Replace`]: a sink calls this one.
    ///
    /// A value that is longer than a policy reads is [`REDACTED`].
    #[must_use]
    pub fn replace_display(&self, key: &str, value: fmt::Arguments<'_>) -> String {
        let mut text = String::new();
        if panic_safe::format_into(&mut text, value, Self::MAX_SCAN_LEN) {
            return REDACTED.to_owned();
        }
        self.replace_text(key, &text)
    }
}

/// What a sink does with the values of a key, by their type: see [`verdicts`](#method.verdicts) of
/// `dyn Redact`.
///
/// A number and a boolean have no text that a policy could read. So theirs are never
/// [`KeyVerdict::Pass`], which is [`KeyVerdict::Trust`], nor [`KeyVerdict::Text`], which is
/// [`KeyVerdict::Redact`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyVerdicts {
    /// For a text, an error, bytes and whatever is formatted.
    pub text: KeyVerdict,
    /// For an integer or a float.
    pub number: KeyVerdict,
    /// For a boolean.
    pub boolean: KeyVerdict,
}

/// What a policy says about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyVerdict {
    /// Show the value, as far as [`Redact::text`] lets it pass.
    Pass,
    /// Show the value if it is a text, as far as [`Redact::value`] lets it pass, and [`REDACTED`]
    /// instead of a number or a boolean: the value decides, and these cannot say what they are.
    Text,
    /// Show the value as it is: its text is not read.
    Trust,
    /// Show [`REDACTED`] instead of the value.
    Redact,
    /// Leave the field out.
    Remove,
    /// Show what [`Redact::replace`] makes of the value.
    Replace,
}

impl KeyVerdict {
    /// Returns the verdict for a value without a text.
    fn without_text(self) -> Self {
        match self {
            Self::Pass => Self::Trust,
            Self::Text => Self::Redact,
            other => other,
        }
    }
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

pub(crate) const MAX_SCAN_LEN: usize = <dyn Redact>::MAX_SCAN_LEN;

/// The part of a text that a policy reads: without the last unbroken run before the cut.
///
/// A secret that is cut in two is not recognized, so all of a run goes that the cut is in. A run
/// ends at white space, or after a string, list or object of JSON. Groups of digits or capitals
/// before it go too: they may be those of a card or an account, which has spaces in it.
#[cold]
fn scanned_part(text: &str) -> &str {
    let text = panic_safe::truncate_at(text, MAX_SCAN_LEN);
    let bytes = text.as_bytes();
    let ends_value = |at: usize| bytes[at] == b',' && at > 0 && b"\"]}".contains(&bytes[at - 1]);
    let is_end = |at: &usize| bytes[*at].is_ascii_whitespace() || ends_value(*at);
    let mut end = (0..bytes.len()).rev().find(is_end).map_or(0, |at| at + 1);
    for _ in 0..MAX_GROUPS {
        let group = bytes[..end].trim_ascii_end();
        let is_part = |byte: &&u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
        let length = group.iter().rev().take_while(is_part).count();
        let begins = group.len() == length || group[group.len() - length - 1].is_ascii_whitespace();
        if length == 0 || length > MAX_GROUP_LEN || !begins {
            break;
        }
        end = group.len() - length;
    }
    &text[..end]
}

/// The longest account has nine groups of four.
const MAX_GROUPS: usize = 9;
const MAX_GROUP_LEN: usize = 8;

/// The text of `value` as `policy` lets it be shown, before it is cut.
pub(crate) fn redacted_display(
    policy: &dyn Redact,
    key: &str,
    value: fmt::Arguments<'_>,
) -> String {
    let mut text = String::new();
    panic_safe::format_into(&mut text, value, <dyn Redact>::MAX_COLLECT_LEN);
    policy.replacement_for(Some(key), &text).unwrap_or(text)
}
