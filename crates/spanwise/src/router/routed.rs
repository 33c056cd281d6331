//! The layer around all sinks that decides which sinks get an event.

use std::{collections::HashMap, sync::Arc};

use spanwise_core::{
    Context as SpanContext, EventContext, SinkFilter, forward, forward_downcast,
    internal::{
        CallsitePlans, SinkMask, SpanSubscriber, Visibility, VisibilityCache,
        log_record::{self, LogRecord},
        sync::RwLock,
        with_level,
    },
};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_core::span::{Attributes, Id, Record};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::{
    FilterEvent, Router, Verdict,
    condition::Outcomes,
    filter::Steps,
    outcome_table::SameLevel,
    plan::{Destination, LEVELS, Plan, PlanDetails, run_fixed},
    span_outcomes::SpanTests,
};

/// Forwards each event that a sink gets, in the scope of a [`SinkMask`] with these sinks. Forwards
/// all spans.
#[derive(Debug)]
pub(crate) struct Routed<L> {
    inner: L,
    router: Arc<Router>,
    /// The filter that selects the events to show. `None` without a recorder, because then all
    /// enabled events are shown.
    shown: Option<SinkFilter>,
    /// The cached decisions of `shown`, for callsites without a fixed plan.
    visibility: CallsitePlans<VisibilityCache>,
    plans: CallsitePlans<CallsitePlan>,
    record_plans: RecordPlans,
    span_tests: SpanTests,
}

#[derive(Debug)]
enum CallsitePlan {
    /// The plan for the target of the callsite.
    Target(Box<Plan>),
    /// A callsite of `tracing-log`. Its records have different targets, which are a field, so they
    /// have plans in [`RecordPlans`].
    LogRecord,
}

/// The plans of records of `tracing-log`, by their level and their target.
#[derive(Debug, Default)]
struct RecordPlans(RwLock<HashMap<(Level, String), Arc<Plan>>>);

/// The maximum number of stored plans of records. For further targets, each record is planned
/// again.
const MAX_RECORD_PLANS: usize = 1024;

impl<L> Routed<L> {
    /// Creates the layer. `shown` selects the events to show, if there is a recorder for which
    /// other events are enabled.
    pub(crate) fn new(inner: L, router: Arc<Router>, shown: Option<SinkFilter>) -> Self {
        Self {
            inner,
            shown,
            visibility: CallsitePlans::default(),
            span_tests: SpanTests::new(&router.filters),
            router,
            plans: CallsitePlans::default(),
            record_plans: RecordPlans::default(),
        }
    }

    /// Plans the callsites of an earlier router, so that their next events do not wait for the
    /// plans. Skips callsites whose events go to the last resort, because their plan would report
    /// the last resort before an event comes.
    #[cfg(feature = "config")]
    pub(crate) fn plan_callsites_of(&self, earlier: &Self) {
        for callsite in earlier.plans.callsites() {
            if !self.router.has_last_resort(callsite.target()) {
                self.plan(callsite);
            }
        }
    }

    #[inline]
    fn plan(&self, callsite: &'static Metadata<'static>) -> &CallsitePlan {
        self.plans.get(callsite, |callsite| {
            match log_record::is_log_record(callsite) {
                true => CallsitePlan::LogRecord,
                false => {
                    let plan = self.router.plan(callsite, callsite.target());
                    CallsitePlan::Target(Box::new(plan))
                }
            }
        })
    }

    /// Returns the bits of the sinks that get an event, and counts the event for the sinks whose
    /// filters drop it. Returns `None` if the plan has no [`OutcomeTable`](super::OutcomeTable), if
    /// a filter changes the level for at least one sink, or if only a recorder gets the event.
    #[inline(never)] // Kept out of line, so that the path of events without filters stays small.
    fn sinks_by_outcome<S: SpanSubscriber>(
        &self,
        plan: &Plan,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Option<u64> {
        let table = plan.by_outcome.as_ref()?;
        if !self.is_shown(event, ctx) {
            return None;
        }
        let outcomes = self.outcomes(&plan.details, event, ctx);
        let SameLevel { sinks, filtered } = table.destination(outcomes)?;
        if filtered != 0 {
            self.router.count_filtered(filtered);
        }
        Some(sinks)
    }

    /// Forwards an event if neither the plan of its callsite nor the outcomes of its tests
    /// determine the destination.
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn on_uncommon_event<S>(&self, event: &Event<'_>, ctx: &Context<'_, S>, plan: &CallsitePlan)
    where
        S: SpanSubscriber,
        L: Layer<S>,
    {
        let callsite = event.metadata();
        let destination = match plan {
            CallsitePlan::Target(plan) => {
                self.destination(&plan.details, callsite.target(), event, ctx)
            }
            CallsitePlan::LogRecord => {
                let target = LogRecord::from_event(event).target;
                let target = target.as_deref().unwrap_or(callsite.target());
                let plan = self
                    .record_plans
                    .get_or_insert(*callsite.level(), target, || {
                        self.router.plan(callsite, target)
                    });
                self.destination(&plan.details, target, event, ctx)
            }
        };
        self.router.count_filtered(destination.filtered);
        for (bits, level) in destination.sinks_by_level.into_iter().zip(LEVELS) {
            if bits == 0 {
                continue;
            }
            let forward = |event: &Event<'_>| {
                let sinks = SinkMask::from_bits(bits);
                sinks.scope(|| self.inner.on_event(event, ctx.clone()));
            };
            if level == *callsite.level() {
                forward(event);
            } else {
                with_level(event, level, &mut |event, is_changed| {
                    if !is_changed {
                        self.router.report_unchanged_level();
                    }
                    // The copy with the changed level counts as a new event. `event_enabled` makes
                    // samplers forget their decision about the original one.
                    if self.inner.event_enabled(event, ctx.clone()) {
                        forward(event);
                    }
                });
            }
        }
    }

