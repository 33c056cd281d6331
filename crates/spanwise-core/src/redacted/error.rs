//! Errors, as far as they may be shown.

use std::{error::Error, fmt, iter};

use crate::{Redact, guarded, redact::text_of};

/// What may be shown of an error and of what caused it: all of it text, none of it the error itself.
#[derive(Default)]
pub(super) struct ShownError {
    display: String,
    /// Begins with the name of the error's type, which is where Sentry finds it.
    debug: String,
    source: Option<Box<Self>>,
}

/// A chain may be endless; of a longer one the rest is left out.
const LONGEST_CHAIN: usize = 32;

impl ShownError {
    pub(super) fn of(error: &(dyn Error + 'static), key: &str, policy: &dyn Redact) -> Box<Self> {
        let chain: Vec<(String, String)> = iter::successors(Some(error), |error| source_of(*error))
            .take(LONGEST_CHAIN)
            .map(|error| {
                let display = text_of(policy, key, format_args!("{error}"));
                (display, text_of(policy, key, format_args!("{error:?}")))
            })
            .collect();
        let link = |source, (display, debug)| {
            Some(Box::new(Self {
                display,
                debug,
                source,
            }))
        };
        chain.into_iter().rev().fold(None, link).unwrap_or_default()
    }
}

fn source_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    guarded::catch(|| error.source()).flatten()
}

impl fmt::Display for ShownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.display)
    }
}

impl fmt::Debug for ShownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.debug)
    }
}

impl Error for ShownError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}
