//! The type name, the backtrace and the causes of an error, in the form that sinks show.

mod error_copy;

use std::{error::Error, fmt, sync::Arc};

use crate::internal::{
    backtrace as backtrace_text, error_chain, error_name,
    error_query::{ErrorQuery, ErrorReply, query},
};

pub use error_copy::ErrorCopy;

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

/// Returns the full name of the type of `error`, such as `shop::pay::Declined`. Only available for
/// errors from [`err`](crate::err), even if redacted, and for an [`ErrorCopy`] of such an error.
#[must_use]
pub fn type_name(error: &(dyn Error + 'static)) -> Option<&'static str> {
    match query(error, ErrorQuery::TypeName)? {
        ErrorReply::TypeName(name) => name,
        ErrorReply::ShortName(_) | ErrorReply::Backtrace(_) => None,
    }
}

/// Returns a short name of the type of `error`: `Declined`, `io::Error`.
///
/// For an error without a [`type_name`], this is the name at the start of its `Debug`, if there is
/// one.
#[must_use]
pub fn short_name(error: &(dyn Error + 'static)) -> Option<String> {
    match query(error, ErrorQuery::ShortName) {
        Some(ErrorReply::ShortName(name)) => name,
        _ => error_name::from_debug(error),
    }
}

/// Returns the backtrace of `error` in the format of std. Only available for errors from
/// [`err`](crate::err), even if redacted, and for an [`ErrorCopy`] of such an error.
///
/// After ten backtraces in a second, a notice replaces each further backtrace. The text is cut at
/// 64 KiB.
#[must_use]
pub fn backtrace(error: &(dyn Error + 'static)) -> Option<Arc<str>> {
    match query(error, ErrorQuery::Backtrace)? {
        ErrorReply::Backtrace(backtrace) => backtrace,
        ErrorReply::TypeName(_) | ErrorReply::ShortName(_) => None,
    }
}

/// Returns the [backtrace] of `error`, [shortened](backtrace_text::shorten) for sinks of lines.
#[must_use]
pub fn short_backtrace(error: &(dyn Error + 'static)) -> Option<String> {
    let text = backtrace(error)?;
    let short = backtrace_text::shorten(&text, None);
    // A notice that replaces a backtrace has no frames.
    Some(if short.is_empty() {
        text.to_string()
    } else {
        short
    })
}
