//! The buffer in which a line is assembled.

use std::ops::Range;

/// A byte buffer that a thread reuses for its lines.
///
/// All of `bytes` is initialized, and the first `len` bytes are in use. So an append is one bounds
/// check and one copy. A short append copies a whole block of fixed size, although `len` grows by
/// less. With a plain `Vec`, appends were a third of an event's cost.
#[derive(Debug, Default)]
pub(crate) struct LineBuffer {
    bytes: Vec<u8>,
    len: usize,
    /// The memory that [`take_text`](Self::take_text) returns.
    spare: String,
}

/// A short sequence of bytes, such as `,"order_id":`. If it fits in `N` bytes, it is copied as one
/// block, which is faster than a copy of variable length.
#[derive(Debug)]
pub(crate) struct PaddedBytes<const N: usize> {
    block: [u8; N],
    text: Box<[u8]>,
}

/// A buffer frees its memory after a line if it has grown beyond this many bytes: 64 KiB.
pub(crate) const MAX_RETAINED_LEN: usize = 64 * 1024;

impl LineBuffer {
    /// Creates a buffer with room for `len` bytes. An empty buffer would grow to 4 KiB at once,
    /// which is too much for a short text.
    pub(crate) fn with_room(len: usize) -> Self {
        Self {
            bytes: vec![0; len],
            ..Self::default()
        }
    }

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

    /// Empties the buffer for the next line.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        if self.bytes.len() > MAX_RETAINED_LEN {
            self.bytes = Vec::new();
        }
    }

    /// Returns an empty text in reused memory. Return it with
    /// [`put_back_text`](Self::put_back_text).
    #[inline]
    pub(crate) fn take_text(&mut self) -> String {
        let mut text = std::mem::take(&mut self.spare);
        text.clear();
        text
    }

    /// Copies the text between the offset `start` and the end of the buffer to the end of `to`.
    pub(crate) fn copy_text(&self, start: usize, to: &mut String) {
        // This part of the buffer is valid UTF-8, because it was written as `str`s.
        to.push_str(std::str::from_utf8(&self.bytes[start..self.len]).unwrap_or_default());
    }

    /// Stores the memory of a text for the next [`take_text`](Self::take_text). Frees it if it is
    /// more than [`MAX_RETAINED_LEN`].
    #[inline]
    pub(crate) fn put_back_text(&mut self, text: String) {
        if text.capacity() <= MAX_RETAINED_LEN {
            self.spare = text;
        }
    }

    /// Removes the quotes of the JSON string between the offset `start` and the end of the buffer.
    #[inline]
    pub(crate) fn remove_quotes(&mut self, start: usize) {
        self.bytes.copy_within(start + 1..self.len - 1, start);
        self.len -= 2;
    }

    /// Replaces the bytes in `range` by `with`, and moves the bytes behind them.
    pub(crate) fn splice(&mut self, range: Range<usize>, with: &[u8]) {
        let (old_len, removed) = (self.len, range.len());
        if with.len() > removed && self.bytes.len() < old_len + with.len() - removed {
            self.grow(with.len() - removed);
        }
        let moved_to = range.start + with.len();
        self.bytes.copy_within(range.end..old_len, moved_to);
        self.bytes[range.start..moved_to].copy_from_slice(with);
        self.len = old_len - removed + with.len();
    }

    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self
            .bytes
            .len()
            .checked_sub(self.len)
            .is_none_or(|free| free < bytes.len())
        {
            self.grow(bytes.len());
        }
        self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Like [`push`](Self::push), optimized for fewer than 16 bytes. They are copied as one block,
    /// because a call to `memcpy` costs more.
    #[inline]
    pub(crate) fn push_small(&mut self, bytes: &[u8]) {
        if bytes.len() < BLOCK_LEN {
            self.push_block(&small_block(bytes), bytes.len());
        } else {
            self.push(bytes);
        }
    }

    /// Like [`push`](Self::push), optimized for at most 32 bytes, which are two blocks.
    #[inline]
    pub(crate) fn push_short(&mut self, bytes: &[u8]) {
        let len = bytes.len();
        let blocks = (
            bytes.first_chunk::<BLOCK_LEN>(),
            bytes.last_chunk::<BLOCK_LEN>(),
        );
        let (Some(first), Some(last)) = blocks else {
            return self.push_block(&small_block(bytes), len);
        };
        if len > 2 * BLOCK_LEN {
            return self.push(bytes);
        }
        // The two blocks may overlap.
        let room = self.room::<{ 2 * BLOCK_LEN }>();
        room[..BLOCK_LEN].copy_from_slice(first);
        room[len - BLOCK_LEN..len].copy_from_slice(last);
        self.advance(len);
    }

    #[inline]
    pub(crate) fn push_byte(&mut self, byte: u8) {
        self.push_block(&[byte], 1);
    }

    #[inline]
    pub(crate) fn push_padded<const N: usize>(&mut self, short: &PaddedBytes<N>) {
        if short.text.len() > N {
            return self.push_long(&short.text);
        }
        self.push_block(&short.block, short.text.len());
    }

    #[cold]
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn push_long(&mut self, bytes: &[u8]) {
        self.push(bytes);
    }

    /// Appends the first `used` bytes of `block`. Copies the whole block, which is faster.
    #[inline]
    pub(crate) fn push_block<const N: usize>(&mut self, block: &[u8; N], used: usize) {
        debug_assert!(used <= N);
        self.room::<N>().copy_from_slice(block);
        self.len += used;
    }

    /// Returns the next `N` bytes. After writing to them, call [`advance`](Self::advance) with the
    /// number of bytes to keep.
    #[inline]
    pub(crate) fn room<const N: usize>(&mut self) -> &mut [u8; N] {
        // Because of these comparisons, the compiler removes the bounds checks of the slice below.
        let Some(free) = self.bytes.len().checked_sub(self.len) else {
            return self.grown_room();
        };
        if free < N {
            return self.grown_room();
        }
        match self.bytes[self.len..].first_chunk_mut() {
            Some(room) => room,
            None => unreachable!("there is room for N bytes, as compared above"),
        }
    }

    #[cold]
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn grown_room<const N: usize>(&mut self) -> &mut [u8; N] {
        self.grow(N);
        match self.bytes[self.len..].first_chunk_mut() {
            Some(room) => room,
            None => unreachable!("there is room for N bytes: it was just made"),
        }
    }

    #[inline]
    pub(crate) fn advance(&mut self, count: usize) {
        debug_assert!(self.len + count <= self.bytes.len());
        self.len += count;
    }

    #[cold]
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn grow(&mut self, count: usize) {
        let wanted = (self.len + count).next_power_of_two().max(4096);
        self.bytes.resize(wanted, 0);
    }
}

