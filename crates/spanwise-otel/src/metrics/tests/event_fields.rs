//! Metrics of events and of their fields.

use opentelemetry_proto::tonic::metrics::v1::{Sum, metric::Data, number_data_point};
use spanwise_core::ContextLayer;
use tracing_subscriber::prelude::*;

use super::{Collector, collector, hourly, metric, values};

/// Runs `events` with a layer that makes metrics of the events that they log.
fn with_event_metrics(collector: &Collector, events: impl FnOnce()) {
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(
            collector
                .metrics
                .event_metrics()
                .context_keys(["tenant_id"]),
        );
    tracing::subscriber::with_default(stack, events);
}

fn sum(exported: &super::ExportMetricsServiceRequest, name: &str) -> Sum {
    match &metric(exported, name).unwrap().data {
        Some(Data::Sum(sum)) => sum.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn prefixes_decide_the_instrument() {
    let collector = collector(&hourly());
    with_event_metrics(&collector, || {
        for _ in 0..2 {
            tracing::info!(
                monotonic_counter.paid = 3_u32,
                counter.open = -2,
                "an order"
            );
            tracing::trace!(monotonic_counter.money = 0.5, counter.weight = -0.5);
            tracing::error!(gauge.depth = 7_u8, gauge.load = 0.25, histogram.size = 9);
        }
        tracing::info!(monotonic_counter.paid = -1);
        tracing::info!(counter = 1, "counter.without_a_name" = 1, gaugex.y = 1);
    });
    let exported = collector.export_now();
    for (name, is_monotonic, value) in [
        ("paid", true, number_data_point::Value::AsInt(6)),
        ("open", false, number_data_point::Value::AsInt(-4)),
        ("money", true, number_data_point::Value::AsDouble(1.0)),
        ("weight", false, number_data_point::Value::AsDouble(-1.0)),
    ] {
        let sum = sum(&exported, name);
        assert_eq!(sum.is_monotonic, is_monotonic, "{name}");
        assert_eq!(sum.data_points[0].value, Some(value), "{name}");
    }
    assert_eq!(values(&exported, "depth"), [7.0]);
    assert_eq!(values(&exported, "load"), [0.25]);
    let Some(Data::Histogram(histogram)) = &metric(&exported, "size").unwrap().data else {
        panic!("{exported:?}");
    };
    let point = &histogram.data_points[0];
    assert_eq!((point.count, point.sum), (2, Some(18.0)));
    // The only fault is the negative value of a monotonic counter.
    let faults = collector.report.stats().faults;
    assert_eq!(
        faults.iter().map(|(_, count)| count).sum::<u64>(),
        1,
        "{faults:?}"
    );
}

#[test]
fn primitive_fields_and_context_keys_are_attributes() {
    let collector = collector(&hourly());
    with_event_metrics(&collector, || {
        let span = tracing::info_span!("request", tenant_id = "acme", user_id = "u-1");
        let _entered = span.enter();
        let shown = Some(1);
        tracing::info!(
            monotonic_counter.a = 1,
            kind = "x",
            ok = true,
            n = 7,
            ?shown,
            "text"
        );
        tracing::info!(monotonic_counter.b = 1, tenant_id = "other");
    });
    let exported = collector.export_now();
    let attributes = |name: &str| {
        let point = sum(&exported, name).data_points.remove(0);
        let texts = point.attributes.into_iter().map(|attribute| {
            let value = attribute.value.unwrap().value.unwrap();
            format!("{}={value:?}", attribute.key)
        });
        texts.collect::<Vec<_>>()
    };
    assert_eq!(
        attributes("a"),
        [
            "kind=StringValue(\"x\")",
            "n=IntValue(7)",
            "ok=BoolValue(true)",
            "tenant_id=StringValue(\"acme\")",
        ]
    );
    assert_eq!(attributes("b"), ["tenant_id=StringValue(\"other\")"]);
}

/// The last value counts in lines, too. The SDK might keep another one.
#[test]
fn last_value_of_a_repeated_key_counts() {
    let collector = collector(&hourly());
    with_event_metrics(&collector, || {
        tracing::info!(
            monotonic_counter.a = 1,
            kind = "first",
            n = 1,
            kind = "last",
            kind = 7,
            n = 2
        );
        tracing::info!(
            monotonic_counter.a = 1,
            kind = "z",
            n = 1,
            kind = 3,
            kind = 7,
            n = 2
        );
    });
    let points = sum(&collector.export_now(), "a").data_points;
    let [point] = &points[..] else {
        panic!("{points:#?}")
    };
    assert_eq!(point.value, Some(number_data_point::Value::AsInt(2)));
    let texts = point.attributes.iter().map(|attribute| {
        let value = attribute.value.clone().unwrap().value.unwrap();
        format!("{}={value:?}", attribute.key)
    });
    let texts: Vec<_> = texts.collect();
    assert_eq!(texts, ["kind=IntValue(7)", "n=IntValue(2)"]);
}

#[test]
fn events_are_counted_by_level() {
    let collector = collector(&hourly());
    with_event_metrics(&collector, || {
        tracing::info!("a");
        tracing::info!("b");
        tracing::warn!("c");
    });
    let counts = sum(&collector.export_now(), "spanwise.events");
    let counts = counts.data_points.iter().map(|point| {
        let level = point.attributes[0].value.clone().unwrap().value.unwrap();
        (format!("{level:?}"), point.value.unwrap())
    });
    let mut counts: Vec<_> = counts.collect();
    // Levels without an event have the count 0.
    counts.retain(|(_, count)| *count != number_data_point::Value::AsInt(0));
    assert_eq!(
        counts,
        [
            (
                "StringValue(\"INFO\")".to_owned(),
                number_data_point::Value::AsInt(2)
            ),
            (
                "StringValue(\"WARN\")".to_owned(),
                number_data_point::Value::AsInt(1)
            ),
        ]
    );
}

#[test]
fn sinks_and_the_process_are_measured() {
    let collector = collector(&hourly());
    let meter =
        opentelemetry::metrics::MeterProvider::meter(collector.metrics.meter_provider(), "m");
    meter.u64_counter("any").build().add(1, &[]);
    collector.export_now();
    let exported = collector.export_now();
    let delivered = sum(&exported, "otel.sdk.exporter.metric_data_point.exported");
    assert_eq!(
        delivered.data_points.len(),
        2,
        "with and without error.type"
    );
    let records: f64 = values(&exported, "spanwise.sink.records").iter().sum();
    assert!(records > 0.0);
    if cfg!(target_os = "linux") {
        assert_eq!(values(&exported, "process.cpu.time").len(), 2);
        for name in [
            "process.memory.usage",
            "process.memory.virtual",
            "process.thread.count",
            "process.unix.file_descriptor.count",
            "process.uptime",
        ] {
            let values = values(&exported, name);
            assert!(values.len() == 1 && values[0] > 0.0, "{name}: {values:?}");
        }
    }
}
