//! The layer behind the redaction: makes identities, and collects what is exported of each span.

use std::{iter::successors, sync::Arc, thread};

use opentelemetry::trace::SpanContext;
use spanwise_core::internal::{
    CallsitePlans, FilterInterop, SpanIdentity,
    announced_span::{Announced, AnnouncedTrace, SpanKind, take_announced},
    inherited_context::InheritedContext,
    new_span_id, panic_safe, parse_hex, recorded_callsite,
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
    carried_context::inherited_span_context,
    entered_contexts,
    limits::AttributeLimits,
    open_span::{OpenSpan, ParentSpan, RecordedSpan, SpanEnd, SpanOrigin},
    plan::{CallsitePlan, PlanOptions, SpecialField},
    span_encoding::parse_kind,
    span_event::{EVENT_ATTRIBUTES, LinkedSpan, encode_event},
    span_options::EventsInSpans,
    span_pipeline::{SpanPipeline, new_trace_id},
    span_scratch::SpanScratch,
    span_status::{ErrorEvent, MAX_DESCRIPTION_LEN},
    trace_sampler::RemoteTrace,
    value::FieldEncoder,
};

/// Collects spans. It sees redacted values.
#[derive(Debug)]
pub(crate) struct SpanCollector {
    pub(crate) pipeline: Arc<SpanPipeline>,
    event_plans: CallsitePlans<CallsitePlan>,
    filter_interop: FilterInterop,
}

/// The position of a new span.
struct Placement {
    identity: SpanIdentity,
    parent: Option<ParentSpan>,
    kind: SpanKind,
    /// The trace and the span of an untrusted caller.
    link: Option<([u8; 16], [u8; 8])>,
    /// Whether the application may still move the span to a trace that is sampled.
    may_move: bool,
}

/// The values of the fields with a meaning of their own.
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

    /// Decides in which trace a new span is, and below which span.
    fn place<S: for<'s> LookupSpan<'s>>(
        &self,
        attrs: &SpanAttributes<'_>,
        plan: &CallsitePlan,
        span: &SpanRef<'_, S>,
        announced: Option<Announced>,
    ) -> Placement {
        let pipeline = &*self.pipeline;
        let (span_id, kind, announced) = match announced {
            Some(Announced {
                span_id,
                kind,
                trace,
            }) => (span_id, kind, trace),
            None => (new_span_id(), SpanKind::Internal, None),
        };
        let link = announced.as_ref().and_then(|trace| trace.link);
        let placed = |identity, parent| Placement {
            identity,
            parent,
            kind,
            link,
            may_move: false,
        };
        let sees_context = attrs.is_contextual() && pipeline.options.has_context;
        let mut around = successors(span.parent(), SpanRef::parent);
        let around = around.find_map(|around| Some((SpanIdentity::fix(&around)?, around)));
        if let Some((identity, around)) = around {
            if sees_context
                && let Some(active) = entered_contexts::active_span_context()
                && active.trace_id().to_bytes() == identity.trace_id()
                && active.span_id().to_bytes() != identity.span_id()
                && !self.is_around(&around, active.span_id().to_bytes())
            {
                return below_api_span(pipeline, &active, span_id, placed);
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
        // A call begins a trace only outside of a span of the API.
        let begins_call = |trace: &AnnouncedTrace| {
            let is_root =
                || trace.parent.is_none() || InheritedContext::of_trace(trace.trace_id).is_some();
            kind == SpanKind::Client && is_root()
        };
        if sees_context
            && announced.as_ref().is_none_or(begins_call)
            && let Some(active) = entered_contexts::active_span_context()
        {
            return below_api_span(pipeline, &active, span_id, placed);
        }
        if let Some(trace) = announced {
            return place_announced(pipeline, &trace, span_id, kind);
        }
        let trace_id = own_trace_id(attrs, plan);
        let context_around = || {
            let parent = span.parent();
            parent.map_or_else(Default::default, |it| {
                spanwise_core::Context::from_span(&it)
            })
        };
        if trace_id.is_none()
            && InheritedContext::of_process().is_some()
            && let Some(inherited) = inherited_span_context(&context_around())
        {
            return Placement {
                may_move: true,
                ..below_api_span(pipeline, &inherited, span_id, placed)
            };
        }
        let (trace_id, flags) = trace_id.map_or((new_trace_id(), RANDOM), |id| (id, 0));
        Placement {
            may_move: true,
            ..placed(
                pipeline.first_identity(trace_id, span_id, flags, None),
                None,
            )
        }
    }

    /// Returns whether a span of the API is the parent of `span` or of a span around it, and so is
    /// older than `span`.
    fn is_around<S: for<'s> LookupSpan<'s>>(&self, span: &SpanRef<'_, S>, id: [u8; 8]) -> bool {
        span.scope().any(|around| {
            let open = self.pipeline.open.get(&around.id());
            open.is_some_and(|open| {
                let parent = open.parent().map(|parent| parent.span_id);
                open.identity().span_id() == id || parent == Some(id)
            })
        })
    }

    /// Encodes the fields of a span, and collects those with a meaning of their own.
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

    /// Returns what is exported of a new span.
    fn recorded(
        &self,
        attrs: &SpanAttributes<'_>,
        plan: &CallsitePlan,
        kind: SpanKind,
    ) -> Box<RecordedSpan> {
        let options = &self.pipeline.options;
        SpanScratch::with(|scratch| {
            let mut recorded = scratch.recorded(options.limits.attributes);
            recorded.kind = kind;
            let attributes = &mut recorded.attributes;
            let special = Self::encode_fields(plan, &mut scratch.text, attributes, |visitor| {
                attrs.record(visitor);
            });
            if !plan.constants.is_empty() {
                attributes.append(&plan.constants);
            }
            if options.threads {
                push_thread(attributes);
            }
            special.apply(&mut recorded);
            recorded
        })
    }

    /// Returns the nearest open span around an event, the innermost first.
    fn span_around_event<S>(&self, event: &Event<'_>, ctx: &Context<'_, S>) -> Option<Arc<OpenSpan>>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let span = ctx.event_span(event)?;
        let open = |span: &SpanRef<'_, S>| self.pipeline.open.get(&span.id());
        // Nearly always the span has one. A scope looks each span up.
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
        identity: pipeline.first_identity(trace.trace_id, span_id, trace.flags, remote),
        parent: trace.parent.map(|span_id| ParentSpan {
            span_id,
            is_remote: true,
        }),
        kind,
        link: trace.link,
        may_move: false,
    }
}

