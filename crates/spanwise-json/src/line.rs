//! The bytes of one line as they are put together.

/// A reused byte buffer.
///
/// It keeps its bytes initialised up to the end of `bytes` and counts what is used by itself: an append is then one bounds check
/// and one copy, and a short one may copy a fixed number of bytes and count fewer. Appends were a third of an event's cost
/// when this was a plain `Vec`.
#[derive(Debug, Default)]
pub(crate) struct Line {
    bytes: Vec<u8>,
    len: usize,
}

/// Short static text, copied as a whole block: `,"order_id":`.
#[derive(Debug)]
pub(crate) struct Short {
    block: [u8; BLOCK],
    text: Box<[u8]>,
}

const BLOCK: usize = 32;

/// A line longer than this does not keep its memory for the next one.
const KEPT: usize = 64 * 1024;

impl Line {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(crate) fn as_mut_bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }

    #[inline]
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Empties the line for its next use.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        if self.bytes.len() > KEPT {
            self.bytes = Vec::new();
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if end > self.bytes.len() {
            self.grow(bytes.len());
        }
        self.bytes[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }

    #[inline]
    pub(crate) fn push_byte(&mut self, byte: u8) {
        *self.room::<1>() = [byte];
        self.len += 1;
    }

    #[inline]
    pub(crate) fn push_short(&mut self, short: &Short) {
        if short.text.len() <= BLOCK {
            self.push_block(&short.block, short.text.len());
        } else {
            self.push(&short.text);
        }
    }

    /// Copies all of `block`, of which the first `used` bytes count.
    #[inline]
    pub(crate) fn push_block<const N: usize>(&mut self, block: &[u8; N], used: usize) {
        debug_assert!(used <= N);
        *self.room() = *block;
        self.len += used;
    }

    /// The next bytes, to be written and then counted by [`advance`](Self::advance).
    #[inline]
    pub(crate) fn room<const N: usize>(&mut self) -> &mut [u8; N] {
        if self.bytes.len() < self.len + N {
            self.grow(N);
        }
        match self.bytes[self.len..].first_chunk_mut() {
            Some(room) => room,
            None => unreachable!("there is room for N bytes: made above where there was not"),
        }
    }

    #[inline]
    pub(crate) fn advance(&mut self, count: usize) {
        debug_assert!(self.len + count <= self.bytes.len());
        self.len += count;
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, count: usize) {
        let wanted = (self.len + count).next_power_of_two().max(4096);
        self.bytes.resize(wanted, 0);
    }
}

impl Short {
    pub(crate) fn new(text: Vec<u8>) -> Self {
        let mut block = [0; BLOCK];
        let used = text.len().min(BLOCK);
        block[..used].copy_from_slice(&text[..used]);
        Self {
            block,
            text: text.into(),
        }
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text
    }
}
