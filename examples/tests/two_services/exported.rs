//! What one service wrote and exported.

use opentelemetry_proto::tonic::{
    common::v1::any_value::Value::IntValue, logs::v1::LogRecord, resource::v1::Resource,
    trace::v1::Span,
};
use serde_json::Value;

use crate::receiver::{self, Received, Receiver};

/// The lines, spans and log records of a service.
pub(crate) struct Exported {
    pub(crate) lines: Vec<Logged>,
    pub(crate) records: Vec<Logged>,
    pub(crate) spans: Vec<Span>,
}

/// A line or a log record, in the words of lines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Logged {
    /// Empty outside of spans, as the next two.
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    pub(crate) trace_flags: String,
    pub(crate) level: String,
    pub(crate) target: String,
    pub(crate) message: String,
    /// The id of the order.
    pub(crate) id: Option<i64>,
    /// The header that a service received.
    pub(crate) received: Option<String>,
}

/// Returns what the collector has of these services, which have ended, with their lines.
pub(crate) fn exported<const N: usize>(
    services: [(&str, &[Value]); N],
    receiver: &Receiver,
) -> [Exported; N] {
    let (spans, records) = (receiver.spans(), receiver.logs());
    services.map(|(service, lines)| {
        let is_own = |resource: &Resource| {
            receiver::text(&resource.attributes, "service.name") == Some(service)
        };
        let spans = spans.iter().filter(|span| is_own(&span.resource));
        let records = records.iter().filter(|record| is_own(&record.resource));
        Exported {
            lines: lines.iter().map(Logged::from_line).collect(),
            records: records.map(Logged::from_record).collect(),
            spans: spans.map(|span| span.item.clone()).collect(),
        }
    })
}

impl Logged {
    fn from_line(line: &Value) -> Self {
        let text = |key: &str| line[key].as_str().map(str::to_owned);
        Self {
            trace_id: text("trace_id").unwrap_or_default(),
            span_id: text("span_id").unwrap_or_default(),
            trace_flags: text("trace_flags").unwrap_or_default(),
            level: text("level").unwrap(),
            target: text("target").unwrap(),
            message: text("message").unwrap(),
            id: line["id"].as_i64(),
            received: text("received"),
        }
    }

    fn from_record(Received { scope, item, .. }: &Received<LogRecord>) -> Self {
        let id = match receiver::attribute(&item.attributes, "id") {
            Some(IntValue(id)) => Some(*id),
            _ => None,
        };
        let trace_flags = match &item.trace_id[..] {
            [] => String::new(),
            _ => digits(&[item.flags.to_be_bytes()[3]]),
        };
        Self {
            trace_id: digits(&item.trace_id),
            span_id: digits(&item.span_id),
            trace_flags,
            level: item.severity_text.clone(),
            target: scope.name.clone(),
            message: receiver::body(&item.body).to_owned(),
            id,
            received: receiver::text(&item.attributes, "received").map(str::to_owned),
        }
    }
}

/// Returns an id as lines have it.
pub(crate) fn digits(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
