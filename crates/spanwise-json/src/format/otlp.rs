//! `otlp`: one `LogsData` of OpenTelemetry in JSON, as the receiver `otlpjsonfile` of the Collector
//! and the path `/v1/logs` read it.
//!
//! The encoder writes the line with the keys of [`TABLE`]; [`record`] makes of it a record with
//! typed attributes.

use crate::{
    builder::Options,
    conversion::{kind_of, unquoted},
    escape,
    format::{TRUNCATED, json},
    format_table::{
        ErrorPart, ErrorShape, Facts, FormatTable, Kind, Known, MessageKey, Rewrite, ThreadKeys,
        TimeText, environment, file, line, service_name, service_version, target, text,
    },
    json_lexer::{Member, members, string_end, value_end},
    work,
};

/// The keys of the members that are not attributes. A field with such a name is displaced.
const TIME: &str = "#time";
const SEVERITY_TEXT: &str = "#severityText";
const SEVERITY_NUMBER: &str = "#severityNumber";
const TARGET: &str = "#target";
const BODY: &str = "#body";
const TRACE_ID: &str = "#traceId";
const SPAN_ID: &str = "#spanId";

pub(crate) const TABLE: FormatTable = FormatTable {
    timestamp: TIME,
    time: TimeText::EpochNanos,
    head: &[
        (SEVERITY_TEXT, severity_text),
        (SEVERITY_NUMBER, severity_number),
        (TARGET, target),
    ],
    message: MessageKey {
        key: BODY,
        is_text: true,
        missing: None,
        blank: None,
    },
    span: "span.name",
    spans: "span.names",
    origin: &[("code.file.path", file), ("code.line.number", line)],
    thread: ThreadKeys {
        name: "thread.name",
        id: "thread.id",
        always: false,
    },
    tail: &[],
    known: &[
        (
            "trace_id",
            Known::Hex {
                key: TRACE_ID,
                digits: 32,
                prefix: |_| Some(String::new()),
            },
        ),
        (
            "span_id",
            Known::Hex {
                key: SPAN_ID,
                digits: 16,
                prefix: |_| Some(String::new()),
            },
        ),
    ],
    reserved: &[TRACE_ID, SPAN_ID],
    error: ErrorShape::Members(&[
        (ErrorPart::Type, "exception.type"),
        (ErrorPart::Message, "exception.message"),
        (ErrorPart::Stack, "exception.stacktrace"),
    ]),
    rewrite: Some(Rewrite {
        start: resource,
        line: record,
    }),
    ..json::TABLE
};

