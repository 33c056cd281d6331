//! The encoding of a span as the Protobuf message `Span` of OTLP.

use spanwise_core::internal::{SpanIdentity, announced_span::SpanKind};

use crate::wire::{WireWriter as _, short_fixed64, short_header, short_uint};

/// The field numbers of the Protobuf message `Span`.
pub(crate) mod field {
    pub(crate) const TRACE_ID: u32 = 1;
    pub(crate) const SPAN_ID: u32 = 2;
    pub(crate) const TRACE_STATE: u32 = 3;
    pub(crate) const PARENT_SPAN_ID: u32 = 4;
    pub(crate) const NAME: u32 = 5;
    pub(crate) const KIND: u32 = 6;
    pub(crate) const START_TIME: u32 = 7;
    pub(crate) const END_TIME: u32 = 8;
    pub(crate) const ATTRIBUTES: u32 = 9;
    pub(crate) const DROPPED_ATTRIBUTES: u32 = 10;
    pub(crate) const EVENTS: u32 = 11;
    pub(crate) const DROPPED_EVENTS: u32 = 12;
    pub(crate) const LINKS: u32 = 13;
    pub(crate) const DROPPED_LINKS: u32 = 14;
    pub(crate) const STATUS: u32 = 15;
    pub(crate) const FLAGS: u32 = 16;
}

/// The field number of the attributes in a `Span`.
pub(crate) const SPAN_ATTRIBUTES: u32 = field::ATTRIBUTES;

/// A bit in the flags of a span or a link: [`IS_REMOTE`] is known.
pub(crate) const HAS_IS_REMOTE: u32 = 0x100;
/// A bit in the flags of a span or a link: the parent of the span, or the linked span, is in
/// another process.
pub(crate) const IS_REMOTE: u32 = 0x200;

/// Encoded events or links, with their tags and lengths.
#[derive(Debug, Default)]
pub(crate) struct EncodedItems {
    pub(crate) bytes: Vec<u8>,
    count: usize,
    pub(crate) dropped: u32,
}

impl EncodedItems {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
        self.dropped = 0;
    }

    /// Adds an item as a field with the number `field`. Drops and counts the item if there are
    /// `max_count` items already, or if it needs more than `room` bytes.
    pub(crate) fn push(&mut self, field: u32, item: &[u8], max_count: usize, room: usize) {
        if self.count >= max_count || item.len() + MAX_HEADER_LEN > room {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        self.bytes.bytes(field, item);
        self.count += 1;
    }
}

/// Appends the trace id and the span id of a span at once. Each has a header of two bytes.
#[inline]
pub(crate) fn push_ids(to: &mut Vec<u8>, identity: &SpanIdentity) {
    let mut ids = [0; 2 + 16 + 2 + 8];
    let (trace_id, span_id) = ids.split_at_mut(2 + 16);
    trace_id[..2].copy_from_slice(&short_header(field::TRACE_ID, 16));
    trace_id[2..].copy_from_slice(&identity.trace_id());
    span_id[..2].copy_from_slice(&short_header(field::SPAN_ID, 8));
    span_id[2..].copy_from_slice(&identity.span_id());
    to.extend_from_slice(&ids);
}

/// Appends the kind, the start and the end of a span at once. `times` is in nanoseconds since 1970.
/// An end before the start is replaced by the start.
#[inline]
pub(crate) fn push_kind_and_times(to: &mut Vec<u8>, kind: SpanKind, times: std::ops::Range<u64>) {
    let mut fields = [0; 2 + 9 + 9];
    fields[..2].copy_from_slice(&short_uint(field::KIND, kind_number(kind)));
    let (start, end) = fields[2..].split_at_mut(9);
    start.copy_from_slice(&short_fixed64(field::START_TIME, times.start));
    end.copy_from_slice(&short_fixed64(field::END_TIME, times.end.max(times.start)));
    to.extend_from_slice(&fields);
}

/// Appends the flags of a span. The tag takes two bytes, because the field number is above 15.
#[inline]
pub(crate) fn push_flags(to: &mut Vec<u8>, flags: u32) {
    const FIXED32: u32 = 5;
    const TAG: u32 = field::FLAGS << 3 | FIXED32;
    let mut encoded = [0; 2 + 4];
    encoded[..2].copy_from_slice(&[TAG as u8 | 0x80, (TAG >> 7) as u8]);
    encoded[2..].copy_from_slice(&flags.to_le_bytes());
    to.extend_from_slice(&encoded);
}

/// The maximum number of bytes in front of an event or a link: a tag of one byte, and a length of
/// up to three.
const MAX_HEADER_LEN: usize = 4;

/// Appends a count of dropped items, unless it is 0.
pub(crate) trait WriteCount {
    fn count(&mut self, field: u32, count: u32);
}

impl WriteCount for Vec<u8> {
    #[inline]
    fn count(&mut self, field: u32, count: u32) {
        if count > 0 {
            self.uint(field, count.into());
        }
    }
}

fn kind_number(kind: SpanKind) -> u8 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

/// Returns the kind that a text such as `client` names, in upper or lower case.
pub(crate) fn parse_kind(text: &str) -> Option<SpanKind> {
    let kinds = [
        ("internal", SpanKind::Internal),
        ("server", SpanKind::Server),
        ("client", SpanKind::Client),
        ("producer", SpanKind::Producer),
        ("consumer", SpanKind::Consumer),
    ];
    let named = kinds
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text));
    named.map(|(_, kind)| *kind)
}
