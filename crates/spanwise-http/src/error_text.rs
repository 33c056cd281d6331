//! Texts of errors and panics, bounded and safe to format.

use std::{
    any::Any,
    borrow::Cow,
    fmt::Display,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use spanwise_core::internal::{logged_panic, panic_safe};

/// The text of an error or a panic is truncated to this many bytes.
const MAX_LEN: usize = 4096;

/// Formats an error. Survives a panic of its `Display`.
pub(crate) fn error_text(error: &dyn Display) -> String {
    panic_safe::format_words(format_args!("{error}"), MAX_LEN)
}

/// Runs `work`, and catches a panic for [`panic_text`].
#[inline]
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> thread::Result<T> {
    // The thread may have logged an earlier panic that other code caught. `panic_text` must not
    // return the location of that panic.
    logged_panic::forget();
    catch_unwind(AssertUnwindSafe(work))
}

/// Returns the message of a panic. If the panic was logged as an event, returns the location in
/// that event instead.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> Cow<'_, str> {
    match logged_panic::location(panic) {
        // The event of the panic has the message, so the location is enough.
        Some(location) => format!("panicked at {location}").into(),
        None => panic_safe::format_words(format_args!("{}", logged_panic::message(panic)), MAX_LEN)
            .into(),
    }
}
