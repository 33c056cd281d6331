//! The context of a span.

use std::{borrow::Cow, sync::Arc};

use spanwise_core::{Context, ContextLayer, KeyVerdict, Redact};
use tracing::{Instrument, field::Empty, info_span};
use tracing_subscriber::prelude::*;

fn entries() -> Vec<(&'static str, String)> {
    Context::current()
        .iter()
        .map(|(key, value)| (key, value.to_owned()))
        .collect()
}

fn pairs<const N: usize>(pairs: [(&'static str, &str); N]) -> Vec<(&'static str, String)> {
    pairs.map(|(key, value)| (key, value.to_owned())).to_vec()
}

#[test]
fn context_is_empty_without_span_or_layer() {
    assert!(Context::current().is_empty());
    let _default = tracing_subscriber::registry().set_default();
    let _span = info_span!("s", request_id = "r").entered();
    assert!(Context::current().is_empty());
}

#[test]
fn nearest_declared_value_wins() {
    let _default = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .set_default();
    let _outer = info_span!("outer", request_id = "r-1", tenant_id = "acme", path = "/").entered();
    let _inner = info_span!("inner", tenant_id = %"globex", user_id = 7, n = 1).entered();
    let _plain = info_span!("plain").entered();
    assert_eq!(
        entries(),
        pairs([
            ("request_id", "r-1"),
            ("tenant_id", "globex"),
            ("user_id", "7")
        ])
    );
}

#[test]
fn late_record_reaches_child_spans() {
    let layer = ContextLayer::default().key("order_id");
    let _default = tracing_subscriber::registry().with(layer).set_default();
    let request = info_span!("request", request_id = Empty, order_id = Empty);
    let _request = request.enter();
    let _below = info_span!("below").entered();
    assert!(Context::current().is_empty());
    request.record("order_id", 42).record("request_id", "r-1");
    assert_eq!(
        entries(),
        pairs([("order_id", "42"), ("request_id", "r-1")])
    );
    request.record("request_id", "r-2");
    assert_eq!(Context::current().get("request_id"), Some("r-2"));
}

#[test]
fn context_follows_the_explicit_parent() {
    let _default = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .set_default();
    let request = info_span!("request", request_id = "r-1");
    request.in_scope(|| {
        info_span!(parent: None, "job").in_scope(|| assert!(Context::current().is_empty()))
    });
    info_span!(parent: &request, "task")
        .in_scope(|| assert_eq!(entries(), pairs([("request_id", "r-1")])));
}

#[tokio::test]
async fn task_with_the_span_has_its_context() {
    let _default = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .set_default();
    let task = async { Context::current().get("request_id").map(str::to_owned) };
    let task = tokio::spawn(task.instrument(info_span!("request", request_id = "r-1")));
    assert_eq!(task.await.unwrap().as_deref(), Some("r-1"));
}

#[test]
fn long_or_broken_values_are_contained() {
    struct Broken;
    impl std::fmt::Display for Broken {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("no display")
        }
    }
    let _default = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .set_default();
    let long = "é".repeat(5000);
    let _span = info_span!("s", request_id = long, tenant_id = %Broken).entered();
    let context = Context::current();
    assert_eq!(context.get("request_id").map(str::len), Some(1024));
    assert_eq!(
        context.get("tenant_id"),
        Some("<panicked while formatting>")
    );
}

#[test]
fn policy_applies_to_context_values() {
    #[derive(Debug)]
    struct Policy;
    impl Redact for Policy {
        fn key(&self, key: &str) -> KeyVerdict {
            match key {
                "request_id" => KeyVerdict::Trust,
                "user_id" => KeyVerdict::Replace,
                "tenant_id" => KeyVerdict::Remove,
                _ => KeyVerdict::Pass,
            }
        }
        fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
            text.replace("4111", "****").into()
        }
        fn replace(&self, key: &str, value: &str) -> String {
            format!("{key}:{}", value.len())
        }
    }
    let layer = ContextLayer::default()
        .key("order_id")
        .redact(Arc::new(Policy));
    let _default = tracing_subscriber::registry().with(layer).set_default();
    let _span = info_span!(
        "s",
        request_id = "4111",
        user_id = 4111,
        tenant_id = "acme",
        order_id = "4111"
    )
    .entered();
    assert_eq!(
        entries(),
        pairs([
            ("request_id", "4111"),
            ("user_id", "user_id:4"),
            ("order_id", "****")
        ])
    );
}
