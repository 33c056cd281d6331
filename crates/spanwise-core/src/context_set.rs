//! The function `context::set`, which adds context values while a unit of work runs.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use tracing::{Dispatch, Subscriber, subscriber::NoSubscriber};
use tracing_core::{
    LevelFilter,
    field::Value,
    span::{Id, Record},
};
use tracing_subscriber::{Registry, registry::LookupSpan};

use crate::{
    ContextLayer, Fault, Redact, SelfReport,
    context_callsites::{begins_unit, key_callsite, record_with},
    internal::panic_safe,
};

/// Sets a context key of the unit of work that the current span belongs to.
///
/// A unit of work, such as a request, is a root span with all spans inside it. A span with the
/// field `spanwise.unit` begins its own unit. The call may be in any span of the unit and in any
/// task, and no span needs to declare the key. All later lines of the unit have the value, in every
/// output. A later call replaces the value.
///
/// The redaction policy scans the value like any field. The text is cut at 1,024 bytes. Fields of
/// your spans and events do not replace the value.
///
/// If the key cannot be set, a line on stderr reports the reason. Each reason is reported once: no
/// span is open, the key is not declared, or no [`ContextLayer`] is installed. Nothing is reported
/// without a subscriber, or if no span is open because all levels are off.
///
/// `Span::record` cannot do this: if the span does not declare the field, `tracing` drops the value
/// before any layer receives it.
///
/// ```
/// use spanwise_core::{Context, ContextLayer, context};
/// use tracing_subscriber::prelude::*;
///
/// let _default = tracing_subscriber::registry().with(ContextLayer::default()).set_default();
/// let _request = tracing::info_span!("request", request_id = "r-1").entered();
/// tracing::info_span!("authenticate").in_scope(|| context::set("user_id", 42));
/// assert_eq!(Context::current().get("user_id"), Some("42"));
/// ```
pub fn set(key: &str, value: impl fmt::Display) {
    // Format before the dispatcher is borrowed, because the value may log.
    let text = panic_safe::format_text(format_args!("{value}"), <dyn Redact>::MAX_COLLECT_LEN);
    let result = tracing::dispatcher::get_default(|dispatch| set_in(dispatch, key, &text));
    if let Err(error) = result {
        error.report(key);
    }
}

fn set_in(dispatch: &Dispatch, key: &str, text: &str) -> Result<(), SetError> {
    if dispatch.is::<NoSubscriber>() {
        return Ok(());
    }
    let layer = dispatch.downcast_ref::<ContextLayer>();
    let registry = dispatch.downcast_ref::<Registry>();
    let (Some(layer), Some(registry)) = (layer, registry) else {
        return Err(SetError::NoLayer);
    };
    if !layer.declares(key) {
        return Err(SetError::UnknownKey);
    }
    let Some(unit) = current_unit(registry) else {
        // If all levels are off, there are no spans and no lines, so nothing is wrong.
        return match LevelFilter::current() {
            LevelFilter::OFF => Ok(()),
            _ => Err(SetError::NoSpan),
        };
    };
    let callsite = key_callsite(key);
    let fields = callsite.fields();
    let values: [Option<&dyn Value>; 1] = [Some(&text)];
    let values = fields.value_set_all(&values);
    record_with(callsite, || dispatch.record(&unit, &Record::new(&values)));
    Ok(())
}

/// Returns the span that begins the unit of work of the thread's current span.
fn current_unit(registry: &Registry) -> Option<Id> {
    let current = registry.current_span();
    let mut span = registry.span(current.id()?)?;
    while !begins_unit(span.metadata())
        && let Some(parent) = span.parent()
    {
        span = parent;
    }
    Some(span.id())
}

/// The reason why a key cannot be set.
#[derive(Debug, Clone, Copy)]
enum SetError {
    NoSpan,
    UnknownKey,
    NoLayer,
}

impl SetError {
    /// Reports each reason only once, because every request would repeat the same mistake in the
    /// code.
    #[cold]
    fn report(self, key: &str) {
        static REPORTED: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];
        if REPORTED[self as usize].swap(true, Ordering::Relaxed) {
            return;
        }
        let key = panic_safe::truncate_at(key, MAX_KEY_LEN);
        let (why, remedy) = match self {
            Self::NoSpan => (
                "no span is open here",
                "call it inside the span of the request or job, and give tasks their span with \
                 `spanwise::task::spawn` or `.in_current_span()`; LOG_SPANS or `off` in RUST_LOG \
                 may switch the span off",
            ),
            Self::UnknownKey => (
                "the key is not declared",
                "declare it with LOG_CONTEXT, `Builder::context_key` or `ContextLayer::key`",
            ),
            Self::NoLayer => (
                "no `ContextLayer` is in place",
                "start logging with spanwise, or add the layer to the stack",
            ),
        };
        // Not throttled, because another reason may have been reported shortly before.
        SelfReport::default().fault_unthrottled(
            Fault::Setup,
            &format_args!("context::set did not set {key}: {why}; {remedy}"),
        );
    }
}

/// In the report, a key is cut at this many bytes.
const MAX_KEY_LEN: usize = 100;
