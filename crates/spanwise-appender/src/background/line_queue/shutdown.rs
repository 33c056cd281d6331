//! Flushing, shutting down, and preparing for forks.

use std::{
    io,
    time::{Duration, Instant},
};

use spanwise_core::{
    Fault, ShutdownReport,
    internal::{deadline_after, sync::MutexGuard},
};

use super::{
    LineQueue, ProcessQueue, State,
    sink_call::is_writing_thread,
    state::{Phase, WorkerState},
};
use crate::{process_hooks::ProcessHooks, record_sink::Retry};

/// A shutdown stops the sink this long before its deadline, so that the sink can still return. The
/// margin is at most a quarter of the remaining time.
const STOP_MARGIN: Duration = Duration::from_millis(50);

impl LineQueue {
    /// Waits until all records accepted so far are delivered or lost.
    pub(crate) fn flush(&self, deadline: Instant) -> io::Result<()> {
        if is_writing_thread() {
            return Err(io::Error::other("the writer cannot wait for itself"));
        }
        let mut state = self.state.lock();
        let (target, lost_before) = (state.counts.accepted, state.counts.lost);
        let attempts_before = state.health.failed_attempts;
        match state.lifecycle.phase {
            Phase::Direct => self.begin_closing(&mut state),
            Phase::Running | Phase::Closing => self.wake_worker(&mut state),
        }
        while state.counts.settled < target && Instant::now() < deadline {
            // If the output already failed before the flush, it gets one more attempt. If an
            // attempt fails during the flush, the flush does not wait for the next one.
            if state.health.failing.is_some() && state.health.failed_attempts > attempts_before {
                return Err(self.refusal_error(&state));
            }
            state = match state.lifecycle.phase {
                // No writer thread could be started, so this thread writes.
                Phase::Direct => self.write_until(state, target, deadline, Retry::Now),
                Phase::Running | Phase::Closing => self.wait_for_progress(state, deadline),
            };
        }
        if state.counts.settled < target {
            let held = target - state.counts.settled;
            let why = format!("{}: {held} lines are still held", self.options.name);
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        if state.counts.lost > lost_before {
            return Err(self.refusal_error(&state));
        }
        Ok(())
    }

    /// Flushes before a panic continues. After a timeout, later panics skip the wait for as long as
    /// no further record is settled. In a program that catches panics, each panic would otherwise
    /// wait for a stalled output.
    pub(crate) fn flush_in_panic(&self, timeout: Duration) -> io::Result<()> {
        let state = self.state.lock();
        let settled = state.counts.settled;
        let timeout = match state.health.settled_at_failed_panic_flush == Some(settled) {
            true => Duration::ZERO,
            false => timeout,
        };
        drop(state);
        let deadline = deadline_after(timeout);
        let flushed = self.flush(deadline);
        // A flush that did not wait, for example in a panic of the writer, does not show that the
        // output is stalled.
        let has_waited = !timeout.is_zero() && Instant::now() >= deadline && !is_writing_thread();
        if flushed.is_err() && has_waited {
            let mut state = self.state.lock();
            if state.counts.settled == settled {
                state.health.settled_at_failed_panic_flush = Some(settled);
            }
        }
        flushed
    }

    fn refusal_error(&self, state: &State) -> io::Error {
        let kind = state.health.last_error.unwrap_or(io::ErrorKind::Other);
        let held = state.counts.unsettled();
        let why = format!("{}: {kind}; {held} lines are still held", self.options.name);
        io::Error::new(kind, why)
    }

    /// Makes the writer thread write all buffered records now.
    fn wake_worker(&self, state: &mut State) {
        state.wakeups.urgent = true;
        state.wakeups.worker = WorkerState::Busy;
        self.worker_wakeup.notify_one();
    }

    /// Writes the held records, and ends the writer thread. Records that are still held at the
    /// deadline are lost and reported.
    pub(crate) fn shutdown(&self, deadline: Instant) -> ShutdownReport {
        if !is_writing_thread() {
            self.end_by(deadline);
            self.report_losses();
        }
        ShutdownReport::from_stats(&[self.counters.stats()])
    }

    fn end_by(&self, deadline: Instant) {
        let mut state = self.state.lock();
        self.begin_closing(&mut state);
        if state.lifecycle.phase == Phase::Direct {
            // The buffer is empty, or no writer thread could be started.
            let target = state.counts.accepted;
            state = self.write_until(state, target, deadline, Retry::Now);
            return self.abandon(&mut state);
        }
        let time_left = deadline.saturating_duration_since(Instant::now());
        let margin = STOP_MARGIN.min(time_left / 4);
        // Also waits if another thread is already shutting down the queue, so that the program does
        // not end before the records are written.
        state = self.wait_for_end(state, deadline.checked_sub(margin).unwrap_or(deadline));
        if state.lifecycle.phase == Phase::Direct {
            return;
        }
        self.stop.set(true);
        self.wake_worker(&mut state);
        state = self.wait_for_end(state, deadline);
        if state.lifecycle.phase != Phase::Direct {
            self.abandon(&mut state);
        }
    }

    /// Waits until the writer thread has ended, or the deadline has passed.
    fn wait_for_end<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        deadline: Instant,
    ) -> MutexGuard<'a, State> {
        while state.lifecycle.phase != Phase::Direct && Instant::now() < deadline {
            state = self.wait_for_progress(state, deadline);
        }
        state
    }

    /// Makes the writer thread end once the buffer is empty. If there is no writer thread and
    /// logging threads left records in the buffer, starts one that writes them. So a sink that
    /// never returns cannot block the thread that flushes or ends the program.
    fn begin_closing(&self, state: &mut State) {
        if state.lifecycle.phase == Phase::Direct {
            let has_worker = state.lifecycle.has_worker;
            if state.counts.held_bytes == 0 || !has_worker && self.spawn_worker(state).is_err() {
                return;
            }
            state.lifecycle.finish_started = false;
            self.stop.set(false);
        }
        state.lifecycle.phase = Phase::Closing;
        self.wake_worker(state);
    }

    /// Counts all held records as lost at the shutdown. The logging threads write later records.
    pub(super) fn abandon(&self, state: &mut State) {
        let lost = state.abandon();
        self.counters.add_lost_at_shutdown(lost);
        self.progress.notify_all();
    }

    /// Reports the total of lost records, if it changed since the last report.
    fn report_losses(&self) {
        let mut state = self.state.lock();
        let stats = self.counters.stats();
        let is_news = stats.lost() > state.lifecycle.reported_losses;
        state.lifecycle.reported_losses = stats.lost();
        drop(state);
        if is_news {
            self.report.fault_unthrottled(Fault::Lost, &stats);
        }
    }

    /// Waits until the buffered records are written, because a daemonizing parent exits right after
    /// the fork. This takes at most half of the time until `deadline`. Then waits for a write in
    /// progress. After a timeout, later forks skip both waits for as long as no further record is
    /// settled.
    fn prepare_fork(&self, deadline: Instant) {
        let mut state = self.state.lock();
        if is_writing_thread() {
            state.lifecycle.forking += 1;
            return;
        }
        let target = state.counts.accepted;
        let settled = state.counts.settled;
        let has_held_records = |state: &State| {
            // Without a writer thread, this thread would have to write the records, and a sink that
            // never returns would block the fork. The next logging call writes them.
            state.lifecycle.phase != Phase::Direct && state.counts.settled < target
        };
        let now = Instant::now();
        let deadline = match state.health.settled_at_failed_fork_wait == Some(settled) {
            true => now,
            false => deadline,
        };
        let half_deadline = now + deadline.saturating_duration_since(now) / 2;
        if has_held_records(&state) {
            self.wake_worker(&mut state);
        }
        while has_held_records(&state)
            && state.health.failing.is_none()
            && Instant::now() < half_deadline
        {
            state = self.wait_for_progress(state, half_deadline);
        }
        state.lifecycle.forking += 1;
        while state.lifecycle.is_turn_taken && Instant::now() < deadline {
            state = self.wait_for_progress(state, deadline);
        }
        let is_stuck = Instant::now() >= half_deadline && state.counts.settled == settled;
        if is_stuck && (has_held_records(&state) || state.lifecycle.is_turn_taken) {
            state.health.settled_at_failed_fork_wait = Some(settled);
        }
    }
}

