//! What one sink is owed: counts of what it did not get, until it is told.

use std::{
    fmt,
    iter::Sum,
    ptr,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use spanwise_core::{CallsitePlans, Fault, SelfReport, ShardedCounter};
use tracing::{Dispatch, dispatcher::WeakDispatch};
use tracing_core::Metadata;

use crate::{
    limiter_clock::{LimiterClock, Precision},
    owner::{OWNERS, Owner},
    sampler::WeakSampler,
    summary::{self, Summary},
};

/// The place of a sink at a sampler.
#[derive(Debug)]
pub(crate) struct SinkState {
    /// From 1, and no other sink's, of no other sampler.
    id: u64,
    /// Among those of its sampler.
    number: usize,
    /// To be told that this one is gone.
    sampler: WeakSampler,
    /// How often the trace or the request of an entered span may have changed.
    changes: AtomicU64,
    /// Whether a thread remembers a trace or a request for this sink.
    is_remembered: AtomicBool,
    time: LimiterClock,
    dispatch: OnceLock<WeakDispatch>,
    kept: ShardedCounter,
    sampled_out: ShardedCounter,
    /// Of what was held back, what a later event stands for.
    represented: AtomicU64,
    owed: CallsitePlans<CallsiteSuppression>,
    /// Callsites with something held back, and when to tell it: first come, first told.
    pending: Mutex<Vec<(&'static Metadata<'static>, u64)>>,
    /// EventMatcher the next of them is to be told.
    next_due: AtomicU64,
}

/// What was held back of one callsite. One more of it takes no lock.
#[derive(Debug, Default)]
struct CallsiteSuppression {
    /// Ever.
    suppressed: AtomicU64,
    /// EventMatcher the last one was.
    last: AtomicU64,
    /// What the debt knows of those that are not settled: a [`SummaryDue`].
    due: AtomicU8,
    debt: Mutex<Unreported>,
}

#[derive(Debug, Default)]
struct Unreported {
    /// Of what was held back, what was told or is stood for.
    settled: u64,
    /// EventMatcher the first one was that is not.
    first: u64,
    /// EventMatcher it is to be told, as far as it is pending.
    pending: Option<u64>,
    /// Of what is not settled, by whose it is.
    of: Vec<Of>,
}

/// What is owed of one value.
#[derive(Debug)]
struct Of {
    key: u64,
    /// None of events without the field: they are told with the others.
    owner: Option<Owner>,
    count: u64,
    first: u64,
    last: u64,
}

/// Nothing is.
const NEVER: u64 = u64::MAX;

/// EventMatcher that is to be told of which nothing is shown: by a flush, and not before.
pub(crate) const ON_FLUSH: u64 = NEVER;

impl SinkState {
    pub(crate) fn new(number: usize, time: LimiterClock, sampler: WeakSampler) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(1);
        Self {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            number,
            sampler,
            changes: AtomicU64::new(0),
            is_remembered: AtomicBool::new(false),
            time,
            dispatch: OnceLock::new(),
            kept: ShardedCounter::default(),
            sampled_out: ShardedCounter::default(),
            represented: AtomicU64::new(0),
            owed: CallsitePlans::default(),
            pending: Mutex::default(),
            next_due: AtomicU64::new(NEVER),
        }
    }

    /// Seats of one sampler that share a bit are told of an event as if each were another event's: no sampler has 64 sinks.
    pub(crate) fn bit(&self) -> u64 {
        1 << (self.number % 64)
    }

    pub(crate) fn number(&self) -> usize {
        self.number
    }

    pub(crate) fn reached_by(&self, dispatch: &Dispatch) {
        // A layer has one dispatcher.
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    #[inline]
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Notes that a thread remembers a trace or a request for this sink.
    pub(crate) fn remembered(&self) {
        // Most often it is noted already: a store would take the cache line from other threads.
        if !self.is_remembered.load(Ordering::Relaxed) {
            self.is_remembered.store(true, Ordering::Relaxed);
        }
    }

    /// Makes all threads look their trace or request up again: something was recorded into a span,
    /// or a span was closed.
    #[inline]
    pub(crate) fn changed(&self) {
        if self.is_remembered.load(Ordering::Relaxed) {
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn kept(&self) {
        self.kept.count();
    }

    #[inline]
    pub(crate) fn sampled_out(&self) {
        self.sampled_out.count();
    }

    /// An event is held back, to be told at `until`.
    #[inline]
    pub(crate) fn suppress(&self, callsite: &'static Metadata<'static>, now: u64, until: u64) {
        let owed = self.owed(callsite);
        owed.count(now);
        // Whoever settles takes this back before it reads the number: one that it did not count sees it here.
        if owed.due.load(Ordering::Acquire) < SummaryDue::from_deadline(until) as u8 {
            self.suppress_first(callsite, owed, now, until);
        }
    }

    #[cold]
    fn suppress_first(
        &self,
        callsite: &'static Metadata<'static>,
        owed: &CallsiteSuppression,
        now: u64,
        until: u64,
    ) {
        self.schedule_summary(callsite, &mut owed.debt(), owed, now, until);
    }

    /// An event of the bucket `key` is held back, of those that a limit has for each value of a field. If it is new, `owner` is asked whose it is.
    pub(crate) fn suppress_by_value(
        &self,
        callsite: &'static Metadata<'static>,
        now: u64,
        until: u64,
        key: u64,
        owner: impl FnOnce() -> Option<Owner>,
    ) {
        let owed = self.owed(callsite);
        let mut debt = owed.debt();
        if !debt.count_known(key, now) && debt.of.len() < OWNERS {
            // It reads values, which may log.
            drop(debt);
            let owner = owner();
            debt = owed.debt();
            debt.count_new(key, now, owner);
        }
        owed.count(now);
        if owed.due.load(Ordering::Acquire) < SummaryDue::from_deadline(until) as u8 {
            self.schedule_summary(callsite, &mut debt, owed, now, until);
        }
    }

    /// What was held back is the first since the last time something was settled, or is to be told sooner than that.
    #[cold]
    fn schedule_summary(
        &self,
        callsite: &'static Metadata<'static>,
        debt: &mut Unreported,
        owed: &CallsiteSuppression,
        now: u64,
        until: u64,
    ) {
        let known = owed.due.load(Ordering::Acquire);
        if known >= SummaryDue::from_deadline(until) as u8
            || owed.suppressed.load(Ordering::Acquire) == debt.settled
        {
            // Another thread was faster, with the first one or with settling.
            return;
        }
        if known == SummaryDue::None as u8 {
            debt.first = now;
        }
        match debt.pending {
            None => self.pending().push((callsite, until)),
            // One rule waits for the end, another does not.
            Some(ON_FLUSH) if until < ON_FLUSH => {
                let mut pending = self.pending();
                let same = pending.iter_mut().filter(|(of, _)| ptr::eq(*of, callsite));
                same.for_each(|(_, due)| *due = until);
            }
            Some(pending) => {
                owed.due
                    .store(SummaryDue::from_deadline(pending) as u8, Ordering::Release);
                return;
            }
        }
        debt.pending = Some(until);
        owed.due
            .store(SummaryDue::from_deadline(until) as u8, Ordering::Release);
        self.next_due.fetch_min(until, Ordering::Relaxed);
    }

    /// An event is about to be handed on that is to stand for so many others. It stands for those that this sink is owed: it may have been told of some,
    /// another thread may not have counted the last one yet, a filter may have kept some from it.
    pub(crate) fn take_represented(
        &self,
        callsite: &'static Metadata<'static>,
        others: u32,
    ) -> u64 {
        let owed = self.owed(callsite);
        let others = owed.settle(&mut owed.debt(), others.into());
        self.represented.fetch_add(others, Ordering::Relaxed);
        others
    }

    /// Whether there is anything to tell, now or later.
    #[inline]
    pub(crate) fn has_unreported(&self) -> bool {
        self.next_due.load(Ordering::Relaxed) != NEVER
    }

    /// The time, if something is to be told by now.
    #[cold]
    pub(crate) fn due_time(&self, now: Option<u64>) -> Option<u64> {
        let now = now.unwrap_or_else(|| self.time.coarse());
        (self.next_due.load(Ordering::Relaxed) <= now).then_some(now)
    }

    /// What is to be told by `until`, one at a time: no lock is held while it is told.
    #[cold]
    pub(crate) fn next_summary(&self, until: u64) -> Option<Summary> {
        loop {
            let callsite = {
                let mut pending = self.pending();
                let due = pending.iter().position(|(_, due)| *due <= until);
                let due = due.map(|index| pending.remove(index));
                let next = pending.iter().map(|(_, due)| *due).min();
                self.next_due
                    .store(next.unwrap_or(NEVER), Ordering::Relaxed);
                due?.0
            };
            let owed = self.owed(callsite);
            let (suppressed, first, last, owner) = {
                let mut debt = owed.debt();
                debt.pending = None;
                debt.of.retain(|of| of.owner.is_some());
                if debt.of.is_empty() {
                    let suppressed = owed.settle(&mut debt, u64::MAX);
                    (
                        suppressed,
                        debt.first,
                        owed.last.load(Ordering::Relaxed),
                        None,
                    )
                } else {
                    let of = debt.of.remove(0);
                    // The next one, or all others together, at once.
                    debt.pending = Some(0);
                    self.pending().push((callsite, 0));
                    self.next_due.store(0, Ordering::Relaxed);
                    let suppressed = owed.settle(&mut debt, of.count);
                    (suppressed, of.first, of.last, of.owner)
                }
            };
            if suppressed == 0 {
                continue;
            }
            // The first may have been read from a clock that is ahead of the last one's.
            let last = last.max(first);
            let now = self.time.now(Precision::Exact);
            let ago = |then: u64| Duration::from_nanos(now.saturating_sub(then));
            let time = self.time.clock().now();
            return Some(Summary {
                callsite,
                suppressed,
                first: time.checked_sub(ago(first)).unwrap_or(time),
                last: time.checked_sub(ago(last)).unwrap_or(time),
                owner,
            });
        }
    }

    /// Tells all there is to tell, without an event at hand.
    pub(crate) fn flush(&self) {
        while let Some(summary) = self.next_summary(NEVER) {
            let dispatch = self.dispatch.get().and_then(WeakDispatch::upgrade);
            if !summary::send(self, dispatch.as_ref(), &summary) {
                lost(&SelfReport::default(), &summary);
            }
        }
    }

    /// The sink is gone: complains about what it was not told.
    pub(crate) fn close(&self, report: &SelfReport) {
        while let Some(summary) = self.next_summary(NEVER) {
            lost(report, &summary);
        }
        self.sampler.remove(self);
    }

    pub(crate) fn stats(&self) -> SamplerStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let suppressed = self.owed.iter().map(|owed| load(&owed.suppressed)).sum();
        let represented = load(&self.represented).min(suppressed);
        SamplerStats {
            kept: self.kept.total(),
            sampled_out: self.sampled_out.total() + represented,
            suppressed: suppressed - represented,
        }
    }

    #[inline]
    fn owed(&self, callsite: &'static Metadata<'static>) -> &CallsiteSuppression {
        self.owed.get(callsite, |_| CallsiteSuppression::default())
    }

    fn pending(&self) -> MutexGuard<'_, Vec<(&'static Metadata<'static>, u64)>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallsiteSuppression {
    #[inline]
    fn count(&self, now: u64) {
        self.last.store(now, Ordering::Relaxed);
        self.suppressed.fetch_add(1, Ordering::AcqRel);
    }

    fn debt(&self) -> MutexGuard<'_, Unreported> {
        self.debt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Settles what is owed, or `most` of it. How much that is.
    fn settle(&self, debt: &mut Unreported, most: u64) -> u64 {
        self.due.store(SummaryDue::None as u8, Ordering::Release);
        // A change, though of nothing, so that it has its place among the others.
        let suppressed = self.suppressed.fetch_add(0, Ordering::AcqRel);
        let settled = (suppressed - debt.settled).min(most);
        debt.settled += settled;
        if debt.settled != suppressed
            && let Some(pending) = debt.pending
        {
            self.due
                .store(SummaryDue::from_deadline(pending) as u8, Ordering::Release);
        }
        settled
    }
}

impl Unreported {
    /// Counts an event of a value that is known; false if it is not.
    fn count_known(&mut self, key: u64, now: u64) -> bool {
        let known = self.of.iter_mut().find(|of| of.key == key);
        known.is_some_and(|of| {
            of.count += 1;
            of.last = now;
            true
        })
    }

    fn count_new(&mut self, key: u64, now: u64, owner: Option<Owner>) {
        if self.count_known(key, now) || self.of.len() >= OWNERS {
            return;
        }
        self.of.push(Of {
            key,
            owner,
            count: 1,
            first: now,
            last: now,
        });
    }
}

/// What a debt knows of what is held back.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum SummaryDue {
    None,
    /// It is to be told [at the end](ON_FLUSH).
    OnFlush,
    /// It is to be told when its time comes.
    AtTime,
}

impl SummaryDue {
    #[inline]
    fn from_deadline(until: u64) -> Self {
        if until == ON_FLUSH {
            Self::OnFlush
        } else {
            Self::AtTime
        }
    }
}

fn lost(report: &SelfReport, summary: &Summary) {
    report.last_fault(
        Fault::Lost,
        &format_args!(
            "{} events of {} were held back by a sampler, and no summary says so: call `Sampler::emit_summaries` before the end",
            summary.suppressed,
            summary::Place(summary.callsite)
        ),
    );
}

/// What became of the events that reached sampled sinks. All that reached them = kept + sampled out + suppressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SamplerStats {
    /// Handed on. Summaries of the sampler's own are not counted.
    pub kept: u64,
    /// Left out, while others carry a `sample_rate` that stands for them.
    pub sampled_out: u64,
    /// Left out, and told in summaries, or still to be told; of a share of 0 at the end alone.
    pub suppressed: u64,
}

impl fmt::Display for SamplerStats {
    /// `648 kept, 5832 sampled out, 17 suppressed`
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
        all.fold(Self::default(), |sum, one| Self {
            kept: sum.kept + one.kept,
            sampled_out: sum.sampled_out + one.sampled_out,
            suppressed: sum.suppressed + one.suppressed,
        })
    }
}
