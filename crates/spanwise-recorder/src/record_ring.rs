//! The records of one unit of work, oldest first, in chunks of memory that units reuse.
//!
//! A record is a line, or an event that its layer has not encoded yet. An event refers to the data
//! of its span, which events share. This data is not in the chunks. Its length counts against the
//! memory of the unit as if it was: the pool lends memory for it, which the ring does not allocate.
//!
//! *Invariant:* the values of events are not redacted, so no `Debug` shows the content of chunks.

use std::{any::Any, collections::VecDeque, fmt, ops::Range, sync::Arc};

use spanwise_core::internal::{SinkMask, UnencodedEvent};

/// The length of a chunk. A unit with a line occupies at least this many bytes.
pub(crate) const CHUNK_LEN: usize = 4 * 1024;

pub(crate) type Chunk = Box<[u8; CHUNK_LEN]>;

/// A queue of records. Records follow each other without a gap, and may continue in the next chunk.
/// A record consists of
///
/// * a header;
/// * the [`SinkMask`], if the stack has routes;
/// * the number of the span, if the record is an event in a span;
/// * the line, or the values of the event.
#[derive(Default)]
pub(crate) struct RecordRing {
    chunks: VecDeque<Chunk>,
    /// Chunks that were emptied at the front, to be used again at the back.
    idle: Vec<Chunk>,
    /// The offset of the oldest record, in the first chunk.
    start: usize,
    /// The length of all records in bytes.
    len: usize,
    /// The number of records.
    pub(crate) record_count: usize,
    /// How many bytes the fast path may append: see [`set_room`](Self::set_room).
    room: usize,
    /// The fast path appends no record if the ring has this many.
    max_records: usize,
    /// The spans that records refer to, in the order of their first events. The last one stays
    /// until another follows, or until the ring is cleared.
    spans: VecDeque<SharedSpan>,
    /// The address of the last of `spans`, or 0.
    last_span: usize,
    /// The number of the last of `spans`. Numbers wrap around.
    last_span_number: u32,
    /// The memory of all `spans` in bytes.
    spans_len: usize,
    /// The number of chunks that the pool has lent for `spans_len`, and that have no memory here.
    reserved_chunks: usize,
}

/// The data of a span, for as long as a record refers to it.
struct SharedSpan {
    data: Arc<dyn Any + Send + Sync>,
    len: usize,
}

/// The content of a new record.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content<'a> {
    Line(&'a [u8]),
    Event(&'a UnencodedEvent<'a>),
}

impl<'a> Content<'a> {
    #[inline]
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Line(line) => line,
            Self::Event(event) => event.values,
        }
    }
}

/// A record that was not added yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewRecord<'a> {
    key: RecordKey,
    content: Content<'a>,
    pub(crate) size: RecordSize,
}

/// The memory that a record needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordSize {
    /// The length in the chunks.
    len: usize,
    /// The memory of the span of an event. 0 if it is the span that the ring added last.
    span_len: usize,
}

/// Memory that a ring needs for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loan {
    Chunk,
    /// A chunk that the ring does not allocate, because it is for the data of spans.
    Reserve,
}

/// The origin and the destination of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordKey {
    /// The number that identifies the callsite, less than 2³⁰.
    pub(crate) callsite: u32,
    /// The sinks that get the line, if one recorded layer writes for several sinks. Empty if the
    /// stack has no routes.
    pub(crate) sinks: SinkMask,
}

/// The header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RecordHeader {
    key: RecordKey,
    kind: RecordKind,
    /// The length of the line or the values.
    len: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordKind {
    Line,
    /// An event without a span.
    Event,
    /// An event in the span of this number.
    EventInSpan(u32),
}

/// A record that was removed from a ring. Its line or its values were copied.
pub(crate) struct RemovedRecord {
    pub(crate) key: RecordKey,
    /// Whether the record is an event.
    pub(crate) is_event: bool,
    /// The span of an event.
    pub(crate) span: Option<Arc<dyn Any + Send + Sync>>,
}

const HEADER_LEN: usize = 8;

/// Set in the callsite of a record whose header is followed by the bits of its sinks.
const HAS_SINKS: u32 = 1 << 31;

/// Set in the callsite of a record that is an event.
const IS_EVENT: u32 = 1 << 30;

/// Set in the length of a record whose header is followed by the number of its span.
const HAS_SPAN: u32 = 1 << 31;

