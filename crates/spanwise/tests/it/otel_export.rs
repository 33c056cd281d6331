//! The data that the facade exports to a collector, and the lines.

use std::{collections::BTreeSet, time::Duration};

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde_json::Value;
use spanwise::{Builder, Preset, Telemetry};

use crate::otlp_receiver::{Behaviour, Receiver, body};
use crate::support::Lines;

/// Stops a hanging test. Not a measurement.
const TIMEOUT: Duration = Duration::from_secs(60);

fn start(receiver: &Receiver, change: impl FnOnce(Builder) -> Builder) -> (Lines, Telemetry) {
    let lines = Lines::default();
    let builder = Builder::new(Preset::Prod).service("shop", "1.4.0");
    let builder = builder.otlp_endpoint(receiver.endpoint());
    let builder = change(builder).with_writer(lines.clone());
    (lines, builder.init().unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the ids and the message of each line, sorted because a batch of log records begins with
/// the errors.
fn of_lines(lines: &Lines) -> Vec<(String, String, String)> {
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let mut all: Vec<_> = lines
        .objects()
        .iter()
        .map(|line| {
            (
                text(line, "trace_id"),
                text(line, "span_id"),
                text(line, "message"),
            )
        })
        .collect();
    all.sort();
    all
}

/// Returns the ids and the message of each log record, sorted.
fn of_records(receiver: &Receiver) -> Vec<(String, String, String)> {
    let records = receiver.logs().into_iter().map(|received| received.item);
    let of_record = |record: LogRecord| {
        let message = body(&record.body).to_owned();
        (hex(&record.trace_id), hex(&record.span_id), message)
    };
    let mut all: Vec<_> = records.map(of_record).collect();
    all.sort();
    all
}

#[test]
fn ids_on_lines_are_the_exported_ones() {
    alone!();
    let receiver = Receiver::start();
    let (lines, telemetry) = start(&receiver, |builder| builder);
    tracing::info!("outside");
    for order in 0..20 {
        let request = tracing::info_span!("request", order);
        request.in_scope(|| {
            tracing::info!("begin {order}");
            tracing::info_span!("charge").in_scope(|| tracing::error!("declined {order}"));
        });
    }
    let handle = telemetry.handle();
    let report = telemetry.shutdown(TIMEOUT);
    assert_eq!(report.lost, 0);

    let spans: Vec<_> = receiver.spans().into_iter().map(|it| it.item).collect();
    assert_eq!(spans.len(), 40);
    let ids: BTreeSet<_> = spans
        .iter()
        .map(|span| (hex(&span.trace_id), hex(&span.span_id)))
        .collect();
    assert_eq!(ids.len(), spans.len());
    let of_lines = of_lines(&lines);
    assert_eq!(of_lines.len(), 41);
    assert_eq!(of_lines, of_records(&receiver));
    for (trace, span, message) in &of_lines {
        let is_exported = ids.contains(&(trace.clone(), span.clone()));
        assert_eq!(is_exported, message != "outside", "{message}");
    }
    for span in spans.iter().filter(|span| span.name == "charge") {
        let parent = (hex(&span.trace_id), hex(&span.parent_span_id));
        assert!(ids.contains(&parent), "{span:?}");
    }

    // Everything is counted: lines, spans, log records and metrics.
    let stats = handle.otel_stats();
    assert_eq!(
        (stats.traces.accepted, stats.traces.outcomes.delivered),
        (40, 40)
    );
    assert_eq!(
        (stats.logs.accepted, stats.logs.outcomes.delivered),
        (41, 41)
    );
    assert!(stats.metrics.outcomes.delivered > 0, "{stats:?}");
    let exported = 40 + 41 + stats.metrics.outcomes.delivered;
    assert_eq!(report.delivered, 41 + exported);
}

#[test]
fn log_records_are_sampled_as_lines_are() {
    alone!();
    let receiver = Receiver::start();
    let (lines, telemetry) = start(&receiver, |builder| builder.sampler("info=first:2/100"));
    for number in 0..50 {
        tracing::info!("event {number}");
    }
    tracing::warn!("kept");
    telemetry.shutdown(TIMEOUT);
    let of_lines = of_lines(&lines);
    let messages: BTreeSet<_> = of_lines.iter().map(|(.., message)| &**message).collect();
    let expected = ["event 0", "event 1", "kept", "events suppressed"];
    assert_eq!(messages, BTreeSet::from(expected));
    assert_eq!(of_lines, of_records(&receiver));
}

#[test]
fn recorder_buffers_log_records_like_lines() {
    alone!();
    let receiver = Receiver::start();
    let (lines, telemetry) = start(&receiver, |builder| builder.recorder("debug"));
    for is_failing in [false, true] {
        let request = tracing::info_span!("request");
        request.in_scope(|| {
            tracing::debug!("asked, failing: {is_failing}");
            if is_failing {
                tracing::error!("failed");
            }
        });
    }
    telemetry.shutdown(TIMEOUT);
    let of_lines = of_lines(&lines);
    let messages: Vec<_> = of_lines.iter().map(|(.., message)| &**message).collect();
    assert!(messages.contains(&"asked, failing: true"), "{messages:?}");
    assert!(!messages.contains(&"asked, failing: false"), "{messages:?}");
    assert_eq!(of_lines, of_records(&receiver));
}

#[test]
fn collector_that_hangs_is_left_at_the_deadline() {
    alone!();
    let receiver = Receiver::behaving(Behaviour::Hang);
    let (lines, telemetry) = start(&receiver, |builder| builder);
    for number in 0..10 {
        tracing::info_span!("job").in_scope(|| tracing::info!("done {number}"));
    }
    let handle = telemetry.handle();
    let report = telemetry.shutdown(Duration::from_millis(200));
    let stats = handle.otel_stats();
    assert_eq!(
        (
            stats.traces.accepted,
            stats.traces.outcomes.lost_at_shutdown
        ),
        (10, 10)
    );
    assert_eq!(
        (stats.logs.accepted, stats.logs.outcomes.lost_at_shutdown),
        (10, 10)
    );
    assert_eq!(lines.objects().len(), 10);
    assert_eq!(report.delivered, 10);
    assert!(report.lost >= 20, "{report:?}");
}

#[test]
fn disabled_levels_of_a_signal_are_not_exported() {
    alone!();
    let receiver = Receiver::start();
    let endpoint = receiver.endpoint();
    let vars = [
        ("LOG_PRESET", "prod"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_RUST_LOGS_LEVEL", "warn"),
        ("OTEL_RUST_TRACES_LEVEL", "off"),
    ];
    let lines = Lines::default();
    let builder = Builder::from_vars(vars).unwrap();
    let telemetry = builder.with_writer(lines.clone()).init().unwrap();
    tracing::info_span!("job").in_scope(|| {
        tracing::info!("begin");
        tracing::warn!("slow");
    });
    telemetry.shutdown(TIMEOUT);
    assert_eq!(lines.messages(), ["begin", "slow"]);
    let records = of_records(&receiver);
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0].2, "slow");
    assert_eq!(receiver.spans().len(), 0);
}

#[test]
fn api_of_opentelemetry_reaches_the_collector() {
    use spanwise::otel::{
        SpanExt,
        opentelemetry::{KeyValue, global, trace::Tracer as _},
    };

    alone!();
    let receiver = Receiver::start();
    let (_, telemetry) = start(&receiver, |builder| builder);
    let orders = global::meter("shop").u64_counter("shop.orders").build();
    orders.add(3, &[KeyValue::new("plan", "basic")]);
    let span = tracing::info_span!("checkout");
    span.in_scope(|| {
        global::tracer("db").in_span("SELECT orders", |_| {});
    });
    span.set_attribute("shop.plan", "basic");
    drop(span);
    telemetry.shutdown(TIMEOUT);

    let spans: Vec<_> = receiver.spans().into_iter().map(|it| it.item).collect();
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (outer, inner) = (named("checkout"), named("SELECT orders"));
    assert_eq!(inner.parent_span_id, outer.span_id);
    assert_eq!(
        crate::otlp_receiver::text(&outer.attributes, "shop.plan"),
        Some("basic")
    );
    let mut metrics = receiver.metrics().into_iter().flat_map(|request| {
        let resources = request.resource_metrics.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_metrics);
        scopes.flat_map(|scope| scope.metrics)
    });
    assert!(metrics.any(|metric| metric.name == "shop.orders"));
}

