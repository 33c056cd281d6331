//! `bunyan`: the records of node-bunyan.

use crate::{
    format::json,
    format_table::{
        ErrorPart, ErrorShape, Facts, FormatTable, Known, MessageKey, TimeText, environment, file,
        host, line, object, process_id, service_name, service_version, target, text,
    },
};

pub(crate) const TABLE: FormatTable = FormatTable {
    open: &[
        ("v", |_| Some(b"0".to_vec())),
        ("name", |facts| service_name(facts).or_else(|| text(""))),
        ("hostname", host),
        ("pid", process_id),
    ],
    timestamp: "time",
    time: TimeText::Utc(3),
    head: &[("level", level), ("target", target)],
    message: MessageKey {
        key: "msg",
        is_text: true,
        missing: Some(""),
        blank: None,
    },
    origin: &[("src", source)],
    tail: &[("version", service_version), ("environment", environment)],
    known: &[("request_id", Known::Named("req_id"))],
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

fn level(facts: &Facts<'_>) -> Option<Vec<u8>> {
    Some(facts.by_level(["10", "20", "30", "40", "50", "60"]).into())
}

fn source(facts: &Facts<'_>) -> Option<Vec<u8>> {
    let file = file(facts)?;
    object(&[
        ("file", Some(file)),
        ("line", line(facts)),
        ("func", text(facts.target)),
    ])
}
