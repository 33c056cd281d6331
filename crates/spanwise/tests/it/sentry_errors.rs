//! Sentry in the facade receives errors with their request, and each panic once, also with filtered
//! layers and a recorder. It receives no event that is only buffered.

use std::{thread, time::Duration};

use crate::receiver::Receiver;
use crate::support::Lines;
use serde_json::Value;
use spanwise::{Builder, record::Recorder};
use tracing::{Level, debug, error, info, info_span, level_filters::LevelFilter};
use tracing_subscriber::prelude::*;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[test]
fn sentry_errors_have_their_request() {
    alone!();
    let receiver = Receiver::start();
    let lines = Lines::default();
    let filtered = tracing_subscriber::fmt::layer()
        .with_writer(std::io::sink)
        .with_filter(LevelFilter::ERROR);
    let vars = [
        ("LOG_PRESET", "prod"),
        ("SENTRY_DSN", &*receiver.dsn()),
        ("SENTRY_ENVIRONMENT", "staging"),
    ];
    let telemetry = Builder::from_vars(vars)
        .unwrap()
        .with_writer(lines.clone())
        .service("shop", "1.4.0")
        .context_key("order_id")
        .recorder(Recorder::default())
        .layer(filtered)
        .sentry(|sentry| sentry.ignore_message("nobody's business"))
        .init()
        .unwrap();

    let request = info_span!(
        "http.request",
        request_id = "r-1",
        tenant_id = "acme",
        user_id = "u-7",
        trace_id = TRACE,
        order_id = 42
    );
    request.in_scope(|| {
        info!(password = "hunter2hunter2", "taking the payment");
        debug!("only kept by the recorder");
        for _ in 0..3 {
            // The filter's decision about this must not be applied to the error.
            let _ = tracing::enabled!(Level::DEBUG);
            error!("nobody's business");
        }
        let _ = tracing::enabled!(Level::DEBUG);
        error!("payment failed");
    });
    let panicking = request.clone();
    let panicking = thread::spawn(move || panicking.in_scope(|| panic!("out of stock")));
    assert!(panicking.join().is_err());
    drop(request);

    let handle = telemetry.handle();
    assert!(handle.flush(Duration::from_secs(20)));
    assert_eq!(handle.sentry_stats().ignored, 3);
    let sink = handle
        .stats()
        .sinks
        .into_iter()
        .find(|sink| sink.name == "sentry")
        .unwrap();
    assert_eq!((sink.delivered, sink.lost()), (2, 0));
    let lines_delivered: u64 = handle
        .stats()
        .sinks
        .iter()
        .filter(|sink| sink.name != "sentry")
        .map(|sink| sink.delivered)
        .sum();
    let report = telemetry.shutdown(Duration::from_secs(20));
    assert_eq!((report.delivered, report.lost), (lines_delivered + 2, 0));

    let events = receiver.events();
    let [failed, panicked] = &events[..] else {
        panic!("{events:#?}")
    };
    let line = lines.with_message("payment failed");
    assert_eq!(failed["message"], "payment failed");
    assert_eq!(failed["contexts"]["trace"]["trace_id"], line["trace_id"]);
    assert_eq!(failed["release"], "shop@1.4.0");
    assert_eq!(failed["environment"], "staging");
    let tags = serde_json::json!({ "request_id": "r-1", "tenant_id": "acme", "order_id": "42" });
    assert_eq!(failed["tags"], tags);
    assert_eq!(failed["user"]["id"], "u-7");
    let said = |event: &Value| -> Vec<String> {
        let crumbs = event["breadcrumbs"]["values"].as_array().unwrap();
        crumbs
            .iter()
            .map(|crumb| crumb["message"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(said(failed)[0], "taking the payment");
    assert!(!said(failed).contains(&"only kept by the recorder".to_owned()));
    assert_eq!(
        failed["breadcrumbs"]["values"][0]["data"]["password"],
        "[REDACTED]"
    );

    assert_eq!(panicked["level"], "fatal");
    assert_eq!(panicked["tags"], tags);
    let exception = &panicked["exception"]["values"][0];
    assert_eq!(
        (&exception["type"], &exception["value"]),
        (&"panic".into(), &"out of stock".into())
    );
    assert_eq!(exception["mechanism"]["handled"], false);
    let frames = exception["stacktrace"]["frames"].as_array().unwrap();
    let last = frames.last().unwrap();
    let function = last["function"].as_str().unwrap();
    assert!(function.starts_with("it::sentry_errors::"), "{function}");
    assert!(
        last["filename"]
            .as_str()
            .unwrap()
            .ends_with("it/sentry_errors.rs")
    );
    assert_eq!(last["in_app"], true);
}
