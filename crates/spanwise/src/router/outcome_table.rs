//! The destinations of the events of a callsite, for all outcomes of its tests.
//!
//! Filters contain *tests* of field values. When the callsite is first used, the filters of its
//! route and its sinks are evaluated for each combination of test outcomes. An event then only runs
//! the tests, and looks up its destination.

use tracing::Level;

use super::{
    FilterEvent, Verdict,
    condition::Outcomes,
    filter::{Filters, Steps},
    plan::{Destination, PlanDetails, index_of},
};

/// The destination for each combination of outcomes.
#[derive(Debug)]
pub(super) struct OutcomeTable {
    /// The bit of each test. The test at position `i` sets bit `i` of the index into
    /// `destinations`.
    tests: Vec<u64>,
    /// `None` if a filter changes the level of the event for at least one sink.
    destinations: Vec<Option<SameLevel>>,
}

/// The destination of an event that each sink gets at its original level.
#[derive(Debug, Clone, Copy)]
pub(super) struct SameLevel {
    /// The bits of the sinks that get the event.
    pub(super) sinks: u64,
    /// The bits of the sinks whose filters drop the event.
    pub(super) filtered: u64,
}

/// The maximum number of tests. A table has 2^5 = 32 destinations for them.
const MAX_TABLE_TESTS: u32 = 5;

impl OutcomeTable {
    /// Creates the table of a callsite. Returns `None` if anything besides tests decides about its
    /// events, if there are no tests, or if there are more than [`MAX_TABLE_TESTS`].
    pub(super) fn new(plan: &PlanDetails, filters: &Filters) -> Option<Self> {
        let mut steps = plan.sink_steps.iter().map(|(_, steps)| steps);
        let has_code = plan.route_steps.has_code() || steps.any(Steps::has_code);
        let count = plan.tests.count_ones();
        if has_code || plan.may_be_forced || count == 0 || count > MAX_TABLE_TESTS {
            return None;
        }
        let bits = (0..u64::BITS).map(|shift| 1 << shift);
        let tests: Vec<u64> = bits.filter(|bit| plan.tests & bit != 0).collect();
        let destinations = (0..1 << count).map(|index: usize| {
            let holding_tests = tests.iter().enumerate();
            let holding_tests = holding_tests.filter(|(position, _)| index >> position & 1 != 0);
            let outcomes = Outcomes {
                known: plan.tests,
                truth: holding_tests.fold(0, |truth, (_, bit)| truth | bit),
            };
            let run = |steps: &Steps, level| steps.run(filters, outcomes, level, keep);
            plan.destination(run).same_level(plan)
        });
        Some(Self {
            destinations: destinations.collect(),
            tests,
        })
    }

    /// Returns the destination of an event with these outcomes. Returns `None` if a filter changes
    /// its level for at least one sink.
    #[inline]
    pub(super) fn destination(&self, outcomes: Outcomes) -> Option<SameLevel> {
        let tests = self.tests.iter().enumerate();
        let index = tests.fold(0, |index, (position, bit)| {
            index | usize::from(outcomes.truth & bit != 0) << position
        });
        *self.destinations.get(index)?
    }
}

/// Never called, because [`OutcomeTable::new`] rejects steps with filters in code.
fn keep(_: Level, _: &dyn Fn(&FilterEvent<'_>) -> Verdict) -> Verdict {
    Verdict::Keep
}

impl Destination {
    /// Returns the destination, or `None` if a sink gets the event at a changed level.
    fn same_level(self, plan: &PlanDetails) -> Option<SameLevel> {
        let own_index = index_of(plan.level);
        let mut by_level = self.sinks_by_level.into_iter().enumerate();
        let keeps_level = by_level.all(|(index, sinks)| index == own_index || sinks == 0);
        keeps_level.then_some(SameLevel {
            sinks: self.sinks_by_level[own_index],
            filtered: self.filtered,
        })
    }
}
