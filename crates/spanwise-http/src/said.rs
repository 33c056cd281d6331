//! What errors and panics say, which may be anything.

use std::{any::Any, borrow::Cow, fmt::Display};

use spanwise_core::{guarded, logged_panic};

/// What is told of an error or a panic is cut at this many bytes.
const LONGEST: usize = 4096;

/// What an error says, whatever its `Display` does.
pub(crate) fn text(error: &dyn Display) -> String {
    let mut text = String::new();
    guarded::append(&mut text, format_args!("{error}"), LONGEST);
    text
}

/// What a panic says, or where the event is that says it.
pub(crate) fn message(panic: &(dyn Any + Send)) -> Cow<'_, str> {
    match logged_panic::location(panic) {
        // It has an event of its own, with its message.
        Some(location) => format!("panicked at {location}").into(),
        None => guarded::cut_at(logged_panic::message(panic), LONGEST).into(),
    }
}
