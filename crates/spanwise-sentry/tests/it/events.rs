//! The content of an error event: its chain, its request and its breadcrumbs.

use std::error::Error;

use crate::support::{breadcrumbs, one, payment_failed, plain, sent};
use serde_json::json;
use spanwise_core::TargetLevels;
use spanwise_sentry::SentryBuilder;
use tracing::{error, info, info_span, warn};

#[test]
fn error_has_its_whole_cause_chain() {
    let (receiver, stats) = sent(plain, || {
        error!(
            error = &payment_failed() as &dyn Error,
            amount = 19.5,
            "payment failed"
        );
    });
    let event = one(&receiver);
    assert_eq!(event["message"], "payment failed");
    assert_eq!(event["logger"], "it::events");
    let culprit = event["culprit"].as_str().unwrap();
    assert!(culprit.contains("it/events.rs:"), "{culprit}");
    let chain = event["exception"]["values"].as_array().unwrap();
    let shown: Vec<_> = chain
        .iter()
        .map(|link| (&link["type"], &link["value"]))
        .collect();
    assert_eq!(
        shown,
        [
            (&json!("GatewayTimedOut"), &json!("cards did not answer")),
            (
                &json!("PaymentFailed"),
                &json!("the payment could not be taken")
            ),
        ]
    );
    assert_eq!(chain[1]["mechanism"]["type"], "tracing");
    assert_eq!(event["contexts"]["fields"]["amount"], 19.5);
    assert_eq!((stats.sent.delivered, stats.sent.lost()), (1, 0));
}

#[test]
fn event_has_tags_user_and_trace_of_its_request() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let (receiver, _) = sent(
        |builder| {
            builder
                .tag("order_id")
                .release("shop@1.4.0")
                .environment("production")
        },
        || {
            let request = info_span!(
                "http.request",
                request_id = "r-1",
                tenant_id = "acme",
                user_id = 7,
                trace_id = TRACE,
                span_id = "b7ad6b7169203331",
                http.request.method = "POST",
                http.route = "/orders/{id}/pay",
                tags.region = "eu",
                order_id = tracing::field::Empty,
            );
            let _request = request.enter();
            let _pay = info_span!("pay", attempt = 2).entered();
            request.record("order_id", 42);
            error!("payment failed");
        },
    );
    let event = one(&receiver);
    assert_eq!(
        event["tags"],
        json!({ "request_id": "r-1", "tenant_id": "acme", "region": "eu", "order_id": "42" })
    );
    assert_eq!(event["user"], json!({ "id": "7" }));
    assert_eq!(event["contexts"]["trace"]["trace_id"], TRACE);
    assert_eq!(event["contexts"]["trace"]["span_id"], "b7ad6b7169203331");
    assert_eq!(event["contexts"]["spans"]["pay"], json!({ "attempt": 2 }));
    assert_eq!(event["contexts"]["spans"]["http.request"]["order_id"], 42);
    assert_eq!(event["transaction"], "POST /orders/{id}/pay");
    assert_eq!(event["release"], "shop@1.4.0");
    assert_eq!(event["environment"], "production");
    assert!(event["server_name"].is_string(), "{event:#}");
}

#[test]
fn trace_id_of_zeros_is_none() {
    for zeros in [
        "0".repeat(32),
        "00000000-0000-0000-0000-000000000000".to_owned(),
    ] {
        let (receiver, _) = sent(plain, || {
            let _request = info_span!("request", trace_id = %zeros).entered();
            error!("payment failed");
        });
        let trace_id = one(&receiver)["contexts"]["trace"]["trace_id"].to_string();
        assert!(
            trace_id.contains(|c| matches!(c, '1'..='9' | 'a'..='f')),
            "{trace_id}"
        );
    }
}

#[test]
fn breadcrumbs_are_those_of_the_request() {
    let (receiver, _) = sent(plain, || {
        info!("outside");
        let _listener = info_span!("listener").entered();
        info!("listening");
        let one = info_span!("request", request_id = "r-1");
        let other = info_span!("request", request_id = "r-2");
        other.in_scope(|| info!("of another"));
        one.in_scope(|| {
            info!(
                step = 1,
                ok = true,
                share = 0.5,
                left = "a \"lot\"",
                "begun"
            );
            info_span!("inner").in_scope(|| warn!("slow"));
            tracing::debug!("below the level");
            error!("failed");
            error!("failed again");
        });
    });
    let events = receiver.events();
    assert_eq!(breadcrumbs(&events[0]), ["listening", "begun", "slow"]);
    assert_eq!(
        breadcrumbs(&events[1]),
        ["listening", "begun", "slow", "failed"]
    );
    let begun = &events[0]["breadcrumbs"]["values"][1];
    assert_eq!(
        begun["data"],
        json!({ "step": 1, "ok": true, "share": 0.5, "left": "a \"lot\"" })
    );
    assert_eq!(begun["category"], "it::events");
    assert_eq!(events[0]["breadcrumbs"]["values"][2]["level"], "warning");
}

#[test]
fn newest_hundred_breadcrumbs_are_sent() {
    let (receiver, _) = sent(plain, || {
        let _request = info_span!("request").entered();
        for step in 0..250 {
            info!("step {step}");
        }
        error!("failed");
    });
    let event = one(&receiver);
    let breadcrumbs = breadcrumbs(&event);
    assert_eq!(
        (breadcrumbs.len(), breadcrumbs[0], breadcrumbs[99]),
        (100, "step 150", "step 249")
    );
}

#[test]
fn error_text_is_the_message_if_there_is_none() {
    #[tracing::instrument(err)]
    fn pay() -> Result<(), crate::support::PaymentFailed> {
        Err(payment_failed())
    }
    let (receiver, _) = sent(plain, || assert!(pay().is_err()));
    assert_eq!(one(&receiver)["message"], "the payment could not be taken");
}