#[test]
fn metrics_are_exported_once_at_the_shutdown() {
    alone!();
    let receiver = Receiver::start();
    let (_, telemetry) = start(&receiver, |builder| builder);
    tracing::info!("done");
    telemetry.shutdown(TIMEOUT);
    assert_eq!(receiver.metrics().len(), 1);
}

#[cfg(feature = "tokio")]
#[test]
fn runtime_is_measured_if_the_program_asks_for_it() {
    alone!();
    let receiver = Receiver::start();
    let (_, telemetry) = start(&receiver, |builder| builder);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .build()
        .unwrap();
    telemetry.handle().observe_runtime(runtime.handle());
    let (_, text) = telemetry.handle().metrics_text(None);
    let line = "tokio_runtime_workers 3";
    assert!(text.lines().any(|other| other == line), "{text}");
    telemetry.shutdown(TIMEOUT);
}

/// The names of this process's threads, which the system truncates.
#[cfg(target_os = "linux")]
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.collect()
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_runs_without_an_endpoint() {
    alone!();
    let lines = Lines::default();
    let vars = [
        ("LOG_PRESET", "prod"),
        ("SERVICE_NAME", "shop"),
        ("OTEL_TRACES_SAMPLER", "always_on"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
    ];
    let builder = Builder::from_vars(vars).unwrap();
    let builder = builder.otel(|_| panic!("without an endpoint it is not called"));
    let telemetry = builder.with_writer(lines.clone()).init().unwrap();
    tracing::info_span!("job", order = 7).in_scope(|| tracing::info!("done"));
    let names = threads();
    let has_exporter = names.iter().any(|name| name.starts_with("spanwise-otel"));
    assert!(!has_exporter, "{names:?}");
    assert_eq!(telemetry.handle().otel_stats(), Default::default());

    // The line is the same as in a program without the feature.
    let text = lines.text();
    let (_, rest) = text.split_once("Z\"").unwrap();
    let expected = concat!(
        r#","level":"INFO","target":"it::otel_export","message":"done","order":7,"#,
        r#""span":"job","service":{"name":"shop"}}"#,
        "\n"
    );
    assert_eq!(rest, expected);
}

#[cfg(target_os = "linux")]
#[test]
fn each_signal_has_a_thread_with_an_endpoint() {
    alone!();
    let receiver = Receiver::start();
    let (_, telemetry) = start(&receiver, |builder| builder);
    // A new thread sets its name some time after its start.
    let deadline = std::time::Instant::now() + TIMEOUT;
    let is_named = |names: Vec<String>| names.iter().any(|name| name.starts_with("spanwise-otel"));
    while !is_named(threads()) {
        assert!(std::time::Instant::now() < deadline, "{:?}", threads());
        std::thread::yield_now();
    }
    telemetry.shutdown(TIMEOUT);
}

/// Prometheus needs no collector.
#[test]
fn prometheus_alone_turns_metrics_on() {
    use std::{
        io::{Read as _, Write as _},
        net::{Ipv4Addr, TcpListener, TcpStream},
    };

    alone!();
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let text = port.to_string();
    let vars = [
        ("LOG_PRESET", "prod"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", &*text),
    ];
    let lines = Lines::default();
    let builder = Builder::from_vars(vars).unwrap();
    let telemetry = builder.with_writer(lines.clone()).init().unwrap();
    tracing::error!("failed");
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("spanwise_events_total{"), "{answer}");
    // Traces and logs are not exported.
    assert_eq!(lines.only()["trace_id"], Value::Null);
    telemetry.shutdown(TIMEOUT);
}
