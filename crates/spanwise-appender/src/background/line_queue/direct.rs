//! Writes lines on the logging threads, without a writer thread.
//!
//! A line is added to the buffer as usual. One thread at a time has the *turn*: only this thread
//! calls the sink. A logging thread with the turn passes the oldest lines to the sink, for at most
//! as long as its own line may wait. Lines that were not written in this time stay in the buffer.
//! The next logging thread writes them, or they are written when the process ends.

use std::{
    thread,
    time::{Duration, Instant},
};

use spanwise_core::internal::{
    deadline_after, panic_safe, reentrancy::WriterRole, sync::MutexGuard,
};

use super::{LineQueue, State, sink_call::is_writing_thread};
use crate::record_sink::{Retry, StopFlag};

/// The longest wait of a logging call for the output. After it, the line stays in the buffer and is
/// written later.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// The result of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TurnResult {
    /// The output accepted records, and may accept more.
    Progress,
    /// The reader did not read in time.
    TimedOut,
    /// The output refused records, or the buffer is empty.
    Over,
}

impl LineQueue {
    /// Accepts a record, and writes it if the output accepts it in time.
    pub(super) fn accept_direct(&self, mut state: MutexGuard<'_, State>, record: &[u8]) {
        state.push(record);
        let target = state.counts.accepted;
        let deadline = deadline_after(self.max_direct_wait(&state));
        let mut state = self.write_until(state, target, deadline, Retry::AfterBackoff);
        let is_last = false;
        let event = state.take_due_loss_event(&self.counters, self.options.capacity, is_last);
        drop(state);
        if let Some(event) = event {
            // Logs on another thread. This thread is inside a layer, which may hold a lock that the
            // event needs.
            let output = self.options.name.clone();
            let log = move || {
                let _ = panic_safe::catch_panic(|| event.log(&output));
            };
            let thread = thread::Builder::new().name("spanwise-notice".to_owned());
            // If the thread cannot be started, only the counters show the loss.
            let _ = thread.spawn(log);
        }
    }

    /// Returns how long a line may wait for the output. Zero if this thread is writing, if the
    /// output is failing, or if the last wait timed out and no record was settled since.
    fn max_direct_wait(&self, state: &State) -> Duration {
        if is_writing_thread() || state.is_stalled() {
            Duration::ZERO
        } else {
            self.options.when_full.max_wait().min(MAX_WAIT)
        }
    }

    /// Writes until `target` records were settled since the queue was created, the deadline has
    /// passed, or the output refuses records.
    pub(super) fn write_until<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        target: u64,
        deadline: Instant,
        retry: Retry,
    ) -> MutexGuard<'a, State> {
        let mut settled_before_wait = None;
        while state.counts.settled < target {
            let settled = state.counts.settled;
            if state.lifecycle.is_turn_taken || state.lifecycle.is_forking() {
                // A writing thread may itself have the turn, so it must not wait for the turn's
                // end.
                if is_writing_thread() {
                    break;
                }
                if Instant::now() >= deadline {
                    if state.lifecycle.is_turn_taken && settled_before_wait == Some(settled) {
                        state.health.settled_at_failed_wait = Some(settled);
                    }
                    break;
                }
                settled_before_wait.get_or_insert(settled);
                state = self.wait_for_progress(state, deadline);
                continue;
            }
            if retry == Retry::AfterBackoff && state.health.is_backing_off() {
                break;
            }
            let turn;
            (state, turn) = self.write_chunk(state, deadline);
            if turn == TurnResult::TimedOut && state.counts.settled == settled {
                state.health.settled_at_failed_wait = Some(settled);
                break;
            }
            if turn == TurnResult::Over || Instant::now() >= deadline {
                break;
            }
        }
        state
    }

    /// Takes the turn for one call of the sink with the oldest records. The sink may wait for its
    /// reader until the deadline.
    fn write_chunk<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        deadline: Instant,
    ) -> (MutexGuard<'a, State>, TurnResult) {
        let Some(mut chunk) = state.take_turn() else {
            return (state, TurnResult::Over);
        };
        let epoch = state.lifecycle.epoch;
        drop(state);
        let role_guard = WriterRole::WritingCaller.enter();
        let attempt = self.attempt(&mut chunk, &StopFlag::with_deadline(deadline));
        self.report_failure(&attempt);
        let turn = match (&attempt.error, attempt.timed_out) {
            (Some(_), _) => TurnResult::Over,
            (None, true) => TurnResult::TimedOut,
            (None, false) => TurnResult::Progress,
        };
        drop(role_guard);
        let mut state = self.state.lock();
        state.lifecycle.is_turn_taken = false;
        // A different epoch means that the chunk was abandoned and counted during the write.
        if state.lifecycle.epoch == epoch {
            state.settle(attempt, &self.counters);
            state.buffer.put_back(chunk);
        }
        if state.wakeups.waiters > 0 {
            self.progress.notify_all();
        }
        (state, turn)
    }
}
