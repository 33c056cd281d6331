//! The bounded queue of an exporter, between the threads that log and the sender thread.

use std::{
    collections::VecDeque,
    fmt, io, mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use super::{ExportItem, ExporterOptions, QueueLimits};
use crate::{
    Clock, Fault, SelfReport,
    internal::{
        SinkCounters,
        sync::{Condvar, Mutex, MutexGuard},
    },
};

/// Items that wait for the sender thread, within the [`QueueLimits`]. See the
/// [module](crate::export).
pub struct ExportQueue<T> {
    state: Mutex<State<T>>,
    /// Wakes the sender thread.
    work: Condvar,
    /// Wakes the callers of [`flush`](Self::flush) and [`shutdown_by`](Self::shutdown_by), when an
    /// item was settled: sent, or counted as not sent.
    settled: Condvar,
    pub(super) limits: QueueLimits,
    /// The name of the server in fault texts.
    destination: &'static str,
    pub(super) clock: Clock,
    counters: Arc<SinkCounters>,
    retries: AtomicU64,
    report: SelfReport,
}

struct State<T> {
    urgent: Lane<T>,
    /// Items that are not urgent.
    others: Lane<T>,
    /// The item that is being sent. Its room stays reserved, because it may be put back.
    in_flight: Option<InFlight>,
    /// The number of threads that wait for a flush. Until the server fails, the queue is sent for
    /// them without a back-off.
    flush_waiters: u32,
    /// The number of the last flush, from 1. Each call of `flush`, `hurry` and `shutdown_by` begins
    /// a flush, but a shutdown directly after `hurry` continues the flush of `hurry`.
    last_flush: u64,
    /// The number of the last flush that `hurry` began, or 0.
    hurried_flush: u64,
    /// The value of `last_flush` when the item in flight left the queue.
    in_flight_flush: u64,
    /// The `in_flight_flush` of the last item for which the server failed. The flush of this number
    /// and all earlier ones have failed.
    failed_flush: u64,
    /// Whether the state changed since the last step of the sender thread.
    is_signalled: bool,
    /// Whether the queue was shut down.
    has_ended: bool,
    /// Whether the shutdown lost items.
    has_lost: bool,
}

/// The waiting items of one urgency, with the totals of their events and bytes.
struct Lane<T> {
    items: VecDeque<Queued<T>>,
    events: u64,
    bytes: usize,
}

/// The size of the item in flight.
struct InFlight {
    events: u64,
    bytes: usize,
}

/// An item, with the time when it was pushed.
pub(super) struct Queued<T> {
    pub(super) item: T,
    pub(super) pushed_at: Instant,
}

impl<T: ExportItem> ExportQueue<T> {
    /// Creates a queue that counts under the name of the exporter. An [`Exporter`](super::Exporter)
    /// starts the sender thread.
    #[must_use]
    pub(super) fn new(options: &ExporterOptions) -> Self {
        Self {
            state: Mutex::new(State::default()),
            work: Condvar::new(),
            settled: Condvar::new(),
            limits: options.limits,
            destination: options.destination,
            clock: options.clock.clone(),
            counters: options.report.sink(options.name),
            retries: AtomicU64::new(0),
            report: options.report.clone(),
        }
    }

    /// Adds an item. If there is no room for it, it is dropped and counted as shed. After the
    /// shutdown, it is counted as lost.
    ///
    /// To make room, an urgent item first displaces the newest items that are not urgent. It
    /// displaces none if even then there would be no room.
    pub fn push(&self, item: T) {
        let queued = Queued {
            item,
            pushed_at: self.clock.instant(),
        };
        let mut state = self.state.lock();
        if state.has_ended {
            drop(state);
            self.counters.add_lost_at_shutdown(queued.item.events());
            return;
        }
        let is_urgent = queued.item.is_urgent();
        let mut dropped = Vec::new();
        let may_displace = is_urgent && state.has_room_without_others(&queued.item, self.limits);
        while may_displace && !state.has_room(&queued.item, self.limits) {
            match state.others.pop_back() {
                Some(other) => dropped.push(other),
                None => break,
            }
        }
        let has_room = is_urgent || state.others.fits_in_half(&queued.item, self.limits);
        if has_room && state.has_room(&queued.item, self.limits) {
            state.lane(&queued.item).push_back(queued);
            state.is_signalled = true;
        } else {
            dropped.push(queued);
        }
        drop(state);
        self.work.notify_one();
        if !dropped.is_empty() {
            self.shed(&dropped);
        }
    }

    /// Adds an item that is more important than older items. First drops and counts the oldest
    /// items that are not urgent, until fewer than `max` of them wait.
    pub fn push_newest(&self, item: T, max: usize) {
        let mut dropped = Vec::new();
        let mut state = self.state.lock();
        while state.others.items.len() >= max.max(1) {
            dropped.extend(state.others.pop_front());
        }
        drop(state);
        if !dropped.is_empty() {
            self.shed(&dropped);
        }
        self.push(item);
    }

    #[cold]
    fn shed(&self, dropped: &[Queued<T>]) {
        for Queued { item, .. } in dropped {
            item.count_shed(&self.counters);
        }
        let reason = format_args!("{} is behind: dropping events", self.destination);
        self.report
            .fault_from(self.destination, Fault::Shed, &reason);
    }

    /// Makes the sender thread call [`PeriodicTasks::next_run`](super::PeriodicTasks::next_run)
    /// again.
    pub fn wake(&self) {
        self.state.lock().is_signalled = true;
        self.work.notify_one();
    }

    /// Waits until the queue is empty: until each item is sent, or counted as a failed write.
    ///
    /// The next attempt is immediate: it skips a back-off.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] if the deadline passes, if the server fails, or if the queue is
    /// shut down with losses.
    pub fn flush(&self, deadline: Instant) -> io::Result<()> {
        let mut state = self.state.lock();
        state.last_flush += 1;
        let this_flush = state.last_flush;
        self.wait_flushed(state, this_flush, deadline)
    }

    /// Makes the sender thread send everything that was pushed, and does not wait for it. There is
    /// one immediate attempt, which skips a back-off.
    ///
    /// A shutdown directly after this call waits for that attempt, and makes no second one.
    pub fn hurry(&self) {
        let mut state = self.state.lock();
        state.last_flush += 1;
        state.hurried_flush = state.last_flush;
        state.is_signalled = true;
        drop(state);
        self.work.notify_all();
    }

    /// Waits until everything is sent, or until `deadline`. Returns earlier, with an error, if the
    /// queue is shut down, or if the server fails during this flush or a later one.
    fn wait_flushed(
        &self,
        mut state: MutexGuard<'_, State<T>>,
        this_flush: u64,
        deadline: Instant,
    ) -> io::Result<()> {
        state.flush_waiters += 1;
        state.is_signalled = true;
        self.work.notify_all();
        let is_flushed = loop {
            if state.is_empty() {
                break !state.has_lost;
            }
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() || state.failed_flush >= this_flush || state.has_ended {
                break false;
            }
            (state, _) = self.settled.wait_timeout(state, remaining);
        };
        state.flush_waiters -= 1;
        drop(state);
        if is_flushed {
            return Ok(());
        }
        let text = format!("not all events were sent to {}", self.destination);
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    }

    /// Sends items until `deadline` or until the server fails, and counts the remaining items as
    /// lost. Items that are pushed later count as lost, too. The sender thread then ends by itself.
    pub fn shutdown_by(&self, deadline: Instant) {
        let mut state = self.state.lock();
        let is_hurried = state.hurried_flush > 0 && state.hurried_flush == state.last_flush;
        state.last_flush += u64::from(!is_hurried);
        let this_flush = state.last_flush;
        let is_flushed = self.wait_flushed(state, this_flush, deadline).is_ok();
        let mut state = self.state.lock();
        if state.has_ended {
            return;
        }
        let lost = state.held_events();
        let ended = State {
            has_ended: true,
            has_lost: lost > 0,
            flush_waiters: state.flush_waiters,
            ..State::default()
        };
        let unsent = mem::replace(&mut *state, ended);
        // Counts under the lock, so that callers of `flush` see complete counters.
        self.counters.add_lost_at_shutdown(lost);
        drop(state);
        self.work.notify_all();
        self.settled.notify_all();
        // Drops the items without the lock, because their destructors may use the queue.
        drop(unsent);
        if !is_flushed && lost > 0 {
            let reason = format_args!(
                "{lost} events were not sent to {} before the shutdown",
                self.destination
            );
            self.report.fault_unthrottled(Fault::Lost, &reason);
        }
    }

    /// Returns the counters of the exporter in this process, for events that never reach the queue.
    #[must_use]
    pub fn counters(&self) -> &SinkCounters {
        &self.counters
    }

    /// Returns the number of times that an item was put back because the server failed.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Returns the bytes of all items that wait or are being sent.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.state.lock().held_bytes()
    }

    /// Clears the signal that the state has changed. Returns whether the queue was shut down.
    pub(super) fn clear_signal(&self) -> bool {
        let mut state = self.state.lock();
        state.is_signalled = false;
        state.has_ended
    }

    /// Takes the next item. Before `not_before`, returns an item only for a caller of `flush`,
    /// `hurry` or `shutdown_by`.
    pub(super) fn take(&self, not_before: Option<Instant>) -> Option<Queued<T>> {
        let mut state = self.state.lock();
        // A flush ends at the first failed attempt that began during it. So if the last flush has
        // failed, it causes no second attempt, even if its callers have not returned yet.
        let has_flush = state.flush_waiters > 0 || state.hurried_flush > state.failed_flush;
        let is_flushing = has_flush && state.failed_flush < state.last_flush;
        if !is_flushing && not_before.is_some_and(|at| at > self.clock.instant()) {
            return None;
        }
        let urgent = state.urgent.pop_front();
        let queued = urgent.or_else(|| state.others.pop_front())?;
        state.in_flight = Some(InFlight {
            events: queued.item.events(),
            bytes: queued.item.bytes(),
        });
        state.in_flight_flush = state.last_flush;
        Some(queued)
    }

    /// Waits until the state changes, or until `until`.
    pub(super) fn wait(&self, until: Option<Instant>) {
        let state = self.state.lock();
        if state.is_signalled || state.has_ended {
            return;
        }
        // A spurious wake-up is harmless, because the thread checks the state again.
        match until {
            None => drop(self.work.wait(state)),
            Some(until) => {
                let remaining = until.saturating_duration_since(self.clock.instant());
                drop(self.work.wait_timeout(state, remaining));
            }
        }
    }

    /// Counts the events of the item in flight as delivered.
    pub(super) fn settle_delivered(&self) {
        self.settle(|_, counters, events| counters.add_delivered(events));
    }

    /// Counts some events of the item in flight as failed writes, and the others as delivered.
    pub(super) fn settle_partial(&self, refused: u64, reason: &dyn fmt::Display) {
        let is_counted = self.settle(|_, counters, events| {
            let refused = refused.min(events);
            counters.add_write_failed(refused);
            counters.add_delivered(events - refused);
        });
        if is_counted && refused > 0 {
            self.report
                .fault_from(self.destination, Fault::WriteFailed, reason);
        }
    }

    /// Counts the events of the item in flight as failed writes.
    pub(super) fn settle_refused(&self, reason: &dyn fmt::Display) {
        self.settle_failed(|_| {}, reason);
    }

    /// Counts the events of the item in flight as failed writes, because the server failed, and the
    /// item is too old for a retry.
    pub(super) fn give_up(&self, reason: &dyn fmt::Display) {
        self.settle_failed(State::fail_flush, reason);
    }

    fn settle_failed(&self, change: impl FnOnce(&mut State<T>), reason: &dyn fmt::Display) {
        let is_counted = self.settle(|state, counters, events| {
            change(state);
            counters.add_write_failed(events);
        });
        if is_counted {
            self.report
                .fault_from(self.destination, Fault::WriteFailed, reason);
        }
    }

    /// Calls `count` with the number of events of the item in flight, and removes the item. Returns
    /// `false` without a call if the shutdown has already counted them.
    fn settle(&self, count: impl FnOnce(&mut State<T>, &SinkCounters, u64)) -> bool {
        let mut state = self.state.lock();
        let in_flight = state.in_flight.take();
        let is_counted = in_flight.is_some();
        if let Some(InFlight { events, .. }) = in_flight {
            // Counts under the lock, so that the counters are complete when a caller of `flush`
            // returns.
            count(&mut state, &self.counters, events);
        }
        drop(state);
        self.settled.notify_all();
        is_counted
    }

    /// Puts back the halves of the item in flight, before all other items of their urgency.
    pub(super) fn put_back_halves(&self, (first, second): (T, T), pushed_at: Instant) {
        let mut state = self.state.lock();
        // If no item is in flight, the shutdown has counted it.
        if state.in_flight.take().is_some() {
            for item in [second, first] {
                state.lane(&item).push_front(Queued { item, pushed_at });
            }
        }
    }

    /// Puts back the item in flight, before all other items of its urgency.
    pub(super) fn put_back(&self, queued: Queued<T>, reason: &str) {
        let mut state = self.state.lock();
        // If no item is in flight, the shutdown has counted it.
        let is_put_back = state.in_flight.take().is_some();
        if is_put_back {
            state.fail_flush();
            state.lane(&queued.item).push_front(queued);
        }
        drop(state);
        self.settled.notify_all();
        if is_put_back {
            self.retries.fetch_add(1, Ordering::Relaxed);
            let reason = format_args!("cannot send to {}, retrying: {reason}", self.destination);
            self.report
                .fault_from(self.destination, Fault::FlushFailed, &reason);
        }
    }

    /// Returns the number of items and their bytes, including the item in flight, and the number of
    /// waiting events.
    pub(super) fn held(&self) -> (usize, usize, u64) {
        let state = self.state.lock();
        let (items, bytes) = (state.held_items(), state.held_bytes());
        (items, bytes, state.waiting_events())
    }
}

