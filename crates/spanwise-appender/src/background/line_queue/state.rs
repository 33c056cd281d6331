//! The state behind the lock of a line queue. The module `line_queue` explains its terms.

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

/// Counts of records by outcome, since the queue was created. Records are settled (delivered or
/// lost) in the order in which they were accepted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Records that the buffer accepted.
    pub(super) accepted: u64,
    /// Accepted records that were settled.
    pub(super) settled: u64,
    /// Accepted records that were lost.
    pub(super) lost: u64,
    /// The length in bytes of all accepted records that are not settled. They are in the buffer, or
    /// in a chunk that is being written.
    pub(super) held_bytes: usize,
}

impl Counts {
    pub(super) const fn unsettled(&self) -> u64 {
        self.accepted - self.settled
    }
}

/// The admission of lines, the current failure of the output, and the waits that timed out.
///
/// A wait that timed out is stored as the value of [`Counts::settled`] at that time. While the
/// count stays the same, the output makes no progress, so a further wait is pointless.
#[derive(Debug)]
pub(super) struct Health {
    pub(super) admission: AdmissionControl,
    /// Set while the output refuses records.
    pub(super) failing: Option<Failing>,
    /// The number of failed attempts to write, over all failures.
    pub(super) failed_attempts: u64,
    /// The reason for which records were last refused or abandoned, if it is known.
    pub(super) last_error: Option<io::ErrorKind>,
    /// The last wait of a line that timed out: for room, or, without a writer thread, for its
    /// write.
    pub(super) settled_at_failed_wait: Option<u64>,
    /// The last flush during a panic that timed out.
    pub(super) settled_at_failed_panic_flush: Option<u64>,
    /// The last wait before a fork that timed out.
    pub(super) settled_at_failed_fork_wait: Option<u64>,
}

/// The current failure of an output that refuses records.
#[derive(Debug)]
pub(super) struct Failing {
    since: Instant,
    /// The number of records that were lost during the failure.
    lost: u64,
    /// The text of the first error.
    error: String,
    backoff: Backoff,
    pub(super) retry_at: Instant,
}

/// The delays before a failing output is tried again.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(10)..=Duration::from_millis(500));

