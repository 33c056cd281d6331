//! The spans that a thread has entered, each with the guard of its OpenTelemetry context. The exit
//! of a span drops the guard, which detaches the context.

use std::{cell::RefCell, mem::ManuallyDrop, sync::Arc};

use opentelemetry::{
    Context, ContextGuard,
    trace::{SpanContext, TraceContextExt as _},
};
use spanwise_core::internal::{LayerId, panic_safe::catch_panic};
use tracing_core::span::Id;

use crate::open_span::OpenSpan;

/// A span that the thread has entered.
struct EnteredSpan {
    layer: LayerId,
    id: Id,
    span: Arc<OpenSpan>,
    /// The time of the enter on the monotonic clock, in nanoseconds, if it is measured.
    entered_at: Option<u64>,
    /// Not dropped at the end of the thread, because OpenTelemetry's context stack may already be
    /// destroyed.
    guard: Option<ManuallyDrop<ContextGuard>>,
}

thread_local! {
    static ENTERED: RefCell<Vec<EnteredSpan>> = {
        // Thread-locals are destroyed in reverse order of their creation. Create OpenTelemetry's
        // context stack first, so that it is usable as long as `ENTERED` exists.
        catch_panic(|| Context::map_current(|_| ()));
        RefCell::default()
    };
}

/// Records that the thread enters a span. `entered_at` is the time on the monotonic clock, if it is
/// measured. `context`, if there is one, becomes the current OpenTelemetry context.
#[inline] // One caller, on the path of each enter.
pub(crate) fn enter(
    layer: LayerId,
    id: &Id,
    span: Arc<OpenSpan>,
    entered_at: Option<u64>,
    context: Option<Context>,
) {
    // If the thread-locals of an ending thread are destroyed, the context is not attached, either.
    let _ = ENTERED.try_with(|spans| {
        // `attach` panics if the caller is inside `Context::map_current`.
        let guard = context.and_then(|context| catch_panic(|| context.attach()));
        // `borrow_mut` does not panic: no other code runs while the thread-local is borrowed.
        spans.borrow_mut().push(EnteredSpan {
            layer,
            id: id.clone(),
            span,
            entered_at,
            guard: guard.map(ManuallyDrop::new),
        });
    });
}

/// Records that the thread exits a span, and detaches the span's OpenTelemetry context. Returns the
/// span, and the time of the enter if it was measured. `None` if the thread has not entered the
/// span.
#[inline] // One caller, on the path of each exit.
pub(crate) fn exit(layer: LayerId, id: &Id) -> Option<(Arc<OpenSpan>, Option<u64>)> {
    let exited = ENTERED.try_with(|spans| {
        let mut spans = spans.borrow_mut();
        let is_same_span = |entered: &EnteredSpan| entered.layer == layer && entered.id == *id;
        if spans.last().is_some_and(is_same_span) {
            return spans.pop();
        }
        let index = spans.iter().rposition(is_same_span)?;
        Some(spans.remove(index))
    });
    let EnteredSpan {
        span,
        entered_at,
        guard,
        ..
    } = exited.ok().flatten()?;
    if let Some(guard) = guard {
        // The guard may drop values that callers put into the context, and their code may panic.
        catch_panic(|| drop(ManuallyDrop::into_inner(guard)));
    }
    Some((span, entered_at))
}

/// Returns the context of the active span, which is the span of the current OpenTelemetry context.
/// `None` if it is not valid.
pub(crate) fn active_span_context() -> Option<SpanContext> {
    with_current(|context| {
        let span = context.span();
        let span_context = span.span_context();
        span_context.is_valid().then(|| span_context.clone())
    })
    .flatten()
}

/// Calls `read` with the current OpenTelemetry context. Returns `None` if the thread is ending, or
/// if `read` panics.
pub(crate) fn with_current<R>(read: impl FnOnce(&Context) -> R) -> Option<R> {
    match has_thread_locals() {
        true => catch_panic(|| Context::map_current(read)),
        false => None,
    }
}

/// Returns whether the thread still has its thread-locals.
fn has_thread_locals() -> bool {
    ENTERED.try_with(|_| ()).is_ok()
}
