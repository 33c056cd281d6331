//! Metrics through the exporter, to a collector and to Prometheus.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    metrics::v1::{Metric, metric::Data, number_data_point},
};
use spanwise_core::{Flush as _, SelfReport};
#[cfg(feature = "grpc")]
use spanwise_otel::Protocol;
#[cfg(feature = "gzip")]
use spanwise_otel::RequestCompression;
use spanwise_otel::{
    ExportOptions, HistogramAggregation, MetricsOptions, Otel, OtelBuilder, OtelError, OtelGuard,
    opentelemetry::{
        InstrumentationScope, KeyValue, StringValue, Value, metrics::MeterProvider as _,
    },
};
use spanwise_redact::Policy;
use tracing_subscriber::prelude::*;

use crate::support::{
    GUARD, Trusting, assert_settled, builder, output_alone,
    receiver::{Behaviour, Receiver, text},
    record,
};

/// Exports metrics only.
fn metrics_only(receiver: &Receiver) -> OtelBuilder {
    builder(receiver)
        .traces(ExportOptions::off)
        .logs(ExportOptions::off)
        .service_name("shop")
}

fn count(otel: &Otel, value: u64) {
    let meter = otel.meter_provider().unwrap().meter("orders");
    let counter = meter.u64_counter("orders.paid").build();
    counter.add(value, &[KeyValue::new("kind", "card")]);
}

fn find<'r>(request: &'r ExportMetricsServiceRequest, name: &str) -> Option<&'r Metric> {
    let scopes = request
        .resource_metrics
        .iter()
        .flat_map(|r| &r.scope_metrics);
    scopes
        .flat_map(|scope| &scope.metrics)
        .find(|metric| metric.name == name)
}

/// Returns the values of a sum of integers.
fn sums(request: &ExportMetricsServiceRequest, name: &str) -> Vec<i64> {
    let Some(Data::Sum(sum)) = find(request, name).and_then(|metric| metric.data.as_ref()) else {
        return Vec::new();
    };
    let points = sum.data_points.iter().map(|point| match point.value {
        Some(number_data_point::Value::AsInt(value)) => value,
        other => panic!("{name} is {other:?}"),
    });
    points.collect()
}

/// Records, shuts down, and checks that everything arrived.
#[track_caller]
fn check(receiver: &Receiver, builder: OtelBuilder) {
    let (otel, guard) = builder.build().unwrap();
    count(&otel, 7);
    let stats = guard.shutdown(GUARD);
    assert_eq!(stats.metrics.outcomes.lost(), 0, "{stats:?}");
    assert!(stats.metrics.outcomes.delivered > 0, "{stats:?}");
    assert_settled(&stats.metrics);
    let requests = receiver.metrics();
    let [request] = &requests[..] else {
        panic!("{requests:#?}");
    };
    assert_eq!(sums(request, "orders.paid"), [7]);
    let resource = request.resource_metrics[0].resource.as_ref().unwrap();
    assert_eq!(text(&resource.attributes, "service.name"), Some("shop"));
    assert_eq!(receiver.connections(), 1);
}

#[test]
fn metrics_arrive_over_http() {
    let receiver = Receiver::start();
    check(&receiver, metrics_only(&receiver));
    assert_eq!(receiver.requests()[0].path, "/v1/metrics");
}

#[cfg(feature = "gzip")]
#[test]
fn metrics_arrive_with_gzip() {
    let receiver = Receiver::start();
    let gzip = |signal: ExportOptions| signal.compression(RequestCompression::Gzip);
    check(&receiver, metrics_only(&receiver).all_signals(gzip));
    assert_eq!(
        receiver.requests()[0].header("content-encoding"),
        Some("gzip")
    );
}

#[cfg(feature = "grpc")]
#[test]
fn metrics_arrive_over_grpc() {
    let receiver = crate::support::grpc::start();
    let grpc = |signal: ExportOptions| signal.protocol(Protocol::Grpc);
    check(&receiver, metrics_only(&receiver).all_signals(grpc));
}

