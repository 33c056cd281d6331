//! What code says of the unit that it runs in.

use std::{
    future::Future,
    sync::{Arc, Weak},
    thread,
};

use tracing::dispatcher;

use super::{recorder_state::RecorderState, trigger::Trigger, unit::Unit};

/// Has what was kept of the current unit of work written, and the unit write through from there, although nothing fails: in front of the
/// next event of the unit, or when it ends. False if the thread is in no unit, or there is no recorder.
///
/// ```
/// # #[allow(dead_code)] mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorder_support/mod.rs")); }
/// # let (_default, lines) = support::start();
/// let _job = tracing::info_span!("job", id = 7).entered();
/// tracing::debug!("the odd way");
/// assert!(spanwise_sample::dump_current_unit());
/// tracing::info!("done"); // and before it: a header with `"reason":"asked"`, and "the odd way"
/// # assert_eq!(lines.messages(), ["what was kept of a unit of work follows", "the odd way", "done"]);
/// ```
#[expect(
    clippy::must_use_candidate,
    reason = "outside of a unit there is nothing to write"
)]
pub fn dump_current_unit() -> bool {
    let mut found = false;
    for_each_unit(|unit| {
        unit.ask(Trigger::Requested);
        found = true;
    });
    found
}

/// StatusField that the current unit of work was cancelled, unless it is told that it was completed before it is dropped.
///
/// A future that is dropped before it is done says nothing to a layer: its span is closed as if it were done. This guard, held in the future
/// from its first poll, does: what was kept of the unit is then written, with `"reason":"cancelled"`, before the next event of the unit or
/// when it ends. [`detect_cancellation`] does all of it for a future. Outside of a unit it does nothing.
///
/// ```
/// # #[allow(dead_code)] mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorder_support/mod.rs")); }
/// # let (_default, lines) = support::start();
/// let job = tracing::info_span!("job", id = 7).entered();
/// let guard = spanwise_sample::CancellationGuard::new();
/// tracing::debug!("a step");
/// drop(guard); // without `guard.complete()`
/// drop(job);
/// # assert_eq!(lines.messages(), ["what was kept of a unit of work follows", "a step"]);
/// ```
#[derive(Debug)]
#[must_use = "dropping it says that the unit was cancelled"]
pub struct CancellationGuard {
    /// One a sink.
    units: Vec<Weak<Unit>>,
}

impl CancellationGuard {
    /// Guards the unit that the thread is in now.
    pub fn new() -> Self {
        let mut units = Vec::new();
        for_each_unit(|unit| units.push(Arc::downgrade(&unit)));
        Self { units }
    }

    /// The unit was completed, well or not.
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
        let reason = if thread::panicking() {
            Trigger::Panic
        } else {
            Trigger::Cancelled
        };
        for unit in self.units.iter().filter_map(Weak::upgrade) {
            unit.ask(reason);
        }
    }
}

/// Has the unit written if `future` is dropped before it is done. Put it inside of the span: `detect_cancellation(future).instrument(span)`.
///
/// ```
/// # #[allow(dead_code)] mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorder_support/mod.rs")); }
/// # let (_default, lines) = support::start();
/// use tracing::Instrument as _;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let handler = async {
///     tracing::debug!("waiting for the client");
///     std::future::pending::<()>().await;
/// };
/// let request = spanwise_sample::detect_cancellation(handler).instrument(tracing::info_span!("request"));
/// let task = tokio::spawn(request);
/// tokio::task::yield_now().await;
/// task.abort();
/// assert!(task.await.unwrap_err().is_cancelled());
/// # });
/// # assert_eq!(lines.messages(), ["what was kept of a unit of work follows", "waiting for the client"]);
/// ```
pub async fn detect_cancellation<F: Future>(future: F) -> F::Output {
    let guard = CancellationGuard::new();
    let output = future.await;
    guard.complete();
    output
}

fn for_each_unit(mut f: impl FnMut(Arc<Unit>)) {
    dispatcher::get_default(|dispatch| {
        let shared = dispatch.downcast_ref::<RecorderState>()?;
        let current = dispatch.current_span();
        shared.for_each_unit_of(current.id()?, &mut f);
        Some(())
    });
}
