//! Thresholds, and the randomness of traces and requests.

use spanwise_core::internal::consistent_sampling::{Threshold, randomness_from_entries};

fn randomness(key: &str, value: &str) -> Option<u64> {
    randomness_from_entries([(key, value)].into_iter())
}

#[test]
fn trace_id_counts_by_its_low_56_bits() {
    let id = "ffffffffffffffffff00000000000001";
    assert_eq!(randomness("trace_id", id), Some(1));
    assert_eq!(randomness("trace_id", &id.replace("01", "ff")), Some(255));
    assert_eq!(
        randomness("trace_id", "not a trace id"),
        randomness("request_id", "not a trace id")
    );
}

#[test]
fn request_randomness_is_stable() {
    // Processes of different versions must agree: a change here splits requests.
    assert_eq!(randomness("request_id", "r-1"), Some(0x00E3_57F5_CCC3_5F86));
}

#[test]
fn range_ends_keep_all_and_none() {
    let (all, none) = (
        Threshold::from_ratio(1.0).unwrap(),
        Threshold::from_ratio(0.0).unwrap(),
    );
    assert!(all.keeps_all() && all.keeps(0));
    assert!(!none.keeps((1 << 56) - 1));
    assert_eq!(Threshold::from_ratio(f64::NAN), None);
    assert_eq!(Threshold::from_ratio(-0.1), None);
}
