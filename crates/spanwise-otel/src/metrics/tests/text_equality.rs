//! Compares the text for Prometheus with the OTLP request, and checks it with other parsers.

use std::{
    collections::BTreeMap,
    io::Write as _,
    process::{Command, Stdio},
    sync::Arc,
};

use opentelemetry::{
    Array, InstrumentationScope, KeyValue, Value,
    metrics::{Meter, MeterProvider as _},
};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{KeyValue as ProtoKeyValue, any_value},
    metrics::v1::{Metric, metric::Data, number_data_point},
};
use prost::Message as _;
use spanwise_core::{Redact, SelfReport};
use spanwise_redact::Policy;

use super::text_parser::{Labels, ParsedFamily, parse};
use crate::metrics::{
    HistogramAggregation, MetricTemporality, MetricsOptions, OBSERVATION_TIMEOUT,
    OtelMeterProvider,
    otlp_metrics::{encoded_metrics, metrics_request},
    prometheus_text::{MetricsText, TextFormat, metrics_text},
    readers::Readers,
    snapshot::Snapshot,
};

/// The values of one collection: the snapshot, and the request encoded from it.
struct Collected {
    snapshot: Snapshot,
    request: ExportMetricsServiceRequest,
}

fn collect(options: &MetricsOptions, record: impl FnOnce(&OtelMeterProvider)) -> Collected {
    let (sdk, readers) = Readers::new(options);
    let provider = OtelMeterProvider::new(sdk, SelfReport::silent(), OBSERVATION_TIMEOUT);
    record(&provider);
    provider.observe();
    let snapshot = Snapshot::new(&readers.export.collect_all(), None);
    let request = metrics_request(&[], &encoded_metrics(&snapshot));
    Collected {
        request: ExportMetricsServiceRequest::decode(&*request).unwrap(),
        snapshot,
    }
}

impl Collected {
    fn text(&self, format: TextFormat) -> MetricsText {
        let resource = [
            KeyValue::new("service.name", "shop"),
            KeyValue::new("service.version", "1.2 \"beta\""),
        ];
        metrics_text(&self.snapshot, &resource, format)
    }

    #[track_caller]
    fn families(&self, format: TextFormat) -> BTreeMap<String, ParsedFamily> {
        let text = self.text(format).text;
        parse(&text, format == TextFormat::OpenMetrics)
    }
}

fn record_all_kinds(provider: &OtelMeterProvider) {
    let meter = provider.meter("orders");
    let hostile = "a\\b\"c\nd\re ä,}={ ";
    for attributes in [
        &[][..],
        &[
            KeyValue::new("http.route", "/a/{id}"),
            KeyValue::new("le", 1),
        ],
        &[
            KeyValue::new("text", hostile),
            KeyValue::new("9 lives", true),
        ],
        &[KeyValue::new(
            "list",
            Value::Array(Array::String(vec!["a".into()])),
        )],
        &[KeyValue::new("a.b", "1"), KeyValue::new("a_b", "2")],
    ] {
        meter
            .u64_counter("orders.paid")
            .with_unit("{order}")
            .build()
            .add(7, attributes);
        meter
            .f64_counter("cpu.time")
            .with_unit("s")
            .build()
            .add(0.25, attributes);
        meter
            .f64_counter("bytes.read_total")
            .with_unit("By")
            .build()
            .add(1e20, attributes);
        meter
            .i64_up_down_counter("queue.size")
            .build()
            .add(-7, attributes);
        meter
            .f64_gauge("load")
            .with_unit("1")
            .build()
            .record(1e-300, attributes);
        meter
            .i64_gauge("rate")
            .with_unit("By/s")
            .build()
            .record(i64::MIN, attributes);
        meter
            .u64_gauge("thread.count")
            .build()
            .record(3, attributes);
        let latency = meter.f64_histogram("latency").with_unit("ms");
        let latency = latency.with_boundaries(vec![0.5, 5.0, 1e16]).build();
        for value in [0.1, 0.5, 1.0, 1e17] {
            latency.record(value, attributes);
        }
        let signed = meter
            .f64_histogram("signed")
            .with_description("Of \"a\\b\"\nand c");
        let signed = signed.with_boundaries(vec![-1.0, 0.0, 1.0]).build();
        for value in [-7.0, -1.0, -0.5, 0.0, 0.5, 1.0, 7.0] {
            signed.record(value, attributes);
        }
    }
}

