//! `logstash`: the layout of logstash-logback-encoder.

use crate::{
    format::json,
    format_table::{
        ErrorPart, ErrorShape, FormatTable, MessageKey, PartInputs, ThreadKeys, TimeText,
        environment, file, level, line, service_name, service_node, service_version, target, text,
    },
};

pub(crate) const TABLE: FormatTable = FormatTable {
    timestamp: "@timestamp",
    time: TimeText::Utc(6),
    head: &[
        ("@version", |_| text("1")),
        ("level", level),
        ("level_value", level_value),
        ("logger_name", target),
    ],
    message: MessageKey {
        key: "message",
        is_text: true,
        missing: Some(""),
        blank: None,
    },
    origin: &[("caller_file_name", file), ("caller_line_number", line)],
    thread: ThreadKeys {
        name: "thread_name",
        id: "thread_id",
        always: true,
    },
    tail: &[
        ("service_name", service_name),
        ("service_version", service_version),
        ("environment", environment),
        ("service_node", service_node),
    ],
    reserved: &[
        // Logstash itself writes these members.
        "tags",
        "@metadata",
        // Elasticsearch refuses a document with one of these names, which it has for metadata.
        "_id",
        "_index",
        "_source",
        "_type",
        "_routing",
        "_field_names",
        "_ignored",
        "_nested_path",
        "_seq_no",
        "_version",
        "_tier",
        "_doc_count",
    ],
    error: ErrorShape::Members(&[
        (ErrorPart::Message, "error"),
        (ErrorPart::Stack, "stack_trace"),
    ]),
    ..json::TABLE
};

fn level_value(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    let value = inputs.by_level(["5000", "10000", "20000", "30000", "40000", "40000"]);
    Some(value.into())
}
