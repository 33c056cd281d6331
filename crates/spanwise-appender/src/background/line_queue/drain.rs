//! Gives the writer thread its jobs, and counts their results.

use std::{mem, time::Instant};

use super::{
    LINGER_INTERVAL, LineQueue, State,
    sink_call::Attempt,
    state::{Phase, WorkerState},
};
use crate::background::{buffer::Chunk, loss_events::LossEvent};

/// The next job of the writer thread.
pub(crate) enum Job {
    /// Write this chunk, which was removed from the buffer in this epoch.
    Write { chunk: Chunk, epoch: u64 },
    /// Log this event on another thread.
    Log(LossEvent),
    /// Call [`RecordSink::finish`](crate::RecordSink::finish).
    Finish,
    /// End the writer thread.
    End,
}

/// After this many [`LINGER_INTERVAL`]s without a line, the writer thread sleeps until a line is
/// added.
const MAX_EMPTY_LINGERS: u32 = 16;

impl LineQueue {
    /// Waits for a job. Collects lines for [`LINGER_INTERVAL`] before it returns the job to write
    /// them, unless a line is urgent or there are enough lines.
    pub(crate) fn next_job(&self) -> Job {
        let mut state = self.state.lock();
        let mut linger_count = 0;
        loop {
            if let Some(job) = self.ready_job(&mut state, linger_count > 0) {
                return job;
            }
            // A logging thread may still have the turn that it took before this thread started.
            let is_empty = state.buffer.is_empty() && !state.lifecycle.is_turn_taken;
            if is_empty {
                let surplus = state.buffer.take_surplus();
                if !surplus.is_empty() {
                    // Frees the memory without the lock.
                    drop(state);
                    drop(surplus);
                    state = self.state.lock();
                    continue;
                }
            }
            state.wakeups.urgent &= !is_empty;
            let is_idle = is_empty
                && state.lifecycle.phase != Phase::Closing
                && !state.loss_events.are_pending();
            if is_idle && linger_count >= MAX_EMPTY_LINGERS {
                state.wakeups.worker = WorkerState::Asleep;
                state = self.worker_wakeup.wait(state);
                linger_count = 0;
            } else {
                state.wakeups.worker = WorkerState::Lingering;
                (state, _) = self.worker_wakeup.wait_timeout(state, LINGER_INTERVAL);
                linger_count += 1;
            }
            state.wakeups.worker = WorkerState::Busy;
        }
    }

    /// Returns the job that is due now, if any.
    fn ready_job(&self, state: &mut State, has_lingered: bool) -> Option<Job> {
        if state.lifecycle.phase == Phase::Direct {
            return Some(self.job_after_abandonment(state));
        }
        let is_closing = state.lifecycle.phase == Phase::Closing;
        let is_empty = state.buffer.is_empty() && !state.lifecycle.is_turn_taken;
        if is_closing && self.stop.is_set() {
            return Some(self.end_worker(state));
        }
        let is_last = is_closing && is_empty;
        if !state.loss_events.is_logging() {
            if let Some(event) =
                state.take_due_loss_event(&self.counters, self.options.capacity, is_last)
            {
                state.loss_events.note_log_started();
                return Some(Job::Log(event));
            }
            // The first time, `Finish` is returned. The next time, the thread ends.
            if is_last && mem::replace(&mut state.lifecycle.finish_started, true) {
                return Some(self.end_worker(state));
            }
            if is_last {
                state.lifecycle.is_turn_taken = true;
                return Some(Job::Finish);
            }
        }
        let is_due = is_closing
            || has_lingered
            || state.wakeups.urgent
            || self.is_worth_a_write(state.counts.held_bytes);
        let may_write = !state.lifecycle.is_forking() && !state.lifecycle.is_turn_taken;
        (is_due && may_write).then(|| write_job(state)).flatten()
    }

    /// Returns the next job after the records of a stuck sink were abandoned. The job is to write
    /// the records that logging threads have buffered since then, or to end. If the sink refuses
    /// these records, the logging threads retry them.
    fn job_after_abandonment(&self, state: &mut State) -> Job {
        let may_write = !state.lifecycle.is_forking()
            && !state.lifecycle.is_turn_taken
            && !state.health.is_backing_off();
        if may_write && let Some(job) = write_job(state) {
            // The shutdown set this flag to stop the write of the abandoned records.
            self.stop.set(false);
            return job;
        }
        state.lifecycle.has_worker = false;
        Job::End
    }

    /// Abandons the buffered records, if there are any. The queue has no writer thread afterwards.
    fn end_worker(&self, state: &mut State) -> Job {
        self.abandon(state);
        state.lifecycle.has_worker = false;
        Job::End
    }

