//! When to try again what failed.

use std::{
    io,
    time::{Duration, Instant},
};

/// Whether something fails, and until when it is not tried again: ten milliseconds, then twice as long each time, up to half a
/// second.
#[derive(Debug, Default)]
pub(super) struct Backoff(Option<Failing>);

#[derive(Debug)]
struct Failing {
    error: SavedError,
    delay: Duration,
    until: Option<Instant>,
}

/// An error, to be returned until the next attempt.
#[derive(Debug)]
enum SavedError {
    System(i32),
    Other(io::ErrorKind, String),
}

impl Backoff {
    /// Whether the last attempt failed.
    pub(super) const fn is_failing(&self) -> bool {
        self.0.is_some()
    }

    /// Why it is not tried now; `None` if it is.
    pub(super) fn refusal(&self, now: impl FnOnce() -> Instant) -> Option<io::Error> {
        let failing = self.0.as_ref()?;
        failing
            .until
            .is_some_and(|until| now() < until)
            .then(|| failing.error.again())
    }

    pub(super) fn failed(&mut self, error: &io::Error, now: Instant) {
        let last = self
            .0
            .as_ref()
            .map_or(Duration::ZERO, |failing| failing.delay);
        let delay = (last * 2).clamp(Duration::from_millis(10), Duration::from_millis(500));
        self.0 = Some(Failing {
            error: match error.raw_os_error() {
                Some(code) => SavedError::System(code),
                None => SavedError::Other(error.kind(), error.to_string()),
            },
            delay,
            until: now.checked_add(delay),
        });
    }

    pub(super) fn worked(&mut self) {
        self.0 = None;
    }
}

impl SavedError {
    fn again(&self) -> io::Error {
        match self {
            Self::System(code) => io::Error::from_raw_os_error(*code),
            Self::Other(kind, text) => io::Error::new(*kind, text.clone()),
        }
    }
}
