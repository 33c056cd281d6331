//! Token buckets.

use std::{sync::atomic::AtomicU64, time::Duration};

use spanwise_core::internal::TokenBucket;

const MS: u64 = 1_000_000;
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn bucket_allows_a_burst_and_then_its_rate() {
    let bucket = TokenBucket::new(10, SECOND, 3);
    let level = AtomicU64::new(0);
    let kept = |from: u64, to: u64| {
        (from..to)
            .filter(|ms| bucket.take_shared_token(&level, ms * MS))
            .collect::<Vec<_>>()
    };
    // A token every 100 ms.
    assert_eq!(kept(5000, 5150), [5000, 5001, 5002, 5100]);
    assert_eq!(kept(5150, 6000).len(), 8);
    assert_eq!(kept(60_000, 60_050).len(), 3, "no more than the burst");
}

#[test]
fn bucket_without_rate_keeps_nothing() {
    let (bucket, mut level) = (TokenBucket::new(0, SECOND, 1), 0);
    assert!(!bucket.take_token(&mut level, 99 * MS));
}

#[test]
fn charge_takes_a_token_that_is_missing() {
    for burst in 1..4 {
        let bucket = TokenBucket::new(10, SECOND, burst);
        let level = AtomicU64::new(0);
        for _ in 0..2 * burst {
            bucket.charge(&level, 0);
        }
        // The debt is one token less than the burst, and each token takes 100 ms.
        let first = (0..).find(|ms| bucket.take_shared_token(&level, ms * MS));
        assert_eq!(first, Some(u64::from(burst) * 100), "burst of {burst}");
    }
}
