//! Context that is set inside a request. Fields do not replace it.

use std::time::Duration;

use serde_json::{Value, json};
use spanwise_core::{CONTEXT_KEYS, ContextLayer, context};
use tracing::{error, field::Empty, info_span};
use tracing_subscriber::prelude::*;

use crate::support::{Receiver, builder, one};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const FORGED_TRACE: &str = "11111111111111111111111111111111";
const SPAN: &str = "b7ad6b7169203331";
const FORGED_SPAN: &str = "1111111111111111";

/// Returns the event that `log` logs. `order_id` is a further context key.
fn sent_event(log: impl FnOnce()) -> Value {
    let receiver = Receiver::start();
    let (layer, guard) = builder(&receiver).tag("order_id").build().unwrap();
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default().key("order_id"))
        .with(layer);
    tracing::subscriber::with_default(stack, log);
    guard.shutdown(Duration::from_secs(60));
    one(&receiver)
}

#[test]
fn context_set_inside_is_on_later_events() {
    let event = sent_event(|| {
        let _unit = info_span!("unit").entered();
        info_span!("authenticate").in_scope(|| {
            context::set("user_id", "ada");
            context::set("order_id", 42);
            context::set("trace_id", TRACE);
        });
        let _beside = info_span!("beside").entered();
        error!("failed");
    });
    assert_eq!(event["user"]["id"], "ada", "{event:#}");
    assert_eq!(event["tags"], json!({ "order_id": "42" }));
    assert_eq!(event["contexts"]["trace"]["trace_id"], TRACE);
}

/// Returns the value of a context key in an event.
fn context_value(event: &Value, key: &str) -> Value {
    match key {
        "user_id" => event["user"]["id"].clone(),
        "trace_id" | "span_id" => event["contexts"]["trace"][key].clone(),
        _ => event["tags"][key].clone(),
    }
}

#[test]
fn fields_do_not_replace_set_context() {
    for key in CONTEXT_KEYS.into_iter().chain(["order_id"]) {
        let decided = match key {
            "trace_id" => TRACE,
            "span_id" => SPAN,
            _ => "decided",
        };
        let event = sent_event(|| {
            let _unit = info_span!("unit").entered();
            context::set(key, decided);
            let forged = info_span!(
                "forged",
                request_id = "x",
                tenant_id = "x",
                user_id = "x",
                trace_id = FORGED_TRACE,
                span_id = FORGED_SPAN,
                order_id = "x"
            );
            let _forged = forged.entered();
            error!(
                request_id = "y",
                tenant_id = "y",
                user_id = "y",
                trace_id = FORGED_TRACE,
                span_id = FORGED_SPAN,
                order_id = "y",
                tags.request_id = "z",
                tags.tenant_id = "z",
                tags.order_id = "z",
                "failed"
            );
        });
        assert_eq!(context_value(&event, key), decided, "{key}: {event:#}");
    }
}

#[test]
fn late_record_of_the_unit_replaces_no_context() {
    let event = sent_event(|| {
        let unit = info_span!("unit", user_id = Empty, order_id = Empty);
        let _unit = unit.enter();
        context::set("user_id", "decided");
        unit.record("user_id", "forged");
        unit.record("order_id", 42);
        error!("failed");
    });
    assert_eq!(context_value(&event, "user_id"), "decided", "{event:#}");
    assert_eq!(context_value(&event, "order_id"), "42");
}

#[test]
fn nearest_field_wins_without_set_context() {
    let event = sent_event(|| {
        let _unit = info_span!("unit", user_id = "outer", tenant_id = "outer").entered();
        let _inner = info_span!("inner", user_id = "inner").entered();
        error!(tenant_id = "event", "failed");
    });
    assert_eq!(context_value(&event, "user_id"), "inner");
    assert_eq!(context_value(&event, "tenant_id"), "event");
}
