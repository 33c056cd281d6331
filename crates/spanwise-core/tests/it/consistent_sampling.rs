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
    // Processes of different versions must make the same decision, because a change here splits
    // requests.
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

#[test]
fn digits_are_those_of_the_specification() {
    // The table of "Converting floating-point probability to threshold value", with precision 5.
    for (ratio, digits) in [
        (1.0, "0"),
        (0.5, "8"),
        (1.0 / 3.0, "aaaab"),
        (0.2, "ccccd"),
        (0.1, "e6666"),
        (0.0625, "f"),
        (0.01, "fd70a4"),
        (0.001, "ffbe76d"),
        (0.000_001, "ffffef391"),
    ] {
        let threshold = Threshold::from_ratio(ratio).unwrap();
        assert_eq!(threshold.digits().as_deref(), Some(digits), "{ratio}");
    }
    assert_eq!(Threshold::from_ratio(0.0).unwrap().digits(), None);
}

#[test]
fn digits_are_the_exact_threshold() {
    for step in 1..10_000 {
        let ratio = f64::from(step) / 10_000.0;
        let threshold = Threshold::from_ratio(ratio).unwrap();
        let digits = threshold.digits().unwrap();
        let least = u64::from_str_radix(&format!("{digits:0<14}"), 16).unwrap();
        assert!(threshold.keeps(least), "{ratio}");
        assert!(least == 0 || !threshold.keeps(least - 1), "{ratio}");
        let kept = ((1_u64 << 56) - least) as f64 / (1_u64 << 56) as f64;
        assert!(
            (kept / ratio - 1.0).abs() < 1.0 / 65_000.0,
            "{ratio}: {kept}"
        );
    }
}

#[test]
fn smaller_ratio_has_no_smaller_threshold() {
    let mut before = u64::MAX;
    for step in 0..20_000 {
        let threshold = Threshold::from_ratio(f64::from(step) / 20_000.0).unwrap();
        let Some(digits) = threshold.digits() else {
            continue;
        };
        let least = u64::from_str_radix(&format!("{digits:0<14}"), 16).unwrap();
        assert!(least <= before, "{step}");
        before = least;
    }
}
