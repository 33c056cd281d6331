//! `json`: all fields at the top level.

use crate::format_table::{
    ErrorShape, Facts, FormatTable, Layout, MessageKey, Style, ThreadKeys, TimeText, critical,
    environment, file, level, line, object, service_name, service_version, target,
};
use crate::spelling::Spelling;

pub(crate) const TABLE: FormatTable = FormatTable {
    layout: Layout::Flat,
    style: Style::Json,
    max_line: usize::MAX,
    open: &[],
    timestamp: "timestamp",
    time: TimeText::AsSet,
    head: &[("level", level), ("critical", critical), ("target", target)],
    message: MessageKey {
        key: "message",
        is_text: false,
        missing: None,
        blank: None,
    },
    span: "span",
    spans: "spans",
    origin: &[("file", file), ("line", line)],
    thread: ThreadKeys {
        name: "thread_name",
        id: "thread_id",
        always: false,
    },
    tail: &[("service", service)],
    known: &[],
    spelling: Spelling::AS_IS,
    reserved: &[],
    reserved_prefixes: &[],
    error: ErrorShape::AsField,
    addition: None,
    rewrite: None,
};

fn service(facts: &Facts<'_>) -> Option<Vec<u8>> {
    object(&[
        ("name", service_name(facts)),
        ("version", service_version(facts)),
        ("environment", environment(facts)),
    ])
}
