//! Whether the program has a global subscriber already.

use std::thread;

use tracing::{dispatcher, subscriber::NoSubscriber};

/// Returns whether there is one.
///
/// [`dispatcher::has_been_set`] also says yes if any thread ever had a scoped subscriber, as the
/// threads of `console-subscriber` and of exporters have. A new thread has no scoped one: what it
/// finds is the global one.
pub(crate) fn is_set() -> bool {
    let find = || dispatcher::get_default(|dispatch| !dispatch.is::<NoSubscriber>());
    dispatcher::has_been_set()
        && thread::Builder::new()
            .spawn(find)
            // Without a thread, setting it fails in time, too.
            .is_ok_and(|thread| thread.join().unwrap_or(false))
}
