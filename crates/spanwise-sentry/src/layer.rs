//! The layer.

use std::sync::{Arc, atomic::Ordering};

use sentry_core::protocol::{Breadcrumb, SpanId, Value};
use spanwise_core::{
    Redacted, forward, forward_downcast,
    internal::{
        CallsitePlans, DispatchedSummary, FilterInterop, SpanTable, log_record,
        log_record::LogRecord, pins_context, recorded_callsite,
    },
};
use tracing::{Dispatch, Event, Subscriber};
use tracing_core::{
    Interest, Level, LevelFilter, Metadata,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use crate::{
    breadcrumbs::{MAX_BREADCRUMBS, StoredBreadcrumb},
    dedup,
    event_builder::{self, EventOrigin},
    fields::{ErrorDetail, Fields, truncated_text},
    ids, log_batch,
    open_spans::{OpenSpan, Timing, Unit},
    pipeline::{Pipeline, count, is_capturing},
    process_state::Counts,
    sender, transactions,
};

/// Sends errors to Sentry, each with what its request is and what was logged in it before. Made by [`Sentry::builder`](crate::Sentry::builder).
///
/// It filters for nobody. Other wrappers may stand in front of it; the policy of [`SentryBuilder::redact`](crate::SentryBuilder::redact) does already.
#[derive(Debug)]
pub struct SentryLayer {
    inner: Redacted<Capture>,
    pipeline: Arc<Pipeline>,
    plans: CallsitePlans<Plan>,
}

/// Behind the policy: it sees what may be sent.
#[derive(Debug)]
pub(crate) struct Capture {
    pipeline: Arc<Pipeline>,
    plans: CallsitePlans<Plan>,
    begins: CallsitePlans<bool>,
    spans: SpanTable<Arc<OpenSpan>>,
    /// For what is logged outside of any span.
    outside: Arc<Unit>,
    filter_interop: FilterInterop,
}

/// What an event of a callsite is for Sentry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Routing {
    event: bool,
    breadcrumb: bool,
    log: bool,
}

/// All records of the `log` crate share one callsite per level; their target is a value of the event.
#[derive(Debug, Clone, Copy)]
enum Plan {
    Routing(Routing),
    ByRecord,
}

impl Plan {
    fn for_callsite(callsite: &Metadata<'_>, pipeline: &Pipeline) -> Self {
        if log_record::is_log_record(callsite) {
            Self::ByRecord
        } else if callsite.target() == DispatchedSummary::TARGET {
            // Sentry is not sampled: it has the events that a summary counts.
            Self::Routing(Routing {
                event: false,
                breadcrumb: false,
                log: false,
            })
        } else {
            Self::Routing(Routing::for_target(callsite, callsite.target(), pipeline))
        }
    }
}

impl Routing {
    fn for_target(callsite: &Metadata<'_>, target: &str, pipeline: &Pipeline) -> Self {
        let options = &pipeline.options;
        let level = *callsite.level();
        let is_wanted = |levels: &spanwise_core::TargetLevels, default: LevelFilter| {
            level <= levels.level(target).unwrap_or(default)
        };
        Self {
            event: is_wanted(&options.events, LevelFilter::ERROR),
            breadcrumb: is_wanted(&options.breadcrumbs, LevelFilter::INFO),
            log: options
                .logs
                .as_ref()
                .is_some_and(|levels| is_wanted(levels, LevelFilter::INFO)),
        }
    }

    fn any(self) -> bool {
        self.event || self.breadcrumb || self.log
    }
}

impl SentryLayer {
    pub(crate) fn new(pipeline: &Arc<Pipeline>, policy: Arc<dyn spanwise_core::Redact>) -> Self {
        use spanwise_core::LayerExt as _;
        let capture = Capture {
            pipeline: Arc::clone(pipeline),
            plans: CallsitePlans::default(),
            begins: CallsitePlans::default(),
            spans: SpanTable::default(),
            outside: Unit::new(None, &pipeline.memory),
            filter_interop: FilterInterop::default(),
        };
        Self {
            inner: capture
                .redacted(policy)
                .report(pipeline.states.report.clone())
                .wants_every_event(),
            pipeline: Arc::clone(pipeline),
            plans: CallsitePlans::default(),
        }
    }

