//! What the thread that writes asks and tells.

use std::{
    mem,
    time::{Duration, Instant},
};

use spanwise_core::internal::sync::MutexGuard;

use super::{Failing, LINGER, LineQueue, Phase, State, Worker, sink_call::Attempt};
use crate::background::{buffer::Chunk, loss_events::LossEvent};

/// What the thread that writes is to do next.
pub(crate) enum Next {
    Write { chunk: Chunk, epoch: u64 },
    Tell(LossEvent),
    Finish,
    End,
}

/// After so many empty lingers the thread that writes goes to sleep.
const MAX_EMPTY_LINGERS: u32 = 16;

/// The first wait before a sink that refuses lines is tried again; it doubles, up to the longest.
const MIN_BACKOFF: Duration = Duration::from_millis(10);
const MAX_BACKOFF: Duration = Duration::from_millis(500);

/// The end waits this long for a notice that is being logged.
const LOG_TIMEOUT: Duration = Duration::from_millis(200);

impl LineQueue {
    /// Waits until there is something to write, and for a moment more for what comes right behind it.
    pub(crate) fn next(&self) -> Next {
        let mut state = self.lock();
        let mut lingers = 0;
        loop {
            if state.phase == Phase::Direct {
                // What was held is given up. Callers left what is held now while this thread was stuck in the sink. What is refused
                // now, they try again.
                if !state.forking
                    && !state.writing
                    && !state.is_backing_off()
                    && let Some(chunk) = state.buffer.pop()
                {
                    // It told this thread to give up what is given up by now.
                    self.stop.set(false);
                    state.writing = true;
                    let epoch = state.epoch;
                    return Next::Write { chunk, epoch };
                }
                return self.end(state);
            }
            let closing = state.phase == Phase::Closing;
            // A caller may still have the turn that it took before there was a thread.
            let empty = state.buffer.is_empty() && !state.writing;
            if closing && self.stop.is_set() {
                self.abandon(&mut state);
                return self.end(state);
            }
            let telling = state
                .telling
                .is_some_and(|since| since.elapsed() < LOG_TIMEOUT);
            let last = closing && empty;
            if !telling
                && let Some(event) =
                    state.due_loss_event(&self.counters, self.options.capacity, last)
            {
                state.telling = Some(Instant::now());
                return Next::Tell(event);
            }
            if closing && empty && !telling && !mem::replace(&mut state.finished, true) {
                state.writing = true;
                return Next::Finish;
            }
            if closing && empty && !telling {
                // Nothing is left: this only says that there is no thread any more.
                self.abandon(&mut state);
                return self.end(state);
            }
            if !state.forking && !state.writing && !empty {
                let worth = self.is_worth_waking(state.held) || state.urgent || closing;
                if (worth || lingers > 0)
                    && let Some(chunk) = state.buffer.pop()
                {
                    state.writing = true;
                    let epoch = state.epoch;
                    return Next::Write { chunk, epoch };
                }
            }
            if empty {
                let surplus = state.buffer.surplus();
                if !surplus.is_empty() {
                    drop(state);
                    drop(surplus);
                    state = self.lock();
                    continue;
                }
            }
            state.urgent &= !empty;
            let pending = closing || state.loss_events.is_pending();
            if empty && lingers >= MAX_EMPTY_LINGERS && !pending {
                state.worker = Worker::Asleep;
                state = self.work.wait(state);
                lingers = 0;
            } else {
                state.worker = Worker::Lingering;
                (state, _) = self.work.wait_timeout(state, LINGER);
                lingers += 1;
            }
            state.worker = Worker::Busy;
        }
    }

    fn end(&self, mut state: MutexGuard<'_, State>) -> Next {
        state.has_worker = false;
        Next::End
    }

    /// The fate of the oldest records, as [`settle`](Self::settle), for the thread that writes. True if it is to try the sink again
    /// with what is left of them. Otherwise that goes back into the buffer, by [`end_turn`](Self::end_turn).
    pub(crate) fn settle_chunk(
        &self,
        epoch: u64,
        bytes: usize,
        attempt: Attempt,
        left: usize,
    ) -> bool {
        let mut state = self.lock();
        if state.epoch != epoch {
            // They were given up and counted while this was being written.
            return false;
        }
        let is_refused = attempt.error.is_some();
        self.settle(&mut state, bytes, attempt, left);
        if state.waiters > 0 && self.is_worth_notifying(&state) {
            state.progress_at = Some(Instant::now());
            self.progress.notify_all();
        }
        // Without this thread, callers take turns: it must not hold records back while they write later ones.
        let is_for_callers = is_refused && state.phase == Phase::Direct;
        left > 0 && !is_for_callers && !self.stop.is_set()
    }

