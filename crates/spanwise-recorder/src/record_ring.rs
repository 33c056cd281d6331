//! The records of one unit of work, oldest first, in chunks of memory that units reuse.
//!
//! A record is a line, or an event that its layer has not encoded yet. An event refers to the data
//! of its span. This data is outside the chunks, because the events of the span share it. Its
//! length still counts against the memory of the unit: the pool lends chunks for it, which the ring
//! does not allocate.
//!
//! *Invariant:* the values of events are not redacted, so no `Debug` shows the content of chunks.

use std::{any::Any, collections::VecDeque, fmt, ops::Range, sync::Arc};

use spanwise_core::internal::{SinkMask, UnencodedEvent};

/// The length of a chunk in bytes. A unit with a line occupies at least this many bytes.
pub(crate) const CHUNK_LEN: usize = 4 * 1024;

pub(crate) type Chunk = Box<[u8; CHUNK_LEN]>;

/// A queue of records. Records follow each other without a gap, and a record may continue in the
/// next chunk. A record consists of
///
/// * a header;
/// * the [`SinkMask`], if the stack has routes;
/// * the number of the span, if the record is an event in a span;
/// * the line, or the values of the event.
#[derive(Default)]
pub(crate) struct RecordRing {
    chunks: VecDeque<Chunk>,
    /// Chunks whose records were removed. They are used again at the end of `chunks`.
    idle_chunks: Vec<Chunk>,
    /// The offset of the oldest record in the first chunk, in bytes.
    start: usize,
    /// The length of all records in the chunks, in bytes.
    len: usize,
    /// The number of records.
    pub(crate) record_count: usize,
    /// How many bytes the fast path may append: see [`set_room`](Self::set_room).
    room: usize,
    /// The fast path appends no record if the ring has this many.
    max_records: usize,
    /// The spans that records refer to, in the order of their first events. The last span stays
    /// until another follows or the ring is cleared, even if no record refers to it any more.
    spans: VecDeque<SharedSpan>,
    /// The address of the data of the last of `spans`, or 0 if there is none.
    last_span_ptr: usize,
    /// The number of the last of `spans`. Each added span has the next number, which wraps around.
    last_span_number: u32,
    /// The memory of the data of all `spans`, in bytes.
    spans_len: usize,
    /// The number of chunks that the pool has lent for `spans_len`, and that the ring does not
    /// allocate.
    reserved_chunks: usize,
}

/// The data of a span, which records refer to.
struct SharedSpan {
    data: Arc<dyn Any + Send + Sync>,
    /// The memory of the data, in bytes.
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
    /// The length of the record in the chunks, in bytes.
    len: usize,
    /// The memory of the data of the event's span, in bytes. 0 if the ring already has it, because
    /// it is the last span.
    pub(crate) span_len: usize,
}

/// A chunk that a ring borrows from the pool to make room for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loan {
    /// Memory for records.
    Chunk,
    /// Only counted, because it represents the data of spans, which is outside the chunks.
    Reserve,
}

/// The origin and the destination of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordKey {
    /// The number that identifies the callsite, less than 2³⁰.
    pub(crate) callsite: u32,
    /// The sinks that get the line, because with routes, one recorded layer writes for several
    /// sinks. Empty if the stack has no routes.
    pub(crate) sinks: SinkMask,
}

/// The header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RecordHeader {
    key: RecordKey,
    kind: RecordKind,
    /// The length of the line or the values, in bytes.
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

/// A record that was removed from a ring, after its line or its values were copied.
pub(crate) struct RemovedRecord {
    pub(crate) key: RecordKey,
    /// Whether the record is an event.
    pub(crate) is_event: bool,
    /// The data of the span of an event.
    pub(crate) span: Option<Arc<dyn Any + Send + Sync>>,
}

/// The length of a header in bytes: 4 for the callsite and 4 for the length, each with flags.
const HEADER_LEN: usize = 8;

/// A flag in the callsite: the header is followed by the bits of the [`SinkMask`].
const HAS_SINKS: u32 = 1 << 31;

/// A flag in the callsite: the record is an event.
const IS_EVENT: u32 = 1 << 30;

/// A flag in the length: the header is followed by the number of the span.
const HAS_SPAN: u32 = 1 << 31;