/// The length of a block in bytes. `push_small` copies fewer bytes than this as a block.
pub(crate) const BLOCK_LEN: usize = 16;

/// Copies fewer than [`BLOCK_LEN`] bytes into a block of zeros, without a call to `memcpy`.
#[inline]
pub(crate) fn small_block(bytes: &[u8]) -> [u8; BLOCK_LEN] {
    let count = bytes.len();
    // Combines the first and the last bytes. Where the two parts overlap, their bits are equal.
    let bits = if let (Some(first), Some(last)) =
        (bytes.first_chunk::<8>(), bytes.last_chunk::<8>())
    {
        let last = u128::from(u64::from_le_bytes(*last)) << (8 * (count - 8));
        u128::from(u64::from_le_bytes(*first)) | last
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let last = u64::from(u32::from_le_bytes(*last)) << (8 * (count - 4));
        u128::from(u64::from(u32::from_le_bytes(*first)) | last)
    } else if let [first, .., last] = bytes {
        let middle = u32::from(bytes[count / 2]) << (8 * (count / 2));
        u128::from(u32::from(*first) | middle | u32::from(*last) << (8 * (count - 1)))
    } else {
        bytes.first().map_or(0, |byte| u128::from(*byte))
    };
    bits.to_le_bytes()
}

impl<const N: usize> PaddedBytes<N> {
    pub(crate) fn new(text: Vec<u8>) -> Self {
        let mut block = [0; N];
        let used = text.len().min(N);
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

impl<const N: usize> Default for PaddedBytes<N> {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}
