//! Detects a global subscriber.

use std::thread;

use tracing::{dispatcher, subscriber::NoSubscriber};

/// Returns whether the process has a global subscriber.
///
/// [`dispatcher::has_been_set`] also returns true if any thread ever had a scoped subscriber, for
/// example a thread of `console-subscriber` or of an exporter. A new thread has no scoped
/// subscriber, so its default is the global subscriber.
pub(crate) fn is_set() -> bool {
    let find = || dispatcher::get_default(|dispatch| !dispatch.is::<NoSubscriber>());
    dispatcher::has_been_set()
        && thread::Builder::new()
            .spawn(find)
            // If the thread cannot be started, setting the global subscriber detects the conflict
            // later.
            .is_ok_and(|thread| thread.join().unwrap_or(false))
}
