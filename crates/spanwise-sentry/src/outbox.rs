//! What waits to be sent: bounded in number and in bytes, and counted when it does not fit.

use std::{
    collections::VecDeque,
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use spanwise_core::{
    Fault, SelfReport,
    internal::{
        SinkCounters,
        sync::{Condvar, Mutex, MutexGuard},
    },
};
use tracing_core::Level;

use crate::rate_limits::Category;

/// An envelope, ready to be sent.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) category: Category,
    /// How many events, transactions or logs are in it.
    pub(crate) items: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) queued: Instant,
}

impl Parcel {
    fn level(&self) -> Level {
        match self.category {
            Category::Error => Level::ERROR,
            Category::Transaction | Category::Log | Category::Other => Level::INFO,
        }
    }
}

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) parcels: usize,
    pub(crate) bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// For the thread that sends.
    work: Condvar,
    /// For those who wait until all is sent.
    done: Condvar,
    bounds: Bounds,
    pub(crate) counters: Arc<SinkCounters>,
    pub(crate) report: SelfReport,
}

#[derive(Debug, Default)]
struct State {
    errors: Queue,
    others: Queue,
    /// Items of the parcel that is being sent.
    in_flight: u64,
    /// Somebody waits until all is sent: there is no time to be patient with a server.
    hurry: u32,
    /// Counts those who ever waited.
    flushes: u64,
    /// The last of them who waited when the sending of the parcel in flight began, or of the last one that was put back.
    in_flight_for: u64,
    /// The last of them who was told that the server takes nothing.
    refused: u64,
    /// The time of the next tick is another now.
    woken: bool,
    ended: bool,
}

#[derive(Debug, Default)]
struct Queue {
    parcels: VecDeque<Parcel>,
    bytes: usize,
}

/// What the thread that sends is to do next.
#[derive(Debug)]
pub(crate) enum Next {
    Send(Parcel),
    /// The time has come that was asked for, or there is another to ask for.
    Tick,
    End,
}

impl Outbox {
    pub(crate) fn new(bounds: Bounds, counters: Arc<SinkCounters>, report: SelfReport) -> Self {
        Self {
            state: Mutex::default(),
            work: Condvar::new(),
            done: Condvar::new(),
            bounds,
            counters,
            report,
        }
    }

    /// Takes a parcel in, or counts it as left out. Errors go before everything else, which gets half of the room at most.
    pub(crate) fn push(&self, parcel: Parcel) {
        let mut state = self.lock();
        if state.ended {
            drop(state);
            self.counters.add_lost_at_shutdown(parcel.items);
            return;
        }
        let mut shed = Vec::new();
        let Bounds { parcels, bytes } = self.bounds;
        if parcel.category == Category::Error {
            while !state.has_room(&parcel, self.bounds) {
                match state.others.pop_back() {
                    Some(other) => shed.push(other),
                    None => break,
                }
            }
            if state.has_room(&parcel, self.bounds) {
                state.errors.push_back(parcel);
            } else {
                shed.push(parcel);
            }
        } else {
            let others = &state.others;
            let is_half = others.parcels.len() >= parcels / 2
                || others.bytes + parcel.bytes.len() > bytes / 2;
            if is_half || !state.has_room(&parcel, self.bounds) {
                shed.push(parcel);
            } else {
                state.others.push_back(parcel);
            }
        }
        drop(state);
        self.work.notify_one();
        if !shed.is_empty() {
            self.shed(&shed);
        }
    }

    #[cold]
    fn shed(&self, parcels: &[Parcel]) {
        for parcel in parcels {
            for _ in 0..parcel.items {
                self.counters.shed(parcel.level());
            }
        }
        let why = "Sentry is behind, and no more events are kept for it";
        self.report.fault(Fault::Shed, &why);
    }

    /// Waits for a parcel, at most until `tick`. With `not_before`, which those in a hurry do not wait for, none is given out earlier.
    pub(crate) fn next(&self, tick: Option<Instant>, not_before: Option<Instant>) -> Next {
        let mut state = self.lock();
        loop {
            if state.ended {
                return Next::End;
            }
            let now = Instant::now();
            if mem::take(&mut state.woken) || tick.is_some_and(|tick| now >= tick) {
                return Next::Tick;
            }
            // Who was told that the server takes nothing is in no hurry any more, even if still to wake up.
            let hurries = state.hurry > 0 && state.refused < state.flushes;
            let wait = not_before.filter(|at| *at > now && !hurries);
            if wait.is_none()
                && let Some(parcel) = state.pop()
            {
                state.in_flight = parcel.items;
                state.in_flight_for = state.flushes;
                return Next::Send(parcel);
            }
            let until = [tick, wait].into_iter().flatten().min();
            state = match until {
                None => self.work.wait(state),
                Some(until) => {
                    let rest = until.saturating_duration_since(now);
                    let (state, _) = self.work.wait_timeout(state, rest);
                    state
                }
            };
        }
    }

