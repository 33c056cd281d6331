//! The error that made a request fail, as far as its event shows it.

use std::{error::Error, fmt};

use spanwise_core::{error_chain, guarded};

use crate::said;

/// A copy of an error and of its causes. The original may be gone when the request ends.
pub(crate) struct Failure {
    message: String,
    /// The beginning of what `Debug` wrote: the name of the type, which is where Sentry finds it.
    debug: String,
    source: Option<Box<Self>>,
}

/// Of a longer chain the rest is dropped.
const MAX_CAUSES: usize = 16;

/// No more than the name of a type.
const MAX_DEBUG_LEN: usize = 256;

impl Failure {
    pub(crate) fn new(error: &(dyn Error + 'static)) -> Box<Self> {
        let causes: Vec<_> = error_chain(error, MAX_CAUSES).collect();
        let copy = |source, error: &(dyn Error + 'static)| {
            let mut debug = String::new();
            guarded::append(&mut debug, format_args!("{error:?}"), MAX_DEBUG_LEN);
            Box::new(Self {
                message: said::text(&error),
                debug,
                source,
            })
        };
        let innermost_first = causes.into_iter().rev();
        let source = innermost_first.fold(None, |source, cause| Some(copy(source, cause)));
        copy(source, error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.debug)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
