//! The innermost layer of [`OtelSpans`](crate::OtelSpans), inside the redaction if there is a
//! policy: assigns trace and span ids, and collects the data to export for each span.
//!
//! In this crate, *API* means the OpenTelemetry API (`opentelemetry::trace`), and an *API span* is
//! a span that one of its tracers started. The *active span* is the span of the current
//! OpenTelemetry context: an API span, a `tracing` span, or a span of another process.

use std::{sync::Arc, thread};

use spanwise_core::internal::{
    CallsitePlans, FilterInterop, SpanIdentity,
    announced_span::{SpanKind, take_announced},
    monotonic_nanos, panic_safe, recorded_callsite,
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
    api_span::context_on_enter,
    attributes::{AnyValue, Attributes, Key},
    entered_contexts,
    open_span::{OpenSpan, RecordedSpan, SpanOrigin},
    plan::{CallsitePlan, PlanOptions, SpecialField},
    span_encoding::parse_kind,
    span_event::{EVENT_ATTRIBUTES, LinkedSpan, encode_event},
    span_options::EventsInSpans,
    span_pipeline::SpanPipeline,
    span_placement::Placement,
    span_scratch::SpanScratch,
    span_status::{ErrorEvent, MAX_DESCRIPTION_LEN},
    value::FieldEncoder,
};

/// Collects spans. Wrapped by the redaction, if there is a policy.
#[derive(Debug)]
pub(crate) struct SpanCollector {
    pub(crate) pipeline: Arc<SpanPipeline>,
    event_plans: CallsitePlans<CallsitePlan>,
    filter_interop: FilterInterop,
}

/// The values of the special fields of a span, such as `otel.name` and `otel.kind`.
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

    /// Encodes the fields of a span into `attributes`, except for the special fields, which it
    /// returns. `text` is memory for values that are formatted.
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
        let mut recorded = scratch.new_recorded(options.limits.attributes);
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

    /// Returns the open span that an event belongs to: the event's span, or else its nearest
    /// ancestor in the table of open spans, which lacks spans that `SpanOptions::levels` exclude.
    fn open_span_of_event<S>(
        &self,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Option<Arc<OpenSpan>>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let span = ctx.event_span(event)?;
        let find_open = |span: &SpanRef<'_, S>| self.pipeline.open.get(&span.id());
        // Try the span itself first: it is nearly always in the table, and `scope()` costs a
        // registry look-up per span.
        find_open(&span).or_else(|| span.scope().skip(1).find_map(|span| find_open(&span)))
    }
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
        self.filter_interop.always_or_sometimes()
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
        let start = pipeline.start_now();
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
            scratch.new_open(|| OpenSpan::new(origin, start, identity.clone(), parent, recorded))
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
        // `context::set` records with another callsite than that of the span. `on_close` adds its
        // values, if context keys are exported.
        if recorded_callsite(values, callsite).callsite() != callsite.callsite() {
            return;
        }
        let Some(plan) = self.pipeline.plan(callsite) else {
            return;
        };
        SpanScratch::with(|scratch| {
            let mut update = scratch.new_recorded(self.pipeline.options.limits.attributes);
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
        let becomes_span_event = match self.pipeline.events {
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
            let collect_message = |field, value: AnyValue<'_>| {
                if let (SpecialField::Message, AnyValue::Text(text)) = (field, value) {
                    message.push_str(text);
                }
            };
            let mut encoder = FieldEncoder::new(
                &plan.fields,
                plan.has_repeated_keys,
                &mut attributes,
                &mut scratch.text,
                collect_message,
            );
            event.record(&mut encoder);
            if !plan.constants.is_empty() {
                attributes.append(&plan.constants);
            }
            let text_attribute = |name| match attributes.get(name) {
                Some(AnyValue::Text(text)) => Some(text),
                _ => None,
            };
            let has_exception = attributes.get("exception.message").is_some();
            if becomes_span_event {
                let name = match (has_exception, &*message) {
                    (true, _) => "exception",
                    (false, "") => callsite.name(),
                    (false, message) => message,
                };
                let now = options.clock.now();
                encode_event(name, now, &attributes, &mut scratch.encoded);
            }
            let error = is_error.then(|| ErrorEvent {
                message: cut_description(match &*message {
                    "" => text_attribute("exception.message").unwrap_or_default(),
                    message => message,
                }),
                exception_type: text_attribute("exception.type").map(Into::into),
            });
            open.record(|recorded| {
                if becomes_span_event {
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
        let entered_at = options
            .has_busy_times
            .then(|| monotonic_nanos(&options.clock));
        let context = options
            .propagates_otel_context
            .then(|| context_on_enter(pipeline, id, &open));
        entered_contexts::enter(pipeline.layer, id, open, entered_at, context);
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        let pipeline = &self.pipeline;
        if let Some((open, entered_at)) = entered_contexts::exit(pipeline.layer, id) {
            open.record_exit(entered_at, monotonic_nanos(&pipeline.options.clock));
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        // Read the context keys before the span is removed from the table. Reading them runs the
        // policy, which may call methods of `SpanExt` that look up this span in the table.
        if self.pipeline.options.has_context_keys
            && let Some(open) = self.pipeline.open.get(&id)
            && open.is_recording()
            && let Some(span) = ctx.span(&id)
        {
            let context = spanwise_core::Context::from_span(&span);
            // `iter` runs the policy in this call, and not while `record` has locked the span.
            let values = context.iter();
            open.record(|recorded| recorded.add_context(values));
        }
        if let Some(open) = self.pipeline.open.remove(&id) {
            self.pipeline.close(open);
        }
    }
}

/// Cuts the message of an error to the maximum length of a status description.
fn cut_description(message: &str) -> Box<str> {
    panic_safe::truncate_at(message, MAX_DESCRIPTION_LEN).into()
}
