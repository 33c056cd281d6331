//! [`OtelSpan`], the span type for code that uses the OpenTelemetry API, and the contexts around
//! it.
//!
//! Both kinds of spans nest in each other. So an [`OtelSpan`] is a span that an API tracer started,
//! or a handle to a span of `tracing`.

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
/// The [`Context`] inside a `tracing` span also has an `OtelSpan`, which is a handle to the
/// `tracing` span. [`end`](Span::end) has no effect on a handle: the `tracing` span ends when
/// `tracing` closes it.
#[derive(Debug)]
pub struct OtelSpan {
    context: SpanContext,
    handled: HandledSpan,
}

/// The span that the methods of an [`OtelSpan`] change.
#[derive(Debug)]
enum HandledSpan {
    /// A span of `tracing`, by its id. An `Arc` of the span would be a reference cycle, because the
    /// span's OpenTelemetry context owns the handle. A later span may reuse the [`Id`], so the
    /// OpenTelemetry span id is compared as well.
    TracingSpan(Arc<SpanPipeline>, Id),
    /// A span that a tracer started. It ends with the handle. The [`Id`] is its key in the
    /// pipeline.
    ApiSpan(Arc<SpanPipeline>, Arc<OpenSpan>, Id),
    /// A span that is not exported, or has ended.
    NotRecording,
}

impl OtelSpan {
    /// Creates a handle to the span of `tracing` with this id.
    pub(crate) fn for_tracing_span(
        pipeline: &Arc<SpanPipeline>,
        id: &Id,
        span: &OpenSpan,
        identity: &SpanIdentity,
    ) -> Self {
        let handled = match span.is_recording() {
            true => HandledSpan::TracingSpan(Arc::clone(pipeline), id.clone()),
            false => HandledSpan::NotRecording,
        };
        Self {
            context: span_context(identity),
            handled,
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
            handled: HandledSpan::ApiSpan(Arc::clone(pipeline), span, id),
        }
    }

    /// Creates a span that is not exported. It only propagates the ids in `context`.
    pub(crate) fn not_recording(context: SpanContext) -> Self {
        Self {
            context,
            handled: HandledSpan::NotRecording,
        }
    }

    /// Calls `change` with the span, if it is recording.
    fn with_recording_span(&self, change: impl FnOnce(&SpanPipeline, &OpenSpan)) {
        match &self.handled {
            HandledSpan::TracingSpan(pipeline, id) => {
                if let Some(span) = pipeline.open.get(id)
                    && span.is_recording()
                    && span.span_id() == self.context.span_id().to_bytes()
                {
                    change(pipeline, &span);
                }
            }
            HandledSpan::ApiSpan(pipeline, span, _) if span.is_recording() => {
                change(pipeline, span)
            }
            HandledSpan::ApiSpan(..) | HandledSpan::NotRecording => {}
        }
    }

    /// Ends a span that a tracer started, unless it has ended. Does nothing for other spans.
    fn finish(&mut self, end: impl FnOnce() -> SpanEnd) {
        // A handle to a span of `tracing` stays as it is, so `replace` runs only for an `ApiSpan`.
        if let HandledSpan::ApiSpan(..) = &self.handled
            && let HandledSpan::ApiSpan(pipeline, span, id) =
                std::mem::replace(&mut self.handled, HandledSpan::NotRecording)
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
        self.with_recording_span(|pipeline, span| {
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
        self.with_recording_span(|_, _| is_recording = true);
        is_recording
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        self.set_attributes([attribute]);
    }

    fn set_attributes(&mut self, attributes: impl IntoIterator<Item = KeyValue>) {
        self.with_recording_span(|pipeline, span| {
            let limits = pipeline.options.limits.attributes;
            let mut encoded = Attributes::new(SPAN_ATTRIBUTES, limits);
            set_attributes(&mut encoded, pipeline.policy(), attributes);
            span.record(|recorded| recorded.set_attributes(&encoded));
        });
    }

    fn set_status(&mut self, status: Status) {
        self.with_recording_span(|pipeline, span| match status {
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
        self.with_recording_span(|pipeline, span| {
            let name = new_name.into();
            let name = redacted_text(pipeline.policy(), &name);
            span.record(|recorded| recorded.set_name(&name));
        });
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        self.with_recording_span(|pipeline, span| {
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

/// Encodes a `Link`. Returns `None` for a link without content, as from a message without headers:
/// it has no valid span context, no attributes and no `tracestate`.
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

/// Returns the identity of a new child of `parent`, and `parent` as the child stores it. If
/// `parent` is a span of another process, the sampler of this process decides about the child.
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

/// Returns the OpenTelemetry context for code inside a span of `tracing`.
///
/// It is `parent`, the context that `set_parent` was called with, or else the current context. In
/// both cases, the span replaces the active span. If the current context has no baggage, and the
/// span's parent is in the parent process, the baggage of that process is added.
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
        // This costs less than `with_span`. The span is not remote: see `span_context`.
        false => outer.with_remote_span_context(span_context(identity)),
    }
}

/// Returns the OpenTelemetry context for a thread that enters a span of `tracing`. It has the
/// baggage of the current context, unless `set_parent` has set the parent.
///
/// The span stores the context of the first enter and reuses it, because creating a context
/// allocates. If the stored and the current context differ in their baggage or in the suppression
/// of telemetry, another one is created. Other values are not compared, because a [`Context`]
/// cannot list them.
#[inline]
pub(crate) fn context_on_enter(pipeline: &Arc<SpanPipeline>, id: &Id, span: &OpenSpan) -> Context {
    let stored =
        span.context(|identity, parent| context_inside(pipeline, id, span, identity, parent));
    let matches_stored = |current: &Context| {
        ptr::from_ref(current.baggage()).addr() == stored.baggage_addr
            && current.is_telemetry_suppressed() == stored.context.is_telemetry_suppressed()
    };
    match entered_contexts::with_current(matches_stored) {
        Some(false) if !span.has_parent_context() => {
            context_inside(pipeline, id, span, &span.identity(), None)
        }
        Some(_) | None => stored.context.clone(),
    }
}

/// Returns the identity as a span context of this process.
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