fn expected_labels(attributes: &[ProtoKeyValue]) -> Labels {
    let mut labels = Labels::new();
    for attribute in attributes {
        let value = match attribute.value.clone().unwrap().value.unwrap() {
            any_value::Value::StringValue(text) => text,
            any_value::Value::BoolValue(value) => value.to_string(),
            any_value::Value::IntValue(value) => value.to_string(),
            any_value::Value::ArrayValue(_) => "[\"a\"]".to_owned(),
            other => panic!("{other:?}"),
        };
        let joined = labels.entry(expected_label(&attribute.key)).or_default();
        *joined = match joined.is_empty() {
            true => value,
            false => format!("{joined};{value}"),
        };
    }
    labels
}

/// Returns the label of a key in [`record_all_kinds`].
fn expected_label(key: &str) -> String {
    match key {
        "le" => "exported_le".to_owned(),
        "9 lives" => "_9_lives".to_owned(),
        key => key.replace('.', "_"),
    }
}

/// Returns the samples that a metric must have. `family` is the name without `_total`.
/// `has_negative_sum` is whether a histogram with negative buckets has a sum and a count.
fn expected_samples(
    family: &str,
    metric: &Metric,
    has_negative_sum: bool,
) -> BTreeMap<(String, Labels), f64> {
    let mut samples = BTreeMap::new();
    let number = |value: &Option<number_data_point::Value>| match value.unwrap() {
        number_data_point::Value::AsInt(value) => value as f64,
        number_data_point::Value::AsDouble(value) => value,
    };
    let mut insert_histogram = |labels: Labels, buckets: Vec<(f64, u64)>, count: u64, sum: f64| {
        let mut sum_of_counts = 0;
        let has_negative_bound = buckets.first().is_some_and(|(bound, _)| *bound < 0.0);
        for (bound, bucket_count) in buckets.into_iter().chain([(f64::INFINITY, 0)]) {
            sum_of_counts += bucket_count;
            let cumulative = match bound.is_infinite() {
                true => count,
                false => sum_of_counts,
            };
            let mut labels = labels.clone();
            labels.insert("le".to_owned(), bound.to_string());
            samples.insert((format!("{family}_bucket"), labels), cumulative as f64);
        }
        if !has_negative_bound || has_negative_sum {
            samples.insert((format!("{family}_sum"), labels.clone()), sum);
            samples.insert((format!("{family}_count"), labels), count as f64);
        }
    };
    match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => samples.extend(gauge.data_points.iter().map(|point| {
            let labels = expected_labels(&point.attributes);
            ((family.to_owned(), labels), number(&point.value))
        })),
        Data::Sum(sum) => samples.extend(sum.data_points.iter().map(|point| {
            let total = if sum.is_monotonic { "_total" } else { "" };
            let labels = expected_labels(&point.attributes);
            ((format!("{family}{total}"), labels), number(&point.value))
        })),
        Data::Histogram(data) => {
            for point in &data.data_points {
                let bounds = point.explicit_bounds.iter().copied();
                let buckets = bounds.zip(point.bucket_counts.iter().copied()).collect();
                let labels = expected_labels(&point.attributes);
                insert_histogram(labels, buckets, point.count, point.sum.unwrap());
            }
        }
        Data::ExponentialHistogram(data) => {
            for point in &data.data_points {
                let base = 2_f64.powf(2_f64.powi(-point.scale));
                let positive = point.positive.clone().unwrap_or_default();
                let negative = point.negative.clone().unwrap_or_default();
                let bound = |offset: i32, position: usize| base.powi(offset + position as i32);
                let mut buckets: Vec<(f64, u64)> = negative
                    .bucket_counts
                    .iter()
                    .enumerate()
                    .map(|(position, count)| (-bound(negative.offset, position), *count))
                    .rev()
                    .collect();
                if point.zero_count > 0 {
                    buckets.push((point.zero_threshold, point.zero_count));
                }
                buckets.extend(
                    positive
                        .bucket_counts
                        .iter()
                        .enumerate()
                        .map(|(position, count)| (bound(positive.offset + 1, position), *count)),
                );
                let labels = expected_labels(&point.attributes);
                insert_histogram(labels, buckets, point.count, point.sum.unwrap());
            }
        }
        Data::Summary(_) => panic!("the SDK has no summaries"),
    }
    samples
}

