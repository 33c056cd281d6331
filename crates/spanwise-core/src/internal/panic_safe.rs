//! Formatting values that we did not write.
//!
//! A `Debug` may panic, return `Err`, log, or never stop writing. None of it may cost more than that value's own text.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::internal::nested_json::MarkTracker;

/// Stands where the text of a value would, when formatting it panicked.
pub const PANICKED: &str = "<panicked while formatting>";

/// Stands where the text of a value would, when formatting it returned an error.
pub const FORMAT_ERROR: &str = "<format error>";

/// What `f` returns, or nothing if it panics; what it panicked with is dropped, and may panic too.
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
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        #[expect(
            clippy::mem_forget,
            reason = "dropping it is what panics; a payload leaks rather than a program ends"
        )]
        std::mem::forget(again);
    }
}

/// Appends the text of `value` to `out`, at most `limit` bytes of it, cut at a character. True if it was truncated.
///
/// What a panicking or failing value wrote before is taken back and replaced by [`PANICKED`] or [`FORMAT_ERROR`].
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

/// What was appended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Appended {
    pub(crate) truncated: bool,
    pub(crate) is_json: bool,
}

/// [`append`], and whether it is nested JSON.
pub(crate) fn format_value_into(
    out: &mut String,
    value: fmt::Arguments<'_>,
    limit: usize,
) -> Appended {
    let start = out.len();
    let mut limited = LimitedWriter {
        out,
        limit,
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

/// Returns the text of `value`. A longer one than `limit` bytes loses the word that the limit falls
/// into, and ends with an ellipsis. One without blanks is cut at the limit.
///
/// A policy does not know half a secret for one, and would show it.
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

/// The longest start of `text` that is at most `limit` bytes and ends at a character.
#[must_use]
pub fn truncate_at(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

struct LimitedWriter<'a> {
    out: &'a mut String,
    limit: usize,
    truncated: bool,
    tracker: MarkTracker,
}

impl fmt::Write for LimitedWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.tracker.observe(text);
        let kept = truncate_at(text, self.limit);
        self.out.push_str(kept);
        self.limit -= kept.len();
        if kept.len() == text.len() {
            return Ok(());
        }
        // An error stops a well-behaved `Debug`; one that ignores it writes into nothing.
        self.limit = 0;
        self.truncated = true;
        Err(fmt::Error)
    }
}
