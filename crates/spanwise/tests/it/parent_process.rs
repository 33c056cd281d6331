//! A process continues the trace of its parent process, with `LOG_PARENT=env` and `child_env`.

use std::{collections::BTreeMap, process::Command};

use spanwise::{
    Builder, Telemetry,
    context::{TraceParent, child_env},
};

use crate::support::Lines;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03";
const OTHER: &str = "00-0000f3577b34da6a3ce929d0e0e47360-00f067aa0ba902b8-01";

/// The variables of a job that another process started.
const JOB: [(&str, &str); 5] = [
    ("LOG_PRESET", "prod"),
    ("LOG_PARENT", "env"),
    ("TRACEPARENT", PARENT),
    ("TRACESTATE", "congo=t61"),
    ("BAGGAGE", "tenant_id=acme,tier=gold"),
];

fn start<'v>(vars: impl IntoIterator<Item = (&'v str, &'v str)>) -> (Lines, Telemetry) {
    let lines = Lines::default();
    let builder = Builder::from_vars(vars).unwrap();
    let telemetry = builder.with_writer(lines.clone()).init().unwrap();
    (lines, telemetry)
}

/// Returns the variables for a child process. `None` is a removed variable.
fn env_of_child() -> BTreeMap<String, Option<String>> {
    let mut command = Command::new("child");
    child_env(&mut command);
    let text = |text: &std::ffi::OsStr| text.to_str().unwrap().to_owned();
    let vars = command.get_envs();
    vars.map(|(name, value)| (text(name), value.map(text)))
        .collect()
}

#[track_caller]
fn assert_child(expected: &[(&str, Option<&str>)]) {
    let child = env_of_child();
    let child: Vec<_> = child
        .iter()
        .map(|(name, value)| (&**name, value.as_deref()))
        .collect();
    assert_eq!(child, expected);
}

#[test]
fn root_units_are_below_the_parent_process() {
    alone!();
    let (lines, telemetry) = start(JOB);
    tracing::info!("outside");
    let baggage = ("BAGGAGE", Some("tenant_id=acme,tier=gold"));
    let state = ("TRACESTATE", Some("congo=t61"));
    assert_child(&[baggage, ("TRACEPARENT", Some(PARENT)), state]);
    let job = tracing::info_span!("job");
    job.in_scope(|| {
        tracing::info!("in the job");
        let current = TraceParent::current().unwrap();
        assert_ne!(current.to_string(), PARENT);
        assert_eq!(current.flags(), 3);
        assert_child(&[baggage, ("TRACEPARENT", Some(&current.to_string())), state]);
        tracing::info_span!("step").in_scope(|| tracing::info!("in a step"));
    });
    let own = tracing::info_span!("own", trace_id = "0000f3577b34da6a3ce929d0e0e47360");
    own.in_scope(|| tracing::info!("in a trace of its own"));
    // A message has another parent.
    let parent: TraceParent = OTHER.parse().unwrap();
    let message = parent.unit(|| spanwise::unit_span!("consume"));
    message.in_scope(|| {
        tracing::info!("in a message");
        let current = TraceParent::current().unwrap().to_string();
        // The state and the baggage of this process belong to the trace of its parent.
        let current = ("TRACEPARENT", Some(&*current));
        assert_child(&[("BAGGAGE", None), current, ("TRACESTATE", None)]);
    });

    let trace_of = |message: &str| {
        let lines = lines.objects();
        let line = lines.iter().find(|line| line["message"] == message);
        line.unwrap()["trace_id"].as_str().map(str::to_owned)
    };
    let other = Some("0000f3577b34da6a3ce929d0e0e47360");
    for (message, trace) in [
        ("outside", None),
        ("in the job", Some(TRACE)),
        ("in a step", Some(TRACE)),
        ("in a trace of its own", other),
        ("in a message", other),
    ] {
        assert_eq!(trace_of(message).as_deref(), trace, "{message}");
    }
    drop(telemetry);
}

#[test]
fn parent_counts_only_on_request() {
    alone!();
    let without = JOB.into_iter().filter(|(name, _)| *name != "LOG_PARENT");
    let (lines, telemetry) = start(without);
    tracing::info_span!("job").in_scope(|| {
        tracing::info!("done");
        assert_child(&[]);
    });
    assert_eq!(lines.only()["trace_id"], serde_json::Value::Null);
    drop(telemetry);
}