    /// Spares the policy what is not for Sentry.
    #[inline]
    fn wants(&self, event: &Event<'_>) -> bool {
        let callsite = event.metadata();
        match self.plans.get(callsite, |callsite| {
            Plan::for_callsite(callsite, &self.pipeline)
        }) {
            Plan::Routing(routing) => routing.any() && !is_own_event(),
            Plan::ByRecord => !is_own_event(),
        }
    }
}

/// What is logged while something is sent.
fn is_own_event() -> bool {
    sender::is_this_thread() || is_capturing()
}

impl<S> Layer<S> for SentryLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    forward!(inner: on_register_dispatch, on_layer, register_callsite, enabled, max_level_hint);

    /// Other layers do not see it either: the requests that are logged while they are sent have the
    /// key of the DSN in them.
    #[inline]
    fn event_enabled(&self, event: &Event<'_>, ctx: Context<'_, S>) -> bool {
        !sender::is_sending() && Layer::<S>::event_enabled(&self.inner, event, ctx)
    }

    forward!(inner: on_new_span, on_record, on_follows_from, on_enter, on_exit, on_close, on_id_change);
    forward_downcast!(this, id => Layer::<S>::downcast_raw(&this.inner, id));

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if self.wants(event) {
            self.inner.on_event(event, ctx);
        }
    }
}

impl Capture {
    fn routing(&self, event: &Event<'_>, record: Option<&LogRecord>) -> Routing {
        let callsite = event.metadata();
        let plan = self.plans.get(callsite, |callsite| {
            Plan::for_callsite(callsite, &self.pipeline)
        });
        match *plan {
            Plan::Routing(routing) => routing,
            Plan::ByRecord => {
                let target = record.and_then(|record| record.target.as_deref());
                Routing::for_target(
                    callsite,
                    target.unwrap_or(callsite.target()),
                    &self.pipeline,
                )
            }
        }
    }

    /// The open spans scope an event or a span, the innermost first.
    fn scope_spans<S>(&self, id: Option<&Id>, ctx: &Context<'_, S>) -> Vec<Arc<OpenSpan>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let scope = id.and_then(|id| ctx.span_scope(id));
        let scope = scope.into_iter().flatten();
        scope
            .filter_map(|span| self.spans.get(&span.id()))
            .collect()
    }

    /// An event that is only a breadcrumb: its texts are written over those of the one that leaves.
    fn add_breadcrumb(&self, event: &Event<'_>, unit: &Unit, record: Option<LogRecord>) {
        let target = record.and_then(|record| record.target);
        let old = local::take();
        let mut breadcrumb =
            StoredBreadcrumb::reusing(old, event.metadata(), self.pipeline.clock.now(), target);
        event.record(&mut breadcrumb);
        if let Some(old) = unit.breadcrumbs.push(breadcrumb) {
            local::keep(old);
        }
    }

