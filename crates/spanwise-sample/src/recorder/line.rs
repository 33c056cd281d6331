//! What becomes of the next line that a sink writes on this thread.
//!
//! The layer says it before it hands the event on, the writer takes it when the line comes out. In between values are formatted, and what
//! those log is not meant: each call of an inner layer sets it anew, and puts it back.

use std::{cell::Cell, sync::Arc};

use spanwise_core::LayerId;

use super::unit::{Batch, Unit};

#[derive(Debug)]
pub(crate) enum Line {
    /// It is kept in a unit, as one of the callsite of that number.
    Kept(Arc<Unit>, u32),
    /// It is a header: what was kept follows it.
    Header(Box<Batch>),
}

thread_local! {
    static NEXT: Cell<Option<(LayerId, Line)>> = const { Cell::new(None) };
}

/// Calls `hand_on`, during which the next line of the sink `id` is this one. If none is written, what it was to be is dropped.
#[inline]
pub(crate) fn with(id: LayerId, line: Line, hand_on: impl FnOnce()) {
    // On a thread that is ending nothing can be said of a line, and it would be shown as it is.
    if let Ok(outer) = NEXT.try_with(|next| next.replace(Some((id, line)))) {
        let _restored = Restored(outer);
        hand_on();
    }
}

/// Calls `hand_on`, during which lines are nothing but lines.
#[inline]
pub(crate) fn plainly(hand_on: impl FnOnce()) {
    let outer = NEXT.try_with(Cell::take);
    let _restored = Restored(outer.ok().flatten());
    hand_on();
}

/// What the line of the sink `id` is that is written now; nothing if it is but a line.
#[inline]
pub(crate) fn take(id: LayerId) -> Option<Line> {
    let next = NEXT.try_with(Cell::take).ok().flatten();
    match next {
        Some((of, line)) if of == id => Some(line),
        Some(other) => {
            let _ = NEXT.try_with(|next| next.set(Some(other)));
            None
        }
        None => None,
    }
}

struct Restored(Option<(LayerId, Line)>);

impl Drop for Restored {
    #[inline]
    fn drop(&mut self) {
        let outer = self.0.take();
        let unused = NEXT.try_with(|next| next.replace(outer));
        drop(unused);
    }
}
