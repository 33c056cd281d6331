//! The destinations of the events of a callsite, for all outcomes of its tests.
//!
//! The filters of a callsite run once for each combination of outcomes. So an event only runs its
//! tests, and reads the destination.

use tracing::Level;

use super::{
    Destination, FilterEvent, PlanDetails, Verdict,
    condition::Outcomes,
    filter::{Filters, Steps},
    index_of,
};

/// The destination for each combination of outcomes.
#[derive(Debug)]
pub(super) struct OutcomeTable {
    /// The bits of the tests. The outcome of the first decides the lowest bit of the index of a
    /// destination.
    tests: Vec<u64>,
    /// `None` if the level of the event changes.
    destinations: Vec<Option<SameLevel>>,
}

/// The destination of an event that keeps its level.
#[derive(Debug, Clone, Copy)]
pub(super) struct SameLevel {
    /// The bits of the sinks that get the event.
    pub(super) sinks: u64,
    /// The bits of the sinks whose filters drop the event.
    pub(super) filtered: u64,
}

/// The maximum number of tests. A table for more would have too many destinations.
const MAX_TABLE_TESTS: u32 = 5;

impl OutcomeTable {
    /// Creates the table of a callsite. Returns `None` if not only tests decide about its events,
    /// or if there are too many tests.
    pub(super) fn new(plan: &PlanDetails, filters: &Filters) -> Option<Self> {
        let mut steps = plan.sinks.iter().map(|(_, steps)| steps);
        let has_code = plan.route.has_code() || steps.any(Steps::has_code);
        let count = plan.tests.count_ones();
        if has_code || plan.may_be_forced || count == 0 || count > MAX_TABLE_TESTS {
            return None;
        }
        let bits = (0..u64::BITS).map(|index| 1 << index);
        let tests: Vec<u64> = bits.filter(|bit| plan.tests & bit != 0).collect();
        let destinations = (0..1 << count).map(|index: usize| {
            let holding = tests.iter().enumerate();
            let holding = holding.filter(|(at, _)| index >> at & 1 != 0);
            let outcomes = Outcomes {
                known: plan.tests,
                truth: holding.fold(0, |truth, (_, bit)| truth | bit),
            };
            let run = |steps: &Steps, level| steps.run(filters, outcomes, level, keep);
            plan.destination(run).same_level(plan)
        });
        Some(Self {
            destinations: destinations.collect(),
            tests,
        })
    }

    /// Returns the destination of an event with these outcomes. Returns `None` if its level
    /// changes.
    #[inline]
    pub(super) fn destination(&self, outcomes: Outcomes) -> Option<SameLevel> {
        let tests = self.tests.iter().enumerate();
        let index = tests.fold(0, |index, (at, bit)| {
            index | usize::from(outcomes.truth & bit != 0) << at
        });
        *self.destinations.get(index)?
    }
}

/// Calls no function, because no step is one.
fn keep(_: Level, _: &dyn Fn(&FilterEvent<'_>) -> Verdict) -> Verdict {
    Verdict::Keep
}

impl Destination {
    /// Returns the destination, if no sink gets the event at another level.
    fn same_level(self, plan: &PlanDetails) -> Option<SameLevel> {
        let own_index = index_of(plan.level);
        let mut by_level = self.by_level.into_iter().enumerate();
        let keeps_level = by_level.all(|(index, sinks)| index == own_index || sinks == 0);
        keeps_level.then_some(SameLevel {
            sinks: self.by_level[own_index],
            filtered: self.filtered,
        })
    }
}
