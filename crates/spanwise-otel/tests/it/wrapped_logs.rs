//! Logs behind a flight recorder, a sampler and a policy.

use std::{error::Error, fmt, sync::Arc};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use spanwise_core::{ContextLayer, LayerExt as _, LevelLayer, Redact};
use spanwise_otel::{LogOptions, OtelLogs, SpanFields};
use spanwise_recorder::Recorder;
use spanwise_redact::Policy;
use spanwise_sample::{SampleExt as _, Sampler};
use tracing::{Dispatch, debug, error, field::Empty, info, info_span};
use tracing_subscriber::prelude::*;

use crate::support::records::{Record, Records};

fn logs(records: Records) -> OtelLogs<Records> {
    OtelLogs::new(records, LogOptions::default())
}

#[test]
fn buffered_records_of_a_failing_request_are_written() {
    let records = Records::default();
    let recorder = Recorder::default();
    let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
    let sink = recorder.sink(records.clone(), levels.handle(), |writer| {
        logs(Records::default()).with_writer(writer)
    });
    let stack = tracing_subscriber::registry().with(sink).with(levels);
    tracing::subscriber::with_default(stack, || {
        for order in [41, 42] {
            let _request = info_span!("request", order).entered();
            debug!(rows = order - 41, "looked up");
            info!("received");
            if order == 42 {
                assert_eq!(records.bodies(), ["received", "received"]);
                error!("no such order");
            }
        }
    });
    let header = "flight recorder: buffered events of this request follow";
    let expected = ["received", "received", header, "looked up", "no such order"];
    assert_eq!(records.bodies(), expected);
    let looked_up = records.with_body("looked up");
    assert_eq!(looked_up.int("rows"), Some(1));
    assert_eq!(looked_up.value("buffered"), Some(&Value::BoolValue(true)));
    assert_eq!(looked_up.record.severity_number, 5);
    assert_eq!(looked_up.scope, module_path!());
    assert_eq!(records.with_body("no such order").value("buffered"), None);
    assert_eq!(records.with_body(header).scope, "spanwise::recorder");
}

#[test]
fn sampled_record_has_its_rate() {
    let records = Records::default();
    let sampler: Sampler = "info=first:1/2".parse().unwrap();
    let stack = tracing_subscriber::registry().with(logs(records.clone()).sampled(sampler.clone()));
    tracing::subscriber::with_default(stack, || {
        for n in 0..5 {
            info!(n, sample_rate = "of the event", buffered = 1, "often");
        }
        error!("exempt");
        sampler.emit_summaries();
    });
    let all = records.all();
    let rates = all.iter().filter(|record| record.body() == "often");
    let rates: Vec<_> = rates.map(|record| record.value("sample_rate")).collect();
    let own = Value::StringValue("of the event".to_owned());
    let half = Value::DoubleValue(0.5);
    assert_eq!(rates[..2], [Some(&own), Some(&half)], "{all:#?}");
    let second = &all[1];
    assert_eq!(second.text("fields.sample_rate"), Some("of the event"));
    assert_eq!(second.int("buffered"), Some(1));
    assert_eq!(records.with_body("exempt").value("sample_rate"), None);
}

#[test]
fn suppressed_events_are_counted() {
    let records = Records::default();
    let sampler: Sampler = "info=2/s".parse().unwrap();
    let stack = tracing_subscriber::registry().with(logs(records.clone()).sampled(sampler.clone()));
    tracing::subscriber::with_default(stack, || {
        for n in 0..10 {
            info!(n, "often");
        }
        sampler.emit_summaries();
    });
    let kept = records
        .bodies()
        .iter()
        .filter(|body| *body == "often")
        .count();
    let summaries = records.all();
    let summaries = summaries
        .iter()
        .filter(|record| record.body() == "events suppressed");
    let suppressed: i64 = summaries
        .filter_map(|record| record.int("suppressed"))
        .sum();
    assert_eq!(kept as i64 + suppressed, 10);
}

#[test]
fn levels_do_not_drop_summaries() {
    let records = Records::default();
    let sampler: Sampler = "info=2/s".parse().unwrap();
    let options = LogOptions::default().levels("shop=info".parse().unwrap());
    let sink = OtelLogs::new(records.clone(), options).sampled(sampler.clone());
    let stack = tracing_subscriber::registry().with(sink);
    tracing::subscriber::with_default(stack, || {
        for n in 0..10 {
            info!(target: "shop::pay", n, "often");
            info!(target: "hyper", n, "not exported");
        }
        sampler.emit_summaries();
        info!(target: "spanwise::sampler", "of the application");
    });
    let suppressed: i64 = records
        .all()
        .iter()
        .filter_map(|record| record.int("suppressed"))
        .sum();
    let bodies = records.bodies();
    let kept = bodies.iter().filter(|body| *body == "often").count();
    // No summary counts the events of `hyper`.
    assert_eq!(kept as i64 + suppressed, 10, "{bodies:?}");
    assert!(!bodies.iter().any(|body| body == "of the application"));
}

