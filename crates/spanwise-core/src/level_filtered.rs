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
    /// Whether the events of a callsite pass. `None` for records of `tracing-log`, which share one
    /// callsite per level: their target is a field.
    plans: CallsitePlans<Option<bool>>,
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
        let decided = self.plans.get(callsite, |callsite| {
            let is_record = log_record::is_log_record(callsite);
            (!is_record).then(|| self.is_shown(callsite, callsite.target()))
        });
        decided.unwrap_or_else(|| {
            let target = log_record::LogRecord::from_event(event).target;
            self.is_shown(callsite, target.as_deref().unwrap_or(callsite.target()))
        })
    }

    fn is_shown(&self, callsite: &Metadata<'_>, target: &str) -> bool {
        // The levels of the application decide about targets that are not named here.
        *callsite.level() <= self.levels.level(target).unwrap_or(LevelFilter::TRACE)
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
