//! The context that comes from the parent process, and the one that goes to child processes.

use std::{collections::HashMap, sync::OnceLock};

use opentelemetry::{
    Context,
    baggage::{BaggageExt as _, KeyValueMetadata},
    propagation::TextMapPropagator as _,
    trace::{SpanContext, TraceContextExt as _},
};
use spanwise_core::internal::{CarriedContext, inherited_context::InheritedContext, parse_hex};

use crate::{
    W3cPropagator, entered_contexts,
    open_span::{OpenSpan, ParentSpan},
};

/// Returns the span of the parent process, if this process inherits it. `around` is the context of
/// the place where a span opens: nothing is inherited in another trace, which may be that of a
/// request whose span is not exported.
pub(crate) fn inherited_span_context(around: &spanwise_core::Context) -> Option<SpanContext> {
    let inherited = inherited()?.span().span_context().clone();
    let trace_id = around.get("trace_id");
    trace_id
        .is_none_or(|trace_id| {
            parse_hex(trace_id.as_bytes()) == Some(inherited.trace_id().to_bytes())
        })
        .then_some(inherited)
}

/// Returns the context around `span`: `current`, with the baggage of the parent process if there is
/// none and the span is below that process.
pub(crate) fn with_inherited_baggage(span: &OpenSpan, current: Context) -> Context {
    let Some(inherited) = inherited().filter(|_| current.baggage().is_empty()) else {
        return current;
    };
    let of_process = inherited.span().span_context().span_id().to_bytes();
    let is_below = |parent: ParentSpan| parent.is_remote && parent.span_id == of_process;
    if inherited.baggage().is_empty() || !span.parent().is_some_and(is_below) {
        return current;
    }
    let members = inherited.baggage().iter();
    current.with_baggage(members.map(|(key, (value, metadata))| {
        KeyValueMetadata::new(key.clone(), value.clone(), metadata.clone())
    }))
}

/// Returns the context that this process inherits.
fn inherited() -> Option<&'static Context> {
    static INHERITED: OnceLock<Context> = OnceLock::new();

    let inherited = InheritedContext::of_process()?;
    Some(INHERITED.get_or_init(|| {
        let mut headers = HashMap::from([("traceparent".to_owned(), inherited.parent.to_string())]);
        let more = [
            ("tracestate", &inherited.state),
            ("baggage", &inherited.baggage),
        ];
        for (name, value) in more {
            let value = value.as_deref().map(str::to_owned);
            headers.extend(value.map(|value| (name.to_owned(), value)));
        }
        W3cPropagator::default().extract_with_context(&Context::new(), &headers)
    }))
}

/// Returns the current context of the thread, for a child process.
pub(crate) fn carried() -> Option<CarriedContext> {
    let mut headers: HashMap<String, String> = HashMap::new();
    entered_contexts::with_current(|context| {
        W3cPropagator::default().inject_context(context, &mut headers);
    })?;
    let parent = headers
        .get("traceparent")
        .and_then(|text| text.parse().ok());
    let state = headers.remove("tracestate").map(Into::into);
    Some(CarriedContext {
        span: parent.map(|parent| (parent, state)),
        baggage: headers.remove("baggage").map(Into::into),
    })
}
