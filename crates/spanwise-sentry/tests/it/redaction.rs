//! Redaction of everything that is sent, including data of hooks and direct calls.

use std::{error::Error, fmt, sync::Arc};

use crate::support::{Receiver, sent};
use sentry_core::{Envelope, Hub, protocol};
use serde_json::Value;
use spanwise_redact::Policy;
use spanwise_sentry::SentryBuilder;
use tracing::{error, info, info_span};

const SECRET: &str = "hunter2hunter2";

#[derive(Debug)]
struct Leaky;

impl fmt::Display for Leaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot log in: password={SECRET}")
    }
}

impl Error for Leaky {}

fn redacting(builder: SentryBuilder) -> SentryBuilder {
    builder.redact(Arc::new(Policy::secrets_and_pii()))
}

#[track_caller]
fn assert_no_secret(receiver: &Receiver) {
    assert!(!receiver.bodies().is_empty());
    for body in receiver.bodies() {
        let text = String::from_utf8(body).unwrap();
        assert!(!text.contains(SECRET), "{text}");
    }
}

fn leak() {
    let request = info_span!(
        "login",
        password = SECRET,
        request_id = "r-1",
        late = tracing::field::Empty
    );
    let _request = request.enter();
    request.record("late", format!("password={SECRET}"));
    info!(token = SECRET, "with password={SECRET}");
    error!(
        error = &Leaky as &dyn Error,
        api_key = SECRET,
        "with password={SECRET}"
    );
}

#[test]
fn logged_secrets_are_redacted() {
    let all = |builder| {
        redacting(builder)
            .traces_sample_rate(1.0)
            .logs("info".parse::<spanwise_core::TargetLevels>().unwrap())
    };
    let (receiver, stats) = sent(all, leak);
    assert_no_secret(&receiver);
    let event = crate::support::one(&receiver);
    assert_eq!(
        event["contexts"]["spans"]["login"]["password"],
        "[REDACTED]"
    );
    assert_eq!(
        event["exception"]["values"][0]["value"],
        "cannot log in: password=[REDACTED]"
    );
    assert_eq!(event["exception"]["values"][0]["type"], "Leaky");
    assert_eq!(event["tags"]["request_id"], "r-1");
    // The event, the transaction, and two logs.
    assert_eq!(stats.sent.delivered, 4, "{stats:?}");
}

#[test]
fn secrets_added_by_a_hook_are_redacted() {
    let hooked = |builder| {
        redacting(builder).before_send(|mut event| {
            event.message = Some(format!("with password={SECRET}"));
            event.tags.insert("api_key".to_owned(), SECRET.to_owned());
            event.extra.insert(
                "login".to_owned(),
                serde_json::json!({ "password": SECRET, "steps": [1, 2] }),
            );
            Some(event)
        })
    };
    let (receiver, _) = sent(hooked, leak);
    assert_no_secret(&receiver);
    let event = crate::support::one(&receiver);
    assert_eq!(event["message"], "with password=[REDACTED]");
    assert_eq!(event["extra"]["login"]["steps"], serde_json::json!([1, 2]));
    assert_eq!(event["tags"]["request_id"], "r-1");
}

#[test]
fn secrets_given_to_the_client_are_redacted() {
    let receiver = Receiver::start();
    let (_layer, guard) = redacting(crate::support::builder(&receiver))
        .build()
        .unwrap();
    let hub = Arc::new(Hub::new(
        Some(guard.sentry().client()),
        Arc::new(sentry_core::Scope::default()),
    ));
    Hub::run(hub, || {
        Hub::current().configure_scope(|scope| {
            scope.set_tag("token", SECRET);
            scope.add_attachment(protocol::Attachment {
                buffer: format!("password={SECRET}").into_bytes(),
                filename: "notes.txt".to_owned(),
                ..protocol::Attachment::default()
            });
        });
        sentry_core::add_breadcrumb(protocol::Breadcrumb {
            message: Some(format!("password={SECRET}")),
            ..protocol::Breadcrumb::default()
        });
        sentry_core::capture_message(
            &format!("with password={SECRET}"),
            sentry_core::Level::Error,
        );
    });
    let stats = guard.shutdown(std::time::Duration::from_secs(60));
    assert_eq!(stats.sent.delivered, 1);
    assert_no_secret(&receiver);
    let text = String::from_utf8(receiver.bodies().remove(0)).unwrap();
    assert!(text.contains("password=[REDACTED]"), "{text}");
}

