//! The metrics of an event in `emf`.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use spanwise_core::Clock;
use spanwise_json::{FieldList, Format, JsonLayer};
use tracing::{info, info_span};

use crate::support::lines;

fn line(log: impl FnOnce()) -> Value {
    lines(|layer| layer.format(Format::Emf).service_name("shop"), log).only()
}

/// Returns the names and units of the metrics.
fn metrics(line: &Value) -> Vec<(&str, &str)> {
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    let metrics = directive["Metrics"].as_array().into_iter().flatten();
    metrics
        .map(|metric| {
            (
                metric["Name"].as_str().unwrap(),
                metric["Unit"].as_str().unwrap(),
            )
        })
        .collect()
}

#[test]
fn numeric_metric_field_is_described() {
    let shown = line(|| info!(metric.latency_ms = 12.5, amount = 1999, "paid"));
    assert_eq!(shown["latency_ms"], 12.5);
    assert_eq!(shown["metric.latency_ms"], Value::Null);
    assert_eq!(
        shown["_aws"],
        json!({
            "Timestamp": 1_795_165_687_123_u64,
            "CloudWatchMetrics": [{
                "Namespace": "shop",
                "Dimensions": [["service"]],
                "Metrics": [{ "Name": "latency_ms", "Unit": "Milliseconds" }],
            }],
        })
    );
    let shown = line(|| info!(amount = 1999, "paid"));
    assert_eq!(shown["_aws"], Value::Null);
}

#[test]
fn suffix_of_a_metric_is_its_unit() {
    let shown = line(|| {
        info!(
            metric.a_ms = 1,
            metric.a_s = 1,
            metric.a_us = 1,
            metric.a_bytes = 1,
            metric.a_percent = 1,
            metric.a_count = 1,
            metric.a_total = 1,
            metric.a = 1
        );
    });
    let units = metrics(&shown);
    assert_eq!(
        units,
        [
            ("a_ms", "Milliseconds"),
            ("a_s", "Seconds"),
            ("a_us", "Microseconds"),
            ("a_bytes", "Bytes"),
            ("a_percent", "Percent"),
            ("a_count", "Count"),
            ("a_total", "Count"),
            ("a", "None"),
        ]
    );
}

#[test]
fn three_fields_describe_a_metric() {
    let shown = line(|| {
        info!(
            metric_name = "latency",
            metric_value = 12.5,
            metric_unit = "ms",
            "m"
        );
    });
    assert_eq!(metrics(&shown), [("latency", "Milliseconds")]);
    assert_eq!(shown["latency"], 12.5);
    assert_eq!(shown["metric_name"], "latency");
    let shown = line(|| info!(metric_name = "x_bytes", metric_value = 1, metric_unit = "?"));
    assert_eq!(metrics(&shown), [("x_bytes", "Bytes")]);
    let shown = line(|| {
        info!(
            metric_name = "x",
            metric_value = 1,
            metric_unit = "Count/second"
        )
    });
    assert_eq!(metrics(&shown), [("x", "Count/Second")]);
}

#[test]
fn value_that_is_no_number_is_no_metric() {
    let shown = line(|| {
        info!(
            metric.nan = f64::NAN,
            metric.inf = f64::INFINITY,
            metric.text = "5",
            metric.big = u128::MAX,
            metric.b = true,
            metric.ok = 1
        );
    });
    assert_eq!(metrics(&shown), [("ok", "None")]);
    assert_eq!(shown["metric.nan"], "NaN");
    assert_eq!(shown["metric.text"], "5");
    let shown = line(|| info!(metric_name = "x", metric_value = f64::NAN, "m"));
    assert_eq!(shown["_aws"], Value::Null);
}

#[test]
fn metric_takes_no_key_of_the_line() {
    let shown = line(|| {
        info_span!("s", order = 7, metric.of_span = 1).in_scope(|| {
            info!(
                metric.level = 1,
                metric._aws = 2,
                metric.order = 3,
                metric.version = 4,
                "m"
            );
        });
    });
    assert_eq!(shown["level"], "INFO");
    assert_eq!(shown["metric.level"], 1);
    assert_eq!(shown["metric._aws"], 2);
    assert_eq!(
        (&shown["order"], &shown["metric.order"]),
        (&json!(7), &json!(3))
    );
    assert_eq!(shown["metric.version"], 4);
    // The metric of a span would be counted with each of its events.
    assert_eq!(shown["metric.of_span"], 1);
    assert_eq!(shown["_aws"], Value::Null);
}