impl Health {
    /// Returns whether the output failed and must not be tried again yet.
    pub(super) fn is_backing_off(&self) -> bool {
        let is_too_early = |failing: &Failing| failing.retry_at > Instant::now();
        self.failing.as_ref().is_some_and(is_too_early)
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
                // The sink gave no reason. The reason of an earlier failure would be wrong.
                self.last_error = None;
            }
            let has_recovered = !attempt.timed_out || delivered > 0;
            let failing = self.failing.take_if(|_| has_recovered)?;
            return Some(Recovery {
                lost: failing.lost,
                duration: failing.since.elapsed(),
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
        failing.retry_at = if attempt.remaining == 0 {
            now
        } else {
            now + delay
        };
        None
    }
}

/// The state of the writer thread, and of the threads that wait for it.
#[derive(Debug, Default)]
pub(super) struct Wakeups {
    pub(super) worker: WorkerState,
    /// Whether the writer thread must not linger, because a thread waits for records to be written,
    /// or because the buffer has a line at ERROR.
    pub(super) urgent: bool,
    /// The number of threads that wait for [`LineQueue::progress`](super::LineQueue).
    pub(super) waiters: usize,
    /// The time at which the writer thread last notified waiting threads of settled records.
    pub(super) progress_notified_at: Option<Instant>,
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
    /// Notes that a line was added. Returns whether the caller must notify the writer thread.
    /// `is_worth_waking` means that the buffer has enough lines to end the lingering.
    #[inline]
    pub(super) fn note_line_added(&mut self, is_urgent: bool, is_worth_waking: bool) -> bool {
        let must_wake = match self.worker {
            WorkerState::Busy => false,
            WorkerState::Lingering => is_urgent || is_worth_waking,
            WorkerState::Asleep => true,
        };
        self.urgent |= is_urgent;
        if must_wake {
            self.worker = WorkerState::Busy;
        }
        must_wake
    }
}

/// The phase of the queue, and the current activity of its threads.
#[derive(Debug, Default)]
pub(super) struct Lifecycle {
    pub(super) phase: Phase,
    /// Whether the next line starts the writer thread. Set in the queue of a child process.
    pub(super) starts_worker: bool,
    /// Whether the writer thread exists. It may be stuck in the sink.
    pub(super) has_worker: bool,
    /// Whether a thread has the [turn](super::direct), so that it calls the sink now or soon.
    pub(super) is_turn_taken: bool,
    /// The number of threads that fork. Until it is 0, no thread may begin a turn.
    pub(super) forking: u32,
    /// Incremented when all records are abandoned. The records of chunks that were taken in an
    /// earlier epoch were already counted as lost.
    pub(super) epoch: u64,
    /// Whether the writer thread has finished the sink, or is finishing it.
    pub(super) finish_started: bool,
    /// The total number of lost lines when it was last reported.
    pub(super) reported_losses: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// The writer thread writes.
    Running,
    /// The writer thread ends after all records are settled.
    Closing,
    /// The logging threads write. There is no writer thread, except one whose records were
    /// abandoned because it is stuck in the sink.
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
                settled_at_failed_wait: None,
                settled_at_failed_panic_flush: None,
                settled_at_failed_fork_wait: None,
            },
            wakeups: Wakeups::default(),
            lifecycle: Lifecycle::default(),
            loss_events: PendingLossEvents::default(),
        }
    }

    /// Returns whether a wait for the output is pointless: the output is failing, or the last wait
    /// timed out and no record was settled since.
    #[inline]
    pub(super) fn is_stalled(&self) -> bool {
        self.health.failing.is_some()
            || self.health.settled_at_failed_wait == Some(self.counts.settled)
    }

    #[inline]
    pub(super) fn admit(&self, level: Level) -> Admission {
        let is_stalled = self.is_stalled();
        self.health
            .admission
            .admit(level, self.counts.held_bytes, is_stalled)
    }

    /// Accepts a record.
    #[inline]
    pub(super) fn push(&mut self, record: &[u8]) {
        self.buffer.push(record);
        self.counts.held_bytes += record.len();
        self.counts.accepted += 1;
        self.health
            .admission
            .update_after_growth(self.counts.held_bytes);
    }

    /// Takes the turn, and removes the oldest records from the buffer. Does neither if the buffer
    /// is empty.
    pub(super) fn take_turn(&mut self) -> Option<Chunk> {
        let chunk = self.buffer.pop()?;
        self.lifecycle.is_turn_taken = true;
        Some(chunk)
    }

    /// Counts the outcome of an attempt to write the oldest records.
    pub(super) fn settle(&mut self, attempt: Attempt, counters: &SinkCounters) {
        let (delivered, refused) = (attempt.delivered as u64, attempt.refused as u64);
        counters.add_delivered(delivered);
        counters.add_write_failed(refused);
        self.counts.held_bytes -= attempt.settled_len;
        self.counts.settled += delivered + refused;
        self.counts.lost += refused;
        self.health
            .admission
            .update_after_shrinkage(self.counts.held_bytes);
        if let Some(recovery) = self.health.update(attempt) {
            self.loss_events.note_recovery(recovery);
        }
    }

    /// Counts all held records as lost, and returns their number. The logging threads write later
    /// records.
    pub(super) fn abandon(&mut self) -> u64 {
        let lost = self.counts.unsettled();
        self.counts.settled = self.counts.accepted;
        self.counts.lost += lost;
        self.counts.held_bytes = 0;
        self.buffer.clear();
        self.health.admission.update_after_shrinkage(0);
        // While the output is failing, `last_error` is the reason. Otherwise, it is from a failure
        // that has ended, and the reason is a timeout.
        if lost > 0 && self.health.failing.is_none() {
            self.health.last_error = Some(io::ErrorKind::TimedOut);
        }
        self.lifecycle.epoch += 1;
        self.lifecycle.phase = Phase::Direct;
        lost
    }

    /// Removes and returns the loss event that is due, if any. `is_last` means that this is the
    /// last chance to log.
    pub(super) fn take_due_loss_event(
        &mut self,
        counters: &SinkCounters,
        capacity: usize,
        is_last: bool,
    ) -> Option<LossEvent> {
        let is_calm = !self.health.admission.is_shedding() && self.counts.held_bytes < capacity / 2;
        self.loss_events.take_due(counters, is_calm, is_last)
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
