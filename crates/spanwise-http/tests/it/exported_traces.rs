//! Requests and calls in a stack where another layer gives spans identities for an export.

use std::{cell::RefCell, convert::Infallible};

use crate::{identities::Identities, support::client::text};
use http::{HeaderMap, Request, Response};
use http_body_util::Empty;
use serde_json::Value;
use spanwise_core::{
    ContextLayer, TraceParent,
    internal::announced_span::{Announced, AnnouncedTrace, SpanKind},
};
use spanwise_http::{Trust, client, server};
use spanwise_json::JsonLayer;
use spanwise_testing::support::Lines;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tracing::{Instrument, Level, info, info_span, level_filters::LevelFilter};
use tracing_subscriber::{filter::Targets, prelude::*};

type Body = Empty<&'static [u8]>;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// A request whose handler logs, opens a span and makes a call in it.
#[derive(Default)]
struct Setup {
    identities: Identities,
    lines: Lines,
}

impl Setup {
    /// Serves a request with these headers. Returns the headers of the call.
    async fn serve(&self, trust: Trust, off: &str, received: &[(&str, &str)]) -> HeaderMap {
        let targets = Targets::new()
            .with_default(Level::TRACE)
            .with_target(off, LevelFilter::OFF);
        let stack = tracing_subscriber::registry()
            .with(targets)
            .with(self.identities.clone())
            .with(ContextLayer::default())
            .with(JsonLayer::new().with_writer(self.lines.clone()));
        let _default = stack.set_default();
        let sent = RefCell::new(None);
        let service = service_fn(|_: Request<Body>| async {
            info!("handler");
            let work = async { sent.replace(Some(call(&[]).await)) };
            work.instrument(info_span!("work")).await;
            Ok::<_, Infallible>(Response::new(Body::new()))
        });
        let mut request = Request::get("/orders");
        for (name, value) in received {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::new()).unwrap();
        let layer = server().trust(trust);
        layer.layer(service).oneshot(request).await.unwrap();
        sent.take().unwrap()
    }

    /// Returns the line with this message.
    fn line(&self, message: &str) -> Value {
        let lines = self.lines.objects();
        let found = lines.iter().find(|line| line["message"] == message);
        found.unwrap_or_else(|| panic!("{lines:#?}")).clone()
    }
}

/// Makes a call with these headers. Returns its headers.
async fn call(by_hand: &[(&str, &str)]) -> HeaderMap {
    let network = service_fn(async |request: Request<()>| {
        info!("in the call");
        Ok::<_, Infallible>(Response::new(request.into_parts().0.headers))
    });
    let mut request = Request::get("http://warehouse/stock");
    for (name, value) in by_hand {
        request = request.header(*name, *value);
    }
    let request = request.body(()).unwrap();
    let response = client().layer(network).oneshot(request).await;
    response.unwrap().into_body()
}

/// Returns the trace id and the span id of a line.
fn ids(line: &Value) -> [&str; 2] {
    ["trace_id", "span_id"].map(|key| line[key].as_str().unwrap())
}

fn sent_parent(headers: &HeaderMap) -> TraceParent {
    text(headers, "traceparent").unwrap().parse().unwrap()
}

fn parent_of(line: &Value, flags: &str) -> TraceParent {
    let [trace_id, span_id] = ids(line);
    format!("00-{trace_id}-{span_id}-{flags}").parse().unwrap()
}

#[tokio::test]
async fn lines_and_headers_have_the_same_ids() {
    let setup = Setup::default();
    let sent = setup.serve(Trust::Never, "none", &[]).await;
    let lines = ["handler", "in the call", "request served"].map(|line| setup.line(line));
    let trace_ids = lines.each_ref().map(|line| ids(line)[0]);
    assert_eq!(trace_ids, [trace_ids[0]; 3]);
    assert_eq!(ids(&lines[0]), ids(&lines[2]), "the server span");
    assert_eq!(sent_parent(&sent), parent_of(&lines[1], "03"));
    // The new trace has the number of the request id.
    let request_id = lines[0]["request_id"].as_str().unwrap();
    assert_eq!(request_id.replace('-', ""), trace_ids[0]);

    let [server, call] = &setup.identities.announced()[..] else {
        panic!("two are announced")
    };
    let parent = parent_of(&lines[0], "03");
    let expected = Announced {
        span_id: parent.span_id(),
        kind: SpanKind::Server,
        trace: Some(AnnouncedTrace {
            trace_id: parent.trace_id(),
            parent: None,
            flags: 2,
            state: None,
            link: None,
        }),
    };
    assert_eq!(*server, expected);
    let expected = Announced {
        span_id: sent_parent(&sent).span_id(),
        kind: SpanKind::Client,
        trace: None,
    };
    assert_eq!(*call, expected);
}

#[tokio::test]
async fn decision_of_the_sampler_is_sent() {
    let setup = Setup {
        identities: Identities::unsampled(),
        ..Setup::default()
    };
    let received = format!("00-{TRACE}-{CALLER}-01");
    let received = [("traceparent", &*received), ("tracestate", "rojo=1")];
    for off in ["none", "spanwise_http::client"] {
        let sent = setup.serve(Trust::Always, off, &received).await;
        assert_eq!(sent_parent(&sent).flags(), 2, "{off}");
        assert_eq!(text(&sent, "tracestate"), Some("ot=th:8"), "{off}");
        assert_eq!(setup.line("handler")["trace_flags"], "02");
    }
}

