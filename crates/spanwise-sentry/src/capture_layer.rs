//! The capture layer: tracks spans, stores breadcrumbs, and builds error events, logs and
//! transactions. It is the innermost part of [`SentryLayer`](crate::SentryLayer), where all values
//! are redacted already.

use std::{
    cell::Cell,
    ptr,
    sync::{Arc, atomic::Ordering},
    time::SystemTime,
};

use sentry_core::protocol::{Breadcrumb, SpanId, Value};
use spanwise_core::internal::{
    CallsitePlans, FilterInterop, SpanIdentity, SpanSubscriber, SpanTable, log_record,
    log_record::LogRecord, pins_context, recorded_callsite,
};
use tracing::{Dispatch, Event};
use tracing_core::{
    Interest, Level, Metadata,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context};

use crate::{
    breadcrumbs::{MAX_BREADCRUMBS, StoredBreadcrumb},
    dedup,
    event_builder::{self, EventOrigin},
    event_scope::EventScope,
    fields::{ErrorDetail, Fields, field_value},
    ids,
    layer::is_own_event,
    log_batch,
    open_spans::{OpenSpan, Timing, Unit},
    pipeline::Pipeline,
    routing::{Routing, Routings},
    transactions,
};

/// Receives spans, their recorded values, and events after the redaction.
#[derive(Debug)]
pub(crate) struct CaptureLayer {
    pipeline: Arc<Pipeline>,
    routings: Routings,
    /// Whether a span of the callsite can begin a unit of work inside another unit: see [`Unit`].
    may_begin_unit: CallsitePlans<bool>,
    spans: SpanTable<Arc<OpenSpan>>,
    /// The unit of events outside any span.
    outside_unit: Arc<Unit>,
    filter_interop: FilterInterop,
}

/// The target of the access event, which spanwise-http logs at the end of a request.
pub(crate) const ACCESS_TARGET: &str = "spanwise_http::server";

/// A span whose callsite has this field begins a nested unit.
const UNIT_FIELD: &str = "spanwise.unit";

/// A span begins a nested unit if its value of this field differs from the value of its ancestors.
const REQUEST_ID: &str = "request_id";

impl CaptureLayer {
    pub(crate) fn new(pipeline: Arc<Pipeline>) -> Self {
        Self {
            routings: Routings::default(),
            may_begin_unit: CallsitePlans::default(),
            spans: SpanTable::default(),
            outside_unit: Unit::new(None, &pipeline.breadcrumb_memory),
            filter_interop: FilterInterop::default(),
            pipeline,
        }
    }

    /// Returns the span `id` and its ancestors, the innermost first. Omits spans that are not in
    /// the table.
    fn scope_spans<S: SpanSubscriber>(
        &self,
        id: Option<&Id>,
        ctx: &Context<'_, S>,
    ) -> Vec<Arc<OpenSpan>> {
        let scope = id.and_then(|id| ctx.span_scope(id));
        let spans = scope.into_iter().flatten();
        spans
            .filter_map(|span| self.spans.get(&span.id()))
            .collect()
    }

    /// Stores an event as a breadcrumb. Reuses the memory of a breadcrumb that was evicted before.
    fn add_breadcrumb(&self, event: &Event<'_>, unit: &Unit, record: Option<LogRecord>) {
        let target = record.and_then(|record| record.target);
        let now = self.pipeline.clock.now();
        let old = take_spare_breadcrumb();
        let mut breadcrumb = StoredBreadcrumb::with_memory_of(old, event.metadata(), now, target);
        event.record(&mut breadcrumb);
        if let Some(old) = unit.breadcrumbs.push(breadcrumb) {
            keep_spare_breadcrumb(old);
        }
    }

    /// Sends an event as a log, as an error, or both. `id` is the id of the event's span.
    fn send<S: SpanSubscriber>(
        &self,
        event: &Event<'_>,
        routing: Routing,
        origin: EventOrigin<'_>,
        id: Option<&Id>,
        unit: &Unit,
        ctx: &Context<'_, S>,
    ) {
        let detail = match routing.is_error {
            true => ErrorDetail::Exceptions,
            false => ErrorDetail::Texts,
        };
        let fields = Fields::record(origin.callsite, detail, |visitor| event.record(visitor));
        let event_scope = |fields: &Fields| {
            let spans = self.scope_spans(id, ctx);
            let keys = &self.pipeline.options.tag_keys;
            keys.event_scope(&spans, unit, &fields.values)
        };
        let now = self.pipeline.clock.now();
        if routing.is_log {
            let log = log_batch::build_log(origin, &fields, &event_scope(&fields), now);
            self.pipeline.push_log(log);
        }
        if routing.is_error && self.accept_error(origin, &fields, unit) {
            let scope = event_scope(&fields);
            self.send_error(origin, fields, scope, unit, now);
        }
    }

