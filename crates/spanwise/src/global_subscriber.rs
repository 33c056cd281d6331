//! Detects a global subscriber.

use std::thread;

use tracing::{dispatcher, subscriber::NoSubscriber};

/// Returns whether the process has a global subscriber.
///
/// [`dispatcher::has_been_set`] also returns true if any thread ever had a scoped subscriber, as
/// threads of `console-subscriber` and of exporters do. A new thread has no scoped subscriber, so
/// it finds the global one.
pub(crate) fn is_set() -> bool {
    let find = || dispatcher::get_default(|dispatch| !dispatch.is::<NoSubscriber>());
    dispatcher::has_been_set()
        && thread::Builder::new()
            .spawn(find)
            // Without a thread, setting it fails in time, too.
            .is_ok_and(|thread| thread.join().unwrap_or(false))
}
