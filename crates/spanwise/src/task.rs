//! Work on another task or thread that keeps the context of the code that starts it.
//!
//! `tokio::spawn` and `std::thread::spawn` lose the current span, and with it the `request_id`,
//! `tenant_id` and `user_id` of the request. The functions here have the names of `tokio::task` and
//! pass two things to the new task:
//!
//! - **The current span**, as [`.in_current_span()`](tracing::Instrument::in_current_span) does.
//!   With it goes the unit of work: what [`context::set`](crate::context::set) sets before or
//!   after the spawn, in the task or outside, is on the lines of both. A flight recorder buffers
//!   the lines of the task with those of the request.
//! - **The default subscriber of this thread**, where one is set by scope, as
//!   [`with_default`](tracing::subscriber::with_default) does in tests. A global subscriber needs
//!   no carrying.
//!
//! [`in_current`] does the same for a closure on any thread. It needs no feature; the others need
//! the feature `tokio`.
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
//! A detached task keeps the span of its request open until it ends.
//!
//! - **The request's event** does not wait. It is written when the response ends. What the task
//!   sets or records later is on the lines of the task, and not on that event.
//! - **A flight recorder** still buffers: an ERROR in the task writes what was buffered of the
//!   request, also after the response. With `slow=1s`, a request whose task takes longer counts as
//!   slow. With `tail=…`, the held lines of the request wait for the task to end; after 30 s its
//!   next line writes them.
//! - **Layers that measure spans**, such as Sentry's transactions, measure the task with the
//!   request.
//!
//! For a job that only starts in a request, open a unit of its own and name the ids to keep:
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

/// Wraps a closure so that it runs in the current span, under the current subscriber, on whatever
/// thread calls it.
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

/// The default dispatcher of this thread, unless it is the global one.
///
/// Setting the global one by scope would change its behaviour: `tracing` then drops the events that
/// are logged while another one is handled, and looks each default up in a thread-local.
fn scoped_dispatch() -> Option<Dispatch> {
    dispatcher::get_default(|dispatch| (!is_global(dispatch)).then(|| dispatch.clone()))
}

/// `tracing` shows the kind only in the `Debug` text. If that changes, the global dispatcher is
/// passed like any other.
fn is_global(dispatch: &Dispatch) -> bool {
    struct FirstWord {
        is_global: bool,
    }
    impl Write for FirstWord {
        fn write_str(&mut self, word: &str) -> fmt::Result {
            self.is_global = word == "Dispatch::Global";
            Err(fmt::Error) // The address is not needed.
        }
    }
    let mut first = FirstWord { is_global: false };
    let _ = write!(first, "{dispatch:?}");
    first.is_global
}
