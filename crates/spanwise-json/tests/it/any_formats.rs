//! Random events in each format: each is one line, no name is repeated, and no field changes what
//! the line itself says.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs,
    io::{self, Write as _},
    path::PathBuf,
};

use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Map, Value};
use spanwise_json::{Format, JsonLayer};
use spanwise_testing::support::{Lines, fixed_clock, parse_json};

use crate::support::{
    any::{self, Any, Case, case_named},
    dispatch,
};

/// The formats that receivers define.
fn formats() -> Vec<Format> {
    let formats = Format::NAMES.iter().map(|name| name.parse().unwrap());
    let is_own = |format: &Format| matches!(format, Format::Json | Format::JsonNested);
    formats
        .filter(|format: &Format| !format.is_human_readable() && !is_own(format))
        .collect()
}

/// Names that a format writes itself, that its receiver reads, or that have a place of their own.
pub(crate) const HOSTILE: &[&str] = &[
    "",
    "@metadata",
    "@timestamp",
    "@type",
    "@version",
    "Timestamp",
    "_aws",
    "_id",
    "a.b",
    "a*b",
    "a\\b",
    "a b",
    "a=b",
    "buffered",
    "caller_file_name",
    "client.address",
    "client.ip",
    "context",
    "context.service",
    "contextMap.dd.trace_id",
    "critical",
    "date",
    "dd",
    "dd.trace_id",
    "ddsource",
    "ddtags",
    "duration",
    "duration_ms",
    "e",
    "ecs.version",
    "environment",
    "err",
    "error",
    "error.message",
    "error.type",
    "event",
    "event.dataset",
    "event.duration",
    "event_type",
    "exception",
    "facility",
    "fields.level",
    "file",
    "full_message",
    "host",
    "hostname",
    "http.method",
    "http.request.id",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "httpRequest",
    "id",
    "labels",
    "labels.a",
    "level",
    "level_value",
    "line",
    "log.level",
    "log.logger",
    "logger.name",
    "logger_name",
    "logging.googleapis.com/spanId",
    "logging.googleapis.com/trace",
    "message",
    "metric.",
    "metric.a",
    "metric.level",
    "metric.size_bytes",
    "metric_name",
    "metric_unit",
    "metric_value",
    "msg",
    "name",
    "numeric_labels.a",
    "pid",
    "process.pid",
    "r#type",
    "redacted",
    "req_id",
    "request_id",
    "response_bytes",
    "service",
    "service.name",
    "service.node.name",
    "serviceContext",
    "service_node",
    "severity",
    "short_message",
    "source",
    "span",
    "span_id",
    "spans",
    "src",
    "stack_trace",
    "status",
    "tags",
    "target",
    "thread_name",
    "time",
    "timestamp",
    "trace_id",
    "truncated",
    "url.path",
    "user",
    "user_agent.original",
];

pub(crate) fn layer(format: &Format) -> JsonLayer {
    JsonLayer::new()
        .format(format.clone())
        .service_name("shop")
        .service_version("1.4.0")
        .service_environment("prod")
        .service_node("shop-7")
        .google_cloud_project("my-proj")
        .clock(fixed_clock())
}

/// Reads a line as an object. Fails if it is not valid, or if it repeats a key.
pub(crate) fn read(text: &str, format: &Format) -> Map<String, Value> {
    let text = text.trim_end_matches('\n');
    match format {
        Format::Logfmt => read_words(text),
        Format::Otlp => read_record(&parse_json(text)),
        _ => parse_json(text).as_object().unwrap().clone(),
    }
}

fn insert(members: &mut Map<String, Value>, key: &str, value: Value) {
    let before = members.insert(key.to_owned(), value);
    assert!(before.is_none(), "{key} is repeated");
}

fn read_words(mut text: &str) -> Map<String, Value> {
    let mut members = Map::new();
    while !text.is_empty() {
        let (key, rest) = text.split_once('=').unwrap();
        assert!(!key.is_empty() && !key.contains([' ', '"']), "{text}");
        let (value, rest) = match rest.starts_with('"') {
            true => {
                let mut values = serde_json::Deserializer::from_str(rest).into_iter();
                let value: Value = values.next().unwrap().unwrap();
                (value, &rest[values.byte_offset()..])
            }
            false => {
                let end = rest.find(' ').unwrap_or(rest.len());
                assert!(!rest[..end].contains(['"', '=']), "{rest}");
                (Value::from(&rest[..end]), &rest[end..])
            }
        };
        insert(&mut members, key, value);
        text = rest.strip_prefix(' ').unwrap_or(rest);
    }
    members
}

