//! Layers and clients of other crates, which a program keeps.

use serde_json::Value;

use crate::{program::Program, receiver::Receiver};

#[test]
fn files_of_tracing_appender_get_lines() {
    let done = Program::new("beside_appender").run();
    assert!(done.status.success(), "{}", done.stderr);

    // Theirs has the day in its name, ours from the day on that it is rolled.
    let files = done.files();
    let [ours, theirs] = &files[..] else {
        panic!("{files:?}")
    };
    assert_eq!(ours, "ours.log");
    assert!(theirs.starts_with("theirs.20"), "{theirs}");
    for file in files {
        let line: Value = serde_json::from_str(&done.file(&file)).unwrap();
        assert_eq!(line["message"], "order created");
        assert_eq!(line["order_id"], 42);
        assert_eq!(line["password"], "[REDACTED]");
    }
    assert_eq!(done.stdout, "");
}

#[test]
fn span_trace_shows_redacted_fields() {
    let done = Program::new("beside_error").run();
    let line = done.line("payment failed");
    assert_eq!(line["error"]["message"], "the card is expired");
    let spans = line["span_trace"].as_str().unwrap();
    assert!(spans.contains("beside_error::pay"), "{spans}");
    assert!(
        spans.contains("order_id=42 password=\"[REDACTED]\""),
        "{spans}"
    );
}

#[test]
fn span_fields_are_metric_labels() {
    let done = Program::new("beside_metrics").run();
    let metric = &done.line("measured")["metric"];
    assert_eq!(
        *metric,
        "Key(orders, [tenant_id = acme, api_token = [REDACTED], user_id = ada])"
    );
}

#[test]
fn lines_name_the_trace_that_opentelemetry_exports() {
    let done = Program::new("beside_opentelemetry").run();
    assert!(done.status.success(), "{}", done.stderr);
    let trace_id = &done.line("order loaded")["trace_id"];
    assert_eq!(done.line("request served")["trace_id"], *trace_id);
    let exported = done.lines();
    let exported: Vec<_> = exported
        .iter()
        .filter(|line| line["message"] == "exported")
        .collect();
    let [order, request] = &exported[..] else {
        panic!("{exported:#?}")
    };
    for span in [order, request] {
        assert_eq!(span["otel.trace_id"], *trace_id, "{span}");
    }
    let attributes = order["attributes"].as_str().unwrap();
    assert!(attributes.contains("[REDACTED]"), "{attributes}");
    assert!(!done.stdout.contains("hunter2"), "{}", done.stdout);
}

#[test]
fn sentry_tracing_has_context_and_no_secrets() {
    let receiver = Receiver::start();
    let done = Program::new("beside_sentry")
        .env("SHOP_SENTRY_DSN", &receiver.dsn())
        .run();
    assert!(done.status.success(), "{}", done.stderr);
    receiver.wait_for(2);

    // Each once: the layer is the only way to Sentry.
    let events = receiver.events();
    let [failed, panicked] = &events[..] else {
        panic!("{events:#?}")
    };
    assert_eq!(failed["message"], "payment failed: card [REDACTED]");
    assert_eq!(failed["tags"]["request_id"], "r-1");
    assert_eq!(failed["tags"]["tenant_id"], "acme");
    assert_eq!(failed["user"]["id"], "ada");
    let fields = &failed["contexts"]["Rust Tracing Fields"];
    assert_eq!(fields["password"], "[REDACTED]");
    let crumbs = &failed["breadcrumbs"]["values"];
    assert_eq!(crumbs[0]["message"], "asking the gateway");

    let text = panicked.to_string();
    assert!(text.contains("no connection to postgres://"), "{text}");
    for event in events {
        let text = event.to_string();
        assert!(
            !text.contains("hunter2") && !text.contains("4111 1111"),
            "{text}"
        );
    }
}

#[test]
fn existing_client_hands_over_to_the_part_for_sentry() {
    let receiver = Receiver::start();
    let done = Program::new("sentry_takeover")
        .env("SENTRY_DSN", &receiver.dsn())
        .run();
    assert!(done.status.success(), "{}", done.stderr);
    receiver.wait_for(2);

    let mut events = receiver.events();
    assert_eq!(events.len(), 2, "{events:#?}");
    events.sort_by_key(|event| !event.to_string().contains("payment failed"));
    assert_eq!(events[0]["tags"]["request_id"], "r-1");
    let captured = events[1].to_string();
    assert!(captured.contains("[REDACTED] is refused"), "{captured}");
    assert!(!captured.contains("hunter2"), "{captured}");
}