impl ProcessHooks for ProcessQueue {
    fn before_fork(&self, deadline: Instant) -> bool {
        let queue = self.created_for_this_process();
        if let Some(queue) = queue {
            queue.prepare_fork(deadline);
        }
        queue.is_some()
    }

    fn after_fork(&self) {
        if let Some(queue) = self.created_for_this_process() {
            let mut state = queue.state.lock();
            state.lifecycle.forking -= 1;
            drop(state);
            queue.progress.notify_all();
        }
    }

    fn begin_shutdown(&self) {
        if let Some(queue) = self.created_for_this_process() {
            queue.begin_closing(&mut queue.state.lock());
        }
    }

    fn shutdown(&self, deadline: Instant) {
        if let Some(queue) = self.created_for_this_process() {
            queue.shutdown(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            mpsc::{Receiver, Sender, channel},
        },
        thread,
    };

    use spanwise_core::{SelfReport, internal::deadline_after};
    use spanwise_testing::support::wait_until;
    use tracing::Level;

    use super::*;
    use crate::{
        background::Options,
        record_sink::{RecordSink, Records, StopFlag, WriteOutcome},
    };

    /// A sink that reports each write to the test, and returns the next outcome from the test: the
    /// number of delivered records, and an error.
    struct ScriptedSink {
        began: Sender<()>,
        outcomes: Receiver<(usize, Option<io::ErrorKind>)>,
    }

    impl RecordSink for ScriptedSink {
        fn write(&mut self, records: Records<'_>, _: &StopFlag) -> WriteOutcome {
            let _ = self.began.send(());
            match self.outcomes.recv() {
                Ok((delivered, Some(kind))) => {
                    WriteOutcome::stopped_at(records, delivered, kind.into())
                }
                Ok((delivered, None)) => WriteOutcome::partial(delivered),
                // The test has ended.
                Err(_) => WriteOutcome::all(records),
            }
        }
    }

    #[test]
    fn flush_reports_a_failure_after_a_recovery() {
        let (began_sender, began) = channel();
        let (outcomes, outcome_receiver) = channel();
        let sink = ScriptedSink {
            began: began_sender,
            outcomes: outcome_receiver,
        };
        let options = Options {
            capacity: 4096,
            ..Options::default()
        };
        let report = SelfReport::silent();
        let counters = report.sink("test");
        let handle = LineQueue::start(options, Box::new(sink), counters, report).unwrap();
        let queue = handle.created_for_this_process().unwrap();
        queue.append(Level::ERROR, b"a\n");
        began.recv().unwrap();
        queue.append(Level::ERROR, b"b\n");
        outcomes
            .send((0, Some(io::ErrorKind::StorageFull)))
            .unwrap();
        // When the second attempt begins, the failure of the first one is counted.
        began.recv().unwrap();
        let flushing = thread::spawn({
            let handle = Arc::clone(&handle);
            move || {
                let queue = handle.created_for_this_process().unwrap();
                queue.flush(deadline_after(Duration::from_secs(20)))
            }
        });
        wait_until("the flush waits", || {
            queue.state.lock().wakeups.waiters == 1
        });
        // The output recovers, and fails again at the second line.
        outcomes.send((1, None)).unwrap();
        outcomes
            .send((0, Some(io::ErrorKind::QuotaExceeded)))
            .unwrap();
        let error = flushing.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
    }
}