#[test]
fn only_personal_data_of_a_session_is_redacted() {
    let attributes = serde_json::json!({
        "release": "shop@1.2.3", "environment": "prod", "ip_address": "203.0.113.7",
        "user_agent": "agent of ada@example.org",
    });
    let session = serde_json::json!({
        "sid": "4d7f1d4c-9c1b-4f4e-8e0e-2f1b5a0c9d3e", "did": "ada@example.org", "init": true,
        "started": "2026-11-28T10:00:00Z", "status": "exited", "errors": 0, "attrs": attributes,
    });
    let sessions = serde_json::json!({
        "aggregates": [{ "started": "2026-11-28T10:00:00Z", "did": "ada@example.org", "exited": 2 }],
        "attrs": attributes,
    });
    let item = |ty, payload: &Value| format!("{{\"type\":\"{ty}\"}}\n{payload}\n");
    let envelope = format!(
        "{{}}\n{}{}",
        item("session", &session),
        item("sessions", &sessions)
    );
    let builtin = Policy::secrets_and_pii();
    let hiding = Policy::secrets_and_pii().hide("status").unwrap();
    let allowing = Policy::allow_only(["order_id"]).unwrap();
    let policies = [
        (builtin, "agent of [REDACTED]"),
        (hiding, "agent of [REDACTED]"),
        (allowing, "[REDACTED]"),
    ];
    for (policy, agent) in policies {
        let receiver = Receiver::start();
        let builder = crate::support::builder(&receiver).redact(Arc::new(policy));
        let (_layer, guard) = builder.build().unwrap();
        let envelope = Envelope::from_slice(envelope.as_bytes()).unwrap();
        guard.sentry().client().send_envelope(envelope);
        guard.shutdown(std::time::Duration::from_secs(60));
        let mut expected = [session.clone(), sessions.clone()];
        expected[0]["did"] = "[REDACTED]".into();
        expected[1]["aggregates"][0]["did"] = "[REDACTED]".into();
        for (ty, mut expected) in ["session", "sessions"].into_iter().zip(expected) {
            // A text that is not an address could not be parsed.
            expected["attrs"] = serde_json::json!({
                "release": "shop@1.2.3", "environment": "prod", "user_agent": agent,
            });
            let received = receiver.items(ty).remove(0);
            for (key, value) in expected.as_object().unwrap() {
                assert_eq!(&received[key], value, "{key} of {received}");
            }
        }
    }
}

#[test]
fn masked_value_is_not_redacted_again() {
    use spanwise_redact::Action;
    let kept = |builder: SentryBuilder| {
        let policy = Policy::secrets_and_pii()
            .hide_with("iban", Action::KeepLast(4))
            .unwrap();
        builder.redact(Arc::new(policy)).before_send(Some)
    };
    let (receiver, _) = sent(kept, || {
        error!(iban = "DE89 3704 0044 0532 0130 00", "failed")
    });
    let event = crate::support::one(&receiver);
    let shown = event["contexts"]["fields"]["iban"].as_str().unwrap();
    assert!(shown.starts_with("***") && shown.len() == 7, "{shown}");
}

/// Returns the body of the envelope with this attachment.
fn sent_attachment(buffer: Vec<u8>) -> Vec<u8> {
    let receiver = Receiver::start();
    let (_layer, guard) = redacting(crate::support::builder(&receiver))
        .build()
        .unwrap();
    let hub = Arc::new(Hub::new(
        Some(guard.sentry().client()),
        Arc::new(sentry_core::Scope::default()),
    ));
    Hub::run(hub, || {
        Hub::current().configure_scope(|scope| {
            scope.add_attachment(protocol::Attachment {
                buffer,
                filename: "screen.png".to_owned(),
                ..protocol::Attachment::default()
            });
        });
        sentry_core::capture_message("with an attachment", sentry_core::Level::Error);
    });
    guard.shutdown(std::time::Duration::from_secs(60));
    receiver.bodies().remove(0)
}

#[test]
fn attachment_without_secrets_is_unchanged() {
    const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n\x00\xff\xfe";
    let body = sent_attachment(PICTURE.to_vec());
    assert!(body.windows(PICTURE.len()).any(|bytes| bytes == PICTURE));
}

#[test]
fn long_attachment_is_cut() {
    let text = "line\n".repeat(20_000) + "the end";
    let body = String::from_utf8(sent_attachment(text.into_bytes())).unwrap();
    assert!(body.contains("line\n[REDACTED]"), "{} bytes", body.len());
    assert!(!body.contains("the end") && body.len() < 70_000);
}