impl RecordRing {
    /// Creates a record, with the memory that it needs if the ring adds it next.
    #[inline]
    pub(crate) fn new_record<'a>(&self, key: RecordKey, content: Content<'a>) -> NewRecord<'a> {
        let span = match content {
            Content::Event(UnencodedEvent { span, .. }) => *span,
            Content::Line(_) => None,
        };
        let (span_number_len, span_len) = match span {
            None => (0, 0),
            Some(span) if span.address() == self.last_span_ptr => (SPAN_NUMBER_LEN, 0),
            Some(span) => (SPAN_NUMBER_LEN, span.memory_len()),
        };
        let len = HEADER_LEN + sinks_len(key) + span_number_len + content.bytes().len();
        let size = RecordSize { len, span_len };
        NewRecord { key, content, size }
    }

    /// Returns the memory of all records and of the data of their spans, in bytes.
    #[inline]
    pub(crate) fn used_len(&self) -> usize {
        self.len + self.spans_len
    }

    /// Returns whether the list of chunks has capacity, which a later unit can reuse.
    pub(crate) fn has_capacity(&self) -> bool {
        self.chunks.capacity() > 0
    }

    /// Makes room for a record from idle chunks. Returns the chunk to borrow if they are not
    /// enough, or `None` if the record has room.
    pub(crate) fn make_room(&mut self, size: RecordSize) -> Option<Loan> {
        while self.free_len() < size.len {
            match self.idle_chunks.pop() {
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

    /// Fast path: appends a record if it fits into the [room](Self::set_room), and if the span of
    /// an event is the last span. Returns whether the record was appended.
    #[inline]
    pub(crate) fn try_push(&mut self, key: RecordKey, content: Content<'_>) -> bool {
        let kind = match content {
            Content::Line(_) => RecordKind::Line,
            Content::Event(UnencodedEvent { span: None, .. }) => RecordKind::Event,
            Content::Event(UnencodedEvent {
                span: Some(span), ..
            }) if span.address() == self.last_span_ptr => {
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
        let end = self.start + self.len;
        let chunk = self.chunks.get_mut(end / CHUNK_LEN);
        let Some(record) = chunk.and_then(|chunk| chunk[end % CHUNK_LEN..].get_mut(..len)) else {
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
        let header = self.begin_record(record);
        let mut prefix = [0; MAX_PREFIX_LEN];
        let prefix = &mut prefix[..header.prefix_len()];
        header.write_to(prefix);
        self.append(prefix);
        self.append(record.content.bytes());
        self.record_count += 1;
    }

    /// Sets how many bytes [`try_push`](Self::try_push) may append: at most `max_len`, and no more
    /// than fit into the current chunk and the borrowed memory. It appends no record if the ring
    /// has `max_records`.
    pub(crate) fn set_room(&mut self, max_len: usize, max_records: usize) {
        self.max_records = max_records;
        let end = self.start + self.len;
        let free_in_chunk = match self.chunks.get(end / CHUNK_LEN) {
            Some(_) => CHUNK_LEN - end % CHUNK_LEN,
            None => 0,
        };
        self.room = max_len.min(free_in_chunk).min(self.unused_loan());
    }

    /// Adds the span of an event to the ring, unless it is the last span. Returns the header of the
    /// record. The caller must append the record next.
    fn begin_record(&mut self, record: &NewRecord<'_>) -> RecordHeader {
        let kind = match record.content {
            Content::Line(_) => RecordKind::Line,
            Content::Event(UnencodedEvent { span: None, .. }) => RecordKind::Event,
            Content::Event(UnencodedEvent {
                span: Some(span), ..
            }) => {
                let len = record.size.span_len;
                if len > 0 {
                    self.last_span_ptr = span.address();
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
        let Some(header) = self.oldest_header() else {
            return false;
        };
        self.remove_bytes(header.record_len());
        self.record_count -= 1;
        if let RecordKind::EventInSpan(number) = header.kind {
            // All later events are in this span, or in a span that was added after it. So earlier
            // spans are no longer needed.
            let index = self.span_index(number);
            for span in self.spans.drain(..index) {
                self.spans_len -= span.len;
            }
        }
        true
    }

    /// Returns the keys of the records, oldest first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = RecordKey> + '_ {
        let mut offset = self.start;
        (0..self.record_count).map(move |_| {
            let header = self.header_at(offset);
            offset += header.record_len();
            header.key
        })
    }

    /// Removes the oldest record, and replaces `content` with its line or its values.
    pub(crate) fn pop_oldest(&mut self, content: &mut Vec<u8>) -> Option<RemovedRecord> {
        let header = self.oldest_header()?;
        content.clear();
        content.resize(header.len as usize, 0);
        let content_start = header.record_len() - header.len as usize;
        self.copy_bytes(self.start + content_start, content);
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
        self.last_span_ptr = 0;
        self.spans_len = 0;
    }

    /// Returns the number of chunks that the pool has lent to the ring.
    pub(crate) fn lent_chunks(&self) -> usize {
        self.chunks.len() + self.idle_chunks.len() + self.reserved_chunks
    }

    /// Removes all chunks. The ring must be cleared before.
    pub(crate) fn drain_chunks(&mut self) -> impl Iterator<Item = Chunk> + '_ {
        self.reserved_chunks = 0;
        self.chunks.drain(..).chain(self.idle_chunks.drain(..))
    }

    /// Returns the index in `spans` of the span with this number. The numbers are consecutive, and
    /// the last span has `last_span_number`.
    fn span_index(&self, number: u32) -> usize {
        let from_end = self.last_span_number.wrapping_sub(number) as usize;
        self.spans.len().saturating_sub(from_end + 1)
    }

    fn oldest_header(&self) -> Option<RecordHeader> {
        (self.record_count > 0).then(|| self.header_at(self.start))
    }

    fn header_at(&self, offset: usize) -> RecordHeader {
        let mut header = [0; HEADER_LEN];
        self.copy_bytes(offset, &mut header);
        let header = u64::from_le_bytes(header);
        let (callsite, len) = ((header >> 32) as u32, header as u32);
        let mut sinks = [0; SINKS_LEN];
        if callsite & HAS_SINKS != 0 {
            self.copy_bytes(offset + HEADER_LEN, &mut sinks);
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
            self.copy_bytes(offset + HEADER_LEN + sinks_len(key), &mut span);
            RecordKind::EventInSpan(u32::from_le_bytes(span))
        };
        let len = len & !HAS_SPAN;
        RecordHeader { key, kind, len }
    }

    /// Returns how many more bytes fit into `chunks`.
    fn free_len(&self) -> usize {
        self.chunks.len() * CHUNK_LEN - self.start - self.len
    }

    /// Returns how many bytes of the lent memory are not used by records or the data of spans.
    #[inline]
    fn unused_loan(&self) -> usize {
        (self.lent_chunks() * CHUNK_LEN).saturating_sub(self.start + self.used_len())
    }

    /// Appends bytes to the chunks. The bytes may continue in the next chunk.
    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (chunk, range) = chunk_range(self.start + self.len, bytes.len());
            let (in_this_chunk, remaining) = bytes.split_at(range.len());
            self.chunks[chunk][range].copy_from_slice(in_this_chunk);
            self.len += in_this_chunk.len();
            bytes = remaining;
        }
    }

    /// Copies the bytes from `offset` on. They may continue in the next chunk.
    fn copy_bytes(&self, mut offset: usize, mut to: &mut [u8]) {
        while !to.is_empty() {
            let (chunk, range) = chunk_range(offset, to.len());
            let (in_this_chunk, remaining) = to.split_at_mut(range.len());
            offset += in_this_chunk.len();
            in_this_chunk.copy_from_slice(&self.chunks[chunk][range]);
            to = remaining;
        }
    }

    /// Removes the bytes of the oldest record.
    fn remove_bytes(&mut self, record_len: usize) {
        self.start += record_len;
        self.len -= record_len;
        while self.start >= CHUNK_LEN {
            // All records in the first chunk were removed.
            self.idle_chunks.extend(self.chunks.pop_front());
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

    /// Returns the length of the prefix, which is everything before the content.
    #[inline]
    fn prefix_len(self) -> usize {
        let span_number_len = match self.kind {
            RecordKind::EventInSpan(_) => SPAN_NUMBER_LEN,
            RecordKind::Line | RecordKind::Event => 0,
        };
        HEADER_LEN + sinks_len(self.key) + span_number_len
    }

    /// Writes the prefix: the header, the sinks and the number of the span.
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

/// The length of a stored [`SinkMask`], in bytes.
const SINKS_LEN: usize = 8;

/// The length of a stored number of a span, in bytes.
const SPAN_NUMBER_LEN: usize = 4;

const MAX_PREFIX_LEN: usize = HEADER_LEN + SINKS_LEN + SPAN_NUMBER_LEN;

/// Returns the length of the stored [`SinkMask`] of a record: 0 if the mask is empty.
#[inline]
fn sinks_len(key: RecordKey) -> usize {
    if key.sinks.is_empty() { 0 } else { SINKS_LEN }
}

/// Returns the index of the chunk at an offset, and the range in it of up to `len` bytes.
#[inline]
fn chunk_range(offset: usize, len: usize) -> (usize, Range<usize>) {
    let start = offset % CHUNK_LEN;
    (offset / CHUNK_LEN, start..CHUNK_LEN.min(start + len))
}
