//! Writes on the threads that log, without a writer thread.
//!
//! A line goes into the buffer as usual. One caller at a time has the turn: it takes the oldest
//! lines to the sink, for at most as long as its own line may wait. Lines that the output does not
//! take in that time stay in the buffer, for the next caller or the end of the process.

use std::{
    thread,
    time::{Duration, Instant},
};

use spanwise_core::internal::{
    deadline_after, panic_safe, reentrancy::WriterRole, sync::MutexGuard,
};

use super::{LineQueue, State, sink_call::is_writing_thread};
use crate::record_sink::{Retry, StopFlag};

/// How long a line waits for the output. It is not lost after that, only written later.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// The result of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The output took records, and may take more.
    Progress,
    /// The reader took nothing more in time.
    TimedOut,
    /// The output refused records, or there are none.
    Over,
}

impl LineQueue {
    /// Accepts a record, and writes it if the output takes it in time.
    pub(super) fn accept_direct(&self, mut state: MutexGuard<'_, State>, record: &[u8]) {
        state.push(record);
        let target = state.counts.accepted;
        let until = deadline_after(self.max_direct_wait(&state));
        let mut state = self.write_until(state, target, until, Retry::AfterBackoff);
        let event = state.due_loss_event(&self.counters, self.options.capacity, false);
        drop(state);
        if let Some(event) = event {
            // On a thread of its own, as this one is inside the layers.
            let output = self.options.name.clone();
            let log = move || {
                let _ = panic_safe::catch_panic(|| event.log(&output));
            };
            let thread = thread::Builder::new().name("spanwise-notice".to_owned());
            // Without a thread only the counters have it.
            let _ = thread.spawn(log);
        }
    }

    /// How long a line may wait for the output. After one wait without success, others do not wait
    /// until the output takes something.
    fn max_direct_wait(&self, state: &State) -> Duration {
        if is_writing_thread() || state.is_stalled() {
            Duration::ZERO
        } else {
            self.options.when_full.max_wait().min(MAX_WAIT)
        }
    }

    /// Writes until `target` records are settled, the time is over, or the output refuses records.
    pub(super) fn write_until<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        target: u64,
        until: Instant,
        retry: Retry,
    ) -> MutexGuard<'a, State> {
        let mut settled_before_wait = None;
        while state.counts.settled < target {
            let settled = state.counts.settled;
            if state.lifecycle.writing || state.lifecycle.forking {
                // The thread that has the turn may be this one.
                if is_writing_thread() {
                    break;
                }
                if Instant::now() >= until {
                    if state.lifecycle.writing && settled_before_wait == Some(settled) {
                        state.health.last_failed_wait = Some(settled);
                    }
                    break;
                }
                settled_before_wait.get_or_insert(settled);
                state = self.wait_for_progress(state, until);
                continue;
            }
            if retry == Retry::AfterBackoff && state.health.is_backing_off() {
                break;
            }
            let turn;
            (state, turn) = self.write_chunk(state, until);
            if turn == Turn::TimedOut && state.counts.settled == settled {
                state.health.last_failed_wait = Some(settled);
                break;
            }
            if turn == Turn::Over || Instant::now() >= until {
                break;
            }
        }
        state
    }

    /// Takes the oldest records to the sink, which waits for its reader until then.
    fn write_chunk<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        until: Instant,
    ) -> (MutexGuard<'a, State>, Turn) {
        let Some(mut chunk) = state.take_turn() else {
            return (state, Turn::Over);
        };
        let epoch = state.lifecycle.epoch;
        drop(state);
        let in_role = WriterRole::WritingCaller.enter();
        let attempt = self.attempt(&mut chunk, &StopFlag::with_deadline(until));
        self.report_refusal(&attempt);
        let turn = match (&attempt.error, attempt.timed_out) {
            (Some(_), _) => Turn::Over,
            (None, true) => Turn::TimedOut,
            (None, false) => Turn::Progress,
        };
        drop(in_role);
        let mut state = self.state.lock();
        state.lifecycle.writing = false;
        // Otherwise it was abandoned and counted meanwhile.
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
