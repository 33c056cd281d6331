//! The layer around all sinks that decides which of them get an event.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use spanwise_core::{
    CONTEXT_KEYS, Context as SpanContext, EventContext, SinkFilter, forward, forward_downcast,
    internal::{
        CallsitePlans, LayerId, SinkMask, SpanSubscriber, Visibility, VisibilityCache,
        log_record::{self, LogRecord},
        recorded_callsite,
        sync::RwLock,
        with_level,
    },
};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_core::{
    field::Visit,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::{
    Destination, FilterEvent, LEVELS, Plan, PlanDetails, Router, Verdict,
    condition::{FieldTests, Outcomes},
    filter::Steps,
    run_fixed,
};

/// Forwards each event that a sink gets, in the scope of a [`SinkMask`] with these sinks. Forwards
/// all spans.
#[derive(Debug)]
pub(crate) struct Routed<L> {
    inner: L,
    router: Arc<Router>,
    id: LayerId,
    /// The filter that selects the events to show. `None` without a recorder, when all enabled
    /// events are shown.
    shown: Option<SinkFilter>,
    /// The cached decisions of `shown`, for callsites without a fixed plan.
    visibility: CallsitePlans<VisibilityCache>,
    plans: CallsitePlans<CallsitePlan>,
    /// The tests for the fields of spans, by the callsite of the span.
    span_field_tests: CallsitePlans<FieldTests>,
    record_plans: RecordPlans,
    /// The bits of the tests that the fields of spans can decide.
    span_tests: u64,
}

#[derive(Debug)]
enum CallsitePlan {
    Target(Box<Plan>),
    /// Records of `tracing-log` share one callsite per level, and their target is a field.
    LogRecord,
}

/// The plans of records of `tracing-log`, by their level and their target.
#[derive(Debug, Default)]
struct RecordPlans(RwLock<HashMap<(Level, String), Arc<Plan>>>);

/// The maximum number of stored plans of records. For further targets, each record is planned
/// again.
const MAX_RECORD_PLANS: usize = 1024;

/// The outcomes of tests on the fields of a span.
#[derive(Debug)]
struct SpanOutcomes {
    /// The layer whose router has given the tests their bits.
    layer: LayerId,
    known: AtomicU64,
    truth: AtomicU64,
}

impl<L> Routed<L> {
    /// Creates the layer. `shown` selects the events to show, if there is a recorder for which
    /// other events are enabled.
    pub(crate) fn new(inner: L, router: Arc<Router>, shown: Option<SinkFilter>) -> Self {
        Self {
            inner,
            id: LayerId::unique(),
            shown,
            visibility: CallsitePlans::default(),
            span_tests: router.filters.tests.span_bits(),
            router,
            plans: CallsitePlans::default(),
            span_field_tests: CallsitePlans::default(),
            record_plans: RecordPlans::default(),
        }
    }

    /// Forwards an event whose plan is not [fixed](Plan::fixed).
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
                let plan = self.record_plans.get(*callsite.level(), target, || {
                    self.router.plan(callsite, target)
                });
                self.destination(&plan.details, target, event, ctx)
            }
        };
        self.router.count_filtered(destination.filtered);
        for (bits, level) in destination.by_level.into_iter().zip(LEVELS) {
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
                with_level(event, level, |event, is_changed| {
                    if !is_changed {
                        self.router.report_full();
                    }
                    // Samplers decide in `event_enabled`, and have not seen the event at this
                    // level.
                    if self.inner.event_enabled(event, ctx.clone()) {
                        forward(event);
                    }
                });
            }
        }
    }

    fn destination<S: SpanSubscriber>(
        &self,
        plan: &PlanDetails,
        target: &str,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Destination {
        if plan.may_be_forced && EventContext::forces_emit(event.metadata()) {
            return plan.forced();
        }
        let is_shown = self.is_shown(event, ctx);
        if let Some(fixed) = plan.if_fixed {
            return match is_shown {
                true => fixed,
                false => plan.for_recorder(run_fixed),
            };
        }
        let router = &*self.router;
        let outcomes = self.outcomes(plan, event, ctx);
        let context = || SpanContext::from_event(event, ctx);
        let with_view = |level: Level, call: &dyn Fn(&FilterEvent<'_>) -> Verdict| {
            call(&FilterEvent {
                event,
                target,
                level,
                policy: router.filters.policy.as_deref(),
                context: &context,
            })
        };
        let run = |steps: &Steps, level| steps.run(&router.filters, outcomes, level, with_view);
        match is_shown {
            true => plan.destination(run),
            false => plan.for_recorder(run),
        }
    }

    /// Returns whether the levels show an event. Otherwise only a recorder gets it.
    fn is_shown<S: SpanSubscriber>(&self, event: &Event<'_>, ctx: &Context<'_, S>) -> bool {
        self.shown.as_ref().is_none_or(|shown| {
            let cache = (self.visibility).get(event.metadata(), |_| VisibilityCache::default());
            shown.visibility(cache, event, ctx) == Visibility::Visible
        })
    }

    /// Runs the tests of a plan on the values of an event, or else of its spans, or else of its
    /// context.
    #[inline]
    fn outcomes<S: SpanSubscriber>(
        &self,
        plan: &PlanDetails,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Outcomes {
        let tests = &self.router.filters.tests;
        let mut outcomes = tests.run(&plan.fields, |visitor| event.record(visitor));
        if plan.tests & self.span_tests & !outcomes.known != 0 {
            outcomes = self.with_outer_outcomes(plan, outcomes, event, ctx);
        }
        let absent = tests.without_value() & plan.tests & !outcomes.known;
        Outcomes {
            truth: outcomes.truth | absent,
            ..outcomes
        }
    }

    /// Adds the outcomes of tests that have none yet, from the fields of the event's spans and then
    /// from the context.
    #[inline(never)] // Few events lack the field of a filter.
    fn with_outer_outcomes<S: SpanSubscriber>(
        &self,
        plan: &PlanDetails,
        mut outcomes: Outcomes,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Outcomes {
        let wanted = plan.tests & self.span_tests;
        let mut span = ctx.event_span(event);
        while let Some(open_span) = span.filter(|_| wanted & !outcomes.known != 0) {
            if let Some(known) = open_span.extensions().get::<SpanOutcomes>()
                && known.layer == self.id
            {
                outcomes = outcomes.or(known.load(wanted));
            }
            span = open_span.parent();
        }
        let left = wanted & !outcomes.known;
        if left == 0 {
            return outcomes;
        }
        let filters = &self.router.filters;
        let is_key = |name: &str| {
            CONTEXT_KEYS.contains(&name) || filters.context_keys.iter().any(|key| key == name)
        };
        let context = filters.tests.run_on_texts(left, |name| {
            let is_key = is_key(name).then(|| SpanContext::from_event(event, ctx));
            is_key?.get(name).map(str::to_owned)
        });
        outcomes.or(context)
    }

    /// Runs the tests on values that are recorded for a span.
    fn record<S: SpanSubscriber>(
        &self,
        id: &Id,
        callsite: &'static Metadata<'static>,
        ctx: &Context<'_, S>,
        record: impl FnOnce(&mut dyn Visit),
    ) {
        if self.span_tests == 0 {
            return;
        }
        let tests = &self.router.filters.tests;
        let fields = self.span_field_tests.get(callsite, |callsite| {
            tests.field_tests(callsite.fields(), self.span_tests)
        });
        let outcomes = tests.run(fields, record);
        if outcomes.known == 0 {
            return;
        }
        if let Some(span) = ctx.span(id) {
            let mut extensions = span.extensions_mut();
            match extensions.get_mut::<SpanOutcomes>() {
                Some(known) if known.layer == self.id => {
                    known.store(outcomes.or(known.load(u64::MAX)));
                }
                // Outcomes of the router before a reload belong to other tests.
                _ => {
                    extensions.replace(SpanOutcomes::new(self.id, outcomes));
                }
            }
        }
    }
}

impl RecordPlans {
    fn get(&self, level: Level, target: &str, plan: impl FnOnce() -> Plan) -> Arc<Plan> {
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

impl SpanOutcomes {
    fn new(layer: LayerId, outcomes: Outcomes) -> Self {
        Self {
            layer,
            known: outcomes.known.into(),
            truth: outcomes.truth.into(),
        }
    }

    fn load(&self, tests: u64) -> Outcomes {
        Outcomes {
            known: self.known.load(Ordering::Relaxed) & tests,
            truth: self.truth.load(Ordering::Relaxed) & tests,
        }
    }

    fn store(&self, outcomes: Outcomes) {
        self.known.store(outcomes.known, Ordering::Relaxed);
        self.truth.store(outcomes.truth, Ordering::Relaxed);
    }
}

impl<S, L> Layer<S> for Routed<L>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    L: Layer<S>,
{
    #[inline]
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let plan = self.plans.get(
            event.metadata(),
            |callsite| match log_record::is_log_record(callsite) {
                true => CallsitePlan::LogRecord,
                false => {
                    let plan = self.router.plan(callsite, callsite.target());
                    CallsitePlan::Target(Box::new(plan))
                }
            },
        );
        match plan {
            CallsitePlan::Target(plan) if plan.fixed != 0 => {
                SinkMask::from_bits(plan.fixed).scope(|| self.inner.on_event(event, ctx));
            }
            plan => self.on_uncommon_event(event, &ctx, plan),
        }
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        self.record(id, attrs.metadata(), &ctx, |visitor| attrs.record(visitor));
        self.inner.on_new_span(attrs, id, ctx);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        if self.span_tests != 0
            && let Some(callsite) = ctx.metadata(id)
        {
            let callsite = recorded_callsite(values, callsite);
            self.record(id, callsite, &ctx, |visitor| values.record(visitor));
        }
        self.inner.on_record(id, values, ctx);
    }

    forward!(inner: on_register_dispatch, on_layer, register_callsite, enabled, max_level_hint);
    forward!(inner: event_enabled, on_follows_from, on_enter, on_exit, on_close, on_id_change);
    forward_downcast!(this, id => this.inner.downcast_raw(id));
}
