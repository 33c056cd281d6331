//! The layer that encodes events as log records. It is inside [`OtelLogs`](crate::OtelLogs), which
//! redacts the values first if there is a policy.
//!
//! Span fields become attributes of the records in the span. They are encoded once per span, and
//! stored in a *node* of the tree of spans.

use std::{any::Any, borrow::Cow, io::Write as _, sync::Arc};

use spanwise_core::{
    CONTEXT_KEYS, Clock, EventContext, Fault, SelfReport,
    internal::{
        self, CallsitePlans, DispatchedSummary, FilterInterop, LayerId, SpanData, SpanIdentity,
        SpanTable, log_record::LogRecord, panic_safe, parse_hex, pins_context, recorded_callsite,
        reentrancy,
    },
};
use tracing::{Dispatch, Event, Subscriber};
use tracing_core::{
    Field, Interest, Level, Metadata,
    field::Visit,
    span::{Attributes as SpanValues, Id, Record},
};
use tracing_subscriber::{
    Layer,
    fmt::MakeWriter,
    layer::Context as LayerContext,
    registry::{LookupSpan, SpanRef},
};

use crate::{
    LogOptions, LogWriter,
    attributes::{AnyValue, Attributes, Key, encoded_attributes},
    limits::MAX_VALUE_LEN,
    log_encoding::{
        ATTRIBUTES, HeadFields, RecordIds, encode_callsite, encode_head, encode_output,
        max_attributes_len,
    },
    log_scratch::LogScratch,
    logs::is_opentelemetry_target,
    plan::{
        CallsitePlan, FieldRole, PlanOptions, SpecialField, encode_scope, event_name,
        push_source_location,
    },
    severity::Severity,
    span_attributes::{OwnAttributes, SpanAttributes},
    value::FieldEncoder,
};

/// Encodes each event as a log record and writes it.
#[derive(Debug)]
pub(crate) struct LogLayer<W> {
    make_writer: W,
    options: LogOptions,
    clock: Clock,
    report: SelfReport,
    id: LayerId,
    /// The keys of span fields that become attributes of all records in the span.
    context_keys: Vec<Key>,
    plans: CallsitePlans<LogPlan>,
    spans: SpanTable<SpanNode>,
    filter_interop: FilterInterop,
}

/// A node in the tree of spans: the attributes that a span adds to its records.
type SpanNode = Arc<SpanData<SpanAttributes>>;

/// A [`CallsitePlan`], with values that only the log layer derives from the callsite.
#[derive(Debug)]
struct LogPlan {
    callsite_plan: CallsitePlan,
    /// The encoded fields that all records of the callsite have.
    callsite_fields: Box<[u8]>,
    /// Whether events of the callsite are exported. `None` for records of `tracing-log`, because
    /// they share one callsite per level, and their target is a field.
    is_exported: Option<bool>,
    /// Whether a span of the callsite has a [`SpanNode`] of its own, instead of its parent's.
    has_own_node: bool,
}

impl<W> LogLayer<W> {
    pub(crate) fn new(make_writer: W, options: LogOptions) -> Self {
        let more_keys = options.context_keys.iter().map(String::as_str);
        Self {
            context_keys: CONTEXT_KEYS
                .into_iter()
                .chain(more_keys)
                .map(Key::new)
                .collect(),
            make_writer,
            clock: options.clock.clone().unwrap_or_default(),
            report: options.report.clone().unwrap_or_default(),
            options,
            id: LayerId::unique(),
            plans: CallsitePlans::default(),
            spans: SpanTable::default(),
            filter_interop: FilterInterop::default(),
        }
    }

    #[inline]
    fn plan(&self, callsite: &'static Metadata<'static>) -> &LogPlan {
        self.plans
            .get(callsite, |callsite| LogPlan::new(callsite, &self.options))
    }

