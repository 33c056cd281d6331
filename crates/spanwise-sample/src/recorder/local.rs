//! The units that this thread is in, found without asking the registry.

use std::{cell::RefCell, sync::Arc};

use spanwise_core::internal::{CurrentSpan, EnteredSpans, LayerId, SpanTable};
use tracing_core::span::Id;

use super::{line, unit::Unit};

thread_local! {
    static ENTERED: RefCell<EnteredSpans<Arc<Unit>>> = const { RefCell::new(EnteredSpans::new()) };
}

pub(crate) fn enter(sink: LayerId, id: &Id) {
    with(|entered| entered.enter(sink, id));
}

pub(crate) fn exit(sink: LayerId, id: &Id) {
    if let Some((index, unit)) = with(|entered| entered.exit(sink, id)).flatten() {
        line::left(sink, index, unit);
    }
}

/// The unit of the current span. `look_up` finds that of a span that the table does not have: it
/// is older than the layer, or closed.
#[inline]
pub(crate) fn current(
    sink: LayerId,
    units: &SpanTable<Arc<Unit>>,
    look_up: impl FnOnce(&Id) -> Option<Arc<Unit>>,
) -> Option<Arc<Unit>> {
    let found = with(|entered| match entered.current(sink, units) {
        CurrentSpan::Known { value, .. } => Some(Ok(Arc::clone(value))),
        CurrentSpan::Unknown(id) => Some(Err(id.clone())),
        CurrentSpan::None => None,
    });
    match found.flatten()? {
        Ok(unit) => Some(unit),
        Err(id) => look_up(&id),
    }
}

/// Where the current span is among those that the thread entered, if its unit is known and keeps
/// lines: for [`with_unit`].
#[inline]
pub(crate) fn quiet_place(sink: LayerId, units: &SpanTable<Arc<Unit>>) -> Option<u32> {
    with(|entered| match entered.current(sink, units) {
        CurrentSpan::Known { number, value, .. } => (!value.is_through()).then_some(number),
        CurrentSpan::Unknown(_) | CurrentSpan::None => None,
    })
    .flatten()
}

/// What `f` says of the unit of the entered span at `place`, which [`quiet_place`] gave. `f` must
/// not call code that may log.
#[inline]
pub(crate) fn with_unit<R>(
    sink: LayerId,
    place: u32,
    f: impl FnOnce(&Arc<Unit>) -> R,
) -> Option<R> {
    with(|entered| entered.at(sink, place).map(f)).flatten()
}

/// Nothing if the thread is ending.
#[inline]
fn with<R>(f: impl FnOnce(&mut EnteredSpans<Arc<Unit>>) -> R) -> Option<R> {
    // Nothing that `f` calls comes here again, so this is never borrowed already.
    ENTERED
        .try_with(|entered| f(&mut entered.borrow_mut()))
        .ok()
}
