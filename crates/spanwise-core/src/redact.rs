//! Redaction policies: the interface between sinks and redaction rules.

use std::{borrow::Cow, fmt, ptr};

use crate::internal::panic_safe;

/// The text that replaces a hidden value.
pub const REDACTED: &str = "[REDACTED]";

/// A policy that decides what a sink may show.
///
/// A sink asks for the verdict on a key once per callsite. It passes a text to the policy before it
/// escapes or cuts the text. The policy receives at most 64 KiB of a text, and the sink hides the
/// remaining text.
///
/// * The verdict on a key or a text must not change, because sinks may cache it.
/// * A policy must not log, because its own events would be passed to it.
/// * A policy should not panic. If it panics, the value is hidden. A panic while another panic is
///   being logged aborts the process.
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
    /// Returns what to do with the values of `key`. The message of an event has no key, so it is
    /// only scanned as text.
    fn key(&self, key: &str) -> KeyVerdict;

    /// Returns what to do with a boolean under `key`. Defaults to [`key`](Self::key).
    ///
    /// A policy may hide the texts of a key but show its booleans, because `password = true`
    /// reveals no password.
    fn key_of_bool(&self, key: &str) -> KeyVerdict {
        self.key(key)
    }

    /// Returns `text` with its secrets replaced. If it has none, returns `text` itself, borrowed.
    fn text<'t>(&self, text: &'t str) -> Cow<'t, str>;

    /// Returns `text`, the value of `key`, with its secrets replaced. Defaults to
    /// [`text`](Self::text). Override it for rules about the JSON inside a field.
    fn value<'t>(&self, key: &str, text: &'t str) -> Cow<'t, str> {
        let _ = key;
        self.text(text)
    }

    /// Appends the redacted form of `text` to `shown`, and returns true. Returns false and appends
    /// nothing if `text` has no secret. `key` is `None` for a message.
    ///
    /// Defaults to [`value`](Self::value), or to [`text`](Self::text) for a message. Override it to
    /// hide a secret without an allocation. The result must equal that of the default.
    fn redact_into(&self, key: Option<&str>, text: &str, shown: &mut String) -> bool {
        let redacted = match key {
            Some(key) => self.value(key, text),
            None => self.text(text),
        };
        // A policy may return a borrowed text that is not a part of `text`.
        let is_same = matches!(redacted, Cow::Borrowed(same) if ptr::eq(same, text));
        if is_same || redacted == text {
            return false;
        }
        shown.push_str(&redacted);
        true
    }

    /// Returns the replacement of `value`, such as its last digits or a pseudonym. Called if the
    /// verdict on `key` is [`KeyVerdict::Replace`]. Defaults to [`REDACTED`].
    ///
    /// `value` is the whole text of the value, at most 64 KiB. Longer values become [`REDACTED`].
    fn replace(&self, key: &str, value: &str) -> String {
        let (_, _) = (key, value);
        REDACTED.to_owned()
    }

    /// Returns the number of times that each rule has hidden a value, for [`Stats`](crate::Stats).
    /// Defaults to no counts.
    fn counts(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    /// Returns whether [`text`](Self::text) or [`value`](Self::value) may change a text. Defaults
    /// to true. If false, sinks do not scan texts, and need not collect a value before they write
    /// it.
    fn reads_text(&self) -> bool {
        true
    }
}

/// The decision of a policy about a key.
///
/// The set is closed, because a sink must handle each verdict. A new verdict is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyVerdict {
    /// Show the value after [`Redact::value`] has scanned its text.
    Pass,
    /// Show a text after [`Redact::value`] has scanned it. Show [`REDACTED`] instead of a number or
    /// a boolean, because a scan cannot prove that these are harmless.
    Text,
    /// Show the value without scanning it.
    Trust,
    /// Show [`REDACTED`] instead of the value.
    Redact,
    /// Omit the field.
    Remove,
    /// Show the replacement that [`Redact::replace`] returns.
    Replace,
}

impl KeyVerdict {
    /// Returns the verdict for a number or a boolean, which has no text to scan.
    fn without_text(self) -> Self {
        match self {
            Self::Pass => Self::Trust,
            Self::Text => Self::Redact,
            other => other,
        }
    }
}

