use std::cell::Cell;

thread_local! {
    static WORK: Cell<u64> = const { Cell::new(0) };
}

pub(super) fn count(count: usize) {
    WORK.set(WORK.get() + count as u64);
}