impl QueueLimits {
    /// Returns whether `item` fits beside `items` others, with `bytes` and `events` in total.
    fn allow(self, item: &impl ExportItem, items: usize, bytes: usize, events: u64) -> bool {
        items < self.items
            && bytes.saturating_add(item.bytes()) <= self.bytes
            && events.saturating_add(item.events()) <= self.events
    }
}

impl<T: ExportItem> State<T> {
    fn lane(&mut self, item: &T) -> &mut Lane<T> {
        match item.is_urgent() {
            true => &mut self.urgent,
            false => &mut self.others,
        }
    }

    /// Makes all flushes fail that had begun when the item in flight left the queue.
    fn fail_flush(&mut self) {
        self.failed_flush = self.in_flight_flush;
    }

    fn has_room(&self, item: &T, limits: QueueLimits) -> bool {
        let (items, bytes) = (self.held_items(), self.held_bytes());
        limits.allow(item, items, bytes, self.held_events())
    }

    /// Returns whether there would be room if all waiting items that are not urgent were displaced.
    fn has_room_without_others(&self, item: &T, limits: QueueLimits) -> bool {
        let (items, bytes) = (self.held_items(), self.held_bytes());
        let Lane {
            items: others,
            events: other_events,
            bytes: other_bytes,
        } = &self.others;
        let events = self.held_events() - other_events;
        limits.allow(item, items - others.len(), bytes - other_bytes, events)
    }