    /// Decides whether to send an error event. Counts an event that is not sent. If the event is
    /// sent and explains why its unit failed, stores its texts in the unit.
    fn accept_error(&self, origin: EventOrigin<'_>, fields: &Fields, unit: &Unit) -> bool {
        let ignore_rules = &self.pipeline.options.ignore_rules;
        let counts = &self.pipeline.exporter.current().state.counts;
        // A warning does not explain why a request failed, and an error outside spans belongs to no
        // request. So neither makes the access event of a failed request redundant.
        let explains_failure = *origin.callsite.level() == Level::ERROR
            && !ptr::eq(unit, &raw const *self.outside_unit);
        let had_failed = explains_failure && unit.has_failed.swap(true, Ordering::Relaxed);
        if ignore_rules.ignores_target(origin.target()) || ignore_rules.ignores_fields(fields) {
            counts.ignored.add(1);
            return false;
        }
        // The access event is sent only if it is new information: if no error event of its unit
        // came before it, or if it contains an error that was not reported.
        let is_new_information =
            !had_failed || !fields.errors.is_empty() && !unit.has_reported(fields);
        if origin.target() == ACCESS_TARGET && !is_new_information {
            counts.repeated.add(1);
            return false;
        }
        if explains_failure {
            unit.add_reported(fields);
        }
        true
    }

    fn send_error(
        &self,
        origin: EventOrigin<'_>,
        fields: Fields,
        scope: EventScope,
        unit: &Unit,
        now: SystemTime,
    ) {
        let causes = fields.errors.iter().flatten();
        let key = dedup::key((
            &scope.transaction,
            ptr::from_ref(origin.callsite) as usize,
            origin
                .record
                .map(|record| (&record.target, &record.file, record.line)),
            &fields.message,
            fields.error_texts(),
            fields.text("panic.location"),
            causes
                .map(|cause| (&cause.ty, &cause.text))
                .collect::<Vec<_>>(),
        ));
        self.pipeline.send_deduplicated(key, || {
            let counts = &self.pipeline.exporter.current().state.counts;
            counts.refused_tags.add(scope.tags.refused);
            let grouping = self.pipeline.options.grouping;
            event_builder::build_event(
                origin,
                fields,
                grouping,
                scope,
                newest_breadcrumbs(unit),
                now,
            )
        });
    }

