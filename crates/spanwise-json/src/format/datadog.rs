//! `datadog`: the standard attributes of Datadog.

use crate::{
    format::json,
    format_table::{
        ErrorPart, ErrorShape, FormatTable, Kind, Known, MessageKey, PartInputs, ThreadKeys,
        TimeText, file, line, service_name, target, text,
    },
};

pub(crate) const TABLE: FormatTable = FormatTable {
    max_line: 1000 * 1000,
    timestamp: "timestamp",
    time: TimeText::Utc(3),
    head: &[("status", status), ("logger.name", target)],
    message: MessageKey {
        key: "message",
        is_text: true,
        missing: None,
        blank: None,
    },
    origin: &[("logger.file_name", file), ("logger.line", line)],
    thread: ThreadKeys {
        name: "logger.thread_name",
        id: "logger.thread_id",
        always: false,
    },
    tail: &[
        ("service", service_name),
        ("ddsource", |_| text("rust")),
        ("ddtags", tags),
    ],
    known: &[
        ("user_id", Known::Named("usr.id")),
        ("event_type", Known::Named("evt.name")),
        ("duration_ms", Known::Nanos("duration")),
        (
            "http.request.method",
            Known::Leaf("http.method", Kind::Text),
        ),
        (
            "http.response.status_code",
            Known::Leaf("http.status_code", Kind::Integer),
        ),
        ("url.path", Known::Leaf("http.url_details.path", Kind::Text)),
        (
            "user_agent.original",
            Known::Leaf("http.useragent", Kind::Text),
        ),
        (
            "client.address",
            Known::Leaf("network.client.ip", Kind::Text),
        ),
        (
            "response_bytes",
            Known::Leaf("network.bytes_written", Kind::Integer),
        ),
    ],
    // Datadog reads status, host, time, service and trace from members with these keys.
    reserved: &[
        "level",
        "severity",
        "syslog.severity",
        "host",
        "hostname",
        "syslog.hostname",
        "date",
        "@timestamp",
        "_timestamp",
        "Timestamp",
        "eventTime",
        "published_date",
        "syslog.timestamp",
        "service",
        "syslog.appname",
        "dd",
    ],
    reserved_prefixes: &["dd.", "contextMap.dd."],
    error: ErrorShape::Members(&[
        (ErrorPart::Message, "error.message"),
        (ErrorPart::Type, "error.kind"),
        (ErrorPart::Stack, "error.stack"),
    ]),
    ..json::TABLE
};

fn status(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    text(inputs.by_level(["debug", "debug", "info", "warn", "error", "critical"]))
}

fn tags(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    let service = &inputs.options.service;
    let tags = [
        ("env", &service.environment),
        ("version", &service.version),
        ("service_node", &service.node),
    ];
    let tags: Vec<String> = tags
        .into_iter()
        // A comma would begin another tag.
        .filter_map(|(name, value)| Some(format!("{name}:{}", value.as_deref()?.replace(',', "_"))))
        .collect();
    (!tags.is_empty()).then(|| text(&tags.join(","))).flatten()
}
