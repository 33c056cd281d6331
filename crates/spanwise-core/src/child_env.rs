//! Passes the trace and the baggage of the current span to a child process, in its environment.

use std::{
    process::Command,
    sync::{Arc, OnceLock},
};

use crate::{
    TraceParent,
    internal::{SpanIdentity, inherited_context::InheritedContext, propagators},
};

/// Passes the trace and the baggage of the current span to a child process.
///
/// Sets the [environment variables] `TRACEPARENT`, `TRACESTATE` and `BAGGAGE` of `command`. The
/// environment of this process does not change.
///
/// A `spanwise` program inherits the trace and the baggage in these variables if `LOG_PARENT=env`
/// is set. So this process may have inherited a trace itself. If the current span has no trace, the
/// child receives the inherited trace.
///
/// The baggage comes from the current context of the OpenTelemetry API. If that context has no
/// baggage, and the trace of the child is the inherited one, the child receives the inherited
/// baggage.
///
/// A variable for which the child has no value is removed. The variable of this process may belong
/// to another trace, so the child must not inherit it. A request has its own trace even if its span
/// is disabled. In such a request, the child does not receive the inherited trace.
///
/// If the current span has no trace and this process has inherited none, `TRACEPARENT` and
/// `TRACESTATE` stay unchanged. `BAGGAGE` then stays unchanged unless the OpenTelemetry context has
/// baggage. Variables that `OTEL_PROPAGATORS` switches off always stay unchanged.
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
///     let mut vars = command.get_envs();
///     let (_, value) = vars.find(|(name, _)| *name == "TRACEPARENT").ok_or("no parent")?;
///     let value = value.and_then(|value| value.to_str()).ok_or("no text")?;
///     assert!(value.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{value}");
///     Ok::<_, &str>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [environment variables]: https://opentelemetry.io/docs/specs/otel/context/env-carriers/
pub fn child_env(command: &mut Command) {
    let otel_context = READ_OTEL_CONTEXT.get().and_then(|read| read());
    let CarriedContext { span, baggage } = otel_context.unwrap_or_default();
    let current = span.or_else(tracing_context);
    let inherited = match &current {
        Some((current, _)) => InheritedContext::for_trace(current.trace_id()),
        None => InheritedContext::if_in_no_trace(),
    };
    let parent = current.or_else(|| Some((inherited?.parent, inherited?.state.clone())));
    let baggage = baggage.or_else(|| inherited?.baggage.clone());
    // If this process has inherited variables, they may belong to another trace than the child's.
    let replaces_variables = parent.is_some() || InheritedContext::for_process().is_some();
    let (parent, state) = parent.unzip();
    if propagators::TRACE_CONTEXT.is_on() && replaces_variables {
        set_or_remove(
            command,
            TRACEPARENT,
            parent.map(|parent| parent.to_string()),
        );
        set_or_remove(command, TRACESTATE, state.flatten());
    }
    if propagators::BAGGAGE.is_on() && (replaces_variables || baggage.is_some()) {
        set_or_remove(command, BAGGAGE, baggage);
    }
}

fn set_or_remove(command: &mut Command, name: &str, value: Option<impl AsRef<str>>) {
    match value {
        Some(value) => command.env(name, value.as_ref()),
        None => command.env_remove(name),
    };
}

/// The environment variable with the parent span of a process: a [`TraceParent`] as text.
pub const TRACEPARENT: &str = "TRACEPARENT";
/// The environment variable with the `tracestate` of that parent span.
pub const TRACESTATE: &str = "TRACESTATE";
/// The environment variable with the `baggage` of a process.
pub const BAGGAGE: &str = "BAGGAGE";

/// The current context of the OpenTelemetry API, as values of the W3C headers.
#[derive(Debug, Clone, Default)]
pub struct CarriedContext {
    /// The current span, with its `tracestate`.
    pub span: Option<(TraceParent, Option<Arc<str>>)>,
    /// The `baggage`.
    pub baggage: Option<Arc<str>>,
}

/// A function that reads the current context of the OpenTelemetry API.
type ReadContext = fn() -> Option<CarriedContext>;

static READ_OTEL_CONTEXT: OnceLock<ReadContext> = OnceLock::new();

/// Sets the function that [`child_env`] calls to read the current context of the OpenTelemetry API.
/// The current span of that API is inside the current span of `tracing`, so it takes precedence.
/// Later calls have no effect.
pub fn carry_otel_context(read: ReadContext) {
    let _ = READ_OTEL_CONTEXT.set(read);
}

/// Returns the current span of `tracing` as a parent, with its `tracestate`.
fn tracing_context() -> Option<(TraceParent, Option<Arc<str>>)> {
    if let Some(identity) = SpanIdentity::current() {
        return Some((
            TraceParent::from_identity(&identity)?,
            identity.state().cloned(),
        ));
    }
    let current = TraceParent::current()?;
    let inherited = InheritedContext::for_trace(current.trace_id());
    Some((current, inherited.and_then(|it| it.state.clone())))
}
