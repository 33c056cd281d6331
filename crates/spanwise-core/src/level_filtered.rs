//! The wrapper that filters the events of one sink by level.

use tracing::{Event, Subscriber};
use tracing_core::{LevelFilter, Metadata};
use tracing_subscriber::{Layer, layer::Context};

use crate::{
    EventContext, TargetLevels,
    forward::forward_all_but_events,
    internal::{CallsitePlans, log_record},
};

/// Forwards only events of certain levels to the inner layer. Created by
/// [`LayerExt::with_levels`](crate::LayerExt::with_levels).
///
/// The decision is cached per callsite. All spans are forwarded, because they carry the context of
/// events.
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
    /// Decided per record. All records of `tracing-log` of one level share a callsite, and their
    /// target is a field.
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
        // The levels of the application decide about targets that these levels do not name.
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