/// Compares samples. Rounds the bounds of buckets to 10 digits, because both sides compute them.
#[track_caller]
fn assert_samples(parsed: &ParsedFamily, expected: &BTreeMap<(String, Labels), f64>) {
    let normalized = |samples: &BTreeMap<(String, Labels), f64>| -> BTreeMap<_, _> {
        let rounded = |((name, labels), value): (&(String, Labels), &f64)| {
            let mut labels = labels.clone();
            if let Some(bound) = labels.get_mut("le") {
                let parsed: f64 = bound.replace("+Inf", "inf").parse().unwrap();
                *bound = format!("{parsed:.9e}");
            }
            ((name.clone(), labels), *value)
        };
        samples.iter().map(rounded).collect()
    };
    assert_eq!(normalized(&parsed.samples), normalized(expected));
}

/// The instruments of [`record_all_kinds`], with the names of their families without `_total`.
const FAMILIES: [(&str, &str); 9] = [
    ("orders.paid", "orders_paid"),
    ("cpu.time", "cpu_time_seconds"),
    ("bytes.read_total", "bytes_read"),
    ("queue.size", "queue_size"),
    ("load", "load_ratio"),
    ("rate", "rate_bytes_per_second"),
    ("thread.count", "thread_count_value"),
    ("latency", "latency_milliseconds"),
    ("signed", "signed"),
];

#[test]
fn each_value_equals_that_of_the_request() {
    for histograms in [
        HistogramAggregation::Explicit,
        HistogramAggregation::Base2Exponential,
    ] {
        let collected = collect(
            &MetricsOptions::default().histograms(histograms),
            record_all_kinds,
        );
        for format in [TextFormat::Prometheus, TextFormat::OpenMetrics] {
            let text = collected.text(format);
            assert_eq!(text.omitted, [""; 0]);
            let mut families = collected.families(format);
            let is_open_metrics = format == TextFormat::OpenMetrics;
            let target = if is_open_metrics {
                "target"
            } else {
                "target_info"
            };
            families.remove(target).unwrap();
            for (instrument, family) in FAMILIES {
                let metric = super::metric(&collected.request, instrument).unwrap();
                let is_counter = matches!(&metric.data, Some(Data::Sum(sum)) if sum.is_monotonic);
                let shown = match is_counter && !is_open_metrics {
                    true => format!("{family}_total"),
                    false => family.to_owned(),
                };
                let parsed = families.remove(&shown).unwrap_or_else(|| panic!("{shown}"));
                assert_samples(&parsed, &expected_samples(family, metric, !is_open_metrics));
            }
            assert_eq!(families.keys().collect::<Vec<_>>(), [""; 0]);
        }
    }
}

