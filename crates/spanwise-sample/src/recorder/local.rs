//! The units that this thread is in, found without asking the registry.

use std::{cell::RefCell, sync::Arc};

use spanwise_core::LayerId;
use tracing_core::span::Id;

use super::unit::Unit;

thread_local! {
    static LOCALS: RefCell<Vec<Local>> = const { RefCell::new(Vec::new()) };
}

/// What a sink keeps on a thread.
struct Local {
    sink: LayerId,
    entered: Vec<Entered>,
}

/// A span this thread is in.
struct Entered {
    id: Id,
    /// It was entered before, and not left since.
    again: bool,
    /// Looked up when the first event needs it.
    unit: Option<Option<Arc<Unit>>>,
}

pub(crate) fn enter(sink: LayerId, id: &Id) {
    with(sink, |entered| {
        let again = entered.iter().any(|entered| entered.id == *id);
        entered.push(Entered {
            id: id.clone(),
            again,
            unit: None,
        });
    });
}

/// Guards may be dropped in any order.
pub(crate) fn exit(sink: LayerId, id: &Id) {
    with(sink, |entered| {
        if let Some(index) = entered.iter().rposition(|entered| entered.id == *id) {
            entered.remove(index);
        }
    });
}

/// The unit of the current span: that of the last one entered that was not entered already, as `Registry` has it. `look_up` finds
/// it the first time it is asked for; it must not call code that may log.
#[inline]
pub(crate) fn current(
    sink: LayerId,
    look_up: impl FnOnce(&Id) -> Option<Arc<Unit>>,
) -> Option<Arc<Unit>> {
    with(sink, |entered| {
        let mut entered = entered.iter_mut().rev();
        let current = entered.find(|entered| !entered.again)?;
        current
            .unit
            .get_or_insert_with(|| look_up(&current.id))
            .clone()
    })
    .flatten()
}

/// Nothing if the thread is ending.
#[inline]
fn with<R>(sink: LayerId, f: impl FnOnce(&mut Vec<Entered>) -> R) -> Option<R> {
    LOCALS
        .try_with(|locals| {
            // Nothing that `f` calls comes here again, so this is never borrowed already.
            let mut locals = locals.borrow_mut();
            let local = match locals.first_mut() {
                Some(first) if first.sink == sink => first,
                _ => find(&mut locals, sink),
            };
            f(&mut local.entered)
        })
        .ok()
}

/// A program may have more than one sink.
#[inline(never)]
fn find(locals: &mut Vec<Local>, sink: LayerId) -> &mut Local {
    let index = locals
        .iter()
        .position(|local| local.sink == sink)
        .unwrap_or_else(|| {
            // Sinks come and go in tests; what they left behind on this thread is dropped when it becomes much.
            if locals.len() >= 32 {
                locals.retain(|local| !local.entered.is_empty());
            }
            locals.push(Local {
                sink,
                entered: Vec::new(),
            });
            locals.len() - 1
        });
    &mut locals[index]
}