#[test]
fn log_record_has_its_own_target_file_and_line() {
    use tracing_log::AsTrace as _;
    let (receiver, _) = sent(plain, || {
        let record = log::Record::builder()
            .level(log::Level::Error)
            .target("sqlx::pool")
            .file(Some("src/pool.rs"))
            .line(Some(7))
            .args(format_args!("no connection"))
            .build();
        let _ = record.as_trace();
        tracing_log::format_trace(&record).unwrap();
    });
    let event = one(&receiver);
    assert_eq!(event["logger"], "sqlx::pool");
    assert_eq!(event["culprit"], "sqlx::pool at src/pool.rs:7");
    assert_eq!(event["contexts"]["fields"], serde_json::Value::Null);
}

/// The fields `log.…` are the origin only in records of the `log` crate.
#[test]
fn own_fields_named_like_log_fields_are_sent() {
    let logs = |builder: SentryBuilder| builder.logs("info".parse::<TargetLevels>().unwrap());
    let (receiver, _) = sent(logs, || {
        let span = info_span!(
            "upload",
            log.offset = 12,
            log.target = "of the span",
            log.late = tracing::field::Empty
        );
        let _entered = span.enter();
        span.record("log.late", 7);
        info!(log.file = "a file", log.line = 1, "a breadcrumb");
        error!(target: "log", { log.target = "shop", log.offset = 34, log.file = "x" }, "failed");
    });
    let event = one(&receiver);
    let fields = &event["contexts"]["fields"];
    assert_eq!(fields["log.offset"], 34);
    assert_eq!(fields["log.target"], "shop");
    assert_eq!(fields["log.file"], "x");
    assert_eq!(event["logger"], "log");
    let span = &event["contexts"]["spans"]["upload"];
    assert_eq!(span["log.offset"], 12);
    assert_eq!(span["log.target"], "of the span");
    assert_eq!(span["log.late"], 7);
    let crumb = &event["breadcrumbs"]["values"][0]["data"];
    assert_eq!(crumb["log.file"], "a file");
    assert_eq!(crumb["log.line"], 1);
    let logs = &receiver.items("log")[0]["items"];
    assert_eq!(logs[0]["attributes"]["log.file"]["value"], "a file");
    assert_eq!(logs[1]["attributes"]["log.offset"]["value"], 34);
}

/// Name and value of a tag, and the value that is sent. Sentry reports a processing error for any
/// other tag.
const TAGS: [(&str, &str, Option<&str>); 17] = [
    ("tags.plain", "value", Some("value")),
    ("tags.a.b:c-d_E9", "value", Some("value")),
    (
        "tags.k2345678901234567890123456789012",
        "at its longest",
        Some("at its longest"),
    ),
    (
        "tags.k23456789012345678901234567890123",
        "a key too long",
        None,
    ),
    ("tags.größe", "beyond ASCII", None),
    ("tags.with space", "a space", None),
    ("tags.with/slash", "a slash", None),
    ("tags.", "no key", None),
    ("tags.environment", "staging", Some("staging")),
    ("tags.release", "Sentry's own", None),
    ("tags.user", "Sentry's own", None),
    ("tags.sentry:x", "Sentry's own", None),
    ("tags.empty", "", None),
    ("tags.blank", " \t\r\n", None),
    (
        "tags.lines",
        "\none\r\ntwo\u{2028}three\n",
        Some("one  two three"),
    ),
    ("tags.hidden", "[REDACTED]", None),
    ("tags.wide", "ä", Some("ä")),
];

#[test]
fn only_valid_tags_are_sent_as_tags() {
    for (name, value, tag) in TAGS {
        for on_span in [false, true] {
            let (receiver, stats) = sent(plain, || tagged(name, value, on_span));
            let event = one(&receiver);
            let key = name.strip_prefix("tags.").unwrap();
            assert_eq!(event["tags"][key].as_str(), tag, "{name} {on_span}");
            let is_refused = tag.is_none() && value != "[REDACTED]";
            assert_eq!(
                stats.refused_tags,
                u64::from(is_refused),
                "{name} {on_span}"
            );
            // An invalid tag is a field.
            if tag.is_none() || on_span {
                let context = if on_span {
                    &event["contexts"]["spans"]["tagged"]
                } else {
                    &event["contexts"]["fields"]
                };
                assert_eq!(context[name], value, "{name} {on_span}");
            }
        }
    }
    let long = "ä".repeat(1000);
    let (receiver, _) = sent(plain, || error!(tags.long = long, tenant_id = "", "failed"));
    let event = one(&receiver);
    assert_eq!(event["tags"]["long"].as_str().unwrap(), "ä".repeat(200));
    assert_eq!(event["tags"]["tenant_id"], serde_json::Value::Null);
}

/// Logs an error with the field, on itself or on its span. Field names are literals.
fn tagged(name: &str, value: &str, on_span: bool) {
    macro_rules! with {
        ($($name:literal)*) => {
            match name {
                $($name if on_span => tracing::info_span!("tagged", { $name } = value).in_scope(|| error!("failed")),
                $name => error!({ $name } = value, "failed"),)*
                _ => panic!("{name} is missing"),
            }
        };
    }
    with!("tags.plain" "tags.a.b:c-d_E9" "tags.k2345678901234567890123456789012" "tags.k23456789012345678901234567890123"
        "tags.größe" "tags.with space" "tags.with/slash" "tags." "tags.environment" "tags.release" "tags.user" "tags.sentry:x"
        "tags.empty" "tags.blank" "tags.lines" "tags.hidden" "tags.wide");
}
