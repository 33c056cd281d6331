//! Context that is set while the unit of work runs.

use std::{borrow::Cow, fmt, sync::Arc};

use spanwise_core::{CONTEXT_KEYS, Context, ContextLayer, KeyVerdict, LayerExt, Redact, context};
use spanwise_testing::support::Lines;
use tracing::{Instrument, Subscriber, field::Empty, info, info_span};
use tracing_subscriber::prelude::*;

fn stack() -> impl Subscriber + Send + Sync {
    tracing_subscriber::registry().with(ContextLayer::default().key("order_id"))
}

fn value(key: &str) -> Option<String> {
    Context::current().get(key).map(str::to_owned)
}

#[test]
fn set_applies_to_the_whole_unit_only() {
    let _default = stack().set_default();
    // Trees with a context key at the root, at an inner span, and at no span.
    let trees: [fn() -> [tracing::Span; 2]; 3] = [
        || [info_span!("unit", user_id = Empty), info_span!("between")],
        || [info_span!("unit"), info_span!("between", tenant_id = "t")],
        || [info_span!("unit"), info_span!("between")],
    ];
    for tree in trees {
        let [unit, _] = tree();
        let _unit = unit.enter();
        let sibling = info_span!("sibling", tenant_id = "s");
        let [_, between] = tree();
        between.in_scope(|| {
            let _deep = info_span!("deep").entered();
            context::set("user_id", 42);
            assert_eq!(value("user_id").as_deref(), Some("42"));
            assert_eq!(value("order_id"), None);
            context::set("order_id", "o-1");
        });
        for span in [unit.clone(), sibling, info_span!("later")] {
            let _in = span.entered();
            assert_eq!(value("user_id").as_deref(), Some("42"));
            assert_eq!(value("order_id").as_deref(), Some("o-1"));
        }
        context::set("user_id", "43");
        assert_eq!(value("user_id").as_deref(), Some("43"));
        info_span!(parent: None, "another unit").in_scope(|| assert_eq!(value("user_id"), None));
        info_span!("nested unit", spanwise.unit = Empty).in_scope(|| {
            assert_eq!(value("user_id").as_deref(), Some("43"));
            context::set("user_id", "inner");
        });
        assert_eq!(value("user_id").as_deref(), Some("43"));
    }
}

#[tokio::test]
async fn task_with_the_span_sets_and_sees_context() {
    let _default = stack().set_default();
    let unit = info_span!("unit");
    let in_task = async {
        context::set("user_id", "ada");
        tokio::task::yield_now().await;
        value("tenant_id")
    };
    let task = tokio::spawn(in_task.instrument(info_span!(parent: &unit, "task")));
    unit.in_scope(|| context::set("tenant_id", "acme"));
    assert_eq!(task.await.unwrap().as_deref(), Some("acme"));
    unit.in_scope(|| assert_eq!(value("user_id").as_deref(), Some("ada")));
}

#[test]
fn span_fields_do_not_replace_pinned_values() {
    let _default = stack().set_default();
    for key in CONTEXT_KEYS.into_iter().chain(["order_id"]) {
        let _unit = info_span!("unit").entered();
        let forged = || {
            info_span!(
                "forged",
                request_id = "x",
                tenant_id = "x",
                user_id = "x",
                trace_id = "x",
                span_id = "x",
                order_id = "x"
            )
        };
        let before = forged();
        context::set(key, "decided");
        let late = info_span!(
            "late",
            request_id = Empty,
            tenant_id = Empty,
            user_id = Empty,
            trace_id = Empty,
            span_id = Empty,
            order_id = Empty
        );
        late.record(key, "x");
        for span in [before, forged(), late] {
            let _in = span.entered();
            assert_eq!(value(key).as_deref(), Some("decided"), "{key}");
            let _below = info_span!("below").entered();
            assert_eq!(value(key).as_deref(), Some("decided"), "{key}");
        }
    }
    // The span of the unit itself may declare the key.
    for key in ["user_id", "order_id"] {
        let unit = info_span!(
            "unit",
            user_id = "early",
            order_id = Empty,
            tenant_id = Empty
        );
        let _unit = unit.enter();
        context::set(key, "decided");
        for late in ["x", "y"] {
            unit.record(key, late);
            unit.record("tenant_id", late);
            assert_eq!(value(key).as_deref(), Some("decided"), "{key}");
            assert_eq!(value("tenant_id").as_deref(), Some(late));
            assert_eq!(Context::current().pinned(key), Some("decided"), "{key}");
        }
        context::set(key, "again");
        assert_eq!(value(key).as_deref(), Some("again"));
    }
    // Among ordinary spans, the nearest one decides.
    let _outer = info_span!("outer", tenant_id = "a").entered();
    let _inner = info_span!("inner", tenant_id = "b").entered();
    assert_eq!(value("tenant_id").as_deref(), Some("b"));
}

/// Removes a secret that is longer than a context value may be.
#[derive(Debug)]
struct NoSecrets;

impl Redact for NoSecrets {
    fn key(&self, _: &str) -> KeyVerdict {
        KeyVerdict::Pass
    }
    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        text.replace("4111", "****").into()
    }
}

#[test]
fn set_value_is_redacted_and_truncated() {
    let layer = ContextLayer::default().redact(Arc::new(NoSecrets));
    let _default = tracing_subscriber::registry().with(layer).set_default();
    let _unit = info_span!("unit").entered();
    context::set("user_id", "card 4111");
    context::set("tenant_id", "é".repeat(5000));
    assert_eq!(value("user_id").as_deref(), Some("card ****"));
    assert_eq!(value("tenant_id").map(|value| value.len()), Some(1024));
}

#[test]
fn logging_or_panicking_value_is_harmless() {
    struct Logs;
    impl fmt::Display for Logs {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            info!("logged by a value");
            context::set("tenant_id", "acme");
            f.write_str("ada")
        }
    }
    struct Broken;
    impl fmt::Display for Broken {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("no display")
        }
    }
    let _default = stack().set_default();
    let _unit = info_span!("unit").entered();
    context::set("user_id", Logs);
    assert_eq!(value("user_id").as_deref(), Some("ada"));
    assert_eq!(value("tenant_id").as_deref(), Some("acme"));
    context::set("user_id", Broken);
    let broken = Some("<panicked while formatting>");
    assert_eq!(value("user_id").as_deref(), broken);
}

#[test]
fn other_layers_see_a_record_of_the_unit_span() {
    let lines = Lines::default();
    let writer = lines.clone();
    let fmt = tracing_subscriber::fmt::layer()
        .fmt_fields(spanwise_core::UnsharedFields::new(
            tracing_subscriber::fmt::format::DefaultFields::new(),
        ))
        .with_ansi(false)
        .with_writer(writer)
        .redacted(Arc::new(NoSecrets));
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(fmt);
    let _default = stack.set_default();
    let _unit = info_span!("unit", path = "/").entered();
    let _deep = info_span!("deep").entered();
    context::set("user_id", "ada 4111");
    info!("done");
    let text = lines.take();
    assert!(
        text.contains(r#"unit{path="/" user_id="ada ****"}:deep"#),
        "{text}"
    );
}
