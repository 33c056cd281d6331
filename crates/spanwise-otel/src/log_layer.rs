//! The layer behind the redaction: encodes events as log records.

use std::{borrow::Cow, io::Write as _};

use spanwise_core::{
    Context, EventContext, Fault,
    internal::{
        CallsitePlans, FilterInterop, LayerId, SpanData, log_record::LogRecord, panic_safe,
        recorded_callsite, reentrancy,
    },
};
use tracing::{Dispatch, Event, Subscriber};
use tracing_core::{
    Interest, Level, Metadata,
    span::{Attributes as SpanValues, Id, Record},
};
use tracing_subscriber::{
    Layer,
    fmt::MakeWriter,
    layer::Context as LayerContext,
    registry::{LookupSpan, SpanRef},
};

use crate::{
    LogOptions, SpanFields,
    attributes::{AnyValue, Attributes},
    limits::MAX_VALUE_LEN,
    log_encoding::{ATTRIBUTES, RecordHead, RecordIds, encode_record},
    log_scratch::LogScratch,
    logs::is_of_opentelemetry,
    plan::{
        CallsitePlan, FieldRole, PlanOptions, SpecialField, encode_scope, event_name, push_code,
    },
    severity::Severity,
    span_attributes::SpanAttributes,
    value::FieldEncoder,
};

/// Encodes each event as a log record and writes it. It sees redacted values if there is a policy.
#[derive(Debug)]
pub(crate) struct LogLayer<W> {
    make_writer: W,
    options: LogOptions,
    id: LayerId,
    plans: CallsitePlans<LogPlan>,
    filter_interop: FilterInterop,
}

/// Everything that depends on a callsite alone.
#[derive(Debug)]
struct LogPlan {
    callsite: CallsitePlan,
    severity: Severity,
    event_name: Option<&'static str>,
}

impl<W> LogLayer<W> {
    pub(crate) fn new(make_writer: W, options: LogOptions) -> Self {
        Self {
            make_writer,
            options,
            id: LayerId::unique(),
            plans: CallsitePlans::default(),
            filter_interop: FilterInterop::default(),
        }
    }

    #[inline]
    fn plan(&self, callsite: &'static Metadata<'static>) -> &LogPlan {
        self.plans
            .get(callsite, |callsite| LogPlan::new(callsite, &self.options))
    }

    /// Returns the fields of a span that records show.
    fn span_attributes(
        &self,
        callsite: &'static Metadata<'static>,
        record: impl FnOnce(&mut dyn tracing_core::field::Visit),
    ) -> Attributes {
        let plan = &self.plan(callsite).callsite;
        let mut attributes = Attributes::new(ATTRIBUTES, self.options.limits);
        let mut text = String::new();
        let (fields, has_repeated_keys) = (&plan.fields, plan.has_repeated_keys);
        let special = |_, _: AnyValue<'_>| {};
        let mut encoder = FieldEncoder::new(
            fields,
            has_repeated_keys,
            &mut attributes,
            &mut text,
            special,
        );
        record(&mut encoder);
        attributes
    }
}

