//! The innermost layer of [`OtelSpans`](crate::OtelSpans), inside the redaction if there is a
//! policy: assigns trace and span ids, and collects the data to export for each span.
//!
//! In this crate, *API* means the OpenTelemetry API (`opentelemetry::trace`), and an *API span* is
//! a span that one of its tracers started. The *active span* is the span of the current
//! OpenTelemetry context: an API span, a `tracing` span, or a span of another process.

use std::{iter::successors, sync::Arc, thread};

use opentelemetry::trace::SpanContext;
use spanwise_core::internal::{
    CallsitePlans, FilterInterop, SpanIdentity,
    announced_span::{Announced, AnnouncedTrace, SpanKind, take_announced},
    inherited_context::InheritedContext,
    monotonic_nanos, new_span_id, new_trace_id, panic_safe, parse_hex, recorded_callsite,
    span_identity::{RANDOM, SAMPLED},
};
use tracing::{Dispatch, Event, Subscriber};
use tracing_core::{
    Interest, Level, Metadata,
    field::Visit,
    span::{Attributes as SpanAttributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

use crate::{
    api_span::{context_on_enter, identity_below},
    attributes::{AnyValue, Attributes, Key},
    carried_context::{inherited_span, inherited_span_context},
    entered_contexts,
    limits::AttributeLimits,
    open_span::{OpenSpan, ParentSpan, RecordedSpan, SpanOrigin, SpanStart},
    plan::{CallsitePlan, PlanOptions, SpecialField},
    span_encoding::parse_kind,
    span_event::{EVENT_ATTRIBUTES, LinkedSpan, encode_event},
    span_options::EventsInSpans,
    span_pipeline::SpanPipeline,
    span_scratch::SpanScratch,
    span_status::{ErrorEvent, MAX_DESCRIPTION_LEN},
    trace_sampler::RemoteTrace,
    value::FieldEncoder,
};

/// Collects spans. Wrapped by the redaction, if there is a policy.
#[derive(Debug)]
pub(crate) struct SpanCollector {
    pub(crate) pipeline: Arc<SpanPipeline>,
    event_plans: CallsitePlans<CallsitePlan>,
    filter_interop: FilterInterop,
}

/// Where a new span belongs: its ids, parent, kind and link.
struct Placement {
    identity: SpanIdentity,
    parent: Option<ParentSpan>,
    kind: SpanKind,
    /// The trace id and the span id of an untrusted caller.
    link: Option<([u8; 16], [u8; 8])>,
    /// Whether to collect data even if the trace is not sampled, because `set_parent` may move the
    /// span to a sampled trace. False for a span in an announced trace, below another span of this
    /// process, or below the active span. If the trace of such a span is not sampled, `set_parent`
    /// cannot move it to a sampled one.
    collects_unsampled: bool,
}

/// The values of the special fields, such as `otel.name` and `otel.kind`.
#[derive(Default)]
struct SpecialValues {
    name: Option<String>,
    kind: Option<SpanKind>,
    status_code: Option<String>,
    status_description: Option<String>,
}

impl SpanCollector {
    pub(crate) fn new(pipeline: Arc<SpanPipeline>) -> Self {
        Self {
            pipeline,
            event_plans: CallsitePlans::default(),
            filter_interop: FilterInterop::default(),
        }
    }

    /// Chooses the trace and the parent of a new span. If `spanwise-http` or
    /// [`TraceParent::unit`](spanwise_core::TraceParent::unit) opens the span, `announced` has the
    /// span id, the kind and perhaps the trace that it chose in advance.
    fn place<S: for<'s> LookupSpan<'s>>(
        &self,
        attrs: &SpanAttributes<'_>,
        plan: &CallsitePlan,
        span: &SpanRef<'_, S>,
        announced: Option<Announced>,
        start: SpanStart,
    ) -> Placement {
        let pipeline = &*self.pipeline;
        let (span_id, kind, announced_trace) = match announced {
            Some(Announced {
                span_id,
                kind,
                trace,
            }) => (span_id, kind, trace),
            None => (new_span_id(), SpanKind::Internal, None),
        };
        let link = announced_trace.as_ref().and_then(|trace| trace.link);
        let placed = |identity, parent| Placement {
            identity,
            parent,
            kind,
            link,
            collects_unsampled: false,
        };
        let sees_otel_context = attrs.is_contextual() && pipeline.options.propagates_otel_context;
        let mut ancestors = successors(span.parent(), SpanRef::parent);
        let ancestor = ancestors.find_map(|span| Some((SpanIdentity::freeze(&span)?, span)));
        if let Some((identity, ancestor)) = ancestor {
            // The active span becomes the parent if it is in the same trace and was started inside
            // `ancestor`.
            if sees_otel_context
                && let Some(active) = entered_contexts::active_span_context()
                && active.trace_id().to_bytes() == identity.trace_id()
                && active.span_id().to_bytes() != identity.span_id()
                && !self.is_self_or_ancestor(&ancestor, active.span_id().to_bytes())
            {
                return place_below(pipeline, &active, span_id, placed);
            }
            let parent = ParentSpan {
                span_id: identity.span_id(),
                is_remote: false,
            };
            let identity = SpanIdentity::new(
                identity.trace_id(),
                span_id,
                identity.flags(),
                identity.state().cloned(),
            );
            return placed(identity, Some(parent));
        }
        // `spanwise-http` announces an outgoing request in a trace of its own, in the trace that
        // this process inherits, or in the trace of a request whose span is disabled. In the first
        // two cases, the outgoing request becomes a child of the active span instead, if there is
        // one. In the last case, it stays below the disabled span.
        let may_join_active_span = |trace: &AnnouncedTrace| {
            let is_outside_requests =
                || trace.parent.is_none() || InheritedContext::for_trace(trace.trace_id).is_some();
            kind == SpanKind::Client && is_outside_requests()
        };
        if sees_otel_context
            && announced_trace.as_ref().is_none_or(may_join_active_span)
            && let Some(active) = entered_contexts::active_span_context()
        {
            return place_below(pipeline, &active, span_id, placed);
        }
        if let Some(trace) = announced_trace {
            return place_announced(pipeline, &trace, span_id, kind);
        }
        let trace_id = own_trace_id(attrs, plan);
        let enclosing_context = || {
            let parent = span.parent();
            parent.map_or_else(Default::default, |it| {
                spanwise_core::Context::from_span(&it)
            })
        };
        // A span with `parent: None` is not part of the surrounding request, so the
        // `spanwise_core::Context` of the request is ignored.
        let inherited = || {
            if attrs.is_root() {
                inherited_span()
            } else {
                inherited_span_context(enclosing_context)
            }
        };
        if trace_id.is_none()
            && let Some(inherited) = inherited()
        {
            return Placement {
                collects_unsampled: true,
                ..place_below(pipeline, &inherited, span_id, placed)
            };
        }
        let (trace_id, flags) = match trace_id {
            Some(trace_id) => (trace_id, 0),
            None => (new_trace_id(start.unix_nanos()), RANDOM),
        };
        Placement {
            collects_unsampled: true,
            ..placed(
                pipeline.sample_first_span(trace_id, span_id, flags, None),
                None,
            )
        }
    }

    /// Returns whether the span id `id` belongs to `span`, to one of its ancestors, or to the
    /// OpenTelemetry parent of one of these. If so, the active span with this id was not started
    /// inside `span`, and cannot be the parent of a new span inside `span`.
    fn is_self_or_ancestor<S: for<'s> LookupSpan<'s>>(
        &self,
        span: &SpanRef<'_, S>,
        id: [u8; 8],
    ) -> bool {
        span.scope().any(|ancestor| {
            let open = self.pipeline.open.get(&ancestor.id());
            open.is_some_and(|open| {
                let parent = open.parent().map(|parent| parent.span_id);
                open.identity().span_id() == id || parent == Some(id)
            })
        })
    }

    /// Encodes the fields of a span, and collects the special fields, such as `otel.name`.
    fn encode_fields(
        plan: &CallsitePlan,
        text: &mut String,
        attributes: &mut Attributes,
        record: impl FnOnce(&mut dyn Visit),
    ) -> SpecialValues {
        let mut special = SpecialValues::default();
        let collect = |field, value: AnyValue<'_>| special.set(field, value);
        let mut encoder = FieldEncoder::new(
            &plan.fields,
            plan.has_repeated_keys,
            attributes,
            text,
            collect,
        );
        record(&mut encoder);
        special
    }

    /// Returns the data to export for a new span.
    fn recorded_span(
        &self,
        scratch: &mut SpanScratch,
        attrs: &SpanAttributes<'_>,
        plan: &CallsitePlan,
        kind: SpanKind,
    ) -> Box<RecordedSpan> {
        let options = &self.pipeline.options;
        let mut recorded = scratch.recorded(options.limits.attributes);
        recorded.kind = kind;
        let attributes = &mut recorded.attributes;
        let special = Self::encode_fields(plan, &mut scratch.text, attributes, |visitor| {
            attrs.record(visitor);
        });
        if !plan.constants.is_empty() {
            attributes.append(&plan.constants);
        }
        if options.has_thread {
            push_thread(attributes);
        }
        special.apply(&mut recorded);
        recorded
    }

    /// Returns the open span of an event: the event's span, or else its nearest ancestor in the
    /// table of open spans.
    fn open_span_of_event<S>(
        &self,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Option<Arc<OpenSpan>>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let span = ctx.event_span(event)?;
        let open = |span: &SpanRef<'_, S>| self.pipeline.open.get(&span.id());
        // Try the span itself first: it is nearly always in the table, and `scope()` costs a
        // registry look-up per span.
        open(&span).or_else(|| span.scope().skip(1).find_map(|span| open(&span)))
    }
}

/// Places the first span of this process in an announced trace.
fn place_announced(
    pipeline: &SpanPipeline,
    trace: &AnnouncedTrace,
    span_id: [u8; 8],
    kind: SpanKind,
) -> Placement {
    let remote = trace.parent.map(|_| RemoteTrace {
        is_sampled: trace.flags & SAMPLED != 0,
        state: trace.state.as_ref(),
    });
    Placement {
        identity: pipeline.sample_first_span(trace.trace_id, span_id, trace.flags, remote),
        parent: trace.parent.map(|span_id| ParentSpan {
            span_id,
            is_remote: true,
        }),
        kind,
        link: trace.link,
        collects_unsampled: false,
    }
}

/// Places a span below `parent`: the active span, or the span in which the parent process started
/// this process.
fn place_below(
    pipeline: &SpanPipeline,
    parent: &SpanContext,
    span_id: [u8; 8],
    placed: impl FnOnce(SpanIdentity, Option<ParentSpan>) -> Placement,
) -> Placement {
    let (identity, parent) = identity_below(pipeline, parent, span_id);
    placed(identity, Some(parent))
}

/// Returns the trace id that a field of a root span sets, if it is valid.
fn own_trace_id(attrs: &SpanAttributes<'_>, plan: &CallsitePlan) -> Option<[u8; 16]> {
    if !plan.has_trace_id {
        return None;
    }
    let mut found = None;
    let find = |field, value: AnyValue<'_>| {
        if let (SpecialField::TraceId, AnyValue::Text(text)) = (field, value) {
            found = parse_hex(text.as_bytes());
        }
    };
    let limits = AttributeLimits {
        count: 0,
        ..AttributeLimits::default()
    };
    // No attribute is kept: only the special field is read.
    let (mut no_attributes, mut text) = (Attributes::new(0, limits), String::new());
    let has_repeated_keys = false;
    let mut finder = FieldEncoder::new(
        &plan.fields,
        has_repeated_keys,
        &mut no_attributes,
        &mut text,
        find,
    );
    attrs.record(&mut finder);
    found.filter(|id| *id != [0; 16])
}

fn push_thread(attributes: &mut Attributes) {
    let thread = thread::current();
    // Only the `Debug` output of a `ThreadId` contains the number.
    let id = format!("{:?}", thread.id());
    let number = id.trim_matches(|c: char| !c.is_ascii_digit());
    if let Ok(number) = number.parse() {
        attributes.set(&Key::new("thread.id"), AnyValue::Int(number));
    }
    if let Some(name) = thread.name() {
        attributes.set(&Key::new("thread.name"), AnyValue::Text(name));
    }
}

impl SpecialValues {
    fn set(&mut self, field: SpecialField, value: AnyValue<'_>) {
        let AnyValue::Text(text) = value else {
            return;
        };
        match field {
            SpecialField::SpanName => self.name = Some(text.to_owned()),
            SpecialField::SpanKind => self.kind = parse_kind(text),
            SpecialField::StatusCode => self.status_code = Some(text.to_owned()),
            SpecialField::StatusDescription => self.status_description = Some(text.to_owned()),
            // The ids are in the `SpanIdentity`, and only events have a message.
            SpecialField::TraceId | SpecialField::SpanId | SpecialField::Message => {}
        }
    }

    fn apply(&self, recorded: &mut RecordedSpan) {
        if let Some(name) = &self.name {
            recorded.set_name(name);
        }
        if let Some(kind) = self.kind {
            recorded.kind = kind;
        }
        if let Some(code) = &self.status_code {
            recorded.status.set_code(code);
        }
        if let Some(description) = &self.status_description {
            recorded.status.set_description(description);
            recorded.status.set_error();
        }
    }
}

impl<S> Layer<S> for SpanCollector
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.filter_interop.detect(dispatch);
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        self.filter_interop.interest_in_all()
    }

    fn on_new_span(&self, attrs: &SpanAttributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let announced = take_announced(id);
        let pipeline = &*self.pipeline;
        let Some(plan) = pipeline.plan(attrs.metadata()) else {
            return;
        };
        let Some(span) = ctx.span(id) else {
            return;
        };
        let start = pipeline.start();
        let Placement {
            identity,
            parent,
            kind,
            link,
            collects_unsampled,
        } = self.place(attrs, plan, &span, announced, start);
        let open = SpanScratch::with(|scratch| {
            let is_recorded = identity.is_sampled() || collects_unsampled;
            let mut recorded = is_recorded.then(|| self.recorded_span(scratch, attrs, plan, kind));
            if let (Some(recorded), Some((trace_id, span_id))) = (&mut recorded, link) {
                let mut encoded = Vec::new();
                LinkedSpan {
                    trace_id,
                    span_id,
                    // The flags of an untrusted caller are not used.
                    flags: 0,
                    state: None,
                    is_remote: true,
                }
                .encode(None, &mut encoded);
                recorded.add_link(&encoded, &pipeline.options.limits);
            }
            let origin = SpanOrigin::Callsite(attrs.metadata());
            scratch.open(|| OpenSpan::new(origin, start, identity.clone(), parent, recorded))
        });
        identity.attach(&span);
        pipeline.open.insert(id, open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let Some(open) = self
            .pipeline
            .open
            .get(id)
            .filter(|open| open.is_recording())
        else {
            return;
        };
        let SpanOrigin::Callsite(callsite) = open.origin else {
            return;
        };
        // `context::set` records with a callsite of its own. `on_close` adds its values, if context
        // keys are exported.
        if recorded_callsite(values, callsite).callsite() != callsite.callsite() {
            return;
        }
        let Some(plan) = self.pipeline.plan(callsite) else {
            return;
        };
        SpanScratch::with(|scratch| {
            let mut update = scratch.recorded(self.pipeline.options.limits.attributes);
            let attributes = &mut update.attributes;
            let special = Self::encode_fields(plan, &mut scratch.text, attributes, |visitor| {
                values.record(visitor);
            });
            open.record(|recorded| {
                recorded.set_attributes(&update.attributes);
                special.apply(recorded);
            });
            scratch.keep(update);
        });
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, ctx: Context<'_, S>) {
        let Some(open) = self
            .pipeline
            .open
            .get(id)
            .filter(|open| open.is_recording())
        else {
            return;
        };
        let Some(identity) = ctx
            .span(follows)
            .and_then(|span| SpanIdentity::freeze(&span))
        else {
            return;
        };
        let mut encoded = Vec::new();
        LinkedSpan {
            trace_id: identity.trace_id(),
            span_id: identity.span_id(),
            flags: identity.flags(),
            state: identity.state().map(|state| &**state),
            is_remote: false,
        }
        .encode(None, &mut encoded);
        open.record(|recorded| recorded.add_link(&encoded, &self.pipeline.options.limits));
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let Some(open) = self
            .open_span_of_event(event, &ctx)
            .filter(|open| open.is_recording())
        else {
            return;
        };
        let options = &self.pipeline.options;
        let callsite = event.metadata();
        let is_error = *callsite.level() == Level::ERROR;
        let becomes_event = match self.pipeline.events {
            EventsInSpans::None => false,
            EventsInSpans::Errors => is_error,
            EventsInSpans::All => true,
        };
        let plan = self.event_plans.get(callsite, |callsite| {
            CallsitePlan::new(
                callsite,
                PlanOptions {
                    attributes_field: EVENT_ATTRIBUTES,
                    limits: options.limits.event_attributes,
                    has_source_location: options.has_source_location,
                },
            )
        });
        let mut attributes = Attributes::new(EVENT_ATTRIBUTES, options.limits.event_attributes);
        let mut message = String::new();
        SpanScratch::with(|scratch| {
            let find_message = |field, value: AnyValue<'_>| {
                if let (SpecialField::Message, AnyValue::Text(text)) = (field, value) {
                    message.push_str(text);
                }
            };
            let mut encoder = FieldEncoder::new(
                &plan.fields,
                plan.has_repeated_keys,
                &mut attributes,
                &mut scratch.text,
                find_message,
            );
            event.record(&mut encoder);
            if !plan.constants.is_empty() {
                attributes.append(&plan.constants);
            }
            let text = |name| match attributes.get(name) {
                Some(AnyValue::Text(text)) => Some(text),
                _ => None,
            };
            let has_exception = attributes.get("exception.message").is_some();
            if becomes_event {
                let name = match (has_exception, &*message) {
                    (true, _) => "exception",
                    (false, "") => callsite.name(),
                    (false, message) => message,
                };
                let now = options.clock.now();
                encode_event(name, now, &attributes, &mut scratch.encoded);
            }
            let error = is_error.then(|| ErrorEvent {
                message: description(match &*message {
                    "" => text("exception.message").unwrap_or_default(),
                    message => message,
                }),
                exception_type: text("exception.type").map(Into::into),
            });
            open.record(|recorded| {
                if becomes_event {
                    recorded.add_event(&scratch.encoded, &options.limits);
                }
                if error.is_some() {
                    recorded.status.error = error;
                }
            });
        });
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        let pipeline = &self.pipeline;
        let Some(open) = pipeline.open.get(id) else {
            return;
        };
        if open.mark_frozen()
            && let Some(identity) = ctx.span(id).and_then(|span| SpanIdentity::freeze(&span))
        {
            SpanPipeline::apply_frozen_identity(&open, identity);
        }
        let options = &pipeline.options;
        let now = options
            .has_busy_times
            .then(|| monotonic_nanos(&options.clock));
        let context = options
            .propagates_otel_context
            .then(|| context_on_enter(pipeline, id, &open));
        entered_contexts::enter(pipeline.layer, id, open, now, context);
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        let pipeline = &self.pipeline;
        if let Some((open, entered)) = entered_contexts::exit(pipeline.layer, id) {
            open.leave(entered, monotonic_nanos(&pipeline.options.clock));
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        // Read the context keys before the span is removed from the table. The policy may call
        // methods of `SpanExt` on this span, which look it up there.
        if self.pipeline.options.has_context_keys
            && let Some(open) = self.pipeline.open.get(&id)
            && open.is_recording()
            && let Some(span) = ctx.span(&id)
        {
            let context = spanwise_core::Context::from_span(&span);
            // The policy runs here, and not under the lock of the span.
            let values = context.iter();
            open.record(|recorded| recorded.add_context(values));
        }
        if let Some(open) = self.pipeline.open.remove(&id) {
            self.pipeline.close(open);
        }
    }
}

/// Returns a message, cut to the maximum length of a description.
fn description(message: &str) -> Box<str> {
    panic_safe::truncate_at(message, MAX_DESCRIPTION_LEN).into()
}