#[test]
fn metrics_are_exported_at_each_interval() {
    let receiver = Receiver::start();
    let often = |options: MetricsOptions| options.interval(Duration::from_secs(1));
    let builder = metrics_only(&receiver).metrics_options(often);
    let (otel, guard) = builder.build().unwrap();
    count(&otel, 7);
    receiver.wait_for_requests(2);
    guard.shutdown(GUARD);
    assert_eq!(sums(receiver.metrics().last().unwrap(), "orders.paid"), [7]);
}

#[test]
fn flush_exports_the_values_of_now() {
    let receiver = Receiver::start();
    let (otel, _guard) = metrics_only(&receiver).build().unwrap();
    for total in [1, 2] {
        count(&otel, 1);
        otel.flush_by(Instant::now() + GUARD).unwrap();
        assert_eq!(
            sums(receiver.metrics().last().unwrap(), "orders.paid"),
            [total]
        );
    }
}

#[test]
fn rejected_points_are_counted() {
    let receiver = Receiver::behaving(Behaviour::Partial(2, "no room"));
    let (otel, guard) = metrics_only(&receiver).build().unwrap();
    count(&otel, 7);
    let stats = guard.shutdown(GUARD);
    assert_eq!(stats.metrics.outcomes.write_failed, 2, "{stats:?}");
    assert_settled(&stats.metrics);
}

#[test]
fn metrics_that_are_off_are_none() {
    let receiver = Receiver::start();
    let builder = builder(&receiver).metrics(ExportOptions::off);
    let (otel, guard) = builder.build().unwrap();
    assert!(otel.meter_provider().is_none());
    assert!(otel.event_counts().is_none() && otel.metrics_of_events().is_none());
    assert_eq!(otel.metrics_text(None).1, "");
    let accept = Some("application/openmetrics-text");
    assert_eq!(otel.metrics_text(accept).1, "# EOF\n");
    guard.shutdown(GUARD);
    assert_eq!(receiver.requests().len(), 0);
}

/// Scrapes the metrics and returns their text.
fn scrape(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(GUARD)).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: shop\r\n\r\n")
        .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    body.to_owned()
}

#[test]
fn prometheus_needs_no_collector() {
    let options = |options: MetricsOptions| options.prometheus("localhost", 0);
    let builder = Otel::builder_without_endpoint()
        .report(SelfReport::silent())
        .service_name("shop")
        .metrics_options(options);
    let (otel, guard) = builder.build().unwrap();
    count(&otel, 7);
    let text = scrape(otel.prometheus_address().unwrap());
    assert!(
        text.contains("\norders_paid_total{kind=\"card\"} 7\n"),
        "{text}"
    );
    assert!(text.contains("service_name=\"shop\""), "{text}");
    assert_eq!(
        otel.metrics_text(None).1.lines().count(),
        text.lines().count()
    );
    let stats = guard.shutdown(GUARD);
    assert_eq!(stats.metrics.accepted, 0);
}

#[test]
fn text_needs_no_collector_and_no_listener() {
    let builder = Otel::builder_without_endpoint()
        .report(SelfReport::silent())
        .metrics_options(MetricsOptions::text);
    let (otel, _guard) = builder.build().unwrap();
    count(&otel, 7);
    assert_eq!(otel.prometheus_address(), None);
    assert!(
        otel.metrics_text(None)
            .1
            .contains("\norders_paid_total{kind=\"card\"} 7\n")
    );
}

#[test]
fn address_that_is_taken_is_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let options = |options: MetricsOptions| options.prometheus("127.0.0.1", port);
    let built = Otel::builder_without_endpoint()
        .metrics_options(options)
        .build();
    let Err(error @ OtelError::Listener(_)) = built else {
        panic!("{built:?}");
    };
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("cannot serve metrics on 127.0.0.1:{port}: ")),
        "{text}"
    );
}

#[test]
fn fields_of_events_are_metrics_without_secrets() {
    let receiver = Receiver::start();
    let builder = metrics_only(&receiver).redact(Arc::new(Policy::secrets()));
    let (otel, guard) = builder.build().unwrap();
    let stack = tracing_subscriber::registry().with(otel.metrics_of_events());
    tracing::subscriber::with_default(stack, || {
        tracing::info!(
            monotonic_counter.logins = 1,
            password = "hunter2",
            "a login"
        );
        tracing::info!(
            monotonic_counter.logins = 2,
            password = "hunter3",
            "a login"
        );
    });
    let text = otel.metrics_text(None).1;
    guard.shutdown(GUARD);
    assert_eq!(sums(&receiver.metrics()[0], "logins"), [3]);
    assert_eq!(
        sums(&receiver.metrics()[0], "spanwise.events")
            .iter()
            .sum::<i64>(),
        2
    );
    let bytes = &receiver.requests()[0].body;
    assert!(!bytes.windows(6).any(|bytes| bytes == b"hunter"));
    assert!(!text.contains("hunter"), "{text}");
}

