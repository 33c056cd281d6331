//! A copy of an error, for an event that is sent after the error is dropped.

use std::{error::Error, fmt, sync::Arc};

use super::{backtrace, short_name, type_name};
use crate::internal::{
    error_chain::{MAX_CAUSES, error_chain},
    error_query::{ErrorQuery, ErrorReply, answer},
    panic_safe,
};

/// A copy of the message, the type name and the backtrace of an error and of its first 32 causes.
///
/// Its `Debug` is the short type name of the original, or else the message.
pub struct ErrorCopy {
    type_name: Option<&'static str>,
    short_name: Option<String>,
    backtrace: Option<Arc<str>>,
    message: String,
    source: Option<Box<Self>>,
}

/// A message is cut at this many bytes.
const MAX_MESSAGE_LEN: usize = 4096;

impl ErrorCopy {
    /// Copies `error` and its causes. Pass the result of [`err`](crate::err) to keep the type name
    /// and the backtrace.
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

    fn description(&self) -> &str {
        answer(|query| match query {
            ErrorQuery::TypeName => ErrorReply::TypeName(self.type_name),
            ErrorQuery::ShortName => ErrorReply::ShortName(self.short_name.clone()),
            ErrorQuery::Backtrace => ErrorReply::Backtrace(self.backtrace.clone()),
        })
    }
}
