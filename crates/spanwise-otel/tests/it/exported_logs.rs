//! Log records on their way to a collector.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use spanwise_core::{ContextLayer, Redact};
use spanwise_otel::{LogOptions, Otel, OtelLogs, TraceSampler};
use spanwise_recorder::Recorder;
use spanwise_redact::Policy;
use tracing::{Dispatch, Level, debug, error, event, info, info_span};
use tracing_subscriber::{fmt::MakeWriter, prelude::*};

use crate::support::receiver::{Receiver, body, text};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn consecutive_records_of_a_target_share_a_scope() {
    let receiver = Receiver::start();
    let (otel, guard) = Otel::builder(receiver.endpoint()).build().unwrap();
    let stack = tracing_subscriber::registry().with(otel.logs().unwrap());
    tracing::subscriber::with_default(stack, || {
        for n in 0..6 {
            info!(target: "shop::cart", n, "in the cart");
        }
        info!(target: "shop::pay", "paid");
        info!(target: "shop::cart", "empty");
        error!(target: "shop::pay", "refused");
    });
    let sent = guard.shutdown(LONG).logs;
    assert_eq!((sent.accepted, sent.outcomes.delivered), (9, 9));
    let mut scopes: Vec<String> = receiver
        .logs()
        .iter()
        .map(|log| log.scope.name.clone())
        .collect();
    scopes.dedup();
    scopes.sort_unstable();
    assert_eq!(
        scopes,
        ["shop::cart", "shop::cart", "shop::pay", "shop::pay"]
    );
}

#[test]
fn records_have_the_ids_of_exported_spans() {
    let receiver = Receiver::start();
    let (otel, guard) = Otel::builder(receiver.endpoint()).build().unwrap();
    let stack = tracing_subscriber::registry()
        .with(otel.spans().unwrap())
        .with(otel.logs().unwrap());
    tracing::subscriber::with_default(stack, || {
        for n in 0..100 {
            let request = info_span!("request").entered();
            info!(n, "received");
            info_span!("charge").in_scope(|| info!(n, "charged"));
            info!(parent: request.id(), n, "answered");
            info!(parent: None, n, "outside");
        }
    });
    guard.shutdown(LONG);
    let spans = receiver.spans();
    let logs = receiver.logs();
    assert_eq!((spans.len(), logs.len()), (200, 400));
    for log in logs {
        let name = match body(&log.item.body) {
            "received" | "answered" => "request",
            "charged" => "charge",
            _ => {
                assert!(log.item.trace_id.is_empty() && log.item.span_id.is_empty());
                continue;
            }
        };
        let ids = (&log.item.trace_id, &log.item.span_id);
        let mut of_log = spans.iter().map(|span| &span.item);
        let span = of_log.find(|span| (&span.trace_id, &span.span_id) == ids);
        assert_eq!(span.unwrap().name, name);
        assert_eq!(log.item.flags & 1, 1);
    }
}

#[test]
fn logs_of_unsampled_traces_are_dropped_on_request() {
    let receiver = Receiver::start();
    let (otel, guard) = Otel::builder(receiver.endpoint())
        .span_options(|options| {
            options.sampler(TraceSampler::from_name("always_off", None).unwrap())
        })
        .log_options(|options| options.only_sampled_traces())
        .build()
        .unwrap();
    let stack = tracing_subscriber::registry()
        .with(otel.spans().unwrap())
        .with(otel.logs().unwrap());
    tracing::subscriber::with_default(stack, || {
        info_span!("request").in_scope(|| {
            info!("dropped");
            error!("kept");
        });
        info!("outside");
    });
    let stats = guard.shutdown(LONG);
    assert_eq!((stats.logs.accepted, stats.unsampled_logs), (2, 1));
}