/// All signals have their counts and queues under the standard names.
#[test]
fn exporters_and_queues_are_measured() {
    let receiver = Receiver::start();
    let (otel, guard) = builder(&receiver).build().unwrap();
    record(&otel, 5);
    otel.flush_by(Instant::now() + GUARD).unwrap();
    let families = otel.metrics_text(None).1;
    guard.shutdown(GUARD);
    for sample in [
        "otel_sdk_exporter_span_exported_total{otel_component_name=\"otlp_http_exporter/0\",\
         otel_component_type=\"otlp_http_exporter\"} 5",
        "otel_sdk_processor_log_processed_total{\
         otel_component_name=\"batching_log_processor/0\",\
         otel_component_type=\"batching_log_processor\"} 5",
        "otel_sdk_processor_span_queue_size{\
         otel_component_name=\"batching_span_processor/0\",\
         otel_component_type=\"batching_span_processor\"} 0",
        "otel_sdk_processor_log_queue_capacity{\
         otel_component_name=\"batching_log_processor/0\",\
         otel_component_type=\"batching_log_processor\"} 2048",
        "spanwise_sink_queue_bytes{sink=\"otel traces\"} 0",
        "spanwise_sink_records_total{outcome=\"delivered\",sink=\"otel logs\"} 5",
        "spanwise_sink_retries_total{sink=\"otel metrics\"} 0",
    ] {
        assert!(
            families.contains(&format!("\n{sample}\n")),
            "{sample} in {families}"
        );
    }
}

/// Without reloads, the metrics of the configuration have no values.
#[test]
fn reloads_are_measured() {
    let report = SelfReport::silent();
    let builder = Otel::builder_without_endpoint()
        .report(report.clone())
        .metrics_options(MetricsOptions::text);
    let (otel, _guard) = builder.build().unwrap();
    let text = otel.metrics_text(None).1;
    assert!(!text.contains("spanwise_config"), "{text}");
    report.count_reload(|counts| (counts.refused, counts.problems) = (2, 3));
    let text = otel.metrics_text(None).1;
    for sample in [
        "spanwise_config_reloads_total{outcome=\"applied\"} 0",
        "spanwise_config_reloads_total{outcome=\"refused\"} 2",
        "spanwise_config_problems 3",
    ] {
        assert!(
            text.contains(&format!("\n{sample}\n")),
            "{sample} in {text}"
        );
    }
}

#[cfg(feature = "tokio")]
#[test]
fn runtime_is_measured() {
    let builder = Otel::builder_without_endpoint()
        .report(SelfReport::silent())
        .metrics_options(MetricsOptions::text);
    let (otel, _guard) = builder.build().unwrap();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).build().unwrap();
    otel.observe_runtime(runtime.handle());
    let (done, waits) = tokio::sync::oneshot::channel::<()>();
    let task = runtime.spawn(waits);
    let text = otel.metrics_text(None).1;
    assert!(text.contains("\ntokio_runtime_workers 2\n"), "{text}");
    assert!(text.contains("\ntokio_runtime_alive_tasks 1\n"), "{text}");
    drop(done);
    assert!(runtime.block_on(task).unwrap().is_err());
}

#[test]
fn too_large_request_is_split() {
    let receiver = Receiver::start();
    receiver.behave_once(Behaviour::status(413));
    let (otel, guard) = metrics_only(&receiver).build().unwrap();
    count(&otel, 7);
    let stats = guard.shutdown(GUARD);
    assert_eq!(stats.metrics.outcomes.lost(), 0, "{stats:?}");
    assert_settled(&stats.metrics);
    let [first, second] = &receiver.metrics()[..] else {
        panic!("{:#?}", receiver.metrics());
    };
    let metrics = |request: &ExportMetricsServiceRequest| {
        let scopes = request.resource_metrics[0].scope_metrics.iter();
        scopes.map(|scope| scope.metrics.len()).sum::<usize>()
    };
    assert!(metrics(first) >= 1 && metrics(second) >= metrics(first));
    let sums = [first, second].map(|half| sums(half, "orders.paid"));
    assert_eq!(sums.concat(), [7]);
}

