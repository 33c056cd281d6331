//! Recognizes events that the `tracing-log` bridge creates from records of the `log` crate.
//!
//! These events share one callsite per level, with the target `log`. Fields named `log.*` contain
//! the real origin. Our own bridge, `log_bridge`, creates a callsite for each origin instead. It
//! uses the shared callsites only for origins beyond its limit.

use std::fmt;

use tracing::Event;
use tracing_core::{Field, Metadata, field::Visit};

/// Returns whether `callsite` belongs to the `tracing-log` bridge, and not to a macro that uses the
/// same target and fields.
///
/// A callsite of a macro has a file, a line and a module. A callsite of the bridge has none of
/// these.
#[must_use]
pub fn is_log_record(callsite: &Metadata<'_>) -> bool {
    callsite.target() == "log"
        && callsite.file().is_none()
        && callsite.line().is_none()
        && callsite.module_path().is_none()
        && callsite.fields().field("log.target").is_some()
}

/// Returns whether the field `name` of `callsite` is an origin field of the bridge.
///
/// Sinks show origin fields without redaction, or omit them if they show the origin elsewhere. All
/// other fields belong to the application, even if their name begins with `log.`.
#[must_use]
pub fn is_origin_field(callsite: &Metadata<'_>, name: &str) -> bool {
    ORIGIN_FIELDS.contains(&name) && is_log_record(callsite)
}

/// The fields in which the bridge stores the origin of a record.
const ORIGIN_FIELDS: [&str; 4] = ["log.target", "log.module_path", "log.file", "log.line"];

/// Returns whether origin fields of the bridge may have the name `name`. If you have the callsite,
/// use [`is_origin_field`], because fields of the application may have such a name, too.
#[must_use]
pub fn is_log_field(name: &str) -> bool {
    ORIGIN_FIELDS.contains(&name)
}

/// The origin of a record of the `log` crate.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// The target, by default the path of the module.
    pub target: Option<String>,
    /// The source file.
    pub file: Option<String>,
    /// The line in that file, from 1.
    pub line: Option<u64>,
}

impl LogRecord {
    /// Reads the origin from an event of the bridge.
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
