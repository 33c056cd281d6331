//! Tools for the tests of this workspace. They are not part of the API, and may change.
//!
//! Other crates depend on this one as a dev-dependency by path, without a version. Cargo removes
//! such a dependency when it publishes. So the tests of `spanwise-core` and `spanwise-json` can use
//! this crate, although it depends on both.

mod json_reader;
mod lines;

pub use json_reader::parse_json;
pub use lines::Lines;

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use spanwise_core::Clock;

/// The maximum time that a test waits for one operation. No operation takes as long, even on a busy
/// machine.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// Waits until `condition` returns `true`. `what` describes the condition in a failure.
///
/// # Panics
/// If `condition` does not return `true` within [`TIMEOUT`].
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "it never happened: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Runs `test` on a separate thread and returns its result. So a deadlock fails the test instead of
/// blocking it.
///
/// # Panics
/// If `test` panics, or does not return within [`TIMEOUT`].
#[track_caller]
pub fn bounded<R: Send + 'static>(test: impl FnOnce() -> R + Send + 'static) -> R {
    let (finish_sender, finish_receiver) = mpsc::channel();
    let thread = thread::spawn(move || {
        let result = test();
        // The receiver no longer exists if the test exceeded the timeout.
        let _ = finish_sender.send(());
        result
    });
    if finish_receiver.recv_timeout(TIMEOUT) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("the test hangs: a deadlock");
    }
    match thread.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Creates a clock that shows 2026-11-20T09:08:07.123456Z until the test moves it.
#[must_use]
pub fn fixed_clock() -> Clock {
    Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_nanos(1_795_165_687_123_456_000))
}
