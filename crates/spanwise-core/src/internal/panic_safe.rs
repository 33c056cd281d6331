//! Formats values of callers, and survives panics and endless output.
//!
//! A `Debug` or `Display` of a caller may panic, return `Err`, log, or never stop writing. Even
//! then, only the text of that value may be lost, not the event.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::internal::nested_json::MarkTracker;

/// The text of a value that panicked while it was formatted.
pub const PANICKED: &str = "<panicked while formatting>";

/// The text of a value that returned an error while it was formatted.
pub const FORMAT_ERROR: &str = "<format error>";

/// Returns the result of `f`, or `None` if it panics. Also survives a panic in the destructor of
/// the payload.
pub fn catch_panic<R>(f: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => Some(result),
        Err(payload) => {
            drop_payload(payload);
            None
        }
    }
}

#[cold]
fn drop_payload(payload: Box<dyn Any + Send>) {
    if let Err(second_payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        #[expect(
            clippy::mem_forget,
            reason = "dropping the payload panics; a leak is better than an abort"
        )]
        std::mem::forget(second_payload);
    }
}

/// Appends at most `limit` bytes of the text of `value` to `out`, cut at a character boundary.
/// Returns whether the text was truncated.
///
/// If the value panics or fails, its text is [`PANICKED`] or [`FORMAT_ERROR`], whatever the limit.
///
/// ```
/// use spanwise_core::internal::panic_safe;
///
/// struct Broken;
/// impl std::fmt::Debug for Broken {
///     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
///         f.write_str("half a")?;
///         panic!("no more")
///     }
/// }
///
/// let mut out = String::from("value=");
/// panic_safe::format_into(&mut out, format_args!("{Broken:?}"), 1024);
/// assert_eq!(out, "value=<panicked while formatting>");
/// ```
pub fn format_into(out: &mut String, value: fmt::Arguments<'_>, limit: usize) -> bool {
    format_value_into(out, value, limit).truncated
}

/// Returns the text of `value`, as [`format_into`] appends it.
#[must_use]
pub fn format_text(value: fmt::Arguments<'_>, limit: usize) -> String {
    let mut text = String::new();
    format_into(&mut text, value, limit);
    text
}

/// The result of [`format_value_into`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Appended {
    pub(crate) truncated: bool,
    /// Whether the whole text is [nested JSON](crate::internal::nested_json).
    pub(crate) is_json: bool,
}

/// Like [`format_into`], and also returns whether the value is nested JSON.
pub(crate) fn format_value_into(
    out: &mut String,
    value: fmt::Arguments<'_>,
    limit: usize,
) -> Appended {
    let start = out.len();
    let mut limited = LimitedWriter {
        out,
        bytes_left: limit,
        truncated: false,
        tracker: MarkTracker::default(),
    };
    let outcome = catch_panic(|| fmt::write(&mut limited, value));
    let (truncated, is_json) = (limited.truncated, limited.tracker.is_json());
    let replacement = match outcome {
        Some(Ok(())) => return Appended { truncated, is_json },
        Some(Err(fmt::Error)) if truncated => return Appended { truncated, is_json },
        Some(Err(fmt::Error)) => FORMAT_ERROR,
        None => PANICKED,
    };
    out.truncate(start);
    out.push_str(replacement);
    Appended::default()
}

/// Returns the text of `value`. A text longer than `limit` bytes is cut before the word at the
/// limit and ends with an ellipsis. If there is no blank before the limit, it is cut at the limit.
///
/// Keeps whole words, because a redaction policy does not recognize half a secret.
///
/// ```
/// use spanwise_core::internal::panic_safe;
///
/// assert_eq!(panic_safe::format_words(format_args!("key is hunter2"), 10), "key is …");
/// ```
#[must_use]
pub fn format_words(value: fmt::Arguments<'_>, limit: usize) -> String {
    let mut text = String::new();
    let truncated = format_into(&mut text, value, limit);
    if truncated && let Some(end) = text.rfind(char::is_whitespace) {
        text.truncate(end);
        text.push_str(" …");
    }
    text
}

/// Returns the longest prefix of `text` with at most `limit` bytes, cut at a character boundary.
#[must_use]
pub fn truncate_at(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Appends to `out` until the limit, and then returns errors.
struct LimitedWriter<'a> {
    out: &'a mut String,
    bytes_left: usize,
    truncated: bool,
    tracker: MarkTracker,
}

impl fmt::Write for LimitedWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.tracker.observe(text);
        let kept = truncate_at(text, self.bytes_left);
        self.out.push_str(kept);
        self.bytes_left -= kept.len();
        if kept.len() == text.len() {
            return Ok(());
        }
        // The error stops a well-behaved `Debug`. If the value ignores the error, its further
        // output is dropped.
        self.bytes_left = 0;
        self.truncated = true;
        Err(fmt::Error)
    }
}
