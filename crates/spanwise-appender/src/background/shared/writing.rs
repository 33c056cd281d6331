//! What the thread that writes asks and tells.

use std::{
    mem,
    sync::{PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{Failing, LINGER, Phase, Shared, State, Worker, deadline_after};
use crate::{
    background::{buffer::Chunk, notice::Notice},
    sink::Written,
};

/// What the thread that writes is to do next.
pub(crate) enum Next {
    Write(Chunk),
    Tell(Notice),
    Finish,
    End,
}

/// After so many empty lingers the thread that writes goes to sleep.
const EMPTY_LINGERS: u32 = 16;

/// The end waits this long for a notice that is being logged.
const TELL_AT_MOST: Duration = Duration::from_millis(200);

impl Shared {
    /// Waits until there is something to write, and for a moment more for what comes right behind it.
    pub(crate) fn next(&self) -> Next {
        let mut state = self.lock();
        state.writing = false;
        if state.forking {
            self.progress.notify_all();
        }
        let mut lingers = 0;
        loop {
            let closing = state.phase != Phase::Running;
            let empty = state.buffer.is_empty();
            if closing && self.stop.load(Ordering::Relaxed) {
                self.abandon(&mut state);
                return Next::End;
            }
            let telling = state
                .telling
                .is_some_and(|since| since.elapsed() < TELL_AT_MOST);
            let calm = !state.ladder.is_shedding() && state.held < self.options.capacity / 2;
            if !telling
                && let Some(notice) = state.notices.due(&self.counters, calm, closing && empty)
            {
                state.telling = Some(Instant::now());
                return Next::Tell(notice);
            }
            if closing && empty && !telling && !mem::replace(&mut state.finished, true) {
                return Next::Finish;
            }
            if closing && empty && !telling {
                // Nothing is left: this only says that there is no thread any more.
                self.abandon(&mut state);
                return Next::End;
            }
            if !state.forking && !empty {
                let worth = self.is_worth_a_write(state.held) || state.urgent || closing;
                if (worth || lingers > 0)
                    && let Some(chunk) = state.buffer.pop()
                {
                    state.writing = true;
                    return Next::Write(chunk);
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
            let pending = closing || state.notices.are_pending();
            if empty && lingers >= EMPTY_LINGERS && !pending {
                state.worker = Worker::Asleep;
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                lingers = 0;
            } else {
                state.worker = Worker::Lingering;
                (state, _) = self
                    .work
                    .wait_timeout(state, LINGER)
                    .unwrap_or_else(PoisonError::into_inner);
                lingers += 1;
            }
            state.worker = Worker::Busy;
        }
    }

    /// The fate of the oldest records, which are `bytes` long. True if the sink is to be tried again with what is left of them.
    pub(crate) fn settle(&self, bytes: usize, written: Written, left: usize) -> bool {
        let mut state = self.lock();
        if state.phase.is_over() {
            // They were given up and counted while this was being written.
            return false;
        }
        let Written {
            delivered,
            failed,
            error,
        } = written;
        self.counters.add_delivered(delivered as u64);
        self.counters.add_write_failed(failed as u64);
        state.held -= bytes;
        state.settled += (delivered + failed) as u64;
        state.failed += failed as u64;
        let held = state.held;
        state.ladder.drained(held);
        match error {
            Some(error) => {
                state.last_error = Some(error.kind());
                let failing = state.failing.get_or_insert_with(|| Failing {
                    since: Instant::now(),
                    attempts: 0,
                    failed: 0,
                    error,
                });
                failing.attempts += 1;
                failing.failed += failed as u64;
            }
            None => {
                if let Some(failing) = state.failing.take() {
                    let Failing {
                        since,
                        failed,
                        error,
                        ..
                    } = failing;
                    state.notices.recovered(since.elapsed(), failed, &error);
                }
            }
        }
        if state.watchers > 0 && self.is_worth_telling(&state) {
            state.told_progress = Some(Instant::now());
            self.progress.notify_all();
        }
        left > 0 && !self.stop.load(Ordering::Relaxed)
    }

    /// Those who wait for room are not woken for every chunk of it, which they would fill and wait again at once; with a slow sink
    /// they are.
    fn is_worth_telling(&self, state: &State) -> bool {
        let is_long_ago = |at: Instant| at.elapsed() >= LINGER;
        state.held <= self.options.capacity / 4 * 3
            || state.urgent
            || state.failing.is_some()
            || state.told_progress.is_none_or(is_long_ago)
    }

    /// Waits before the sink is tried again; not as long if somebody wants it now, or a fork needs it out of the way.
    pub(crate) fn back_off(&self, delay: Duration) {
        let mut state = self.lock();
        state.writing = false;
        state.urgent = false;
        if state.forking {
            self.progress.notify_all();
        }
        let until = deadline_after(delay);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let hurried = left.is_zero() || state.urgent || self.stop.load(Ordering::Relaxed);
            if hurried && !state.forking {
                break;
            }
            // Lines that come meanwhile are no reason to wake it.
            state.worker = Worker::Busy;
            (state, _) = self
                .work
                .wait_timeout(state, left.max(LINGER))
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.writing = true;
    }

    /// The notice is logged.
    pub(crate) fn told(&self) {
        let mut state = self.lock();
        state.telling = None;
        if state.phase == Phase::Closing {
            self.work.notify_one();
        }
    }

    /// Takes a chunk back that is written.
    pub(crate) fn recycle(&self, chunk: Chunk) {
        self.lock().buffer.recycle(chunk);
    }
}