#[test]
fn invalid_parent_is_a_warning() {
    let vars = JOB.map(|(name, value)| match name {
        "TRACEPARENT" => (name, "00-12-34-01"),
        _ => (name, value),
    });
    let text = Builder::from_vars(vars).unwrap().explain().to_string();
    let warning = "warning: TRACEPARENT is ignored: it is not a valid traceparent: write";
    assert!(text.contains(warning), "{text}");
    assert!(text.contains("LOG_PARENT = env (LOG_PARENT)"), "{text}");
    assert!(!text.contains("gold"), "{text}");
    // The preset test ignores a `TRACEPARENT` of the test runner.
    let test = JOB.map(|(name, value)| match name {
        "LOG_PRESET" => (name, "test"),
        _ => (name, value),
    });
    let text = Builder::from_vars(test).unwrap().explain().to_string();
    assert!(!text.contains("TRACEPARENT"), "{text}");
    // Code may enable it.
    let asked = Builder::from_vars([("TRACEPARENT", PARENT)]).unwrap();
    let text = asked.parent_from_env().explain().to_string();
    assert!(text.contains("LOG_PARENT = env (code)"), "{text}");
    let line = format!("TRACEPARENT = {PARENT} (TRACEPARENT)");
    assert!(text.contains(&line), "{text}");
}

/// Other programs write the variables, so no text in them stops the start.
#[test]
fn texts_of_other_programs_never_stop_the_start() {
    for (name, text) in [
        ("TRACESTATE", "rojo=t61\""),
        ("BAGGAGE", "user=o'"),
        ("BAGGAGE", "user=o\t,tier=gold"),
        (
            "TRACEPARENT",
            "\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03\"",
        ),
    ] {
        let vars = JOB.map(|(var, value)| (var, if var == name { text } else { value }));
        let explanation = Builder::from_vars(vars).unwrap().explain().to_string();
        let is_ignored = explanation.contains("warning: TRACEPARENT is ignored");
        assert_eq!(is_ignored, name == "TRACEPARENT", "{explanation}");
        assert!(!explanation.contains("wrong:"), "{explanation}");
    }
}

