//! The tracers of the OpenTelemetry API.

use std::{borrow::Cow, sync::Arc};

use opentelemetry::{
    Context, InstrumentationScope,
    trace::{self as otel, SpanBuilder, TraceContextExt as _},
};
use spanwise_core::internal::{
    announced_span::SpanKind, new_span_id, new_trace_id, span_identity::RANDOM,
};
use tracing_core::LevelFilter;

use crate::{
    api_attributes::{redacted_text, set_attributes},
    api_span::{OtelSpan, encode_link, identity_below},
    attributes::Attributes,
    carried_context::inherited_span_context,
    open_span::{OpenSpan, RecordedSpan, SpanOrigin, SpanStart},
    span_event::{EVENT_ATTRIBUTES, encode_event},
    span_pipeline::SpanPipeline,
    wire::WireWriter as _,
};

/// The provider of tracers of the OpenTelemetry API. Spans of these tracers have the same sampler,
/// limits and policy as spans of `tracing`.
///
/// ```
/// use opentelemetry::trace::{Tracer as _, TracerProvider as _};
/// use spanwise_otel::Otel;
///
/// let (otel, guard) = Otel::builder("http://127.0.0.1:1").build()?;
/// let provider = otel.tracer_provider().expect("traces are exported");
/// let tracer = provider.tracer("shop");
/// tracer.in_span("charge", |_| {
///     // A child of `charge`, if the subscriber has the layer `otel.spans()`.
///     tracing::info_span!("card").in_scope(|| {});
/// });
/// assert_eq!(guard.shutdown(std::time::Duration::ZERO).traces.accepted, 1);
/// # Ok::<(), spanwise_otel::OtelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct OtelTracerProvider {
    pipeline: Arc<SpanPipeline>,
}

/// A tracer of the OpenTelemetry API, from an [`OtelTracerProvider`].
#[derive(Debug, Clone)]
pub struct OtelTracer {
    pipeline: Arc<SpanPipeline>,
    /// The encoded `InstrumentationScope`.
    scope: Arc<[u8]>,
    /// Whether [`SpanOptions::levels`](crate::SpanOptions::levels) export the spans of the tracer.
    /// API spans have no level and no target: they count as INFO, with the scope's name as target.
    is_exported: bool,
}

impl OtelTracerProvider {
    pub(crate) fn new(pipeline: &Arc<SpanPipeline>) -> Self {
        Self {
            pipeline: Arc::clone(pipeline),
        }
    }
}

impl otel::TracerProvider for OtelTracerProvider {
    type Tracer = OtelTracer;

    fn tracer_with_scope(&self, scope: InstrumentationScope) -> OtelTracer {
        let level = self.pipeline.options.levels.level(scope.name());
        OtelTracer {
            pipeline: Arc::clone(&self.pipeline),
            scope: encode_scope(&self.pipeline, &scope),
            is_exported: level.is_none_or(|level| level >= LevelFilter::INFO),
        }
    }
}

impl otel::Tracer for OtelTracer {
    type Span = OtelSpan;

    fn build_with_context(&self, builder: SpanBuilder, parent_cx: &Context) -> OtelSpan {
        let pipeline = &self.pipeline;
        let parent = parent_cx.span();
        let parent = parent.span_context();
        // A span without a parent may belong to the trace of the process that started this one.
        let inherited = match parent.is_valid() {
            true => None,
            false => inherited_span_context(spanwise_core::Context::current),
        };
        let parent = inherited.as_ref().unwrap_or(parent);
        if !self.is_exported || parent_cx.is_telemetry_suppressed() {
            return OtelSpan::not_recording(parent.clone());
        }
        let clock = &pipeline.options.clock;
        let start = match builder.start_time {
            Some(time) => SpanStart::at(time, clock),
            None => pipeline.start_now(),
        };
        let span_id = new_span_id();
        let (identity, parent) = match parent.is_valid() {
            true => {
                let (identity, parent) = identity_below(pipeline, parent, span_id);
                (identity, Some(parent))
            }
            false => {
                let trace_id = new_trace_id(start.unix_nanos());
                let identity = pipeline.sample_first_span(trace_id, span_id, RANDOM, None);
                (identity, None)
            }
        };
        let is_sampled = identity.is_sampled();
        let recorded = is_sampled.then(|| self.recorded_span(builder));
        let origin = SpanOrigin::Tracer(Arc::clone(&self.scope));
        let span = Arc::new(OpenSpan::new(
            origin,
            start,
            identity.clone(),
            parent,
            recorded,
        ));
        OtelSpan::for_tracer(pipeline, span, &identity)
    }
}

impl OtelTracer {
    /// Returns the data to export for a new span.
    fn recorded_span(&self, builder: SpanBuilder) -> Box<RecordedSpan> {
        let (policy, limits) = (self.pipeline.policy(), &self.pipeline.options.limits);
        let mut recorded = Box::new(RecordedSpan::new(limits.attributes));
        set_attributes(
            &mut recorded.attributes,
            policy,
            builder.attributes.into_iter().flatten(),
        );
        recorded.kind = match builder.span_kind {
            Some(otel::SpanKind::Server) => SpanKind::Server,
            Some(otel::SpanKind::Client) => SpanKind::Client,
            Some(otel::SpanKind::Producer) => SpanKind::Producer,
            Some(otel::SpanKind::Consumer) => SpanKind::Consumer,
            Some(otel::SpanKind::Internal) | None => SpanKind::Internal,
        };
        recorded.set_name(&redacted_text(policy, &builder.name));
        for event in builder.events.into_iter().flatten() {
            let mut attributes = Attributes::new(EVENT_ATTRIBUTES, limits.event_attributes);
            set_attributes(&mut attributes, policy, event.attributes);
            attributes.add_dropped(event.dropped_attributes_count);
            let name = redacted_text(policy, &event.name);
            let mut encoded = Vec::new();
            encode_event(&name, event.timestamp, &attributes, &mut encoded);
            recorded.add_event(&encoded, limits);
        }
        let links = builder.links.into_iter().flatten();
        for link in links.filter_map(|link| encode_link(&self.pipeline, link)) {
            recorded.add_link(&link, limits);
        }
        recorded
    }
}

/// Returns an encoded `InstrumentationScope`.
fn encode_scope(pipeline: &SpanPipeline, scope: &InstrumentationScope) -> Arc<[u8]> {
    const NAME: u32 = 1;
    const VERSION: u32 = 2;
    const ATTRIBUTES: u32 = 3;
    const DROPPED_ATTRIBUTES: u32 = 4;

    let mut encoded = Vec::new();
    let redacted = |text| -> Cow<'_, str> { redacted_text(pipeline.policy(), text) };
    encoded.bytes(NAME, redacted(scope.name()).as_bytes());
    if let Some(version) = scope.version() {
        encoded.bytes(VERSION, redacted(version).as_bytes());
    }
    let mut attributes = Attributes::new(ATTRIBUTES, pipeline.options.limits.attributes);
    set_attributes(
        &mut attributes,
        pipeline.policy(),
        scope.attributes().cloned(),
    );
    encoded.extend_from_slice(attributes.as_bytes());
    if attributes.dropped() > 0 {
        encoded.uint(DROPPED_ATTRIBUTES, attributes.dropped().into());
    }
    encoded.into()
}
