//! The spans that a thread has entered, each with the guard of its OpenTelemetry context.

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
    /// Not dropped when the thread ends: OpenTelemetry's context stack may be gone by then.
    guard: Option<ManuallyDrop<ContextGuard>>,
}

thread_local! {
    static ENTERED: RefCell<Vec<EnteredSpan>> = {
        // Thread-locals are destroyed in reverse order of their creation. So the context stack is
        // created first: it outlives this thread-local, and is not used after that.
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
    // An ending thread has no thread-locals. Then the context is not attached either.
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

/// Records that the thread leaves a span, and detaches the span's OpenTelemetry context. Returns
/// the span, and the time of the enter, if that was measured.
#[inline] // One caller, on the path of each exit.
pub(crate) fn exit(layer: LayerId, id: &Id) -> Option<(Arc<OpenSpan>, Option<u64>)> {
    let left = ENTERED.try_with(|spans| {
        let mut spans = spans.borrow_mut();
        let is_left = |entered: &EnteredSpan| entered.layer == layer && entered.id == *id;
        if spans.last().is_some_and(is_left) {
            return spans.pop();
        }
        let index = spans.iter().rposition(is_left)?;
        Some(spans.remove(index))
    });
    let EnteredSpan {
        span,
        entered_at,
        guard,
        ..
    } = left.ok().flatten()?;
    if let Some(guard) = guard {
        // The guard may drop values that callers put into the context, and their code may panic.
        catch_panic(|| drop(ManuallyDrop::into_inner(guard)));
    }
    Some((span, entered_at))
}

/// Returns the span of the current OpenTelemetry context, if it is valid.
pub(crate) fn active_span_context() -> Option<SpanContext> {
    with_current(|context| {
        let span = context.span();
        let span_context = span.span_context();
        span_context.is_valid().then(|| span_context.clone())
    })
    .flatten()
}

/// Calls `read` with the current OpenTelemetry context, unless the thread is ending.
pub(crate) fn with_current<R>(read: impl FnOnce(&Context) -> R) -> Option<R> {
    match is_alive() {
        true => catch_panic(|| Context::map_current(read)),
        false => None,
    }
}

/// Returns whether the thread still has its thread-locals.
fn is_alive() -> bool {
    ENTERED.try_with(|_| ()).is_ok()
}
