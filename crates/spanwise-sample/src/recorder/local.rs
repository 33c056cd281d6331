//! The units that this thread is in, found without asking the registry.

use std::{cell::RefCell, sync::Arc};

use spanwise_core::LayerId;
use tracing_core::span::Id;

use super::{line, unit::Unit};

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
            let left = entered.remove(index);
            line::left(sink, index, left.unit.flatten());
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
    with_current(sink, look_up, |_, unit| Some(Arc::clone(unit)))
}

/// Where the current span is among those that the thread entered, if its unit keeps lines: for [`with_unit`].
#[inline]
pub(crate) fn quiet_place(
    sink: LayerId,
    look_up: impl FnOnce(&Id) -> Option<Arc<Unit>>,
) -> Option<u32> {
    with_current(sink, look_up, |place, unit| {
        (!unit.is_through()).then_some(place)
    })
}

#[inline]
fn with_current<R>(
    sink: LayerId,
    look_up: impl FnOnce(&Id) -> Option<Arc<Unit>>,
    f: impl FnOnce(u32, &Arc<Unit>) -> Option<R>,
) -> Option<R> {
    with(sink, |entered| {
        let current = match entered.last()? {
            last if !last.again => entered.len() - 1,
            _ => entered.iter().rposition(|entered| !entered.again)?,
        };
        let place = current as u32;
        let current = &mut entered[current];
        let unit = match &current.unit {
            Some(unit) => unit,
            None => current.unit.insert(look_up(&current.id)),
        };
        f(place, unit.as_ref()?)
    })
    .flatten()
}

/// What `f` says of the unit of the entered span at `place`, which [`quiet_place`] gave. `f` must not call code that may log.
#[inline]
pub(crate) fn with_unit<R>(
    sink: LayerId,
    place: u32,
    f: impl FnOnce(&Arc<Unit>) -> R,
) -> Option<R> {
    with(sink, |entered| {
        let entered = entered.get(place as usize)?;
        entered.unit.as_ref()?.as_ref().map(f)
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