    /// Counts the fate of the oldest records, which are `bytes` long; `left` more were to be written with them.
    pub(super) fn settle(&self, state: &mut State, bytes: usize, attempt: Attempt, left: usize) {
        let Attempt {
            delivered,
            refused,
            error,
            timed_out,
        } = attempt;
        self.counters.add_delivered(delivered as u64);
        self.counters.add_write_failed(refused as u64);
        state.held -= bytes;
        state.settled += (delivered + refused) as u64;
        state.failed += refused as u64;
        let held = state.held;
        state.admission.drained(held);
        match error {
            Some(error) => {
                let now = Instant::now();
                state.last_error = Some(error.kind);
                let failing = state.failing.get_or_insert(Failing {
                    since: now,
                    attempts: 0,
                    failed: 0,
                    error: error.text,
                    delay: Duration::ZERO,
                    retry_at: now,
                });
                failing.attempts += 1;
                failing.failed += refused as u64;
                failing.delay = match delivered {
                    0 => (failing.delay * 2).clamp(MIN_BACKOFF, MAX_BACKOFF),
                    _ => MIN_BACKOFF,
                };
                // If nothing is held there is nothing to spare it from.
                failing.retry_at = if left == 0 { now } else { now + failing.delay };
            }
            None if timed_out && delivered == 0 => {}
            None => {
                if let Some(failing) = state.failing.take() {
                    let after = failing.since.elapsed();
                    state
                        .loss_events
                        .recovered(after, failing.failed, failing.error);
                }
            }
        }
    }

    /// Those who wait for room are not woken for every chunk of it, which they would fill and wait again at once; with a slow sink
    /// they are.
    fn is_worth_notifying(&self, state: &State) -> bool {
        let is_long_ago = |at: Instant| at.elapsed() >= LINGER;
        state.held <= self.options.capacity / 4 * 3
            || state.urgent
            || state.failing.is_some()
            || state.progress_at.is_none_or(is_long_ago)
    }

    /// Waits before the sink is tried again; not as long if somebody wants it now, or a fork needs it out of the way. False if what
    /// is left was given up meanwhile.
    pub(crate) fn wait_for_retry(&self, epoch: u64) -> bool {
        let mut state = self.lock();
        state.writing = false;
        state.urgent = false;
        if state.forking {
            self.progress.notify_all();
        }
        let until = match &state.failing {
            Some(failing) => failing.retry_at,
            None => Instant::now(),
        };
        while state.epoch == epoch {
            let left = until.saturating_duration_since(Instant::now());
            let hurried = left.is_zero() || state.urgent || self.stop.is_set();
            if hurried && !state.forking {
                state.writing = true;
                return true;
            }
            // Lines that come meanwhile are no reason to wake it.
            state.worker = Worker::Busy;
            (state, _) = self.work.wait_timeout(state, left.max(LINGER));
        }
        false
    }

    /// The notice is logged.
    pub(crate) fn told(&self) {
        let mut state = self.lock();
        state.telling = None;
        if state.phase == Phase::Closing {
            self.work.notify_one();
        }
    }

    /// The thread that writes is done with a chunk of an epoch, or with the sink. What the chunk has left is still to be written, unless
    /// it was given up meanwhile.
    pub(crate) fn end_turn(&self, chunk: Option<(Chunk, u64)>) {
        let mut state = self.lock();
        state.writing = false;
        match chunk {
            Some((chunk, epoch)) if state.epoch == epoch => state.buffer.put_back(chunk),
            Some((chunk, _)) => state.buffer.recycle(chunk),
            None => {}
        }
        // Without this thread, those who wait take turns.
        if state.forking || state.phase == Phase::Direct && state.waiters > 0 {
            self.progress.notify_all();
        }
    }
}
