//! The state behind the lock of a line queue.

use std::{
    io,
    time::{Duration, Instant},
};

use spanwise_core::internal::{Backoff, SinkCounters};
use tracing::Level;

use super::sink_call::{Attempt, SinkError};
use crate::background::{
    Options,
    admission::{Admission, AdmissionControl},
    buffer::{Buffer, Chunk},
    loss_events::{LossEvent, PendingLossEvents, Recovery},
};

pub(crate) struct State {
    pub(super) buffer: Buffer,
    pub(super) counts: Counts,
    pub(super) health: Health,
    pub(super) wakeups: Wakeups,
    pub(super) lifecycle: Lifecycle,
    pub(super) loss_events: PendingLossEvents,
}

/// Counts of records by outcome. A record is *settled* when it is delivered or lost. Records are
/// settled in the order in which they were accepted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Records that the buffer accepted.
    pub(super) accepted: u64,
    /// Accepted records that were delivered or lost.
    pub(super) settled: u64,
    /// Accepted records that were lost.
    pub(super) lost: u64,
    /// The bytes of records that are not settled. They are in the buffer, or in a chunk that is
    /// being written.
    pub(super) held: usize,
}

impl Counts {
    pub(super) const fn unsettled(&self) -> u64 {
        self.accepted - self.settled
    }
}

/// The admission of lines, the current failure of the output, and the waits that timed out.
#[derive(Debug)]
pub(super) struct Health {
    pub(super) admission: AdmissionControl,
    /// Set while the output refuses records.
    pub(super) failing: Option<Failing>,
    /// The number of attempts that failed, over all failures.
    pub(super) failed_attempts: u64,
    /// The reason why records were last refused or abandoned, if it is known.
    pub(super) last_error: Option<io::ErrorKind>,
    /// `Counts::settled` when a line last waited until its timeout: for room, or for its write
    /// without a writer thread. While the count stays the same, a further wait is pointless.
    pub(super) last_failed_wait: Option<u64>,
    /// `Counts::settled` when a flush during a panic timed out.
    pub(super) last_failed_panic_flush: Option<u64>,
    /// `Counts::settled` when a wait before a fork timed out.
    pub(super) last_failed_fork: Option<u64>,
}

/// An output that refuses records.
#[derive(Debug)]
pub(super) struct Failing {
    since: Instant,
    /// The number of records that were lost during the failure.
    lost: u64,
    /// The first error.
    error: String,
    backoff: Backoff,
    pub(super) retry_at: Instant,
}

/// The delays before a failing output is tried again.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(10)..=Duration::from_millis(500));

impl Health {
    /// Returns whether the output failed and must not be tried again yet.
    pub(super) fn is_backing_off(&self) -> bool {
        let is_ahead = |failing: &Failing| failing.retry_at > Instant::now();
        self.failing.as_ref().is_some_and(is_ahead)
    }

    /// Updates the health after an attempt to write. Returns a `Recovery` if the attempt ends a
    /// failure.
    fn update(&mut self, attempt: Attempt) -> Option<Recovery> {
        let Attempt {
            delivered,
            refused,
            error,
            ..
        } = attempt;
        let Some(SinkError { kind, text }) = error else {
            if refused > 0 {
                // The sink gave no reason, and that of an earlier failure would be wrong.
                self.last_error = None;
            }
            let has_recovered = !attempt.timed_out || delivered > 0;
            let failing = self.failing.take_if(|_| has_recovered)?;
            return Some(Recovery {
                lost: failing.lost,
                after: failing.since.elapsed(),
                error: failing.error,
            });
        };
        let now = Instant::now();
        self.last_error = Some(kind);
        self.failed_attempts += 1;
        let failing = self.failing.get_or_insert(Failing {
            since: now,
            lost: 0,
            error: text,
            backoff: BACKOFF,
            retry_at: now,
        });
        failing.lost += refused as u64;
        if delivered > 0 {
            failing.backoff.reset();
        }
        let delay = failing.backoff.next_delay();
        // If no record is left to retry, the next line is written without a delay.
        failing.retry_at = if attempt.left == 0 { now } else { now + delay };
        None
    }
}

/// The state of the writer thread, and of the threads that wait for it.
#[derive(Debug, Default)]
pub(super) struct Wakeups {
    pub(super) worker: WorkerState,
    /// The writer thread must not linger, because a thread waits for records to be written, or the
    /// buffer has an ERROR.
    pub(super) urgent: bool,
    /// The number of threads that wait for progress.
    pub(super) waiters: usize,
    /// The time at which waiting threads were last notified of settled records.
    pub(super) progress_at: Option<Instant>,
}

/// The state of the writer thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum WorkerState {
    /// The thread is working, or was notified.
    #[default]
    Busy,
    /// The thread collects lines for [`LINGER_INTERVAL`](super::LINGER_INTERVAL).
    Lingering,
    /// The thread waits for a line.
    Asleep,
}

impl Wakeups {
    /// Notes that a line was added. Returns whether to notify the writer thread.
    #[inline]
    pub(super) fn line_added(&mut self, is_urgent: bool, is_worth_waking: bool) -> bool {
        let wakes = match self.worker {
            WorkerState::Busy => false,
            WorkerState::Lingering => is_urgent || is_worth_waking,
            WorkerState::Asleep => true,
        };
        self.urgent |= is_urgent;
        if wakes {
            self.worker = WorkerState::Busy;
        }
        wakes
    }
}

