//! `ecs`: the Elastic Common Schema.
//!
//! In the schema, names such as `user` and `host` are objects. Elasticsearch refuses a document
//! with a text under such a name. So a field gets a name of the schema only if the schema has a
//! value there, a leaf. The value of the field must have the kind of the leaf. All other fields are
//! `labels` and `numeric_labels`.

use std::borrow::Cow;

use crate::{
    format::json,
    format_table::{
        ErrorPart, ErrorShape, FormatTable, Kind, Known, MessageKey, PartInputs, ProcessKeys,
        Style, ThreadKeys, TimeText, environment, file, line, process_id, service_name,
        service_node, service_version, target, text,
    },
    spelling::{Spelling, prefixed},
};

pub(crate) const TABLE: FormatTable = FormatTable {
    style: Style::Labels,
    timestamp: "@timestamp",
    time: TimeText::Utc(6),
    requires_time: true,
    head: &[("log.level", level)],
    message: MessageKey {
        key: "message",
        is_text: true,
        missing: None,
        blank: None,
    },
    span: "labels.span",
    spans: "labels.spans",
    origin: &[
        ("log.logger", target),
        ("log.origin.file.name", file),
        ("log.origin.file.line", line),
    ],
    thread: ThreadKeys {
        name: "process.thread.name",
        id: "labels.thread_id",
        always: false,
    },
    tail: &[
        ("service.name", service_name),
        ("service.version", service_version),
        ("service.environment", environment),
        ("service.node.name", service_node),
        ("event.dataset", service_name),
        ("process.pid", process_id),
        ("ecs.version", |_| text("8.11.0")),
    ],
    known: &KNOWN,
    spelling: Spelling {
        text: &|name| label("labels.", name),
        number: &|name| label("numeric_labels.", name),
        number_as_text: &|name| label("labels.", name),
    },
    required: &["@timestamp", "log.level", "message"],
    process: ProcessKeys {
        host: "host.name",
        pid: "process.pid",
    },
    error: ErrorShape::Members(&[
        (ErrorPart::Message, "error.message"),
        (ErrorPart::Type, "error.type"),
        (ErrorPart::Stack, "error.stack_trace"),
    ]),
    ..json::TABLE
};

fn level(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    text(inputs.by_level(["trace", "debug", "info", "warn", "error", "fatal"]))
}

fn label(prefix: &str, name: &str) -> Cow<'static, str> {
    let name = if name.is_empty() { "_" } else { name };
    Cow::Owned(prefixed(prefix, name, |c| !matches!(c, '.' | '*' | '\\')))
}

const fn text_leaf(name: &'static str) -> (&'static str, Known) {
    (name, Known::Leaf(name, Kind::Text))
}

const fn integer_leaf(name: &'static str) -> (&'static str, Known) {
    (name, Known::Leaf(name, Kind::Integer))
}

const fn renamed_text(name: &'static str, leaf: &'static str) -> (&'static str, Known) {
    (name, Known::Leaf(leaf, Kind::Text))
}

/// First the fields of spanwise that have another name in the schema, then leaves of the schema.
/// `client.ip` is missing, because the HTTP layer may show a network in place of an address.
const KNOWN: [(&str, Known); 85] = [
    renamed_text("request_id", "http.request.id"),
    renamed_text("user_id", "user.id"),
    renamed_text("trace_id", "trace.id"),
    renamed_text("span_id", "span.id"),
    renamed_text("event_type", "event.action"),
    ("duration_ms", Known::Nanos("event.duration")),
    (
        "response_bytes",
        Known::Leaf("http.response.body.bytes", Kind::Integer),
    ),
    text_leaf("client.address"),
    text_leaf("client.domain"),
    integer_leaf("client.bytes"),
    integer_leaf("client.port"),
    text_leaf("cloud.account.id"),
    text_leaf("cloud.availability_zone"),
    text_leaf("cloud.instance.id"),
    text_leaf("cloud.provider"),
    text_leaf("cloud.region"),
    text_leaf("container.id"),
    text_leaf("container.image.name"),
    text_leaf("container.name"),
    text_leaf("destination.address"),
    integer_leaf("destination.port"),
    text_leaf("error.code"),
    text_leaf("error.id"),
    text_leaf("error.message"),
    text_leaf("error.stack_trace"),
    text_leaf("error.type"),
    text_leaf("event.action"),
    text_leaf("event.code"),
    integer_leaf("event.duration"),
    text_leaf("event.id"),
    text_leaf("event.outcome"),
    text_leaf("event.provider"),
    text_leaf("event.reason"),
    text_leaf("event.reference"),
    integer_leaf("event.sequence"),
    integer_leaf("event.severity"),
    text_leaf("faas.execution"),
    text_leaf("faas.id"),
    text_leaf("faas.name"),
    text_leaf("file.name"),
    text_leaf("file.path"),
    integer_leaf("file.size"),
    text_leaf("host.hostname"),
    text_leaf("host.id"),
    text_leaf("host.name"),
    integer_leaf("http.request.body.bytes"),
    integer_leaf("http.request.bytes"),
    text_leaf("http.request.id"),
    text_leaf("http.request.method"),
    text_leaf("http.request.mime_type"),
    text_leaf("http.request.referrer"),
    integer_leaf("http.response.body.bytes"),
    integer_leaf("http.response.bytes"),
    text_leaf("http.response.mime_type"),
    integer_leaf("http.response.status_code"),
    text_leaf("http.version"),
    integer_leaf("network.bytes"),
    text_leaf("network.name"),
    text_leaf("network.protocol"),
    text_leaf("network.transport"),
    text_leaf("network.type"),
    text_leaf("organization.id"),
    text_leaf("organization.name"),
    text_leaf("process.command_line"),
    text_leaf("process.executable"),
    integer_leaf("process.exit_code"),
    text_leaf("process.name"),
    integer_leaf("process.thread.id"),
    text_leaf("server.address"),
    integer_leaf("server.bytes"),
    text_leaf("server.domain"),
    integer_leaf("server.port"),
    text_leaf("service.id"),
    text_leaf("span.id"),
    text_leaf("trace.id"),
    text_leaf("transaction.id"),
    text_leaf("url.domain"),
    text_leaf("url.full"),
    text_leaf("url.original"),
    text_leaf("url.path"),
    integer_leaf("url.port"),
    text_leaf("url.query"),
    text_leaf("url.scheme"),
    text_leaf("user.id"),
    text_leaf("user_agent.original"),
];