#[test]
fn policy_of_the_exporter_redacts_records_and_context() {
    let receiver = Receiver::start();
    let policy: Arc<dyn Redact> = Arc::new(Policy::secrets_and_pii());
    let (otel, guard) = Otel::builder(receiver.endpoint())
        .redact(policy)
        .log_options(|options| options.context_key("job"))
        .build()
        .unwrap();
    // The context has no policy of its own.
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default().key("job"))
        .with(otel.logs().unwrap());
    tracing::subscriber::with_default(stack, || {
        let _job = info_span!("job", job = "password=hunter2-a", request_id = "r-1").entered();
        info!(password = "hunter2-b", "the password=hunter2-c");
    });
    guard.shutdown(LONG);
    let logs = receiver.logs();
    let record = &logs[0].item;
    assert_eq!(text(&record.attributes, "request_id"), Some("r-1"));
    assert_eq!(text(&record.attributes, "password"), Some("[REDACTED]"));
    let bytes = &receiver.requests()[0].body;
    let secret = b"hunter2";
    assert!(
        !bytes.windows(secret.len()).any(|part| part == secret),
        "{record:#?}"
    );
}

#[test]
fn recorder_before_the_exporter_sends_what_it_writes() {
    let receiver = Receiver::start();
    let (otel, guard) = Otel::builder(receiver.endpoint()).build().unwrap();
    let recorder = Recorder::default();
    let levels = spanwise_core::LevelLayer::new("info".parse().unwrap());
    let levels = levels.capture(recorder.levels());
    let writer = otel.log_writer().unwrap();
    let sink = recorder.sink(writer, levels.handle(), |writer| {
        OtelLogs::new(writer, LogOptions::default())
    });
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(sink).with(levels));
    tracing::dispatcher::with_default(&dispatch, || {
        for order in [41, 42] {
            let _request = info_span!("request", order).entered();
            debug!("looked up {order}");
            if order == 42 {
                error!("no such order");
            }
        }
    });
    drop(dispatch);
    let sent = guard.shutdown(LONG).logs;
    assert_eq!((sent.accepted, sent.outcomes.delivered), (3, 3));
    let logs = receiver.logs();
    let bodies: Vec<&str> = logs.iter().map(|log| body(&log.item.body)).collect();
    assert!(bodies.contains(&"looked up 42"), "{bodies:?}");
    assert!(!bodies.contains(&"looked up 41"), "{bodies:?}");
}

#[test]
fn write_of_several_records_exports_each() {
    let receiver = Receiver::start();
    let (otel, guard) = Otel::builder(receiver.endpoint()).build().unwrap();
    let records = Records::default();
    let layer = OtelLogs::new(records.clone(), LogOptions::default());
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    tracing::dispatcher::with_default(&dispatch, || {
        info!("first");
        info!("second");
    });
    let mut writer = &otel.log_writer().unwrap();
    writer.write_all(&records.0.lock().unwrap()).unwrap();
    assert!(writer.write_all(b"no record").is_err());
    let sent = guard.shutdown(LONG).logs;
    assert_eq!((sent.accepted, sent.outcomes.delivered), (2, 2));
    let logs = receiver.logs();
    let bodies: Vec<&str> = logs.iter().map(|log| body(&log.item.body)).collect();
    assert_eq!(bodies, ["first", "second"]);
}

/// Collects records.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<u8>>>);

impl Write for Records {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(record)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Records {
    type Writer = Self;

    fn make_writer(&'w self) -> Self::Writer {
        self.clone()
    }
}

#[test]
fn signal_that_is_off_has_no_layer() {
    let receiver = Receiver::start();
    let (otel, _guard) = Otel::builder(receiver.endpoint())
        .logs(|logs| logs.off())
        .build()
        .unwrap();
    assert!(otel.logs().is_none() && otel.log_writer().is_none());
}

/// `spanwise::critical!` makes such an event.
#[test]
fn critical_events_are_fatal() {
    let receiver = Receiver::start();
    let (otel, guard) = Otel::builder(receiver.endpoint()).build().unwrap();
    let stack = tracing_subscriber::registry().with(otel.logs().unwrap());
    tracing::subscriber::with_default(stack, || {
        event!(name: "critical", Level::ERROR, "no database");
        event!(name: "critical", Level::WARN, "a warning of this name");
    });
    guard.shutdown(LONG);
    let logs = receiver.logs();
    let item = |number: usize| &logs[number].item;
    assert_eq!(item(0).severity_number, 21);
    assert_eq!(item(0).severity_text, "FATAL");
    assert_eq!(item(0).event_name, "");
    assert_eq!(item(1).severity_number, 13);
    assert_eq!(item(1).event_name, "critical");
}