#[test]
fn promtool_has_no_findings() {
    for histograms in [
        HistogramAggregation::Explicit,
        HistogramAggregation::Base2Exponential,
    ] {
        let options = super::hourly().histograms(histograms);
        let collector = super::collector(&options);
        let metrics = &collector.metrics;
        // Only base units, such as seconds, because promtool reports others.
        let meter = metrics.meter_provider().meter("orders");
        for attributes in [&[][..], &[KeyValue::new("text", "a\\b\"c\nd")]] {
            meter
                .u64_counter("orders.paid")
                .with_unit("{order}")
                .build()
                .add(7, attributes);
            meter
                .f64_gauge("thread.count")
                .build()
                .record(1e-300, attributes);
            let latency = meter.f64_histogram("latency").with_unit("s").build();
            for value in [-0.5, 0.0, 0.1, 1e17] {
                latency.record(value, attributes);
            }
        }
        let text = metrics.text(None).1;
        parse(&text, false);
        let promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut promtool) = promtool else {
            println!("skipped: promtool is not installed (package prometheus)");
            return;
        };
        let mut stdin = promtool.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        let output = promtool.wait_with_output().unwrap();
        let findings = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && findings.is_empty(),
            "{findings}\n{text}"
        );
    }
}

#[test]
fn scopes_are_labels_only_where_they_clash() {
    let collected = collect(&MetricsOptions::default(), |provider| {
        let add = |scope: InstrumentationScope, name: &'static str, value| {
            provider
                .meter_with_scope(scope)
                .u64_counter(name)
                .build()
                .add(value, &[]);
        };
        let scope = |name: &'static str| InstrumentationScope::builder(name);
        add(scope("a").build(), "shared", 1);
        add(scope("b").with_version("2").build(), "shared", 2);
        add(scope("a").build(), "alone", 3);
        let part = |part: &'static str| {
            let attributes = [KeyValue::new("part.name", part), KeyValue::new("name", "x")];
            scope("c").with_attributes(attributes).build()
        };
        add(part("left"), "parts", 4);
        add(part("right"), "parts", 5);
    });
    for format in [TextFormat::Prometheus, TextFormat::OpenMetrics] {
        let families = collected.families(format);
        let samples = |name: &str| -> Vec<(String, f64)> {
            let name = match format {
                TextFormat::Prometheus => format!("{name}_total"),
                TextFormat::OpenMetrics => name.to_owned(),
            };
            let samples = families[&name].samples.iter();
            samples
                .map(|((_, labels), value)| (format!("{labels:?}"), *value))
                .collect()
        };
        assert_eq!(samples("alone"), [("{}".to_owned(), 3.0)]);
        let a = r#"{"otel_scope_name": "a"}"#.to_owned();
        let b = r#"{"otel_scope_name": "b", "otel_scope_version": "2"}"#.to_owned();
        assert_eq!(samples("shared"), [(a, 1.0), (b, 2.0)]);
        let part =
            |part| format!(r#"{{"otel_scope_name": "c", "otel_scope_part_name": "{part}"}}"#);
        assert_eq!(
            samples("parts"),
            [(part("left"), 4.0), (part("right"), 5.0)]
        );
        assert_eq!(collected.text(format).omitted, Vec::<String>::new());
    }
}

#[test]
fn names_that_clash_are_written_once_and_reported() {
    let collected = collect(&MetricsOptions::default(), |provider| {
        let meter: Meter = provider.meter("m");
        meter.u64_counter("a").build().add(1, &[]);
        meter.i64_gauge("a").build().record(2, &[]);
        meter.f64_histogram("b").build().record(3.0, &[]);
        meter.i64_gauge("b_bucket").build().record(4, &[]);
        meter.u64_counter("b.count").build().add(5, &[]);
        meter.i64_gauge("c.d").build().record(6, &[]);
        meter.i64_gauge("c/d").build().record(7, &[]);
        meter.i64_gauge("target.info").build().record(8, &[]);
        let labels = [[KeyValue::new("x.y", 1)], [KeyValue::new("x_y", 1)]];
        let gauge = meter.i64_gauge("e").build();
        labels.iter().for_each(|labels| gauge.record(9, labels));
        let gauge = meter.i64_gauge("f").build();
        gauge.record(10, &[KeyValue::new("empty", "")]);
        gauge.record(10, &[]);
    });
    for format in [TextFormat::Prometheus, TextFormat::OpenMetrics] {
        collected.families(format);
        // The first of the series with the same name and labels is written.
        assert_eq!(
            collected.text(format).omitted,
            ["a", "b.count", "target.info", "c/d", "e", "f"]
        );
    }
}