    /// Returns the ids and flags of a span, or of its nearest ancestor that has them, and
    /// [freezes](SpanIdentity::freeze) them.
    #[inline]
    fn freeze_identity<S>(span: Option<&SpanRef<'_, S>>) -> Option<SpanIdentity>
    where
        S: for<'s> LookupSpan<'s>,
    {
        let span = span.filter(|_| SpanIdentity::exist())?;
        // Usually the span itself has an identity.
        SpanIdentity::freeze(span)
            .or_else(|| span.scope().find_map(|span| SpanIdentity::freeze(&span)))
    }

    /// Encodes those fields of a span, or of a `record` on a span, that become attributes of log
    /// records. Calls `use_attributes` with them.
    fn with_own_attributes<R>(
        &self,
        callsite: &'static Metadata<'static>,
        visit_fields: impl FnOnce(&mut dyn Visit),
        use_attributes: impl FnOnce(OwnAttributes<'_>) -> R,
    ) -> R {
        let plan = &self.plan(callsite).callsite_plan;
        let mut scratch = LogScratch::take(self.options.limits);
        let LogScratch {
            attributes,
            text,
            head,
            output,
            ..
        } = &mut *scratch;
        let mut ids = RecordIds::default();
        let special = |field, value: AnyValue<'_>| {
            let AnyValue::Text(digits) = value else {
                return;
            };
            match field {
                SpecialField::TraceId => ids.trace_id = parse_id(digits),
                SpecialField::SpanId => ids.span_id = parse_id(digits),
                _ => {}
            }
        };
        let (fields, has_repeated_keys) = (&plan.fields, plan.has_repeated_keys);
        visit_fields(&mut FieldEncoder::new(
            fields,
            has_repeated_keys,
            attributes,
            text,
            special,
        ));
        let (pinned, others) = match pins_context(callsite) {
            true => {
                // `head` and `output` are free, because `scratch` encodes no record. Use them for
                // the two parts.
                let is_pinned = |key: &[u8]| self.context_keys.iter().any(|known| known.is(key));
                for attribute in encoded_attributes(attributes.as_bytes()) {
                    let to = match is_pinned(attribute.key()) {
                        true => &mut *head,
                        false => &mut *output,
                    };
                    to.extend_from_slice(attribute.field());
                }
                (&**head, &**output)
            }
            false => (&[][..], attributes.as_bytes()),
        };
        let own = OwnAttributes {
            pinned,
            others,
            ids,
            dropped: attributes.dropped(),
        };
        let result = use_attributes(own);
        scratch.put_back();
        result
    }

    /// Returns the node of the parent of a new span.
    fn parent_node<S>(&self, attrs: &SpanValues<'_>, ctx: &LayerContext<'_, S>) -> Option<SpanNode>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        if let Some(parent) = attrs.parent() {
            return self.find_node(parent, ctx);
        }
        let current = attrs.is_contextual().then(|| ctx.current_span())?;
        self.find_node(current.id()?, ctx)
    }

    /// Returns the node of a span, or of the nearest ancestor that has one. A span that is older
    /// than the layer has none.
    #[inline]
    fn find_node<S>(&self, id: &Id, ctx: &LayerContext<'_, S>) -> Option<SpanNode>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let from_ancestor = || {
            ctx.span_scope(id)?
                .find_map(|span| self.spans.get(&span.id()))
        };
        self.spans.get(id).or_else(from_ancestor)
    }
}

impl<W> LogLayer<W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    /// Encodes the record of an event into `scratch.head` and `scratch.attributes`. Returns the
    /// encoded scope of the record.
    #[inline]
    fn encode<'p>(
        &self,
        scratch: &mut LogScratch,
        event: &Event<'_>,
        plan: &'p LogPlan,
        event_context: EventContext,
        node: Option<&SpanNode>,
        identity: Option<&SpanIdentity>,
    ) -> Cow<'p, [u8]> {
        let keeps_ids = identity.is_none();
        encode_fields(scratch, plan, event, keeps_ids);
        let attributes = &mut scratch.attributes;
        let scope = match plan.callsite_plan.is_log_record {
            true => push_log_record_origin(attributes, event, self.options.has_source_location),
            false => {
                attributes.append(&plan.callsite_plan.constants);
                Cow::Borrowed(&*plan.callsite_plan.scope)
            }
        };
        push_event_context(scratch, &plan.callsite_fields, event_context);
        let attributes = &mut scratch.attributes;
        let mut ids = identity.map(RecordIds::from);
        if let Some(node) = node {
            node.read(|span| {
                span.push(attributes);
                ids.get_or_insert(span.ids());
            });
        }
        let head = HeadFields {
            callsite_fields: &plan.callsite_fields,
            unix_nanos: internal::unix_nanos(&self.clock),
            ids: ids.unwrap_or_default(),
        };
        encode_head(scratch, &head);
        scope
    }

    /// Writes the record in `scratch`. A [`LogWriter`] receives the parts of the record without
    /// the messages around it.
    #[inline]
    fn write(&self, scratch: &mut LogScratch, scope: &[u8], metadata: &Metadata<'_>) {
        let make_writer: &dyn Any = &self.make_writer;
        let written = reentrancy::guarded_write(self.id, || {
            if let Some(exporter) = make_writer.downcast_ref::<LogWriter>() {
                let record = [&*scratch.head, scratch.attributes.as_bytes()];
                exporter.export(scope, record, *metadata.level());
                return Ok(());
            }
            encode_output(scratch, scope);
            let mut writer = self.make_writer.make_writer_for(metadata);
            writer.write_all(&scratch.output)
        });
        if let Err(error) = written {
            self.report_write_failure(&error);
        }
    }

    #[cold]
    fn report_write_failure(&self, error: &dyn std::fmt::Display) {
        self.report.fault(
            Fault::WriteFailed,
            &format_args!("a log record for OpenTelemetry is lost: {error}"),
        );
    }

    /// Returns whether the event is exported, by the levels of the options or because its
    /// [`EventContext`] requires it.
    #[inline]
    fn is_exported(&self, plan: &LogPlan, event: &Event<'_>) -> bool {
        let is_exported = plan.is_exported;
        is_exported.unwrap_or_else(|| self.is_log_record_exported(event))
            || EventContext::forces_emit(event.metadata()) && self.is_report_exported(event)
    }

    /// Returns whether an event that reports on other events is exported. The levels apply to the
    /// summary of a sampler as if it had the target of the events that it counts. The header of a
    /// dump is always exported.
    #[cold]
    fn is_report_exported(&self, event: &Event<'_>) -> bool {
        let callsite = event.metadata();
        if callsite.target() != DispatchedSummary::TARGET {
            return true;
        }
        let mut target = SuppressedTarget(String::new());
        event.record(&mut target);
        self.options.exports(*callsite.level(), &target.0)
    }

    /// Returns whether a record of `tracing-log` is exported, by the target in its fields.
    #[cold]
    fn is_log_record_exported(&self, record: &Event<'_>) -> bool {
        let callsite = record.metadata();
        let target = LogRecord::from_event(record).target;
        let target = target.as_deref().unwrap_or(callsite.target());
        !is_opentelemetry_target(target) && self.options.exports(*callsite.level(), target)
    }

    /// Returns whether the event is dropped because its trace is not sampled. Counts the event in
    /// that case.
    #[inline]
    fn count_if_sampled_out(&self, event: &Event<'_>, identity: Option<&SpanIdentity>) -> bool {
        let is_dropped = self.options.only_sampled_traces
            && *event.metadata().level() > Level::WARN
            && identity.is_some_and(|identity| !identity.is_sampled());
        if is_dropped {
            self.options.sampled_out.count();
        }
        is_dropped
    }
}

