//! Spans of the OpenTelemetry API: spans that API tracers start, and handles to spans of `tracing`.

use std::{borrow::Cow, ptr, sync::Arc, time::SystemTime};

use opentelemetry::{
    Context, KeyValue, SpanId, TraceFlags, TraceId,
    baggage::BaggageExt as _,
    trace::{Link, Span, SpanContext, Status, TraceContextExt as _, TraceState},
};
use spanwise_core::internal::{
    SpanIdentity,
    span_identity::{RANDOM, SAMPLED},
};
use tracing_core::span::Id;

use crate::{
    api_attributes::{redacted_text, set_attributes},
    attributes::Attributes,
    carried_context::with_inherited_baggage,
    entered_contexts,
    open_span::{OpenSpan, ParentSpan, SpanEnd, unix_nanos},
    span_encoding::SPAN_ATTRIBUTES,
    span_event::{EVENT_ATTRIBUTES, LINK_ATTRIBUTES, LinkedSpan, encode_event},
    span_pipeline::SpanPipeline,
    trace_sampler::RemoteTrace,
};

/// A span of the OpenTelemetry API, from an [`OtelTracer`](crate::OtelTracer).
///
/// In the [`Context`] inside of a `tracing` span, it is a handle to that span. Then
/// [`end`](Span::end) has no effect: the span ends when `tracing` closes it.
#[derive(Debug)]
pub struct OtelSpan {
    context: SpanContext,
    target: Target,
}

/// The span that an [`OtelSpan`] changes.
#[derive(Debug)]
enum Target {
    /// A span of `tracing`, by its id. The handle does not keep the span alive, because the span's
    /// OpenTelemetry context owns the handle. A later span may reuse the [`Id`], so the
    /// OpenTelemetry span id is compared as well.
    TracingSpan(Arc<SpanPipeline>, Id),
    /// A span that a tracer started, which ends with the handle.
    ApiSpan(Arc<SpanPipeline>, Arc<OpenSpan>, Id),
    /// A span that is not exported, or has ended.
    None,
}

impl OtelSpan {
    /// Creates a handle to the span of `tracing` with this id.
    pub(crate) fn for_tracing_span(
        pipeline: &Arc<SpanPipeline>,
        id: &Id,
        span: &OpenSpan,
        identity: &SpanIdentity,
    ) -> Self {
        let target = match span.is_recording() {
            true => Target::TracingSpan(Arc::clone(pipeline), id.clone()),
            false => Target::None,
        };
        Self {
            context: span_context(identity),
            target,
        }
    }

    /// Creates the handle to a span that a tracer starts.
    pub(crate) fn for_tracer(
        pipeline: &Arc<SpanPipeline>,
        span: Arc<OpenSpan>,
        identity: &SpanIdentity,
    ) -> Self {
        let id = pipeline.insert_api_span(Arc::clone(&span));
        Self {
            context: span_context(identity),
            target: Target::ApiSpan(Arc::clone(pipeline), span, id),
        }
    }

    /// Creates a span that is not exported, and only propagates the ids in `context`.
    pub(crate) fn not_recording(context: SpanContext) -> Self {
        Self {
            context,
            target: Target::None,
        }
    }

    /// Calls `change` with the span, if it is recording.
    fn with_open(&self, change: impl FnOnce(&SpanPipeline, &OpenSpan)) {
        match &self.target {
            Target::TracingSpan(pipeline, id) => {
                if let Some(span) = pipeline.open.get(id)
                    && span.is_recording()
                    && span.span_id() == self.context.span_id().to_bytes()
                {
                    change(pipeline, &span);
                }
            }
            Target::ApiSpan(pipeline, span, _) if span.is_recording() => change(pipeline, span),
            Target::ApiSpan(..) | Target::None => {}
        }
    }