#[tokio::test]
async fn trusted_caller_is_the_parent() {
    let setup = Setup::default();
    let received = format!("00-{TRACE}-{CALLER}-01");
    let received = [("traceparent", &*received), ("tracestate", "rojo=1")];
    let sent = setup.serve(Trust::Always, "none", &received).await;
    let handler = setup.line("handler");
    assert_eq!(ids(&handler)[0], TRACE);
    assert_ne!(ids(&handler)[1], CALLER);
    assert_eq!(
        sent_parent(&sent).trace_id(),
        parent_of(&handler, "03").trace_id()
    );
    let caller: TraceParent = received[0].1.parse().unwrap();
    assert_eq!(
        setup.identities.announced()[0].trace,
        Some(AnnouncedTrace {
            trace_id: caller.trace_id(),
            parent: Some(caller.span_id()),
            flags: 1,
            state: Some("rojo=1".into()),
            link: None,
        })
    );
}

#[tokio::test]
async fn untrusted_caller_is_a_link() {
    let setup = Setup::default();
    let received = format!("00-{TRACE}-{CALLER}-01");
    let caller: TraceParent = received.parse().unwrap();
    for (header, link) in [
        (&*received, Some((caller.trace_id(), caller.span_id()))),
        ("00-0-0-01", None),
    ] {
        let headers = [("traceparent", header), ("tracestate", "rojo=1")];
        let sent = setup.serve(Trust::Never, "none", &headers).await;
        assert_eq!(text(&sent, "tracestate"), None);
        let trace = setup.identities.announced()[0].trace.clone().unwrap();
        assert_ne!(trace.trace_id, caller.trace_id());
        assert_eq!((trace.parent, trace.state, trace.link), (None, None, link));
    }
    let lines = setup.lines.text();
    assert!(!lines.contains(TRACE) && !lines.contains(CALLER), "{lines}");
}

#[tokio::test]
async fn call_that_is_not_exported_sends_the_span_around_it() {
    const CLIENT: &str = "spanwise_http::client";
    for (identities, off) in [
        (Identities::default(), CLIENT),
        (Identities::without(CLIENT), "none"),
    ] {
        let setup = Setup {
            identities,
            ..Setup::default()
        };
        let sent = setup.serve(Trust::Never, off, &[]).await;
        // Logged in the call, which is in `work`.
        let line = setup.line("in the call");
        assert_eq!(sent_parent(&sent), parent_of(&line, "03"), "{off}");
        assert_ne!(ids(&line), ids(&setup.line("handler")), "{off}");
    }
}

#[tokio::test]
async fn request_without_a_span_is_the_parent_of_its_calls() {
    let stack = tracing_subscriber::registry()
        .with(Targets::new().with_target("spanwise_http::client", Level::INFO));
    let identities = Identities::default();
    let _default = stack.with(identities.clone()).set_default();
    let service = service_fn(|_: Request<Body>| async {
        let sent = call(&[]).await;
        assert_eq!(text(&sent, "tracestate"), None, "the sampler decides");
        let parent = sent_parent(&sent).to_string();
        assert!(parent.starts_with(&format!("00-{TRACE}-")), "{parent}");
        Ok::<_, Infallible>(Response::new(Body::new()))
    });
    let request = Request::get("/")
        .header("traceparent", format!("00-{TRACE}-{CALLER}-00"))
        .body(Body::new())
        .unwrap();
    let layer = server().trust(Trust::Always);
    layer.layer(service).oneshot(request).await.unwrap();
    let announced = identities.announced();
    assert_eq!(announced.len(), 1);
    let trace = announced[0].trace.clone().unwrap();
    assert!(trace.parent.is_some());
    assert_eq!(trace.flags, 0);
}

#[tokio::test]
async fn header_set_by_hand_is_kept() {
    let lines = Lines::default();
    let stack = tracing_subscriber::registry()
        .with(Identities::default())
        .with(JsonLayer::new().with_writer(lines.clone()));
    let _default = stack.set_default();
    let by_hand = format!("00-{TRACE}-{CALLER}-01");
    let job = info_span!("job");
    let headers = [("traceparent", &*by_hand)];
    let sent = call(&headers).instrument(job.clone()).await;
    assert_eq!(text(&sent, "traceparent"), Some(&*by_hand));
    // The line has the ids of the exported span.
    job.in_scope(|| info!("job"));
    let [inside, job] = &lines.objects()[..] else {
        panic!("two lines")
    };
    assert_eq!(ids(inside)[0], ids(job)[0]);
    assert_ne!(ids(inside)[1], CALLER);
}

#[tokio::test]
async fn call_outside_of_a_request_begins_a_trace() {
    let identities = Identities::default();
    let stack = tracing_subscriber::registry()
        .with(identities.clone())
        .with(ContextLayer::default());
    let _default = stack.set_default();
    let sent = sent_parent(&call(&[]).await);
    let trace = AnnouncedTrace {
        trace_id: sent.trace_id(),
        parent: None,
        flags: 2,
        state: None,
        link: None,
    };
    assert_eq!(identities.announced()[0].trace, Some(trace));
    assert_eq!(sent.flags(), 3);

    // The bits of an id from the caller may not be random.
    let by_hand = format!("00-{TRACE}-{CALLER}-01");
    call(&[("traceparent", &*by_hand)]).await;
    assert_eq!(identities.announced()[0].trace, None);
}
