//! The plan of a [`Router`](super::Router) for the events of a callsite: which sinks get them, as
//! far as this follows from the target and the level.

use tracing::Level;

use super::{
    condition::FieldTests,
    filter::{FinalLevel, Steps},
    outcome_table::OutcomeTable,
};

/// The plan for the events of a callsite.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The bits of the sinks, if the same sinks get every event at its own level. 0 in all other
    /// cases, in which `by_outcome` or `details` decides.
    pub(super) fixed_sinks: u64,
    /// The destinations of events, if only tests of field values decide about them.
    pub(super) by_outcome: Option<OutcomeTable>,
    pub(super) details: Box<PlanDetails>,
}

/// The data of a plan that events need if `fixed_sinks` and `by_outcome` do not decide.
#[derive(Debug)]
pub(super) struct PlanDetails {
    /// The bits of the sinks to which the routes lead.
    pub(super) reached_sinks: u64,
    /// The bit of the sink that gets the warnings and errors, because all sinks that the routes
    /// name are switched off. 0 in all other cases.
    pub(super) last_resort: u64,
    /// For each level, the bits of the sinks whose own levels accept it.
    pub(super) accepting_by_level: [u64; 5],
    /// The level of the callsite.
    pub(super) level: Level,
    /// The steps that remain of the filters of the route, when target and level are known.
    pub(super) route_steps: Steps,
    /// The steps that remain of the filters of each sink, with the bit of the sink. Sinks without
    /// filters are not listed.
    pub(super) sink_steps: Vec<(u64, Steps)>,
    /// The bits of the tests of field values in `route_steps` and `sink_steps`.
    pub(super) tests: u64,
    /// The tests of the event's own fields.
    pub(super) field_tests: FieldTests,
    /// Whether the event may have to reach all sinks, because it may report on other events: see
    /// [`EventContext::forces_emit`](spanwise_core::EventContext::forces_emit).
    pub(super) may_be_forced: bool,
    /// The destination of all events. `None` if it differs from event to event.
    pub(super) fixed_destination: Option<Destination>,
}

/// The sinks that get an event, and the sinks whose filters drop it, as router bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Destination {
    /// The bits of the sinks that get the event, by the level at which they get it.
    pub(super) sinks_by_level: [u64; 5],
    /// The bits of the sinks whose filters drop the event.
    pub(super) filtered: u64,
}

/// The levels in the order of [`Destination::sinks_by_level`].
pub(super) const LEVELS: [Level; 5] = [
    Level::ERROR,
    Level::WARN,
    Level::INFO,
    Level::DEBUG,
    Level::TRACE,
];

impl PlanDetails {
    /// Returns the destination of all events, or `None` if it differs from event to event.
    pub(super) fn compute_fixed_destination(&self) -> Option<Destination> {
        let is_fixed =
            self.route_steps.is_fixed() && self.sink_steps.iter().all(|(_, it)| it.is_fixed());
        is_fixed.then(|| self.destination(run_fixed))
    }

    /// Returns the destination of an event. `run` runs steps on the event at a level. It returns
    /// the level of the event after the steps, or `None` if they drop the event.
    pub(super) fn destination(
        &self,
        mut run: impl FnMut(&Steps, Level) -> Option<Level>,
    ) -> Destination {
        let mut destination = Destination::default();
        let Some(level) = run(&self.route_steps, self.level) else {
            destination.filtered = self.accepting(self.level);
            return destination;
        };
        let mut at_level = self.accepting(level);
        for (bit, steps) in &self.sink_steps {
            if at_level & bit == 0 {
                continue;
            }
            match run(steps, level) {
                Some(new) if new == level => {}
                Some(new) => {
                    at_level &= !bit;
                    destination.sinks_by_level[index_of(new)] |=
                        bit & self.accepting_by_level[index_of(new)];
                }
                None => {
                    at_level &= !bit;
                    destination.filtered |= bit;
                }
            }
        }
        destination.sinks_by_level[index_of(level)] |= at_level;
        destination
    }

    /// Returns the destination of an event that only a recorder gets. Filters may drop the event,
    /// but do not change its level, because a sink might show the new level. Dropped events are not
    /// counted, because no sink would have got them.
    pub(super) fn for_recorder(
        &self,
        mut run: impl FnMut(&Steps, Level) -> Option<Level>,
    ) -> Destination {
        let destination = self.destination(|steps, level| run(steps, level).map(|_| level));
        Destination {
            filtered: 0,
            ..destination
        }
    }

    /// Returns the bits of the sinks to which the routes lead, and whose own levels accept `level`.
    fn accepting(&self, level: Level) -> u64 {
        let reached = match level <= Level::WARN {
            true => self.reached_sinks | self.last_resort,
            false => self.reached_sinks,
        };
        reached & self.accepting_by_level[index_of(level)]
    }

    /// Returns the destination of an event that reports on other events: all sinks that accept its
    /// level.
    pub(super) fn forced(&self) -> Destination {
        let mut destination = Destination::default();
        let index = index_of(self.level);
        destination.sinks_by_level[index] = self.accepting_by_level[index];
        destination
    }
}

/// Runs steps that do not depend on the event.
pub(super) fn run_fixed(steps: &Steps, level: Level) -> Option<Level> {
    match steps.final_level() {
        FinalLevel::Known(level) => Some(level),
        FinalLevel::Unknown => Some(level),
        FinalLevel::Dropped => None,
    }
}

impl Destination {
    /// Returns whether a sink with one of these bits gets the event.
    pub(super) fn reaches(&self, bits: u64) -> bool {
        self.sinks_by_level.iter().any(|sinks| sinks & bits != 0)
    }

    /// Returns the bits of the sinks that get the event. Returns 0 if a filter drops the event or
    /// changes its level for any sink.
    pub(super) fn only_at(&self, level: Level) -> u64 {
        let sinks = self.sinks_by_level[index_of(level)];
        let all = self
            .sinks_by_level
            .iter()
            .fold(self.filtered, |all, sinks| all | sinks);
        if all == sinks { sinks } else { 0 }
    }
}

/// Returns the index of a level in [`LEVELS`].
pub(super) fn index_of(level: Level) -> usize {
    let index = LEVELS.iter().position(|other| *other == level);
    index.unwrap_or_default()
}
