//! Secrets in everything that a span carries.

use std::{
    borrow::Cow,
    error::Error,
    fmt,
    sync::{Arc, OnceLock, mpsc},
    thread,
    time::Duration,
};

use opentelemetry::{
    Array, Context, KeyValue, StringValue, Value,
    trace::{
        Event, Link, Span as _, SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags,
        TraceId, TraceState, Tracer as _, TracerProvider as _,
    },
};
use prost::Message as _;
use spanwise_core::{ContextLayer, KeyVerdict, Redact};
use spanwise_otel::{EventsInSpans, SpanExt as _, SpanOptions};
use spanwise_redact::Policy;
use tracing::field::Empty;
use tracing_subscriber::prelude::*;

use crate::support::{
    Trusting,
    traces::{Traces, named},
};

/// Found by its form.
const CARD: &str = "4111 1111 1111 1111";
/// Found by its key.
const PASSWORD: &str = "hunter2hunter2";

#[derive(Debug)]
struct Declined;

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "card {CARD} declined")
    }
}

impl Error for Declined {}

fn link() -> SpanContext {
    let (trace_id, span_id) = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]));
    SpanContext::new(
        trace_id,
        span_id,
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    )
}

fn secrets() -> Vec<KeyValue> {
    let list = Array::String(vec![StringValue::from(CARD), StringValue::from("harmless")]);
    vec![
        KeyValue::new("note", format!("card {CARD}")),
        KeyValue::new("db.password", PASSWORD),
        KeyValue::new("list", Value::Array(list)),
        KeyValue::new("pin", 1234),
    ]
}

#[test]
fn no_secret_is_exported() {
    let traces = Traces::build(|builder| {
        builder
            .redact(Arc::new(Policy::secrets()))
            .span_options(|options| options.events(EventsInSpans::All))
    });
    let name = format!("pay with {CARD}");
    let span = tracing::info_span!(
        "charge",
        card = CARD,
        password = PASSWORD,
        otel.name = name,
        late = Empty,
        otel.status_description = Empty,
    );
    span.record("late", CARD);
    span.record("otel.status_description", format!("declined {CARD}"));
    span.in_scope(|| {
        let error = &Declined as &dyn Error;
        tracing::error!(error, password = PASSWORD, "charge of {CARD} failed");
    });
    for pair in secrets() {
        span.set_attribute(pair.key, pair.value);
    }
    span.add_event(name.clone(), secrets());
    span.add_link_with_attributes(link(), secrets());
    span.set_status(Status::error(name.clone()));
    span.context().span().update_name(name.clone());
    drop(span);

    let tracer = traces.otel.tracer_provider().unwrap().tracer("client");
    let mut of_api = tracer
        .span_builder(name.clone())
        .with_attributes(secrets())
        .with_events(vec![Event::new(
            name.clone(),
            std::time::SystemTime::now(),
            secrets(),
            0,
        )])
        .with_links(vec![Link::new(link(), secrets(), 0)])
        .start(&tracer);
    of_api.record_error(&Declined);
    of_api.set_status(Status::error(name));
    drop(of_api);

    let spans = traces.finish();
    assert_eq!(spans.len(), 2);
    for span in &spans {
        let bytes = span.span.encode_to_vec();
        for secret in [CARD, PASSWORD] {
            let is_there = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!is_there, "{secret}: {span:#?}");
        }
        assert_eq!(span.name, "pay with [REDACTED]");
        assert_eq!(span.text("note"), Some("card [REDACTED]"));
        assert_eq!(span.text("db.password"), Some("[REDACTED]"));
        assert_eq!(span.text("pin"), Some("[REDACTED]"));
        // What is not secret stays.
        let shown = format!("{:?}", span.value("list"));
        assert!(
            shown.contains("harmless") && shown.contains("[REDACTED]"),
            "{shown}"
        );
    }
    assert_eq!(named(&spans[..1], "pay with [REDACTED]").events.len(), 2);
}

#[test]
fn texts_under_a_trusted_key_are_not_scanned() {
    let traces = Traces::build(|builder| builder.redact(Arc::new(Trusting)));
    let span = tracing::info_span!("charge");
    let texts = || Value::Array(Array::String(vec![StringValue::from(CARD)]));
    span.set_attribute("trusted", texts());
    span.set_attribute("other", texts());
    drop(span);
    let spans = traces.finish();
    let shown = |key| format!("{:?}", spans[0].value(key));
    assert!(shown("trusted").contains(CARD), "{spans:#?}");
    assert!(shown("other").contains("[REDACTED]"), "{spans:#?}");
}

#[test]
fn policy_of_the_context_runs_without_a_lock() {
    /// Sets an attribute of a span, as code that a policy calls may do.
    #[derive(Debug, Default)]
    struct SetsAttribute(OnceLock<Context>);

    impl Redact for SetsAttribute {
        fn key(&self, _: &str) -> KeyVerdict {
            KeyVerdict::Pass
        }
        fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
            if let Some(context) = self.0.get() {
                context.span().set_attribute(KeyValue::new("seen", true));
            }
            text.replace("4111", "****").into()
        }
    }

    let (done, is_done) = mpsc::channel();
    // A thread of its own, because a policy that waits for the lock of its span never returns.
    thread::spawn(move || {
        let traces = Traces::start(SpanOptions::default().context_keys());
        let policy = Arc::new(SetsAttribute::default());
        let subscriber = tracing_subscriber::registry()
            .with(traces.otel.spans())
            .with(ContextLayer::default().redact(policy.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let _request = tracing::info_span!("request", user_id = "u 4111").entered();
            let charge = tracing::info_span!("charge");
            policy.0.set(charge.context()).unwrap();
        });
        done.send(traces.finish()).unwrap();
    });
    let spans = is_done
        .recv_timeout(Duration::from_secs(60))
        .expect("no deadlock");
    let charge = named(&spans, "charge");
    assert_eq!(charge.text("user_id"), Some("u ****"));
    assert!(charge.keys().contains(&"seen"));
}
