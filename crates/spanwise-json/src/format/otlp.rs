//! `otlp`: one `LogsData` of OpenTelemetry in JSON, as the receiver `otlpjsonfile` of the Collector
//! and the path `/v1/logs` read it.
//!
//! The encoder writes the line with the keys of [`TABLE`]; [`record`] turns it into a record with
//! typed attributes.

use crate::{
    builder::Options,
    conversion::{is_int64, kind_of, unquoted},
    escape,
    format::{TRUNCATED, json},
    format_table::{
        ErrorPart, ErrorShape, FormatTable, Kind, Known, MessageKey, PartInputs, ProcessKeys,
        ThreadKeys, TimeText, environment, file, line, service_name, service_node, service_version,
        target, text,
    },
    json_lexer::{MAX_DEPTH, Member, items, members, nesting_depth, string_end, value_end},
    line_buffer::LineBuffer,
    member_keys::KeyedMembers,
    plan::quoted_key,
    rewrite::{Rewrite, RewriteByParts, RewrittenPart},
};

/// The keys of the members that do not become attributes. A field with one of these names becomes
/// `fields.<name>`.
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
    listed_names: &[(BODY, "body"), (TRACE_ID, "traceId"), (SPAN_ID, "spanId")],
    // All members that are not attributes keep their keys. The resource has the service.
    required: &[
        TIME,
        SEVERITY_TEXT,
        SEVERITY_NUMBER,
        TARGET,
        BODY,
        TRACE_ID,
        SPAN_ID,
        "service",
    ],
    process: ProcessKeys {
        host: "host.name",
        pid: "process.pid",
    },
    error: ErrorShape::Members(&[
        (ErrorPart::Type, "exception.type"),
        (ErrorPart::Message, "exception.message"),
        (ErrorPart::Stack, "exception.stacktrace"),
    ]),
    rewrite: Some(Rewrite {
        start: resource,
        line: |_, json, to| record(json, to),
        by_parts: Some(RewriteByParts {
            open: |_| b"\"timeUnixNano\":\"".to_vec(),
            head,
            around,
            has_words: false,
            fields: push_fields,
            tail,
            end_fields: Some(end_attributes),
        }),
    }),
    ..json::TABLE
};

