//! A line of each format, byte for byte.

use std::{
    borrow::Cow,
    error::Error,
    fmt, fs, io, process, thread,
    time::{Duration, SystemTime},
};

use spanwise_core::{Clock, KeyVerdict, Redact, internal::host_name};
use spanwise_json::{
    ErrorLayout, EventView, Format, JsonLayer, LineBuf, LineFormat, OtherFields, Timestamp,
};
use spanwise_testing::support::Lines;
use tracing::{error, info, info_span, warn};

use crate::support::dispatch;

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// The line in which the event of `failed` is.
const FAILED_LINE: u32 = 83;
const SPAN_ID: &str = "00f067aa0ba902b7";

#[derive(Debug)]
struct Declined(Option<io::Error>);

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("gateway refused")
    }
}

impl Error for Declined {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.as_ref().map(|cause| cause as _)
    }
}

/// Redacts `card`.
#[derive(Debug)]
struct Cards;

impl Redact for Cards {
    fn key(&self, key: &str) -> KeyVerdict {
        match key {
            "card" => KeyVerdict::Redact,
            _ => KeyVerdict::Pass,
        }
    }

    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        text.into()
    }
}

fn declined() {
    let request = info_span!(
        "request",
        request_id = "req-1",
        tenant_id = "acme",
        trace_id = TRACE_ID,
        span_id = SPAN_ID
    );
    let _request = request.enter();
    let _charge = info_span!("charge", order_id = 42).entered();
    let declined = Declined(Some(io::Error::other("connection reset by peer")));
    let error: &(dyn Error + 'static) = &declined;
    warn!(
        target: "shop::pay",
        amount = 1999,
        currency = "EUR",
        retry = true,
        card = "4111 1111 1111 1111",
        error,
        "payment declined"
    );
}

fn failed() {
    let _charge = info_span!("charge").entered();
    let error: &(dyn Error + 'static) = &Declined(None);
    const { assert!(FAILED_LINE == line!() + 1) };
    error!(target: "shop::pay", error, "charge failed");
}

fn measured() {
    info!(target: "shop::pay", { metric.latency_ms = 12.5, currency = "EUR" }, "payment taken");
}

fn served() {
    let request = info_span!(
        "http.request",
        http.request.method = "GET",
        http.route = "/orders/{id}",
        request_id = "req-1",
        client.address = "192.0.2.0/24",
        trace_id = TRACE_ID,
        span_id = SPAN_ID
    );
    let _request = request.enter();
    info!(
        target: "spanwise_http::server",
        {
            http.response.status_code = 200,
            duration_ms = 0.679,
            ttfb_ms = 0.61,
            response_bytes = 8,
            outcome = "ok",
            url.path = "/orders/42"
        },
        "request served"
    );
}

/// The lines of `log`, with the name of a machine and of a process that are always the same.
fn lines(layer: JsonLayer, log: fn()) -> Lines {
    let lines = Lines::default();
    let now = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_795_165_687_123_456_789);
    let layer = layer
        .service_name("shop")
        .clock(Clock::manual(now))
        .redact(std::sync::Arc::new(Cards))
        .with_writer(lines.clone());
    let dispatch = dispatch(layer);
    let log = || tracing::dispatcher::with_default(&dispatch, log);
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("tokio-rt-worker".to_owned());
        thread.spawn_scoped(scope, log).unwrap();
    });
    lines
}

fn normalized(lines: &Lines) -> String {
    let host = format!("\"{}\"", host_name().unwrap());
    let text = lines.text().replace(&host, "\"web-1\"");
    text.replace(&format!("pid\":{}", process::id()), "pid\":7")
}

