//! The context of a span.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

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

/// Counts the texts that it scans, and reads the context meanwhile.
#[derive(Debug, Default)]
struct Curious {
    scanned: AtomicU32,
}

impl Redact for Curious {
    fn key(&self, _: &str) -> KeyVerdict {
        KeyVerdict::Pass
    }
    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.scanned.fetch_add(1, Ordering::Relaxed);
        let seen = Context::current();
        assert_ne!(seen.get("user_id"), Some("4111"));
        text.replace("4111", "****").into()
    }
}

#[test]
fn first_read_applies_the_policy_once() {
    let policy = Arc::new(Curious::default());
    let layer = ContextLayer::default().redact(policy.clone());
    let _default = tracing_subscriber::registry().with(layer).set_default();
    let span = info_span!("s", request_id = "r", user_id = %"4111", tenant_id = Empty).entered();
    let scanned = || policy.scanned.load(Ordering::Relaxed);
    assert_eq!(scanned(), 0);
    for _ in 0..3 {
        assert_eq!(Context::current().get("user_id"), Some("****"));
    }
    assert_eq!(scanned(), 2);
    span.record("tenant_id", "t 4111");
    let expected = pairs([
        ("request_id", "r"),
        ("user_id", "****"),
        ("tenant_id", "t ****"),
    ]);
    assert_eq!(entries(), expected);
    let _inner = info_span!("inner", tenant_id = "4111").entered();
    assert_eq!(Context::current().get("tenant_id"), Some("****"));
    assert!(!format!("{:?}", Context::current()).contains("4111"));
}

#[test]
fn secret_across_the_length_limit_is_redacted() {
    let layer = ContextLayer::default().redact(Arc::new(Curious::default()));
    let _default = tracing_subscriber::registry().with(layer).set_default();
    let long = format!("{}4111", "x".repeat(1022));
    let _span = info_span!("s", request_id = long, tenant_id = %long).entered();
    for key in ["request_id", "tenant_id"] {
        let value = Context::current().get(key).map(str::to_owned).unwrap();
        assert_eq!((value.len(), value.ends_with("**")), (1024, true), "{key}");
    }
}

#[test]
fn deep_trees_inherit_late_records() {
    let _default = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .set_default();
    let root = info_span!("root", request_id = "r", user_id = Empty);
    let mut spans = vec![root.clone()];
    for depth in 0..10_000_u64 {
        let parent = spans.last().cloned().unwrap();
        spans.push(match depth % 3 {
            0 => info_span!(parent: &parent, "with a key", tenant_id = depth),
            _ => info_span!(parent: &parent, "without a key"),
        });
    }
    let last = spans.last().cloned().unwrap();
    let user_in = |span: &tracing::Span| {
        span.in_scope(|| Context::current().get("user_id").map(str::to_owned))
    };
    assert_eq!(user_in(&last), None);
    for user in ["ada", "bob"] {
        root.record("user_id", user);
        assert_eq!(user_in(&last).as_deref(), Some(user));
        assert_eq!(user_in(&spans[2]).as_deref(), Some(user));
    }
    let context = last.in_scope(Context::current);
    assert_eq!(context.get("tenant_id"), Some("9999"));
    assert_eq!(context.get("request_id"), Some("r"));
    // The registry closes parents recursively, so close the children first.
    drop(last);
    while spans.pop().is_some() {}
}

#[test]
fn records_of_all_threads_arrive() {
    let subscriber = tracing_subscriber::registry().with(ContextLayer::default());
    let dispatch = tracing::Dispatch::new(subscriber);
    let span = tracing::dispatcher::with_default(&dispatch, || {
        info_span!("s", request_id = Empty, tenant_id = Empty, user_id = Empty)
    });
    let keys = ["request_id", "tenant_id", "user_id"];
    std::thread::scope(|scope| {
        for key in keys {
            let (span, dispatch) = (&span, &dispatch);
            scope.spawn(move || {
                let _default = tracing::dispatcher::set_default(dispatch);
                let _span = span.enter();
                for number in 0..=200_u64 {
                    span.record(key, number);
                    let value = Context::current().get(key).map(str::to_owned);
                    assert_eq!(value, Some(number.to_string()));
                }
            });
        }
    });
    let _default = tracing::dispatcher::set_default(&dispatch);
    let _span = span.enter();
    for key in keys {
        assert_eq!(Context::current().get(key), Some("200"));
    }
}

/// Counts the texts that it scans.
#[derive(Debug, Default)]
struct Counting {
    scanned: AtomicU32,
}

impl Redact for Counting {
    fn key(&self, _: &str) -> KeyVerdict {
        KeyVerdict::Pass
    }
    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.scanned.fetch_add(1, Ordering::Relaxed);
        text.replace("4111", "****").into()
    }
}

#[test]
fn each_value_is_redacted_once_at_any_depth() {
    let policy = Arc::new(Counting::default());
    let layer = ContextLayer::default().redact(policy.clone());
    let _default = tracing_subscriber::registry().with(layer).set_default();
    let scanned = || policy.scanned.swap(0, Ordering::Relaxed);
    let root = info_span!("root", request_id = "r 4111", user_id = Empty);
    let mut spans = vec![root.clone()];
    for depth in 1..6 {
        let inner =
            info_span!(parent: &spans[depth - 1], "inner", tenant_id = %format!("{depth} 4111"));
        spans.push(inner);
    }
    assert_eq!(scanned(), 0);
    // From the outermost span to the innermost one, and again.
    for expected in [6, 0] {
        for (depth, span) in spans.iter().enumerate().skip(1) {
            let context = span.in_scope(Context::current);
            assert_eq!(context.get("request_id"), Some("r ****"));
            assert_eq!(context.get("tenant_id"), Some(&*format!("{depth} ****")));
        }
        assert_eq!(scanned(), expected);
    }
    // A late record changes all contexts, but only its value is new.
    root.record("user_id", "4111");
    for span in &spans[1..] {
        let context = span.in_scope(Context::current);
        assert_eq!(context.get("user_id"), Some("****"));
        assert_eq!(context.iter().count(), 3);
    }
    assert_eq!(scanned(), 1);
}

#[test]
fn context_keeps_the_values_of_its_time() {
    let layer = ContextLayer::default().redact(Arc::new(Counting::default()));
    let _default = tracing_subscriber::registry().with(layer).set_default();
    let span = info_span!("s", request_id = "1 4111", user_id = Empty).entered();
    let unread = Context::current();
    span.record("request_id", "2 4111").record("user_id", "u");
    assert_eq!(Context::current().get("request_id"), Some("2 ****"));
    assert_eq!(unread.get("request_id"), Some("1 ****"));
    assert_eq!(unread.get("user_id"), None);
}

#[test]
fn first_of_two_context_layers_answers() {
    let key = || ContextLayer::default().key("order_id");
    let first = ContextLayer::default().redact(Arc::new(Counting::default()));
    let _default = tracing_subscriber::registry()
        .with(first)
        .with(key())
        .set_default();
    let _request = info_span!("request", request_id = "4111").entered();
    let expected = pairs([("request_id", "****")]);
    assert_eq!(entries(), expected);
    // Only the second layer stores something in this span.
    let inner = info_span!("inner", order_id = "4111").entered();
    assert_eq!(entries(), expected);
    inner.record("order_id", "4111 too");
    assert_eq!(entries(), expected);
    for _ in 0..64 {
        // One of them has a shortcut to the spans around it.
        let _innermost = info_span!("innermost", order_id = "4111").entered();
        assert_eq!(entries(), expected);
    }
}
