//! Chooses the trace and the parent of a new span.
//!
//! The first of these rules that applies decides:
//! 1. A span is below its nearest ancestor with ids, or below the active span (the span of the
//!    current OpenTelemetry context) if that was started inside the ancestor.
//! 2. It is below the active span, unless its trace is announced. An outgoing request may be below
//!    the active span even then.
//! 3. It is in the announced trace. The code that opens a span, such as `spanwise-http`, announces
//!    its trace.
//! 4. It is in the trace of its field `trace_id`.
//! 5. It is below the span in which the parent process started this process.
//! 6. It begins a new trace.

use std::iter::successors;

use opentelemetry::trace::SpanContext;
use spanwise_core::internal::{
    SpanIdentity,
    announced_span::{Announced, AnnouncedTrace, SpanKind},
    inherited_context::InheritedContext,
    new_span_id, new_trace_id, parse_hex,
    span_identity::{RANDOM, SAMPLED},
};
use tracing_core::span::Attributes as SpanAttributes;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::{
    api_span::identity_below,
    attributes::{AnyValue, Attributes},
    carried_context::{inherited_span, inherited_span_context},
    entered_contexts,
    limits::AttributeLimits,
    open_span::{ParentSpan, SpanStart},
    plan::{CallsitePlan, SpecialField},
    span_collector::SpanCollector,
    span_pipeline::SpanPipeline,
    trace_sampler::RemoteTrace,
    value::FieldEncoder,
};

/// The ids, the parent, the kind and the link of a new span.
pub(crate) struct Placement {
    pub(crate) identity: SpanIdentity,
    pub(crate) parent: Option<ParentSpan>,
    pub(crate) kind: SpanKind,
    /// The trace id and the span id of an untrusted caller, to which the span has a link.
    pub(crate) link: Option<([u8; 16], [u8; 8])>,
    /// Whether to collect data even if the trace is not sampled, because `set_parent` may move the
    /// span to a sampled trace. False by rules 1 to 3 of this module: if the trace of such a span
    /// is not sampled, `set_parent` cannot move the span to a sampled one.
    pub(crate) collects_unsampled: bool,
}

impl SpanCollector {
    /// Chooses the trace and the parent of a new span. If `spanwise-http` or
    /// [`TraceParent::unit`](spanwise_core::TraceParent::unit) opens the span, `announced` has the
    /// span id and the kind, and the trace if they chose one.
    pub(crate) fn place<S: for<'s> LookupSpan<'s>>(
        &self,
        attrs: &SpanAttributes<'_>,
        plan: &CallsitePlan,
        span: &SpanRef<'_, S>,
        announced: Option<Announced>,
        start: SpanStart,
    ) -> Placement {
        let pipeline = &*self.pipeline;
        let (span_id, kind, announced_trace) = match announced {
            Some(Announced {
                span_id,
                kind,
                trace,
            }) => (span_id, kind, trace),
            None => (new_span_id(), SpanKind::Internal, None),
        };
        let link = announced_trace.as_ref().and_then(|trace| trace.link);
        let new_placement = |identity, parent| Placement {
            identity,
            parent,
            kind,
            link,
            collects_unsampled: false,
        };
        let sees_otel_context = attrs.is_contextual() && pipeline.options.propagates_otel_context;
        let mut ancestors = successors(span.parent(), SpanRef::parent);
        let ancestor = ancestors.find_map(|span| Some((SpanIdentity::freeze(&span)?, span)));
        if let Some((identity, ancestor)) = ancestor {
            // The active span becomes the parent if it is in the same trace and was started inside
            // `ancestor`.
            if sees_otel_context
                && let Some(active) = entered_contexts::active_span_context()
                && active.trace_id().to_bytes() == identity.trace_id()
                && active.span_id().to_bytes() != identity.span_id()
                && !self.is_self_or_ancestor(&ancestor, active.span_id().to_bytes())
            {
                return place_below(pipeline, &active, span_id, new_placement);
            }
            let parent = ParentSpan {
                span_id: identity.span_id(),
                is_remote: false,
            };
            let identity = SpanIdentity::new(
                identity.trace_id(),
                span_id,
                identity.flags(),
                identity.state().cloned(),
            );
            return new_placement(identity, Some(parent));
        }
        // `spanwise-http` announces an outgoing request in a new trace, in the trace that this
        // process inherits, or in the trace of a received request whose span is disabled. In the
        // first two cases, the outgoing request becomes a child of the active span instead, if
        // there is one. In the last case, it stays below the disabled span.
        let may_join_active_span = |trace: &AnnouncedTrace| {
            let is_outside_requests =
                || trace.parent.is_none() || InheritedContext::for_trace(trace.trace_id).is_some();
            kind == SpanKind::Client && is_outside_requests()
        };
        if sees_otel_context
            && announced_trace.as_ref().is_none_or(may_join_active_span)
            && let Some(active) = entered_contexts::active_span_context()
        {
            return place_below(pipeline, &active, span_id, new_placement);
        }
        if let Some(trace) = announced_trace {
            return place_announced(pipeline, &trace, span_id, kind);
        }
        let trace_id = recorded_trace_id(attrs, plan);
        let enclosing_context = || {
            let parent = span.parent();
            parent.map_or_else(Default::default, |it| {
                spanwise_core::Context::from_span(&it)
            })
        };
        // A span with `parent: None` is not part of the surrounding request, so the
        // `spanwise_core::Context` of the request is ignored.
        let inherited = || {
            if attrs.is_root() {
                inherited_span()
            } else {
                inherited_span_context(enclosing_context)
            }
        };
        if trace_id.is_none()
            && let Some(inherited) = inherited()
        {
            return Placement {
                collects_unsampled: true,
                ..place_below(pipeline, &inherited, span_id, new_placement)
            };
        }
        let (trace_id, flags) = match trace_id {
            Some(trace_id) => (trace_id, 0),
            None => (new_trace_id(start.unix_nanos()), RANDOM),
        };
        Placement {
            collects_unsampled: true,
            ..new_placement(
                pipeline.sample_first_span(trace_id, span_id, flags, None),
                None,
            )
        }
    }

