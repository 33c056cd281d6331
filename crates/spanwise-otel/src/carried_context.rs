//! The OpenTelemetry context that this process inherits from its parent process, and the context
//! that it passes to child processes.

use std::{collections::HashMap, sync::OnceLock};

use opentelemetry::{
    Context,
    baggage::{BaggageExt as _, KeyValueMetadata},
    propagation::TextMapPropagator as _,
    trace::{SpanContext, TraceContextExt as _},
};
use spanwise_core::internal::{CarriedContext, inherited_context::InheritedContext};

use crate::{
    W3cPropagator, entered_contexts,
    open_span::{OpenSpan, ParentSpan},
};

/// Returns the span of the parent process if a span that opens now is its child. `outer` returns
/// the `spanwise_core::Context` around the new span.
pub(crate) fn inherited_span_context(
    outer: impl FnOnce() -> spanwise_core::Context,
) -> Option<SpanContext> {
    InheritedContext::applicable_to(outer)?;
    inherited_span()
}

/// Returns the span in which the parent process started this process.
pub(crate) fn inherited_span() -> Option<SpanContext> {
    Some(inherited_context()?.span().span_context().clone())
}

/// Returns `current`, the OpenTelemetry context in which `span` is opened. If the span's parent is
/// in the parent process, and `current` has no baggage, adds the baggage of the parent process.
pub(crate) fn with_inherited_baggage(span: &OpenSpan, current: Context) -> Context {
    let Some(inherited) = inherited_context().filter(|_| current.baggage().is_empty()) else {
        return current;
    };
    let parent_process_span = inherited.span().span_context().span_id().to_bytes();
    let is_inherited =
        |parent: ParentSpan| parent.is_remote && parent.span_id == parent_process_span;
    if inherited.baggage().is_empty() || !span.parent().is_some_and(is_inherited) {
        return current;
    }
    let entries = inherited.baggage().iter();
    current.with_baggage(entries.map(|(key, (value, metadata))| {
        KeyValueMetadata::new(key.clone(), value.clone(), metadata.clone())
    }))
}

/// Returns the OpenTelemetry context that this process inherits from its parent process.
fn inherited_context() -> Option<&'static Context> {
    static INHERITED: OnceLock<Context> = OnceLock::new();

    let inherited = InheritedContext::for_process()?;
    Some(INHERITED.get_or_init(|| {
        let mut headers = HashMap::from([("traceparent".to_owned(), inherited.parent.to_string())]);
        let optional_headers = [
            ("tracestate", &inherited.state),
            ("baggage", &inherited.baggage),
        ];
        for (name, value) in optional_headers {
            let value = value.as_deref().map(str::to_owned);
            headers.extend(value.map(|value| (name.to_owned(), value)));
        }
        W3cPropagator::default().extract_with_context(&Context::new(), &headers)
    }))
}

/// Returns the current OpenTelemetry context of the thread, in the form that a child process
/// inherits. `None` if the thread is ending.
pub(crate) fn context_for_child() -> Option<CarriedContext> {
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
