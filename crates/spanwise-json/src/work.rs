//! Counts steps in unit tests, so that they assert how much is done and not how long it takes.

/// Counts `steps` in a unit test. Costs nothing elsewhere.
#[inline(always)]
pub(crate) fn step(steps: u64) {
    #[cfg(test)]
    STEPS.set(STEPS.get() + steps);
    #[cfg(not(test))]
    let _ = steps;
}

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// The steps of this thread during `f`.
#[cfg(test)]
pub(crate) fn count(f: impl FnOnce()) -> u64 {
    let before = STEPS.get();
    f();
    STEPS.get() - before
}
