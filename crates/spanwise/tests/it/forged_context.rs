//! Fields of spans and events do not replace values that `context::set` or the HTTP layer set. This
//! is true for each key and each output.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::support::Lines;
use axum::{Router, body::Body, extract::State, http::Request, routing::get};
use serde_json::Value;
use spanwise::{
    Builder, Format, Preset, Telemetry,
    context::{self, Context, ContextLayer},
    layer::JsonLayer,
    record::Recorder,
    sample::{EventMatcher, Limit, Rate, SampleExt, Sampler},
    unit_span,
};
use tower::ServiceExt as _;
use tracing::{Level, debug, error, field::Empty, info, info_span, subscriber::DefaultGuard};
use tracing_subscriber::prelude::*;

/// The keys with their pinned values.
const DECIDED: [(&str, &str); 6] = [
    ("request_id", "r-1"),
    ("tenant_id", "acme"),
    ("user_id", "ada"),
    ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
    ("span_id", "00f067aa0ba902b7"),
    ("order_id", "o-42"),
];

/// Another pinned value, valid for each key.
const DECIDED_LATER: &str = "b7ad6b7169203331b7ad6b7169203331";

/// A span or an event with a field for each key. Each field has another value.
macro_rules! forged {
    ($macro:ident!($($before:tt)*)) => {
        $macro!(
            $($before)*
            request_id = FORGED,
            tenant_id = FORGED,
            user_id = FORGED,
            trace_id = FORGED,
            span_id = FORGED_SPAN,
            order_id = FORGED,
        )
    };
}

const FORGED: &str = "f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0";
const FORGED_SPAN: &str = "f0f0f0f0f0f0f0f0";

/// Logs events with fields that are named like keys, in all possible ways. The messages contain
/// `of`.
fn log_in_each_way(of: &str) {
    let message = |way: &str| format!("{of}: {way}");
    forged!(debug!(message = message("field of a buffered event"),));
    forged!(info!(message = message("field of an event"),));
    let span = forged!(info_span!("forged",));
    span.in_scope(|| info!("{of}: field of a span"));
    let late = info_span!(
        "late",
        request_id = Empty,
        tenant_id = Empty,
        user_id = Empty,
        trace_id = Empty,
        span_id = Empty,
        order_id = Empty
    );
    for (key, _) in DECIDED {
        late.record(key, FORGED);
    }
    late.in_scope(|| info!("{of}: recorded late"));
    forged!(info!(parent: &span, message = message("parent of an event"),));
    log::info!(
        request_id = FORGED,
        tenant_id = FORGED,
        user_id = FORGED,
        trace_id = FORGED,
        span_id = FORGED_SPAN,
        order_id = FORGED;
        "{of}: key-value of a record"
    );
    let unit = forged!(info_span!("unit", spanwise.unit = Empty,));
    unit.in_scope(|| info!("{of}: span that is a unit"));
    span.in_scope(|| {
        let inner = forged!(info_span!("forged",));
        inner.in_scope(|| forged!(info!(message = message("span in a span"),)));
        forged!(error!(message = message("error"),));
    });
}

/// For each unit, by name, the pinned keys with their values.
type Decided = BTreeMap<String, Vec<(&'static str, String)>>;

/// Opens a unit for each key. The unit pins only this key, and logs forged fields for all keys.
fn decide_one() -> Decided {
    let decide = |(key, value): (&'static str, &str)| {
        let _unit = unit_span!("decided").entered();
        context::set(key, value);
        log_in_each_way(key);
        (key.to_owned(), vec![(key, value.to_owned())])
    };
    DECIDED.into_iter().map(decide).collect()
}

async fn handler(State(decided): State<Arc<Mutex<Decided>>>) -> &'static str {
    context::set("user_id", "ada");
    context::set("order_id", "o-42");
    let context = Context::current();
    let all = DECIDED.map(|(key, _)| (key, context.get(key).unwrap().to_owned()));
    for (key, _) in DECIDED {
        spanwise::http::record(key, FORGED);
    }
    log_in_each_way("http");
    decided.lock().unwrap().insert("http".into(), all.into());
    "ok"
}