/// The phase of the queue, and the current activity of its threads.
#[derive(Debug, Default)]
pub(super) struct Lifecycle {
    pub(super) phase: Phase,
    /// The first line starts the writer thread, because this is the queue of a child process.
    pub(super) starts_worker: bool,
    /// The writer thread exists. It may be stuck in the sink.
    pub(super) has_worker: bool,
    /// A thread has the [turn](super::direct), so it calls the sink now or soon.
    pub(super) writing: bool,
    /// The number of threads that fork. Until it is 0, no thread may begin a turn.
    pub(super) forking: u32,
    /// Incremented when all records are abandoned. Chunks of an earlier epoch were already counted.
    pub(super) epoch: u64,
    /// The sink was finished, or the job to finish it was returned.
    pub(super) finished: bool,
    /// The number of lost lines at the last report of the total.
    pub(super) loss_reported: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// The writer thread writes.
    Running,
    /// The writer thread ends after all records are settled.
    Closing,
    /// The logging threads write. There is no writer thread, except one that did not return from
    /// the sink before its records were abandoned.
    #[default]
    Direct,
}

impl Lifecycle {
    pub(super) const fn is_forking(&self) -> bool {
        self.forking > 0
    }
}

impl State {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            buffer: Buffer::new(options.capacity),
            counts: Counts::default(),
            health: Health {
                admission: AdmissionControl::new(options.when_full, options.capacity),
                failing: None,
                failed_attempts: 0,
                last_error: None,
                last_failed_wait: None,
                last_failed_panic_flush: None,
                last_failed_fork: None,
            },
            wakeups: Wakeups::default(),
            lifecycle: Lifecycle::default(),
            loss_events: PendingLossEvents::default(),
        }
    }

    /// Returns whether a wait for room is pointless: the output fails, or the last wait timed out
    /// and no record was settled since.
    #[inline]
    pub(super) fn is_stalled(&self) -> bool {
        self.health.failing.is_some() || self.health.last_failed_wait == Some(self.counts.settled)
    }

    #[inline]
    pub(super) fn admit(&self, level: Level) -> Admission {
        let is_stalled = self.is_stalled();
        self.health
            .admission
            .admit(level, self.counts.held, is_stalled)
    }

    /// Accepts a record.
    #[inline]
    pub(super) fn push(&mut self, record: &[u8]) {
        self.buffer.push(record);
        self.counts.held += record.len();
        self.counts.accepted += 1;
        self.health.admission.filled(self.counts.held);
    }

    /// Takes the turn, and removes the oldest records from the buffer. Does neither if the buffer
    /// is empty.
    pub(super) fn take_turn(&mut self) -> Option<Chunk> {
        let chunk = self.buffer.pop()?;
        self.lifecycle.writing = true;
        Some(chunk)
    }

    /// Counts the outcome of the oldest records.
    pub(super) fn settle(&mut self, attempt: Attempt, counters: &SinkCounters) {
        let (delivered, refused) = (attempt.delivered as u64, attempt.refused as u64);
        counters.add_delivered(delivered);
        counters.add_write_failed(refused);
        self.counts.held -= attempt.settled_len;
        self.counts.settled += delivered + refused;
        self.counts.lost += refused;
        self.health.admission.drained(self.counts.held);
        if let Some(recovery) = self.health.update(attempt) {
            self.loss_events.recovered(recovery);
        }
    }

    /// Counts all remaining records as lost, and returns their number. The logging threads write
    /// afterwards.
    pub(super) fn abandon(&mut self) -> u64 {
        let lost = self.counts.unsettled();
        self.counts.settled = self.counts.accepted;
        self.counts.lost += lost;
        self.counts.held = 0;
        self.buffer.clear();
        self.health.admission.drained(0);
        // If the output is failing, its error is the reason. The error of an old failure is not.
        if lost > 0 && self.health.failing.is_none() {
            self.health.last_error = Some(io::ErrorKind::TimedOut);
        }
        self.lifecycle.epoch += 1;
        self.lifecycle.phase = Phase::Direct;
        lost
    }

    /// Returns the loss event that is due. `is_last` means that this is the last chance to log.
    pub(super) fn due_loss_event(
        &mut self,
        counters: &SinkCounters,
        capacity: usize,
        is_last: bool,
    ) -> Option<LossEvent> {
        let is_calm = !self.health.admission.is_shedding() && self.counts.held < capacity / 2;
        self.loss_events.due(counters, is_calm, is_last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abandoned_lines_have_no_older_reason() {
        let mut state = State::new(&Options {
            capacity: 4096,
            ..Options::default()
        });
        // The output failed, and has recovered.
        state.health.last_error = Some(io::ErrorKind::StorageFull);
        assert_eq!(state.abandon(), 0);
        assert_eq!(state.health.last_error, Some(io::ErrorKind::StorageFull));
        state.push(b"line\n");
        assert_eq!(state.abandon(), 1);
        assert_eq!(state.health.last_error, Some(io::ErrorKind::TimedOut));
        assert_eq!((state.counts.lost, state.counts.unsettled()), (1, 0));
    }
}
