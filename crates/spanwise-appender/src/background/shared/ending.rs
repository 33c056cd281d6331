//! Flushing, the end, and forks.

use std::{
    io, mem,
    sync::{PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use spanwise_core::{Fault, guarded};

use super::{Phase, Shared, State, Worker, is_worker};
use crate::{background::Report, process::Lives, sink::Records};

/// A shutdown ends this much before its deadline, or less if there is little time, for a sink that waits to notice.
const NOTICE: Duration = Duration::from_millis(50);

impl Shared {
    /// Waits until all that was accepted is settled.
    pub(crate) fn flush(&self, deadline: Instant) -> io::Result<()> {
        if is_worker() {
            return Err(io::Error::other("the writer cannot wait for itself"));
        }
        let mut state = self.lock();
        let (target, failed) = (state.accepted, state.failed);
        let attempts = state.failing.as_ref().map(|failing| failing.attempts);
        self.hurry(&mut state);
        while state.settled < target && Instant::now() < deadline {
            // A sink that refuses lines is tried once more, and not waited for.
            if let Some(failing) = &state.failing
                && attempts.is_none_or(|before| failing.attempts > before)
            {
                return Err(self.refused(&state));
            }
            state = self.watch_until(state, deadline);
        }
        if state.settled < target {
            let left = target - state.settled;
            let why = format!("{}: {left} lines are still held", self.options.name);
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        if state.failed > failed {
            return Err(self.refused(&state));
        }
        Ok(())
    }

    fn refused(&self, state: &State) -> io::Error {
        let kind = state.last_error.unwrap_or(io::ErrorKind::Other);
        io::Error::new(kind, format!("{}: {kind}", self.options.name))
    }

    fn hurry(&self, state: &mut State) {
        state.urgent = true;
        state.worker = Worker::Busy;
        self.work.notify_one();
    }

    /// Writes what is held, and ends the thread. What is left at the deadline is lost.
    pub(crate) fn shutdown(&self, deadline: Instant) -> Report {
        let mut state = self.lock();
        // Somebody may be at it already: the program does not end before it is done.
        if !state.phase.is_over() && !is_worker() {
            state.phase = Phase::Closing;
            self.hurry(&mut state);
            let left = deadline.saturating_duration_since(Instant::now());
            let notice = NOTICE.min(left / 4);
            let last_call = deadline.checked_sub(notice).unwrap_or(deadline);
            while !state.phase.is_over() && Instant::now() < last_call {
                state = self.watch_until(state, last_call);
            }
            self.stop.store(true, Ordering::Relaxed);
            self.hurry(&mut state);
            while !state.phase.is_over() && Instant::now() < deadline {
                state = self.watch_until(state, deadline);
            }
            self.abandon(&mut state);
            let first = !mem::replace(&mut state.summed_up, true);
            drop(state);
            let stats = self.counters.stats();
            if first && stats.lost() > 0 {
                self.report.last_fault(Fault::Lost, &stats);
            }
        }
        let stats = self.counters.stats();
        Report {
            delivered: stats.delivered,
            lost: stats.lost(),
        }
    }

    /// Gives up what is held.
    pub(super) fn abandon(&self, state: &mut State) {
        if state.phase.is_over() {
            return;
        }
        let lost = state.accepted - state.settled;
        state.settled = state.accepted;
        if lost > 0 {
            state.failed += lost;
            state.last_error.get_or_insert(io::ErrorKind::TimedOut);
        }
        state.held = 0;
        state.buffer.clear();
        state.phase = if lost == 0 {
            Phase::Direct
        } else {
            Phase::GivenUp
        };
        self.counters.add_lost_at_shutdown(lost);
        self.progress.notify_all();
    }

    /// There is no thread any more: the record is written here, if the sink takes it without waiting.
    #[cold]
    pub(super) fn write_directly(&self, record: &[u8]) {
        let records = Records {
            bytes: record,
            ends: &[record.len()],
        };
        // Of others who do the same.
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let written = guarded::catch(|| sink.write(records, &self.stop));
        if written.is_some_and(|written| written.delivered == 1) {
            self.counters.delivered();
        } else {
            self.lock().phase = Phase::GivenUp;
            self.counters.add_lost_at_shutdown(1);
        }
    }
}

impl Lives for Shared {
    fn hold_still(&self, deadline: Instant) {
        let Some(here) = self.here_if_any() else {
            return;
        };
        let mut state = here.lock();
        if is_worker() {
            state.forking = true;
            return;
        }
        // A parent that ends at once, as that of a daemon does, would take what it holds with it.
        let left = deadline.saturating_duration_since(Instant::now());
        let half = Instant::now() + left / 2;
        let target = state.accepted;
        if state.settled < target {
            here.hurry(&mut state);
        }
        while state.settled < target && state.failing.is_none() && Instant::now() < half {
            state = here.watch_until(state, half);
        }
        state.forking = true;
        while state.writing && Instant::now() < deadline {
            state = here.watch_until(state, deadline);
        }
    }

    fn go_on(&self) {
        if let Some(here) = self.here_if_any() {
            here.lock().forking = false;
        }
    }

    fn begin_to_finish(&self) {
        if let Some(here) = self.here_if_any() {
            let mut state = here.lock();
            if state.phase == Phase::Running {
                state.phase = Phase::Closing;
                here.hurry(&mut state);
            }
        }
    }

    fn finish(&self, deadline: Instant) {
        if let Some(here) = self.here_if_any() {
            here.shutdown(deadline);
        }
    }
}