#[test]
fn intervals_under_a_second_are_refused() {
    for interval in [Duration::ZERO, Duration::from_millis(999)] {
        let options = |options: MetricsOptions| options.text().interval(interval);
        let result = Otel::builder_without_endpoint()
            .metrics_options(options)
            .build();
        let Err(OtelError::Options(invalid)) = result else {
            panic!("{result:?}");
        };
        let [invalid] = &invalid[..] else {
            panic!("{invalid:?}");
        };
        assert_eq!(invalid.option, "interval");
        assert!(
            invalid.error.to_string().contains("1 second"),
            "{invalid:?}"
        );
    }
}

/// Returns an exporter whose metrics are shown as text only, without secrets.
fn shown(change: impl FnOnce(MetricsOptions) -> MetricsOptions) -> (Otel, OtelGuard) {
    let builder = Otel::builder_without_endpoint()
        .report(SelfReport::silent())
        .redact(Arc::new(Policy::secrets()))
        .metrics_options(|options| change(options.text()));
    builder.build().unwrap()
}

#[test]
fn merged_histograms_have_as_many_buckets_as_one() {
    let base2 =
        |options: MetricsOptions| options.histograms(HistogramAggregation::Base2Exponential);
    let (otel, _guard) = shown(base2);
    let meter = otel.meter_provider().unwrap().meter("test");
    let durations = meter.f64_histogram("durations").build();
    for (password, seconds) in [("one", 0.005), ("two", 5.0), ("three", 5e8)] {
        durations.record(seconds, &[KeyValue::new("password", password)]);
    }
    let (_, text) = otel.metrics_text(None);
    let buckets = text.lines().filter(|line| line.contains("_bucket{"));
    // Those of positive values, and `+Inf`.
    assert!((2..=161).contains(&buckets.count()));
    assert!(text.contains("durations_count{password=\"[REDACTED]\"} 3\n"));
}

#[test]
fn repeated_key_is_there_once() {
    let (otel, _guard) = shown(|options| options);
    let meter = otel.meter_provider().unwrap().meter("test");
    let attributes = ["first", "second", "last"].map(|value| KeyValue::new("kind", value));
    meter.u64_counter("orders").build().add(1, &attributes);
    let (_, text) = otel.metrics_text(None);
    // The SDK may have sorted the attributes, and chosen another value than the last.
    let series = text.lines().filter(|line| line.starts_with("orders_total"));
    let series: Vec<&str> = series.collect();
    let is_one = |kind| series == [format!("orders_total{{kind=\"{kind}\"}} 1")];
    assert!(
        ["first", "second", "last"].into_iter().any(is_one),
        "{text}"
    );
}

#[test]
fn texts_under_a_trusted_key_are_not_scanned() {
    let token = "password=hunter2";
    let (otel, _guard) = Otel::builder_without_endpoint()
        .report(SelfReport::silent())
        .redact(Arc::new(Trusting))
        .metrics_options(MetricsOptions::text)
        .build()
        .unwrap();
    let texts = || Value::Array(vec![StringValue::from(token)].into());
    let attributes = [
        KeyValue::new("trusted", texts()),
        KeyValue::new("other", texts()),
    ];
    let meter = otel.meter_provider().unwrap().meter("test");
    meter.u64_counter("orders").build().add(1, &attributes);
    let (_, text) = otel.metrics_text(None);
    assert!(
        text.contains("trusted=\"[\\\"password=hunter2\\\"]\""),
        "{text}"
    );
    assert!(text.contains("other=\"[\\\"[REDACTED]\\\"]\""), "{text}");
}

