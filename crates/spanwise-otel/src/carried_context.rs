//! The OpenTelemetry context inherited from the parent process, and the one passed to child
//! processes.

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

/// Returns the span of the parent process, if it is the parent of a span that opens now. `outer`
/// returns the `spanwise_core::Context` around the new span.
pub(crate) fn inherited_span_context(
    outer: impl FnOnce() -> spanwise_core::Context,
) -> Option<SpanContext> {
    InheritedContext::applicable_to(outer)?;
    inherited_span()
}

/// Returns the span in which the parent process started this process.
pub(crate) fn inherited_span() -> Option<SpanContext> {
    Some(inherited()?.span().span_context().clone())
}

/// Returns `current`, the OpenTelemetry context in which `span` is opened. If the span's parent is
/// in the parent process, and `current` has no baggage, the baggage of the parent process is added.
pub(crate) fn with_inherited_baggage(span: &OpenSpan, current: Context) -> Context {
    let Some(inherited) = inherited().filter(|_| current.baggage().is_empty()) else {
        return current;
    };
    let parent_process_span = inherited.span().span_context().span_id().to_bytes();
    let is_inherited =
        |parent: ParentSpan| parent.is_remote && parent.span_id == parent_process_span;
    if inherited.baggage().is_empty() || !span.parent().is_some_and(is_inherited) {
        return current;
    }
    let members = inherited.baggage().iter();
    current.with_baggage(members.map(|(key, (value, metadata))| {
        KeyValueMetadata::new(key.clone(), value.clone(), metadata.clone())
    }))
}

/// Returns the OpenTelemetry context that this process inherits from its parent process.
fn inherited() -> Option<&'static Context> {
    static INHERITED: OnceLock<Context> = OnceLock::new();

    let inherited = InheritedContext::for_process()?;
    Some(INHERITED.get_or_init(|| {
        let mut headers = HashMap::from([("traceparent".to_owned(), inherited.parent.to_string())]);
        let optional = [
            ("tracestate", &inherited.state),
            ("baggage", &inherited.baggage),
        ];
        for (name, value) in optional {
            let value = value.as_deref().map(str::to_owned);
            headers.extend(value.map(|value| (name.to_owned(), value)));
        }
        W3cPropagator::default().extract_with_context(&Context::new(), &headers)
    }))
}

/// Returns the current OpenTelemetry context of the thread, for a child process. `None` if the
/// thread is ending.
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
