//! `json`: all fields at the top level.

use crate::format_table::{
    ErrorShape, FormatTable, Layout, MessageKey, PartInputs, ProcessKeys, Style, ThreadKeys,
    TimeText, critical, environment, file, level, line, object, service_name, service_node,
    service_version, target,
};
use crate::spelling::Spelling;

pub(crate) const TABLE: FormatTable = FormatTable {
    layout: Layout::Flat,
    style: Style::Json,
    max_line: usize::MAX,
    open: &[],
    timestamp: "timestamp",
    time: TimeText::AsSet,
    requires_time: false,
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
    required: &[],
    process: ProcessKeys {
        host: "host",
        pid: "pid",
    },
    dimension: None,
    constants: &[],
    reserved_prefixes: &[],
    listed_names: &[],
    error: ErrorShape::AsField,
    addition: None,
    rewrite: None,
};

fn service(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    object(&[
        ("name", service_name(inputs)),
        ("version", service_version(inputs)),
        ("environment", environment(inputs)),
        ("node", service_node(inputs)),
    ])
}
