//! The trace or the request that a thread is at.
//!
//! It is looked up once. The thread remembers it until it enters or leaves a span, or until any
//! thread records into a span or closes one: a guard may be forgotten, so that a thread is in a span
//! that another thread closes.

use std::cell::Cell;

use crate::suppression::SinkState;

#[derive(Clone, Copy)]
struct Last {
    sink: u64,
    changes: u64,
    number: Option<u64>,
}

/// No sink has this id.
const NONE: Last = Last {
    sink: 0,
    changes: 0,
    number: None,
};

thread_local! {
    static LAST: Cell<Last> = const { Cell::new(NONE) };
}

/// The number of what the current span is part of, as the layer at `sink` sees it.
#[inline]
pub(crate) fn randomness(sink: &SinkState, look_up: impl FnOnce() -> Option<u64>) -> Option<u64> {
    let (id, changes) = (sink.id(), sink.changes());
    let last = LAST.get();
    if last.sink == id && last.changes == changes {
        return last.number;
    }
    sink.remembered();
    remember(id, changes, look_up())
}

#[cold]
fn remember(sink: u64, changes: u64, number: Option<u64>) -> Option<u64> {
    LAST.set(Last {
        sink,
        changes,
        number,
    });
    number
}

/// The thread enters or leaves a span that the layer at `sink` sees.
#[inline]
pub(crate) fn invalidate(sink: &SinkState) {
    if LAST.get().sink == sink.id() {
        LAST.set(NONE);
    }
}