/// The target of the events that a summary counts.
struct SuppressedTarget(String);

impl Visit for SuppressedTarget {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "suppressed_target" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
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
        self.filter_interop.always_or_sometimes()
    }

    fn on_event(&self, event: &Event<'_>, ctx: LayerContext<'_, S>) {
        let plan = self.plan(event.metadata());
        // `EventContext::take` comes later, because the context may require the export.
        let is_exported = self.is_exported(plan, event);
        let event_context = EventContext::take();
        if !is_exported {
            return;
        }
        let span = ctx.event_span(event);
        let identity = Self::freeze_identity(span.as_ref());
        if self.count_if_sampled_out(event, identity.as_ref()) {
            return;
        }
        let node = span.and_then(|span| self.find_node(&span.id(), &ctx));
        let mut scratch = LogScratch::take(self.options.limits);
        let scope = self.encode(
            &mut scratch,
            event,
            plan,
            event_context,
            node.as_ref(),
            identity.as_ref(),
        );
        self.write(&mut scratch, &scope, event.metadata());
        scratch.put_back();
    }

    fn on_new_span(&self, attrs: &SpanValues<'_>, id: &Id, ctx: LayerContext<'_, S>) {
        let callsite = attrs.metadata();
        let parent = self.parent_node(attrs, &ctx);
        let node = match parent {
            // A span that adds no attributes shares the node of its parent. The span of a unit of
            // work has its own node, because `context::set` records fields on it.
            Some(parent) if !self.plan(callsite).has_own_node => parent,
            // The values are formatted before `SpanData` locks a node.
            parent => self.with_own_attributes(
                callsite,
                |visitor| attrs.record(visitor),
                |own| SpanData::new(parent.as_ref(), |parent| SpanAttributes::new(own, parent)),
            ),
        };
        self.spans.insert(id, node);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: LayerContext<'_, S>) {
        let Some(span_callsite) = ctx.metadata(id) else {
            return;
        };
        let callsite = recorded_callsite(values, span_callsite);
        if !self.plan(callsite).has_own_node {
            return;
        }
        let Some(node) = self.spans.get(id) else {
            return;
        };
        self.with_own_attributes(
            callsite,
            |visitor| values.record(visitor),
            |own| {
                if !own.is_empty() {
                    node.update(|span, parent| span.record(own, parent));
                }
            },
        );
    }

    fn on_close(&self, id: Id, _: LayerContext<'_, S>) {
        self.spans.remove(&id);
    }
}