/// Reads the only record, and its attributes as members.
fn read_record(data: &Value) -> Map<String, Value> {
    let resource = &data["resourceLogs"][0];
    let scope = &resource["scopeLogs"][0];
    let mut members = scope["logRecords"][0].as_object().unwrap().clone();
    let attributes = members.remove("attributes").unwrap_or_default();
    for attribute in attributes.as_array().into_iter().flatten() {
        let key = format!("attribute {}", attribute["key"].as_str().unwrap());
        insert(&mut members, &key, attribute["value"].clone());
    }
    insert(&mut members, "scope", scope["scope"].clone());
    insert(&mut members, "resource", resource["resource"].clone());
    members
}

pub(crate) fn run(case: &Case, layer: JsonLayer) -> String {
    let lines = Lines::default();
    any::log(case, &dispatch(layer.with_writer(lines.clone())));
    lines.text()
}

/// The members that no field can change, for each number of spans.
pub(crate) type FixedMembers = HashMap<usize, Map<String, Value>>;

/// Returns the members of a line without fields.
fn fixed_members(case: &Case, format: &Format) -> Map<String, Value> {
    let empty = Case {
        spans: vec![Vec::new(); case.spans.len()],
        records: Vec::new(),
        event: Vec::new(),
    };
    let mut members = read(&run(&empty, layer(format)), format);
    for message in ["message", "msg", "short_message"] {
        members.remove(message);
    }
    members
}

pub(crate) fn check(case: &Case, format: &Format, fixed: &mut FixedMembers) -> String {
    let text = run(case, layer(format));
    assert_eq!(text.lines().count(), 1, "{text}");
    let line = read(&text, format);
    let fixed = fixed
        .entry(case.spans.len())
        .or_insert_with(|| fixed_members(case, format));
    for (key, value) in fixed {
        assert_eq!(line[key], *value, "{key} in {text}");
    }
    text
}

pub(crate) fn name() -> BoxedStrategy<String> {
    prop_oneof![
        2 => any::name(),
        5 => prop::sample::select(HOSTILE).prop_map(str::to_owned),
    ]
    .boxed()
}

/// Writes `FORMAT_COUNT` lines to `FORMAT_LINES/NAME.jsonl` if these are set, as
/// `scripts/format-check` does.
#[expect(
    clippy::disallowed_methods,
    reason = "between a test and its runner, not a setting"
)]
#[test]
fn any_event_is_one_valid_line_in_each_format() {
    let folder = std::env::var_os("FORMAT_LINES").map(PathBuf::from);
    let count = std::env::var("FORMAT_COUNT").map_or(64, |count| count.parse().unwrap());
    let file = |format: &Format| {
        let path = folder.as_ref()?.join(format!("{format}.jsonl"));
        Some(io::BufWriter::new(fs::File::create(path).unwrap()))
    };
    let state = formats().into_iter().map(|format| {
        let file = file(&format);
        (format, file, FixedMembers::new())
    });
    let state: Vec<_> = state.collect();
    let mut config = ProptestConfig::with_cases(count);
    config.failure_persistence = None;
    let state = RefCell::new(state);
    // Making a case costs more than logging it, so each is logged in all formats.
    TestRunner::new(config)
        .run(&case_named(name()), |case| {
            for (format, file, fixed) in &mut *state.borrow_mut() {
                let line = check(&case, format, fixed);
                if let Some(file) = file {
                    file.write_all(line.as_bytes()).unwrap();
                }
            }
            Ok(())
        })
        .unwrap();
}

/// A value of each kind that is found again in the text of a line.
pub(crate) fn values() -> [(Any, &'static str); 4] {
    [
        (Any::Str("needle".to_owned()), "needle"),
        (Any::U64(987_654_321), "987654321"),
        (Any::Error(vec!["needle".to_owned()]), "needle"),
        (Any::Json(serde_json::json!({ "a": "needle" })), "needle"),
    ]
}

#[test]
fn no_field_is_lost_whatever_its_name() {
    for (of_format, format) in formats().iter().enumerate() {
        let mut fixed = FixedMembers::new();
        // An attribute must have a name.
        let has_name = |name: &&str| !name.is_empty() || *format != Format::Otlp;
        for (of_name, name) in HOSTILE.iter().copied().filter(has_name).enumerate() {
            // Each format has a fourth of the pairs, and any four formats have all of them.
            let values = values().into_iter().enumerate();
            let chosen = values.filter(|(index, _)| (of_format + of_name + index) % 4 == 0);
            for (value, needle) in chosen.map(|(_, value)| value) {
                let field = vec![(name.to_owned(), value)];
                let of_event = Case {
                    spans: vec![Vec::new()],
                    records: Vec::new(),
                    event: field.clone(),
                };
                let of_span = Case {
                    spans: vec![field],
                    records: Vec::new(),
                    event: Vec::new(),
                };
                for case in [of_event, of_span] {
                    let line = check(&case, format, &mut fixed);
                    assert!(line.contains(needle), "{format}, {name}: {line}");
                }
            }
        }
    }
}
