//! The context of the current span, for a child process.

use std::{
    process::Command,
    sync::{Arc, OnceLock},
};

use crate::{
    TraceParent,
    internal::{SpanIdentity, inherited_context::InheritedContext, propagators},
};

/// Passes the trace of the current span to a child process, in the [environment variables]
/// `TRACEPARENT`, `TRACESTATE` and `BAGGAGE` of `command`. The environment of this process is not
/// changed.
///
/// Outside of a trace, the child receives the trace that this process inherits. The baggage comes
/// from the current context of the OpenTelemetry API. Otherwise it is the inherited baggage. A
/// `spanwise` program reads the variables if `LOG_PARENT=env` is set.
///
/// ```
/// use std::process::Command;
///
/// use spanwise_core::{ContextLayer, TraceParent, child_env};
/// use tracing_subscriber::prelude::*;
///
/// let _default = tracing_subscriber::registry().with(ContextLayer::default()).set_default();
///
/// let parent: TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?;
/// let job = parent.unit(|| tracing::info_span!(parent: None, "job"));
/// job.in_scope(|| {
///     let mut command = Command::new("resize-images");
///     child_env(&mut command);
///     let (name, value) = command.get_envs().next().unwrap();
///     assert_eq!(name, "TRACEPARENT");
///     let value = value.unwrap().to_str().unwrap();
///     assert!(value.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{value}");
/// });
/// # Ok::<(), spanwise_core::ParseError>(())
/// ```
///
/// [environment variables]: https://opentelemetry.io/docs/specs/otel/context/env-carriers/
pub fn child_env(command: &mut Command) {
    let of_api = OF_API.get().and_then(|read| read());
    let CarriedContext { span, baggage } = of_api.unwrap_or_default();
    if propagators::TRACE_CONTEXT.is_on()
        && let Some((parent, state)) = span.or_else(of_tracing)
    {
        command.env(TRACEPARENT, parent.to_string());
        // The variable of this process may belong to another trace.
        match state {
            Some(state) => command.env(TRACESTATE, &*state),
            None => command.env_remove(TRACESTATE),
        };
    }
    let inherited = || InheritedContext::of_process()?.baggage.clone();
    if propagators::BAGGAGE.is_on()
        && let Some(baggage) = baggage.or_else(inherited)
    {
        command.env(BAGGAGE, &*baggage);
    }
}

/// The environment variables with the parent and the baggage of a process.
pub const TRACEPARENT: &str = "TRACEPARENT";
/// See [`TRACEPARENT`].
pub const TRACESTATE: &str = "TRACESTATE";
/// See [`TRACEPARENT`].
pub const BAGGAGE: &str = "BAGGAGE";

/// The context of a thread, in the texts of the W3C headers.
#[derive(Debug, Clone, Default)]
pub struct CarriedContext {
    /// The current span, with its `tracestate`.
    pub span: Option<(TraceParent, Option<Arc<str>>)>,
    /// The `baggage`.
    pub baggage: Option<Arc<str>>,
}

/// Reads the current context of an API with separate spans.
type ReadContext = fn() -> Option<CarriedContext>;

static OF_API: OnceLock<ReadContext> = OnceLock::new();

/// Sets how [`child_env`] reads the current context of the OpenTelemetry API. The spans of this API
/// are inside the spans of `tracing`. Later calls change nothing.
pub fn carry_context_of_api(read: ReadContext) {
    let _ = OF_API.set(read);
}

/// Returns the position of the current span of `tracing`, or else the inherited one.
fn of_tracing() -> Option<(TraceParent, Option<Arc<str>>)> {
    if let Some(identity) = SpanIdentity::current() {
        return Some((
            TraceParent::from_identity(&identity)?,
            identity.state().cloned(),
        ));
    }
    let inherited = InheritedContext::of_process();
    let current = TraceParent::current().or(inherited.map(|inherited| inherited.parent))?;
    let of_trace = InheritedContext::of_trace(current.trace_id());
    Some((current, of_trace.and_then(|it| it.state.clone())))
}