    /// Counts the outcome of an attempt to write a chunk. Returns whether the writer thread has to
    /// write the rest of the chunk. If not, pass the rest to [`end_turn`](Self::end_turn).
    pub(crate) fn settle_chunk(&self, epoch: u64, attempt: Attempt) -> bool {
        let mut state = self.state.lock();
        if state.lifecycle.epoch != epoch {
            // The records were abandoned and counted during the write.
            return false;
        }
        let (has_failed, remaining) = (attempt.error.is_some(), attempt.remaining);
        state.settle(attempt, &self.counters);
        if state.wakeups.waiters > 0 && self.is_worth_notifying(&state) {
            state.wakeups.progress_notified_at = Some(Instant::now());
            self.progress.notify_all();
        }
        // In this phase, the logging threads write. The rest must be written before their lines, so
        // it goes back to the front of the buffer.
        let must_put_back = has_failed && state.lifecycle.phase == Phase::Direct;
        let must_continue = remaining > 0 && !must_put_back && !self.stop.is_set();
        if has_failed && must_continue {
            // Reset under the same lock as the count of failed attempts. So only a flush that
            // begins after this failure makes `wait_for_retry` return early.
            state.wakeups.urgent = false;
        }
        must_continue
    }

    /// Returns whether to wake threads that wait for progress. If they were woken after each chunk,
    /// they would fill its room and wait again. So they are woken only when a quarter of the buffer
    /// is free, when records are urgent, when the sink fails, or if they were not woken for
    /// [`LINGER_INTERVAL`].
    fn is_worth_notifying(&self, state: &State) -> bool {
        let is_long_ago = |time: Instant| time.elapsed() >= LINGER_INTERVAL;
        state.counts.held_bytes <= self.options.capacity / 4 * 3
            || state.wakeups.urgent
            || state.health.failing.is_some()
            || state.wakeups.progress_notified_at.is_none_or(is_long_ago)
    }

    /// Gives the turn back, waits until the sink may be called again, and takes the turn. A flush
    /// or a shutdown ends the wait early. Returns whether this thread has the turn again. It does
    /// not if the rest of the chunk was abandoned during the wait.
    pub(crate) fn wait_for_retry(&self, epoch: u64) -> bool {
        let mut state = self.state.lock();
        state.lifecycle.is_turn_taken = false;
        if state.lifecycle.is_forking() {
            self.progress.notify_all();
        }
        let retry_at = state
            .health
            .failing
            .as_ref()
            .map(|failing| failing.retry_at);
        let retry_at = retry_at.unwrap_or_else(Instant::now);
        while state.lifecycle.epoch == epoch {
            let time_left = retry_at.saturating_duration_since(Instant::now());
            let is_due = time_left.is_zero() || state.wakeups.urgent || self.stop.is_set();
            if is_due && !state.lifecycle.is_forking() {
                state.lifecycle.is_turn_taken = true;
                return true;
            }
            // `Busy`, so that new lines do not wake this thread.
            state.wakeups.worker = WorkerState::Busy;
            let timeout = time_left.max(LINGER_INTERVAL);
            (state, _) = self.worker_wakeup.wait_timeout(state, timeout);
        }
        false
    }

    /// Notes that the other thread has logged the loss event.
    pub(crate) fn note_loss_event_logged(&self) {
        let mut state = self.state.lock();
        state.loss_events.note_log_ended();
        if state.lifecycle.phase == Phase::Closing {
            self.worker_wakeup.notify_one();
        }
    }

    /// Ends the turn of the writer thread. Puts the rest of its chunk back, unless the rest was
    /// abandoned during the turn.
    pub(crate) fn end_turn(&self, chunk: Option<(Chunk, u64)>) {
        let mut state = self.state.lock();
        state.lifecycle.is_turn_taken = false;
        match chunk {
            Some((chunk, epoch)) if state.lifecycle.epoch == epoch => state.buffer.put_back(chunk),
            Some((chunk, _)) => state.buffer.recycle(chunk),
            None => {}
        }
        // In this phase, the logging threads take turns, and some may wait for this one to end.
        let is_direct = state.lifecycle.phase == Phase::Direct;
        if state.lifecycle.is_forking() || is_direct && state.wakeups.waiters > 0 {
            self.progress.notify_all();
        }
    }
}

/// Takes the turn, and returns the job to write the oldest records, if there are any.
fn write_job(state: &mut State) -> Option<Job> {
    let epoch = state.lifecycle.epoch;
    state.take_turn().map(|chunk| Job::Write { chunk, epoch })
}
