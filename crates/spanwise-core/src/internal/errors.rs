//! Type name, backtrace and causes of an error, as sinks show them.
//!
//! Formatting a backtrace costs milliseconds, and the first one of a process more than 100. So no
//! function here formats the `Debug` of an error further than it needs.

mod error_copy;

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    cell::RefCell,
    error::Error,
    fmt::{self, Write as _},
    io, ptr,
    sync::{Arc, OnceLock},
};

use crate::{
    error_view::{ViewQuery, query_view},
    internal::{PerSecond, backtrace as frames, error_chain, panic_safe},
    redacted::RedactedError,
};

pub use error_copy::ErrorCopy;

/// The longest backtrace, in bytes.
const MAX_BACKTRACE_LEN: usize = 64 * 1024;

/// The number of error backtraces that are formatted per second.
const MAX_BACKTRACES_PER_SECOND: u32 = 10;

/// The longest type name that is read from a `Debug`, in bytes.
const MAX_NAME_LEN: usize = 64;

/// Sinks of lines show at most this many causes of an error.
pub const MAX_SHOWN_CAUSES: usize = 16;

/// Shows an error with its causes as one text, outermost first:
/// `charge failed: no connection: connection refused`.
pub struct WithCauses<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)?;
        error_chain(self.0, MAX_SHOWN_CAUSES).try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl fmt::Debug for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns the full name of the type of `error`, such as `shop::pay::Declined`. Only
/// [`err`](crate::err) keeps it.
#[must_use]
pub fn type_name(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(redacted) = error.downcast_ref::<RedactedError>() {
        return redacted.type_name();
    }
    if let Some(copy) = error.downcast_ref::<ErrorCopy>() {
        return copy.type_name;
    }
    query_view(error, ViewQuery::Type)?.type_name
}

/// Returns a short name of the type of `error`: `Declined`, `io::Error`.
///
/// If [`type_name`] does not know it, this is the name at the start of its `Debug`. Nothing after
/// the name is formatted.
#[must_use]
pub fn short_name(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(redacted) = error.downcast_ref::<RedactedError>() {
        return redacted.original_text(short_name);
    }
    if let Some(copy) = error.downcast_ref::<ErrorCopy>() {
        return copy.short_name.clone();
    }
    let reply = query_view(error, ViewQuery::Type);
    if reply
        .as_ref()
        .map_or(error.is::<io::Error>(), |reply| reply.is_io)
    {
        // Its `Debug` begins with the name of a private type.
        return Some("io::Error".to_owned());
    }
    match reply.and_then(|reply| reply.type_name) {
        Some(name) => Some(shorten(name)),
        None => name_in_debug(error),
    }
}