/// The verdicts on a key for each type of value, from [`verdicts`](Redact#method.verdicts) of `dyn
/// Redact`.
///
/// Numbers and booleans have no text to scan. So for them [`KeyVerdict::Pass`] becomes
/// [`KeyVerdict::Trust`], and [`KeyVerdict::Text`] becomes [`KeyVerdict::Redact`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyVerdicts {
    /// For a text, an error, bytes and formatted values.
    pub text: KeyVerdict,
    /// For an integer or a float.
    pub number: KeyVerdict,
    /// For a boolean.
    pub boolean: KeyVerdict,
}

/// The redacted form of a value, from [`apply`](Redact#method.apply) of `dyn Redact`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redaction {
    /// Show the value unchanged.
    Keep,
    /// Show this text instead.
    Replace(Cow<'static, str>),
    /// Omit the field.
    Remove,
}

/// The methods that a sink calls. If the policy panics in one of them, the value is hidden.
impl dyn Redact {
    /// A policy scans at most this many bytes of a text.
    pub const MAX_SCAN_LEN: usize = 64 * 1024;

    /// Collect at most this many bytes of a value for a policy: the bytes that it scans, and one
    /// more character (four bytes), so that truncation can be detected.
    pub const MAX_COLLECT_LEN: usize = Self::MAX_SCAN_LEN + 4;

    /// Returns the verdicts on `key`.
    #[must_use]
    pub fn verdicts(&self, key: &str) -> KeyVerdicts {
        let verdict_of = |query: &dyn Fn() -> KeyVerdict| {
            panic_safe::catch_panic(query).unwrap_or(KeyVerdict::Redact)
        };
        let text = verdict_of(&|| self.key(key));
        KeyVerdicts {
            text,
            number: text.without_text(),
            boolean: verdict_of(&|| self.key_of_bool(key)).without_text(),
        }
    }

