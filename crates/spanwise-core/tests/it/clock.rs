//! The clock of the system.

use std::time::Duration;

use spanwise_core::Clock;

#[test]
fn coarse_clock_advances_and_is_never_ahead() {
    let clock = Clock::system();
    let (start, coarse) = (clock.monotonic(), clock.monotonic_coarse());
    let mut last = coarse;
    while last == coarse {
        let next = clock.monotonic_coarse();
        let now = clock.monotonic();
        assert!(last <= next && next <= now);
        assert!(now < start + Duration::from_secs(60), "it stands still");
        last = next;
    }
}
