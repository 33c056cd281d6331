//! A copy of an error, for a place where the error itself is gone.

use std::{error::Error, fmt, sync::Arc};

use super::{backtrace, short_name, type_name};
use crate::{error_chain, guarded};

/// A copy of what sinks show of an error: its message, its causes, the names of their types, and
/// the backtrace.
///
/// ```
/// use spanwise_core::{err, errors::{self, KeptError}};
///
/// let refused = std::io::Error::other("connection refused");
/// let kept = KeptError::new(err(&refused));
/// drop(refused);
/// assert_eq!(kept.to_string(), "connection refused");
/// assert_eq!(errors::short_name(&kept).as_deref(), Some("io::Error"));
/// ```
pub struct KeptError {
    message: String,
    pub(super) type_name: Option<&'static str>,
    pub(super) short_name: Option<String>,
    pub(super) backtrace: Option<Arc<str>>,
    source: Option<Box<Self>>,
}

/// Of a longer chain the rest is dropped.
const MAX_CAUSES: usize = 16;

/// The longest message, in bytes.
const MAX_MESSAGE_LEN: usize = 4096;

impl KeptError {
    /// Copies `error`, which is best given as a field is: as [`err`](crate::err) views it.
    #[must_use]
    pub fn new(error: &(dyn Error + 'static)) -> Self {
        let causes: Vec<_> = error_chain(error, MAX_CAUSES).collect();
        let innermost_first = causes.into_iter().rev();
        let source = innermost_first.fold(None, |source, cause| {
            Some(Box::new(Self::with_source(cause, source)))
        });
        Self::with_source(error, source)
    }

    fn with_source(error: &(dyn Error + 'static), source: Option<Box<Self>>) -> Self {
        let mut message = String::new();
        guarded::append(&mut message, format_args!("{error}"), MAX_MESSAGE_LEN);
        Self {
            message,
            type_name: type_name(error),
            short_name: short_name(error),
            backtrace: backtrace(error),
            source,
        }
    }
}

impl fmt::Display for KeptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// As that of the original begins, for layers that look there for the name of its type.
impl fmt::Debug for KeptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.short_name {
            Some(name) => f.debug_tuple(name).field(&self.message).finish(),
            None => fmt::Debug::fmt(&self.message, f),
        }
    }
}

impl Error for KeptError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
