//! What one sink is owed: counts of what it did not get, until it is told.

use std::{
    fmt,
    iter::Sum,
    mem, ptr,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use spanwise_core::{CallsitePlans, Clock, Fault, SelfReport};
use tracing::{Dispatch, dispatcher::WeakDispatch};
use tracing_core::Metadata;

use crate::{
    owner::{OWNERS, Owner},
    summary::{self, Summary},
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
    clock: Clock,
    start: Instant,
    dispatch: OnceLock<WeakDispatch>,
    kept: AtomicU64,
    sampled_out: AtomicU64,
    held_back: AtomicU64,
    /// Of what was held back, what a later event stands for.
    stood_for: AtomicU64,
    owed: CallsitePlans<Mutex<Owed>>,
    /// Callsites with something held back, and when to tell it: first come, first told.
    pending: Mutex<Vec<(&'static Metadata<'static>, u64)>>,
    /// When the next of them is to be told.
    next_due: AtomicU64,
}

/// What was held back of one callsite and is not told.
#[derive(Debug, Default)]
struct Owed {
    count: u64,
    first: u64,
    last: u64,
    /// When it is to be told, as far as it is pending.
    pending: Option<u64>,
    /// Of the count, by whose they are.
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

impl Owed {
    /// Counts an event of a value that is known; false if it is not.
    fn of_known(&mut self, key: u64, now: u64) -> bool {
        let known = self.of.iter_mut().find(|of| of.key == key);
        known.is_some_and(|of| {
            of.count += 1;
            of.last = now;
            true
        })
    }

    fn of_new(&mut self, key: u64, now: u64, owner: Option<Owner>) {
        if self.of_known(key, now) || self.of.len() >= OWNERS {
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

/// Nothing is.
const NEVER: u64 = u64::MAX;

/// When that is to be told of which nothing is shown: by a flush, and not before.
pub(crate) const AT_THE_END: u64 = NEVER;

impl Seat {
    pub(crate) fn new(number: usize, clock: Clock, start: Instant) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(1);
        Self {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            number,
            records: AtomicU64::new(0),
            clock,
            start,
            dispatch: OnceLock::new(),
            kept: AtomicU64::new(0),
            sampled_out: AtomicU64::new(0),
            held_back: AtomicU64::new(0),
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
        self.kept.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn sampled_out(&self) {
        self.sampled_out.fetch_add(1, Ordering::Relaxed);
    }

    /// An event of the bucket `key` is held back, or of none that has one for each value, which is 0. Of a new one `owner` is asked.
    pub(crate) fn held_back(
        &self,
        callsite: &'static Metadata<'static>,
        now: u64,
        until: u64,
        key: u64,
        owner: impl FnOnce() -> Option<Owner>,
    ) {
        self.held_back.fetch_add(1, Ordering::Relaxed);
        let mut owed = self.owed(callsite);
        if key != 0 && !owed.of_known(key, now) && owed.of.len() < OWNERS {
            // It reads values, which may log.
            drop(owed);
            let owner = owner();
            owed = self.owed(callsite);
            owed.of_new(key, now, owner);
        }
        if owed.count == 0 {
            owed.first = now;
        }
        owed.count += 1;
        owed.last = now;
        match owed.pending {
            None => self.pending().push((callsite, until)),
            // One rule waits for the end, another does not.
            Some(AT_THE_END) if until < AT_THE_END => {
                let mut pending = self.pending();
                let same = pending.iter_mut().filter(|(of, _)| ptr::eq(*of, callsite));
                same.for_each(|(_, due)| *due = until);
            }
            Some(_) => return,
        }
        owed.pending = Some(until);
        self.next_due.fetch_min(until, Ordering::Relaxed);
    }

    /// An event is about to be handed on that is to stand for so many others. It stands for those that this sink is owed: it may have been told of some,
    /// another thread may not have counted the last one yet, a filter may have kept some from it.
    pub(crate) fn stands_for(&self, callsite: &'static Metadata<'static>, others: u32) -> u64 {
        let mut owed = self.owed(callsite);
        let others = owed.count.min(others.into());
        owed.count -= others;
        self.stood_for.fetch_add(others, Ordering::Relaxed);
        others
    }

    /// Whether there is anything to tell, now or later.
    #[inline]
    pub(crate) fn is_owed(&self) -> bool {
        self.next_due.load(Ordering::Relaxed) != NEVER
    }

    #[cold]
    pub(crate) fn is_due(&self, now: Option<u64>) -> bool {
        let now = now.unwrap_or_else(|| nanos_since(&self.clock, self.start));
        self.next_due.load(Ordering::Relaxed) <= now
    }

    /// What is to be told by now, one at a time: no lock is held while it is told.
    #[cold]
    pub(crate) fn next_due(&self) -> Option<Summary> {
        self.next_until(nanos_since(&self.clock, self.start))
    }

    fn next_until(&self, until: u64) -> Option<Summary> {
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
            let (suppressed, first, last, owner) = {
                let mut owed = self.owed(callsite);
                owed.pending = None;
                if owed.count == 0 {
                    continue;
                }
                owed.of.retain(|of| of.owner.is_some());
                if owed.of.is_empty() {
                    (mem::take(&mut owed.count), owed.first, owed.last, None)
                } else {
                    let of = owed.of.remove(0);
                    owed.count = owed.count.saturating_sub(of.count);
                    if owed.count > 0 {
                        // The next one, or all others together, at once.
                        owed.pending = Some(0);
                        self.pending().push((callsite, 0));
                        self.next_due.store(0, Ordering::Relaxed);
                    }
                    (of.count, of.first, of.last, of.owner)
                }
            };
            let now = nanos_since(&self.clock, self.start);
            let ago = |then: u64| Duration::from_nanos(now.saturating_sub(then));
            let time = self.clock.now();
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
        let held_back = load(&self.held_back);
        let stood_for = load(&self.stood_for).min(held_back);
        SamplerStats {
            kept: load(&self.kept),
            sampled_out: load(&self.sampled_out) + stood_for,
            suppressed: held_back - stood_for,
        }
    }

    fn owed(&self, callsite: &'static Metadata<'static>) -> MutexGuard<'_, Owed> {
        let owed = self.owed.get(callsite, |_| Mutex::default());
        owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, Vec<(&'static Metadata<'static>, u64)>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Times of a sampler are nanoseconds since it was made.
pub(crate) fn nanos_since(clock: &Clock, start: Instant) -> u64 {
    let since = clock.instant().saturating_duration_since(start);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
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