/// A panic is reported once for each callback, so no report may be lost.
#[test]
fn each_panicking_callback_is_reported() {
    let test = "metrics::each_panicking_callback_is_reported";
    if let Some(output) = output_alone(test) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        for name in ["first", "second"] {
            let report = format!("a callback of the metric {name} panicked");
            assert_eq!(stderr.matches(&report).count(), 1, "{stderr}");
        }
        return;
    }
    let (otel, _guard) = Otel::builder_without_endpoint()
        .metrics_options(MetricsOptions::text)
        .build()
        .unwrap();
    let meter = otel.meter_provider().unwrap().meter("test");
    for name in ["first", "second"] {
        let gauge = meter.u64_observable_gauge(name);
        gauge.with_callback(|_| panic!("planted")).build();
    }
    for _ in 0..2 {
        let _ = otel.metrics_text(None);
    }
}

#[test]
fn long_attributes_are_cut() {
    let (otel, _guard) = shown(|options| options);
    let meter = otel.meter_provider().unwrap().meter("test");
    let long = "é".repeat(100_000);
    let attributes = [
        KeyValue::new("text", long.clone()),
        KeyValue::new(
            "texts",
            Value::Array(vec![StringValue::from(long.clone())].into()),
        ),
    ];
    meter.u64_counter("orders").build().add(1, &attributes);
    let (_, text) = otel.metrics_text(None);
    // 16 KiB each, and the rest of the text.
    assert!(
        text.contains("orders_total{") && text.len() < 40_000,
        "{}",
        text.len()
    );

    let (otel, _guard) = shown(|options| options);
    let stack = tracing_subscriber::registry().with(otel.metrics_of_events());
    tracing::subscriber::with_default(stack, || {
        tracing::info!(monotonic_counter.paid = 1, note = "é".repeat(1_000));
        // The start of the token alone is not a token.
        let token =
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P";
        let secret = format!("{} {token}", "a".repeat(240));
        tracing::info!(monotonic_counter.sent = 1, note = secret);
    });
    let (_, text) = otel.metrics_text(None);
    let cut = format!("paid_total{{note=\"{}\"}} 1\n", "é".repeat(256));
    assert!(text.contains(&cut), "{text}");
    assert!(
        text.contains("sent_total{") && !text.contains("eyJ"),
        "{text}"
    );
}

#[test]
fn attributes_of_scopes_are_redacted() {
    let receiver = Receiver::start();
    let builder = metrics_only(&receiver).redact(Arc::new(Policy::secrets()));
    let (otel, guard) = builder.build().unwrap();
    for password in ["hunter2", "hunter3"] {
        let scope = InstrumentationScope::builder("orders")
            .with_attributes([
                KeyValue::new("password", password),
                KeyValue::new("db", "shop"),
            ])
            .build();
        let meter = otel.meter_provider().unwrap().meter_with_scope(scope);
        meter.u64_counter("orders.paid").build().add(1, &[]);
    }
    guard.shutdown(GUARD);
    let requests = receiver.metrics();
    let scopes = &requests[0].resource_metrics[0].scope_metrics;
    let orders = scopes
        .iter()
        .filter_map(|it| it.scope.as_ref())
        .filter(|it| it.name == "orders");
    // Scopes that become equal are one, with the values of both.
    let [orders] = orders.collect::<Vec<_>>()[..] else {
        panic!("{scopes:#?}");
    };
    assert_eq!(text(&orders.attributes, "password"), Some("[REDACTED]"));
    assert_eq!(text(&orders.attributes, "db"), Some("shop"));
    assert_eq!(sums(&requests[0], "orders.paid"), [2]);
}

#[cfg(feature = "grpc")]
#[test]
fn exporters_are_named_by_their_own_protocol() {
    let receiver = crate::support::grpc::start();
    let builder = builder(&receiver)
        .traces(|signal| signal.protocol(Protocol::Grpc))
        .metrics(ExportOptions::off)
        .metrics_options(MetricsOptions::text);
    let (otel, _guard) = builder.build().unwrap();
    let (_, text) = otel.metrics_text(None);
    for (item, exporter) in [("span", "otlp_grpc"), ("log", "otlp_http")] {
        let name = format!("otel_sdk_exporter_{item}_exported_total{{");
        let mut samples = text.lines().filter(|line| line.starts_with(&name));
        let exporter = format!("otel_component_type=\"{exporter}_exporter\"");
        assert!(
            samples
                .next()
                .is_some_and(|sample| sample.contains(&exporter)),
            "{text}"
        );
    }
    assert!(!text.contains("metric_data_point_exported"), "{text}");
}
