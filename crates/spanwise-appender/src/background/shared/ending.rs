//! Flushing, the end, and forks.

use std::{
    io,
    time::{Duration, Instant},
};

use spanwise_core::Fault;

use super::{Phase, Shared, State, Worker, attempt::is_writing, deadline_after, direct::Retry};
use crate::{background::Report, process::Lives};

/// A shutdown ends this much before its deadline, or less if there is little time, for a sink that waits to notice.
const NOTICE: Duration = Duration::from_millis(50);

impl Shared {
    /// Waits until all that was accepted is settled.
    pub(crate) fn flush(&self, deadline: Instant) -> io::Result<()> {
        if is_writing() {
            return Err(io::Error::other("the writer cannot wait for itself"));
        }
        let mut state = self.lock();
        let (target, failed) = (state.accepted, state.failed);
        let attempts = state.failing.as_ref().map(|failing| failing.attempts);
        match state.phase {
            Phase::Direct => self.begin_to_end(&mut state),
            Phase::Running | Phase::Closing => self.hurry(&mut state),
        }
        while state.settled < target && Instant::now() < deadline {
            // A sink that refuses lines is tried once more, and not waited for.
            if let Some(failing) = &state.failing
                && attempts.is_none_or(|before| failing.attempts > before)
            {
                return Err(self.refused(&state));
            }
            state = match state.phase {
                // There is no thread to be had.
                Phase::Direct => self.write_until(state, target, deadline, Retry::Now),
                Phase::Running | Phase::Closing => self.watch_until(state, deadline),
            };
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

    /// Flushes before a panic goes on. Each panic of a program that survives them would wait for an output that is stalled: once one
    /// waited in vain, the others do not wait until the output takes something.
    pub(crate) fn flush_in_panic(&self, at_most: Duration) -> io::Result<()> {
        let state = self.lock();
        let settled = state.settled;
        let timeout = match state.panicked_in_vain == Some(settled) {
            true => Duration::ZERO,
            false => at_most,
        };
        drop(state);
        let deadline = deadline_after(timeout);
        let flushed = self.flush(deadline);
        // One that did not wait, such as that of a panic of the writer, says nothing about the others.
        if flushed.is_err() && Instant::now() >= deadline && !is_writing() {
            let mut state = self.lock();
            if state.settled == settled {
                state.panicked_in_vain = Some(settled);
            }
        }
        flushed
    }

    fn refused(&self, state: &State) -> io::Error {
        let kind = state.last_error.unwrap_or(io::ErrorKind::Other);
        let held = state.accepted - state.settled;
        let why = format!("{}: {kind}; {held} lines are still held", self.options.name);
        io::Error::new(kind, why)
    }

    fn hurry(&self, state: &mut State) {
        state.urgent = true;
        state.worker = Worker::Busy;
        self.work.notify_one();
    }

    /// Writes what is held, and ends the thread. What is left at the deadline is lost, which is reported.
    pub(crate) fn shutdown(&self, deadline: Instant) -> Report {
        if !is_writing() {
            self.end_by(deadline);
            self.report_losses();
        }
        let stats = self.counters.stats();
        Report {
            delivered: stats.delivered,
            lost: stats.lost(),
        }
    }

    fn end_by(&self, deadline: Instant) {
        let mut state = self.lock();
        self.begin_to_end(&mut state);
        if state.phase == Phase::Direct {
            // Nothing is held, or there is no thread to be had.
            let target = state.accepted;
            state = self.write_until(state, target, deadline, Retry::Now);
            return self.give_up(&mut state);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let notice = NOTICE.min(left / 4);
        let last_call = deadline.checked_sub(notice).unwrap_or(deadline);
        // Somebody may be at it already: the program does not end before it is done.
        while state.phase != Phase::Direct && Instant::now() < last_call {
            state = self.watch_until(state, last_call);
        }
        if state.phase == Phase::Direct {
            return;
        }
        self.stop.set(true);
        self.hurry(&mut state);
        while state.phase != Phase::Direct && Instant::now() < deadline {
            state = self.watch_until(state, deadline);
        }
        if state.phase != Phase::Direct {
            self.give_up(&mut state);
        }
    }

    /// Has the thread that writes end once nothing is left. What callers left in the buffer takes a thread too: a writer that does not
    /// come back must not keep the thread that flushes, or ends the program.
    fn begin_to_end(&self, state: &mut State) {
        if state.phase == Phase::Direct {
            if state.held == 0 || !state.has_worker && self.spawn_worker(state).is_err() {
                return;
            }
            state.finished = false;
            self.stop.set(false);
        }
        state.phase = Phase::Closing;
        self.hurry(state);
    }

    /// Gives up what is held. From then on callers write.
    pub(super) fn give_up(&self, state: &mut State) {
        let lost = state.accepted - state.settled;
        state.settled = state.accepted;
        state.epoch += 1;
        if lost > 0 {
            state.failed += lost;
            state.last_error.get_or_insert(io::ErrorKind::TimedOut);
        }
        state.held = 0;
        state.buffer.clear();
        state.ladder.drained(0);
        state.phase = Phase::Direct;
        self.counters.add_lost_at_shutdown(lost);
        self.progress.notify_all();
    }

    /// Reports the total of what is lost, unless it was reported.
    fn report_losses(&self) {
        let mut state = self.lock();
        let stats = self.counters.stats();
        let is_news = stats.lost() > state.reported_lost;
        state.reported_lost = stats.lost();
        drop(state);
        if is_news {
            self.report.fault_unthrottled(Fault::Lost, &stats);
        }
    }
}

impl Lives for Shared {
    fn hold_still(&self, deadline: Instant) {
        let Some(here) = self.here_if_any() else {
            return;
        };
        let mut state = here.lock();
        if is_writing() {
            state.forking = true;
            return;
        }
        // A parent that ends at once, as that of a daemon does, would take what it holds with it.
        let left = deadline.saturating_duration_since(Instant::now());
        let half = Instant::now() + left / 2;
        let target = state.accepted;
        // Without a thread, the next line writes it: a writer that does not come back must not keep the fork.
        if state.phase != Phase::Direct && state.settled < target {
            here.hurry(&mut state);
        }
        while state.phase != Phase::Direct
            && state.settled < target
            && state.failing.is_none()
            && Instant::now() < half
        {
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
            here.progress.notify_all();
        }
    }

    fn begin_to_finish(&self) {
        if let Some(here) = self.here_if_any() {
            here.begin_to_end(&mut here.lock());
        }
    }

    fn finish(&self, deadline: Instant) {
        if let Some(here) = self.here_if_any() {
            here.shutdown(deadline);
        }
    }
}
