//! Runs work on another task or thread with the context of the current one.
//!
//! `tokio::spawn` and `std::thread::spawn` lose the current span, and with it the `request_id`,
//! `tenant_id` and `user_id` of the request. The functions of this module pass two things to the
//! new task or thread:
//!
//! - **The current span**, like [`.in_current_span()`](tracing::Instrument::in_current_span). So
//!   the task belongs to the unit of work of that span, such as a request. A value that
//!   [`context::set`](crate::context::set) sets, in the task or outside, is on the later lines of
//!   both. A flight recorder buffers the lines of the task with the lines of the request.
//! - **The scoped subscriber of this thread**, if there is one, for example from
//!   [`with_default`](tracing::subscriber::with_default) in tests. A global subscriber need not be
//!   passed.
//!
//! [`in_current`] passes both to a closure on any thread, and needs no feature. The other functions
//! replace those of `tokio::task` with the same names, and need the feature `tokio`.
//!
//! | in place of | write |
//! | --- | --- |
//! | `tokio::spawn(future)` | `spanwise::task::spawn(future)` |
//! | `tokio::task::spawn_blocking(work)` | `spanwise::task::spawn_blocking(work)` |
//! | `tokio::task::JoinSet` | `spanwise::task::JoinSet` |
//! | `std::thread::spawn(work)`, `rayon::spawn(work)` | `std::thread::spawn(task::in_current(work))`, … |
//! | another executor's `spawn(future)` | `spawn(future.in_current_span())` |
//!
//! # Tasks that outlive the request
//!
//! A detached task keeps the span of its request open until the task ends.
//!
//! - **The access event** is written when the response ends, even if the task still runs. Values
//!   that the task sets or records later are on the lines of the task, but not on the access event.
//! - **A flight recorder** still buffers lines. An ERROR in the task writes the buffered lines of
//!   the request, even after the response. With `slow=1s`, a request whose task runs longer than
//!   that is slow. With `tail=…`, a request that is not sampled stays buffered until the task ends.
//!   When the request is 30 s old, its next line writes the buffered lines.
//! - **Layers that measure spans**, such as Sentry's transactions, include the task in the request.
//!
//! For a job that is only started by a request, open a separate unit, and pass the ids to keep:
//!
//! ```
//! # async fn send_mail() {}
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! use spanwise::{context::Context, unit_span};
//! use tracing::Instrument;
//!
//! let context = Context::current();
//! let job = unit_span!("mail", request_id = context.get("request_id"));
//! tokio::spawn(send_mail().instrument(job));
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

#[cfg(feature = "tokio")]
mod tokio;

use std::fmt::{self, Write};

use tracing::{Dispatch, Span, dispatcher};

#[cfg(feature = "tokio")]
pub use self::tokio::{JoinSet, spawn, spawn_blocking};

/// Wraps a closure so that it runs in the span and with the subscriber that are current now, on any
/// thread.
///
/// For `std::thread::spawn`, thread pools and executors other than tokio.
///
/// ```
/// # use tracing_subscriber::prelude::*;
/// # let layer = spanwise::context::ContextLayer::default();
/// # let _default = tracing_subscriber::registry().with(layer).set_default();
/// use spanwise::{context::Context, task, unit_span};
///
/// let _job = unit_span!("job", tenant_id = "acme").entered();
/// let thread = std::thread::spawn(task::in_current(|| {
///     assert_eq!(Context::current().get("tenant_id"), Some("acme"));
/// }));
/// thread.join().unwrap();
/// ```
#[must_use = "the closure does nothing unless it is called"]
pub fn in_current<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let span = Span::current();
    let dispatch = scoped_dispatch();
    move || {
        let _default = dispatch.as_ref().map(dispatcher::set_default);
        span.in_scope(work)
    }
}

/// Returns the default dispatcher of this thread, unless it is the global dispatcher.
///
/// Setting the global dispatcher as a scoped one would change its behaviour. `tracing` would drop
/// events that are logged while another event is handled, and would look up each default in a
/// thread-local.
fn scoped_dispatch() -> Option<Dispatch> {
    dispatcher::get_default(|dispatch| (!is_global(dispatch)).then(|| dispatch.clone()))
}

/// Returns whether a dispatcher is the global one. `tracing` shows this only in the `Debug` output
/// of the dispatcher. If this output changes, the global dispatcher is passed like any other.
fn is_global(dispatch: &Dispatch) -> bool {
    /// Checks the first word of the output.
    struct FirstWord {
        is_global: bool,
    }
    impl Write for FirstWord {
        fn write_str(&mut self, word: &str) -> fmt::Result {
            self.is_global = word == "Dispatch::Global";
            Err(fmt::Error) // Ends the formatting, because the other words are not needed.
        }
    }
    let mut first_word = FirstWord { is_global: false };
    let _ = write!(first_word, "{dispatch:?}");
    first_word.is_global
}
