//! The triggers that make a unit of work write its buffer, and the span fields that can fire one.

use std::fmt;

use spanwise_core::internal::panic_safe;
use tracing_core::{Field, Metadata, field::Visit};

/// The reason why a unit writes its buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Trigger {
    Error = 1,
    Status,
    Slow,
    Panic,
    Cancelled,
    /// Code called [`dump_current_unit`](crate::dump_current_unit).
    Requested,
    /// The unit has the age at which tail sampling stops buffering.
    Expired,
}

/// The triggers in the order of their numbers. Each has the `reason` for the header, and a
/// predicate that continues the sentence "a unit of work that".
const TRIGGERS: [(Trigger, &str, &str); 7] = [
    (Trigger::Error, "error", "failed"),
    (Trigger::Status, "status", "failed"),
    (Trigger::Slow, "slow", "was slow"),
    (Trigger::Panic, "panic", "failed"),
    (Trigger::Cancelled, "cancelled", "was cancelled"),
    (Trigger::Requested, "requested", "had a requested dump"),
    (Trigger::Expired, "expired", "expired"),
];

impl Trigger {
    /// Returns the `reason` in the header.
    pub(crate) fn name(self) -> &'static str {
        TRIGGERS[self as usize - 1].1
    }

    /// Returns the predicate that continues the sentence "a unit of work that".
    pub(crate) fn predicate(self) -> &'static str {
        TRIGGERS[self as usize - 1].2
    }

    /// Returns the trigger with this number, or `None` for 0.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        let index = usize::from(number).checked_sub(1)?;
        TRIGGERS.get(index).map(|(trigger, ..)| *trigger)
    }
}

/// A span whose callsite has this field starts its own unit, even inside another unit. The value of
/// the field is not read.
const UNIT_FIELD: &str = "spanwise.unit";

/// The meaning of a span field whose value can fire a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StatusField {
    /// An HTTP status from 500 to 599.
    Http,
    /// The OpenTelemetry status `ERROR`.
    Otel,
    /// The value `true` means that the future was dropped before it completed.
    Cancelled,
}

const STATUS_FIELDS: [(&str, StatusField); 6] = [
    ("http.response.status_code", StatusField::Http),
    ("http.status_code", StatusField::Http),
    ("status", StatusField::Http),
    ("status_code", StatusField::Http),
    ("otel.status_code", StatusField::Otel),
    ("spanwise.cancelled", StatusField::Cancelled),
];

/// Status texts are truncated to this many bytes.
const MAX_STATUS_LEN: usize = 64;

/// The fields of a span's callsite that the recorder reads.
#[derive(Debug)]
pub(crate) struct SpanPlan {
    pub(crate) is_unit: bool,
    /// Each field with its index in the callsite.
    fields: Vec<(usize, StatusField)>,
}

impl SpanPlan {
    pub(crate) fn new(callsite: &Metadata<'_>) -> Self {
        let status_field = |field: Field| {
            let mut known = STATUS_FIELDS.iter();
            let known = known.find(|(name, _)| *name == field.name());
            known.map(|(_, status)| (field.index(), *status))
        };
        Self {
            is_unit: callsite.fields().field(UNIT_FIELD).is_some(),
            fields: callsite.fields().iter().filter_map(status_field).collect(),
        }
    }

    /// Returns the trigger that a recorded value fires, if any. `record` passes the values to the
    /// visitor.
    #[inline]
    pub(crate) fn trigger(&self, record: impl FnOnce(&mut dyn Visit)) -> Option<Trigger> {
        if self.fields.is_empty() {
            return None;
        }
        let mut visitor = TriggerVisitor {
            fields: &self.fields,
            trigger: None,
        };
        record(&mut visitor);
        visitor.trigger
    }
}

struct TriggerVisitor<'a> {
    fields: &'a [(usize, StatusField)],
    trigger: Option<Trigger>,
}

impl TriggerVisitor<'_> {
    fn status_field(&self, field: &Field) -> Option<StatusField> {
        let mut fields = self.fields.iter();
        let known = fields.find(|(index, _)| *index == field.index());
        known.map(|(_, status)| *status)
    }

    fn visit_number(&mut self, field: &Field, value: u64) {
        if self.status_field(field) == Some(StatusField::Http) && (500..600).contains(&value) {
            self.trigger = Some(Trigger::Status);
        }
    }

    fn visit_text(&mut self, field: &Field, text: &str) {
        let text = text.trim();
        match self.status_field(field) {
            // Reads `500`, and `500 Internal Server Error` as the `http` crate displays it.
            Some(StatusField::Http) => {
                let digits = text.split(|c: char| !c.is_ascii_digit()).next();
                if let Some(Ok(number)) = digits.map(str::parse) {
                    self.visit_number(field, number);
                }
            }
            // The prefix also matches `Debug` output such as `Error { description: "…" }`.
            Some(StatusField::Otel)
                if text
                    .get(..5)
                    .is_some_and(|start| start.eq_ignore_ascii_case("error")) =>
            {
                self.trigger = Some(Trigger::Status);
            }
            Some(StatusField::Cancelled) if text == "true" => {
                self.trigger = Some(Trigger::Cancelled);
            }
            Some(StatusField::Otel | StatusField::Cancelled) | None => {}
        }
    }
}

impl Visit for TriggerVisitor<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.visit_number(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.visit_number(field, value.try_into().unwrap_or(0));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if value && self.status_field(field) == Some(StatusField::Cancelled) {
            self.trigger = Some(Trigger::Cancelled);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.visit_text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.status_field(field).is_some() {
            let text = panic_safe::format_text(format_args!("{value:?}"), MAX_STATUS_LEN);
            self.visit_text(field, &text);
        }
    }
}
