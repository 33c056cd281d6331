//! The context that comes from the parent process, and the one that goes to child processes.

use std::{collections::HashMap, sync::OnceLock};

use opentelemetry::{
    Context,
    propagation::TextMapPropagator as _,
    trace::{SpanContext, TraceContextExt as _},
};
use spanwise_core::internal::{CarriedContext, inherited_context::InheritedContext};

use crate::{W3cPropagator, entered_contexts, open_span::OpenSpan};

/// Returns the span of the parent process, if this process inherits it.
pub(crate) fn inherited_span_context() -> Option<SpanContext> {
    Some(inherited()?.span().span_context().clone())
}

/// Gives a span below the parent process the baggage of that process.
pub(crate) fn pass_inherited_baggage(span: &OpenSpan) {
    let Some(inherited) = inherited() else {
        return;
    };
    let of_process = inherited.span().span_context().span_id().to_bytes();
    let parent = span.parent();
    if parent.is_some_and(|parent| parent.span_id == of_process) {
        span.move_to(span.identity(), parent, inherited.clone());
    }
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
