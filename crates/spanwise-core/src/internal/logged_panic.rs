//! The last panic that a thread logged, for events that refer to it.

use std::{any::Any, cell::RefCell};

use crate::internal::panic_safe;

/// A panic that was logged as an event.
#[derive(Debug)]
struct LoggedPanic {
    /// The start of the message.
    message: Box<str>,
    /// The address of the message in the payload. It is the same in the hook and for code that
    /// catches the panic, because the text does not move when the payload is boxed.
    message_address: usize,
    location: Box<str>,
}

thread_local! {
    static LAST_PANIC: RefCell<Option<LoggedPanic>> = const { RefCell::new(None) };
}

/// Records that this thread logs its panic at `location`. For a panic hook. `message` must be the
/// text in the payload, not a copy.
pub fn note(message: &str, location: &str) {
    let panic = LoggedPanic {
        message: compared_part(message).into(),
        message_address: message.as_ptr().addr(),
        location: location.into(),
    };
    // An ending thread cannot store the panic if its thread-locals are already destroyed.
    let _ = LAST_PANIC.try_with(|last| last.replace(Some(panic)));
}

/// Clears the stored panic of this thread. For a panic hook that logs no event, and for code that
/// is about to catch panics. Otherwise that code could find an earlier panic.
pub fn forget() {
    let _ = LAST_PANIC.try_with(RefCell::take);
}

/// Returns the location of the panic with this payload, if this thread logged it:
/// `src/price.rs:12:9`. Clears the stored panic.
///
/// For code that catches the panic, so that it can refer to the logged event instead of repeating
/// the message.
#[must_use]
pub fn location(payload: &(dyn Any + Send)) -> Option<String> {
    let last = LAST_PANIC.try_with(RefCell::take).ok()??;
    // `last` may be another panic: `resume_unwind` transfers a panic from another thread without
    // calling a hook.
    let message = message(payload);
    let is_same_panic =
        last.message_address == message.as_ptr().addr() && *last.message == *compared_part(message);
    is_same_panic.then(|| last.location.into())
}

/// Returns the start of a message that is stored and compared, at most 1,024 bytes.
fn compared_part(message: &str) -> &str {
    const MAX_LEN: usize = 1024;
    panic_safe::truncate_at(message, MAX_LEN)
}

/// Returns the message of a panic with this payload.
#[must_use]
pub fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(a panic whose payload is not a text)")
}