    /// Returns the number of items, including the item in flight.
    fn held_items(&self) -> usize {
        let waiting = self.urgent.items.len() + self.others.items.len();
        waiting + usize::from(self.in_flight.is_some())
    }

    /// Returns the bytes of all items, including the item in flight.
    fn held_bytes(&self) -> usize {
        let in_flight = self.in_flight.as_ref().map_or(0, |item| item.bytes);
        self.urgent.bytes + self.others.bytes + in_flight
    }

    /// Returns the number of events of all items, including the item in flight.
    fn held_events(&self) -> u64 {
        let in_flight = self.in_flight.as_ref().map_or(0, |item| item.events);
        self.waiting_events() + in_flight
    }

    fn is_empty(&self) -> bool {
        self.in_flight.is_none() && self.urgent.items.is_empty() && self.others.items.is_empty()
    }

    fn waiting_events(&self) -> u64 {
        self.urgent.events + self.others.events
    }
}

impl<T: ExportItem> Lane<T> {
    /// Returns whether the lane and `item` together have at most half of the items and of the bytes
    /// that the queue may hold.
    fn fits_in_half(&self, item: &T, limits: QueueLimits) -> bool {
        self.items.len() < limits.items / 2 && self.bytes + item.bytes() <= limits.bytes / 2
    }

