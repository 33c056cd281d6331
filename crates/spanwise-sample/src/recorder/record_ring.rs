//! The lines of one unit, oldest first, in chunks of memory that units hand to each other.

use std::{collections::VecDeque, ops::Range};

/// The least that a unit with a line takes.
pub(crate) const CHUNK_LEN: usize = 4 * 1024;

pub(crate) type Chunk = Box<[u8; CHUNK_LEN]>;

/// A queue of records that follow each other in its chunks without a gap: the callsite's number, the length, the line.
#[derive(Debug, Default)]
pub(crate) struct RecordRing {
    chunks: VecDeque<Chunk>,
    /// Emptied from the front, to be used at the back.
    idle: Vec<Chunk>,
    /// Of the oldest record, in the first chunk.
    start: usize,
    len: usize,
    records: usize,
}

/// A record, but for its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) callsite: u32,
    len: u32,
}

const HEADER_LEN: usize = 8;

impl RecordRing {
    /// What a line takes.
    pub(crate) fn size_of(line: &[u8]) -> usize {
        HEADER_LEN + line.len()
    }

    pub(crate) fn records(&self) -> usize {
        self.records
    }

    /// Of its records.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn has_memory(&self) -> bool {
        self.chunks.capacity() > 0
    }

    /// True if a record of `size` fits into the chunks there are.
    pub(crate) fn has_room(&mut self, size: usize) -> bool {
        while self.free() < size {
            match self.idle.pop() {
                Some(chunk) => self.chunks.push_back(chunk),
                None => return false,
            }
        }
        true
    }

    /// Makes room.
    pub(crate) fn add_chunk(&mut self, chunk: Chunk) {
        self.chunks.push_back(chunk);
    }

    /// Appends a record if the chunk at hand has room for it.
    #[inline]
    pub(crate) fn try_push_contiguous(&mut self, callsite: u32, line: &[u8]) -> bool {
        let size = Self::size_of(line);
        let at = self.start + self.len;
        let chunk = self.chunks.get_mut(at / CHUNK_LEN);
        let place = chunk.and_then(|chunk| chunk[at % CHUNK_LEN..].get_mut(..size));
        let Some((head, rest)) = place.and_then(|place| place.split_first_chunk_mut()) else {
            return false;
        };
        *head = head_of(callsite, line);
        rest.copy_from_slice(line);
        self.len += size;
        self.records += 1;
        true
    }

    /// Appends a record that there is room for.
    pub(crate) fn push(&mut self, callsite: u32, line: &[u8]) {
        if !self.try_push_contiguous(callsite, line) {
            self.append(&head_of(callsite, line));
            self.append(line);
            self.records += 1;
        }
    }

    /// Forgets the oldest record. False if there is none.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        let Some(head) = self.head() else {
            return false;
        };
        self.advance(HEADER_LEN + head.len as usize);
        self.records -= 1;
        true
    }

    /// The callsites of its records, from the oldest on.
    pub(crate) fn callsites(&self) -> impl Iterator<Item = u32> + '_ {
        let mut at = self.start;
        (0..self.records).map(move |_| {
            let head = self.head_at(at);
            at += HEADER_LEN + head.len as usize;
            head.callsite
        })
    }

    /// Takes the oldest record; its line replaces what is in `line`.
    pub(crate) fn pop_oldest(&mut self, line: &mut Vec<u8>) -> Option<RecordHeader> {
        let head = self.head()?;
        line.clear();
        line.resize(head.len as usize, 0);
        self.copy(self.start + HEADER_LEN, line);
        self.drop_oldest();
        Some(head)
    }

    /// All its memory, and forgets its records.
    pub(crate) fn drain_chunks(&mut self) -> impl Iterator<Item = Chunk> + '_ {
        self.start = 0;
        self.len = 0;
        self.records = 0;
        self.chunks.drain(..).chain(self.idle.drain(..))
    }

    fn head(&self) -> Option<RecordHeader> {
        if self.records == 0 {
            return None;
        }
        Some(self.head_at(self.start))
    }

    fn head_at(&self, offset: usize) -> RecordHeader {
        let mut head = [0; HEADER_LEN];
        self.copy(offset, &mut head);
        let head = u64::from_le_bytes(head);
        RecordHeader {
            callsite: (head >> 32) as u32,
            len: head as u32,
        }
    }

    fn free(&self) -> usize {
        self.chunks.len() * CHUNK_LEN - self.start - self.len
    }

    /// In pieces, since it ends in another chunk than it begins in.
    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (chunk, place) = place(self.start + self.len, bytes.len());
            let (now, later) = bytes.split_at(place.len());
            self.chunks[chunk][place].copy_from_slice(now);
            self.len += now.len();
            bytes = later;
        }
    }

    fn copy(&self, mut from: usize, mut to: &mut [u8]) {
        while !to.is_empty() {
            let (chunk, place) = place(from, to.len());
            let (now, later) = to.split_at_mut(place.len());
            from += now.len();
            now.copy_from_slice(&self.chunks[chunk][place]);
            to = later;
        }
    }

    fn advance(&mut self, by: usize) {
        self.start += by;
        self.len -= by;
        while self.start >= CHUNK_LEN {
            // The records before `start` were in it.
            self.idle.extend(self.chunks.pop_front());
            self.start -= CHUNK_LEN;
        }
    }
}

fn head_of(callsite: u32, line: &[u8]) -> [u8; HEADER_LEN] {
    // Lines are limited to much less than 4 GiB.
    ((u64::from(callsite) << 32) | line.len() as u64).to_le_bytes()
}

/// Where bytes from `offset` on are: in which chunk, and how many of them there.
#[inline]
fn place(offset: usize, len: usize) -> (usize, Range<usize>) {
    let start = offset % CHUNK_LEN;
    (offset / CHUNK_LEN, start..CHUNK_LEN.min(start + len))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_comes_out_is_what_went_in(steps in prop::collection::vec((0_usize..3 * CHUNK_LEN, any::<u32>(), 0_usize..3), 0..200)) {
            let mut ring = RecordRing::default();
            let mut expected = VecDeque::new();
            let mut chunks = 0;
            let mut line = Vec::new();
            for (len, callsite, pops) in steps {
                let bytes: Vec<u8> = (0..len).map(|at| (at as u32 ^ callsite) as u8).collect();
                while !ring.has_room(RecordRing::size_of(&bytes)) {
                    chunks += 1;
                    ring.add_chunk(Box::new([0; CHUNK_LEN]));
                }
                ring.push(callsite, &bytes);
                expected.push_back((callsite, bytes));
                for _ in 0..pops {
                    let popped = ring.pop_oldest(&mut line).map(|head| (head.callsite, line.clone()));
                    prop_assert_eq!(popped, expected.pop_front());
                }
                prop_assert!(ring.callsites().eq(expected.iter().map(|(callsite, _)| *callsite)));
                prop_assert_eq!(ring.records(), expected.len());
                prop_assert_eq!(ring.len(), expected.iter().map(|(_, bytes)| RecordRing::size_of(bytes)).sum::<usize>());
            }
            prop_assert_eq!(ring.drain_chunks().count(), chunks);
        }
    }
}
