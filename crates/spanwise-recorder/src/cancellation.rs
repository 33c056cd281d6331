//! Dump requests from code: a direct call, or a guard that detects that a future is dropped before
//! it completes. A dump writes the buffered lines of a unit of work.

use std::{
    any::TypeId,
    fmt,
    future::Future,
    ptr,
    sync::{Arc, Weak},
    thread,
};

use spanwise_core::forward_downcast;
use tracing::{Subscriber, dispatcher};
use tracing_subscriber::Layer;

use crate::{recorder_state::RecorderState, trigger::Trigger, unit::Unit};

/// Requests a dump of the current unit of work, even if nothing failed. The buffer is written
/// before the next event of the unit, or when the unit ends. Later events of the unit are written
/// immediately.
///
/// Returns false if the thread is outside of units, or if no recorder is installed. If the stack
/// has several recorders, the call reaches only one of them.
///
/// ```
/// # #[allow(dead_code)]
/// # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/mod.rs")); }
/// # let (_default, lines) = support::start();
/// let _job = tracing::info_span!("job", id = 7).entered();
/// tracing::debug!("the odd way");
/// assert!(spanwise_recorder::dump_current_unit());
/// // Writes a header with `"reason":"requested"`, "the odd way", and "done".
/// tracing::info!("done");
/// # assert_eq!(lines.messages()[1..], ["the odd way", "done"]);
/// ```
#[expect(
    clippy::must_use_candidate,
    reason = "outside of a unit there is nothing to write"
)]
pub fn dump_current_unit() -> bool {
    let mut has_unit = false;
    for_each_current_unit(|unit| {
        unit.request_dump(Trigger::Requested);
        has_unit = true;
    });
    has_unit
}

/// Reports the current unit of work as cancelled when the guard is dropped, unless
/// [`complete`](Self::complete) was called.
///
/// Without a guard, the recorder cannot notice that a future is dropped before it completes,
/// because its span closes as usual. Create this guard at the first poll of the future, and keep it
/// in the future. If the guard is dropped, the buffer of the unit is written with
/// `"reason":"cancelled"`, before the next event of the unit or when the unit ends. If a panic
/// drops the guard, the reason is `panic`. [`detect_cancellation`] adds a guard to a future.
/// Outside of a unit, the guard does nothing. If the stack has several recorders, the guard reaches
/// only one of them.
///
/// ```
/// # #[allow(dead_code)]
/// # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/mod.rs")); }
/// # let (_default, lines) = support::start();
/// let job = tracing::info_span!("job", id = 7).entered();
/// let guard = spanwise_recorder::CancellationGuard::new();
/// tracing::debug!("a step");
/// drop(guard); // without `guard.complete()`
/// drop(job);
/// # assert_eq!(lines.messages()[1..], ["a step"]);
/// ```
#[derive(Debug)]
#[must_use = "dropping it reports the unit as cancelled"]
pub struct CancellationGuard {
    /// The current unit of work. Each sink of the recorder has its own [`Unit`] for it.
    units: Vec<Weak<Unit>>,
}

impl CancellationGuard {
    /// Creates a guard for the current unit of work.
    pub fn new() -> Self {
        let mut units = Vec::new();
        for_each_current_unit(|unit| units.push(Arc::downgrade(&unit)));
        Self { units }
    }

    /// Reports that the future completed, successfully or not.
    pub fn complete(mut self) {
        self.units.clear();
    }
}

impl Default for CancellationGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for CancellationGuard {
    fn drop(&mut self) {
        let trigger = if thread::panicking() {
            Trigger::Panic
        } else {
            Trigger::Cancelled
        };
        for unit in self.units.iter().filter_map(Weak::upgrade) {
            unit.request_dump(trigger);
        }
    }
}

/// Reports the current unit of work as cancelled if `future` is dropped before it completes. Use it
/// inside the span: `detect_cancellation(future).instrument(span)`.
///
/// ```
/// # #[allow(dead_code)]
/// # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/mod.rs")); }
/// # let (_default, lines) = support::start();
/// use spanwise_recorder::detect_cancellation;
/// use tracing::Instrument as _;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let handler = async {
///     tracing::debug!("waiting for the client");
///     std::future::pending::<()>().await;
/// };
/// let request = detect_cancellation(handler).instrument(tracing::info_span!("request"));
/// let task = tokio::spawn(request);
/// tokio::task::yield_now().await;
/// task.abort();
/// assert!(task.await.unwrap_err().is_cancelled());
/// # });
/// # assert_eq!(lines.messages()[1..], ["waiting for the client"]);
/// ```
pub async fn detect_cancellation<F: Future>(future: F) -> F::Output {
    let guard = CancellationGuard::new();
    let output = future.await;
    guard.complete();
    output
}

/// A layer that only makes the recorder findable: see
/// [`Recorder::finder`](crate::Recorder::finder).
#[doc(hidden)]
pub struct RecorderFinder(pub(crate) Arc<RecorderState>);

impl<S: Subscriber> Layer<S> for RecorderFinder {
    forward_downcast!(this, id => {
        (id == TypeId::of::<RecorderState>()).then(|| ptr::from_ref(&*this.0).cast())
    });
}

impl fmt::Debug for RecorderFinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecorderFinder").finish_non_exhaustive()
    }
}

/// Calls `f` with the unit of the current span in each sink of the recorder, if there is one.
fn for_each_current_unit(mut f: impl FnMut(Arc<Unit>)) {
    dispatcher::get_default(|dispatch| {
        let recorder = dispatch.downcast_ref::<RecorderState>()?;
        let current = dispatch.current_span();
        recorder.for_each_unit_of(current.id()?, &mut f);
        Some(())
    });
}