    /// Returns the destination of an event. Reports the last resort if the event goes there.
    fn destination<S: SpanSubscriber>(
        &self,
        plan: &PlanDetails,
        target: &str,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Destination {
        // An event that reports on other events goes to all sinks, so no sink is a last resort.
        if plan.may_be_forced && EventContext::forces_emit(event.metadata()) {
            return plan.forced();
        }
        let destination = self.destination_by_filters(plan, target, event, ctx);
        if destination.reaches(plan.last_resort) {
            self.router.report_last_resort(target, plan.last_resort);
        }
        destination
    }

    fn destination_by_filters<S: SpanSubscriber>(
        &self,
        plan: &PlanDetails,
        target: &str,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Destination {
        let is_shown = self.is_shown(event, ctx);
        if let Some(fixed) = plan.fixed_destination {
            return match is_shown {
                true => fixed,
                false => plan.for_recorder(run_fixed),
            };
        }
        let router = &*self.router;
        let outcomes = self.outcomes(plan, event, ctx);
        let context = || SpanContext::from_event(event, ctx);
        let with_event = |level: Level, call: &dyn Fn(&FilterEvent<'_>) -> Verdict| {
            call(&FilterEvent {
                event,
                target,
                level,
                policy: router.filters.policy.as_deref(),
                context: &context,
            })
        };
        let run = |steps: &Steps, level| steps.run(&router.filters, outcomes, level, with_event);
        match is_shown {
            true => plan.destination(run),
            false => plan.for_recorder(run),
        }
    }

    /// Returns whether the levels show an event. If not, only a recorder gets it.
    #[inline]
    fn is_shown<S: SpanSubscriber>(&self, event: &Event<'_>, ctx: &Context<'_, S>) -> bool {
        self.shown.as_ref().is_none_or(|shown| {
            let cache = (self.visibility).get(event.metadata(), |_| VisibilityCache::default());
            shown.visibility(cache, event, ctx) == Visibility::Visible
        })
    }

    /// Runs the tests of a plan on the fields of an event. If the event does not have the field of
    /// a test, the test runs on the spans of the event, or else on its context.
    #[inline]
    fn outcomes<S: SpanSubscriber>(
        &self,
        plan: &PlanDetails,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Outcomes {
        let filters = &self.router.filters;
        let tests = &filters.tests;
        let mut outcomes = tests.run(&plan.field_tests, |visitor| event.record(visitor));
        let missing = plan.tests & self.span_tests.bits() & !outcomes.known;
        if missing != 0
            && let Some(span) = ctx.event_span(event)
        {
            outcomes = outcomes.or(self.span_tests.joined(filters, &span).only(missing));
        }
        tests.with_absent(outcomes, plan.tests)
    }
}

impl RecordPlans {
    /// Returns the stored plan. If there is none, calls `plan` and stores its result.
    fn get_or_insert(&self, level: Level, target: &str, plan: impl FnOnce() -> Plan) -> Arc<Plan> {
        let key = (level, target.to_owned());
        if let Some(plan) = self.0.read().get(&key) {
            return Arc::clone(plan);
        }
        let plan = Arc::new(plan());
        let mut plans = self.0.write();
        if plans.len() < MAX_RECORD_PLANS {
            plans.insert(key, Arc::clone(&plan));
        }
        plan
    }
}

impl<S, L> Layer<S> for Routed<L>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    L: Layer<S>,
{
    #[inline]
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let plan = self.plan(event.metadata());
        let sinks = match plan {
            CallsitePlan::Target(plan) if plan.fixed_sinks != 0 => Some(plan.fixed_sinks),
            CallsitePlan::Target(plan) => self.sinks_by_outcome(plan, event, &ctx),
            CallsitePlan::LogRecord => None,
        };
        match sinks {
            Some(0) => {}
            Some(sinks) => SinkMask::from_bits(sinks).scope(|| self.inner.on_event(event, ctx)),
            None => self.on_uncommon_event(event, &ctx, plan),
        }
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        self.span_tests
            .on_new_span(&self.router.filters, attrs, id, &ctx);
        self.inner.on_new_span(attrs, id, ctx);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        self.span_tests
            .on_record(&self.router.filters, id, values, &ctx);
        self.inner.on_record(id, values, ctx);
    }

    forward!(inner: on_register_dispatch, on_layer, register_callsite, enabled, max_level_hint);
    forward!(inner: event_enabled, on_follows_from, on_enter, on_exit, on_close, on_id_change);
    forward_downcast!(this, id => this.inner.downcast_raw(id));
}
