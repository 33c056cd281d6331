//! The public span layer. It wraps the redaction, if there is a policy, and the collector inside.

use std::sync::Arc;

use spanwise_core::{
    Redact,
    export::{is_delivering, is_sender_thread},
    forward, forward_downcast,
    internal::announced_span::{reserve_announced, take_announced, want_identities},
};
use tracing::{Event, Subscriber};
use tracing_core::{
    Level,
    span::{Attributes, Id},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use crate::{
    logs::is_opentelemetry_target, maybe_redacted::MaybeRedacted, span_collector::SpanCollector,
    span_options::EventsInSpans, span_pipeline::SpanPipeline,
};

/// Exports spans of `tracing` as spans of OpenTelemetry, and assigns the ids that log lines, log
/// records, Sentry errors and outgoing headers also carry.
///
/// Add it to the registry before the layers that write lines: `registry().with(spans).with(lines)`.
/// Those layers read the ids of a span when it is created.
///
/// The fields of a span become attributes, and its target becomes the instrumentation scope. The
/// name is that of the callsite. A span with `http.request.method` is named by its method and route
/// instead. These fields are special. All but `trace_id` may also be recorded later:
///
/// | field | meaning |
/// | --- | --- |
/// | `otel.name` | the name |
/// | `otel.kind` | `internal`, `server`, `client`, `producer` or `consumer` |
/// | `otel.status_code` | `OK` or `ERROR`. OK takes precedence, regardless of the order. |
/// | `otel.status_description` | the description of an error. Sets ERROR, too. |
/// | `otel.status_message` | another name of `otel.status_description` |
/// | `trace_id` | the trace id of a root span: 32 lower-case hexadecimal digits |
///
/// The fields `span_id` and `spanwise.unit`, and other fields with the prefix `otel.`, are not
/// exported.
///
/// An event at ERROR makes the status of its span an error, but not the status of the ancestors. A
/// status that the application sets takes precedence, and so does the outcome or the status code of
/// an HTTP request.
///
/// The layer does not filter events, except those that the sender thread of an exporter logs during
/// a request. Spans of a sender thread are not exported, and neither are spans whose target is a
/// crate of OpenTelemetry, such as `opentelemetry_sdk`.
#[derive(Debug)]
pub struct OtelSpans {
    inner: MaybeRedacted<SpanCollector>,
    pipeline: Arc<SpanPipeline>,
}

impl OtelSpans {
    pub(crate) fn new(pipeline: &Arc<SpanPipeline>, policy: Option<Arc<dyn Redact>>) -> Self {
        want_identities();
        let collector = SpanCollector::new(Arc::clone(pipeline));
        Self {
            inner: MaybeRedacted::new(collector, policy, &pipeline.options.report),
            pipeline: Arc::clone(pipeline),
        }
    }
}

impl<S> Layer<S> for OtelSpans
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    forward!(inner: on_register_dispatch, on_layer, register_callsite, enabled, max_level_hint);

    /// Hides the events that the client of an exporter logs during a request, from other layers as
    /// well. Such events show the request, including headers with credentials.
    #[inline]
    fn event_enabled(&self, event: &Event<'_>, ctx: Context<'_, S>) -> bool {
        !is_delivering() && Layer::<S>::event_enabled(&self.inner, event, ctx)
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let is_redacted = matches!(self.inner, MaybeRedacted::Redacted(_));
        // Skip spans of sender threads. Also skip spans that are not exported, so that the policy
        // need not read their values.
        if is_sender_thread() || is_redacted && self.pipeline.plan(attrs.metadata()).is_none() {
            drop(take_announced(id));
            return;
        }
        if is_redacted {
            // The ids and the kind of this span may be announced. The policy formats the fields
            // before the collector takes the announcement, and a field may open another span while
            // it is formatted. That span must not take the announcement.
            reserve_announced(id);
        }
        self.inner.on_new_span(attrs, id, ctx);
    }

    forward!(inner: on_record, on_follows_from, on_enter, on_exit, on_close, on_id_change);
    forward_downcast!(this, id => Layer::<S>::downcast_raw(&this.inner, id));

    #[inline]
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let metadata = event.metadata();
        let may_change_span =
            *metadata.level() == Level::ERROR || self.pipeline.events == EventsInSpans::All;
        // Skip events of the OpenTelemetry API, because it may log while its context stack is
        // borrowed. Formatting such an event may run user code, which panics if it uses the stack.
        if may_change_span && !is_sender_thread() && !is_opentelemetry_target(metadata.target()) {
            self.inner.on_event(event, ctx);
        }
    }
}
