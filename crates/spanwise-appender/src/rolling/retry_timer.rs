//! The retry schedule of a failing operation, such as a write or a roll.

use std::{
    io,
    time::{Duration, Instant},
};

use spanwise_core::internal::Backoff;

/// Stores the error of a failed operation, so that it is returned without a further attempt until
/// the next attempt is due.
#[derive(Debug)]
pub(super) struct RetryTimer {
    backoff: Backoff,
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Failure {
    error: SavedError,
    /// `None` if the clock cannot represent the time.
    retry_at: Option<Instant>,
}

/// The parts of an error, which is created again for each return, because it cannot be cloned.
#[derive(Debug)]
enum SavedError {
    /// The code of an error of the operating system.
    System(i32),
    Other(io::ErrorKind, String),
}

impl Default for RetryTimer {
    /// Retries after 10 ms, then after twice as long each time, up to 500 ms.
    fn default() -> Self {
        Self {
            backoff: Backoff::new(Duration::from_millis(10)..=Duration::from_millis(500)),
            failure: None,
        }
    }
}

impl RetryTimer {
    /// Returns whether the last attempt failed.
    pub(super) const fn is_failing(&self) -> bool {
        self.failure.is_some()
    }

    /// Returns the last error if it is too early for another attempt.
    pub(super) fn refusal(&self, now: impl FnOnce() -> Instant) -> Option<io::Error> {
        let Failure { error, retry_at } = self.failure.as_ref()?;
        let is_early = retry_at.is_some_and(|retry_at| now() < retry_at);
        is_early.then(|| match error {
            SavedError::System(code) => io::Error::from_raw_os_error(*code),
            SavedError::Other(kind, text) => io::Error::new(*kind, text.clone()),
        })
    }

    pub(super) fn note_failure(&mut self, error: &io::Error, now: Instant) {
        self.failure = Some(Failure {
            error: match error.raw_os_error() {
                Some(code) => SavedError::System(code),
                None => SavedError::Other(error.kind(), error.to_string()),
            },
            retry_at: now.checked_add(self.backoff.next_delay()),
        });
    }

    pub(super) fn note_success(&mut self) {
        self.backoff.reset();
        self.failure = None;
    }
}
