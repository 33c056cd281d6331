//! The buffered lines of one unit of work, oldest first, in chunks of memory that units reuse.

use std::{collections::VecDeque, ops::Range};

use spanwise_core::internal::SinkMask;

/// The length of a chunk. A unit with a line occupies at least this many bytes.
pub(crate) const CHUNK_LEN: usize = 4 * 1024;

pub(crate) type Chunk = Box<[u8; CHUNK_LEN]>;

/// A queue of records. A record consists of a header, the [`SinkMask`] if the stack has routes, and
/// a line. Records follow each other without a gap, and may continue in the next chunk.
#[derive(Debug, Default)]
pub(crate) struct RecordRing {
    chunks: VecDeque<Chunk>,
    /// Chunks that were emptied at the front, to be used again at the back.
    idle: Vec<Chunk>,
    /// The offset of the oldest record, in the first chunk.
    start: usize,
    /// The length of all records in bytes.
    pub(crate) len: usize,
    /// The number of records.
    pub(crate) records: usize,
}

/// The origin and the destination of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordKey {
    /// The number that identifies the callsite, less than 2³⁰.
    pub(crate) callsite: u32,
    /// The sinks that get the line, of those that one recorded layer writes for. Empty if the stack
    /// has no routes.
    pub(crate) sinks: SinkMask,
}

/// The key of a record, and the length of its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) key: RecordKey,
    len: u32,
}

impl RecordHeader {
    /// Returns the length of the whole record.
    fn record_len(self) -> usize {
        HEADER_LEN + sinks_len(self.key) + self.len as usize
    }
}

const HEADER_LEN: usize = 8;

/// Set in the callsite of a record whose header is followed by the bits of its sinks.
const HAS_SINKS: u32 = 1 << 31;

impl RecordRing {
    /// Returns the length of the record of a line.
    #[inline]
    pub(crate) fn record_len(key: RecordKey, line: &[u8]) -> usize {
        HEADER_LEN + sinks_len(key) + line.len()
    }

    /// Returns whether the list of chunks has memory, even if it is empty.
    pub(crate) fn has_memory(&self) -> bool {
        self.chunks.capacity() > 0
    }

    /// Returns whether a record of `len` bytes fits into the chunks. Moves idle chunks to the back
    /// for it.
    pub(crate) fn has_room(&mut self, len: usize) -> bool {
        while self.free_len() < len {
            match self.idle.pop() {
                Some(chunk) => self.chunks.push_back(chunk),
                None => return false,
            }
        }
        true
    }

    pub(crate) fn add_chunk(&mut self, chunk: Chunk) {
        self.chunks.push_back(chunk);
    }

    /// Appends a record if the current chunk has room for it. Returns whether the record was
    /// appended.
    #[inline]
    pub(crate) fn try_push_contiguous(&mut self, key: RecordKey, line: &[u8]) -> bool {
        let len = Self::record_len(key, line);
        let at = self.start + self.len;
        let chunk = self.chunks.get_mut(at / CHUNK_LEN);
        let record = chunk.and_then(|chunk| chunk[at % CHUNK_LEN..].get_mut(..len));
        let Some((header, rest)) = record.and_then(|record| record.split_first_chunk_mut()) else {
            return false;
        };
        *header = encode_header(key, line);
        let (sinks, rest) = rest.split_at_mut(sinks_len(key));
        if !sinks.is_empty() {
            sinks.copy_from_slice(&key.sinks.bits().to_le_bytes());
        }
        rest.copy_from_slice(line);
        self.len += len;
        self.records += 1;
        true
    }

    /// Appends a record. The caller must have made room for it.
    pub(crate) fn push(&mut self, key: RecordKey, line: &[u8]) {
        if !self.try_push_contiguous(key, line) {
            self.append(&encode_header(key, line));
            self.append(&key.sinks.bits().to_le_bytes()[..sinks_len(key)]);
            self.append(line);
            self.records += 1;
        }
    }

