//! Why a unit is written, and which fields of a span say so.

use std::fmt;

use spanwise_core::internal::panic_safe;
use tracing_core::{Field, Metadata, field::Visit};

/// Why a unit is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reason {
    Error = 1,
    Status,
    Slow,
    Panic,
    Cancelled,
    Asked,
    /// It is held for tail sampling, and must not be any longer.
    Old,
}

impl Reason {
    /// As in the header.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Status => "status",
            Self::Slow => "slow",
            Self::Panic => "panic",
            Self::Cancelled => "cancelled",
            Self::Asked => "asked",
            Self::Old => "old",
        }
    }

    /// What is said of a unit.
    pub(crate) fn predicate(self) -> &'static str {
        match self {
            Self::Error | Self::Status | Self::Panic => "failed",
            Self::Slow => "was slow",
            Self::Cancelled => "was cancelled",
            Self::Asked => "was asked for",
            Self::Old => "went on for long",
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        let all = [
            Self::Error,
            Self::Status,
            Self::Slow,
            Self::Panic,
            Self::Cancelled,
            Self::Asked,
            Self::Old,
        ];
        all.into_iter().find(|reason| *reason as u8 == number)
    }
}

/// A span whose callsite has this field is a unit of its own, also inside another; the value is not looked at.
pub(crate) const UNIT: &str = "spanwise.unit";

/// What a field of a span may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// A status of HTTP: from 500 to 599 the unit failed.
    Http,
    /// A status of OpenTelemetry: `ERROR`.
    Otel,
    /// `true`: the future was dropped before it was done.
    Cancelled,
}

const FIELDS: [(&str, Says); 6] = [
    ("http.response.status_code", Says::Http),
    ("http.status_code", Says::Http),
    ("status", Says::Http),
    ("status_code", Says::Http),
    ("otel.status_code", Says::Otel),
    ("spanwise.cancelled", Says::Cancelled),
];

/// What the fields of a span's callsite may say.
#[derive(Debug)]
pub(crate) struct SpanPlan {
    pub(crate) is_unit: bool,
    /// By their index.
    fields: Vec<(usize, Says)>,
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
    pub(crate) fn reason(&self, record: impl FnOnce(&mut dyn Visit)) -> Option<Reason> {
        if self.fields.is_empty() {
            return None;
        }
        let mut look = Look {
            fields: &self.fields,
            reason: None,
        };
        record(&mut look);
        look.reason
    }
}

struct Look<'a> {
    fields: &'a [(usize, Says)],
    reason: Option<Reason>,
}

impl Look<'_> {
    fn says(&self, field: &Field) -> Option<Says> {
        let known = self
            .fields
            .iter()
            .find(|(index, _)| *index == field.index());
        known.map(|(_, says)| *says)
    }

    fn number(&mut self, field: &Field, value: u64) {
        if self.says(field) == Some(Says::Http) && (500..600).contains(&value) {
            self.reason = Some(Reason::Status);
        }
    }

    fn text(&mut self, field: &Field, text: &str) {
        let text = text.trim();
        match self.says(field) {
            // `500`, and `500 Internal Server Error`, as the `http` crate displays it.
            Some(Says::Http) => {
                let digits = text.split(|c: char| !c.is_ascii_digit()).next();
                if let Some(Ok(number)) = digits.map(str::parse) {
                    self.number(field, number);
                }
            }
            // Also the `Debug` of a variant that has a description.
            Some(Says::Otel)
                if text
                    .get(..5)
                    .is_some_and(|start| start.eq_ignore_ascii_case("error")) =>
            {
                self.reason = Some(Reason::Status);
            }
            Some(Says::Cancelled) if text == "true" => self.reason = Some(Reason::Cancelled),
            Some(Says::Otel | Says::Cancelled) | None => {}
        }
    }
}

impl Visit for Look<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value.try_into().unwrap_or(0));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if value && self.says(field) == Some(Says::Cancelled) {
            self.reason = Some(Reason::Cancelled);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.says(field).is_some() {
            let mut text = String::new();
            panic_safe::format_into(&mut text, format_args!("{value:?}"), LONGEST);
            self.text(field, &text);
        }
    }
}

/// Bytes of a status that are read.
const LONGEST: usize = 64;
