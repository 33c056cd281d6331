//! `assert_never_logged`, whose failure does not show the secret.

#![expect(
    clippy::expect_used,
    reason = "a helper of tests may fail as a test does"
)]

use std::{
    error::Error,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use spanwise_testing::{Capture, capture};
use tracing::{info, info_span};

const CARD: &str = "4111111111111111";

/// Returns the message of the failure, which must not contain the secret.
fn leak(logs: &Capture, secret: &str) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| logs.assert_never_logged(secret)))
        .expect_err("the secret was logged");
    let said = panic
        .downcast_ref::<String>()
        .expect("a formatted panic")
        .clone();
    assert!(!said.contains(secret), "the failure shows it: {said}");
    said
}

#[test]
fn unlogged_secret_is_not_found() {
    let logs = capture();
    info_span!("pay", last4 = "1111").in_scope(|| info!(amount = 42, "paid"));
    logs.assert_never_logged(CARD);
}

#[test]
fn message_is_searched() {
    let logs = capture();
    info!("charging {CARD}");
    assert_eq!(
        leak(&logs, CARD),
        "\"4111…\" (16 bytes) was logged, in 1 place:\n    \
         the message of the event INFO it::secrets: charging [4111…]"
    );
}

#[test]
fn fields_of_every_type_are_searched() {
    let logs = capture();
    info!(card = CARD, "text");
    info!(card = 4_111_111_111_111_111_u64, "number");
    info!(card = CARD.as_bytes(), "bytes");
    info!(card = ?CARD.as_bytes().to_vec(), "numbers");
    let said = leak(&logs, CARD);
    assert!(said.contains("in 4 places"), "{said}");
    assert_eq!(
        said.matches("field `card` of the event").count(),
        4,
        "{said}"
    );
    assert!(said.contains("text card=\"[4111…]\""), "{said}");
}

#[test]
fn escaped_debug_is_searched() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "read by `Debug`")]
    struct Login {
        password: &'static str,
    }
    let password = "p\"a\\s\nxyzzy\u{2028}!";
    let logs = capture();
    info!(login = ?Login { password }, "login");
    let said = leak(&logs, password);
    assert!(said.contains("field `login`"), "{said}");
    assert!(!said.contains("xyzzy"), "{said}");
}

#[test]
fn json_body_logged_as_text_is_searched() {
    let logs = capture();
    info!(body = r#"{"password":"a\"b\\cdef"}"#, "received");
    assert!(leak(&logs, "a\"b\\cdef").contains("field `body`"));
}

#[test]
fn errors_and_their_causes_are_searched() {
    #[derive(Debug)]
    struct Declined(Option<Box<Self>>, String);
    impl fmt::Display for Declined {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.1)
        }
    }
    impl Error for Declined {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.0.as_deref().map(|cause| cause as _)
        }
    }
    let cause = Declined(None, format!("no such card: {CARD}"));
    let error = Declined(Some(Box::new(cause)), "payment failed".to_owned());
    let logs = capture();
    info!(error = &error as &dyn Error, "declined");
    logs.one("declined").assert_field("error", "payment failed");
    let said = leak(&logs, CARD);
    assert!(
        said.contains("error=\"payment failed: no such card: [4111…]\""),
        "{said}"
    );
}

#[test]
fn span_fields_are_searched() {
    let logs = capture();
    drop(info_span!("pay", card = CARD));
    let said = leak(&logs, CARD);
    assert!(
        said.contains("field `card` of the span pay{card=\"[4111…]\"}"),
        "{said}"
    );

    let logs = capture();
    info_span!("pay", card = CARD).in_scope(|| info!("paid"));
    let said = leak(&logs, CARD);
    assert!(
        said.contains("field `card` of the span `pay` around the event"),
        "{said}"
    );
}

#[test]
fn replaced_late_records_are_searched() {
    let logs = capture();
    let span = info_span!("pay", card = tracing::field::Empty);
    span.record("card", CARD);
    span.record("card", "[hidden]");
    let said = leak(&logs, CARD);
    assert!(
        said.contains("field `card` of the span pay{card=\"[hidden]\"}"),
        "{said}"
    );
}

#[test]
fn unrouted_events_are_searched() {
    let secret = "unrouted-5500005555555559";
    let logs = capture();
    let other = thread::spawn(capture).join().unwrap();
    thread::spawn(move || {
        info!(secret, "on a plain thread");
        drop(info_span!("plain", secret));
    })
    .join()
    .unwrap();

    logs.none("on a plain thread");
    for logs in [&logs, &other] {
        let said = leak(logs, secret);
        assert!(
            said.contains("field `secret` of an event outside of every capture: INFO"),
            "{said}"
        );
        assert!(
            said.contains("field `secret` of a span outside of every capture: plain{"),
            "{said}"
        );
    }
}

#[test]
fn late_records_of_older_spans_are_searched() {
    let secret = "older-340000000000009";
    let (span, first) = {
        let first = capture();
        (
            info_span!("connection", secret = tracing::field::Empty),
            first,
        )
    };
    drop(first);
    let logs = capture();
    span.record("secret", secret);
    assert!(leak(&logs, secret).contains("a span outside of every capture: connection"));
}

#[test]
fn failure_shows_only_the_start_of_a_secret() {
    let logs = capture();
    info!("pin 1234");
    assert!(leak(&logs, "1234").starts_with("\"12…\" (4 bytes) was logged"));
    assert!(leak(&logs, "4").starts_with("\"…\" (1 byte) was logged"));
}

#[test]
fn failure_in_the_crate_docs_is_real() {
    let logs = capture();
    let request = info_span!("request", tenant_id = "acme", token = "tok_4242424242");
    request.in_scope(|| info!(target: "shop", order_id = 42, "order created"));
    let said = leak(&logs, "tok_4242424242");
    for line in said.lines() {
        assert!(include_str!("../../src/lib.rs").contains(line), "{line}");
    }
}

#[test]
fn many_places_are_counted_and_ten_shown() {
    let logs = capture();
    for _ in 0..14 {
        info!(card = CARD, "paid");
    }
    let said = leak(&logs, CARD);
    assert!(
        said.contains("in 14 places") && said.ends_with("… and 4 more"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 12, "{said}");
}

#[test]
#[should_panic(expected = "an empty text is everywhere")]
fn empty_secret_is_refused() {
    capture().assert_never_logged("");
}
