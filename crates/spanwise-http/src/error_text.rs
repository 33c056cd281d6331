//! What errors and panics say, which may be anything.

use std::{
    any::Any,
    borrow::Cow,
    fmt::Display,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use spanwise_core::internal::{logged_panic, panic_safe};

/// What is told of an error or a panic is cut at this many bytes.
const MAX_LEN: usize = 4096;

/// What an error says, whatever its `Display` does.
pub(crate) fn text(error: &dyn Display) -> String {
    panic_safe::format_words(format_args!("{error}"), MAX_LEN)
}

/// Runs `work`, and catches its panic for [`message`].
#[inline]
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> thread::Result<T> {
    // The thread may have logged a panic that others caught.
    logged_panic::forget();
    catch_unwind(AssertUnwindSafe(work))
}

/// What a panic says, or where the event is that says it.
pub(crate) fn message(panic: &(dyn Any + Send)) -> Cow<'_, str> {
    match logged_panic::location(panic) {
        // It has an event of its own, with its message.
        Some(location) => format!("panicked at {location}").into(),
        None => panic_safe::format_words(format_args!("{}", logged_panic::message(panic)), MAX_LEN)
            .into(),
    }
}
