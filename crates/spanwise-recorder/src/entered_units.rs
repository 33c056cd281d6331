//! The units of work of the spans that this thread has entered. Nearly every buffered event finds
//! its unit here, without a look-up in the registry.

use std::{cell::RefCell, sync::Arc};

use spanwise_core::internal::{
    BufferingUnit, CurrentSpan, EnteredLine, EnteredSpans, EnteredUnits, LayerId, SpanTable,
    UnencodedEvent,
};
use tracing_core::span::Id;

use crate::{
    record_ring::Content,
    unit::{RecordTag, Unit},
};

thread_local! {
    static ENTERED: RefCell<EnteredSpans<Arc<Unit>>> = const { RefCell::new(EnteredSpans::new()) };
}

pub(crate) fn enter(sink: LayerId, id: &Id) {
    with_entered_spans(|entered| entered.enter(sink, id));
}

pub(crate) fn exit(sink: LayerId, id: &Id) {
    if let Some((index, unit)) = with_entered_spans(|entered| entered.exit(sink, id)).flatten() {
        EnteredLine::span_exited(sink, index, || unit.map(|unit| unit as _));
    }
}

/// Returns the unit of the current span. The table `units` lacks a span that is closed, or that was
/// opened before the layer was installed. For such a span, `look_up` finds the unit.
#[inline]
pub(crate) fn current(
    sink: LayerId,
    units: &SpanTable<Arc<Unit>>,
    look_up: impl FnOnce(&Id) -> Option<Arc<Unit>>,
) -> Option<Arc<Unit>> {
    // `Err` has the id of a span that the table lacks. `look_up` is called below, outside the
    // borrow of the entered spans.
    let unit_or_id = with_entered_spans(|entered| match entered.current(sink, units) {
        CurrentSpan::Known { value, .. } => Some(Ok(Arc::clone(value))),
        CurrentSpan::Unknown(id) => Some(Err(id.clone())),
        CurrentSpan::None => None,
    });
    match unit_or_id.flatten()? {
        Ok(unit) => Some(unit),
        Err(id) => look_up(&id),
    }
}

/// Returns the index of the current span among the entered spans, for [`try_buffer`]. Returns
/// `None` if the table lacks the span, or if its unit writes lines immediately.
#[inline]
pub(crate) fn index_of_buffering_span(sink: LayerId, units: &SpanTable<Arc<Unit>>) -> Option<u32> {
    with_entered_spans(|entered| match entered.current(sink, units) {
        CurrentSpan::Known { number, value, .. } => (!value.passes_through()).then_some(number),
        CurrentSpan::Unknown(_) | CurrentSpan::None => None,
    })
    .flatten()
}

/// Calls `f` with the unit of the entered span at an index that [`index_of_buffering_span`]
/// returned. `f` must not call code that may log.
#[inline]
fn with_unit<R>(sink: LayerId, index: u32, f: impl FnOnce(&Arc<Unit>) -> R) -> Option<R> {
    with_entered_spans(|entered| entered.at(sink, index).map(f)).flatten()
}

/// The units of the entered spans, for an [`EnteredLine`].
pub(crate) struct UnitsOfThread;

impl EnteredUnits for UnitsOfThread {
    fn unit_at(&self, sink: LayerId, index: u32) -> Option<Arc<dyn BufferingUnit>> {
        with_unit(sink, index, |unit| Arc::clone(unit) as _)
    }

    fn try_buffer(&self, line: &EnteredLine, event: &UnencodedEvent<'_>) -> bool {
        try_buffer(line, Content::Event(event))
    }
}

/// Buffers a record in the unit of an entered span if the unit has room. Returns whether it did.
#[inline]
pub(crate) fn try_buffer(line: &EnteredLine, content: Content<'_>) -> bool {
    let tag = RecordTag::from_bits(line.tag);
    let buffer = |unit: &Arc<Unit>| unit.try_buffer_fast(tag, content);
    with_unit(line.sink, line.index, buffer) == Some(true)
}

/// Calls `f` with the entered spans. Returns `None` if the thread is ending and has already dropped
/// their list.
#[inline]
fn with_entered_spans<R>(f: impl FnOnce(&mut EnteredSpans<Arc<Unit>>) -> R) -> Option<R> {
    // `f` never re-enters this function, so the borrow cannot fail.
    ENTERED
        .try_with(|entered| f(&mut entered.borrow_mut()))
        .ok()
}