    /// Drops the oldest record. Returns false if there is none.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        let Some(header) = self.oldest() else {
            return false;
        };
        self.advance(header.record_len());
        self.records -= 1;
        true
    }

    /// Returns the keys of the records, oldest first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = RecordKey> + '_ {
        let mut at = self.start;
        (0..self.records).map(move |_| {
            let header = self.header_at(at);
            at += header.record_len();
            header.key
        })
    }

    /// Removes the oldest record. Its line replaces the content of `line`.
    pub(crate) fn pop_oldest(&mut self, line: &mut Vec<u8>) -> Option<RecordHeader> {
        let header = self.oldest()?;
        line.clear();
        line.resize(header.len as usize, 0);
        self.copy(self.start + HEADER_LEN + sinks_len(header.key), line);
        self.drop_oldest();
        Some(header)
    }

    /// Drops all records, and returns the chunks.
    pub(crate) fn drain_chunks(&mut self) -> impl Iterator<Item = Chunk> + '_ {
        self.start = 0;
        self.len = 0;
        self.records = 0;
        self.chunks.drain(..).chain(self.idle.drain(..))
    }

    fn oldest(&self) -> Option<RecordHeader> {
        (self.records > 0).then(|| self.header_at(self.start))
    }

    fn header_at(&self, offset: usize) -> RecordHeader {
        let mut header = [0; HEADER_LEN];
        self.copy(offset, &mut header);
        let header = u64::from_le_bytes(header);
        let callsite = (header >> 32) as u32;
        let mut sinks = [0; SINKS_LEN];
        if callsite & HAS_SINKS != 0 {
            self.copy(offset + HEADER_LEN, &mut sinks);
        }
        RecordHeader {
            key: RecordKey {
                callsite: callsite & !HAS_SINKS,
                sinks: SinkMask::from_bits(u64::from_le_bytes(sinks)),
            },
            len: header as u32,
        }
    }

    fn free_len(&self) -> usize {
        self.chunks.len() * CHUNK_LEN - self.start - self.len
    }

    /// Appends bytes that cross the end of a chunk.
    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (chunk, range) = chunk_range(self.start + self.len, bytes.len());
            let (now, later) = bytes.split_at(range.len());
            self.chunks[chunk][range].copy_from_slice(now);
            self.len += now.len();
            bytes = later;
        }
    }

    fn copy(&self, mut from: usize, mut to: &mut [u8]) {
        while !to.is_empty() {
            let (chunk, range) = chunk_range(from, to.len());
            let (now, later) = to.split_at_mut(range.len());
            from += now.len();
            now.copy_from_slice(&self.chunks[chunk][range]);
            to = later;
        }
    }

    fn advance(&mut self, by: usize) {
        self.start += by;
        self.len -= by;
        while self.start >= CHUNK_LEN {
            // All records in the first chunk were removed.
            self.idle.extend(self.chunks.pop_front());
            self.start -= CHUNK_LEN;
        }
    }
}

/// The length of the bits of the sinks.
const SINKS_LEN: usize = 8;

/// Returns the number of bytes in which a record stores its sinks.
#[inline]
fn sinks_len(key: RecordKey) -> usize {
    if key.sinks.is_empty() { 0 } else { SINKS_LEN }
}

#[inline]
fn encode_header(key: RecordKey, line: &[u8]) -> [u8; HEADER_LEN] {
    let has_sinks = if key.sinks.is_empty() { 0 } else { HAS_SINKS };
    let callsite = key.callsite | has_sinks;
    // Lines are limited to much less than 4 GiB.
    ((u64::from(callsite) << 32) | line.len() as u64).to_le_bytes()
}

/// Returns the chunk at an offset, and the range of up to `len` bytes in it.
#[inline]
fn chunk_range(offset: usize, len: usize) -> (usize, Range<usize>) {
    let start = offset % CHUNK_LEN;
    (offset / CHUNK_LEN, start..CHUNK_LEN.min(start + len))
}