    /// Ends a span that a tracer started, unless it has ended.
    fn finish(&mut self, end: impl FnOnce() -> SpanEnd) {
        // `replace` runs only for an `ApiSpan`: a handle to a span of `tracing` keeps its target.
        if let Target::ApiSpan(..) = &self.target
            && let Target::ApiSpan(pipeline, span, id) =
                std::mem::replace(&mut self.target, Target::None)
        {
            pipeline.remove_api_span(&id);
            pipeline.end(&span, end());
        }
    }
}

impl Span for OtelSpan {
    fn add_event_with_timestamp<T>(
        &mut self,
        name: T,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    ) where
        T: Into<Cow<'static, str>>,
    {
        self.with_open(|pipeline, span| {
            let limits = &pipeline.options.limits;
            let mut encoded_attributes = Attributes::new(EVENT_ATTRIBUTES, limits.event_attributes);
            set_attributes(&mut encoded_attributes, pipeline.policy(), attributes);
            let name = name.into();
            let name = redacted_text(pipeline.policy(), &name);
            let mut event = Vec::new();
            encode_event(&name, timestamp, &encoded_attributes, &mut event);
            span.record(|recorded| recorded.add_event(&event, limits));
        });
    }

    fn span_context(&self) -> &SpanContext {
        &self.context
    }

    fn is_recording(&self) -> bool {
        let mut is_recording = false;
        self.with_open(|_, _| is_recording = true);
        is_recording
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        self.set_attributes([attribute]);
    }

    fn set_attributes(&mut self, attributes: impl IntoIterator<Item = KeyValue>) {
        self.with_open(|pipeline, span| {
            let limits = pipeline.options.limits.attributes;
            let mut encoded = Attributes::new(SPAN_ATTRIBUTES, limits);
            set_attributes(&mut encoded, pipeline.policy(), attributes);
            span.record(|recorded| recorded.set_attributes(&encoded));
        });
    }

    fn set_status(&mut self, status: Status) {
        self.with_open(|pipeline, span| match status {
            Status::Unset => {}
            Status::Ok => span.record(|recorded| recorded.status.set_ok()),
            Status::Error { description } => {
                let description = redacted_text(pipeline.policy(), &description);
                span.record(|recorded| {
                    recorded.status.set_error();
                    if !description.is_empty() {
                        recorded.status.set_description(&description);
                    }
                });
            }
        });
    }

    fn update_name<T>(&mut self, new_name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        self.with_open(|pipeline, span| {
            let name = new_name.into();
            let name = redacted_text(pipeline.policy(), &name);
            span.record(|recorded| recorded.set_name(&name));
        });
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        self.with_open(|pipeline, span| {
            if let Some(link) = encode_link(pipeline, Link::new(span_context, attributes, 0)) {
                span.record(|recorded| recorded.add_link(&link, &pipeline.options.limits));
            }
        });
    }

    fn end(&mut self) {
        self.finish(|| SpanEnd::Closed);
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        self.finish(|| SpanEnd::At(unix_nanos(timestamp)));
    }
}

impl Drop for OtelSpan {
    fn drop(&mut self) {
        self.finish(|| SpanEnd::Closed);
    }
}

/// Encodes a `Link`. Returns `None` for a link without content: its span context is invalid, as
/// from a message without headers, and it has neither attributes nor a `tracestate`.
pub(crate) fn encode_link(pipeline: &SpanPipeline, link: Link) -> Option<Vec<u8>> {
    let Link {
        span_context: linked,
        attributes,
        ..
    } = link;
    let state = linked.trace_state().header();
    if !linked.is_valid() && attributes.is_empty() && state.is_empty() {
        return None;
    }
    let limits = pipeline.options.limits.link_attributes;
    let mut encoded_attributes = Attributes::new(LINK_ATTRIBUTES, limits);
    set_attributes(&mut encoded_attributes, pipeline.policy(), attributes);
    encoded_attributes.add_dropped(link.dropped_attributes_count);
    let mut encoded = Vec::new();
    LinkedSpan {
        trace_id: linked.trace_id().to_bytes(),
        span_id: linked.span_id().to_bytes(),
        flags: linked.trace_flags().to_u8(),
        state: Some(&*state).filter(|state| !state.is_empty()),
        is_remote: linked.is_remote(),
    }
    .encode(Some(&encoded_attributes), &mut encoded);
    Some(encoded)
}

