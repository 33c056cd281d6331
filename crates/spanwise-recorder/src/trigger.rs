//! The triggers that make a unit of work write its buffer, and the span fields that can fire a
//! trigger.

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
    /// The unit is so old that tail sampling stops buffering its events.
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
enum TriggerField {
    /// An HTTP status. It fires a trigger if it is from 500 to 599.
    Http,
    /// A status of an OpenTelemetry span. It fires a trigger if it is `ERROR`.
    Otel,
    /// Whether the future was dropped before it completed. `true` fires a trigger.
    Cancelled,
}

const TRIGGER_FIELDS: [(&str, TriggerField); 6] = [
    ("http.response.status_code", TriggerField::Http),
    ("http.status_code", TriggerField::Http),
    ("status", TriggerField::Http),
    ("status_code", TriggerField::Http),
    ("otel.status_code", TriggerField::Otel),
    ("spanwise.cancelled", TriggerField::Cancelled),
];

/// The maximum length in bytes of a value that is formatted with `Debug`. A longer text is
/// truncated.
const MAX_VALUE_LEN: usize = 64;

/// The data that the recorder derives from the callsite of a span.
#[derive(Debug)]
pub(crate) struct SpanPlan {
    /// Whether the span starts its own unit.
    pub(crate) starts_unit: bool,
    /// The fields whose values can fire a trigger, with their indices in the callsite.
    fields: Vec<(usize, TriggerField)>,
}

impl SpanPlan {
    pub(crate) fn new(callsite: &Metadata<'_>) -> Self {
        let trigger_field = |field: Field| {
            let mut known = TRIGGER_FIELDS.iter();
            let known = known.find(|(name, _)| *name == field.name());
            known.map(|(_, meaning)| (field.index(), *meaning))
        };
        Self {
            starts_unit: callsite.fields().field(UNIT_FIELD).is_some(),
            fields: callsite.fields().iter().filter_map(trigger_field).collect(),
        }
    }

    /// Returns the trigger that a value fires, if any. `record` must pass the recorded values to
    /// the visitor.
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
    fields: &'a [(usize, TriggerField)],
    trigger: Option<Trigger>,
}

impl TriggerVisitor<'_> {
    fn trigger_field(&self, field: &Field) -> Option<TriggerField> {
        let mut fields = self.fields.iter();
        let known = fields.find(|(index, _)| *index == field.index());
        known.map(|(_, meaning)| *meaning)
    }

    fn visit_number(&mut self, field: &Field, value: u64) {
        if self.trigger_field(field) == Some(TriggerField::Http) && (500..600).contains(&value) {
            self.trigger = Some(Trigger::Status);
        }
    }

    fn visit_text(&mut self, field: &Field, text: &str) {
        let text = text.trim();
        match self.trigger_field(field) {
            // Reads `500`, and `500 Internal Server Error` as the `http` crate displays it.
            Some(TriggerField::Http) => {
                let digits = text.split(|c: char| !c.is_ascii_digit()).next();
                if let Some(Ok(number)) = digits.map(str::parse) {
                    self.visit_number(field, number);
                }
            }
            // The prefix also matches `Debug` output such as `Error { description: "…" }`.
            Some(TriggerField::Otel)
                if text
                    .get(..5)
                    .is_some_and(|start| start.eq_ignore_ascii_case("error")) =>
            {
                self.trigger = Some(Trigger::Status);
            }
            Some(TriggerField::Cancelled) if text == "true" => {
                self.trigger = Some(Trigger::Cancelled);
            }
            Some(TriggerField::Otel | TriggerField::Cancelled) | None => {}
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
        if value && self.trigger_field(field) == Some(TriggerField::Cancelled) {
            self.trigger = Some(Trigger::Cancelled);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.visit_text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.trigger_field(field).is_some() {
            let text = panic_safe::format_text(format_args!("{value:?}"), MAX_VALUE_LEN);
            self.visit_text(field, &text);
        }
    }
}