impl<W> LogLayer<W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn encode<S>(
        &self,
        scratch: &mut LogScratch,
        event: &Event<'_>,
        facts: EventContext,
        span: Option<&SpanRef<'_, S>>,
        context: &Context,
    ) where
        S: for<'s> LookupSpan<'s>,
    {
        let plan = self.plan(event.metadata());
        self.encode_fields(scratch, plan, event, context);
        let attributes = &mut scratch.attributes;
        let scope = match plan.callsite.is_log_record {
            true => push_origin(attributes, event, self.options.source_location),
            false => {
                attributes.append(&plan.callsite.constants);
                Cow::Borrowed(&*plan.callsite.scope)
            }
        };
        push_facts(attributes, facts);
        push_context(attributes, context);
        if let Some(span) = span.filter(|_| self.options.span_fields != SpanFields::None) {
            self.push_span_fields(attributes, span);
        }
        let head = RecordHead {
            time: self.options.clock.now(),
            severity: plan.severity,
            ids: RecordIds::of(context),
            event_name: plan.event_name,
        };
        encode_record(scratch, &scope, &head);
    }

    /// Encodes the body and the fields.
    #[inline]
    fn encode_fields(
        &self,
        scratch: &mut LogScratch,
        plan: &LogPlan,
        event: &Event<'_>,
        context: &Context,
    ) {
        let LogScratch {
            attributes,
            body,
            text,
            ..
        } = scratch;
        let CallsitePlan {
            fields,
            has_repeated_keys,
            ..
        } = &plan.callsite;
        let special = |field, value: AnyValue<'_>| {
            if field == SpecialField::Message {
                body.clear();
                push_text(body, value);
            }
        };
        let mut encoder = FieldEncoder::new(fields, *has_repeated_keys, attributes, text, special)
            .keep_ids(context.identity().is_none());
        event.record(&mut encoder);
        if body.is_empty() {
            let texts = ERROR_FIELDS.iter().filter_map(|name| attributes.get(name));
            if let Some(AnyValue::Text(text)) = texts.into_iter().next() {
                body.push_str(text);
            }
        }
    }

    #[cold]
    fn push_span_fields<S>(&self, attributes: &mut Attributes, span: &SpanRef<'_, S>)
    where
        S: for<'s> LookupSpan<'s>,
    {
        let data = span
            .scope()
            .find_map(|span| SpanData::<SpanAttributes>::find(Some(self.id), &span));
        if let Some(data) = data {
            data.read(|spans| attributes.append(spans.all()));
        }
    }

    #[inline]
    fn write(&self, record: &[u8], metadata: &Metadata<'_>) {
        let written = reentrancy::guarded_write(self.id, || {
            self.make_writer.make_writer_for(metadata).write_all(record)
        });
        if let Err(error) = written {
            self.write_failed(&error);
        }
    }

    #[cold]
    fn write_failed(&self, why: &dyn std::fmt::Display) {
        self.options.report.fault(
            Fault::WriteFailed,
            &format_args!("a log record for OpenTelemetry is lost: {why}"),
        );
    }

    /// Returns whether the event is dropped because its trace is not sampled.
    #[inline]
    fn is_sampled_out(&self, event: &Event<'_>, context: &Context) -> bool {
        let is_dropped = self.options.only_sampled_traces
            && *event.metadata().level() > Level::WARN
            && context
                .identity()
                .is_some_and(|identity| !identity.is_sampled());
        if is_dropped {
            self.options.sampled_out.count();
        }
        is_dropped
    }
}

impl<S, W> Layer<S> for LogLayer<W>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.filter_interop.detect(dispatch);
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        self.filter_interop.interest()
    }

    fn on_event(&self, event: &Event<'_>, ctx: LayerContext<'_, S>) {
        let facts = EventContext::take();
        if self.plan(event.metadata()).callsite.is_log_record && is_record_of_opentelemetry(event) {
            return;
        }
        let span = ctx.event_span(event);
        let context = span.as_ref().map(Context::from_span).unwrap_or_default();
        if self.is_sampled_out(event, &context) {
            return;
        }
        let mut scratch = LogScratch::take(self.options.limits);
        self.encode(&mut scratch, event, facts, span.as_ref(), &context);
        self.write(&scratch.output, event.metadata());
        scratch.put_back();
    }

    fn on_new_span(&self, attrs: &SpanValues<'_>, id: &Id, ctx: LayerContext<'_, S>) {
        if self.options.span_fields == SpanFields::None {
            return;
        }
        let callsite = attrs.metadata();
        // Values are formatted before any data of the span is locked.
        let own = self.span_attributes(callsite, |visitor| attrs.record(visitor));
        let Some(span) = ctx.span(id) else { return };
        let parent = span.parent().and_then(|parent| {
            let mut scope = parent.scope();
            scope.find_map(|span| SpanData::<SpanAttributes>::find(Some(self.id), &span))
        });
        let data = SpanData::new(parent.as_ref(), |parent| {
            SpanAttributes::new(callsite, own, parent)
        });
        data.attach(self.id, &span);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: LayerContext<'_, S>) {
        if self.options.span_fields == SpanFields::None {
            return;
        }
        let data = ctx
            .span(id)
            .and_then(|span| SpanData::<SpanAttributes>::find(Some(self.id), &span));
        let Some(data) = data else { return };
        let callsite = recorded_callsite(values, data.read(|span| span.callsite));
        let recorded = self.span_attributes(callsite, |visitor| values.record(visitor));
        if !recorded.is_empty() {
            data.update(|span, parent| span.record(&recorded, parent));
        }
    }
}

