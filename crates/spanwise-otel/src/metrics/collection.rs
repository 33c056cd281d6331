//! The schedule of the thread that runs callbacks and exports.

use std::time::{Duration, Instant};

use spanwise_core::internal::sync::{Condvar, Mutex, MutexGuard};

/// When the collecting thread runs: at each interval, and when another thread requests it.
#[derive(Debug)]
pub(crate) struct CollectionSchedule {
    state: Mutex<Requests>,
    /// Notified when `state` changes.
    changed: Condvar,
}

#[derive(Debug)]
struct Requests {
    /// The number of the last request.
    last_requested: u64,
    /// The number of the last request that was fulfilled.
    last_done: u64,
    /// Whether an open request is for an export, and not only for a run of the callbacks.
    wants_export: bool,
    /// `None` if values are exported on request only.
    interval: Option<Duration>,
    next_export: Option<Instant>,
    has_ended: bool,
}

/// The next work of the collecting thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Collection {
    /// The number of the last request that the work fulfils.
    number: u64,
    /// Whether the values are exported, after the callbacks ran.
    pub(crate) exports: bool,
}

/// An export that was requested, with the number of the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestedExport(u64);

impl CollectionSchedule {
    pub(crate) fn new(interval: Option<Duration>) -> Self {
        Self {
            state: Mutex::new(Requests {
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

    /// Waits until there is something to do. Returns `None` after [`end`](Self::end).
    pub(crate) fn next(&self) -> Option<Collection> {
        let mut state = self.state.lock();
        loop {
            let now = Instant::now();
            if state.has_ended {
                return None;
            }
            let is_due = state.next_export.is_some_and(|at| at <= now);
            if is_due || state.last_requested > state.last_done {
                let exports = std::mem::take(&mut state.wants_export) || is_due;
                if is_due {
                    // The interval counts from now: after a late export, the next is not early.
                    state.next_export = state
                        .interval
                        .and_then(|interval| now.checked_add(interval));
                }
                return Some(Collection {
                    number: state.last_requested,
                    exports,
                });
            }
            state = match state.next_export {
                Some(at) => self.changed.wait_timeout(state, at - now).0,
                None => self.changed.wait(state),
            };
        }
    }

    /// Wakes the threads that wait for a request that `collection` fulfils.
    pub(crate) fn done(&self, collection: Collection) {
        self.state.lock().last_done = collection.number;
        self.changed.notify_all();
    }

    /// Requests a run of the callbacks, and waits for it until `deadline`.
    pub(crate) fn observe(&self, deadline: Instant) {
        let mut state = self.state.lock();
        let number = self.request(&mut state);
        self.wait_done(state, number, deadline);
    }

    /// Requests an export of the current values, and does not wait for it. Requests that come
    /// before the export starts share it.
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
    fn request(&self, state: &mut Requests) -> u64 {
        state.last_requested += 1;
        self.changed.notify_all();
        state.last_requested
    }

    /// Waits for the request `number` until `deadline`, and returns whether it was fulfilled.
    fn wait_done(
        &self,
        mut state: MutexGuard<'_, Requests>,
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

    /// Ends the collecting thread.
    pub(crate) fn end(&self) {
        self.state.lock().has_ended = true;
        self.changed.notify_all();
    }
}