#[test]
fn levels_do_not_drop_the_header_of_a_dump() {
    let records = Records::default();
    let recorder = Recorder::default();
    let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
    let options = LogOptions::default().levels("shop=debug".parse().unwrap());
    let sink = recorder.sink(records.clone(), levels.handle(), |writer| {
        OtelLogs::new(writer, options)
    });
    let stack = tracing_subscriber::registry().with(sink).with(levels);
    tracing::subscriber::with_default(stack, || {
        let _request = info_span!("request").entered();
        debug!(target: "shop::stock", "looked up");
        error!(target: "shop::pay", "no such order");
    });
    let header = "flight recorder: buffered events of this request follow";
    assert_eq!(records.bodies(), [header, "looked up", "no such order"]);
}

/// Returns a record that represents others, because a sampler dropped those.
fn sampled_record(options: LogOptions, log: fn()) -> Record {
    let records = Records::default();
    let sampler: Sampler = "info=first:1/2".parse().unwrap();
    let sink = OtelLogs::new(records.clone(), options).sampled(sampler);
    let stack = tracing_subscriber::registry().with(sink);
    tracing::subscriber::with_default(stack, || {
        let _request = info_span!("request", request_id = "r-1").entered();
        for _ in 0..3 {
            log();
        }
    });
    records.all().remove(1)
}

/// Returns a record that a flight recorder buffered.
fn buffered_record(options: LogOptions, log: fn()) -> Record {
    let records = Records::default();
    let recorder = Recorder::default();
    let levels = LevelLayer::new("warn".parse().unwrap()).capture(recorder.levels());
    let sink = recorder.sink(records.clone(), levels.handle(), |writer| {
        OtelLogs::new(writer, options)
    });
    let stack = tracing_subscriber::registry().with(sink).with(levels);
    tracing::subscriber::with_default(stack, || {
        let _request = info_span!("request", request_id = "r-1").entered();
        log();
        error!("failed");
    });
    // After the header.
    records.all().remove(1)
}

#[test]
fn limits_do_not_drop_the_facts_of_a_record() {
    let few = LogOptions::default().max_attributes(1);
    let log = || info!(n = 1, m = 2, "often");
    let sampled = sampled_record(few.clone(), log);
    assert_eq!(sampled.keys(), ["n", "sample_rate"]);
    let buffered = buffered_record(few, log);
    assert_eq!(buffered.keys(), ["n", "buffered"]);
    // The second field and the context key of each.
    for record in [sampled, buffered] {
        assert_eq!(record.record.dropped_attributes_count, 2);
    }

    let large = sampled_record(LogOptions::default(), || {
        let long = "x".repeat(16 * 1024);
        info!(a = long, b = long, c = long, d = long, "{long}");
    });
    assert_eq!(large.keys(), ["a", "b", "sample_rate", "request_id"]);
    assert_eq!(large.record.dropped_attributes_count, 2);
}

/// An error with a secret in each text.
#[derive(Debug)]
struct Leaky(&'static str, Option<Box<Self>>);

impl fmt::Display for Leaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot log in with password={}", self.0)
    }
}

impl Error for Leaky {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|cause| cause as _)
    }
}

const SECRETS: [&str; 9] = [
    "hunter2-field",
    "hunter2-late",
    "hunter2-message",
    "hunter2-error",
    "hunter2-cause",
    "hunter2-debug",
    "hunter2-bytes",
    "hunter2-context",
    "hunter2-span",
];

fn log_secrets() {
    let request = info_span!(
        "request",
        password = SECRETS[8],
        note = Empty,
        job = "password=hunter2-context"
    );
    let _entered = request.enter();
    request.record("note", "password=hunter2-late");
    let error = Leaky(SECRETS[3], Some(Box::new(Leaky(SECRETS[4], None))));
    info!(password = SECRETS[0], "first");
    info!("the password={} is wrong", SECRETS[2]);
    error!(error = &error as &(dyn Error + 'static), "failed");
    error!(error = &error as &(dyn Error + 'static));
    error!(%error);
    info!(value = ?("password=hunter2-debug",), "debug");
    info!(value = &b"password=hunter2-bytes"[..], "bytes");
}

#[test]
fn planted_secrets_are_not_in_the_bytes() {
    let policy: Arc<dyn Redact> = Arc::new(Policy::secrets_and_pii());
    let written = |policy: Option<Arc<dyn Redact>>| {
        let records = Records::default();
        let options = LogOptions::default()
            .context_key("job")
            .span_fields(SpanFields::Only(vec!["password".into(), "note".into()]))
            .source_location();
        let layer = OtelLogs::new(records.clone(), options);
        let context = ContextLayer::default().key("job");
        let dispatch = match policy {
            Some(policy) => Dispatch::new(
                tracing_subscriber::registry()
                    .with(context.redact(Arc::clone(&policy)))
                    .with(layer.redacted(policy)),
            ),
            None => Dispatch::new(tracing_subscriber::registry().with(context).with(layer)),
        };
        tracing::dispatcher::with_default(&dispatch, log_secrets);
        records
    };
    let contains = |records: &Records, secret: &str| {
        let bytes = records.bytes();
        bytes
            .windows(secret.len())
            .any(|part| part == secret.as_bytes())
    };
    let open = written(None);
    let closed = written(Some(policy));
    for secret in SECRETS {
        assert!(contains(&open, secret), "{secret} was logged");
        assert!(!contains(&closed, secret), "{secret} is exported");
    }
    assert_eq!(closed.all().len(), open.all().len());
    let failed = closed.with_body("failed");
    assert_eq!(failed.text("exception.type"), Some("Leaky"));
    assert_eq!(failed.text("password"), Some("[REDACTED]"));
}
