//! The levels of one sink.

use tracing::{Event, Subscriber};
use tracing_core::{LevelFilter, Metadata};
use tracing_subscriber::{Layer, layer::Context};

use crate::{
    EventContext, TargetLevels,
    forward::forward_all_but_events,
    internal::{CallsitePlans, log_record},
};

/// A layer that sees only events of certain levels. Created by
/// [`LayerExt::with_levels`](crate::LayerExt::with_levels).
///
/// The decision is cached per callsite. All spans pass, because they carry the context of events.
#[derive(Debug)]
pub struct LevelFiltered<L> {
    inner: L,
    levels: TargetLevels,
    plans: CallsitePlans<Decision>,
}

#[derive(Debug, Clone, Copy)]
enum Decision {
    Pass,
    Drop,
    /// All records of `tracing-log` share one callsite per level; their target is a field.
    PerRecord,
}

impl<L> LevelFiltered<L> {
    pub(crate) fn new(inner: L, levels: TargetLevels) -> Self {
        Self {
            inner,
            levels,
            plans: CallsitePlans::default(),
        }
    }

    fn passes(&self, event: &Event<'_>) -> bool {
        let callsite = event.metadata();
        match self.plans.get(callsite, |callsite| self.decide(callsite)) {
            Decision::Pass => true,
            Decision::Drop => false,
            Decision::PerRecord => {
                let target = log_record::LogRecord::from_event(event).target;
                *callsite.level() <= self.level(target.as_deref().unwrap_or(callsite.target()))
            }
        }
    }

    fn decide(&self, callsite: &Metadata<'_>) -> Decision {
        if log_record::is_log_record(callsite) {
            Decision::PerRecord
        } else if *callsite.level() <= self.level(callsite.target()) {
            Decision::Pass
        } else {
            Decision::Drop
        }
    }

    fn level(&self, target: &str) -> LevelFilter {
        // The levels of the application decide about targets that are not named here.
        self.levels.level(target).unwrap_or(LevelFilter::TRACE)
    }
}

impl<S, L> Layer<S> for LevelFiltered<L>
where
    S: Subscriber,
    L: Layer<S>,
{
    forward_all_but_events!(inner);

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if self.passes(event) || EventContext::forces_emit(event.metadata()) {
            self.inner.on_event(event, ctx);
        }
    }
}