/// Returns the identity of a new span below `parent`, a span of this or of another process, and
/// `parent` as it is stored in the new span.
pub(crate) fn identity_below(
    pipeline: &SpanPipeline,
    parent: &SpanContext,
    span_id: [u8; 8],
) -> (SpanIdentity, ParentSpan) {
    let trace_id = parent.trace_id().to_bytes();
    let flags = parent.trace_flags().to_u8() & (SAMPLED | RANDOM);
    let state = parent.trace_state().header();
    let state: Option<Arc<str>> = (!state.is_empty()).then(|| state.into());
    let identity = match parent.is_remote() {
        true => {
            let remote = RemoteTrace {
                is_sampled: parent.is_sampled(),
                state: state.as_ref(),
            };
            pipeline.sample_first_span(trace_id, span_id, flags, Some(remote))
        }
        false => SpanIdentity::new(trace_id, span_id, flags, state),
    };
    let parent = ParentSpan {
        span_id: parent.span_id().to_bytes(),
        is_remote: parent.is_remote(),
    };
    (identity, parent)
}

/// Returns the OpenTelemetry context inside of a span of `tracing`: `parent`, the context that
/// `set_parent` was called with, or else the current context, with this span as its span. If the
/// span's parent is in the parent process, a context without baggage receives the baggage of that
/// process.
pub(crate) fn context_inside(
    pipeline: &Arc<SpanPipeline>,
    id: &Id,
    span: &OpenSpan,
    identity: &SpanIdentity,
    parent: Option<Context>,
) -> Context {
    let outer = parent.unwrap_or_else(|| {
        let current = entered_contexts::with_current(Context::clone);
        with_inherited_baggage(span, current.unwrap_or_default())
    });
    match span.is_recording() {
        true => outer.with_span(OtelSpan::for_tracing_span(pipeline, id, span, identity)),
        // A remote span context costs less than a handle. `span_context` marks it as not remote.
        false => outer.with_remote_span_context(span_context(identity)),
    }
}

/// Returns the OpenTelemetry context for a thread that enters a span of `tracing`. It has the
/// baggage of the current context, unless `set_parent` has set the parent.
///
/// The context of the first enter is stored in the span and reused, because a new one costs
/// allocations. A new one is built only if the stored and the current context differ in their
/// baggage or in the suppression of telemetry. Other values are not compared, because a [`Context`]
/// cannot list them.
#[inline]
pub(crate) fn context_on_enter(pipeline: &Arc<SpanPipeline>, id: &Id, span: &OpenSpan) -> Context {
    let stored =
        span.context(|identity, parent| context_inside(pipeline, id, span, identity, parent));
    let is_like_stored = |current: &Context| {
        ptr::from_ref(current.baggage()).addr() == stored.baggage_addr
            && current.is_telemetry_suppressed() == stored.context.is_telemetry_suppressed()
    };
    match entered_contexts::with_current(is_like_stored) {
        Some(false) if !span.has_parent_context() => {
            context_inside(pipeline, id, span, &span.identity(), None)
        }
        Some(_) | None => stored.context.clone(),
    }
}

fn span_context(identity: &SpanIdentity) -> SpanContext {
    let state = identity.state();
    let state = state.and_then(|state| state.parse::<TraceState>().ok());
    SpanContext::new(
        TraceId::from_bytes(identity.trace_id()),
        SpanId::from_bytes(identity.span_id()),
        TraceFlags::new(identity.flags()),
        false,
        state.unwrap_or_default(),
    )
}
