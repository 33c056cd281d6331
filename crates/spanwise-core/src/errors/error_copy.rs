//! A copy of an error, for an event that comes when the error is gone.

use std::{error::Error, fmt, sync::Arc};

use super::{backtrace, short_name, type_name};
use crate::{
    error_chain::{MAX_CAUSES, error_chain},
    panic_safe,
};

/// What sinks show of an error: its message, the name of its type, its backtrace, and the same of
/// its causes, 32 at most.
///
/// Its `Debug` is the short name of the type of the original.
pub struct ErrorCopy {
    pub(super) type_name: Option<&'static str>,
    pub(super) short_name: Option<String>,
    pub(super) backtrace: Option<Arc<str>>,
    message: String,
    source: Option<Box<Self>>,
}

/// A longer message is cut.
const MAX_MESSAGE_LEN: usize = 4096;

impl ErrorCopy {
    /// Copies `error` with its causes. It is best given as [`err`](crate::err) views it.
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
        Self {
            type_name: type_name(error),
            short_name: short_name(error),
            backtrace: backtrace(error),
            message: panic_safe::format_words(format_args!("{error}"), MAX_MESSAGE_LEN),
            source,
        }
    }
}

impl fmt::Display for ErrorCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for ErrorCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short_name.as_deref().unwrap_or(&self.message))
    }
}

impl Error for ErrorCopy {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
