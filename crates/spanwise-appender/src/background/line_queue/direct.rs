//! Writing on the threads that log, when there is no thread that writes.
//!
//! A line goes into the buffer as ever. One caller at a time has the turn, and takes the oldest lines to the sink, for no longer than
//! its own line may wait. What the output does not take in that time stays in the buffer, for the next caller or for the end of the
//! process.

use std::{
    sync::MutexGuard,
    thread,
    time::{Duration, Instant},
};

use spanwise_core::internal::panic_safe;
use tracing::Level;

use super::{
    LineQueue, State, deadline_after,
    sink_call::{Role, is_writing_thread},
};
use crate::{
    background::admission::Admission,
    record_sink::{Retry, StopFlag},
};

/// A line that nobody takes right now is held, not lost: to wait for its reader only shows it sooner.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// What came of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The output took some, and may take more.
    WentOn,
    /// The reader takes no more right now.
    Behind,
    /// The output refused lines, or there are none.
    Over,
}

impl LineQueue {
    /// Takes a record, and writes it if the output takes it in time.
    #[cold]
    pub(super) fn append_direct<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        level: Level,
        record: &[u8],
    ) {
        let mut room_until = None;
        loop {
            let stalled = state.is_stalled();
            match state.admission.admit(level, state.held, stalled) {
                Admission::Accept => break,
                Admission::Shed => return self.shed(state, level),
                Admission::Wait(_) if is_writing_thread() => return self.shed(state, level),
                Admission::Wait(at_most) => {
                    let until = *room_until.get_or_insert_with(|| deadline_after(at_most));
                    let next = state.settled + 1;
                    state = self.write_until(state, next, until, Retry::AfterBackoff);
                    if state.settled < next || Instant::now() >= until {
                        return self.shed(state, level);
                    }
                }
            }
        }
        state.take(record);
        let mine = state.accepted;
        let until = deadline_after(self.max_direct_wait(&state));
        let mut state = self.write_until(state, mine, until, Retry::AfterBackoff);
        let event = state.due_loss_event(&self.counters, self.options.capacity, false);
        drop(state);
        if let Some(event) = event {
            // As the thread that writes does it: this one is inside of the layers.
            let output = self.options.name.clone();
            let log = move || {
                let _ = panic_safe::catch_panic(|| event.log(&output));
            };
            let logger = thread::Builder::new().name("spanwise-notice".to_owned());
            // Without a thread nobody is told but by the counters.
            let _ = logger.spawn(log);
        }
    }

    /// For how long a line may wait to be written. Once one has waited in vain, others do not until the output takes something.
    fn max_direct_wait(&self, state: &State) -> Duration {
        if is_writing_thread() || state.is_stalled() {
            Duration::ZERO
        } else {
            self.options.when_full.max_wait().min(MAX_WAIT)
        }
    }

    /// Writes until the record with the number `target` is settled, the time is over, or the output refuses lines.
    pub(super) fn write_until<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        target: u64,
        until: Instant,
        retry: Retry,
    ) -> MutexGuard<'a, State> {
        let mut waited_since = None;
        while state.settled < target {
            if state.writing || state.forking {
                // Whoever writes may be this thread.
                if is_writing_thread() {
                    break;
                }
                if Instant::now() >= until {
                    if state.writing && waited_since == Some(state.settled) {
                        state.last_failed_wait = waited_since;
                    }
                    break;
                }
                waited_since.get_or_insert(state.settled);
                state = self.wait_for_progress(state, until);
                continue;
            }
            if retry == Retry::AfterBackoff && state.is_backing_off() {
                break;
            }
            let settled = state.settled;
            let turn;
            (state, turn) = self.take_turn(state, until);
            match turn {
                Turn::Behind if state.settled == settled => {
                    state.last_failed_wait = Some(settled);
                    break;
                }
                Turn::Over => break,
                Turn::WentOn | Turn::Behind if Instant::now() >= until => break,
                Turn::WentOn | Turn::Behind => {}
            }
        }
        state
    }

    /// Takes the oldest records to the sink, which waits for its reader until then.
    fn take_turn<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        until: Instant,
    ) -> (MutexGuard<'a, State>, Turn) {
        let Some(mut chunk) = state.buffer.pop() else {
            return (state, Turn::Over);
        };
        state.writing = true;
        let epoch = state.epoch;
        drop(state);
        let in_role = Role::WritingCaller.enter();
        let records = chunk.records();
        let attempt = self.attempt(records, &StopFlag::with_deadline(until));
        let done = attempt.done();
        let (bytes, left) = (records.start_of(done), records.len() - done);
        self.report_refusal(&attempt, left);
        chunk.remove_front(done);
        let turn = match (&attempt.error, attempt.timed_out) {
            (Some(_), _) => Turn::Over,
            (None, true) => Turn::Behind,
            (None, false) => Turn::WentOn,
        };
        drop(in_role);
        let mut state = self.lock();
        state.writing = false;
        // Not if it was given up and counted meanwhile.
        if state.epoch == epoch {
            self.settle(&mut state, bytes, attempt, left);
            state.buffer.put_back(chunk);
        }
        if state.waiters > 0 {
            self.progress.notify_all();
        }
        (state, turn)
    }
}
