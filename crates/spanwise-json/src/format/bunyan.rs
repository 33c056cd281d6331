//! `bunyan`: the records of node-bunyan.

use crate::{
    format::json,
    format_table::{
        ErrorPart, ErrorShape, FormatTable, Known, MessageKey, PartInputs, ProcessKeys, TimeText,
        environment, file, host, line, module, object, process_id, service_name, service_node,
        service_version, target, text,
    },
};

pub(crate) const TABLE: FormatTable = FormatTable {
    open: &[
        ("v", |_| Some(b"0".to_vec())),
        ("name", |inputs| service_name(inputs).or_else(|| text(""))),
        ("hostname", host),
        ("pid", process_id),
    ],
    timestamp: "time",
    time: TimeText::Utc(3),
    requires_time: true,
    head: &[("level", level), ("target", target)],
    message: MessageKey {
        key: "msg",
        is_text: true,
        missing: Some(""),
        blank: None,
    },
    origin: &[("src", source)],
    tail: &[
        ("version", service_version),
        ("environment", environment),
        ("service_node", service_node),
    ],
    known: &[("request_id", Known::Named("req_id"))],
    required: &["v", "name", "hostname", "pid", "time", "level", "msg"],
    process: ProcessKeys {
        host: "hostname",
        pid: "pid",
    },
    error: ErrorShape::Object(
        "err",
        &[
            (ErrorPart::Message, "message"),
            (ErrorPart::Type, "name"),
            (ErrorPart::Stack, "stack"),
        ],
    ),
    ..json::TABLE
};

fn level(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    Some(inputs.by_level(["10", "20", "30", "40", "50", "60"]).into())
}

fn source(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    let file = file(inputs)?;
    object(&[
        ("file", Some(file)),
        ("line", line(inputs)),
        ("func", module(inputs)),
    ])
}
