//! Clean texts do not allocate. Neither do JSON lines with them, with texts that are hidden, or
//! with keys that are hidden.

#[allow(dead_code, unreachable_pub, reason = "other tests use the rest of it")]
#[path = "../../spanwise-core/tests/support/allocations.rs"]
mod allocations;

use spanwise_core::Redact;
use spanwise_redact::Policy;

#[test]
fn clean_texts_are_borrowed_without_allocation() {
    let policy = Policy::secrets_and_pii();
    let long = "a word, 12 digits: 123456789012; and so on ".repeat(1_000);
    let texts = [
        "",
        "accepted",
        "request finished",
        "customer-0042-of-example",
        "0192f3a4-5b6c-7d8e-9fa0-b1c2d3e4f506",
        "2026-11-20T10:46:12.123456Z",
        "/v1/orders/184467/items?page=2&sort=name",
        r#"{"order":184467,"items":[{"sku":"A-113","count":2}],"note":"leave it at the door"}"#,
        r#"Order { number: 184467, state: Placed, items: ["A-113"], total: 149.95 }"#,
        "https://example.io/orders?number=184467#total",
        "tokens_used=512 at std::fmt::Display, 1.2.3-rc.1, react@18.2.0",
        "the token is empty, basic auth is off, no bearer",
        long.as_str(),
    ];
    // The tables of the detectors are built on first use.
    assert_ne!(policy.text("password=hunter2"), "password=hunter2");
    for text in texts {
        let before = allocations::allocations();
        let shown = policy.text(text);
        let made = allocations::allocations() - before;
        assert_eq!(shown, text);
        assert_eq!(made, 0, "{text}");
    }
}

#[test]
fn clean_json_lines_do_not_allocate() {
    let layer = spanwise_json::JsonLayer::new()
        .redact(std::sync::Arc::new(Policy::secrets_and_pii()))
        .with_writer(std::io::sink);
    let stack =
        tracing_subscriber::layer::SubscriberExt::with(tracing_subscriber::registry(), layer);
    tracing::subscriber::with_default(stack, || {
        let log = |number: u64| {
            let customer = "customer-0042-of-example";
            tracing::info!(
                number,
                amount = 1.5,
                customer,
                password = "hunter2",
                "order {number} \"created\""
            );
            tracing::info!(number, token = number, note = ?customer, "accepted");
        };
        for number in 0..10 {
            log(number);
        }
        let before = allocations::allocations();
        for number in 0..100 {
            log(number);
        }
        assert_eq!(allocations::allocations() - before, 0);
    });
}

/// The line has the text of the policy and a list of redacted fields, without an allocation.
#[test]
fn hidden_texts_do_not_allocate() {
    let layer = spanwise_json::JsonLayer::new()
        .redact(std::sync::Arc::new(Policy::secrets_and_pii()))
        .with_writer(std::io::sink);
    let stack =
        tracing_subscriber::layer::SubscriberExt::with(tracing_subscriber::registry(), layer);
    tracing::subscriber::with_default(stack, || {
        let log = |number: u64| {
            let customer = "customer-0042@example.io";
            tracing::info!(number, customer, "order placed");
            tracing::info!(number, customer, peer = %"203.0.113.77", password = "hunter2", "order");
            tracing::info!("card {} of ada@example.org", "4111 1111 1111 1111");
        };
        for number in 0..10 {
            log(number);
        }
        let before = allocations::allocations();
        for number in 0..100 {
            log(number);
        }
        assert_eq!(allocations::allocations() - before, 0);
    });
}
