//! The schedule of the collecting thread, which runs the callbacks of instruments and exports their
//! values.

use std::time::{Duration, Instant};

use spanwise_core::internal::sync::{Condvar, Mutex, MutexGuard};

/// Makes the collecting thread work at each interval, and when another thread requests it.
///
/// Requests have consecutive numbers from 1. One collection fulfils all requests that were made
/// before it started.
#[derive(Debug)]
pub(crate) struct CollectionSchedule {
    state: Mutex<ScheduleState>,
    /// Notified when there is work, when a request was fulfilled, and at the end.
    changed: Condvar,
}

#[derive(Debug)]
struct ScheduleState {
    /// The number of the last request.
    last_requested: u64,
    /// The number of the last request that was fulfilled.
    last_done: u64,
    /// Whether a request that is not fulfilled yet is for an export, and not only for a run of the
    /// callbacks.
    wants_export: bool,
    /// The time between two exports. `None` if values are exported only on request.
    interval: Option<Duration>,
    next_export: Option<Instant>,
    has_ended: bool,
}

/// One piece of work of the collecting thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Collection {
    /// The number of the last request that the work fulfils.
    last_request: u64,
    /// Whether the values are exported after the callbacks have run.
    pub(crate) includes_export: bool,
}

/// The number of a request for an export.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestedExport(u64);

impl CollectionSchedule {
    pub(crate) fn new(interval: Option<Duration>) -> Self {
        Self {
            state: Mutex::new(ScheduleState {
                last_requested: 0,
                last_done: 0,
                wants_export: false,
                interval,
                next_export: interval.and_then(|interval| Instant::now().checked_add(interval)),
                has_ended: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Waits until there is work, and returns it. Returns `None` after [`end`](Self::end).
    pub(crate) fn next(&self) -> Option<Collection> {
        let mut state = self.state.lock();
        loop {
            let now = Instant::now();
            if state.has_ended {
                return None;
            }
            let is_due = state.next_export.is_some_and(|at| at <= now);
            if is_due || state.last_requested > state.last_done {
                let includes_export = std::mem::take(&mut state.wants_export) || is_due;
                if is_due {
                    // The interval counts from now, so that a late export does not shorten the next
                    // interval.
                    state.next_export = state
                        .interval
                        .and_then(|interval| now.checked_add(interval));
                }
                return Some(Collection {
                    last_request: state.last_requested,
                    includes_export,
                });
            }
            state = match state.next_export {
                Some(at) => self.changed.wait_timeout(state, at - now).0,
                None => self.changed.wait(state),
            };
        }
    }

    /// Records that `collection` is done, and wakes the threads that wait for its requests.
    pub(crate) fn done(&self, collection: Collection) {
        self.state.lock().last_done = collection.last_request;
        self.changed.notify_all();
    }

    /// Requests a run of the callbacks, and waits until it is done, or until `deadline`.
    pub(crate) fn observe(&self, deadline: Instant) {
        let mut state = self.state.lock();
        let number = self.request(&mut state);
        self.wait_done(state, number, deadline);
    }

    /// Requests an export of the current values, and does not wait for it. One export fulfils all
    /// requests that are made before it starts.
    pub(crate) fn request_export(&self) -> RequestedExport {
        let mut state = self.state.lock();
        state.wants_export = true;
        RequestedExport(self.request(&mut state))
    }

    /// Waits for `export` until `deadline`, and returns whether it was done.
    pub(crate) fn wait_exported(&self, export: RequestedExport, deadline: Instant) -> bool {
        self.wait_done(self.state.lock(), export.0, deadline)
    }

    /// Adds a request, and returns its number.
    fn request(&self, state: &mut ScheduleState) -> u64 {
        state.last_requested += 1;
        self.changed.notify_all();
        state.last_requested
    }

    /// Waits for the request `number` until `deadline`, and returns whether it was fulfilled.
    fn wait_done(
        &self,
        mut state: MutexGuard<'_, ScheduleState>,
        number: u64,
        deadline: Instant,
    ) -> bool {
        while state.last_done < number && !state.has_ended {
            let time_left = deadline.saturating_duration_since(Instant::now());
            if time_left.is_zero() {
                return false;
            }
            (state, _) = self.changed.wait_timeout(state, time_left);
        }
        state.last_done >= number
    }

    /// Ends the collecting thread, after its current work.
    pub(crate) fn end(&self) {
        self.state.lock().has_ended = true;
        self.changed.notify_all();
    }
}
