use opentelemetry::metrics::MeterProvider as _;
use proptest::prelude::*;
use spanwise_core::SelfReport;
use spanwise_redact::Policy;

use super::{super::readers::MAX_BUCKETS, *};
use crate::metrics::{
    HistogramAggregation, MetricsOptions, OBSERVATION_TIMEOUT, OtelMeterProvider, readers::Readers,
};

/// Returns the value of the only series of an exponential histogram.
fn only_value(snapshot: &Snapshot, name: &str) -> ExponentialDistribution {
    let metric = snapshot.metrics().find(|metric| metric.name == name);
    match metric.map(|metric| &metric.points) {
        Some(Points::Exponential { points, .. }) if points.len() == 1 => points[0].value.clone(),
        other => panic!("{name} is {other:?}"),
    }
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        -1e3..1e3,
        (-60.0..60.0).prop_map(f64::exp2),
        (-60.0..60.0).prop_map(|exponent| -f64::exp2(exponent)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Series that the policy makes equal are merged into a series with the counts of all values.
    #[test]
    fn merged_series_have_the_counts_of_both(
        first in prop::collection::vec(any_value(), 1..200),
        second in prop::collection::vec(any_value(), 1..200),
    ) {
        let options = MetricsOptions::default().histograms(HistogramAggregation::Base2Exponential);
        let (sdk, readers) = Readers::new(&options);
        let provider = OtelMeterProvider::new(sdk, SelfReport::silent(), OBSERVATION_TIMEOUT);
        let meter = provider.meter("test");
        let two_series = meter.f64_histogram("two_series").build();
        let one_series = meter.f64_histogram("one_series").build();
        for (secret, values) in [("one", &first), ("two", &second)] {
            for value in values {
                two_series.record(*value, &[KeyValue::new("password", secret)]);
                one_series.record(*value, &[]);
            }
        }
        let policy = Policy::secrets();
        let snapshot = Snapshot::new(&readers.export.collect_all(), Some(&policy));
        let merged = only_value(&snapshot, "two_series");
        let expected = only_value(&snapshot, "one_series");
        prop_assert_eq!(merged.summary.count, expected.summary.count);
        prop_assert_eq!(merged.summary.min, expected.summary.min);
        prop_assert_eq!(merged.summary.max, expected.summary.max);
        prop_assert_eq!(merged.zero_count, expected.zero_count);
        // The scales may differ, so the buckets are compared at the lower one.
        let scale = merged.scale.min(expected.scale);
        let rescaled = |buckets: &Buckets, from_scale: i32| {
            Buckets::from_counts(buckets.counts_by_index(from_scale - scale))
        };
        for (merged_buckets, expected_buckets) in [
            (&merged.positive, &expected.positive),
            (&merged.negative, &expected.negative),
        ] {
            prop_assert!(merged_buckets.counts.len() <= MAX_BUCKETS as usize);
            prop_assert_eq!(
                rescaled(merged_buckets, merged.scale),
                rescaled(expected_buckets, expected.scale)
            );
        }
    }
}

#[test]
fn integer_sum_beyond_i64_becomes_a_float() {
    let mut sum = Number::Int(i64::MAX);
    sum.add(&Number::Int(1));
    assert_eq!(sum, Number::Float(i64::MAX as f64 + 1.0));
    let mut sum = Number::Int(1);
    sum.add(&Number::Float(0.5));
    assert_eq!(sum, Number::Float(1.5));
}

#[test]
fn series_at_both_ends_of_the_range_are_merged() {
    let options = MetricsOptions::default().histograms(HistogramAggregation::Base2Exponential);
    let (sdk, readers) = Readers::new(&options);
    let provider = OtelMeterProvider::new(sdk, SelfReport::silent(), OBSERVATION_TIMEOUT);
    let sizes = provider.meter("test").f64_histogram("sizes").build();
    for (secret, value) in [
        ("one", 1e-320),
        ("two", 1e300),
        ("three", -1e-320),
        ("four", -1e300),
    ] {
        sizes.record(value, &[KeyValue::new("password", secret)]);
    }
    let policy = Policy::secrets();
    let snapshot = Snapshot::new(&readers.export.collect_all(), Some(&policy));
    let merged = only_value(&snapshot, "sizes");
    for side in [&merged.positive, &merged.negative] {
        assert!(side.counts.len() <= MAX_BUCKETS as usize, "{merged:?}");
        assert_eq!(side.counts.iter().sum::<u64>(), 2, "{merged:?}");
    }
}
