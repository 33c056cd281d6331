//! The encoding of a `LogRecord`, and of the messages around it.
//!
//! A writer receives one `ResourceLogs` per event, with one scope and one record. The concatenated
//! bytes of several events are also a `ResourceLogs`, because Protocol Buffers define that
//! concatenated messages are merged. Only a `LogWriter` receives the scope and the record without
//! the messages around them.
//!
//! The *head* of a record is all its fields except the attributes, which the layer encodes first.

use spanwise_core::internal::SpanIdentity;
use tracing_core::Level;

use crate::{
    attributes::AnyValue,
    limits::MAX_ITEM_LEN,
    log_scratch::LogScratch,
    severity::Severity,
    wire::{WireWriter as _, short_header, take_varint, varint_len},
};

/// The field number of the attributes in a `LogRecord`.
pub(crate) const ATTRIBUTES: u32 = 6;

const TIME: u32 = 1;
const SEVERITY_NUMBER: u32 = 2;
/// The first byte of a record: the tag of the severity number. The number is in the next byte.
const SEVERITY_TAG: u8 = (SEVERITY_NUMBER << 3) as u8;
const SEVERITY_TEXT: u32 = 3;
const BODY: u32 = 5;
const DROPPED_ATTRIBUTES_COUNT: u32 = 7;
const FLAGS: u32 = 8;
const TRACE_ID: u32 = 9;
const SPAN_ID: u32 = 10;
const OBSERVED_TIME: u32 = 11;
const EVENT_NAME: u32 = 12;

/// The length in bytes that is reserved for the field with the number of dropped attributes.
const DROPPED_COUNT_FIELD_LEN: usize = 8;

/// The length in bytes that is reserved for the parts of a record that are not application data:
/// the times, the ids, `sample_rate`, `buffered`, the number of dropped attributes, and the header
/// of the body. They need at most 109 bytes.
const MAX_SHORT_PARTS_LEN: usize = 128;

/// The field number of a `ScopeLogs` in a `ResourceLogs`.
const SCOPE_LOGS: u32 = 2;
/// The field numbers of the scope and of the records in a `ScopeLogs`.
const SCOPE: u32 = 1;
const LOG_RECORDS: u32 = 2;

/// The fields of the head of a record, except the body, which is in the [`LogScratch`].
#[derive(Debug)]
pub(crate) struct HeadFields<'a> {
    /// The result of [`encode_callsite`].
    pub(crate) callsite_fields: &'a [u8],
    /// The time in nanoseconds since 1970. 0 means unknown.
    pub(crate) unix_nanos: u64,
    pub(crate) ids: RecordIds,
}

/// Returns the encoded fields that all records of a callsite have.
pub(crate) fn encode_callsite(severity: Severity, event_name: Option<&str>) -> Box<[u8]> {
    let mut fields = Vec::new();
    // The severity number must be the first field, because `DecodedRecord` reads it there.
    fields.uint(SEVERITY_NUMBER, severity as u64);
    fields.bytes(SEVERITY_TEXT, severity.text().as_bytes());
    if let Some(name) = event_name {
        fields.bytes(EVENT_NAME, name.as_bytes());
    }
    fields.into_boxed_slice()
}

/// The ids of the trace and the span of a record. An unknown id is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RecordIds {
    pub(crate) trace_id: Option<[u8; 16]>,
    pub(crate) span_id: Option<[u8; 8]>,
    pub(crate) flags: Option<u8>,
}

impl RecordIds {
    /// Returns these ids, with those of `other` in place of missing ones.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            trace_id: self.trace_id.or(other.trace_id),
            span_id: self.span_id.or(other.span_id),
            flags: self.flags.or(other.flags),
        }
    }

    /// Returns these ids of a span, with those of the span around it in place of missing ones. Does
    /// not mix the ids of two traces.
    pub(crate) fn inherit(self, outer: Self) -> Self {
        match (self.trace_id, outer.trace_id) {
            (Some(own_trace), Some(outer_trace)) if own_trace != outer_trace => self,
            _ => self.or(outer),
        }
    }
}

impl From<&SpanIdentity> for RecordIds {
    fn from(identity: &SpanIdentity) -> Self {
        Self {
            trace_id: Some(identity.trace_id()),
            span_id: Some(identity.span_id()),
            flags: Some(identity.flags()),
        }
    }
}