impl LogPlan {
    fn new(callsite: &'static Metadata<'static>, options: &LogOptions) -> Self {
        let plan_options = PlanOptions {
            attributes_field: ATTRIBUTES,
            limits: options.limits,
            has_source_location: options.has_source_location && callsite.is_event(),
        };
        let mut plan = CallsitePlan::new(callsite, plan_options);
        let mut has_own_node = callsite.fields().field(UNIT_FIELD).is_some();
        if callsite.is_span() {
            for (planned, field) in plan.fields.iter_mut().zip(callsite.fields()) {
                let name = field.name();
                if !options.is_context_key(name) && !options.span_fields.has(name) {
                    planned.role = FieldRole::Omitted;
                }
                has_own_node |= planned.role != FieldRole::Omitted;
            }
        }
        Self {
            callsite_fields: encode_callsite(
                Severity::from_callsite(callsite),
                event_name(callsite),
            ),
            is_exported: (!plan.is_log_record)
                .then(|| options.exports(*callsite.level(), callsite.target())),
            callsite_plan: plan,
            has_own_node,
        }
    }
}

/// The field that marks the first span of a unit of work, such as a request or a job.
const UNIT_FIELD: &str = "spanwise.unit";

/// Parses a trace id or a span id. An id of zeros is invalid.
fn parse_id<const N: usize>(digits: &str) -> Option<[u8; N]> {
    parse_hex(digits.as_bytes()).filter(|id| *id != [0; N])
}

/// Encodes the body and the fields of an event. The fields `trace_id` and `span_id` become
/// attributes if `keeps_ids` is true. If not, they are dropped, because the record has the ids of
/// its span.
#[inline]
fn encode_fields(scratch: &mut LogScratch, plan: &LogPlan, event: &Event<'_>, keeps_ids: bool) {
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
    } = &plan.callsite_plan;
    let special = |field, value: AnyValue<'_>| {
        if field == SpecialField::Message {
            body.clear();
            push_text(body, value);
        }
    };
    let encoder = FieldEncoder::new(fields, *has_repeated_keys, attributes, text, special);
    event.record(&mut encoder.keep_ids(keeps_ids));
    if body.is_empty() {
        let mut texts = ERROR_FIELDS.iter().filter_map(|name| attributes.get(name));
        if let Some(AnyValue::Text(text)) = texts.next() {
            body.push_str(text);
        }
    }
}

/// Attributes that replace a missing message. The first one that an event has becomes the body if
/// it is a text.
const ERROR_FIELDS: [&str; 4] = ["exception.message", "error", "err", "e"];

fn push_text(to: &mut String, value: AnyValue<'_>) {
    match value {
        AnyValue::Text(text) => to.push_str(panic_safe::truncate_at(text, MAX_VALUE_LEN)),
        AnyValue::Bool(bool) => to.push_str(&bool.to_string()),
        AnyValue::Int(int) => to.push_str(&int.to_string()),
        AnyValue::Double(double) => to.push_str(&double.to_string()),
        AnyValue::Bytes(bytes) => to.push_str(&String::from_utf8_lossy(bytes)),
        // No field of `tracing` is an array.
        AnyValue::Array(_) => {}
    }
}

/// Adds the source location of a record of the `log` crate to `attributes`, if it is requested.
/// Returns the scope, which is the target of the record.
#[cold]
fn push_log_record_origin(
    attributes: &mut Attributes,
    event: &Event<'_>,
    has_source_location: bool,
) -> Cow<'static, [u8]> {
    let origin = LogRecord::from_event(event);
    if has_source_location {
        let line = origin.line.and_then(|line| u32::try_from(line).ok());
        push_source_location(attributes, origin.file.as_deref(), line);
    }
    let target = origin
        .target
        .as_deref()
        .unwrap_or(event.metadata().target());
    Cow::Owned(encode_scope(target).into_vec())
}

/// Adds the event context, which the wrappers of the layer have set: the sample rate, and whether
/// the event was buffered. A field with the same key is [displaced](Attributes::displace).
///
/// The limits do not apply to these attributes, because a record without its rate would count as
/// one event. Attributes of the application are dropped instead if they leave no room.
#[inline]
fn push_event_context(
    scratch: &mut LogScratch,
    callsite_fields: &[u8],
    event_context: EventContext,
) {
    let rate = event_context.sample_rate.filter(|rate| rate.is_finite());
    let rate = rate.map(|rate| ("sample_rate", AnyValue::Double(rate)));
    let buffered = event_context
        .buffered
        .then_some(("buffered", AnyValue::Bool(true)));
    let to_add = [rate, buffered];
    if to_add.iter().all(Option::is_none) {
        return;
    }
    let attributes = &mut scratch.attributes;
    for (key, _) in to_add.iter().flatten() {
        attributes.displace(key);
    }
    attributes.truncate(max_attributes_len(callsite_fields, &scratch.body));
    for (key, value) in to_add.into_iter().flatten() {
        attributes.push_unlimited(key, value);
    }
}