impl LogPlan {
    fn new(callsite: &'static Metadata<'static>, options: &LogOptions) -> Self {
        let plan_options = PlanOptions {
            attributes_field: ATTRIBUTES,
            limits: options.limits,
            code: options.source_location && callsite.is_event(),
        };
        let mut plan = CallsitePlan::new(callsite, plan_options);
        if callsite.is_span() {
            for (planned, field) in plan.fields.iter_mut().zip(callsite.fields()) {
                if !options.span_fields.has(field.name()) {
                    planned.role = FieldRole::Omitted;
                }
            }
        }
        Self {
            callsite: plan,
            severity: Severity::of(callsite),
            event_name: event_name(callsite).filter(|_| callsite.is_event()),
        }
    }
}

/// Where the text of an error is, if an event has no message.
const ERROR_FIELDS: [&str; 4] = ["exception.message", "error", "err", "e"];

fn push_text(to: &mut String, value: AnyValue<'_>) {
    match value {
        AnyValue::Text(text) => to.push_str(panic_safe::truncate_at(text, MAX_VALUE_LEN)),
        AnyValue::Bool(bool) => to.push_str(&bool.to_string()),
        AnyValue::Int(int) => to.push_str(&int.to_string()),
        AnyValue::Double(double) => to.push_str(&double.to_string()),
        AnyValue::Bytes(bytes) => to.push_str(&String::from_utf8_lossy(bytes)),
        // Only the API of OpenTelemetry has arrays.
        AnyValue::Array(_) => {}
    }
}

#[cold]
fn is_record_of_opentelemetry(event: &Event<'_>) -> bool {
    let target = LogRecord::from_event(event).target;
    target.is_some_and(|target| is_of_opentelemetry(&target))
}

/// Adds the origin of a record of the `log` crate, and returns its scope.
#[cold]
fn push_origin(attributes: &mut Attributes, event: &Event<'_>, code: bool) -> Cow<'static, [u8]> {
    let origin = LogRecord::from_event(event);
    if code {
        let line = origin.line.and_then(|line| u32::try_from(line).ok());
        push_code(attributes, origin.file.as_deref(), line);
    }
    let target = origin
        .target
        .as_deref()
        .unwrap_or(event.metadata().target());
    Cow::Owned(encode_scope(target).into_vec())
}

/// Adds what the wrappers of the layer know about the event.
#[inline]
fn push_facts(attributes: &mut Attributes, facts: EventContext) {
    if let Some(rate) = facts.sample_rate.filter(|rate| rate.is_finite()) {
        push_reserved(attributes, "sample_rate", AnyValue::Double(rate));
    }
    if facts.buffered {
        push_reserved(attributes, "buffered", AnyValue::Bool(true));
    }
}

/// Adds the context keys of the span, without the ids. A field of the event with the same key
/// stays, unless the key is pinned.
#[inline]
fn push_context(attributes: &mut Attributes, context: &Context) {
    for (key, value) in context.iter() {
        if matches!(key, "trace_id" | "span_id") {
            continue;
        }
        let value = AnyValue::Text(value);
        if !attributes.contains(key) {
            attributes.push_named(key, value);
        } else if context.pinned(key).is_some() {
            push_reserved(attributes, key, value);
        }
    }
}

/// Adds an attribute whose key is not the application's.
fn push_reserved(attributes: &mut Attributes, key: &str, value: AnyValue<'_>) {
    attributes.displace(key);
    attributes.push_named(key, value);
}
