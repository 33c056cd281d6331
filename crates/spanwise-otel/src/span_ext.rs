//! The extension trait that gives `tracing` spans the methods of OpenTelemetry spans.

use std::{borrow::Cow, error::Error, fmt, sync::Arc, time::SystemTime};

use opentelemetry::{
    Context, Key, KeyValue, Value,
    trace::{Span as _, SpanContext, Status, TraceContextExt as _},
};
use spanwise_core::internal::{SpanIdentity, span_identity::NotReplaced};
use tracing::{Dispatch, Span, span::Id};
use tracing_subscriber::{Registry, registry::LookupSpan};

use crate::{
    api_span::{OtelSpan, context_inside, identity_below},
    open_span::OpenSpan,
    span_collector::SpanCollector,
    span_pipeline::SpanPipeline,
};

/// Uses a `tracing` span as a span of OpenTelemetry. The methods have the same names as in
/// `tracing_opentelemetry::OpenTelemetrySpanExt`.
///
/// The methods have no effect on a span that is disabled or not exported.
///
/// ```
/// use spanwise_otel::SpanExt as _;
/// use spanwise_otel::opentelemetry::trace::Status;
///
/// let span = tracing::info_span!("charge");
/// span.set_attribute("order.id", 42);
/// span.set_status(Status::error("declined"));
/// ```
pub trait SpanExt: sealed::Sealed {
    /// Makes a root span a child of the span in `cx`, for example in the context that a received
    /// message carries. The [`context`](Self::context) of the child then has the baggage of `cx`.
    ///
    /// Call it before the span is entered or gets a child or an event, because from then on, a line
    /// or a header may have the ids of the span. Spans of HTTP requests need no call:
    /// `spanwise-http` reads the headers of the request.
    ///
    /// # Errors
    /// [`SetParentError`]. The span then keeps its trace and its parent. The first error in an
    /// [`OtelSpans`](crate::OtelSpans) layer is also reported as a fault.
    fn set_parent(&self, cx: Context) -> Result<(), SetParentError>;

    /// Adds a link to another span.
    fn add_link(&self, cx: SpanContext);

    /// Adds a link with attributes to another span.
    fn add_link_with_attributes(&self, cx: SpanContext, attributes: Vec<KeyValue>);

    /// Returns the OpenTelemetry context inside of the span, for propagators and tracers. For a
    /// span that is not exported, it is the context of the nearest exported ancestor, or an empty
    /// context if there is none. For a disabled span, it is an empty context.
    fn context(&self) -> Context;

    /// Sets an attribute. The key need not be a field of the span. Replaces an earlier value.
    fn set_attribute(&self, key: impl Into<Key>, value: impl Into<Value>);

    /// Sets the status. OK takes precedence over an error, regardless of the order of the calls.
    fn set_status(&self, status: Status);

    /// Adds an event to the exported span only. It becomes neither a line nor a log record.
    fn add_event(&self, name: impl Into<Cow<'static, str>>, attributes: Vec<KeyValue>);

    /// Adds an event with a time to the exported span only. It becomes neither a line nor a log
    /// record.
    fn add_event_with_timestamp(
        &self,
        name: impl Into<Cow<'static, str>>,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    );
}

/// The reason why the parent of a span cannot be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetParentError {
    /// There is no [`OtelSpans`](crate::OtelSpans) layer.
    LayerNotFound,
    /// The span is disabled, or not exported.
    SpanDisabled,
    /// The span was entered, has a child or an event, or its context was read.
    AlreadyStarted,
    /// The span has a parent in this process.
    NoRoot,
    /// The OpenTelemetry context has no span.
    NoSpanInContext,
    /// The new parent is sampled, but the span was created in a trace that is not sampled, so its
    /// fields were not stored.
    NotSampled,
}

mod sealed {
    #[expect(unnameable_types, reason = "it seals the trait")]
    pub trait Sealed {}

    impl Sealed for tracing::Span {}
}

impl SpanExt for Span {
    fn set_parent(&self, cx: Context) -> Result<(), SetParentError> {
        let result = self.with_subscriber(|(id, dispatch)| {
            let pipeline = pipeline(dispatch).ok_or(SetParentError::LayerNotFound)?;
            let result = set_parent(pipeline, dispatch, id, cx);
            if let Err(error) = &result {
                let name = self.metadata().map_or("", |metadata| metadata.name());
                pipeline.report_set_parent_failure(name, error);
            }
            result
        });
        result.unwrap_or(Err(SetParentError::SpanDisabled))
    }