    fn push_back(&mut self, queued: Queued<T>) {
        self.events += queued.item.events();
        self.bytes += queued.item.bytes();
        self.items.push_back(queued);
    }

    fn push_front(&mut self, queued: Queued<T>) {
        self.events += queued.item.events();
        self.bytes += queued.item.bytes();
        self.items.push_front(queued);
    }

    fn pop_front(&mut self) -> Option<Queued<T>> {
        let queued = self.items.pop_front()?;
        self.events -= queued.item.events();
        self.bytes -= queued.item.bytes();
        Some(queued)
    }

    fn pop_back(&mut self) -> Option<Queued<T>> {
        let queued = self.items.pop_back()?;
        self.events -= queued.item.events();
        self.bytes -= queued.item.bytes();
        Some(queued)
    }
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self {
            urgent: Lane::default(),
            others: Lane::default(),
            in_flight: None,
            flush_waiters: 0,
            last_flush: 0,
            hurried_flush: 0,
            in_flight_flush: 0,
            failed_flush: 0,
            is_signalled: false,
            has_ended: false,
            has_lost: false,
        }
    }
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self {
            items: VecDeque::new(),
            events: 0,
            bytes: 0,
        }
    }
}

impl<T> fmt::Debug for ExportQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportQueue")
            .field("destination", &self.destination)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