/// Places a span below a span of the API: the current one, or that of the parent process.
fn below_api_span(
    pipeline: &SpanPipeline,
    active: &SpanContext,
    span_id: [u8; 8],
    placed: impl FnOnce(SpanIdentity, Option<ParentSpan>) -> Placement,
) -> Placement {
    let (identity, parent) = identity_below(pipeline, active, span_id);
    placed(identity, Some(parent))
}

/// Returns the trace id in a field of a root span, if it is valid.
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
    let (mut none, mut text) = (Attributes::new(0, limits), String::new());
    let mut finder = FieldEncoder::new(&plan.fields, false, &mut none, &mut text, find);
    attrs.record(&mut finder);
    found.filter(|id| *id != [0; 16])
}

fn push_thread(attributes: &mut Attributes) {
    let thread = thread::current();
    // The number is in the `Debug` of the id alone.
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
            // The identity has the ids; only events have a message.
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
            may_move,
        } = self.place(attrs, plan, &span, announced);
        let recorded = if identity.is_sampled() || may_move {
            let mut recorded = self.recorded(attrs, plan, kind);
            if let Some((trace_id, span_id)) = link {
                let mut encoded = Vec::new();
                LinkedSpan {
                    trace_id,
                    span_id,
                    // Those of a caller that is not trusted are not known.
                    flags: 0,
                    state: None,
                    is_remote: true,
                }
                .encode(None, &mut encoded);
                recorded.add_link(&encoded, &pipeline.options.limits);
            }
            Some(recorded)
        } else {
            None
        };
        let origin = SpanOrigin::Callsite(attrs.metadata());
        let open = OpenSpan::new(origin, start, identity.clone(), parent, recorded);
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
        // The context keys of a unit are recorded with another callsite.
        if recorded_callsite(values, callsite).callsite() != callsite.callsite() {
            return;
        }
        let Some(plan) = self.pipeline.plan(callsite) else {
            return;
        };
        SpanScratch::with(|scratch| {
            let mut new = scratch.recorded(self.pipeline.options.limits.attributes);
            let attributes = &mut new.attributes;
            let special = Self::encode_fields(plan, &mut scratch.text, attributes, |visitor| {
                values.record(visitor);
            });
            open.record(|recorded| {
                recorded.set_attributes(&new.attributes);
                special.apply(recorded);
            });
            scratch.keep(new);
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
        let Some(identity) = ctx.span(follows).and_then(|span| SpanIdentity::fix(&span)) else {
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
            .span_around_event(event, &ctx)
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
                    code: options.source_location,
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
        if open.mark_fixed()
            && let Some(identity) = ctx.span(id).and_then(|span| SpanIdentity::fix(&span))
        {
            SpanPipeline::settle(&open, identity);
        }
        let options = &pipeline.options;
        let now = options.busy_times.then(|| options.clock.monotonic());
        let context = options
            .has_context
            .then(|| context_on_enter(pipeline, &open));
        entered_contexts::enter(pipeline.layer, id, open, now, context);
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        let pipeline = &self.pipeline;
        if let Some((open, entered)) = entered_contexts::exit(pipeline.layer, id) {
            open.leave(entered, pipeline.options.clock.monotonic());
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        let Some(open) = self.pipeline.open.remove(&id) else {
            return;
        };
        if self.pipeline.options.context_keys
            && open.is_recording()
            && let Some(span) = ctx.span(&id)
        {
            let context = spanwise_core::Context::from_span(&span);
            open.record(|recorded| recorded.add_context(&context));
        }
        self.pipeline.end(&open, SpanEnd::Closed);
    }
}

/// Returns the description of an error event.
fn description(message: &str) -> Box<str> {
    panic_safe::truncate_at(message, MAX_DESCRIPTION_LEN).into()
}
