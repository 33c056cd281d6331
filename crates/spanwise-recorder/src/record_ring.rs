//! The buffered lines of one unit, oldest first, in chunks of memory that units reuse.

use std::{collections::VecDeque, ops::Range};

/// The length of a chunk. A unit with a line occupies at least this many bytes.
pub(crate) const CHUNK_LEN: usize = 4 * 1024;

pub(crate) type Chunk = Box<[u8; CHUNK_LEN]>;

/// A queue of records. A record consists of a header and a line. Records follow each other without
/// a gap, and may continue in the next chunk.
#[derive(Debug, Default)]
pub(crate) struct RecordRing {
    chunks: VecDeque<Chunk>,
    /// Chunks that were emptied at the front, to be used again at the back.
    idle: Vec<Chunk>,
    /// The offset of the oldest record, in the first chunk.
    start: usize,
    /// The length of all records.
    pub(crate) len: usize,
    pub(crate) records: usize,
}

/// The number of the callsite, and the length of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) callsite: u32,
    len: u32,
}

const HEADER_LEN: usize = 8;

impl RecordRing {
    /// Returns the length of the record of a line.
    pub(crate) fn record_len(line: &[u8]) -> usize {
        HEADER_LEN + line.len()
    }

    pub(crate) fn has_memory(&self) -> bool {
        self.chunks.capacity() > 0
    }

    /// Returns whether a record of `len` bytes fits into the chunks.
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
    pub(crate) fn try_push_contiguous(&mut self, callsite: u32, line: &[u8]) -> bool {
        let len = Self::record_len(line);
        let at = self.start + self.len;
        let chunk = self.chunks.get_mut(at / CHUNK_LEN);
        let record = chunk.and_then(|chunk| chunk[at % CHUNK_LEN..].get_mut(..len));
        let Some((header, rest)) = record.and_then(|record| record.split_first_chunk_mut()) else {
            return false;
        };
        *header = encode_header(callsite, line);
        rest.copy_from_slice(line);
        self.len += len;
        self.records += 1;
        true
    }

    /// Appends a record. The caller must have made room for it.
    pub(crate) fn push(&mut self, callsite: u32, line: &[u8]) {
        if !self.try_push_contiguous(callsite, line) {
            self.append(&encode_header(callsite, line));
            self.append(line);
            self.records += 1;
        }
    }

    /// Drops the oldest record. Returns false if there is none.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        let Some(header) = self.oldest() else {
            return false;
        };
        self.advance(HEADER_LEN + header.len as usize);
        self.records -= 1;
        true
    }

    /// Returns the callsites of the records, oldest first.
    pub(crate) fn callsites(&self) -> impl Iterator<Item = u32> + '_ {
        let mut at = self.start;
        (0..self.records).map(move |_| {
            let header = self.header_at(at);
            at += HEADER_LEN + header.len as usize;
            header.callsite
        })
    }

    /// Removes the oldest record. Its line replaces the content of `line`.
    pub(crate) fn pop_oldest(&mut self, line: &mut Vec<u8>) -> Option<RecordHeader> {
        let header = self.oldest()?;
        line.clear();
        line.resize(header.len as usize, 0);
        self.copy(self.start + HEADER_LEN, line);
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
        RecordHeader {
            callsite: (header >> 32) as u32,
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

fn encode_header(callsite: u32, line: &[u8]) -> [u8; HEADER_LEN] {
    // Lines are limited to much less than 4 GiB.
    ((u64::from(callsite) << 32) | line.len() as u64).to_le_bytes()
}

/// Returns the chunk at an offset, and the range of up to `len` bytes in it.
#[inline]
fn chunk_range(offset: usize, len: usize) -> (usize, Range<usize>) {
    let start = offset % CHUNK_LEN;
    (offset / CHUNK_LEN, start..CHUNK_LEN.min(start + len))
}
