//! The buffer of a line queue: whole records (lines) in a few large chunks of reused memory.
//!
//! To add a record is one copy, and the sink receives all records of a chunk in one call.

use std::{collections::VecDeque, mem};

use crate::record_sink::Records;

/// Whole records, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    /// The offset in `bytes` at which each record ends, ascending.
    ends: Vec<usize>,
}

/// The maximum length of a chunk in bytes, unless a single record is longer. Larger chunks would
/// not stay in the processor cache until they are written.
const MAX_CHUNK_LEN: usize = 256 * 1024;

/// The minimum length of a chunk in bytes, unless the whole buffer is smaller. Between the minimum
/// and the maximum, a chunk is a sixteenth of the buffer, because threads that wait for room get it
/// one written chunk at a time.
const MIN_CHUNK_LEN: usize = 64 * 1024;

impl Chunk {
    fn with_capacity(len: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(len),
            // Enough if lines have 128 bytes on average. Shorter lines make the list grow.
            ends: Vec::with_capacity(len / 128),
        }
    }

    fn has_room_for(&self, record_len: usize) -> bool {
        self.bytes.capacity() - self.bytes.len() >= record_len
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(crate) fn records(&self) -> Records<'_> {
        Records::new(&self.bytes, &self.ends)
    }

    /// Removes the first `count` records.
    pub(crate) fn remove_front(&mut self, count: usize) {
        let removed_len = self.records().start_of(count);
        self.bytes.drain(..removed_len);
        self.ends.drain(..count);
        self.ends.iter_mut().for_each(|end| *end -= removed_len);
    }
}

/// A queue of chunks. New records are added to the last chunk.
#[derive(Debug)]
pub(crate) struct Buffer {
    /// Chunks that are ready to be written, the oldest first.
    full_chunks: VecDeque<Chunk>,
    /// The chunk to which records are added.
    filling_chunk: Chunk,
    /// Empty chunks, for reuse.
    free_chunks: Vec<Chunk>,
    /// The length of a new chunk in bytes, unless a record is longer.
    chunk_len: usize,
    max_free_chunks: usize,
}

impl Buffer {
    pub(crate) fn new(capacity: usize) -> Self {
        let chunk_len = capacity / 16;
        let chunk_len = chunk_len.clamp(MIN_CHUNK_LEN, MAX_CHUNK_LEN).min(capacity);
        Self {
            full_chunks: VecDeque::new(),
            filling_chunk: Chunk::with_capacity(chunk_len),
            free_chunks: Vec::new(),
            chunk_len,
            // Enough for ordinary bursts. The chunks that only a larger burst needs are freed.
            max_free_chunks: (capacity / 8 / chunk_len).max(2),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, record: &[u8]) {
        if !self.filling_chunk.has_room_for(record.len()) {
            self.start_chunk(record.len());
        }
        self.filling_chunk.bytes.extend_from_slice(record);
        self.filling_chunk.ends.push(self.filling_chunk.bytes.len());
    }

    /// Starts to fill an empty chunk that has room for a record of this length.
    #[cold]
    fn start_chunk(&mut self, record_len: usize) {
        let next = match self.free_chunks.pop() {
            Some(free) if free.has_room_for(record_len) => free,
            _ => Chunk::with_capacity(self.chunk_len.max(record_len)),
        };
        let previous = mem::replace(&mut self.filling_chunk, next);
        if previous.is_empty() {
            self.recycle(previous);
        } else {
            self.full_chunks.push_back(previous);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filling_chunk.is_empty() && self.full_chunks.is_empty()
    }

    /// Removes and returns the chunk with the oldest records.
    pub(crate) fn pop(&mut self) -> Option<Chunk> {
        if self.full_chunks.is_empty() && !self.filling_chunk.is_empty() {
            self.start_chunk(0);
        }
        self.full_chunks.pop_front()
    }

    /// Puts a removed chunk back to the front, with the records that were not written.
    pub(crate) fn put_back(&mut self, chunk: Chunk) {
        if chunk.is_empty() {
            self.recycle(chunk);
        } else {
            self.full_chunks.push_front(chunk);
        }
    }

    /// Reuses the memory of a removed chunk, unless a long record made the chunk large.
    pub(crate) fn recycle(&mut self, mut chunk: Chunk) {
        if chunk.bytes.capacity() < 2 * self.chunk_len {
            chunk.clear();
            self.free_chunks.push(chunk);
        }
    }

    /// Removes and returns the free chunks that only a large burst needs. The caller drops them
    /// after it has released the lock of the queue.
    pub(crate) fn take_surplus(&mut self) -> Vec<Chunk> {
        let kept = self.free_chunks.len().min(self.max_free_chunks);
        self.free_chunks.split_off(kept)
    }

    pub(crate) fn clear(&mut self) {
        self.full_chunks.clear();
        self.filling_chunk.clear();
    }
}

#[cfg(test)]
mod tests;