    /// Returns whether the span id `id` belongs to `span`, to one of its ancestors, or to the
    /// OpenTelemetry parent of one of these. If so, the active span with this id was not started
    /// inside `span`, and cannot be the parent of a new span inside `span`.
    fn is_self_or_ancestor<S: for<'s> LookupSpan<'s>>(
        &self,
        span: &SpanRef<'_, S>,
        id: [u8; 8],
    ) -> bool {
        span.scope().any(|ancestor| {
            let open = self.pipeline.open.get(&ancestor.id());
            open.is_some_and(|open| {
                let parent = open.parent().map(|parent| parent.span_id);
                open.identity().span_id() == id || parent == Some(id)
            })
        })
    }
}

/// Places the first span of this process in an announced trace.
fn place_announced(
    pipeline: &SpanPipeline,
    trace: &AnnouncedTrace,
    span_id: [u8; 8],
    kind: SpanKind,
) -> Placement {
    let remote = trace.parent.map(|_| RemoteTrace {
        is_sampled: trace.flags & SAMPLED != 0,
        state: trace.state.as_ref(),
    });
    Placement {
        identity: pipeline.sample_first_span(trace.trace_id, span_id, trace.flags, remote),
        parent: trace.parent.map(|span_id| ParentSpan {
            span_id,
            is_remote: true,
        }),
        kind,
        link: trace.link,
        collects_unsampled: false,
    }
}

/// Places a span below `parent`: the active span, or the span in which the parent process started
/// this process.
fn place_below(
    pipeline: &SpanPipeline,
    parent: &SpanContext,
    span_id: [u8; 8],
    new_placement: impl FnOnce(SpanIdentity, Option<ParentSpan>) -> Placement,
) -> Placement {
    let (identity, parent) = identity_below(pipeline, parent, span_id);
    new_placement(identity, Some(parent))
}

/// Returns the trace id in the field `trace_id` of a root span, if it is valid.
fn recorded_trace_id(attrs: &SpanAttributes<'_>, plan: &CallsitePlan) -> Option<[u8; 16]> {
    if !plan.has_trace_id {
        return None;
    }
    let mut trace_id = None;
    let collect_trace_id = |field, value: AnyValue<'_>| {
        if let (SpecialField::TraceId, AnyValue::Text(text)) = (field, value) {
            trace_id = parse_hex(text.as_bytes());
        }
    };
    let limits = AttributeLimits {
        count: 0,
        ..AttributeLimits::default()
    };
    // The limit of 0 drops all attributes, because only the special field is needed.
    let (mut no_attributes, mut text) = (Attributes::new(0, limits), String::new());
    let has_repeated_keys = false;
    let mut visitor = FieldEncoder::new(
        &plan.fields,
        has_repeated_keys,
        &mut no_attributes,
        &mut text,
        collect_trace_id,
    );
    attrs.record(&mut visitor);
    trace_id.filter(|id| *id != [0; 16])
}