/// Serves a request. The HTTP layer pins four keys, and `context::set` pins the others.
async fn decide_by_http(telemetry: &Telemetry) -> Decided {
    let decided = Arc::<Mutex<Decided>>::default();
    let server = telemetry.http_server().tenant_header("x-tenant-id");
    let app = Router::new()
        .route("/", get(handler))
        .with_state(Arc::clone(&decided))
        .layer(server.trust(spanwise::http::Trust::Always));
    let request = Request::get("/")
        .header("x-request-id", "r-1")
        .header("x-tenant-id", "acme")
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )
        .body(Body::empty());
    let response: Result<_, Infallible> = app.oneshot(request.unwrap()).await;
    let body = response.unwrap().into_body();
    axum::body::to_bytes(body, usize::MAX).await.unwrap();
    std::mem::take(&mut decided.lock().unwrap())
}

fn builder() -> (Lines, Builder) {
    let output = Lines::default();
    let builder = Builder::new(Preset::Prod)
        .with_writer(output.clone())
        .recorder(Recorder::default())
        .context_key("order_id");
    (output, builder)
}

/// Logs everything to an output of `format`. Returns its lines, each with the pinned values of its
/// unit.
async fn lines(format: Format) -> Vec<(String, Vec<(&'static str, String)>)> {
    let (output, builder) = builder();
    let telemetry = builder.format(format).init().unwrap();
    let mut decided = decide_one();
    decided.append(&mut decide_by_http(&telemetry).await);
    let text = output.text();
    let mut lines = Vec::new();
    let mut headers = 0;
    for line in text.lines().rev() {
        let unit = decided
            .iter()
            .find(|(unit, _)| line.contains(&format!("{unit}: ")));
        let of_line = match unit {
            Some((_, decided)) => decided,
            None if line.contains("request served") => &decided["http"],
            None if line.contains("flight recorder: buffered") => {
                headers += 1;
                // The unit is the unit of the following line.
                let (_, after) = lines.last().unwrap();
                after
            }
            // The event of the request, in formats for people.
            None if line.contains("GET / 200") => &decided["http"],
            None => panic!("{line}"),
        };
        lines.push((line.to_owned(), of_line.clone()));
    }
    // Each unit with its buffered line and header, and the access event.
    assert_eq!((headers, lines.len()), (7, 7 * 10 + 1), "{text}");
    lines
}

#[tokio::test]
async fn json_shows_the_decided_context() {
    alone!();
    for (line, decided) in lines(Format::Json).await {
        let object: Value = serde_json::from_str(&line).unwrap();
        for (key, value) in decided {
            assert_eq!(object[key], *value, "{key}: {line}");
            assert_eq!(line.matches(&format!("\"{key}\":")).count(), 1, "{line}");
        }
    }
}

/// This layout has no separate place for context. Each span shows its fields, and the span with a
/// pinned value keeps this value.
#[tokio::test]
async fn nested_json_shows_the_decided_context() {
    alone!();
    for (line, decided) in lines(Format::JsonNested).await {
        let object: Value = serde_json::from_str(&line).unwrap();
        let unit = &object["spans"][0];
        for (key, value) in decided {
            assert_eq!(unit[key], *value, "{key}: {line}");
        }
    }
}

#[tokio::test]
async fn compact_shows_the_decided_context() {
    alone!();
    check_texts(&lines(Format::Compact).await);
}

#[tokio::test]
async fn pretty_shows_the_decided_context() {
    alone!();
    let (output, builder) = builder();
    let telemetry = builder.format(Format::Pretty).init().unwrap();
    let mut decided = decide_one();
    decided.append(&mut decide_by_http(&telemetry).await);
    let text = output.text();
    let mut lines: Vec<(String, Vec<(&str, String)>)> = Vec::new();
    let mut of_spans = String::new();
    for line in text.lines() {
        let is_of = |unit: &String| line.contains(&format!("{unit}: "));
        match decided.iter().find(|(unit, _)| is_of(unit)) {
            // Behind the fields of the event are those of its spans.
            Some((_, decided)) => lines.push((
                format!("{line}{}", std::mem::take(&mut of_spans)),
                decided.clone(),
            )),
            None if line.contains("▸") => of_spans = line[13..].to_owned(),
            None => {}
        }
    }
    assert_eq!(lines.len(), 7 * 9, "{text}");
    check_texts(&lines);
}

/// A line shows the id of its unit at its end. The other values are shown once, also if they are
/// forged afterwards; those of a trace are not.
fn check_texts(lines: &[(String, Vec<(&'static str, String)>)]) {
    let mut shown: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for (line, decided) in lines {
        let (_, around) = line.split_once(" | ").unwrap_or(("", line));
        for (key, value) in decided {
            let fields = around.split(' ').filter_map(|field| field.split_once('='));
            for (_, text) in fields.filter(|(name, _)| name == key) {
                assert_eq!(text, value, "{key} in {line}");
                *shown.entry((*key, value.clone())).or_default() += 1;
            }
            match *key {
                "request_id" => {
                    let end = &value[value.len().saturating_sub(8)..];
                    assert!(around.split(' ').any(|word| word.ends_with(end)), "{line}");
                }
                "trace_id" | "span_id" => assert!(!around.contains(&format!("{key}=")), "{line}"),
                _ => {}
            }
        }
    }
    let keys: Vec<&str> = shown.keys().map(|(key, _)| *key).collect();
    for key in ["tenant_id", "user_id", "order_id"] {
        assert!(keys.contains(&key), "{key}: {shown:?}");
    }
}

#[cfg(feature = "sentry")]
#[tokio::test]
async fn sentry_has_the_decided_context() {
    alone!();
    let receiver = crate::receiver::Receiver::start();
    let (_, builder) = builder();
    let telemetry = builder.sentry_dsn(receiver.dsn()).init().unwrap();
    let mut decided = decide_one();
    decided.append(&mut decide_by_http(&telemetry).await);
    telemetry.shutdown(Duration::from_secs(60));
    let events = receiver.events();
    assert_eq!(events.len(), 7, "{events:#?}");
    for event in events {
        let message = event["message"].as_str().unwrap();
        let (unit, _) = message.split_once(": ").unwrap();
        for (key, value) in &decided[unit] {
            let shown = match *key {
                "user_id" => &event["user"]["id"],
                "trace_id" | "span_id" => &event["contexts"]["trace"][key],
                _ => &event["tags"][key],
            };
            assert_eq!(shown, value, "{key}: {event:#}");
        }
        assert!(!event["tags"].to_string().contains(FORGED) || unit != "http");
    }
}

/// Returns the lines of a stack with this sampler.
fn sampled(sampler: &Sampler) -> (DefaultGuard, Lines) {
    let output = Lines::default();
    let layer = JsonLayer::new().context_key("order_id");
    let layer = layer.with_writer(output.clone());
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default().key("order_id"))
        .with(layer.sampled(sampler.clone()));
    (tracing::subscriber::set_default(stack), output)
}

#[test]
fn sampler_conditions_use_the_decided_context() {
    let none = || Limit::ratio(0.0).unwrap();
    for (key, value) in DECIDED {
        let forged = if key == "span_id" {
            FORGED_SPAN
        } else {
            FORGED
        };
        let shown = |wanted: &str| {
            let rule = || EventMatcher::field(key, wanted);
            let sampler = Sampler::builder()
                .rule(rule(), none())
                .rule(rule().and_level(Level::ERROR), none())
                .build();
            let (_default, output) = sampled(&sampler);
            let _unit = unit_span!("decided").entered();
            context::set(key, value);
            log_in_each_way(key);
            let lines = output.objects();
            let messages = lines.iter().map(|line| line["message"].to_string());
            messages.collect::<Vec<_>>()
        };
        let all = shown("another value");
        assert!(all.len() >= 8, "{all:?}");
        assert_eq!(shown(forged), all, "a rule about {key} took forged values");
        assert_eq!(shown(value), [""; 0], "{key}");
    }
}

#[test]
fn limits_by_value_use_the_decided_context() {
    for (key, value) in DECIDED {
        let limit: Limit = Rate::new(1, Duration::from_secs(86_400))
            .per_value_of(key)
            .into();
        let sampler = Sampler::builder().rule(EventMatcher::any(), limit).build();
        let (default, output) = sampled(&sampler);
        let unit = unit_span!("decided").entered();
        context::set(key, value);
        let log = || {
            for n in 0..20 {
                info!(
                    request_id = n,
                    tenant_id = n,
                    user_id = n,
                    trace_id = n,
                    span_id = n,
                    order_id = n,
                    "forged"
                );
            }
        };
        log();
        drop(unit);
        assert_eq!(output.objects().len(), 1, "{key}: {}", output.text());
        sampler.emit_summaries();
        let lines = output.objects();
        assert_eq!(lines[1]["suppressed"], 19, "{}", output.text());
        // Another pinned value has its own bucket. The bucket of this value is empty.
        for (decided, shown) in [(DECIDED_LATER, 1), (value, 0)] {
            let before = output.objects().len();
            let _unit = unit_span!("decided").entered();
            context::set(key, decided);
            log();
            assert_eq!(output.objects().len() - before, shown, "{key}={decided}");
        }
        drop(default);
    }
}

/// The pinned ids decide which units are sampled.
#[test]
fn ratios_use_the_decided_trace_id() {
    let traces =
        (1..=64_u64).map(|n| format!("{n:016x}{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let traces: Vec<String> = traces.collect();
    let chosen = |forges: bool, by_tail: bool| -> Vec<String> {
        let output = Lines::default();
        let sampler = Sampler::builder()
            .rule(EventMatcher::any(), Limit::ratio(0.5).unwrap())
            .build();
        let recorder: Recorder = "debug,tail=0.5".parse().unwrap();
        let levels =
            spanwise::layer::LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
        let json = |writer| JsonLayer::new().with_writer(writer);
        let tail = by_tail.then(|| {
            recorder.sink(output.clone(), levels.handle(), |writer| {
                JsonLayer::new().with_writer(writer)
            })
        });
        let sampled = (!by_tail).then(|| json(output.clone()).sampled(sampler));
        let context = ContextLayer::default();
        let dispatch: tracing::Dispatch = match (tail, sampled) {
            (Some(tail), _) => tracing_subscriber::registry()
                .with(context)
                .with(tail)
                .with(levels)
                .into(),
            (None, sampled) => tracing_subscriber::registry()
                .with(context)
                .with(sampled.unwrap())
                .with(levels)
                .into(),
        };
        let _default = tracing::dispatcher::set_default(&dispatch);
        for trace in &traces {
            let _unit = unit_span!("decided").entered();
            context::set("trace_id", trace);
            context::set("request_id", "r-1");
            let _forged = forges.then(|| forged!(info_span!("forged",)).entered());
            info!(trace_id = FORGED, "logged");
        }
        let lines = output.objects();
        lines
            .iter()
            .map(|line| line["trace_id"].as_str().unwrap().to_owned())
            .collect()
    };
    let plain = chosen(false, false);
    assert!((10..55).contains(&plain.len()), "{}", plain.len());
    assert_eq!(chosen(true, false), plain);
    assert_eq!(chosen(false, true), plain);
    assert_eq!(chosen(true, true), plain);
}