#[test]
fn invalid_state_is_dropped_with_a_warning() {
    alone!();
    let vars = || {
        JOB.map(|(name, value)| match name {
            "TRACESTATE" => (name, "congo=t61,no-value,password=hunter2"),
            _ => (name, value),
        })
    };
    let text = Builder::from_vars(vars()).unwrap().explain().to_string();
    let warning = "warning: TRACESTATE is ignored: it is not a valid `tracestate`";
    assert!(text.contains(warning), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let (_, telemetry) = start(vars());
    assert_child(&[
        ("BAGGAGE", Some("tenant_id=acme,tier=gold")),
        ("TRACEPARENT", Some(PARENT)),
        ("TRACESTATE", None),
    ]);
    drop(telemetry);
}

/// A request has no span if the levels disable it. It belongs to its caller nevertheless.
#[cfg(feature = "axum")]
#[tokio::test]
async fn request_without_a_span_is_not_below_the_parent() {
    alone!();
    let (lines, telemetry) = start(JOB.into_iter().chain([WITHOUT_REQUEST_SPANS]));
    serve(&telemetry, || {
        tracing::info_span!("load").in_scope(|| tracing::info!("in a handler"));
        assert_child(&[
            ("BAGGAGE", None),
            ("TRACEPARENT", None),
            ("TRACESTATE", None),
        ]);
        // This unit of work does not belong to the request.
        tracing::info_span!(parent: None, "refill")
            .in_scope(|| tracing::info!("in the background"));
    })
    .await;
    let trace_of = |message| lines.with_message(message)["trace_id"].clone();
    assert_eq!(trace_of("in a handler"), serde_json::Value::Null);
    assert_eq!(trace_of("in the background"), TRACE);
    tracing::info_span!("job").in_scope(|| tracing::info!("after the request"));
    assert_eq!(trace_of("after the request"), TRACE);
    drop(telemetry);
}

/// Calls in a message with another parent do not send the baggage of the parent process.
#[cfg(feature = "axum")]
#[tokio::test]
async fn calls_in_other_traces_send_no_inherited_baggage() {
    alone!();
    let (_, telemetry) = start(JOB);
    let parent: TraceParent = OTHER.parse().unwrap();
    let message = parent.unit(|| spanwise::unit_span!("consume"));
    let sent = tracing::Instrument::instrument(call(&telemetry), message).await;
    assert!(!sent.contains_key("baggage"), "{sent:?}");
    assert!(!sent.contains_key("tracestate"), "{sent:?}");
    drop(telemetry);
}

/// Calls outside of requests belong to the inherited trace, and send the declared keys of the
/// baggage.
#[cfg(feature = "axum")]
#[tokio::test]
async fn calls_are_in_the_trace_of_the_parent() {
    alone!();
    let (_, telemetry) = start(JOB);
    let sent = async || {
        let sent = call(&telemetry).await;
        let text = |name: &str| sent[name].to_str().unwrap().to_owned();
        // The parent process may not have chosen the tenant.
        assert_eq!(text("baggage"), "tier=gold");
        assert_eq!(text("tracestate"), "congo=t61");
        text("traceparent").parse::<TraceParent>().unwrap()
    };
    let outside = sent().await;
    let inside = tracing::Instrument::instrument(sent(), tracing::info_span!("job")).await;
    let parent: TraceParent = PARENT.parse().unwrap();
    for sent in [outside, inside] {
        assert_eq!(sent.trace_id(), parent.trace_id());
        assert_eq!(sent.flags(), parent.flags());
        assert_ne!(sent.span_id(), parent.span_id());
    }
    drop(telemetry);
}

/// Sends a request with the client layer, and returns its headers.
#[cfg(feature = "axum")]
async fn call(telemetry: &Telemetry) -> axum::http::HeaderMap {
    call_with(&client(telemetry)).await
}

#[cfg(feature = "axum")]
fn client(telemetry: &Telemetry) -> spanwise::http::ClientLayer {
    let client = telemetry.http_client().baggage(["tier", "tenant_id"]);
    client.baggage_to("warehouse".parse::<spanwise::http::Hosts>().unwrap())
}

#[cfg(feature = "axum")]
async fn call_with(client: &spanwise::http::ClientLayer) -> axum::http::HeaderMap {
    use std::convert::Infallible;

    use axum::http::{Request, Response};
    use tower::{Layer as _, ServiceExt as _, service_fn};

    let answer =
        async |request: Request<()>| Ok::<_, Infallible>(Response::new(request.headers().clone()));
    let request = Request::get("http://warehouse/stock").body(()).unwrap();
    let service = client.layer(service_fn(answer));
    service.oneshot(request).await.unwrap().into_body()
}

/// Levels that disable the spans of requests.
#[cfg(feature = "axum")]
const WITHOUT_REQUEST_SPANS: (&str, &str) = ("RUST_LOG", "info,spanwise_http=off");

/// Serves a request without headers. Its handler runs `handle`.
#[cfg(feature = "axum")]
async fn serve(telemetry: &Telemetry, handle: impl Fn() + Send + Sync + Clone + 'static) {
    use axum::{Router, body::Body, http::Request, routing::get};
    use tower::ServiceExt as _;

    let app = Router::new()
        .route("/", get(async move || handle()))
        .layer(telemetry.http_server());
    let request = Request::get("/").body(Body::empty()).unwrap();
    assert!(app.oneshot(request).await.unwrap().status().is_success());
}

#[cfg(feature = "otel")]
mod exported {
    use std::time::Duration;

    use spanwise::otel::{
        SpanExt as _,
        opentelemetry::{
            Context, KeyValue,
            baggage::BaggageExt as _,
            global,
            trace::{TraceContextExt as _, Tracer as _},
        },
    };

    use super::*;
    use crate::otlp_receiver::Receiver;

    /// Spans whose target is `quiet` are not exported.
    const QUIET: (&str, &str) = ("OTEL_RUST_TRACES_LEVEL", "info,quiet=off");

    /// Starts the job with an exporter and these variables.
    fn start_exporting<const N: usize>(vars: [(&str, &str); N]) -> (Receiver, Lines, Telemetry) {
        let receiver = Receiver::start();
        let endpoint = receiver.endpoint();
        let exporter = ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint);
        let (lines, telemetry) = start(JOB.into_iter().chain(vars).chain([exporter]));
        (receiver, lines, telemetry)
    }

    /// Asserts for each name of an exported span whether it is below the parent process.
    #[track_caller]
    fn assert_below_parent<const N: usize>(receiver: &Receiver, expected: [(&str, bool); N]) {
        let parent: TraceParent = PARENT.parse().unwrap();
        let spans: Vec<_> = receiver.spans().into_iter().map(|it| it.item).collect();
        let is_below = |name| {
            let span = spans.iter().find(|span| span.name == name).unwrap();
            span.parent_span_id == parent.span_id()
        };
        let found = expected.map(|(name, _)| (name, is_below(name)));
        assert_eq!(found, expected);
    }

    /// The current context of the API keeps its baggage inside of a root span.
    #[test]
    fn own_baggage_replaces_that_of_the_parent_process() {
        alone!();
        let (_receiver, _, telemetry) = start_exporting([]);
        let tier = || {
            let context = Context::current();
            context.baggage().get("tier").map(ToString::to_string)
        };
        let own = Context::current_with_baggage([KeyValue::new("tier", "silver")]).attach();
        let job = tracing::info_span!("job");
        assert_eq!(job.in_scope(tier).as_deref(), Some("silver"));
        drop(own);
        // Outside of a context with baggage, the same span has that of the parent process.
        assert_eq!(job.in_scope(tier).as_deref(), Some("gold"));
        assert!(job.in_scope(|| !Context::current().is_telemetry_suppressed()));
        let suppressed = Context::enter_telemetry_suppressed_scope();
        assert!(job.in_scope(|| Context::current().is_telemetry_suppressed()));
        drop(suppressed);
        telemetry.shutdown(Duration::from_secs(60));
    }

    /// The trace of a span that is not exported belongs to its enclosed spans too.
    #[test]
    fn spans_in_other_traces_have_other_parents() {
        alone!();
        let (receiver, _, telemetry) = start_exporting([QUIET]);
        let served = tracing::info_span!(
            target: "quiet",
            "served",
            trace_id = "0000f3577b34da6a3ce929d0e0e47360"
        );
        served.in_scope(|| {
            tracing::info_span!("load").in_scope(|| {});
            global::tracer("jobs").in_span("query", |_| {});
        });
        let quiet = tracing::info_span!(target: "quiet", "quiet");
        quiet.in_scope(|| tracing::info_span!("step").in_scope(|| {}));
        telemetry.shutdown(Duration::from_secs(60));
        assert_below_parent(
            &receiver,
            [("load", false), ("query", false), ("step", true)],
        );
    }

    /// Spans in a request belong to its caller, even if the levels disable the span of the request.
    #[cfg(feature = "axum")]
    #[tokio::test]
    async fn spans_in_a_request_without_a_span_are_roots() {
        alone!();
        let (receiver, _, telemetry) = start_exporting([WITHOUT_REQUEST_SPANS]);
        serve(&telemetry, || {
            tracing::info_span!("load").in_scope(|| {});
            global::tracer("jobs").in_span("query", |_| {});
            tracing::info_span!(parent: None, "refill").in_scope(|| {});
        })
        .await;
        telemetry.shutdown(Duration::from_secs(60));
        assert_below_parent(
            &receiver,
            [("load", false), ("query", false), ("refill", true)],
        );
    }

    /// A call in a span that is not exported is below the parent process, with its decision.
    #[cfg(feature = "axum")]
    #[tokio::test]
    async fn calls_in_quiet_spans_are_below_the_parent_process() {
        alone!();
        let (receiver, _, telemetry) = start_exporting([QUIET]);
        let quiet = tracing::info_span!(target: "quiet", "quiet");
        tracing::Instrument::instrument(call(&telemetry), quiet).await;
        telemetry.shutdown(Duration::from_secs(60));
        let parent: TraceParent = PARENT.parse().unwrap();
        let spans: Vec<_> = receiver.spans().into_iter().map(|it| it.item).collect();
        assert_eq!(spans.len(), 1);
        assert_eq!(spans[0].trace_id, parent.trace_id());
        assert_eq!(spans[0].parent_span_id, parent.span_id());
        assert_eq!(spans[0].trace_state, "congo=t61");
    }

    #[test]
    fn exported_roots_are_below_the_parent_process() {
        alone!();
        let (receiver, lines, telemetry) = start_exporting([]);
        let job = tracing::info_span!("job");
        let baggage = job.context().baggage().get("tier").cloned();
        assert_eq!(baggage.unwrap().as_str(), "gold");
        job.in_scope(|| {
            tracing::info!("in the job");
            let inner = TraceParent::current().unwrap().to_string();
            let baggage = env_of_child()["BAGGAGE"].clone().unwrap();
            let mut members: Vec<_> = baggage.split(',').collect();
            members.sort_unstable();
            assert_eq!(members, ["tenant_id=acme", "tier=gold"]);
            assert_eq!(env_of_child()["TRACEPARENT"].as_deref(), Some(&*inner));
            assert_eq!(env_of_child()["TRACESTATE"].as_deref(), Some("congo=t61"));
            // The current span of the API is inside the span of `tracing`.
            global::tracer("jobs").in_span("step", |context| {
                let span = context.span().span_context().span_id();
                let child = env_of_child()["TRACEPARENT"].clone().unwrap();
                assert!(child.contains(&format!("-{span}-")), "{child}");
            });
        });
        drop(job);
        global::tracer("jobs").in_span("root of the API", |_| {});
        tracing::info_span!("own", trace_id = "0000f3577b34da6a3ce929d0e0e47360").in_scope(|| {});
        telemetry.shutdown(Duration::from_secs(60));

        assert_eq!(lines.only()["trace_id"], TRACE);
        let parent: TraceParent = PARENT.parse().unwrap();
        let spans: Vec<_> = receiver.spans().into_iter().map(|it| it.item).collect();
        let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
        for name in ["job", "root of the API"] {
            let span = named(name);
            assert_eq!(span.trace_id, parent.trace_id(), "{name}");
            assert_eq!(span.parent_span_id, parent.span_id(), "{name}");
            assert_eq!(span.trace_state, "congo=t61", "{name}");
        }
        assert_eq!(named("step").parent_span_id, named("job").span_id);
        assert_eq!(named("own").parent_span_id, [0; 0]);
    }

    /// Without `tracecontext` and `baggage`, requests and child processes receive no headers or
    /// variables.
    #[cfg(feature = "axum")]
    #[tokio::test]
    async fn propagators_decide_what_requests_read_and_send() {
        use axum::{Router, body::Body, http::Request, routing::get};
        use tower::ServiceExt as _;

        alone!();
        #[expect(
            clippy::disallowed_methods,
            reason = "between a test and itself, not a setting"
        )]
        let propagators = std::env::var("SPANWISE_TEST_PROPAGATORS");
        let Ok(propagators) = propagators else {
            for propagators in ["none", "tracecontext", "baggage", "baggage,tracecontext"] {
                let status = Command::new(std::env::current_exe().unwrap())
                    .args(std::env::args().skip(1))
                    .env("SPANWISE_TEST_PROPAGATORS", propagators)
                    .status();
                assert!(status.unwrap().success(), "{propagators}");
            }
            return;
        };
        let receiver = Receiver::start();
        let endpoint = receiver.endpoint();
        let (_, telemetry) = start([
            ("LOG_PRESET", "prod"),
            ("LOG_HTTP_TRUST", "always"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
            ("OTEL_PROPAGATORS", &*propagators),
        ]);
        let client = client(&telemetry);
        let handle = async move || {
            let sent = call_with(&client).await;
            let shown = ["traceparent", "tracestate", "baggage", "x-request-id"].map(|name| {
                let value = sent.get(name);
                value.map(|value| value.to_str().unwrap().to_owned())
            });
            let child: Vec<_> = env_of_child().into_keys().collect();
            format!("{shown:?} {child:?}")
        };
        let app = Router::new()
            .route("/", get(handle))
            .layer(telemetry.http_server());
        let request = Request::get("/")
            .header("traceparent", PARENT)
            .header("tracestate", "congo=t61")
            .header("baggage", "tier=gold")
            .header("x-request-id", "gateway-1")
            .body(Body::empty())
            .unwrap();
        let response = app.oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        let sent = String::from_utf8(body.unwrap().into()).unwrap();
        let propagates = |word: &str| propagators.split(',').any(|other| other == word);
        let has_trace = propagates("tracecontext");
        for trace in [&*format!("00-{TRACE}-"), "congo=t61", "TRACEPARENT"] {
            assert_eq!(sent.contains(trace), has_trace, "{propagators}: {sent}");
        }
        let has_baggage = propagates("baggage");
        assert_eq!(sent.contains("gold"), has_baggage, "{propagators}: {sent}");
        assert!(sent.contains("gateway-1"), "{sent}");
        telemetry.shutdown(Duration::from_secs(60));
        let span = receiver.spans().into_iter().map(|it| it.item);
        let mut served = span.filter(|span| span.name.starts_with("GET /"));
        let parent: TraceParent = PARENT.parse().unwrap();
        let is_below = served.any(|span| span.parent_span_id == parent.span_id());
        assert_eq!(is_below, has_trace, "{propagators}");
    }
}
