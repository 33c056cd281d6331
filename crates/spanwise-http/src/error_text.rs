//! Texts of errors and panics, bounded and safe to format.

use std::{
    any::Any,
    borrow::Cow,
    fmt::Display,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use spanwise_core::internal::{logged_panic, panic_safe};

/// The length at which the text of an error or a panic is truncated, in bytes.
const MAX_LEN: usize = 4096;

/// Formats an error. Truncates a long text, and catches a panic of the `Display`.
pub(crate) fn error_text(error: &dyn Display) -> String {
    panic_safe::format_words(format_args!("{error}"), MAX_LEN)
}

/// Runs `work`. If it panics, returns the payload of the panic, for [`panic_text`].
#[inline]
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> thread::Result<T> {
    // The thread may have logged an earlier panic that other code caught. `panic_text` must not
    // return the location of that panic.
    logged_panic::forget();
    catch_unwind(AssertUnwindSafe(work))
}

/// Returns the message of a panic. If a panic hook has logged the panic as an event, returns the
/// location of the panic instead.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> Cow<'_, str> {
    match logged_panic::location(payload) {
        // The event has the message and the location, so the location identifies the event.
        Some(location) => format!("panicked at {location}").into(),
        None => {
            panic_safe::format_words(format_args!("{}", logged_panic::message(payload)), MAX_LEN)
                .into()
        }
    }
}