    /// Returns whether a span inside other spans begins a nested unit: see [`Unit`].
    fn begins_unit<S: SpanSubscriber>(
        &self,
        callsite: &'static Metadata<'static>,
        fields: &[(&'static str, Value)],
        id: &Id,
        ctx: &Context<'_, S>,
    ) -> bool {
        let has_field = |name| callsite.fields().field(name).is_some();
        let may_begin_unit = |_: &Metadata<'_>| has_field(REQUEST_ID) || has_field(UNIT_FIELD);
        if !self.may_begin_unit.get(callsite, may_begin_unit) {
            return false;
        }
        if has_field(UNIT_FIELD) {
            return true;
        }
        let Some(request_id) = field_value(fields, REQUEST_ID) else {
            return false;
        };
        let request_id_of = |span: &Arc<OpenSpan>| {
            span.with_fields(|fields| field_value(fields, REQUEST_ID).cloned())
        };
        // The span itself is not in the table yet, so these are its ancestors.
        let ancestors = self.scope_spans(Some(id), ctx);
        // If an ancestor pins its request id, this span does not begin a unit, unless it pins its
        // own request id.
        let pinned = ancestors.iter().filter(|span| span.pins(REQUEST_ID));
        if !pins_context(callsite) && pinned.filter_map(request_id_of).next().is_some() {
            return false;
        }
        ancestors.iter().find_map(request_id_of).as_ref() != Some(request_id)
    }
}

/// Returns the newest breadcrumbs of the unit and of its outer units, ordered by time.
fn newest_breadcrumbs(unit: &Unit) -> Vec<Breadcrumb> {
    let units = unit.with_outer();
    let mut all: Vec<Breadcrumb> = units
        .flat_map(|unit| unit.breadcrumbs.to_sentry())
        .collect();
    all.sort_by_key(|breadcrumb| breadcrumb.timestamp);
    let newest_start = all.len().saturating_sub(MAX_BREADCRUMBS);
    all.split_off(newest_start)
}

impl<S: SpanSubscriber> Layer<S> for CaptureLayer {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.filter_interop.detect(dispatch);
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        self.filter_interop.always_or_sometimes()
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let callsite = attrs.metadata();
        // Recording calls `Debug` of the values, which may log, so nothing is locked here.
        let fields = Fields::record(callsite, ErrorDetail::Texts, |visitor| {
            attrs.record(visitor)
        });
        let fields = fields.into_span_fields();
        let span = ctx.span(id);
        let identity = span.as_ref().and_then(SpanIdentity::find);
        let parent = span
            .and_then(|span| span.parent())
            .and_then(|parent| self.spans.get(&parent.id()));
        let memory = &self.pipeline.breadcrumb_memory;
        let (unit, begins_unit) = match &parent {
            None => (Unit::new(None, memory), true),
            Some(parent)
                if parent.unit.can_nest() && self.begins_unit(callsite, &fields, id, &ctx) =>
            {
                (Unit::new(Some(&parent.unit), memory), true)
            }
            Some(parent) => (Arc::clone(&parent.unit), false),
        };
        let timing = self.pipeline.options.trace_threshold.map(|_| {
            let span_id = recorded_span_id(&fields).unwrap_or_else(ids::new_span_id);
            Timing::new(span_id, parent.as_deref(), self.pipeline.clock.now())
        });
        let span = OpenSpan::new(callsite, fields, unit, begins_unit, timing, identity);
        self.spans.insert(id, span);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        if let Some(span) = self.spans.get(id) {
            if SpanIdentity::exist()
                && let Some(identity) = ctx.span(id).as_ref().and_then(SpanIdentity::find)
            {
                // The span may have moved to another trace, so read its identity again.
                span.set_identity(identity);
            }
            let callsite = recorded_callsite(values, span.callsite);
            let record = |visitor: &mut dyn tracing_core::field::Visit| values.record(visitor);
            let fields = Fields::record(callsite, ErrorDetail::Texts, record);
            span.record(fields.into_span_fields(), pins_context(callsite));
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let callsite = event.metadata();
        let is_record = log_record::is_log_record(callsite);
        let record = is_record.then(|| LogRecord::from_event(event));
        let options = &self.pipeline.options;
        let routing = self.routings.routing(callsite, record.as_ref(), options);
        if !routing.is_used() {
            return;
        }
        let id = ctx.event_span(event).map(|span| span.id());
        let span = id.as_ref().and_then(|id| self.spans.get(id));
        let unit = span.as_ref().map_or(&self.outside_unit, |span| &span.unit);
        if routing.is_error || routing.is_log {
            let origin = EventOrigin {
                callsite,
                record: record.as_ref(),
            };
            self.send(event, routing, origin, id.as_ref(), unit, &ctx);
        }
        if routing.is_breadcrumb {
            self.add_breadcrumb(event, unit, record);
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        let Some(threshold) = self.pipeline.options.trace_threshold else {
            self.spans.remove(&id);
            return;
        };
        let spans = self.scope_spans(Some(&id), &ctx);
        let Some(span) = self.spans.remove(&id) else {
            return;
        };
        if is_own_event() {
            return;
        }
        let keys = &self.pipeline.options.tag_keys;
        let scope = || keys.event_scope(&spans, &span.unit, &[]);
        let now = self.pipeline.clock.now();
        if let Some(transaction) = transactions::finish_span(threshold, &span, &spans, scope, now) {
            self.pipeline.send_transaction(transaction);
        }
    }
}

/// Returns the id in the field `span_id` of a span, if it is valid.
fn recorded_span_id(fields: &[(&'static str, Value)]) -> Option<SpanId> {
    field_value(fields, "span_id")?.as_str()?.parse().ok()
}

thread_local! {
    /// An evicted breadcrumb. The next breadcrumb of this thread reuses its memory.
    static SPARE_BREADCRUMB: Cell<Option<Box<StoredBreadcrumb>>> = const { Cell::new(None) };
}

fn take_spare_breadcrumb() -> Option<StoredBreadcrumb> {
    let spare = SPARE_BREADCRUMB.try_with(Cell::take).ok().flatten();
    spare.map(|breadcrumb| *breadcrumb)
}

fn keep_spare_breadcrumb(breadcrumb: StoredBreadcrumb) {
    // An exiting thread cannot store the breadcrumb. In that case it is dropped.
    let _ = SPARE_BREADCRUMB.try_with(|spare| spare.set(Some(Box::new(breadcrumb))));
}