    fn send<S>(
        &self,
        event: &Event<'_>,
        routing: Routing,
        origin: EventOrigin<'_>,
        id: Option<&Id>,
        unit: &Unit,
        ctx: &Context<'_, S>,
    ) where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let options = &self.pipeline.options;
        let detail = match routing.event {
            true => ErrorDetail::Exceptions,
            false => ErrorDetail::Texts,
        };
        let fields = Fields::record(origin.callsite, detail, |visitor| event.record(visitor));
        let counts = &self.pipeline.states.current().counts;
        let at = self.pipeline.clock.now();
        let scope = || {
            let spans = self.scope_spans(id, ctx);
            options.keys.scope(&spans, unit, &fields.values)
        };
        if routing.log {
            let log = log_batch::log(origin, &fields, &scope(), at);
            self.pipeline.push_log(log);
        }
        if !routing.event {
            return;
        }
        // A warning does not say why a request failed, nor does what is of no request that is known.
        let tells_why = *origin.callsite.level() == Level::ERROR
            && !std::ptr::eq(unit, &raw const *self.outside);
        let has_failed = tells_why && unit.has_failed.swap(true, Ordering::Relaxed);
        let is_ignored = options.ignore.ignores_target(origin.target())
            || options
                .ignore
                .has(fields.message.as_deref(), &fields.errors);
        if is_ignored {
            return count(&counts.ignored);
        }
        // The event of a request is news where no error came before, or where it has another one.
        let is_news = !has_failed || !fields.errors.is_empty() && !unit.has_reported(&fields);
        if origin.target() == ACCESS_TARGET && !is_news {
            return count(&counts.repeated);
        }
        if tells_why {
            unit.report(&fields);
        }
        let scope = scope();
        let key = dedup::key((
            &scope.transaction,
            std::ptr::from_ref(origin.callsite) as usize,
            origin
                .record
                .map(|record| (&record.target, &record.file, record.line)),
            &fields.message,
            fields.error_texts(),
            fields.text("panic.location"),
            fields
                .errors
                .iter()
                .flatten()
                .map(|cause| (&cause.ty, &cause.text))
                .collect::<Vec<_>>(),
        ));
        self.pipeline.send_deduplicated(key, move || {
            let Counts { refused_tags, .. } = counts;
            refused_tags.fetch_add(scope.tags.refused, Ordering::Relaxed);
            event_builder::build_event(
                origin,
                fields,
                options.grouping,
                scope,
                breadcrumbs(unit),
                at,
            )
        });
    }
}

/// The newest of the unit and of those it is in, in the order of time.
fn breadcrumbs(unit: &Unit) -> Vec<Breadcrumb> {
    let mut all: Vec<Breadcrumb> = unit
        .all()
        .flat_map(|unit| unit.breadcrumbs.breadcrumbs())
        .collect();
    all.sort_by_key(|breadcrumb| breadcrumb.timestamp);
    let first = all.len().saturating_sub(MAX_BREADCRUMBS);
    all.split_off(first)
}