    /// Has the thread that sends ask again when there is something else to do: it may sleep without end, or for too long.
    pub(crate) fn wake(&self) {
        self.lock().woken = true;
        self.work.notify_one();
    }

    /// The parcel in flight is settled, and counted by `count`. False if it was counted as lost before.
    pub(crate) fn settle(&self, count: impl FnOnce(&SinkCounters, u64)) -> bool {
        let mut state = self.lock();
        let items = mem::take(&mut state.in_flight);
        if !state.ended {
            // Before anybody can see that it is settled.
            count(&self.counters, items);
        }
        let counts = !state.ended;
        drop(state);
        self.done.notify_all();
        counts
    }

    /// The parcel in flight could not be sent now, and is the first to be sent later.
    pub(crate) fn put_back(&self, parcel: Parcel) {
        let mut state = self.lock();
        state.in_flight = 0;
        // Lost with the rest, and counted, if that was the end.
        if !state.ended {
            let queue = match parcel.category {
                Category::Error => &mut state.errors,
                Category::Transaction | Category::Log | Category::Other => &mut state.others,
            };
            queue.bytes += parcel.bytes.len();
            queue.parcels.push_front(parcel);
            state.refused = state.in_flight_for;
        }
        drop(state);
        self.done.notify_all();
    }

    /// Waits until all that is there is sent, but no longer than until `deadline`, nor for a server that takes nothing. That it took
    /// nothing before does not count: it is asked again.
    pub(crate) fn flush(&self, deadline: Instant) -> bool {
        let mut state = self.lock();
        state.hurry += 1;
        state.flushes += 1;
        let own = state.flushes;
        self.work.notify_all();
        let flushed = loop {
            if state.is_empty() {
                break true;
            }
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() || state.refused >= own || state.ended {
                break false;
            }
            let (next, _) = self.done.wait_timeout(state, rest);
            state = next;
        };
        state.hurry -= 1;
        flushed
    }

    /// Sends what can be sent until `deadline`; the rest is lost, and counted. The thread that sends is left to itself.
    pub(crate) fn end(&self, deadline: Instant) {
        let flushed = self.flush(deadline);
        let mut state = self.lock();
        if state.ended {
            return;
        }
        state.ended = true;
        let lost = mem::take(&mut state.in_flight) + state.items();
        state.errors = Queue::default();
        state.others = Queue::default();
        drop(state);
        self.work.notify_all();
        self.counters.add_lost_at_shutdown(lost);
        if !flushed && lost > 0 {
            let why = format_args!("{lost} events were not sent to Sentry before the end");
            self.report.fault_unthrottled(Fault::Lost, &why);
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.lock().ended
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn has_room(&self, parcel: &Parcel, bounds: Bounds) -> bool {
        let count = self.errors.parcels.len() + self.others.parcels.len();
        let bytes = self.errors.bytes + self.others.bytes;
        count < bounds.parcels && bytes + parcel.bytes.len() <= bounds.bytes
    }

    fn pop(&mut self) -> Option<Parcel> {
        self.errors.pop_front().or_else(|| self.others.pop_front())
    }

    fn is_empty(&self) -> bool {
        self.in_flight == 0 && self.errors.parcels.is_empty() && self.others.parcels.is_empty()
    }

    fn items(&self) -> u64 {
        let parcels = self.errors.parcels.iter().chain(&self.others.parcels);
        parcels.map(|parcel| parcel.items).sum()
    }
}

impl Queue {
    fn push_back(&mut self, parcel: Parcel) {
        self.bytes += parcel.bytes.len();
        self.parcels.push_back(parcel);
    }

    fn pop_front(&mut self) -> Option<Parcel> {
        let parcel = self.parcels.pop_front()?;
        self.bytes -= parcel.bytes.len();
        Some(parcel)
    }

    fn pop_back(&mut self) -> Option<Parcel> {
        let parcel = self.parcels.pop_back()?;
        self.bytes -= parcel.bytes.len();
        Some(parcel)
    }
}

/// How long to wait after failures in a row.
pub(crate) fn pause(failures: u32) -> Duration {
    const LONGEST: Duration = Duration::from_secs(60);
    Duration::from_secs(1 << failures.saturating_sub(1).min(6)).min(LONGEST)
}