/// Returns the backtrace of `error` in the format of std. Only [`err`](crate::err) keeps it.
///
/// After ten backtraces in a second it is a notice instead. The text is cut at 64 KiB.
#[must_use]
pub fn backtrace(error: &(dyn Error + 'static)) -> Option<Arc<str>> {
    if let Some(redacted) = error.downcast_ref::<RedactedError>() {
        let text = redacted.original_text(|error| Some(backtrace(error)?.to_string()));
        return text.map(Arc::from);
    }
    if let Some(copy) = error.downcast_ref::<ErrorCopy>() {
        return copy.backtrace.clone();
    }
    if !query_view(error, ViewQuery::Type)?.may_have_backtrace || !are_backtraces_captured() {
        return None;
    }
    let address = ptr::from_ref(error).cast::<()>();
    let last = LAST_BACKTRACE
        .try_with(|last| last.borrow().clone())
        .ok()
        .flatten();
    if let Some(last) = last.filter(|last| last.address == address) {
        return last.backtrace;
    }
    let backtrace = format_backtrace(error);
    let formatted = CachedBacktrace {
        address,
        backtrace: backtrace.clone(),
    };
    let _ = LAST_BACKTRACE.try_with(|last| last.replace(Some(formatted)));
    backtrace
}

/// Returns the [backtrace] of `error`, [shortened](frames::shorten), as sinks of lines show it.
#[must_use]
pub fn short_backtrace(error: &(dyn Error + 'static)) -> Option<String> {
    let text = backtrace(error)?;
    let short = frames::shorten(&text, None);
    // A notice has no frames.
    Some(if short.is_empty() {
        text.to_string()
    } else {
        short
    })
}

/// The backtrace of the event's error. Several sinks ask for it, one after the other.
#[derive(Clone)]
struct CachedBacktrace {
    /// The address of the error: see [`forget_backtrace`].
    address: *const (),
    backtrace: Option<Arc<str>>,
}

thread_local! {
    static LAST_BACKTRACE: RefCell<Option<CachedBacktrace>> = const { RefCell::new(None) };
}

/// Clears the remembered backtrace, because another error may be at its address.
pub(crate) fn forget_backtrace() {
    let _ = LAST_BACKTRACE.try_with(RefCell::take);
}

#[cold]
fn format_backtrace(error: &(dyn Error + 'static)) -> Option<Arc<str>> {
    static LIMIT: PerSecond = PerSecond::new(MAX_BACKTRACES_PER_SECOND);
    if !LIMIT.allows() {
        return Some(frames::limit_notice(MAX_BACKTRACES_PER_SECOND).into());
    }
    let text = query_view(error, ViewQuery::Debug)?.debug?;
    // anyhow and eyre write it at the end.
    let (_, backtrace) = text.rsplit_once("\nStack backtrace:\n")?;
    Some(panic_safe::truncate_at(backtrace, MAX_BACKTRACE_LEN).into())
}

/// Returns whether `Backtrace::capture` captures anything. std reads `RUST_BACKTRACE` once.
fn are_backtraces_captured() -> bool {
    static CAPTURED: OnceLock<bool> = OnceLock::new();
    *CAPTURED.get_or_init(|| Backtrace::capture().status() == BacktraceStatus::Captured)
}

/// Returns `Declined` for `shop::pay::Declined<shop::Card>`, and `reqwest::Error` for
/// `reqwest::error::Error`.
fn shorten(name: &str) -> String {
    let path = name.split('<').next().unwrap_or(name);
    let (krate, _) = path.split_once("::").unwrap_or((path, ""));
    match path.rsplit("::").next() {
        Some("Error") if krate != "Error" => format!("{krate}::Error"),
        last => last.unwrap_or(path).to_owned(),
    }
}

/// Returns the name at the start of an error's `Debug`, unless that is its message.
fn name_in_debug(error: &(dyn Error + 'static)) -> Option<String> {
    let mut prefix = DebugPrefix(String::new());
    let is_whole = panic_safe::catch_panic(|| write!(prefix, "{error:?}"))?.is_ok();
    let DebugPrefix(debug) = prefix;
    let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
    let (name, rest) = debug.split_at(debug.find(|c| !is_of_name(c)).unwrap_or(debug.len()));
    // `Declined`, `Declined(` or `Declined { `.
    let is_name = name.starts_with(char::is_alphabetic)
        && match rest {
            "" => is_whole,
            rest => rest.starts_with('(') || rest.starts_with(" {"),
        };
    if !is_name {
        return None;
    }
    // The errors of `anyhow::msg` and the like write their message as `Debug`.
    let mut text = String::new();
    panic_safe::format_into(&mut text, format_args!("{error}"), debug.len() + 1);
    let is_text = if is_whole {
        text == debug
    } else {
        text.starts_with(&debug)
    };
    (!is_text).then(|| name.to_owned())
}

/// Collects a `Debug` up to the piece with which its fields begin.
struct DebugPrefix(String);

impl fmt::Write for DebugPrefix {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.0
            .push_str(panic_safe::truncate_at(piece, MAX_NAME_LEN));
        if self.0.contains(['(', '{', ' ', '"', '\n']) || self.0.len() > MAX_NAME_LEN {
            return Err(fmt::Error);
        }
        Ok(())
    }
}
