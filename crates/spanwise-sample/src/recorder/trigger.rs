//! Why a unit is written, and which fields of a span say so.

use std::fmt;

use spanwise_core::panic_safe;
use tracing_core::{Field, Metadata, field::Visit};

/// Why a unit is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Trigger {
    Error = 1,
    Status,
    Slow,
    Panic,
    Cancelled,
    Requested,
    /// It is held for tail sampling, and must not be any longer.
    Expired,
}

impl Trigger {
    /// As in the header.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Status => "status",
            Self::Slow => "slow",
            Self::Panic => "panic",
            Self::Cancelled => "cancelled",
            Self::Requested => "asked",
            Self::Expired => "old",
        }
    }

    /// What is said of a unit.
    pub(crate) fn predicate(self) -> &'static str {
        match self {
            Self::Error | Self::Status | Self::Panic => "failed",
            Self::Slow => "was slow",
            Self::Cancelled => "was cancelled",
            Self::Requested => "was asked for",
            Self::Expired => "went on for long",
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        let all = [
            Self::Error,
            Self::Status,
            Self::Slow,
            Self::Panic,
            Self::Cancelled,
            Self::Requested,
            Self::Expired,
        ];
        all.into_iter().find(|reason| *reason as u8 == number)
    }
}

/// A span whose callsite has this field is a unit of its own, also inside another; the value is not looked at.
pub(crate) const UNIT: &str = "spanwise.unit";

/// What a field of a span may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StatusField {
    /// A status of HTTP: from 500 to 599 the unit failed.
    Http,
    /// A status of OpenTelemetry: `ERROR`.
    Otel,
    /// `true`: the future was dropped before it was done.
    Cancelled,
}

const FIELDS: [(&str, StatusField); 6] = [
    ("http.response.status_code", StatusField::Http),
    ("http.status_code", StatusField::Http),
    ("status", StatusField::Http),
    ("status_code", StatusField::Http),
    ("otel.status_code", StatusField::Otel),
    ("spanwise.cancelled", StatusField::Cancelled),
];

/// What the fields of a span's callsite may say.
#[derive(Debug)]
pub(crate) struct SpanPlan {
    pub(crate) is_unit: bool,
    /// By their index.
    fields: Vec<(usize, StatusField)>,
}

impl SpanPlan {
    pub(crate) fn new(callsite: &Metadata<'_>) -> Self {
        let says = |field: Field| {
            let known = FIELDS.iter().find(|(name, _)| *name == field.name());
            known.map(|(_, says)| (field.index(), *says))
        };
        Self {
            is_unit: callsite.fields().field(UNIT).is_some(),
            fields: callsite.fields().iter().filter_map(says).collect(),
        }
    }

    /// Why the unit is to be written, by what is recorded.
    #[inline]
    pub(crate) fn reason(&self, record: impl FnOnce(&mut dyn Visit)) -> Option<Trigger> {
        if self.fields.is_empty() {
            return None;
        }
        let mut look = TriggerVisitor {
            fields: &self.fields,
            reason: None,
        };
        record(&mut look);
        look.reason
    }
}

struct TriggerVisitor<'a> {
    fields: &'a [(usize, StatusField)],
    reason: Option<Trigger>,
}

impl TriggerVisitor<'_> {
    fn says(&self, field: &Field) -> Option<StatusField> {
        let known = self
            .fields
            .iter()
            .find(|(index, _)| *index == field.index());
        known.map(|(_, says)| *says)
    }

    fn number(&mut self, field: &Field, value: u64) {
        if self.says(field) == Some(StatusField::Http) && (500..600).contains(&value) {
            self.reason = Some(Trigger::Status);
        }
    }

    fn text(&mut self, field: &Field, text: &str) {
        let text = text.trim();
        match self.says(field) {
            // `500`, and `500 Internal Server Error`, as the `http` crate displays it.
            Some(StatusField::Http) => {
                let digits = text.split(|c: char| !c.is_ascii_digit()).next();
                if let Some(Ok(number)) = digits.map(str::parse) {
                    self.number(field, number);
                }
            }
            // Also the `Debug` of a variant that has a description.
            Some(StatusField::Otel)
                if text
                    .get(..5)
                    .is_some_and(|start| start.eq_ignore_ascii_case("error")) =>
            {
                self.reason = Some(Trigger::Status);
            }
            Some(StatusField::Cancelled) if text == "true" => {
                self.reason = Some(Trigger::Cancelled)
            }
            Some(StatusField::Otel | StatusField::Cancelled) | None => {}
        }
    }
}

impl Visit for TriggerVisitor<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value.try_into().unwrap_or(0));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if value && self.says(field) == Some(StatusField::Cancelled) {
            self.reason = Some(Trigger::Cancelled);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.says(field).is_some() {
            let mut text = String::new();
            panic_safe::format_into(&mut text, format_args!("{value:?}"), MAX_STATUS_LEN);
            self.text(field, &text);
        }
    }
}

/// Bytes of a status that are read.
const MAX_STATUS_LEN: usize = 64;
