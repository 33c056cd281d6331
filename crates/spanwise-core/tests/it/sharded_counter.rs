//! Counters with a shard for each thread.

use std::{sync::LazyLock, thread};

use spanwise_core::internal::ShardedCounter;

#[test]
fn ending_thread_still_counts() {
    static COUNTER: LazyLock<ShardedCounter> = LazyLock::new(ShardedCounter::default);
    struct Last;
    impl Drop for Last {
        fn drop(&mut self) {
            COUNTER.count();
        }
    }
    thread_local!(static LAST: Last = const { Last });
    for first in [true, false] {
        let before = COUNTER.total();
        let counting = thread::spawn(move || {
            // The thread-local that is used first is destroyed last.
            if first {
                LAST.with(|_| ());
            }
            COUNTER.count();
            LAST.with(|_| ());
        });
        counting.join().unwrap();
        assert_eq!(COUNTER.total() - before, 2);
    }
}