    /// Applies the verdict on `key` to a value. Calls `text` only if the verdict depends on it.
    pub fn apply<'t>(
        &self,
        verdict: KeyVerdict,
        key: &str,
        text: impl FnOnce() -> Cow<'t, str>,
    ) -> Redaction {
        match verdict {
            KeyVerdict::Pass | KeyVerdict::Text => match self.replacement_for(Some(key), &text()) {
                Some(replacement) => Redaction::Replace(replacement.into()),
                None => Redaction::Keep,
            },
            KeyVerdict::Trust => Redaction::Keep,
            KeyVerdict::Redact => Redaction::Replace(REDACTED.into()),
            KeyVerdict::Remove => Redaction::Remove,
            KeyVerdict::Replace => Redaction::Replace(self.replace_text(key, &text()).into()),
        }
    }

    /// Returns [`text`](Redact::text) of a text without a key, such as a message.
    pub fn redact_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.redact_with(text, |text| self.text(text))
    }

    /// Returns [`value`](Redact::value) of a text under `key`.
    pub fn redact_value<'t>(&self, key: &str, text: &'t str) -> Cow<'t, str> {
        self.redact_with(text, |text| self.value(key, text))
    }

    /// Returns the redacted `text`, or `None` if the policy does not change it. The key is `None`
    /// for a message.
    #[must_use]
    pub fn replacement_for(&self, key: Option<&str>, text: &str) -> Option<String> {
        let shown = match key {
            Some(key) => self.redact_value(key, text),
            None => self.redact_text(text),
        };
        match shown {
            // A policy may return a borrowed text that is not a part of `text`.
            Cow::Borrowed(shown) if ptr::eq(shown, text) => None,
            shown => (shown != text).then(|| shown.into_owned()),
        }
    }

    /// Like [`replacement_for`](#method.replacement_for), but appends the redacted text to `shown`
    /// and returns true. If the policy does not change the text, appends nothing and returns false.
    #[must_use]
    pub fn replacement_into(&self, key: Option<&str>, text: &str, shown: &mut String) -> bool {
        let start = shown.len();
        let is_whole = text.len() <= Self::MAX_SCAN_LEN;
        let scanned = if is_whole { text } else { scanned_part(text) };
        let is_changed = panic_safe::catch_panic(|| self.redact_into(key, scanned, shown));
        match is_changed {
            Some(true) if !is_whole => {}
            Some(true) if shown.get(start..) != Some(text) => {}
            // A policy may have appended something although it shows the text unchanged.
            Some(_) if is_whole => {
                shown.truncate(start);
                return false;
            }
            Some(_) => {
                shown.truncate(start);
                shown.push_str(scanned);
            }
            None => {
                shown.truncate(start);
                shown.push_str(REDACTED);
            }
        }
        if !is_whole {
            shown.push_str(REDACTED);
        }
        true
    }

    /// Returns [`replace`](Redact::replace) of `value`, or [`REDACTED`] if `value` is too long.
    #[must_use]
    pub fn replace_text(&self, key: &str, value: &str) -> String {
        let replaced = (value.len() <= Self::MAX_SCAN_LEN)
            .then(|| panic_safe::catch_panic(|| self.replace(key, value)));
        replaced.flatten().unwrap_or_else(|| REDACTED.to_owned())
    }

    /// Formats `value` and returns [`replace_text`](#method.replace_text) of it.
    #[must_use]
    pub fn replace_display(&self, key: &str, value: fmt::Arguments<'_>) -> String {
        let text = panic_safe::format_text(value, Self::MAX_COLLECT_LEN);
        self.replace_text(key, &text)
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

/// Returns the part of a long text that a policy scans.
///
/// A policy does not recognize a part of a secret. So the result does not contain the unbroken run
/// of characters at which the limit of 64 KiB cuts the text. A run begins after white space, or
/// after the comma behind a JSON string, list or object. Groups of digits or capitals before the
/// run are dropped, too, because card and account numbers contain spaces.
#[cold]
fn scanned_part(text: &str) -> &str {
    let text = panic_safe::truncate_at(text, <dyn Redact>::MAX_SCAN_LEN);
    let bytes = text.as_bytes();
    let is_json_comma = |at: usize| bytes[at] == b',' && at > 0 && b"\"]}".contains(&bytes[at - 1]);
    let is_separator = |at: &usize| bytes[*at].is_ascii_whitespace() || is_json_comma(*at);
    let mut end = (0..bytes.len())
        .rev()
        .find(is_separator)
        .map_or(0, |at| at + 1);
    for _ in 0..MAX_GROUPS {
        let kept = bytes[..end].trim_ascii_end();
        let is_group_byte = |byte: &&u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
        let group_len = kept.iter().rev().take_while(is_group_byte).count();
        let group_start = kept.len() - group_len;
        let is_whole_word = group_start == 0 || kept[group_start - 1].is_ascii_whitespace();
        if group_len == 0 || group_len > MAX_GROUP_LEN || !is_whole_word {
            break;
        }
        end = group_start;
    }
    &text[..end]
}

/// The maximum number of groups that are dropped. The longest account number, an IBAN, has nine
/// groups of up to four characters.
const MAX_GROUPS: usize = 9;
/// A word with more bytes is not a group of a card or account number.
const MAX_GROUP_LEN: usize = 8;

/// Formats `value`, of the field `key`, and returns the redacted text. If the policy reads no
/// texts, formats at most [`MAX_UNREAD_LEN`] bytes. A caller must cut only the returned text,
/// because a policy does not recognize a part of a secret.
pub(crate) fn redacted_display(
    policy: &dyn Redact,
    key: &str,
    value: fmt::Arguments<'_>,
) -> String {
    if !policy.reads_text() {
        return panic_safe::format_text(value, MAX_UNREAD_LEN);
    }
    let text = panic_safe::format_text(value, <dyn Redact>::MAX_COLLECT_LEN);
    policy.replacement_for(Some(key), &text).unwrap_or(text)
}

/// Collect at most this many bytes of a value that no policy reads, because the output of a `Debug`
/// may be endless. This is 16 MiB, the largest `max_field` of a sink, and one character more, so
/// that the sink detects truncation.
pub(crate) const MAX_UNREAD_LEN: usize = 16 * 1024 * 1024 + 4;