    fn add_link(&self, cx: SpanContext) {
        self.add_link_with_attributes(cx, Vec::new());
    }

    fn add_link_with_attributes(&self, cx: SpanContext, attributes: Vec<KeyValue>) {
        change(self, |span| span.add_link(cx, attributes));
    }

    fn context(&self) -> Context {
        let context = self.with_subscriber(|(id, dispatch)| {
            let pipeline = pipeline(dispatch)?;
            let registry = dispatch.downcast_ref::<Registry>()?;
            let mut scope = registry.span(id)?.scope();
            let (identity, id, open) = scope.find_map(|span| {
                let identity = SpanIdentity::freeze(&span)?;
                Some((identity, span.id(), pipeline.open.get(&span.id())?))
            })?;
            if open.mark_frozen() {
                SpanPipeline::apply_frozen_identity(&open, identity);
            }
            let context = open
                .context(|identity, parent| context_inside(pipeline, &id, &open, identity, parent));
            Some(context.context.clone())
        });
        context.flatten().unwrap_or_default()
    }

    fn set_attribute(&self, key: impl Into<Key>, value: impl Into<Value>) {
        change(self, |span| span.set_attribute(KeyValue::new(key, value)));
    }

    fn set_status(&self, status: Status) {
        change(self, |span| span.set_status(status));
    }

    fn add_event(&self, name: impl Into<Cow<'static, str>>, attributes: Vec<KeyValue>) {
        self.add_event_with_timestamp(name, opentelemetry::time::now(), attributes);
    }

    fn add_event_with_timestamp(
        &self,
        name: impl Into<Cow<'static, str>>,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    ) {
        change(self, |span| {
            span.add_event_with_timestamp(name, timestamp, attributes);
        });
    }
}

/// Calls `change` with a handle to the span. Does not [freeze](SpanIdentity::freeze) the ids of the
/// span, so that `set_parent` may still follow.
fn change(span: &Span, change: impl FnOnce(&mut OtelSpan)) {
    span.with_subscriber(|(id, dispatch)| {
        let pipeline = pipeline(dispatch)?;
        let open = pipeline.open.get(id)?;
        change(&mut OtelSpan::for_tracing_span(
            pipeline,
            id,
            &open,
            &open.identity(),
        ));
        Some(())
    });
}

fn set_parent(
    pipeline: &Arc<SpanPipeline>,
    dispatch: &Dispatch,
    id: &Id,
    cx: Context,
) -> Result<(), SetParentError> {
    let open: Arc<OpenSpan> = pipeline.open.get(id).ok_or(SetParentError::SpanDisabled)?;
    if open.parent().is_some_and(|parent| !parent.is_remote) {
        return Err(SetParentError::NoRoot);
    }
    let parent = cx.span().span_context().clone();
    if !parent.is_valid() {
        return Err(SetParentError::NoSpanInContext);
    }
    let (identity, parent) = identity_below(pipeline, &parent, open.identity().span_id());
    if identity.is_sampled() && open.cannot_become_sampled() {
        return Err(SetParentError::NotSampled);
    }
    let replaced = identity.clone().replace(dispatch, id);
    replaced.map_err(|error| match error {
        NotReplaced::Frozen => SetParentError::AlreadyStarted,
        NotReplaced::NoIdentity => SetParentError::SpanDisabled,
    })?;
    open.move_to(identity, Some(parent), cx);
    Ok(())
}

/// Returns the pipeline of the [`OtelSpans`](crate::OtelSpans) layer, if there is one.
fn pipeline(dispatch: &Dispatch) -> Option<&Arc<SpanPipeline>> {
    let collector = dispatch.downcast_ref::<SpanCollector>()?;
    Some(&collector.pipeline)
}

impl fmt::Display for SetParentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LayerNotFound => "there is no `OtelSpans` layer",
            Self::SpanDisabled => "the span is disabled, or not exported",
            Self::AlreadyStarted => {
                "the span was entered, has a child or an event, or its context was read: set the \
                 parent right after the span is created"
            }
            Self::NoRoot => "the span has a parent in this process: create it with `parent: None`",
            Self::NoSpanInContext => "the context has no span",
            Self::NotSampled => {
                "the span continues a trace that is not sampled, so its fields were not kept: create \
                 it outside of that trace"
            }
        })
    }
}

impl Error for SetParentError {}
