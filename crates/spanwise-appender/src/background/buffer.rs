//! The buffer: records in a few large, reused chunks of memory.

use std::{collections::VecDeque, mem};

use crate::record_sink::Records;

/// Whole records, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    /// The end of each record in `bytes`.
    ends: Vec<usize>,
}

/// The maximum length of a chunk, unless one record is longer. Larger chunks would not stay in the
/// processor cache until they are written.
const MAX_CHUNK_LEN: usize = 256 * 1024;

/// The minimum length of a chunk, unless the whole buffer is smaller. Between the minimum and the
/// maximum, a chunk is a sixteenth of the buffer, because room is released one chunk at a time.
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
        let start = self.records().start_of(count);
        self.bytes.drain(..start);
        self.ends.drain(..count);
        self.ends.iter_mut().for_each(|end| *end -= start);
    }
}

/// A queue of chunks. New records are added to the last chunk.
#[derive(Debug)]
pub(crate) struct Buffer {
    full: VecDeque<Chunk>,
    filling: Chunk,
    free: Vec<Chunk>,
    chunk_len: usize,
    max_free: usize,
}

impl Buffer {
    pub(crate) fn new(capacity: usize) -> Self {
        let chunk_len = capacity / 16;
        let chunk_len = chunk_len.clamp(MIN_CHUNK_LEN, MAX_CHUNK_LEN).min(capacity);
        Self {
            full: VecDeque::new(),
            filling: Chunk::with_capacity(chunk_len),
            free: Vec::new(),
            chunk_len,
            // Enough for ordinary bursts. After a larger burst, further chunks are freed.
            max_free: (capacity / 8 / chunk_len).max(2),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, record: &[u8]) {
        if !self.filling.has_room_for(record.len()) {
            self.start_chunk(record.len());
        }
        self.filling.bytes.extend_from_slice(record);
        self.filling.ends.push(self.filling.bytes.len());
    }

    /// Starts to fill an empty chunk that has room for a record of this length.
    #[cold]
    fn start_chunk(&mut self, record_len: usize) {
        let next = match self.free.pop() {
            Some(free) if free.has_room_for(record_len) => free,
            _ => Chunk::with_capacity(self.chunk_len.max(record_len)),
        };
        let full = mem::replace(&mut self.filling, next);
        if full.is_empty() {
            self.recycle(full);
        } else {
            self.full.push_back(full);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filling.is_empty() && self.full.is_empty()
    }

    /// Removes and returns the oldest records.
    pub(crate) fn pop(&mut self) -> Option<Chunk> {
        if self.full.is_empty() && !self.filling.is_empty() {
            self.start_chunk(0);
        }
        self.full.pop_front()
    }

    /// Puts back a removed chunk, with the records that were not written.
    pub(crate) fn put_back(&mut self, chunk: Chunk) {
        if chunk.is_empty() {
            self.recycle(chunk);
        } else {
            self.full.push_front(chunk);
        }
    }

    /// Reuses the memory of a removed chunk, unless a long record made the chunk large.
    pub(crate) fn recycle(&mut self, mut chunk: Chunk) {
        if chunk.bytes.capacity() < 2 * self.chunk_len {
            chunk.clear();
            self.free.push(chunk);
        }
    }

    /// Removes and returns the free chunks that only a large burst needs. Drop them without the
    /// lock.
    pub(crate) fn surplus(&mut self) -> Vec<Chunk> {
        let ordinary = self.free.len().min(self.max_free);
        self.free.split_off(ordinary)
    }

    pub(crate) fn clear(&mut self) {
        self.full.clear();
        self.filling.clear();
    }
}

#[cfg(test)]
mod tests;
