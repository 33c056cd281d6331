//! `emf`: `json`, with the metrics of an event for Amazon CloudWatch.

use crate::{
    format::json,
    format_table::{FormatTable, environment, service_name, service_version},
};

pub(crate) const TABLE: FormatTable = FormatTable {
    max_line: 1024 * 1024,
    tail: &[
        ("service", service_name),
        ("version", service_version),
        ("environment", environment),
    ],
    reserved: &["_aws"],
    ..json::TABLE
};