/// Encodes the head of a record into `scratch.head`, from `fields` and `scratch.body`. If the
/// record would exceed 64 KiB, drops the last ones of `scratch.attributes`.
pub(crate) fn encode_head(scratch: &mut LogScratch, fields: &HeadFields<'_>) {
    let LogScratch {
        attributes,
        body,
        head,
        ..
    } = scratch;
    head.extend_from_slice(fields.callsite_fields);
    push_times(head, fields.unix_nanos);
    let RecordIds {
        trace_id,
        span_id,
        flags,
    } = fields.ids;
    if let Some(trace_id) = trace_id {
        head.bytes(TRACE_ID, &trace_id);
    }
    // A span id without a trace id has no meaning.
    if let Some(span_id) = span_id.filter(|_| trace_id.is_some()) {
        head.bytes(SPAN_ID, &span_id);
    }
    if let Some(flags) = flags {
        head.fixed32(FLAGS, flags.into());
    }
    if !body.is_empty() {
        let value = AnyValue::Text(body);
        value.encode_field(BODY, value.encoded_len(), head);
    }
    attributes.truncate(MAX_ITEM_LEN.saturating_sub(DROPPED_COUNT_FIELD_LEN + head.len()));
    if attributes.dropped() > 0 {
        head.uint(DROPPED_ATTRIBUTES_COUNT, attributes.dropped().into());
    }
}

/// Returns the maximum length, in bytes, of the application's attributes in a record with these
/// callsite fields and this body. Reserves room for `sample_rate`, `buffered` and all other parts.
pub(crate) fn max_attributes_len(callsite_fields: &[u8], body: &str) -> usize {
    let reserved = callsite_fields.len() + body.len() + MAX_SHORT_PARTS_LEN;
    MAX_ITEM_LEN.saturating_sub(reserved)
}

/// Encodes a `ResourceLogs` with the record in `scratch` into `scratch.output`. Call
/// [`encode_head`] first.
pub(crate) fn encode_output(scratch: &mut LogScratch, scope: &[u8]) {
    let LogScratch {
        attributes,
        head,
        output,
        ..
    } = scratch;
    let record_len = head.len() + attributes.as_bytes().len();
    let field_len = |len: usize| 1 + varint_len(len as u64) + len;
    output.header(SCOPE_LOGS, field_len(scope.len()) + field_len(record_len));
    output.bytes(SCOPE, scope);
    output.header(LOG_RECORDS, record_len);
    output.extend_from_slice(head);
    output.extend_from_slice(attributes.as_bytes());
}

/// Appends the time and the observed time, which are the same.
#[inline]
fn push_times(head: &mut Vec<u8>, time: u64) {
    const FIXED64: u32 = 1;
    const LEN: usize = 1 + size_of::<u64>();
    let mut times = [0; 2 * LEN];
    for (encoded, field) in times.chunks_exact_mut(LEN).zip([TIME, OBSERVED_TIME]) {
        encoded[0] = (field << 3 | FIXED64) as u8;
        encoded[1..].copy_from_slice(&time.to_le_bytes());
    }
    head.extend_from_slice(&times);
}

/// A record that [`encode_output`] encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DecodedRecord<'a> {
    pub(crate) scope: &'a [u8],
    pub(crate) record: &'a [u8],
    pub(crate) level: Level,
    /// The length in bytes of the record with the messages around it.
    pub(crate) len: usize,
}

impl<'a> DecodedRecord<'a> {
    /// Decodes the first record of `output`. Returns `None` if `output` does not begin with one.
    pub(crate) fn decode(output: &'a [u8]) -> Option<Self> {
        let mut following = output;
        let scope_logs = take_message(&mut following, SCOPE_LOGS)?;
        let mut fields = scope_logs;
        let scope = take_message(&mut fields, SCOPE)?;
        let record = take_message(&mut fields, LOG_RECORDS)?;
        let &[SEVERITY_TAG, number, ..] = record else {
            return None;
        };
        Some(Self {
            scope,
            record,
            level: Severity::level(number),
            len: output.len() - following.len(),
        })
    }
}

/// Removes the message at the front of `from` and returns it, if its field number is `field`.
#[inline]
fn take_message<'a>(from: &mut &'a [u8], field: u32) -> Option<&'a [u8]> {
    // The field number is below 16, so the tag is one byte.
    let (tag, rest) = from.split_first()?;
    if *tag != short_header(field, 0)[0] {
        return None;
    }
    *from = rest;
    let len = usize::try_from(take_varint(from)?).ok()?;
    let (message, rest) = from.split_at_checked(len)?;
    *from = rest;
    Some(message)
}
