//! The schedule of the thread that runs callbacks and exports.

use std::time::{Duration, Instant};

use spanwise_core::internal::sync::{Condvar, Mutex, MutexGuard};

/// The requests of other threads to the collecting thread.
#[derive(Debug)]
pub(crate) struct CollectionSchedule {
    state: Mutex<Requests>,
    /// Notified when `state` changes.
    changed: Condvar,
}

#[derive(Debug)]
struct Requests {
    /// The number of the last request.
    last: u64,
    /// The number of the last request that was fulfilled.
    done: u64,
    wants_export: bool,
    /// `None` if there are exports on request only.
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
                last: 0,
                done: 0,
                wants_export: false,
                interval,
                next_export: interval.and_then(|interval| Instant::now().checked_add(interval)),
                has_ended: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Waits until there is something to do. Returns `None` at the end.
    pub(crate) fn next(&self) -> Option<Collection> {
        let mut state = self.state.lock();
        loop {
            let now = Instant::now();
            if state.has_ended {
                return None;
            }
            let is_due = state.next_export.is_some_and(|at| at <= now);
            if is_due || state.last > state.done {
                let exports = std::mem::take(&mut state.wants_export) || is_due;
                if is_due {
                    // The interval counts from now: after a late export, the next is not early.
                    state.next_export = state
                        .interval
                        .and_then(|interval| now.checked_add(interval));
                }
                return Some(Collection {
                    number: state.last,
                    exports,
                });
            }
            state = match state.next_export {
                Some(at) => self.changed.wait_timeout(state, at - now).0,
                None => self.changed.wait(state),
            };
        }
    }

    pub(crate) fn done(&self, collection: Collection) {
        self.state.lock().done = collection.number;
        self.changed.notify_all();
    }

    /// Requests a run of the callbacks, and waits for it until `deadline`.
    pub(crate) fn observe(&self, deadline: Instant) {
        let mut state = self.state.lock();
        let number = self.request(&mut state, false);
        self.wait_done(state, number, deadline);
    }

    /// Requests an export of the current values, and does not wait for it. Requests that come
    /// before the export starts share it.
    pub(crate) fn request_export(&self) -> RequestedExport {
        RequestedExport(self.request(&mut self.state.lock(), true))
    }

    /// Waits for `export` until `deadline`, and returns whether it was done.
    pub(crate) fn wait_exported(&self, export: RequestedExport, deadline: Instant) -> bool {
        self.wait_done(self.state.lock(), export.0, deadline)
    }

    fn request(&self, state: &mut Requests, exports: bool) -> u64 {
        state.last += 1;
        state.wants_export |= exports;
        self.changed.notify_all();
        state.last
    }

    fn wait_done(
        &self,
        mut state: MutexGuard<'_, Requests>,
        number: u64,
        deadline: Instant,
    ) -> bool {
        while state.done < number && !state.has_ended {
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return false;
            }
            (state, _) = self.changed.wait_timeout(state, rest);
        }
        state.done >= number
    }

    /// Ends the collecting thread.
    pub(crate) fn end(&self) {
        self.state.lock().has_ended = true;
        self.changed.notify_all();
    }
}
