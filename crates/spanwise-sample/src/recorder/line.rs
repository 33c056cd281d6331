//! What becomes of the next line that a sink writes on this thread.
//!
//! The layer says it before it hands the event on, the writer takes it when the line comes out. In between values are formatted, and what
//! those log is not meant: each call of an inner layer sets it anew, and puts it back.

use std::{cell::Cell, mem::ManuallyDrop, sync::Arc};

use spanwise_core::LayerId;

use super::{
    local,
    unit::{Dump, RecordTag, Unit},
};

#[derive(Debug)]
pub(crate) enum Line {
    /// It is kept in a unit.
    Kept(Arc<Unit>, RecordTag),
    /// It is shown, unless a sampler further in leaves it out: then it is kept.
    Chosen(Arc<Unit>, RecordTag),
    /// It is a header: what was kept follows it.
    Header(Box<Dump>),
}

/// What is said of it.
#[derive(Clone, Copy)]
enum Said {
    Nothing,
    /// What is in [`NEXT`].
    Apart,
    /// It is kept in the unit of a span that the thread is in: of this one of those that the sink [knows](local). So the unit is found without being
    /// counted as in use, which costs as much as all the rest.
    Entered(LayerId, u32, RecordTag),
}

thread_local! {
    static SAID: Cell<Said> = const { Cell::new(Said::Nothing) };
    /// In `ManuallyDrop`, so that it has no destructor and is there to the end of the thread:
    /// thread-locals of others log from theirs. What is put here is always taken back.
    static NEXT: Cell<Option<ManuallyDrop<(LayerId, Line)>>> = const { Cell::new(None) };
}

/// `SAID.set` is not inlined.
#[inline(always)]
fn say(what: Said) {
    SAID.with(|said| said.set(what));
}

/// Calls `forward`, during which the next line of the sink `id` is this one. If none is written, what it was to be is dropped.
pub(crate) fn with(id: LayerId, line: Line, forward: impl FnOnce()) {
    let outer = Outer(take_any());
    put(id, line);
    let unused = Unused;
    forward();
    drop(unused);
    drop(outer);
}

/// Calls `forward`, during which the next line of the sink `id` is kept in the unit of the entered span at `entered`.
#[inline(always)]
pub(crate) fn with_entered(id: LayerId, entered: u32, what: RecordTag, forward: impl FnOnce()) {
    if !matches!(SAID.get(), Said::Nothing) {
        return inside_another(id, entered, what, forward);
    }
    say(Said::Entered(id, entered, what));
    let unused = Unused;
    forward();
    drop(unused);
}

/// While a line of a layer further out is being made.
#[cold]
fn inside_another(id: LayerId, entered: u32, what: RecordTag, forward: impl FnOnce()) {
    let outer = Outer(take_any());
    with_entered(id, entered, what, forward);
    drop(outer);
}

/// Calls `forward`, during which lines are nothing but lines.
#[inline]
pub(crate) fn plainly(forward: impl FnOnce()) {
    if matches!(SAID.get(), Said::Nothing) {
        // Whoever sets it in between takes it back.
        return forward();
    }
    let outer = Outer(take_any());
    forward();
    drop(outer);
}

/// Whether the line of the sink `id` that is written now is one for [`keep_entered`].
#[inline]
pub(crate) fn is_entered(id: LayerId) -> bool {
    matches!(SAID.get(), Said::Entered(of, ..) if of == id)
}

/// Keeps the line of the sink `id` in the unit of an entered span, if that is what it was to be and takes nothing but copying it. Else all is as it was.
#[inline]
pub(crate) fn keep_entered(id: LayerId, line: &[u8]) -> bool {
    match SAID.get() {
        Said::Entered(of, entered, what) if of == id => {
            let kept = local::with_unit(id, entered, |unit| unit.try_buffer_fast(what, line));
            if kept == Some(true) {
                say(Said::Nothing);
                return true;
            }
            false
        }
        Said::Entered(..) | Said::Apart | Said::Nothing => false,
    }
}

/// Has the next line kept that a sampler leaves out. False if there is no unit to keep it.
pub(crate) fn keep_instead() -> bool {
    if !matches!(SAID.get(), Said::Apart) {
        return false;
    }
    match take_any() {
        Some((id, Line::Chosen(unit, what))) => {
            put(id, Line::Kept(unit, what));
            true
        }
        Some((id, other)) => {
            put(id, other);
            false
        }
        None => false,
    }
}

/// What the line of the sink `id` is that is written now; nothing if it is but a line.
#[inline]
pub(crate) fn take(id: LayerId) -> Option<Line> {
    if matches!(SAID.get(), Said::Nothing) {
        return None;
    }
    take_of(id)
}

#[inline(never)]
fn take_of(id: LayerId) -> Option<Line> {
    let (of, line) = take_any()?;
    if of == id {
        return Some(line);
    }
    put(of, line);
    None
}

/// The thread leaves the span at `entered` of those that the sink `id` knows, whose unit this is: a value may do so while its line is made.
#[inline]
pub(crate) fn left(id: LayerId, entered: u32, unit: Option<Arc<Unit>>) {
    if let Said::Entered(of, meant, what) = SAID.get()
        && of == id
    {
        match (meant.checked_sub(entered), unit) {
            (Some(0), Some(unit)) => {
                put(id, Line::Kept(unit, what));
            }
            (Some(0), None) | (None, _) => {}
            (Some(_), _) => say(Said::Entered(id, meant - 1, what)),
        }
    }
}

fn take_any() -> Option<(LayerId, Line)> {
    match SAID.with(|said| said.replace(Said::Nothing)) {
        Said::Nothing => None,
        Said::Apart => NEXT.take().map(ManuallyDrop::into_inner),
        Said::Entered(id, entered, what) => {
            let unit = local::with_unit(id, entered, Arc::clone)?;
            Some((id, Line::Kept(unit, what)))
        }
    }
}

fn put(id: LayerId, line: Line) {
    NEXT.set(Some(ManuallyDrop::new((id, line))));
    say(Said::Apart);
}

/// What is said of a line that is being made further out.
struct Outer(Option<(LayerId, Line)>);

impl Drop for Outer {
    fn drop(&mut self) {
        if let Some((id, line)) = self.0.take() {
            put(id, line);
        }
    }
}

/// Takes back what was said of a line that was not written.
struct Unused;

impl Drop for Unused {
    #[inline]
    fn drop(&mut self) {
        match SAID.get() {
            Said::Nothing => {}
            Said::Entered(..) => say(Said::Nothing),
            Said::Apart => drop(take_any()),
        }
    }
}
