//! The plan of a callsite: everything that depends on the callsite alone. It is computed and
//! encoded for the first span or event of the callsite, and reused for all others.

use std::collections::HashSet;

use spanwise_core::internal::{is_critical, log_record};
use tracing_core::Metadata;

use crate::{
    attributes::{AnyValue, Attributes, Key},
    limits::AttributeLimits,
    wire::WireWriter as _,
};

/// The facts about a callsite that are the same for all its spans or events.
#[derive(Debug)]
pub(crate) struct CallsitePlan {
    /// The fields, in the order of [`Field::index`](tracing_core::Field::index).
    pub(crate) fields: Box<[PlannedField]>,
    /// Whether a key may occur twice: among the fields, or as a field and as an `exception.*`
    /// attribute of an error.
    pub(crate) has_repeated_keys: bool,
    /// The encoded `InstrumentationScope`: the target.
    pub(crate) scope: Box<[u8]>,
    /// The attributes that all spans or events of the callsite have, such as the source location.
    pub(crate) constants: Attributes,
    /// Whether a field is named `trace_id`.
    pub(crate) has_trace_id: bool,
    /// Whether its events are records of the `log` crate, which have their target and source
    /// location in fields.
    pub(crate) is_log_record: bool,
}

/// A field of a callsite.
#[derive(Debug)]
pub(crate) struct PlannedField {
    pub(crate) key: Key,
    pub(crate) role: FieldRole,
}

/// How a field is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldRole {
    Attribute,
    Special(SpecialField),
    Omitted,
}

/// A field that becomes a part of the span or record other than an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpecialField {
    /// The message of an event.
    Message,
    /// The trace id that the application records.
    TraceId,
    /// The span id that the application records.
    SpanId,
    SpanName,
    SpanKind,
    StatusCode,
    StatusDescription,
}

/// The options of a layer that affect its plans.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlanOptions {
    /// The field number of the attributes in the Protobuf message: a `Span`, `Event` or
    /// `LogRecord`.
    pub(crate) attributes_field: u32,
    pub(crate) limits: AttributeLimits,
    /// Whether the source location is added as attributes.
    pub(crate) has_source_location: bool,
}

impl CallsitePlan {
    pub(crate) fn new(callsite: &Metadata<'_>, options: PlanOptions) -> Self {
        let names = || callsite.fields().iter().map(|field| field.name());
        let fields = names().map(|name| {
            let exported_name = name.strip_prefix("r#").unwrap_or(name);
            PlannedField {
                key: Key::new(exported_name),
                role: role(callsite, exported_name),
            }
        });
        let mut earlier_names = HashSet::new();
        let has_repeated_keys = !names()
            .map(|name| name.strip_prefix("r#").unwrap_or(name))
            .all(|name| earlier_names.insert(name) && !name.starts_with("exception."));
        let is_log_record = log_record::is_log_record(callsite);
        let mut constants = Attributes::new(options.attributes_field, options.limits);
        if options.has_source_location && !is_log_record {
            push_source_location(&mut constants, callsite.file(), callsite.line());
        }
        let fields: Box<[PlannedField]> = fields.collect();
        Self {
            has_trace_id: fields
                .iter()
                .any(|field| field.role == FieldRole::Special(SpecialField::TraceId)),
            fields,
            has_repeated_keys,
            scope: encode_scope(callsite.target()),
            constants,
            is_log_record,
        }
    }
}

/// Adds the source location as attributes.
pub(crate) fn push_source_location(to: &mut Attributes, file: Option<&str>, line: Option<u32>) {
    if let Some(file) = file {
        to.set(&Key::new("code.file.path"), AnyValue::Text(file));
    }
    if let Some(line) = line {
        to.set(&Key::new("code.line.number"), AnyValue::Int(line.into()));
    }
}

/// Returns the name of an event, unless it is generated. The macros of `tracing` generate names
/// such as `event src/main.rs:12`.
pub(crate) fn event_name(callsite: &Metadata<'static>) -> Option<&'static str> {
    let name = callsite.name();
    let is_generated = name.strip_prefix("event ").is_some_and(|location| {
        let (file, line) = location.rsplit_once(':').unwrap_or_default();
        callsite.file() == Some(file) && line.parse().ok() == callsite.line()
    });
    // Bridges of the `log` crate, and callsites made at run time such as that of the panic hook,
    // name all their events `event` or `log event`. The name of a critical event only marks its
    // severity.
    let is_generic = matches!(name, "event" | "log event") || is_critical(callsite);
    (!is_generated && !is_generic).then_some(name)
}

/// Returns an encoded `InstrumentationScope`.
pub(crate) fn encode_scope(name: &str) -> Box<[u8]> {
    const NAME: u32 = 1;
    let mut scope = Vec::with_capacity(name.len() + 3);
    scope.bytes(NAME, name.as_bytes());
    scope.into_boxed_slice()
}

fn role(callsite: &Metadata<'_>, name: &str) -> FieldRole {
    let special = match name {
        "trace_id" => SpecialField::TraceId,
        "span_id" => SpecialField::SpanId,
        "message" if callsite.is_event() => SpecialField::Message,
        "otel.name" if callsite.is_span() => SpecialField::SpanName,
        "otel.kind" if callsite.is_span() => SpecialField::SpanKind,
        "otel.status_code" if callsite.is_span() => SpecialField::StatusCode,
        "otel.status_description" | "otel.status_message" if callsite.is_span() => {
            SpecialField::StatusDescription
        }
        "spanwise.unit" if callsite.is_span() => return FieldRole::Omitted,
        _ if callsite.is_span() && name.starts_with("otel.") => return FieldRole::Omitted,
        _ if log_record::is_origin_field(callsite, name) => return FieldRole::Omitted,
        _ => return FieldRole::Attribute,
    };
    FieldRole::Special(special)
}