impl<S> Layer<S> for Capture
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.filter_interop.detect(dispatch);
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        self.filter_interop.interest()
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let callsite = attrs.metadata();
        // Formats values: before anything is locked.
        let fields = Fields::record(callsite, ErrorDetail::Texts, |visitor| {
            attrs.record(visitor)
        });
        let fields = span_fields(fields);
        let parent = ctx
            .span(id)
            .and_then(|span| span.parent())
            .and_then(|parent| self.spans.get(&parent.id()));
        let (unit, begins_unit) = match &parent {
            None => (Unit::new(None, &self.pipeline.memory), true),
            Some(parent)
                if self.is_another_unit(callsite, &fields, id, &ctx) && parent.unit.can_nest() =>
            {
                (Unit::new(Some(&parent.unit), &self.pipeline.memory), true)
            }
            Some(parent) => (Arc::clone(&parent.unit), false),
        };
        let timing = self.pipeline.options.traces.map(|_| {
            let parent = parent.as_ref().and_then(|parent| parent.timing.as_ref());
            Timing {
                span_id: own_span_id(&fields).unwrap_or_else(ids::new_span_id),
                parent: parent.map(|timing| timing.span_id),
                started: self.pipeline.clock.now(),
            }
        });
        let open = OpenSpan::new(callsite, fields, unit, begins_unit, timing);
        self.spans.insert(id, open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        if let Some(open) = self.spans.get(id) {
            let callsite = recorded_callsite(values, open.callsite);
            let fields = Fields::record(callsite, ErrorDetail::Texts, |visitor| {
                values.record(visitor)
            });
            open.record(span_fields(fields), pins_context(callsite));
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let callsite = event.metadata();
        let record = log_record::is_log_record(callsite).then(|| LogRecord::from_event(event));
        let routing = self.routing(event, record.as_ref());
        if !routing.any() {
            return;
        }
        let id = ctx.event_span(event).map(|span| span.id());
        let open = id.as_ref().and_then(|id| self.spans.get(id));
        let unit = open.as_ref().map_or(&self.outside, |open| &open.unit);
        if routing.event || routing.log {
            let origin = EventOrigin {
                callsite,
                record: record.as_ref(),
            };
            self.send(event, routing, origin, id.as_ref(), unit, &ctx);
        }
        if routing.breadcrumb {
            self.add_breadcrumb(event, unit, record);
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        let Some(share) = self.pipeline.options.traces else {
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
        let scope = || self.pipeline.options.keys.scope(&spans, &span.unit, &[]);
        let at = self.pipeline.clock.now();
        if let Some(transaction) = transactions::finish_span(share, &span, &spans, scope, at) {
            self.pipeline.send_transaction(transaction);
        }
    }
}

impl Capture {
    /// Whether a span is a unit of its own, or names another request than the spans scope it.
    fn is_another_unit<S>(
        &self,
        callsite: &'static Metadata<'static>,
        fields: &[(&'static str, Value)],
        id: &Id,
        ctx: &Context<'_, S>,
    ) -> bool
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        const KEY: &str = "request_id";
        let has = |name| callsite.fields().field(name).is_some();
        let may = self.begins.get(callsite, |_| has(KEY) || has(UNIT));
        if !may {
            return false;
        }
        if has(UNIT) {
            return true;
        }
        let Some((_, own)) = fields.iter().find(|(name, _)| *name == KEY) else {
            return false;
        };
        let value_of = |span: &Arc<OpenSpan>| {
            span.with_fields(|fields| {
                let (_, value) = fields.iter().find(|(name, _)| *name == KEY)?;
                Some(value.clone())
            })
        };
        // Itself is not there yet.
        let scope = self.scope_spans(Some(id), ctx);
        let decided = scope.iter().filter(|span| span.decides(KEY));
        if !pins_context(callsite) && decided.filter_map(value_of).next().is_some() {
            // Whose it is was decided above.
            return false;
        }
        scope.iter().find_map(value_of).as_ref() != Some(own)
    }
}

/// The target of the event with which spanwise-http says that a request is served.
pub(crate) const ACCESS_TARGET: &str = "spanwise_http::server";

/// A span with this field is a unit of its own.
const UNIT: &str = "spanwise.unit";

/// An error among a span's fields is a text.
fn span_fields(mut fields: Fields) -> Vec<(&'static str, Value)> {
    if let Some(message) = fields.message.take() {
        fields.values.push(("message", message.into()));
    }
    for cause in fields
        .errors
        .drain(..)
        .filter_map(|chain| chain.into_iter().next())
    {
        fields.values.push((
            "error",
            truncated_text(format_args!("{}", cause.text), crate::fields::MAX_VALUE_LEN).into(),
        ));
    }
    fields.values
}

fn own_span_id(fields: &[(&'static str, Value)]) -> Option<SpanId> {
    let (_, value) = fields.iter().find(|(name, _)| *name == "span_id")?;
    value.as_str()?.parse().ok()
}

/// A breadcrumb that left, to be written over by the next of this thread.
mod local {
    use std::cell::Cell;

    use crate::breadcrumbs::StoredBreadcrumb;

    thread_local! {
        static LEFT: Cell<Option<Box<StoredBreadcrumb>>> = const { Cell::new(None) };
    }

    pub(super) fn take() -> Option<StoredBreadcrumb> {
        LEFT.try_with(Cell::take)
            .ok()
            .flatten()
            .map(|breadcrumb| *breadcrumb)
    }

    pub(super) fn keep(breadcrumb: StoredBreadcrumb) {
        // A thread that ends keeps nothing.
        let _ = LEFT.try_with(|left| left.set(Some(Box::new(breadcrumb))));
    }
}
