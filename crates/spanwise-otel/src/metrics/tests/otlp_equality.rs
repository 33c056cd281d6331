//! Compares OTLP requests with those that `opentelemetry-proto` makes from the same SDK data.

use opentelemetry::{
    Array, InstrumentationScope, KeyValue, Value,
    metrics::{Meter, MeterProvider as _},
};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::KeyValue as ProtoKeyValue,
    metrics::v1::{AggregationTemporality, Metric, ScopeMetrics, metric::Data, number_data_point},
    resource::v1::Resource,
};
use prost::Message as _;
use spanwise_core::SelfReport;

use super::{collector, hourly, metric};
use crate::metrics::{
    HistogramAggregation, MetricTemporality, MetricsOptions, OBSERVATION_TIMEOUT,
    OtelMeterProvider,
    otlp_metrics::{encoded_metrics, metrics_request},
    readers::Readers,
    snapshot::{MetricSnapshot, Number, Point, Points, ScopeSnapshot, Snapshot},
};

/// Records into instruments of all 16 kinds.
fn record_all_kinds(meter: &Meter) {
    let all_value_types = [
        KeyValue::new("bool", true),
        KeyValue::new("int", i64::MIN),
        KeyValue::new("float", 0.1),
        KeyValue::new("text", "ä\"\n"),
        KeyValue::new("bools", Value::Array(Array::Bool(vec![true, false]))),
        KeyValue::new("ints", Value::Array(Array::I64(vec![-1, 1]))),
        KeyValue::new("floats", Value::Array(Array::F64(vec![f64::NAN, 1e300]))),
        KeyValue::new(
            "texts",
            Value::Array(Array::String(vec!["a".into(), "b".into()])),
        ),
        KeyValue::new("empty", Value::Array(Array::I64(vec![]))),
    ];
    let one_attribute = [KeyValue::new("a", 1)];
    for attributes in [&all_value_types[..], &one_attribute, &[]] {
        meter.u64_counter("u64.counter").build().add(7, attributes);
        let counter = meter.f64_counter("f64.counter").with_unit("s");
        counter.build().add(0.5, attributes);
        let counter = meter.i64_up_down_counter("i64.up_down");
        counter.with_description("Ups.").build().add(-7, attributes);
        meter
            .f64_up_down_counter("f64.up_down")
            .build()
            .add(-0.5, attributes);
        meter.u64_gauge("u64.gauge").build().record(0, attributes);
        meter
            .i64_gauge("i64.gauge")
            .build()
            .record(i64::MIN, attributes);
        meter
            .f64_gauge("f64.gauge")
            .build()
            .record(-0.0, attributes);
        let histogram = meter.u64_histogram("u64.histogram").build();
        for value in [0, 1, 700, 1 << 40] {
            histogram.record(value, attributes);
        }
        let histogram = meter.f64_histogram("f64.histogram");
        let histogram = histogram.with_boundaries(vec![-1.0, 0.25]).build();
        for value in [-7.0, 0.25, 1e-9, 7e9] {
            histogram.record(value, attributes);
        }
    }
    meter
        .u64_observable_counter("u64.observed")
        .with_callback(|o| o.observe(7, &[]))
        .build();
    meter
        .f64_observable_counter("f64.observed")
        .with_callback(|o| o.observe(0.5, &[]))
        .build();
    meter
        .i64_observable_up_down_counter("i64.observed_up_down")
        .with_callback(|o| o.observe(-7, &[]))
        .build();
    meter
        .f64_observable_up_down_counter("f64.observed_up_down")
        .with_callback(|o| o.observe(-0.5, &[]))
        .build();
    meter
        .u64_observable_gauge("u64.observed_gauge")
        .with_callback(|o| o.observe(7, &[]))
        .build();
    meter
        .i64_observable_gauge("i64.observed_gauge")
        .with_callback(|o| o.observe(-7, &[]))
        .build();
    meter
        .f64_observable_gauge("f64.observed_gauge")
        .with_callback(|o| {
            o.observe(0.5, &[KeyValue::new("of", 1)]);
            o.observe(1.5, &[KeyValue::new("of", 2)]);
        })
        .build();
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("orders")
        .with_version("1.2.3")
        .with_schema_url("https://opentelemetry.io/schemas/1.41.0")
        .with_attributes([KeyValue::new("zone", "b")])
        .build()
}

/// Returns the scopes of a request. Sorts all data whose order is arbitrary.
fn sorted_scopes(mut request: ExportMetricsServiceRequest) -> Vec<ScopeMetrics> {
    let mut scopes = std::mem::take(&mut request.resource_metrics[0].scope_metrics);
    scopes.sort_by_key(|scope| scope.scope.clone().unwrap_or_default().name);
    for metric in scopes.iter_mut().flat_map(|scope| &mut scope.metrics) {
        sort_points(metric);
    }
    scopes
}

fn sort_points(metric: &mut Metric) {
    /// Sorts attributes by key, and then points by attributes.
    macro_rules! sort {
        ($points:expr) => {{
            for point in &mut $points {
                point.attributes.sort_by(|a, b| a.key.cmp(&b.key));
            }
            let text = |attributes: &Vec<ProtoKeyValue>| format!("{attributes:?}");
            $points.sort_by_key(|point| text(&point.attributes));
        }};
    }
    match metric.data.as_mut().unwrap() {
        Data::Gauge(gauge) => sort!(gauge.data_points),
        Data::Sum(sum) => sort!(sum.data_points),
        Data::Histogram(histogram) => sort!(histogram.data_points),
        Data::ExponentialHistogram(histogram) => sort!(histogram.data_points),
        Data::Summary(_) => panic!("the SDK has no summaries"),
    }
}

