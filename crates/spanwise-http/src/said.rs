//! What errors and panics say, which may be anything.

use std::{any::Any, fmt::Display};

use spanwise_core::guarded;

/// What is told of an error or a panic is cut at this many bytes.
const LONGEST: usize = 4096;

/// What an error says, whatever its `Display` does.
pub(crate) fn text(error: &dyn Display) -> String {
    let mut text = String::new();
    guarded::append(&mut text, format_args!("{error}"), LONGEST);
    text
}

/// What a panic says.
pub(crate) fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    guarded::cut_at(
        text.unwrap_or("(a panic whose payload is no text)"),
        LONGEST,
    )
}
