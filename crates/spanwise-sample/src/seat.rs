//! What one sink is owed: counts of what it did not get, until it is told.

use std::{
    fmt,
    iter::Sum,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use spanwise_core::{CallsitePlans, Fault, SelfReport, Tally};
use tracing::{Dispatch, dispatcher::WeakDispatch};
use tracing_core::Metadata;

use crate::{
    summary::{self, Summary},
    time::{Precision, Time},
};

/// The place of a sink at a sampler.
#[derive(Debug)]
pub(crate) struct Seat {
    /// From 1, and no other seat's, of no other sampler.
    id: u64,
    /// Among those of its sampler.
    number: usize,
    /// How often something was recorded into a span.
    records: AtomicU64,
    time: Time,
    dispatch: OnceLock<WeakDispatch>,
    kept: Tally,
    sampled_out: Tally,
    /// Of what was held back, what a later event stands for.
    stood_for: AtomicU64,
    owed: CallsitePlans<Owed>,
    /// Callsites with something held back, and when to tell it: first come, first told.
    pending: Mutex<Vec<(&'static Metadata<'static>, u64)>>,
    /// When the next of them is to be told.
    next_due: AtomicU64,
}

/// What was held back of one callsite. One more of it takes no lock.
#[derive(Debug, Default)]
struct Owed {
    /// Ever.
    held_back: AtomicU64,
    /// When the last one was.
    last: AtomicU64,
    /// The debt knows of the first one that is not settled.
    is_begun: AtomicBool,
    debt: Mutex<Debt>,
}

#[derive(Debug, Default)]
struct Debt {
    /// Of what was held back, what was told or is stood for.
    settled: u64,
    /// When the first one was that is not.
    first: u64,
    is_pending: bool,
}

/// Nothing is.
const NEVER: u64 = u64::MAX;

impl Seat {
    pub(crate) fn new(number: usize, time: Time) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(1);
        Self {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            number,
            records: AtomicU64::new(0),
            time,
            dispatch: OnceLock::new(),
            kept: Tally::default(),
            sampled_out: Tally::default(),
            stood_for: AtomicU64::new(0),
            owed: CallsitePlans::default(),
            pending: Mutex::default(),
            next_due: AtomicU64::new(NEVER),
        }
    }

    /// Seats of one sampler that share a bit are told of an event as if each were another event's: no sampler has 64 sinks.
    pub(crate) fn bit(&self) -> u64 {
        1 << (self.number % 64)
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
    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    pub(crate) fn recorded(&self) {
        self.records.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn kept(&self) {
        self.kept.count();
    }

    #[inline]
    pub(crate) fn sampled_out(&self) {
        self.sampled_out.count();
    }

    #[inline]
    pub(crate) fn held_back(&self, callsite: &'static Metadata<'static>, now: u64, until: u64) {
        let owed = self.owed(callsite);
        owed.last.store(now, Ordering::Relaxed);
        owed.held_back.fetch_add(1, Ordering::AcqRel);
        // Whoever settles takes this back before it reads the number: one that it did not count sees it here.
        if !owed.is_begun.load(Ordering::Acquire) {
            self.begin(owed, callsite, now, until);
        }
    }

    /// What was held back is the first since the last time something was settled.
    #[cold]
    fn begin(&self, owed: &Owed, callsite: &'static Metadata<'static>, now: u64, until: u64) {
        let mut debt = owed.debt();
        if owed.is_begun.load(Ordering::Acquire)
            || owed.held_back.load(Ordering::Acquire) == debt.settled
        {
            // Another thread was faster, with the first one or with settling.
            return;
        }
        debt.first = now;
        owed.is_begun.store(true, Ordering::Release);
        if !debt.is_pending {
            debt.is_pending = true;
            self.pending().push((callsite, until));
            self.next_due.fetch_min(until, Ordering::Relaxed);
        }
    }

    /// An event is about to be handed on that is to stand for so many others. It stands for those that this sink is owed: it may have been told of some,
    /// another thread may not have counted the last one yet, a filter may have kept some from it.
    pub(crate) fn stands_for(&self, callsite: &'static Metadata<'static>, others: u32) -> u64 {
        let owed = self.owed(callsite);
        let others = owed.settle(&mut owed.debt(), others.into());
        self.stood_for.fetch_add(others, Ordering::Relaxed);
        others
    }

    /// Whether there is anything to tell, now or later.
    #[inline]
    pub(crate) fn is_owed(&self) -> bool {
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
    pub(crate) fn next_until(&self, until: u64) -> Option<Summary> {
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
            let (suppressed, first) = {
                let mut debt = owed.debt();
                debt.is_pending = false;
                (owed.settle(&mut debt, u64::MAX), debt.first)
            };
            if suppressed == 0 {
                continue;
            }
            // The first may have been read from a clock that is ahead of the last one's.
            let last = owed.last.load(Ordering::Relaxed).max(first);
            let now = self.time.now(Precision::Exact);
            let ago = |then: u64| Duration::from_nanos(now.saturating_sub(then));
            let time = self.time.clock().now();
            return Some(Summary {
                callsite,
                suppressed,
                first: time.checked_sub(ago(first)).unwrap_or(time),
                last: time.checked_sub(ago(last)).unwrap_or(time),
            });
        }
    }

    /// Tells all there is to tell, without an event at hand.
    pub(crate) fn flush(&self) {
        while let Some(summary) = self.next_until(NEVER) {
            let dispatch = self.dispatch.get().and_then(WeakDispatch::upgrade);
            if !summary::send(self, dispatch.as_ref(), &summary) {
                lost(&SelfReport::default(), &summary);
            }
        }
    }

    /// The sink is gone: complains about what it was not told.
    pub(crate) fn close(&self, report: &SelfReport) {
        while let Some(summary) = self.next_until(NEVER) {
            lost(report, &summary);
        }
    }

    pub(crate) fn stats(&self) -> SamplerStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let held_back = self.owed.iter().map(|owed| load(&owed.held_back)).sum();
        let stood_for = load(&self.stood_for).min(held_back);
        SamplerStats {
            kept: self.kept.total(),
            sampled_out: self.sampled_out.total() + stood_for,
            suppressed: held_back - stood_for,
        }
    }

    #[inline]
    fn owed(&self, callsite: &'static Metadata<'static>) -> &Owed {
        self.owed.get(callsite, |_| Owed::default())
    }

    fn pending(&self) -> MutexGuard<'_, Vec<(&'static Metadata<'static>, u64)>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owed {
    fn debt(&self) -> MutexGuard<'_, Debt> {
        self.debt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Settles what is owed, or `most` of it. How much that is.
    fn settle(&self, debt: &mut Debt, most: u64) -> u64 {
        self.is_begun.store(false, Ordering::Release);
        // A change, though of nothing, so that it has its place among the others.
        let held_back = self.held_back.fetch_add(0, Ordering::AcqRel);
        let settled = (held_back - debt.settled).min(most);
        debt.settled += settled;
        if debt.settled != held_back {
            self.is_begun.store(true, Ordering::Release);
        }
        settled
    }
}

fn lost(report: &SelfReport, summary: &Summary) {
    report.last_fault(
        Fault::Lost,
        &format_args!(
            "{} events of {} were held back by a sampler, and no summary says so: call `Sampler::flush` before the end",
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
    /// Left out, and told in summaries, or still to be told.
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