impl RecordRing {
    /// Returns a record with this content, and the memory that it needs if it is added next.
    #[inline]
    pub(crate) fn new_record<'a>(&self, key: RecordKey, content: Content<'a>) -> NewRecord<'a> {
        let span = match content {
            Content::Event(UnencodedEvent { span, .. }) => *span,
            Content::Line(_) => None,
        };
        let (span_number_len, span_len) = match span {
            None => (0, 0),
            Some(span) if span.address() == self.last_span => (SPAN_NUMBER_LEN, 0),
            Some(span) => (SPAN_NUMBER_LEN, span.memory_len()),
        };
        let len = HEADER_LEN + sinks_len(key) + span_number_len + content.bytes().len();
        let size = RecordSize { len, span_len };
        NewRecord { key, content, size }
    }

    /// Returns the memory of all records in bytes.
    #[inline]
    pub(crate) fn used_len(&self) -> usize {
        self.len + self.spans_len
    }

    /// Returns whether the list of chunks has memory, even if it is empty.
    pub(crate) fn has_memory(&self) -> bool {
        self.chunks.capacity() > 0
    }

    /// Returns memory that the ring must borrow to make room for a record, or `None` if it has
    /// room. Before that, uses idle chunks.
    pub(crate) fn missing(&mut self, size: RecordSize) -> Option<Loan> {
        while self.free_len() < size.len {
            match self.idle.pop() {
                Some(chunk) => self.chunks.push_back(chunk),
                None => return Some(Loan::Chunk),
            }
        }
        (self.unused_loan() < size.total()).then_some(Loan::Reserve)
    }

    pub(crate) fn add_chunk(&mut self, chunk: Chunk) {
        self.chunks.push_back(chunk);
    }

    pub(crate) fn reserve_chunk(&mut self) {
        self.reserved_chunks += 1;
    }

    /// Fast path: appends a record if it fits into the [room](Self::set_room), unless it is the
    /// first event in another span. Returns whether the record was appended.
    #[inline]
    pub(crate) fn try_push(&mut self, key: RecordKey, content: Content<'_>) -> bool {
        let kind = match content {
            Content::Line(_) => RecordKind::Line,
            Content::Event(UnencodedEvent { span: None, .. }) => RecordKind::Event,
            Content::Event(UnencodedEvent {
                span: Some(span), ..
            }) if span.address() == self.last_span => {
                RecordKind::EventInSpan(self.last_span_number)
            }
            Content::Event(_) => return false,
        };
        let bytes = content.bytes();
        let header = RecordHeader {
            key,
            kind,
            len: bytes.len() as u32,
        };
        let len = header.prefix_len() + bytes.len();
        if len > self.room || self.record_count >= self.max_records {
            return false;
        }
        let at = self.start + self.len;
        let chunk = self.chunks.get_mut(at / CHUNK_LEN);
        let Some(record) = chunk.and_then(|chunk| chunk[at % CHUNK_LEN..].get_mut(..len)) else {
            return false;
        };
        let (prefix, content) = record.split_at_mut(len - bytes.len());
        content.copy_from_slice(bytes);
        header.write_to(prefix);
        self.room -= len;
        self.len += len;
        self.record_count += 1;
        true
    }

    /// Appends a record. The caller must have made room for it.
    pub(crate) fn push(&mut self, record: &NewRecord<'_>) {
        let header = self.header_of(record);
        let mut prefix = [0; MAX_PREFIX_LEN];
        let prefix = &mut prefix[..header.prefix_len()];
        header.write_to(prefix);
        self.append(prefix);
        self.append(record.content.bytes());
        self.record_count += 1;
    }

    /// Sets how many bytes [`try_push`](Self::try_push) may append: at most `max_len`, and no more
    /// than the current chunk and the loan have room for. If the ring has `max_records`, it appends
    /// none.
    pub(crate) fn set_room(&mut self, max_len: usize, max_records: usize) {
        self.max_records = max_records;
        let at = self.start + self.len;
        let in_chunk = match self.chunks.get(at / CHUNK_LEN) {
            Some(_) => CHUNK_LEN - at % CHUNK_LEN,
            None => 0,
        };
        self.room = max_len.min(in_chunk).min(self.unused_loan());
    }

    /// Returns the header of a record that is added next. Adds the span of an event, unless it is
    /// the span that the ring added last.
    fn header_of(&mut self, record: &NewRecord<'_>) -> RecordHeader {
        let kind = match record.content {
            Content::Line(_) => RecordKind::Line,
            Content::Event(UnencodedEvent { span: None, .. }) => RecordKind::Event,
            Content::Event(UnencodedEvent {
                span: Some(span), ..
            }) => {
                let len = record.size.span_len;
                if len > 0 {
                    self.last_span = span.address();
                    self.last_span_number = self.last_span_number.wrapping_add(1);
                    let data = span.share();
                    self.spans.push_back(SharedSpan { data, len });
                    self.spans_len += len;
                }
                RecordKind::EventInSpan(self.last_span_number)
            }
        };
        RecordHeader {
            key: record.key,
            kind,
            // The length fits: a line has much less than 2 GiB.
            len: record.content.bytes().len() as u32,
        }
    }

    /// Drops the oldest record. Returns false if there is none.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        let Some(header) = self.oldest() else {
            return false;
        };
        self.advance(header.record_len());
        self.record_count -= 1;
        if let RecordKind::EventInSpan(number) = header.kind {
            // All later events are in this span, or in one that was added after it.
            let index = self.span_index(number);
            for span in self.spans.drain(..index) {
                self.spans_len -= span.len;
            }
        }
        true
    }

    /// Returns the keys of the records, oldest first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = RecordKey> + '_ {
        let mut at = self.start;
        (0..self.record_count).map(move |_| {
            let header = self.header_at(at);
            at += header.record_len();
            header.key
        })
    }

    /// Removes the oldest record. Its line, or its values, replace `content`.
    pub(crate) fn pop_oldest(&mut self, content: &mut Vec<u8>) -> Option<RemovedRecord> {
        let header = self.oldest()?;
        content.clear();
        content.resize(header.len as usize, 0);
        let content_start = header.record_len() - header.len as usize;
        self.copy(self.start + content_start, content);
        let span = match header.kind {
            RecordKind::EventInSpan(number) => {
                let span = self.spans.get(self.span_index(number));
                span.map(|span| Arc::clone(&span.data))
            }
            RecordKind::Line | RecordKind::Event => None,
        };
        self.drop_oldest();
        Some(RemovedRecord {
            key: header.key,
            is_event: header.kind != RecordKind::Line,
            span,
        })
    }

    /// Drops all records and spans.
    pub(crate) fn clear(&mut self) {
        self.start = 0;
        self.len = 0;
        self.record_count = 0;
        self.room = 0;
        self.spans.clear();
        self.last_span = 0;
        self.spans_len = 0;
    }

    /// Returns the number of chunks that the pool has lent to the ring.
    pub(crate) fn lent_chunks(&self) -> usize {
        self.chunks.len() + self.idle.len() + self.reserved_chunks
    }

    /// Removes the chunks of a ring that was cleared.
    pub(crate) fn drain_chunks(&mut self) -> impl Iterator<Item = Chunk> + '_ {
        self.reserved_chunks = 0;
        self.chunks.drain(..).chain(self.idle.drain(..))
    }

    /// Returns the index of the span of this number in `spans`. The last one has the last number.
    fn span_index(&self, number: u32) -> usize {
        let from_end = self.last_span_number.wrapping_sub(number) as usize;
        self.spans.len().saturating_sub(from_end + 1)
    }

    fn oldest(&self) -> Option<RecordHeader> {
        (self.record_count > 0).then(|| self.header_at(self.start))
    }

    fn header_at(&self, offset: usize) -> RecordHeader {
        let mut header = [0; HEADER_LEN];
        self.copy(offset, &mut header);
        let header = u64::from_le_bytes(header);
        let (callsite, len) = ((header >> 32) as u32, header as u32);
        let mut sinks = [0; SINKS_LEN];
        if callsite & HAS_SINKS != 0 {
            self.copy(offset + HEADER_LEN, &mut sinks);
        }
        let key = RecordKey {
            callsite: callsite & !(HAS_SINKS | IS_EVENT),
            sinks: SinkMask::from_bits(u64::from_le_bytes(sinks)),
        };
        let kind = if callsite & IS_EVENT == 0 {
            RecordKind::Line
        } else if len & HAS_SPAN == 0 {
            RecordKind::Event
        } else {
            let mut span = [0; SPAN_NUMBER_LEN];
            self.copy(offset + HEADER_LEN + sinks_len(key), &mut span);
            RecordKind::EventInSpan(u32::from_le_bytes(span))
        };
        let len = len & !HAS_SPAN;
        RecordHeader { key, kind, len }
    }

    /// Returns how many bytes fit into the chunks.
    fn free_len(&self) -> usize {
        self.chunks.len() * CHUNK_LEN - self.start - self.len
    }

    /// Returns how many bytes of the memory that the pool has lent are not used.
    #[inline]
    fn unused_loan(&self) -> usize {
        (self.lent_chunks() * CHUNK_LEN).saturating_sub(self.start + self.used_len())
    }

    /// Appends bytes, which may cross the ends of chunks.
    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (chunk, range) = chunk_range(self.start + self.len, bytes.len());
            let (now, later) = bytes.split_at(range.len());
            self.chunks[chunk][range].copy_from_slice(now);
            self.len += now.len();
            bytes = later;
        }
    }

    /// Copies the bytes from `offset` on, which may cross the ends of chunks.
    fn copy(&self, mut offset: usize, mut to: &mut [u8]) {
        while !to.is_empty() {
            let (chunk, range) = chunk_range(offset, to.len());
            let (now, later) = to.split_at_mut(range.len());
            offset += now.len();
            now.copy_from_slice(&self.chunks[chunk][range]);
            to = later;
        }
    }

    /// Removes the oldest bytes: those of one record.
    fn advance(&mut self, record_len: usize) {
        self.start += record_len;
        self.len -= record_len;
        while self.start >= CHUNK_LEN {
            // All records in the first chunk were removed.
            self.idle.extend(self.chunks.pop_front());
            self.start -= CHUNK_LEN;
        }
    }
}

