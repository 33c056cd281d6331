//! The state of one sink of a sampler: counts of kept and dropped events, and the suppressed events
//! that no summary has reported yet. *Suppressed* events are those that a limit dropped.
//!
//! Times are in nanoseconds of the [`LimiterClock`].

use std::{
    fmt,
    iter::Sum,
    ptr,
    sync::{
        OnceLock,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use spanwise_core::{
    Fault, SelfReport,
    internal::{
        CallsitePlans, DispatchedSummary, LayerId, LimiterClock, Precision, ShardedCounter,
        TraceCache, forks::PerProcess, sync::Mutex,
    },
};
use tracing::{Dispatch, Event, dispatcher, dispatcher::WeakDispatch};
use tracing_core::Metadata;

use crate::{
    sampler::WeakSampler,
    summary::{self, Summary},
};

/// The state of one sink of a sampler.
#[derive(Debug)]
pub(crate) struct SampledSink {
    pub(crate) id: LayerId,
    /// The index of this sink in the sampler. A later sink may reuse the index of a dropped one.
    pub(crate) index: usize,
    sampler: WeakSampler,
    /// The cached randomness of the trace or request of each thread.
    pub(crate) trace_cache: TraceCache,
    clock: LimiterClock,
    dispatch: OnceLock<WeakDispatch>,
    /// Where faults are reported. Only a setter changes it, before the layer is used.
    report: Mutex<SelfReport>,
    pub(crate) kept: ShardedCounter,
    pub(crate) sampled_out: ShardedCounter,
    /// The suppressed events of this process. A forked child starts without unreported events,
    /// because its parent reports them.
    suppressed: PerProcess<SuppressedEvents>,
    /// The time at which the next pending summary is due. In a forked child, it may still be the
    /// time of a summary of the parent.
    next_due: AtomicU64,
}

/// Counts of the suppressed events of one process.
#[derive(Debug, Default)]
struct SuppressedEvents {
    /// The number of events that the parent process had suppressed before the fork. They count only
    /// in the totals.
    inherited: u64,
    /// The number of suppressed events that a later kept event represents, through its
    /// `sample_rate`.
    represented: AtomicU64,
    callsites: CallsitePlans<CallsiteSuppression>,
    /// Callsites with a pending summary, each with the time at which the summary is due.
    pending: Mutex<Vec<(&'static Metadata<'static>, u64)>>,
}

/// Counts of the suppressed events of one callsite. Only the first suppressed event of a period
/// takes a lock.
#[derive(Debug, Default)]
struct CallsiteSuppression {
    /// The number of all suppressed events. Never reset.
    suppressed: AtomicU64,
    /// The time of the last suppressed event.
    last: AtomicU64,
    /// The [`SummaryDue`] of the callsite.
    summary_due: AtomicU8,
    unreported: Mutex<Unreported>,
}

/// The suppressed events of one callsite that no summary has reported and no kept event represents.
#[derive(Debug, Default)]
struct Unreported {
    /// The number of *settled* events of the callsite: those that a summary reported, or that a
    /// kept event represents. All other suppressed events are unreported.
    settled: u64,
    /// The time of the first unreported event.
    first: u64,
    /// The time at which the summary of the callsite is due, if one is pending.
    pending_due: Option<u64>,
}

/// Whether a summary is pending, and when it is due. Variants are in the order of urgency, so that
/// a more urgent one replaces a less urgent one.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum SummaryDue {
    None,
    /// Only [`Sampler::emit_summaries`](crate::Sampler::emit_summaries) emits the summary.
    OnRequest,
    /// The next event after the due time emits the summary.
    AtTime,
}

/// No time reaches this value.
const NEVER: u64 = u64::MAX;

/// The due time for rules that keep no event. Only `emit_summaries` emits their summaries.
pub(crate) const ON_REQUEST: u64 = NEVER;

impl SampledSink {
    pub(crate) fn new(index: usize, clock: LimiterClock, sampler: WeakSampler) -> Self {
        let id = LayerId::unique();
        Self {
            id,
            index,
            sampler,
            trace_cache: TraceCache::new(id),
            clock,
            dispatch: OnceLock::new(),
            report: Mutex::default(),
            kept: ShardedCounter::default(),
            sampled_out: ShardedCounter::default(),
            suppressed: PerProcess::new(SuppressedEvents::default()),
            next_due: AtomicU64::new(NEVER),
        }
    }

    /// Returns the bit of this sink in a cached decision, which has the bits of the sinks that have
    /// used it. If there are more than 64 sinks, some share a bit, and these decide separately.
    pub(crate) fn bit(&self) -> u64 {
        1 << (self.index % 64)
    }

    pub(crate) fn set_dispatch(&self, dispatch: &Dispatch) {
        // Ignores a second call, because a layer has one dispatcher.
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    pub(crate) fn set_report(&self, report: SelfReport) {
        *self.report.lock() = report;
    }

    pub(crate) fn report(&self) -> SelfReport {
        self.report.lock().clone()
    }

    /// Counts a suppressed event, and schedules a summary that is due at `due` if none is pending.
    #[inline]
    pub(crate) fn suppress(&self, callsite: &'static Metadata<'static>, now: u64, due: u64) {
        let events = self.suppressed();
        let counts = events.callsite(callsite);
        counts.last.store(now, Ordering::Relaxed);
        counts.suppressed.fetch_add(1, Ordering::AcqRel);
        // `settle` resets `summary_due` before it reads the count of suppressed events. So if
        // `settle` has missed this event, this thread reads the reset value, and schedules a
        // summary.
        if counts.summary_due.load(Ordering::Acquire) < SummaryDue::at(due) as u8 {
            self.schedule_summary(callsite, &events.pending, counts, now, due);
        }
    }

    /// Schedules a summary for the first event that was suppressed since the last summary, or moves
    /// a pending summary to an earlier time.
    #[cold]
    fn schedule_summary(
        &self,
        callsite: &'static Metadata<'static>,
        pending: &Mutex<Vec<(&'static Metadata<'static>, u64)>>,
        counts: &CallsiteSuppression,
        now: u64,
        due: u64,
    ) {
        let mut unreported = counts.unreported.lock();
        let scheduled = counts.summary_due.load(Ordering::Acquire);
        let suppressed = counts.suppressed.load(Ordering::Acquire);
        if scheduled >= SummaryDue::at(due) as u8 || suppressed == unreported.settled {
            // Another thread scheduled the summary or settled the event.
            return;
        }
        if scheduled == SummaryDue::None as u8 {
            unreported.first = now;
        }
        match unreported.pending_due {
            None => pending.lock().push((callsite, due)),
            // The pending summary waits for `emit_summaries`, because its rule keeps no event.
            // Another rule has suppressed the current event, so the summary becomes due at `due`.
            Some(ON_REQUEST) if due < ON_REQUEST => {
                let mut pending = pending.lock();
                let of_callsite = pending
                    .iter_mut()
                    .filter(|(pending, _)| ptr::eq(*pending, callsite));
                of_callsite.for_each(|(_, pending_due)| *pending_due = due);
            }
            Some(pending_due) => return counts.set_due(SummaryDue::at(pending_due)),
        }
        unreported.pending_due = Some(due);
        counts.set_due(SummaryDue::at(due));
        self.next_due.fetch_min(due, Ordering::Relaxed);
    }

    /// Settles up to `max` suppressed events, because the current event represents them. Returns
    /// the number of settled events. The number is less than `max` if a summary already reported
    /// some of the events, if another thread has not yet counted its event, or if a filter hid some
    /// from this sink.
    pub(crate) fn represent(&self, callsite: &'static Metadata<'static>, max: u32) -> u64 {
        let events = self.suppressed();
        let counts = events.callsite(callsite);
        let represented = counts.settle(&mut counts.unreported.lock(), max.into());
        events.represented.fetch_add(represented, Ordering::Relaxed);
        represented
    }

    #[inline]
    pub(crate) fn has_pending_summary(&self) -> bool {
        self.next_due.load(Ordering::Relaxed) != NEVER
    }

    /// Returns the current time if a summary is due. `now` is the current time, if the caller has
    /// already read the clock.
    #[cold]
    pub(crate) fn now_if_due(&self, now: Option<u64>) -> Option<u64> {
        let now = now.unwrap_or_else(|| self.clock.coarse());
        (self.next_due.load(Ordering::Relaxed) <= now).then_some(now)
    }

    /// Removes a pending summary that is due by `until`, and settles and returns its events. The
    /// caller emits it after all locks are released.
    #[cold]
    pub(crate) fn next_summary(&self, until: u64) -> Option<Summary> {
        let events = self.suppressed();
        loop {
            let callsite = {
                let mut pending = events.pending.lock();
                let index = pending.iter().position(|(_, due)| *due <= until);
                let removed = index.map(|index| pending.remove(index));
                let next_due = pending.iter().map(|(_, due)| *due).min();
                let next_due = next_due.unwrap_or(NEVER);
                self.next_due.store(next_due, Ordering::Relaxed);
                let (callsite, _) = removed?;
                callsite
            };
            let counts = events.callsite(callsite);
            let (suppressed, first) = {
                let mut unreported = counts.unreported.lock();
                unreported.pending_due = None;
                let suppressed = counts.settle(&mut unreported, u64::MAX);
                (suppressed, unreported.first)
            };
            if suppressed == 0 {
                continue;
            }
            // Threads may store times in another order than they read the clock. So the stored
            // `last` can be earlier than `first`.
            let last = counts.last.load(Ordering::Relaxed).max(first);
            let now = self.clock.now(Precision::Exact);
            let ago = |then: u64| Duration::from_nanos(now.saturating_sub(then));
            let time = self.clock.clock().now();
            return Some(Summary {
                callsite,
                suppressed,
                first: time.checked_sub(ago(first)).unwrap_or(time),
                last: time.checked_sub(ago(last)).unwrap_or(time),
            });
        }
    }

    /// Emits all pending summaries through the dispatcher, because only a dispatcher can pass a
    /// `Context` to a layer. So other layers receive the summaries too.
    pub(crate) fn emit_summaries(&self) {
        while let Some(summary) = self.next_summary(NEVER) {
            let dispatch =
                |event: &Event<'_>| match self.dispatch.get().and_then(WeakDispatch::upgrade) {
                    Some(dispatch) => dispatch.event(event),
                    None => dispatcher::get_default(|dispatch| dispatch.event(event)),
                };
            let has_arrived = summary.with_event(|event| {
                DispatchedSummary::scope(self.id, event.metadata(), || dispatch(event))
            });
            if !has_arrived {
                report_lost(&self.report(), &summary);
            }
        }
    }

    /// Reports the suppressed events that had no summary, and removes the sink from its sampler.
    /// Called when the layer is dropped.
    pub(crate) fn close(&self) {
        while let Some(summary) = self.next_summary(NEVER) {
            report_lost(&self.report(), &summary);
        }
        self.sampler.remove(self);
    }

    pub(crate) fn stats(&self) -> SamplerStats {
        let (suppressed, represented) = self.suppressed().totals();
        SamplerStats {
            kept: self.kept.total(),
            sampled_out: self.sampled_out.total() + represented,
            suppressed: suppressed - represented,
        }
    }

    #[inline]
    fn suppressed(&self) -> &SuppressedEvents {
        self.suppressed
            .for_this_process(SuppressedEvents::for_child)
    }
}

impl SuppressedEvents {
    /// Creates the counts of a forked child.
    fn for_child(parent: &Self) -> Self {
        let (suppressed, represented) = parent.totals();
        Self {
            inherited: suppressed,
            represented: AtomicU64::new(represented),
            ..Self::default()
        }
    }

    #[inline]
    fn callsite(&self, callsite: &'static Metadata<'static>) -> &CallsiteSuppression {
        self.callsites
            .get(callsite, |_| CallsiteSuppression::default())
    }

    /// Returns the number of all suppressed events, and how many of them kept events represent.
    fn totals(&self) -> (u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = self.callsites.iter();
        let counted: u64 = counts.map(|counts| load(&counts.suppressed)).sum();
        let suppressed = self.inherited + counted;
        (suppressed, load(&self.represented).min(suppressed))
    }
}

impl CallsiteSuppression {
    fn set_due(&self, due: SummaryDue) {
        self.summary_due.store(due as u8, Ordering::Release);
    }

    /// Settles up to `max` unreported events. Returns the number of settled events.
    fn settle(&self, unreported: &mut Unreported, max: u64) -> u64 {
        self.set_due(SummaryDue::None);
        // Not a load, because only a read-modify-write operation always reads the latest count.
        let suppressed = self.suppressed.fetch_add(0, Ordering::AcqRel);
        let settled = (suppressed - unreported.settled).min(max);
        unreported.settled += settled;
        if unreported.settled != suppressed
            && let Some(due) = unreported.pending_due
        {
            self.set_due(SummaryDue::at(due));
        }
        settled
    }
}

impl SummaryDue {
    #[inline]
    fn at(due: u64) -> Self {
        if due == ON_REQUEST {
            Self::OnRequest
        } else {
            Self::AtTime
        }
    }
}

fn report_lost(report: &SelfReport, summary: &Summary) {
    report.fault_unthrottled(
        Fault::Lost,
        &format_args!(
            "{} events of {} were suppressed by a sampler, and no summary reports them: call \
             `Sampler::emit_summaries` before the program exits",
            summary.suppressed,
            summary::CallsiteLocation(summary.callsite)
        ),
    );
}

/// Counts of the events that reached sampled sinks: kept + sampled out + suppressed. Events that
/// are exempt from sampling are not counted, such as those that are enabled only for a recorder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SamplerStats {
    /// Forwarded. Summaries are not counted.
    pub kept: u64,
    /// Dropped. Kept events represent them through their `sample_rate`.
    pub sampled_out: u64,
    /// Dropped. A summary reports them, or has reported them.
    pub suppressed: u64,
}

/// Writes `648 kept, 5832 sampled out, 17 suppressed`.
impl fmt::Display for SamplerStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kept,
            sampled_out,
            suppressed,
        } = self;
        write!(
            f,
            "{kept} kept, {sampled_out} sampled out, {suppressed} suppressed"
        )
    }
}

impl Sum for SamplerStats {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, stats| Self {
            kept: sum.kept + stats.kept,
            sampled_out: sum.sampled_out + stats.sampled_out,
            suppressed: sum.suppressed + stats.suppressed,
        })
    }
}
