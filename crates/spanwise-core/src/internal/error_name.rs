//! Short names of error types.

use std::{
    error::Error,
    fmt::{self, Write as _},
    io,
};

use crate::internal::panic_safe;

/// The name of [`io::Error`], whose `Debug` begins with the name of a private type.
pub(crate) const IO_ERROR: &str = "io::Error";

/// A `Debug` is stopped after about this many bytes of a type name.
const MAX_NAME_LEN: usize = 64;

/// Returns `Declined` for `shop::pay::Declined<shop::Card>`, and `reqwest::Error` for
/// `reqwest::error::Error`.
pub(crate) fn shorten(name: &str) -> String {
    let path = name.split('<').next().unwrap_or(name);
    let (krate, _) = path.split_once("::").unwrap_or((path, ""));
    match path.rsplit("::").next() {
        Some("Error") if krate != "Error" => format!("{krate}::Error"),
        last => last.unwrap_or(path).to_owned(),
    }
}

/// Returns the type name at the start of the `Debug` of `error`. Returns `None` if the `Debug` is
/// the message. Stops the `Debug` after the name, because its fields may be expensive to format.
pub(crate) fn from_debug(error: &(dyn Error + 'static)) -> Option<String> {
    if error.is::<io::Error>() {
        return Some(IO_ERROR.to_owned());
    }
    let mut prefix = DebugPrefix::default();
    let is_written = panic_safe::catch_panic(|| write!(prefix, "{error:?}"))?.is_ok();
    let DebugPrefix { debug, is_stopped } = prefix;
    let is_whole = is_written && !is_stopped;
    let is_name_char = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
    let (name, after_name) =
        debug.split_at(debug.find(|c| !is_name_char(c)).unwrap_or(debug.len()));
    // `Declined`, `Declined(` or `Declined { `.
    let is_name = name.starts_with(char::is_alphabetic)
        && match after_name {
            "" => is_whole,
            after_name => after_name.starts_with('(') || after_name.starts_with(" {"),
        };
    if !is_name {
        return None;
    }
    // The `Debug` of some errors is the message, for example of those from `anyhow::msg`.
    let text = panic_safe::format_text(format_args!("{error}"), debug.len() + 1);
    let is_message = if is_whole {
        text == debug
    } else {
        text.starts_with(&debug)
    };
    (!is_message).then(|| name.to_owned())
}

/// Collects a `Debug` up to the start of its fields.
#[derive(Default)]
struct DebugPrefix {
    debug: String,
    /// Whether the `Debug` was stopped. If it ignores the error, its further output is dropped.
    is_stopped: bool,
}

impl fmt::Write for DebugPrefix {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if !self.is_stopped {
            let debug = &mut self.debug;
            let shown = panic_safe::truncate_at(piece, MAX_NAME_LEN);
            debug.push_str(shown);
            self.is_stopped = shown.len() < piece.len()
                || debug.len() > MAX_NAME_LEN
                || debug.contains(['(', '{', ' ', '"', '\n']);
        }
        if self.is_stopped {
            return Err(fmt::Error);
        }
        Ok(())
    }
}
