//! Records of the `log` crate, as the `tracing-log` bridge hands them on.
//!
//! They all share one callsite per level, with target `log`; where they really come from is in
//! fields named `log.*`. Our own bridge, `log_bridge`, gives each origin a callsite of its own, and
//! makes such events only of origins beyond the number that it keeps apart.

use std::fmt;

use tracing::Event;
use tracing_core::{Field, Metadata, field::Visit};

/// Returns whether `callsite` is one of a bridge's, not one that a macro of `tracing` made in its
/// image.
///
/// A macro gives its callsite a file, a line and a module. A bridge has none of its own.
#[must_use]
pub fn is_log_record(callsite: &Metadata<'_>) -> bool {
    callsite.target() == "log"
        && callsite.file().is_none()
        && callsite.line().is_none()
        && callsite.module_path().is_none()
        && callsite.fields().field("log.target").is_some()
}

/// Returns whether the bridge says in the field `name` of `callsite` where a record comes from.
///
/// Only such a field is shown without a look at its value, and left out where its value is shown
/// elsewhere. Every other field is the program's own, also if its name begins with `log.`.
#[must_use]
pub fn is_origin_field(callsite: &Metadata<'_>, name: &str) -> bool {
    ORIGIN_FIELDS.contains(&name) && is_log_record(callsite)
}

/// The fields in which the bridge says where a record comes from.
const ORIGIN_FIELDS: [&str; 4] = ["log.target", "log.module_path", "log.file", "log.line"];

/// True for a field by which the bridge says where a record comes from. Callers that know the
/// callsite ask [`is_origin_field`].
#[must_use]
pub fn is_log_field(name: &str) -> bool {
    ORIGIN_FIELDS.contains(&name)
}

/// Where a record of the `log` crate comes from.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Its target, by default the module's path.
    pub target: Option<String>,
    /// The source file.
    pub file: Option<String>,
    /// The line in that file, from 1.
    pub line: Option<u64>,
}

impl LogRecord {
    /// What `event`, an event of one of the bridge's callsites, says about its origin.
    #[must_use]
    pub fn from_event(event: &Event<'_>) -> Self {
        let mut record = Self::default();
        event.record(&mut record);
        record
    }
}

impl Visit for LogRecord {
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "log.target" => self.target = Some(value.to_owned()),
            "log.file" => self.file = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "log.line" {
            self.line = Some(value);
        }
    }
}