#[test]
fn service_is_dimension_and_namespace_if_it_can_be() {
    let directive = |options: fn(JsonLayer) -> JsonLayer| {
        let layer = |layer: JsonLayer| options(layer.format(Format::Emf));
        let line = lines(layer, || info!(metric.a = 1)).only();
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        (
            directive["Namespace"].clone(),
            directive["Dimensions"].clone(),
        )
    };
    let without = directive(|layer| layer);
    assert_eq!(without, (json!("unknown_service"), json!([[]])));
    let odd = directive(|layer| layer.service_name("café & co"));
    assert_eq!(odd, (json!("caf____co"), json!([[]])));
}

#[test]
fn dimension_is_the_shown_key_of_the_service() {
    for (list, key, dimensions) in [
        ("-target", "service", json!([["service"]])),
        ("service>svc", "svc", json!([["svc"]])),
        ("service>dienst\u{fc}", "dienst\u{fc}", json!([[]])),
    ] {
        let list: FieldList = list.parse().unwrap();
        let layer = |layer: JsonLayer| layer.format(Format::Emf).service_name("shop").fields(&list);
        let shown = lines(layer, || info!(metric.a = 1)).only();
        let directive = &shown["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(shown[key], "shop", "{list}");
        assert_eq!(directive["Dimensions"], dimensions, "{list}");
    }
    let list: FieldList = "-service".parse().unwrap();
    let layer = |layer: JsonLayer| layer.format(Format::Emf).service_name("shop").fields(&list);
    let shown = lines(layer, || info!(metric.a = 1)).only();
    let directive = &shown["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(shown["service"], Value::Null);
    assert_eq!(directive["Dimensions"], json!([[]]));
}

#[test]
fn metric_has_its_name_without_escapes() {
    let shown = line(|| info!("metric.a\"b" = 1, "metric.c\u{85}d" = 2, "m"));
    assert_eq!(metrics(&shown), [("a\"b", "None")]);
    assert_eq!(shown["a\"b"], 1);
    // CloudWatch accepts only ASCII.
    assert_eq!(shown["metric.c\u{85}d"], 2);
}

#[test]
fn field_that_is_renamed_to_a_metric_is_one() {
    let rename = |layer: JsonLayer| layer.format(Format::Emf).rename("took", "metric.took_ms");
    let shown = lines(rename, || info!(took = 5, "m")).only();
    assert_eq!(metrics(&shown), [("took_ms", "Milliseconds")]);
    assert_eq!(shown["took_ms"], 5);
    let rename = |layer: JsonLayer| layer.format(Format::Emf).rename("metric.took_ms", "took");
    let shown = lines(rename, || info!(metric.took_ms = 5, "m")).only();
    assert_eq!(shown["took"], 5);
    assert_eq!(shown["_aws"], Value::Null);
}

#[test]
fn time_of_a_metric_does_not_overflow() {
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::MAX / 2 - 1);
    let layer = |layer: JsonLayer| layer.format(Format::Emf).clock(Clock::manual(far));
    let shown = lines(layer, || info!(metric.a = 1)).only();
    assert_eq!(shown["_aws"]["Timestamp"], i64::MAX);
}

#[test]
fn line_has_at_most_hundred_metrics() {
    // A callsite has at most 32 fields, so the fields are recorded by a callsite of their own.
    let fields =
        (0..120).map(|index| (format!("metric.m{index}"), super::support::any::Any::U64(1)));
    let case = super::support::any::Case {
        spans: Vec::new(),
        records: Vec::new(),
        event: fields.collect(),
    };
    let lines = spanwise_testing::support::Lines::default();
    let layer = JsonLayer::new()
        .format(Format::Emf)
        .with_writer(lines.clone());
    super::support::any::log(&case, &super::support::dispatch(layer));
    let shown = lines.only();
    assert_eq!(metrics(&shown).len(), 100);
    assert_eq!(
        (&shown["m99"], &shown["metric.m100"]),
        (&json!(1), &json!(1))
    );
}

#[test]
fn cut_metric_is_not_described() {
    let long = "x".repeat(200);
    let shown = lines(
        |layer| layer.format(Format::Emf).max_line(400),
        || info!(metric.a = 1, text = long.as_str(), metric.b = 2, "m"),
    );
    assert!(shown.text().len() <= 400, "{}", shown.text());
    let shown = shown.only();
    for (name, _) in metrics(&shown) {
        assert!(shown[name].is_number(), "{shown}");
    }
    assert!(shown["truncated"].is_array(), "{shown}");
}
