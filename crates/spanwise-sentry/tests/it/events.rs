//! What an error brings along: its chain, its request, and what was logged in it before.

use std::error::Error;

use crate::support::{crumbs, one, payment_failed, plain, sent};
use serde_json::json;
use tracing::{error, info, info_span, warn};

#[test]
fn with_the_whole_chain_of_its_causes() {
    let (receiver, stats) = sent(plain, || {
        error!(
            error = &payment_failed() as &dyn Error,
            amount = 19.5,
            "payment failed"
        );
    });
    let event = one(&receiver);
    assert_eq!(event["message"], "payment failed");
    assert_eq!(event["logger"], "an_error_arrives_with_its_request");
    let culprit = event["culprit"].as_str().unwrap();
    assert!(
        culprit.contains("an_error_arrives_with_its_request.rs:"),
        "{culprit}"
    );
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
fn with_tags_user_and_trace_of_its_request() {
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
fn with_the_breadcrumbs_of_its_request_and_of_no_other() {
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
            tracing::debug!("nobody's business");
            error!("failed");
            error!("failed again");
        });
    });
    let events = receiver.events();
    assert_eq!(crumbs(&events[0]), ["listening", "begun", "slow"]);
    assert_eq!(crumbs(&events[1]), ["listening", "begun", "slow", "failed"]);
    let begun = &events[0]["breadcrumbs"]["values"][1];
    assert_eq!(
        begun["data"],
        json!({ "step": 1, "ok": true, "share": 0.5, "left": "a \"lot\"" })
    );
    assert_eq!(begun["category"], "an_error_arrives_with_its_request");
    assert_eq!(events[0]["breadcrumbs"]["values"][2]["level"], "warning");
}

#[test]
fn with_the_newest_hundred_breadcrumbs() {
    let (receiver, _) = sent(plain, || {
        let _request = info_span!("request").entered();
        for step in 0..250 {
            info!("step {step}");
        }
        error!("failed");
    });
    let event = one(&receiver);
    let crumbs = crumbs(&event);
    assert_eq!(
        (crumbs.len(), crumbs[0], crumbs[99]),
        (100, "step 150", "step 249")
    );
}

#[test]
fn without_a_message_its_error_is_the_message() {
    #[tracing::instrument(err)]
    fn pay() -> Result<(), crate::support::PaymentFailed> {
        Err(payment_failed())
    }
    let (receiver, _) = sent(plain, || assert!(pay().is_err()));
    assert_eq!(one(&receiver)["message"], "the payment could not be taken");
}

#[test]
fn from_the_log_crate_with_where_it_was_logged() {
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
