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
/// The decision is cached per callsite, except for records of `tracing-log`. All spans are
/// forwarded, because they carry the context of events. The summaries of a sampler and the headers
/// of a recorder's dumps are forwarded at every level.
#[derive(Debug)]
pub struct LevelFiltered<L> {
    inner: L,
    levels: TargetLevels,
    /// Whether events of a callsite are forwarded. `None` for records of `tracing-log`, because
    /// they share one callsite per level, and their target is a field.
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
            let is_log_record = log_record::is_log_record(callsite);
            (!is_log_record).then(|| self.is_shown(callsite, callsite.target()))
        });
        decided.unwrap_or_else(|| {
            let target = log_record::LogRecord::from_event(event).target;
            self.is_shown(callsite, target.as_deref().unwrap_or(callsite.target()))
        })
    }

    fn is_shown(&self, callsite: &Metadata<'_>, target: &str) -> bool {
        // If `self.levels` has no level for the target, the levels of the application decide alone.
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
