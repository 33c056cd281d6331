//! `gelf`: the Graylog Extended Log Format.
//!
//! Graylog silently drops values that are neither text nor numbers, and fields with names that it
//! uses itself. It refuses a message without text.

use std::borrow::Cow;

use crate::{
    format::json,
    format_table::{
        ErrorPart, ErrorShape, FormatTable, MessageKey, PartInputs, ProcessKeys, Style, ThreadKeys,
        TimeText, environment, file, host, line, service_name, service_node, service_version,
        target, text,
    },
    name_limits::limit_name_with,
    spelling::{Spelling, prefixed},
};

pub(crate) const TABLE: FormatTable = FormatTable {
    style: Style::Scalar,
    open: &[("version", |_| text("1.1")), ("host", host)],
    timestamp: "timestamp",
    time: TimeText::EpochSeconds(3),
    head: &[("level", level), ("_target", target)],
    message: MessageKey {
        key: "short_message",
        is_text: true,
        missing: Some(NO_MESSAGE),
        blank: Some(NO_MESSAGE),
    },
    span: "_span",
    spans: "_spans",
    origin: &[("_file", file), ("_line", line)],
    thread: ThreadKeys {
        name: "_thread",
        id: "_thread_id",
        always: false,
    },
    tail: &[
        ("_service", service_name),
        ("_version", service_version),
        ("_environment", environment),
        ("_service_node", service_node),
    ],
    spelling: Spelling {
        text: &field,
        number: &field,
        number_as_text: &|name| field(&format!("{name}.text")).into_owned().into(),
    },
    reserved: &[
        "_message",
        "_source",
        "_timestamp",
        "_level",
        "_short_message",
        "_full_message",
        "_file",
        "_line",
        "_facility",
        "_host",
        "_version",
        "_id",
        "_streams",
        // Graylog removes one underscore. Elasticsearch has the remaining names for metadata.
        "__id",
        "__ttl",
        "__source",
        "__all",
        "__index",
        "__type",
        "__score",
    ],
    // Graylog describes how it has received a message with these fields.
    reserved_prefixes: &["_gl2_"],
    required: &["version", "host", "short_message"],
    process: ProcessKeys {
        host: "host",
        pid: "_pid",
    },
    error: ErrorShape::Members(&[
        (ErrorPart::Message, "_error"),
        (ErrorPart::Type, "_error_type"),
        (ErrorPart::Stack, "full_message"),
    ]),
    ..json::TABLE
};

const NO_MESSAGE: &str = "(no message)";

/// Returns the level as a syslog severity.
fn level(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    Some(inputs.by_level(["7", "7", "6", "4", "3", "2"]).into())
}

/// Returns the key of a field.
fn field(name: &str) -> Cow<'_, str> {
    let name = if name.is_empty() { "_" } else { name };
    let spelled = prefixed("_", name, is_allowed_in_name);
    // A name that is too long is cut here with `_`, because Graylog does not accept `…` in a name.
    Cow::Owned(limit_name_with(&spelled, "_").into_owned())
}

fn is_allowed_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}