fn severity_text(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    text(inputs.by_level(["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]))
}

fn severity_number(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    Some(inputs.by_level(["1", "5", "9", "13", "17", "21"]).into())
}

/// The values of the members that do not become attributes, as JSON.
#[derive(Default)]
struct Record<'a> {
    time: Option<&'a [u8]>,
    severity_text: Option<&'a [u8]>,
    severity_number: Option<&'a [u8]>,
    target: Option<&'a [u8]>,
    body: Option<&'a [u8]>,
    trace_id: Option<&'a [u8]>,
    span_id: Option<&'a [u8]>,
    /// The number of keys in the list of truncated fields.
    truncated_count: usize,
}

impl<'a> Record<'a> {
    /// Stores a member that does not become an attribute. Returns false for any other member.
    fn store(&mut self, member: &Member<'a>) -> bool {
        let key = unquoted(member.quoted_key());
        if key.first() != Some(&b'#') {
            return false;
        }
        for (name, slot) in [
            (TIME, &mut self.time),
            (SEVERITY_TEXT, &mut self.severity_text),
            (SEVERITY_NUMBER, &mut self.severity_number),
            (TARGET, &mut self.target),
            (BODY, &mut self.body),
            (TRACE_ID, &mut self.trace_id),
            (SPAN_ID, &mut self.span_id),
        ] {
            if name.as_bytes() == key {
                *slot = Some(member.value());
                return true;
            }
        }
        false
    }

    /// Stores the members that do not become attributes, and appends the others as `{attribute},`.
    fn push_attributes(&mut self, members: KeyedMembers<'a>, to: &mut LineBuffer) {
        for member in members.members() {
            let key = member.quoted_key();
            let is_attribute = match key {
                b"\"\"" => false,
                [_, b'#', ..] => !self.store(&member),
                _ => true,
            };
            if !is_attribute {
                continue;
            }
            if unquoted(key) == TRUNCATED.as_bytes() {
                self.truncated_count = items(member.value()).count();
            }
            push_attribute(to, key, member.value());
            to.push_byte(b',');
        }
    }

    /// Appends the members between the time and the body.
    fn push_severity(&self, to: &mut LineBuffer) {
        for (start, value) in [
            (&b",\"severityText\":"[..], self.severity_text),
            (b",\"severityNumber\":", self.severity_number),
        ] {
            if let Some(value) = value {
                push_all(to, &[start, value]);
            }
        }
    }

    /// Appends the members of the record behind its attributes.
    fn push_last(&self, to: &mut LineBuffer) {
        for (start, value) in [
            (&b",\"traceId\":"[..], self.trace_id),
            (b",\"spanId\":", self.span_id),
        ] {
            if let Some(value) = value {
                push_all(to, &[start, value]);
            }
        }
        if self.truncated_count > 0 {
            let count = self.truncated_count.to_string();
            push_all(to, &[b",\"droppedAttributesCount\":", count.as_bytes()]);
        }
    }

    /// Appends the end of the record and of the line.
    fn push_end(&self, to: &mut LineBuffer) {
        to.push(b"}]");
        if let Some(target) = self.target {
            push_all(to, &[b",\"scope\":{\"name\":", target, b"}"]);
        }
        to.push(b"}]}]}\n");
    }
}

/// Appends a line of flat JSON as the only record of a `LogsData`, behind its [start](resource).
fn record(line: &[u8], to: &mut LineBuffer) {
    let mut record = Record::default();
    let mut attributes = LineBuffer::default();
    record.push_attributes(KeyedMembers::from_text(line), &mut attributes);
    let start = to.len();
    if let Some(time) = record.time {
        push_all(to, &[b",\"timeUnixNano\":", time]);
    }
    record.push_severity(to);
    // The first member of the record has no comma.
    to.splice(start..start + 1, b"");
    if let Some(body) = record.body {
        push_body(body, to);
    }
    push_all(to, &[ATTRIBUTES, attributes.as_bytes()]);
    end_attributes(to);
    record.push_last(to);
    record.push_end(to);
}

/// See [`RewriteByParts::head`].
fn head(json: &[u8], has_message: bool) -> RewrittenPart {
    let mut record = Record::default();
    let (mut first, mut last) = (LineBuffer::default(), LineBuffer::default());
    members(json).for_each(|member| {
        record.store(&member);
    });
    first.push_byte(b'"');
    record.push_severity(&mut first);
    if !has_message {
        first.push(ATTRIBUTES);
    }
    record.push_end(&mut last);
    RewrittenPart::new(first.as_bytes(), last.as_bytes())
}

/// See [`RewriteByParts::tail`].
fn tail(members: KeyedMembers<'_>, [first, last]: &mut [LineBuffer; 2]) {
    let mut record = Record::default();
    record.push_attributes(members, first);
    record.push_last(last);
}

/// Appends members of an event: the message as the body, which the start of the attributes follows,
/// and any other member as an attribute.
fn push_fields(json: &[u8], to: &mut LineBuffer) {
    for member in members(json) {
        match member.quoted_key() {
            b"\"#body\"" => {
                push_body(member.value(), to);
                to.push(ATTRIBUTES);
            }
            b"\"\"" => {}
            key => {
                push_attribute(to, key, member.value());
                to.push_byte(b',');
            }
        }
    }
}

/// Returns the bytes around a text in the body, or around a value in an attribute.
fn around(opening: &[u8], kind: Kind, is_message: bool) -> Option<(Vec<u8>, &'static [u8])> {
    if is_message {
        let body = b",\"body\":{\"stringValue\":".to_vec();
        return (kind == Kind::Text).then_some((body, b"},\"attributes\":["));
    }
    let key = quoted_key(opening);
    let (value, end): (&[u8], &[u8]) = match kind {
        // A field without a name is not an attribute.
        _ if key == b"\"\"" => return None,
        Kind::Text => (b"{\"stringValue\":", b"}},"),
        Kind::Bool => (b"{\"boolValue\":", b"}},"),
        Kind::Number => (b"{\"doubleValue\":", b"}},"),
        Kind::Integer => (b"{\"intValue\":\"", b"\"}},"),
        Kind::Nested => return None,
    };
    Some(([b"{\"key\":", key, b",\"value\":", value].concat(), end))
}

fn push_body(body: &[u8], to: &mut LineBuffer) {
    push_all(to, &[b",\"body\":{\"stringValue\":", body, b"}"]);
}

/// The start of the attributes. A comma follows each attribute.
const ATTRIBUTES: &[u8] = b",\"attributes\":[";

/// Ends the list of attributes, or removes its start if it is empty.
fn end_attributes(to: &mut LineBuffer) {
    match to.as_mut_bytes().last_mut() {
        Some(comma) if *comma == b',' => *comma = b']',
        _ => to.truncate(to.len() - ATTRIBUTES.len()),
    }
}

/// Returns the start of a `LogsData`, with the resource.
fn resource(options: &Options) -> Vec<u8> {
    let inputs = PartInputs::for_layer(options);
    let mut to = LineBuffer::default();
    to.push(b"{\"resourceLogs\":[{\"resource\":{\"attributes\":[");
    let start = to.len();
    for (key, value) in [
        ("service.name", service_name(&inputs)),
        ("service.version", service_version(&inputs)),
        ("deployment.environment.name", environment(&inputs)),
        ("service.instance.id", service_node(&inputs)),
    ] {
        if let Some(value) = value {
            if to.len() > start {
                to.push_byte(b',');
            }
            push_attribute(&mut to, &escape::quoted(key), &value);
        }
    }
    to.push(b"]},\"scopeLogs\":[{\"logRecords\":[{");
    to.as_bytes().to_vec()
}

fn push_all(to: &mut LineBuffer, parts: &[&[u8]]) {
    parts.iter().for_each(|part| to.push(part));
}

fn push_attribute(to: &mut LineBuffer, quoted_key: &[u8], value: &[u8]) {
    to.push_block(b"{\"key\":", 7);
    to.push_short(quoted_key);
    // Most values are texts.
    if value.first() == Some(&b'"') {
        to.push_block(b",\"value\":{\"stringValue\":", 24);
        to.push_short(value);
        return to.push_block(b"}}", 2);
    }
    to.push_block(b",\"value\":", 9);
    push_any_value(to, value);
    to.push_byte(b'}');
}

/// Appends a JSON value as an `AnyValue`. JSON that is nested deeper than [`MAX_DEPTH`] is text.
fn push_any_value(to: &mut LineBuffer, value: &[u8]) {
    if !matches!(value.first(), Some(b'{' | b'[')) {
        return push_scalar(to, value);
    }
    if nesting_depth(value) > MAX_DEPTH {
        let text = escape::quoted(&String::from_utf8_lossy(value));
        return push_all(to, &[b"{\"stringValue\":", &text, b"}"]);
    }
    push_value_at(to, value, 0);
}

/// Appends the value that starts at `start`, and returns its end, so that no level of nesting is
/// read twice.
fn push_value_at(to: &mut LineBuffer, json: &[u8], start: usize) -> usize {
    let is_object = match json[start] {
        b'{' => true,
        b'[' => false,
        _ => {
            let end = value_end(json, start);
            push_scalar(to, &json[start..end]);
            return end;
        }
    };
    to.push(match is_object {
        true => b"{\"kvlistValue\":{\"values\":[",
        false => b"{\"arrayValue\":{\"values\":[",
    });
    let mut at = start + 1;
    while !matches!(json.get(at), None | Some(b']' | b'}')) {
        if json[at] == b',' {
            to.push_byte(b',');
            at += 1;
        }
        if is_object {
            let key_end = string_end(json, at);
            push_all(to, &[b"{\"key\":", &json[at..key_end], b",\"value\":"]);
            at = push_value_at(to, json, key_end + 1);
            to.push_byte(b'}');
        } else {
            at = push_value_at(to, json, at);
        }
    }
    to.push(b"]}}");
    at + 1
}

fn push_scalar(to: &mut LineBuffer, value: &[u8]) {
    match kind_of(value) {
        Kind::Text => {
            to.push_block(b"{\"stringValue\":", 15);
            to.push_short(value);
        }
        Kind::Bool => {
            to.push_block(b"{\"boolValue\":", 13);
            to.push_short(value);
        }
        Kind::Number => {
            to.push_block(b"{\"doubleValue\":", 15);
            to.push_short(value);
        }
        Kind::Integer => {
            match is_int64(value) {
                true => to.push_block(b"{\"intValue\":\"", 13),
                false => to.push_block(b"{\"stringValue\":\"", 16),
            }
            to.push_short(value);
            to.push_byte(b'"');
        }
        // `null` becomes `{}`: an `AnyValue` without a value.
        Kind::Nested => to.push_byte(b'{'),
    }
    to.push_byte(b'}');
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::work;

    fn nested(depth: usize) -> Vec<u8> {
        let json = "[".repeat(depth) + &"]".repeat(depth);
        format!(",\"#time\":\"0\",\"a\":{json},\"b\":{{\"x\":{json},\"y\":[1,{{}}]}}}}\n")
            .into_bytes()
    }

    fn written(line: &[u8]) -> String {
        let mut to = LineBuffer::default();
        record(line, &mut to);
        String::from_utf8(to.as_bytes().to_vec()).unwrap()
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