#[test]
fn all_kinds_have_the_values_of_the_sdk() {
    for temporality in [
        MetricTemporality::Cumulative,
        MetricTemporality::Delta,
        MetricTemporality::LowMemory,
    ] {
        for histograms in [
            HistogramAggregation::Explicit,
            HistogramAggregation::Base2Exponential,
        ] {
            let options = MetricsOptions::default()
                .temporality(temporality)
                .histograms(histograms);
            let (sdk, readers) = Readers::new(&options);
            let provider = OtelMeterProvider::new(sdk, SelfReport::silent(), OBSERVATION_TIMEOUT);
            record_all_kinds(&provider.meter_with_scope(scope()));
            record_all_kinds(&provider.meter("other"));
            provider.observe();
            let collected = readers.export.collect_all();

            let request = metrics_request(&[], &encoded_metrics(&Snapshot::new(&collected, None)));
            let ours = ExportMetricsServiceRequest::decode(&*request).unwrap();
            let theirs = ExportMetricsServiceRequest::from(&collected);
            let metric_count = ours.resource_metrics[0].scope_metrics[0].metrics.len();
            assert_eq!(metric_count, 16, "{temporality:?}");
            let (ours, theirs) = (sorted_scopes(ours), sorted_scopes(theirs));
            // Compare texts, because NaN is not equal to itself.
            assert_eq!(
                format!("{ours:#?}"),
                format!("{theirs:#?}"),
                "{temporality:?}"
            );
        }
    }
}

#[test]
fn special_numbers_are_encoded() {
    for number in [
        Number::Float(f64::NAN),
        Number::Float(f64::INFINITY),
        Number::Float(f64::NEG_INFINITY),
        Number::Float(f64::MIN_POSITIVE),
        Number::Int(0),
        Number::Int(i64::MIN),
    ] {
        let snapshot = Snapshot {
            scopes: vec![ScopeSnapshot {
                scope: InstrumentationScope::default(),
                metrics: vec![MetricSnapshot {
                    name: "x".to_owned(),
                    description: String::new(),
                    unit: String::new(),
                    start_nanos: 0,
                    time_nanos: u64::MAX,
                    points: Points::Gauge(vec![Point {
                        attributes: Vec::new(),
                        value: number,
                    }]),
                }],
            }],
        };
        let resource = Resource {
            dropped_attributes_count: 3,
            ..Resource::default()
        };
        let request = metrics_request(&resource.encode_to_vec(), &encoded_metrics(&snapshot));
        let request = ExportMetricsServiceRequest::decode(&*request).unwrap();
        assert_eq!(request.resource_metrics[0].resource, Some(resource));
        let Some(Data::Gauge(gauge)) = &metric(&request, "x").unwrap().data else {
            panic!("{request:?}");
        };
        assert_eq!(gauge.data_points[0].time_unix_nano, u64::MAX);
        match (gauge.data_points[0].value.unwrap(), number) {
            (number_data_point::Value::AsInt(value), Number::Int(expected)) => {
                assert_eq!(value, expected);
            }
            (number_data_point::Value::AsDouble(value), Number::Float(expected)) => {
                assert_eq!(value.to_bits(), expected.to_bits());
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn integers_beyond_i64_are_floats() {
    let collector = collector(&hourly());
    let meter = collector.metrics.meter_provider().meter("test");
    meter.u64_counter("big").build().add(u64::MAX, &[]);
    assert_eq!(
        super::values(&collector.export_now(), "big"),
        [u64::MAX as f64]
    );
}

#[test]
fn counters_of_integers_and_floats_are_one_metric() {
    let collector = collector(&hourly());
    let meter = collector.metrics.meter_provider().meter("test");
    meter.u64_counter("mixed").build().add(1, &[]);
    meter.f64_counter("mixed").build().add(0.5, &[]);
    meter
        .f64_counter("mixed")
        .build()
        .add(3.5, &[KeyValue::new("a", 1)]);
    assert_eq!(super::values(&collector.export_now(), "mixed"), [1.5, 3.5]);
}

#[test]
fn repeated_keys_occur_once() {
    let collector = collector(&hourly());
    let meter = collector.metrics.meter_provider().meter("test");
    let attributes = [
        KeyValue::new("b", 1),
        KeyValue::new("a", 1),
        KeyValue::new("a", 1),
    ];
    meter.u64_counter("repeated").build().add(1, &attributes);
    let exported = collector.export_now();
    let Some(Data::Sum(sum)) = &metric(&exported, "repeated").unwrap().data else {
        panic!("{exported:?}");
    };
    let keys: Vec<_> = sum.data_points[0]
        .attributes
        .iter()
        .map(|a| &a.key)
        .collect();
    assert_eq!(keys, ["a", "b"]);
}

#[test]
fn deltas_count_from_the_last_export() {
    let collector = collector(&hourly().temporality(MetricTemporality::Delta));
    let meter = collector.metrics.meter_provider().meter("test");
    let counter = meter.u64_counter("sent").build();
    for added in [3, 4] {
        counter.add(added, &[]);
        let exported = collector.export_now();
        assert_eq!(super::values(&exported, "sent"), [added as f64]);
        let Some(Data::Sum(sum)) = &metric(&exported, "sent").unwrap().data else {
            panic!("{exported:?}");
        };
        assert_eq!(sum.aggregation_temporality(), AggregationTemporality::Delta);
    }
    assert!(metric(&collector.export_now(), "sent").is_none());
}
