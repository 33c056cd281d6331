//! Flushing, the end, and forks.

use std::{
    io,
    time::{Duration, Instant},
};

use spanwise_core::{Fault, ShutdownReport};

use super::{LineQueue, Phase, State, Worker, deadline_after, sink_call::is_writing_thread};
use crate::{process_hooks::ProcessHooks, record_sink::Retry};

/// A shutdown ends this much before its deadline, or less if there is little time, for a sink that waits to notice.
const STOP_MARGIN: Duration = Duration::from_millis(50);

impl LineQueue {
    /// Waits until all that was accepted is settled.
    pub(crate) fn flush(&self, deadline: Instant) -> io::Result<()> {
        if is_writing_thread() {
            return Err(io::Error::other("the writer cannot wait for itself"));
        }
        let mut state = self.lock();
        let (target, failed) = (state.accepted, state.failed);
        let attempts = state.failing.as_ref().map(|failing| failing.attempts);
        match state.phase {
            Phase::Direct => self.begin_closing(&mut state),
            Phase::Running | Phase::Closing => self.wake_urgently(&mut state),
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
                Phase::Running | Phase::Closing => self.wait_for_progress(state, deadline),
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
        let timeout = match state.last_failed_panic_flush == Some(settled) {
            true => Duration::ZERO,
            false => at_most,
        };
        drop(state);
        let deadline = deadline_after(timeout);
        let flushed = self.flush(deadline);
        // One that did not wait, such as that of a panic of the writer, says nothing about the others.
        if flushed.is_err() && Instant::now() >= deadline && !is_writing_thread() {
            let mut state = self.lock();
            if state.settled == settled {
                state.last_failed_panic_flush = Some(settled);
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

    fn wake_urgently(&self, state: &mut State) {
        state.urgent = true;
        state.worker = Worker::Busy;
        self.work.notify_one();
    }

    /// Writes what is held, and ends the thread. What is left at the deadline is lost, which is reported.
    pub(crate) fn shutdown(&self, deadline: Instant) -> ShutdownReport {
        if !is_writing_thread() {
            self.stop_worker_by(deadline);
            self.report_losses();
        }
        let stats = self.counters.stats();
        ShutdownReport::new(stats.delivered, stats.lost())
    }

    fn stop_worker_by(&self, deadline: Instant) {
        let mut state = self.lock();
        self.begin_closing(&mut state);
        if state.phase == Phase::Direct {
            // Nothing is held, or there is no thread to be had.
            let target = state.accepted;
            state = self.write_until(state, target, deadline, Retry::Now);
            return self.abandon(&mut state);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let event = STOP_MARGIN.min(left / 4);
        let last_call = deadline.checked_sub(event).unwrap_or(deadline);
        // Somebody may be at it already: the program does not end before it is done.
        while state.phase != Phase::Direct && Instant::now() < last_call {
            state = self.wait_for_progress(state, last_call);
        }
        if state.phase == Phase::Direct {
            return;
        }
        self.stop.set(true);
        self.wake_urgently(&mut state);
        while state.phase != Phase::Direct && Instant::now() < deadline {
            state = self.wait_for_progress(state, deadline);
        }
        if state.phase != Phase::Direct {
            self.abandon(&mut state);
        }
    }

    /// Has the thread that writes end once nothing is left. What callers left in the buffer takes a thread too: a writer that does not
    /// come back must not keep the thread that flushes, or ends the program.
    fn begin_closing(&self, state: &mut State) {
        if state.phase == Phase::Direct {
            if state.held == 0 || !state.has_worker && self.spawn_worker(state).is_err() {
                return;
            }
            state.finished = false;
            self.stop.set(false);
        }
        state.phase = Phase::Closing;
        self.wake_urgently(state);
    }

    /// Gives up what is held. From then on callers write.
    pub(super) fn abandon(&self, state: &mut State) {
        let lost = state.accepted - state.settled;
        state.settled = state.accepted;
        state.epoch += 1;
        if lost > 0 {
            state.failed += lost;
            state.last_error.get_or_insert(io::ErrorKind::TimedOut);
        }
        state.held = 0;
        state.buffer.clear();
        state.admission.drained(0);
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

impl ProcessHooks for LineQueue {
    fn before_fork(&self, deadline: Instant) {
        let Some(here) = self.here_if_any() else {
            return;
        };
        let mut state = here.lock();
        if is_writing_thread() {
            state.forking = true;
            return;
        }
        // A parent that ends at once, as that of a daemon does, would take what it holds with it.
        let left = deadline.saturating_duration_since(Instant::now());
        let half = Instant::now() + left / 2;
        let target = state.accepted;
        // Without a thread, the next line writes it: a writer that does not come back must not keep the fork.
        if state.phase != Phase::Direct && state.settled < target {
            here.wake_urgently(&mut state);
        }
        while state.phase != Phase::Direct
            && state.settled < target
            && state.failing.is_none()
            && Instant::now() < half
        {
            state = here.wait_for_progress(state, half);
        }
        state.forking = true;
        while state.writing && Instant::now() < deadline {
            state = here.wait_for_progress(state, deadline);
        }
    }

    fn after_fork(&self) {
        if let Some(here) = self.here_if_any() {
            here.lock().forking = false;
            here.progress.notify_all();
        }
    }

    fn begin_shutdown(&self) {
        if let Some(here) = self.here_if_any() {
            here.begin_closing(&mut here.lock());
        }
    }

    fn finish(&self, deadline: Instant) {
        if let Some(here) = self.here_if_any() {
            here.shutdown(deadline);
        }
    }
}