impl RecordSize {
    #[inline]
    pub(crate) fn total(self) -> usize {
        self.len + self.span_len
    }
}

impl RecordHeader {
    /// Returns the length of the whole record in the chunks.
    fn record_len(self) -> usize {
        self.prefix_len() + self.len as usize
    }

    /// Returns the length of the prefix: the header, the sinks and the number of the span.
    #[inline]
    fn prefix_len(self) -> usize {
        let span_number_len = match self.kind {
            RecordKind::EventInSpan(_) => SPAN_NUMBER_LEN,
            RecordKind::Line | RecordKind::Event => 0,
        };
        HEADER_LEN + sinks_len(self.key) + span_number_len
    }

    /// Writes the prefix of the content.
    #[inline]
    fn write_to(self, prefix: &mut [u8]) {
        let has_sinks = !self.key.sinks.is_empty();
        let (kind_bits, span_bits) = match self.kind {
            RecordKind::Line => (0, 0),
            RecordKind::Event => (IS_EVENT, 0),
            RecordKind::EventInSpan(_) => (IS_EVENT, HAS_SPAN),
        };
        let callsite = self.key.callsite | kind_bits | if has_sinks { HAS_SINKS } else { 0 };
        let header = u64::from(callsite) << 32 | u64::from(self.len | span_bits);
        let (header_bytes, rest) = prefix.split_at_mut(HEADER_LEN);
        header_bytes.copy_from_slice(&header.to_le_bytes());
        let (sinks, span) = rest.split_at_mut(sinks_len(self.key));
        if has_sinks {
            sinks.copy_from_slice(&self.key.sinks.bits().to_le_bytes());
        }
        if let RecordKind::EventInSpan(number) = self.kind {
            span.copy_from_slice(&number.to_le_bytes());
        }
    }
}

impl fmt::Debug for RecordRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordRing")
            .field("records", &self.record_count)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// The length of the bits of the sinks, in bytes.
const SINKS_LEN: usize = 8;

/// The length of the number of a span, in bytes.
const SPAN_NUMBER_LEN: usize = 4;

const MAX_PREFIX_LEN: usize = HEADER_LEN + SINKS_LEN + SPAN_NUMBER_LEN;

/// Returns the number of bytes in which a record stores its sinks.
#[inline]
fn sinks_len(key: RecordKey) -> usize {
    if key.sinks.is_empty() { 0 } else { SINKS_LEN }
}

/// Returns the chunk at an offset, and the range of up to `len` bytes in it.
#[inline]
fn chunk_range(offset: usize, len: usize) -> (usize, Range<usize>) {
    let start = offset % CHUNK_LEN;
    (offset / CHUNK_LEN, start..CHUNK_LEN.min(start + len))
}
