//! The panic that a thread logged last, for events that refer to it.

use std::{any::Any, cell::RefCell};

use crate::internal::panic_safe;

/// A panic of which there is an event.
#[derive(Debug)]
struct LoggedPanic {
    message: Box<str>,
    /// The address of the payload's text. The text does not move when the payload is boxed.
    address: usize,
    location: Box<str>,
}

thread_local! {
    static LAST: RefCell<Option<LoggedPanic>> = const { RefCell::new(None) };
}

/// Notes that this thread logs its panic at `location`. `message` is that of the payload. For a panic
/// hook.
pub fn note(message: &str, location: &str) {
    let panic = LoggedPanic {
        message: compared(message).into(),
        address: message.as_ptr().addr(),
        location: location.into(),
    };
    // A thread that ends has nobody who asks.
    let _ = LAST.try_with(|last| last.replace(Some(panic)));
}

/// Forgets the panic of this thread, for a panic hook that logs no event. Code that catches panics
/// calls it first too, so that a panic that others caught is not taken for its own.
pub fn forget() {
    let _ = LAST.try_with(RefCell::take);
}

/// Returns the location of the panic with this payload, if this thread logged it:
/// `src/price.rs:12:9`.
///
/// For code that catches the panic, and refers to its event instead of repeating its message.
#[must_use]
pub fn location(payload: &(dyn Any + Send)) -> Option<String> {
    let last = LAST.try_with(RefCell::take).ok()??;
    // One that came from another thread, by `resume_unwind`, calls no hook.
    let message = message(payload);
    let is_it = last.address == message.as_ptr().addr() && *last.message == *compared(message);
    is_it.then(|| last.location.into())
}

fn compared(message: &str) -> &str {
    const MAX_LEN: usize = 1024;
    panic_safe::truncate_at(message, MAX_LEN)
}

/// Returns what a panic says, by its payload.
#[must_use]
pub fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(a panic whose payload is no text)")
}
