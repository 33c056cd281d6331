//! What becomes of the next line that a sink writes on this thread.
//!
//! The layer says it before it hands the event on, the writer takes it when the line comes out. In between values are formatted, and what
//! those log is not meant: each call of an inner layer sets it anew, and puts it back.

use std::{cell::Cell, sync::Arc};

use spanwise_core::LayerId;

use super::unit::{Batch, Unit, What};

#[derive(Debug)]
pub(crate) enum Line {
    /// It is kept in a unit.
    Kept(Arc<Unit>, What),
    /// It is shown, unless a sampler further in leaves it out: then it is kept.
    Chosen(Arc<Unit>, What),
    /// It is a header: what was kept follows it.
    Header(Box<Batch>),
}

thread_local! {
    static NEXT: Cell<Option<(LayerId, Line)>> = const { Cell::new(None) };
    /// Whether there is one: cheaper to ask, and mostly there is none.
    static IS_SET: Cell<bool> = const { Cell::new(false) };
}

/// Calls `hand_on`, during which the next line of the sink `id` is this one. If none is written, what it was to be is dropped.
#[inline]
pub(crate) fn with(id: LayerId, line: Line, hand_on: impl FnOnce()) {
    if IS_SET.get() {
        return inside_another(id, line, hand_on);
    }
    // On a thread that is ending nothing can be said of a line, and it would be shown as it is.
    if NEXT.try_with(|next| next.set(Some((id, line)))).is_ok() {
        IS_SET.set(true);
        let unused = Unused;
        hand_on();
        drop(unused);
    }
}

/// While a line of a layer further out is being made.
#[cold]
fn inside_another(id: LayerId, line: Line, hand_on: impl FnOnce()) {
    let outer = Outer(take_any());
    with(id, line, hand_on);
    drop(outer);
}

/// Calls `hand_on`, during which lines are nothing but lines.
#[inline]
pub(crate) fn plainly(hand_on: impl FnOnce()) {
    if !IS_SET.get() {
        // Whoever sets it in between takes it back.
        return hand_on();
    }
    let outer = Outer(take_any());
    hand_on();
    drop(outer);
}

/// Has the next line kept that a sampler leaves out. False if there is no unit to keep it.
pub(crate) fn keep_instead() -> bool {
    if !IS_SET.get() {
        return false;
    }
    let (line, is_kept) = match take_any() {
        Some((id, Line::Chosen(unit, what))) => (Some((id, Line::Kept(unit, what))), true),
        other => (other, false),
    };
    put_back(line);
    is_kept
}

/// What the line of the sink `id` is that is written now; nothing if it is but a line.
#[inline]
pub(crate) fn take(id: LayerId) -> Option<Line> {
    if !IS_SET.get() {
        return None;
    }
    let (of, line) = take_any()?;
    if of == id {
        return Some(line);
    }
    put_back(Some((of, line)));
    None
}

#[inline]
fn take_any() -> Option<(LayerId, Line)> {
    IS_SET.set(false);
    NEXT.try_with(Cell::take).ok().flatten()
}

#[cold]
fn put_back(outer: Option<(LayerId, Line)>) {
    IS_SET.set(outer.is_some());
    let _ = NEXT.try_with(|next| next.set(outer));
}

/// What is said of a line that is being made further out.
struct Outer(Option<(LayerId, Line)>);

impl Drop for Outer {
    fn drop(&mut self) {
        put_back(self.0.take());
    }
}

/// Takes back what was said of a line that was not written.
struct Unused;

impl Drop for Unused {
    #[inline]
    fn drop(&mut self) {
        if IS_SET.get() {
            drop(take_any());
        }
    }
}
