//! Lines on their way, in few large pieces of memory that are used again.

use std::{collections::VecDeque, mem};

use crate::record_sink::Records;

/// Whole records, appended one by one.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// A chunk of this many bytes stays in the processor's cache until it is written.
const MAX_CHUNK_LEN: usize = 256 * 1024;

/// In a small buffer chunks are smaller, since there is room only once a whole one is written; but no smaller than this.
const MIN_CHUNK_LEN: usize = 64 * 1024;

impl Chunk {
    fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            // Enough for lines of ordinary length; grows once for shorter ones, and is used again.
            ends: Vec::with_capacity(bytes / 128),
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.bytes.capacity() - self.bytes.len() >= bytes
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

    /// Takes `count` records off the front.
    pub(crate) fn remove_front(&mut self, count: usize) {
        let start = self.records().start_of(count);
        self.bytes.drain(..start);
        self.ends.drain(..count);
        self.ends.iter_mut().for_each(|end| *end -= start);
    }
}

/// What is held: in chunks, the last of which is being filled.
#[derive(Debug)]
pub(crate) struct Buffer {
    full: VecDeque<Chunk>,
    filling: Chunk,
    free: Vec<Chunk>,
    chunk: usize,
    max_free: usize,
}

impl Buffer {
    pub(crate) fn new(capacity: usize) -> Self {
        let chunk = (capacity / 16)
            .clamp(MIN_CHUNK_LEN, MAX_CHUNK_LEN)
            .min(capacity);
        Self {
            full: VecDeque::new(),
            filling: Chunk::with_capacity(chunk),
            free: Vec::new(),
            chunk,
            // What an ordinary burst needs; a larger one gives its memory back when it is over.
            max_free: (capacity / 8 / chunk).max(2),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, record: &[u8]) {
        if !self.filling.has_room(record.len()) {
            self.next_chunk(record.len());
        }
        self.filling.bytes.extend_from_slice(record);
        self.filling.ends.push(self.filling.bytes.len());
    }

    #[cold]
    fn next_chunk(&mut self, bytes: usize) {
        let next = match self.free.pop() {
            Some(free) if free.has_room(bytes) => free,
            _ => Chunk::with_capacity(self.chunk.max(bytes)),
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

    /// The oldest records.
    pub(crate) fn pop(&mut self) -> Option<Chunk> {
        if self.full.is_empty() && !self.filling.is_empty() {
            self.next_chunk(0);
        }
        self.full.pop_front()
    }

    /// Takes back a chunk that was popped, with what is still to be written of it.
    pub(crate) fn put_back(&mut self, chunk: Chunk) {
        if chunk.is_empty() {
            self.recycle(chunk);
        } else {
            self.full.push_front(chunk);
        }
    }

    /// Takes back a chunk that was popped and is written.
    pub(crate) fn recycle(&mut self, mut chunk: Chunk) {
        if chunk.bytes.capacity() < 2 * self.chunk {
            chunk.clear();
            self.free.push(chunk);
        }
    }

    /// What a burst has needed and an ordinary one does not, to be dropped.
    pub(crate) fn surplus(&mut self) -> Vec<Chunk> {
        let ordinary = self.free.len().min(self.max_free);
        self.free.split_off(ordinary)
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.full.clear();
        self.filling.clear();
    }
}

#[cfg(test)]
mod tests;
