//! `json-nested`: the layout of `tracing_subscriber::fmt().json()`.

use crate::{
    format::json,
    format_table::{FormatTable, Layout, ThreadKeys, file, level, line, target},
};

pub(crate) const TABLE: FormatTable = FormatTable {
    layout: Layout::Nested,
    head: &[("level", level)],
    origin: &[
        ("target", target),
        ("filename", file),
        ("line_number", line),
    ],
    thread: ThreadKeys {
        name: "threadName",
        id: "threadId",
        always: false,
    },
    tail: &[],
    required: &["fields", "span", "spans"],
    ..json::TABLE
};
