//! All that two services write and export about 1,000 requests has the same ids.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::trace::v1::{
    Span,
    span::SpanKind::{self, Client, Internal, Server},
    status::StatusCode,
};
use serde_json::Value;

use crate::{
    export_to,
    exported::{Exported, Logged, digits, exported},
    program,
    receiver::Receiver,
    requests::{OrderRequest, send},
    running_program::RunningProgram,
};

/// Requests without a trace.
const ORDERS: usize = 1_000;

/// Further requests of each kind with a trace.
const TRACED_ORDERS: usize = 30;

/// The spans of a request: in `front` that of the server, `reservation`, that of the client,
/// `price`, `tax` and `mail`; in `back` that of the server and `shelf`.
const SPANS: [usize; 2] = [6, 2];

/// Runs both services on such a runtime, and checks what they wrote and exported.
pub(crate) fn check(runtime: &str) {
    let receiver = Receiver::start();
    let start = |service: &str, args: &[&str]| {
        let mut command = program(service, args);
        export_to(&mut command, &receiver, service);
        RunningProgram::start(&mut command)
    };
    let mut back = start("back", &[runtime]);
    let mut front = start("front", &[runtime, &back.address("internal")]);
    let (public, internal) = (front.address("public"), front.address("internal"));
    let mut requests = Vec::new();
    for _ in 0..ORDERS {
        requests.push((&public, None));
    }
    for n in 0..TRACED_ORDERS {
        requests.push((&public, Some(Caller::Untrusted.traceparent(n))));
        requests.push((&internal, Some(Caller::Sampled.traceparent(n))));
        requests.push((&internal, Some(Caller::Unsampled.traceparent(n))));
    }
    let requests = requests
        .into_iter()
        .map(|(address, traceparent)| OrderRequest {
            address: address.clone(),
            traceparent,
        });
    send(requests.collect());

    // The order matters: `front` has open connections to `back`.
    let front = front.finish();
    let back = back.finish();
    check_texts(&front, &back, &receiver);
    let [front, back] = exported([("front", &front), ("back", &back)], &receiver);
    for service in [&front, &back] {
        check_records(service);
        check_lines(service);
    }
    check_spans(&front, &back);
    check_traces(&front, &back);
    check_untrusted(&front, &back);
    check_unsampled(&front, &back);
}

/// A caller of `front` that has a trace.
#[derive(Clone, Copy, PartialEq)]
enum Caller {
    Untrusted,
    Sampled,
    Unsampled,
}

impl Caller {
    fn prefix(self) -> &'static str {
        match self {
            Self::Untrusted => "bad0bad0bad0bad0",
            Self::Sampled => "5a5a5a5a5a5a5a5a",
            Self::Unsampled => "0ff00ff00ff00ff0",
        }
    }

    fn flags(self) -> &'static str {
        if self == Self::Unsampled { "00" } else { "01" }
    }

    fn span_id(self, n: usize) -> String {
        format!("{}{n:08x}", &self.prefix()[..8])
    }

    fn traceparent(self, n: usize) -> String {
        let (prefix, span_id) = (self.prefix(), self.span_id(n));
        format!("00-{prefix}{n:016x}-{span_id}-{}", self.flags())
    }

    /// Returns whether this is an id of this caller.
    fn has(self, id: &str) -> bool {
        id.starts_with(&self.prefix()[..8])
    }
}

type Ids = (String, String);

fn ids(span: &Span) -> Ids {
    (digits(&span.trace_id), digits(&span.span_id))
}

fn has_kind(kind: SpanKind) -> impl Fn(&&Span) -> bool {
    move |span| span.kind() == kind
}

/// Each line is a log record with the same ids, and each log record is a line.
fn check_records(service: &Exported) {
    let (mut lines, mut records) = (service.lines.clone(), service.records.clone());
    lines.sort();
    records.sort();
    assert_eq!(lines.len(), records.len());
    for (line, record) in lines.iter().zip(&records) {
        assert_eq!(line, record);
    }
}

/// Each line of a sampled request has the ids of one exported span of its service.
fn check_lines(service: &Exported) {
    let mut exported = BTreeMap::<Ids, usize>::new();
    for span in &service.spans {
        *exported.entry(ids(span)).or_default() += 1;
    }
    for line in &service.lines {
        assert_eq!(line.level, "INFO", "{line:?}");
        if line.span_id.is_empty() {
            assert_eq!(line.message, "listening", "{line:?}");
            continue;
        }
        let key = (line.trace_id.clone(), line.span_id.clone());
        let expected = (!Caller::Unsampled.has(&line.trace_id)).then_some(&1);
        assert_eq!(exported.get(&key), expected, "{line:?}");
    }
}