#[test]
fn format_follows_the_accept_header() {
    let prometheus = "application/openmetrics-text;version=1.0.0,\
        application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let newer_prometheus = "application/vnd.google.protobuf;q=0.7,\
        application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
        text/plain;version=0.0.4;q=0.4,*/*;q=0.3";
    for (accept, format) in [
        (None, TextFormat::Prometheus),
        (Some(""), TextFormat::Prometheus),
        (Some("*/*"), TextFormat::Prometheus),
        (Some("text/html, Text/Plain"), TextFormat::Prometheus),
        (Some(prometheus), TextFormat::OpenMetrics),
        (Some(newer_prometheus), TextFormat::OpenMetrics),
        (
            Some("Application/OpenMetrics-Text"),
            TextFormat::OpenMetrics,
        ),
        (
            Some("application/openmetrics-text; version=2.0.0"),
            TextFormat::Prometheus,
        ),
        (
            Some("application/openmetrics-text;q=0"),
            TextFormat::Prometheus,
        ),
        (
            Some("application/openmetrics-text;q=0.5, text/plain"),
            TextFormat::Prometheus,
        ),
    ] {
        assert_eq!(TextFormat::accepted(accept), format, "{accept:?}");
    }
}

#[test]
fn text_counts_from_the_start_even_if_exports_do_not() {
    let options = super::hourly()
        .temporality(MetricTemporality::Delta)
        .prometheus("localhost", 0);
    let collector = super::collector(&options);
    let counter = collector
        .metrics
        .meter_provider()
        .meter("m")
        .u64_counter("sent")
        .build();
    for expected in [1.0, 2.0] {
        counter.add(1, &[]);
        assert_eq!(super::values(&collector.export_now(), "sent"), [1.0]);
        let families = parse(&collector.metrics.text(None).1, false);
        let samples: Vec<_> = families["sent_total"].samples.values().copied().collect();
        assert_eq!(samples, [expected]);
    }
}

/// Series whose attributes only differ in secrets become one series, in OTLP and in the text.
#[test]
fn secrets_are_redacted_and_their_series_merged() {
    let policy: Arc<dyn Redact> = Arc::new(Policy::secrets());
    let collector = super::collector_with_policy(&super::hourly(), Some(policy));
    let meter = collector.metrics.meter_provider().meter("m");
    let secrets = ["hunter2-one", "hunter2-two"];
    for secret in secrets {
        let attributes = [
            KeyValue::new("password", secret),
            KeyValue::new("kind", "a"),
        ];
        meter.u64_counter("counted").build().add(1, &attributes);
        meter.f64_gauge("level").build().record(5.0, &attributes);
        meter
            .f64_histogram("spread")
            .build()
            .record(7.0, &attributes);
        let token = Value::Array(Array::String(vec![secret.into()]));
        meter
            .u64_counter("listed")
            .build()
            .add(1, &[KeyValue::new("api_key", token)]);
    }
    let exported = collector.export_now();
    let (_, text) = collector.metrics.text(None);
    let families = parse(&text, false);
    for secret in secrets {
        assert!(!format!("{exported:?}").contains(secret));
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(super::values(&exported, "counted"), [2.0]);
    assert_eq!(super::values(&exported, "level"), [5.0]);
    assert_eq!(super::values(&exported, "listed"), [2.0]);
    let counts = families["spread"].samples.iter();
    let mut counts = counts.filter(|((name, _), _)| name == "spread_count");
    let ((_, labels), count) = counts.next().unwrap();
    assert_eq!(
        (*count, &*labels["password"], &*labels["kind"]),
        (2.0, "[REDACTED]", "a")
    );
    assert_eq!(counts.next(), None);
}
