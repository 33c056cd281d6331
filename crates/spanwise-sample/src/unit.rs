//! The trace or the request that a thread is at.
//!
//! It is looked up once. The thread remembers it until it enters or leaves a span, or until any
//! thread records into a span or closes one: a guard may be forgotten, so that a thread is in a span
//! that another thread closes.

use std::cell::Cell;

use crate::seat::Seat;

#[derive(Clone, Copy)]
struct Last {
    seat: u64,
    changes: u64,
    number: Option<u64>,
}

/// No seat has this id.
const NONE: Last = Last {
    seat: 0,
    changes: 0,
    number: None,
};

thread_local! {
    static LAST: Cell<Last> = const { Cell::new(NONE) };
}

/// The number of what the current span is part of, as the layer at `seat` sees it.
#[inline]
pub(crate) fn number(seat: &Seat, look_up: impl FnOnce() -> Option<u64>) -> Option<u64> {
    let (id, changes) = (seat.id(), seat.changes());
    let last = LAST.get();
    if last.seat == id && last.changes == changes {
        return last.number;
    }
    seat.remembered();
    remember(id, changes, look_up())
}

#[cold]
fn remember(seat: u64, changes: u64, number: Option<u64>) -> Option<u64> {
    LAST.set(Last {
        seat,
        changes,
        number,
    });
    number
}

/// The thread enters or leaves a span that the layer at `seat` sees.
#[inline]
pub(crate) fn moved(seat: &Seat) {
    if LAST.get().seat == seat.id() {
        LAST.set(NONE);
    }
}