fn severity_text(facts: &Facts<'_>) -> Option<Vec<u8>> {
    text(facts.by_level(["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]))
}

fn severity_number(facts: &Facts<'_>) -> Option<Vec<u8>> {
    Some(facts.by_level(["1", "5", "9", "13", "17", "21"]).into())
}

/// The members of a line that are not attributes, as JSON values.
#[derive(Default)]
struct Record<'a> {
    time: Option<&'a [u8]>,
    severity_text: Option<&'a [u8]>,
    severity_number: Option<&'a [u8]>,
    target: Option<&'a [u8]>,
    body: Option<&'a [u8]>,
    trace_id: Option<&'a [u8]>,
    span_id: Option<&'a [u8]>,
}

impl<'a> Record<'a> {
    /// Takes a member that is not an attribute. Returns whether it was one.
    fn take(&mut self, member: &Member<'a>) -> bool {
        let key = unquoted(member.quoted_key());
        if key.first() != Some(&b'#') {
            return false;
        }
        for (name, place) in [
            (TIME, &mut self.time),
            (SEVERITY_TEXT, &mut self.severity_text),
            (SEVERITY_NUMBER, &mut self.severity_number),
            (TARGET, &mut self.target),
            (BODY, &mut self.body),
            (TRACE_ID, &mut self.trace_id),
            (SPAN_ID, &mut self.span_id),
        ] {
            if name.as_bytes() == key {
                *place = Some(member.value());
                return true;
            }
        }
        false
    }

    /// Appends the members in front of the attributes.
    fn push_first(&self, to: &mut Vec<u8>) {
        for (start, value) in [
            (&b"\"timeUnixNano\":"[..], self.time),
            (b"\"severityText\":", self.severity_text),
            (b"\"severityNumber\":", self.severity_number),
        ] {
            if let Some(value) = value {
                if to.last() != Some(&b'{') {
                    to.push(b',');
                }
                push_all(to, &[start, value]);
            }
        }
        if let Some(body) = self.body {
            push_all(to, &[b",\"body\":{\"stringValue\":", body, b"}"]);
        }
    }
}

/// Appends an object with the keys of [`TABLE`] as the only record of a `LogsData`.
fn record(line: &[u8], to: &mut Vec<u8>) {
    let mut record = Record::default();
    let (mut attributes_start, mut dropped) = (None, 0);
    for member in members(line) {
        let key = member.quoted_key();
        // The members of the record come first, but for the ids.
        if record.take(&member) || key == b"\"\"" {
            continue;
        }
        let start = *attributes_start.get_or_insert_with(|| {
            record.push_first(to);
            to.extend(b",\"attributes\":[");
            to.len()
        });
        if to.len() > start {
            to.push(b',');
        }
        if unquoted(key) == TRUNCATED.as_bytes() {
            let names: Vec<&[u8]> = items(member.value()).map(shown_name).collect();
            dropped = names.len();
            push_attribute(to, key, &[b"[", &*names.join(&b','), b"]"].concat());
        } else {
            push_attribute(to, key, member.value());
        }
    }
    match attributes_start {
        Some(_) => to.push(b']'),
        None => record.push_first(to),
    }
    if dropped > 0 {
        let count = dropped.to_string();
        push_all(to, &[b",\"droppedAttributesCount\":", count.as_bytes()]);
    }
    for (start, value) in [
        (&b",\"traceId\":"[..], record.trace_id),
        (b",\"spanId\":", record.span_id),
    ] {
        if let Some(value) = value {
            push_all(to, &[start, value]);
        }
    }
    to.extend(b"}]");
    if let Some(target) = record.target {
        push_all(to, &[b",\"scope\":{\"name\":", target, b"}"]);
    }
    to.extend(b"}]}]}\n");
}

/// Returns a name of the list of truncated fields as receivers know it.
fn shown_name(quoted: &[u8]) -> &[u8] {
    match quoted {
        b"\"#body\"" => b"\"body\"",
        name => name,
    }
}

/// Returns the start of a `LogsData`, with the resource.
fn resource(options: &Options) -> Vec<u8> {
    let facts = Facts::of_layer(options);
    let mut to = Vec::new();
    to.extend(b"{\"resourceLogs\":[{\"resource\":{\"attributes\":[");
    let start = to.len();
    for (key, value) in [
        ("service.name", service_name(&facts)),
        ("service.version", service_version(&facts)),
        ("deployment.environment.name", environment(&facts)),
    ] {
        if let Some(value) = value {
            if to.len() > start {
                to.push(b',');
            }
            push_attribute(&mut to, &escape::quoted(key), &value);
        }
    }
    to.extend(b"]},\"scopeLogs\":[{\"logRecords\":[{");
    to
}

fn push_all(to: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| to.extend_from_slice(part));
}

fn push_attribute(to: &mut Vec<u8>, quoted_key: &[u8], value: &[u8]) {
    push_all(to, &[b"{\"key\":", quoted_key, b",\"value\":"]);
    push_any_value(to, value);
    to.push(b'}');
}

/// Appends a JSON value as an `AnyValue`. JSON that is nested deeper than [`MAX_DEPTH`] is text.
fn push_any_value(to: &mut Vec<u8>, value: &[u8]) {
    if depth(value) > MAX_DEPTH {
        let text = escape::quoted(&String::from_utf8_lossy(value));
        return push_all(to, &[b"{\"stringValue\":", &text, b"}"]);
    }
    push_value_at(to, value, 0);
}

/// Appends the value that starts at `start`, and returns its end, so that no level of nesting is
/// read twice.
fn push_value_at(to: &mut Vec<u8>, json: &[u8], start: usize) -> usize {
    let is_object = match json[start] {
        b'{' => true,
        b'[' => false,
        _ => {
            let end = value_end(json, start);
            push_scalar(to, &json[start..end]);
            return end;
        }
    };
    to.extend_from_slice(match is_object {
        true => b"{\"kvlistValue\":{\"values\":[",
        false => b"{\"arrayValue\":{\"values\":[",
    });
    let mut at = start + 1;
    while !matches!(json.get(at), None | Some(b']' | b'}')) {
        if json[at] == b',' {
            to.push(b',');
            at += 1;
        }
        if is_object {
            let key_end = string_end(json, at);
            push_all(to, &[b"{\"key\":", &json[at..key_end], b",\"value\":"]);
            at = push_value_at(to, json, key_end + 1);
            to.push(b'}');
        } else {
            at = push_value_at(to, json, at);
        }
    }
    to.extend(b"]}}");
    at + 1
}

fn push_scalar(to: &mut Vec<u8>, value: &[u8]) {
    match kind_of(value) {
        Kind::Text => push_all(to, &[b"{\"stringValue\":", value, b"}"]),
        Kind::Bool => push_all(to, &[b"{\"boolValue\":", value, b"}"]),
        Kind::Number => push_all(to, &[b"{\"doubleValue\":", value, b"}"]),
        Kind::Integer if is_int64(value) => push_all(to, &[b"{\"intValue\":\"", value, b"\"}"]),
        Kind::Integer => push_all(to, &[b"{\"stringValue\":\"", value, b"\"}"]),
        // `null`
        Kind::Nested => to.extend(b"{}"),
    }
}

/// Returns how many objects and arrays are inside one another.
fn depth(json: &[u8]) -> usize {
    let (mut at, mut depth, mut deepest) = (0, 0_usize, 0);
    while at < json.len() {
        work::step(1);
        match json[at] {
            b'"' => {
                at = string_end(json, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
        at += 1;
    }
    deepest
}

/// The recursion for nested JSON, here and in receivers, is bounded.
const MAX_DEPTH: usize = 64;

fn is_int64(digits: &[u8]) -> bool {
    let text = std::str::from_utf8(digits).unwrap_or_default();
    digits.len() < 19 || text.parse::<i64>().is_ok()
}

/// The items of a JSON array.
fn items(array: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 1;
    std::iter::from_fn(move || {
        if matches!(array.get(at), None | Some(b']')) {
            return None;
        }
        let end = value_end(array, at);
        let item = &array[at..end];
        at = end + 1;
        Some(item)
    })
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn nested(depth: usize) -> Vec<u8> {
        let json = "[".repeat(depth) + &"]".repeat(depth);
        format!(",\"a\":{json},\"b\":{{\"x\":{json},\"y\":[1,{{}}]}}}}\n").into_bytes()
    }

    fn written(line: &[u8]) -> String {
        let mut to = b"{".to_vec();
        record(line, &mut to);
        String::from_utf8(to).unwrap()
    }

    #[test]
    fn work_is_linear_in_nesting() {
        for depth in [MAX_DEPTH - 2, 8_192] {
            let line = nested(depth);
            let steps = work::count(|| drop(written(&line)));
            assert!(steps <= 4 * line.len() as u64, "{depth}: {steps}");
        }
    }

    #[test]
    fn deep_nesting_is_text() {
        assert!(written(&nested(MAX_DEPTH - 1)).contains(r#"{"key":"a","value":{"arrayValue""#));
        let deep = thread::Builder::new().stack_size(256 * 1024);
        let deep = deep.spawn(|| written(&nested(100_000))).unwrap();
        assert!(
            deep.join()
                .unwrap()
                .contains(r#"{"key":"a","value":{"stringValue":"[["#)
        );
    }

    #[test]
    fn nested_values_are_split_at_their_commas() {
        let expected = r#"{"key":"b","value":{"kvlistValue":{"values":[{"key":"x","value":{"arrayValue":{"values":[]}}},{"key":"y","value":{"arrayValue":{"values":[{"intValue":"1"},{"kvlistValue":{"values":[]}}]}}}]}}}"#;
        let shown = written(&nested(1));
        assert!(shown.contains(expected), "{shown}");
    }
}