/// Each span is there once, with its parent, and nothing failed.
fn check_spans(front: &Exported, back: &Exported) {
    let mut exported = BTreeMap::new();
    for span in front.spans.iter().chain(&back.spans) {
        assert!(
            exported.insert(ids(span), span).is_none(),
            "twice: {span:#?}"
        );
        assert!(span.events.is_empty(), "{span:#?}");
        let status = span
            .status
            .as_ref()
            .map_or(StatusCode::Unset, |status| status.code());
        assert_eq!(status, StatusCode::Unset, "{span:#?}");
    }
    let parent = |span: &Span| {
        let key = (digits(&span.trace_id), digits(&span.parent_span_id));
        exported.get(&key).copied()
    };
    let calls = front.spans.iter().filter(has_kind(Client));
    let mut calls: BTreeSet<Ids> = calls.map(ids).collect();
    for span in &front.spans {
        match (span.kind(), parent(span)) {
            (Server, None) if Caller::Sampled.has(&digits(&span.trace_id)) => {
                assert!(
                    Caller::Sampled.has(&digits(&span.parent_span_id)),
                    "{span:#?}"
                );
            }
            (Server, None) => assert!(span.parent_span_id.is_empty(), "{span:#?}"),
            (Client, Some(parent)) => assert_eq!(parent.name, "reservation"),
            (Internal, Some(_)) => {}
            _ => panic!("an unknown parent: {span:#?}"),
        }
    }
    for span in &back.spans {
        match (span.kind(), parent(span)) {
            (Server, Some(call)) => {
                assert!(
                    calls.remove(&ids(call)),
                    "two requests of one call: {call:#?}"
                );
            }
            (Internal, Some(server)) => assert_eq!(server.kind(), Server, "{span:#?}"),
            _ => panic!("an unknown parent: {span:#?}"),
        }
    }
    assert!(calls.is_empty(), "without a server: {calls:?}");
}

/// Each sampled request is one trace, with all spans of both services.
fn check_traces(front: &Exported, back: &Exported) {
    let mut spans = BTreeMap::<&[u8], [usize; 2]>::new();
    for (n, service) in [front, back].into_iter().enumerate() {
        for span in &service.spans {
            spans.entry(&span.trace_id).or_default()[n] += 1;
        }
    }
    let of_caller = |caller: Caller| spans.keys().filter(|id| caller.has(&digits(id))).count();
    assert_eq!(spans.len(), ORDERS + 2 * TRACED_ORDERS);
    assert_eq!(of_caller(Caller::Sampled), TRACED_ORDERS);
    for (trace_id, spans) in &spans {
        assert_eq!(spans, &SPANS, "{}", digits(trace_id));
    }
}

/// The ids of an untrusted caller are nowhere but in one link.
fn check_untrusted(front: &Exported, back: &Exported) {
    let mut links = BTreeSet::new();
    for span in front.spans.iter().chain(&back.spans) {
        for id in [&span.trace_id, &span.parent_span_id] {
            assert!(!Caller::Untrusted.has(&digits(id)), "{span:#?}");
        }
        for link in &span.links {
            assert_eq!((span.kind(), span.links.len()), (Server, 1), "{span:#?}");
            assert!(span.parent_span_id.is_empty(), "{span:#?}");
            links.insert((digits(&link.trace_id), digits(&link.span_id)));
        }
    }
    let callers = (0..TRACED_ORDERS).map(|n| {
        let traceparent = Caller::Untrusted.traceparent(n);
        (
            traceparent[3..35].to_owned(),
            traceparent[36..52].to_owned(),
        )
    });
    assert_eq!(links, callers.collect());
}

/// No line and no log record has an id of an untrusted caller as text.
fn check_texts(front: &[Value], back: &[Value], receiver: &Receiver) {
    let lines = front.iter().chain(back).map(Value::to_string);
    let requests = receiver.requests().into_iter();
    let logs = requests.filter(|request| request.path == "/v1/logs");
    let logs = logs.map(|request| String::from_utf8_lossy(&request.body).into_owned());
    for text in lines.chain(logs) {
        let id = Caller::Untrusted.prefix();
        assert!(
            !text.contains(id) && !text.contains("bad0bad0-bad0"),
            "{text}"
        );
    }
}

/// A trusted caller that does not sample gets no spans. Its trace is in all lines.
fn check_unsampled(front: &Exported, back: &Exported) {
    for span in front.spans.iter().chain(&back.spans) {
        assert!(!Caller::Unsampled.has(&digits(&span.trace_id)), "{span:#?}");
    }
    for (service, per_request) in [(front, 7), (back, 4)] {
        let is_unsampled = |line: &&Logged| Caller::Unsampled.has(&line.trace_id);
        for line in service.lines.iter().filter(|line| !line.span_id.is_empty()) {
            let sampled = u8::from_str_radix(&line.trace_flags, 16).unwrap() & 1 == 1;
            assert_eq!(sampled, !is_unsampled(&line), "{line:?}");
        }
        let unsampled = service.lines.iter().filter(is_unsampled);
        assert_eq!(unsampled.count(), TRACED_ORDERS * per_request);
    }
    let calls: Vec<&Logged> = back
        .lines
        .iter()
        .filter(|line| line.received.is_some())
        .collect();
    assert_eq!(calls.len(), ORDERS + 3 * TRACED_ORDERS);
    for call in calls {
        let received = call.received.as_ref().unwrap();
        assert_eq!(received[3..35], call.trace_id, "{call:?}");
        assert_eq!(received[53..], call.trace_flags, "{call:?}");
    }
}