/// Compares the lines with `tests/golden/format_NAME.jsonl`. `UPDATE_GOLDEN=1` rewrites the file
/// instead.
#[expect(
    clippy::disallowed_methods,
    reason = "between a test and its runner, not a setting"
)]
#[track_caller]
fn check(format: &Format, logs: &[(fn(), bool)]) {
    let path = format!(
        "{}/tests/golden/format_{format}.jsonl",
        env!("CARGO_MANIFEST_DIR")
    );
    let mut text = String::new();
    for (log, has_environment) in logs {
        let mut layer = JsonLayer::new()
            .format(format.clone())
            .service_version("1.4.0")
            .google_cloud_project("my-proj");
        if *has_environment {
            layer = layer.service_environment("prod");
        }
        let line = normalized(&lines(layer, *log));
        let place = format!("lineNumber\":{FAILED_LINE}");
        let line = line.replace(file!(), "src/pay.rs");
        let line = line.replace(&place, "lineNumber\":42");
        text.push_str(&line);
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(text, golden, "{path}");
}

/// The formats for programs, but `json-nested`, whose lines are those of another test.
fn formats() -> impl Iterator<Item = Format> {
    let formats = Format::NAMES.iter().map(|name| name.parse().unwrap());
    formats.filter(|format: &Format| !format.is_human_readable() && *format != Format::JsonNested)
}

#[test]
fn each_format_writes_its_line() {
    for format in formats() {
        let mut logs = vec![(declined as fn(), true)];
        match format {
            Format::Ecs | Format::Datadog => logs.push((served, true)),
            Format::Gcp => logs.extend([(failed as fn(), false), (served, false)]),
            Format::Emf => logs.push((measured, false)),
            _ => {}
        }
        check(&format, &logs);
    }
}

#[test]
fn documentation_shows_these_lines() {
    let read =
        |path: &str| fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let root = env!("CARGO_MANIFEST_DIR");
    let page = read(&format!("{root}/../../docs/formats.md"));
    for format in formats() {
        let golden = read(&format!("{root}/tests/golden/format_{format}.jsonl"));
        let lines = match format {
            Format::Emf => 2,
            _ => 1,
        };
        for line in golden.lines().take(lines) {
            assert!(page.lines().any(|shown| shown == line), "{format}: {line}");
        }
    }
}

/// The format of the page that code writes.
struct Brackets;

impl LineFormat for Brackets {
    fn write(&self, event: &EventView<'_>, line: &mut LineBuf<'_>) -> fmt::Result {
        line.raw("[");
        line.raw(event.level().as_str());
        line.raw("] ");
        line.text(&event.message().unwrap_or_default());
        for (name, value) in event.fields() {
            line.raw(" {");
            line.text(&name);
            line.raw(": ");
            line.value(&value);
            line.raw("}");
        }
        Ok(())
    }
}

#[test]
fn documentation_shows_lines_of_your_own() {
    let layer = JsonLayer::new;
    let list = "level>severity,timestamp>ts,-target,-tenant_id,order_id>order,region=eu,@millis";
    let acme = Format::custom("acme")
        .timestamp("ts", Timestamp::millis())
        .level("sev", ["trace", "debug", "info", "warn", "error", "fatal"])
        .message("text")
        .target("logger")
        .field("request_id", "rid")
        .other_fields(OtherFields::Prefix("x_".to_owned()))
        .error(ErrorLayout::Text)
        .constant("schema", 3);
    let template = "text:{level} {time} {target} {pid} {message} {fields}";
    let layers = [
        layer().fields(&list.parse().unwrap()),
        layer().format(acme.build().unwrap()),
        layer().format(template.parse().unwrap()),
        layer().format(Format::from_code("brackets", Brackets).unwrap()),
    ];
    let path = format!("{}/../../docs/formats.md", env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(path).unwrap();
    assert!(page.contains(list) && page.contains(template));
    let shown = layers.map(|layer| {
        let text = normalized(&lines(layer, declined));
        let process = format!(" {} ", process::id());
        text.trim_end().replace(&process, " 7 ")
    });
    let is_missing = |line: &&String| !page.lines().any(|shown| shown == *line);
    let missing: Vec<&String> = shown.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
