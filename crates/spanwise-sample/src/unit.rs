//! The trace or the request that a thread is at: looked up once, and remembered until the thread enters or leaves a span.

use std::cell::Cell;

use crate::seat::Seat;

#[derive(Clone, Copy)]
struct Last {
    seat: u64,
    records: u64,
    number: Option<u64>,
}

/// No seat has this id.
const NONE: Last = Last {
    seat: 0,
    records: 0,
    number: None,
};

thread_local! {
    static LAST: Cell<Last> = const { Cell::new(NONE) };
}

/// The number of what the current span is part of, as the layer at `seat` sees it.
#[inline]
pub(crate) fn number(seat: &Seat, look_up: impl FnOnce() -> Option<u64>) -> Option<u64> {
    let (id, records) = (seat.id(), seat.records());
    let last = LAST.get();
    if last.seat == id && last.records == records {
        return last.number;
    }
    remember(id, records, look_up())
}

#[cold]
fn remember(seat: u64, records: u64, number: Option<u64>) -> Option<u64> {
    LAST.set(Last {
        seat,
        records,
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
