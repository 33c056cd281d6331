//! Classifies many bytes of a text at once.
//!
//! The functions use AVX2 if the processor has it, which is detected at run time. Without AVX2,
//! texts are read byte by byte, and the matches are the same.

#[cfg(target_arch = "x86_64")]
mod avx2;

/// The number of bytes, or of positions, in one block.
pub(crate) const BLOCK_LEN: usize = 64;

/// The number of bytes by which the start of a literal is recognized.
pub(crate) const PREFIX_LEN: usize = 3;

/// The length of a window: a block, and the bytes after the block that belong to a prefix at its
/// last position.
pub(crate) const WINDOW_LEN: usize = BLOCK_LEN + PREFIX_LEN - 1;

/// The length of the window of half a block.
#[cfg(target_arch = "x86_64")]
const HALF_WINDOW_LEN: usize = BLOCK_LEN / 2 + PREFIX_LEN - 1;

/// Tables that recognize all added prefixes, and some other bytes. Prefixes must be ASCII.
///
/// Each prefix is in one of 16 buckets. A table has an entry for each value of a half byte, with a
/// bit for each of eight buckets. The bit is set if a prefix in the bucket has this half byte at
/// the position of the table. So three bytes may be a prefix if the entries of their six halves
/// share a bit. Two sets of tables have 16 buckets.
#[derive(Debug, Clone, Default)]
pub(crate) struct PrefixTables {
    /// For each byte of a prefix: the tables of its lower half, one for each set of buckets.
    low: [[[u8; 16]; 2]; PREFIX_LEN],
    /// For each byte of a prefix: the tables of its upper half.
    high: [[[u8; 16]; 2]; PREFIX_LEN],
}

impl PrefixTables {
    pub(crate) const BUCKETS: usize = 16;

    pub(crate) fn add(&mut self, prefix: [u8; PREFIX_LEN], bucket: usize) {
        let (set, bit) = (bucket / 8 % 2, 1 << (bucket % 8));
        for (at, byte) in prefix.into_iter().enumerate() {
            self.low[at][set][usize::from(byte & 0xF)] |= bit;
            self.high[at][set][usize::from(byte >> 4)] |= bit;
        }
    }

    /// Finds prefixes in the first blocks of a text. Stores, for each block, a bit for each
    /// position where a prefix may begin. The last block is the first in `found`.
    ///
    /// Returns the number of blocks. It is 0 without AVX2, and if the text is shorter than a
    /// window.
    #[inline]
    pub(crate) fn find_in(&self, text: &[u8], found: &mut [u64]) -> usize {
        #[cfg(target_arch = "x86_64")]
        if avx2::is_available() {
            return avx2::prefixes(self, text, found);
        }
        let _ = (text, found);
        0
    }

    /// Like [`find_in`](Self::find_in), for a text that is shorter than a window. `None` without
    /// AVX2.
    #[inline]
    pub(crate) fn find_in_short(&self, text: &[u8]) -> Option<u64> {
        #[cfg(target_arch = "x86_64")]
        if avx2::is_available() {
            if text.len() <= HALF_WINDOW_LEN {
                let window = &mut [0; HALF_WINDOW_LEN];
                return Some(avx2::half_of_prefixes(self, block_at(text, 0, window)));
            }
            let mut found = [0];
            avx2::prefixes(self, block_at(text, 0, &mut [0; WINDOW_LEN]), &mut found);
            return Some(found[0]);
        }
        let _ = text;
        None
    }
}

/// Masks of the digits, capitals and marks of a block, with one bit for each position.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DigitMasks {
    pub(crate) digits: u64,
    pub(crate) capitals: u64,
    /// Dashes and dots.
    pub(crate) marks: u64,
}

impl DigitMasks {
    /// Reads the blocks that begin every `step` bytes. Zeros follow the text. Returns the number of
    /// blocks.
    pub(crate) fn find_in(text: &[u8], step: usize, found: &mut [Self]) -> usize {
        let mut count = 0;
        #[cfg(target_arch = "x86_64")]
        if avx2::is_available() {
            count = avx2::digits(text, step, found);
        }
        while let Some(found) = found.get_mut(count)
            && count * step < text.len()
        {
            let mut room = [0; BLOCK_LEN];
            let block = block_at(text, count * step, &mut room);
            *found = Self::find_in_block(block);
            count += 1;
        }
        count
    }

    #[inline]
    fn find_in_block(block: &[u8; BLOCK_LEN]) -> Self {
        #[cfg(target_arch = "x86_64")]
        if avx2::is_available() {
            let mut found = [Self::default()];
            avx2::digits(block, BLOCK_LEN, &mut found);
            return found[0];
        }
        Self::find_by_byte(block)
    }

    fn find_by_byte(block: &[u8; BLOCK_LEN]) -> Self {
        let mut found = Self::default();
        for byte in block.iter().rev() {
            found.digits = found.digits << 1 | u64::from(byte.is_ascii_digit());
            found.capitals = found.capitals << 1 | u64::from(byte.is_ascii_uppercase());
            found.marks = found.marks << 1 | u64::from(matches!(byte, b'-' | b'.'));
        }
        found
    }
}

/// Classes of characters, by the halves of a byte, as in [`PrefixTables`]. A byte has the classes
/// that its two entries share.
#[derive(Debug)]
pub(crate) struct ClassTables {
    pub(crate) low: [u8; 16],
    pub(crate) high: [u8; 16],
}

impl ClassTables {
    /// Creates the tables of up to eight classes, each a set of ASCII characters with the same
    /// upper half.
    pub(crate) const fn new<const CLASSES: usize>(classes: [&[u8]; CLASSES]) -> Self {
        let mut tables = Self {
            low: [0; 16],
            high: [0; 16],
        };
        let mut class = 0;
        while class < CLASSES {
            let mut at = 0;
            while at < classes[class].len() {
                let byte = classes[class][at];
                tables.low[(byte & 0xF) as usize] |= 1 << class;
                tables.high[(byte >> 4) as usize] |= 1 << class;
                at += 1;
            }
            class += 1;
        }
        tables
    }

    /// Returns a bit for each class of the byte.
    #[inline]
    pub(crate) fn classes_of(&self, byte: u8) -> u8 {
        self.low[usize::from(byte & 0xF)] & self.high[usize::from(byte >> 4)]
    }
}

/// The classes of the characters of a text, and the number of characters of the last two classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ClassCounts {
    /// A bit for each class in the text.
    pub(crate) classes: u8,
    /// The number of characters of the last class, which has bit 7.
    pub(crate) last_class: u64,
    /// The number of characters of the second last class, which has bit 6.
    pub(crate) second_last_class: u64,
}

/// Returns the classes of the characters of a text. `None` without AVX2.
#[inline]
pub(crate) fn classes(tables: &ClassTables, text: &[u8]) -> Option<ClassCounts> {
    #[cfg(target_arch = "x86_64")]
    if avx2::is_available() {
        return Some(avx2::classes(tables, text));
    }
    let _ = (tables, text);
    None
}

/// Returns the classes of the characters of a text of at most one block, and a bit for each
/// position where a prefix may begin. `None` without AVX2.
#[inline]
pub(crate) fn classes_and_prefixes(
    classes: &ClassTables,
    prefixes: &PrefixTables,
    text: &[u8],
) -> Option<(ClassCounts, u64)> {
    #[cfg(target_arch = "x86_64")]
    if avx2::is_available() {
        let mut seen = ClassCounts::default();
        let found = avx2::short(classes, prefixes, text, &mut seen);
        return Some((seen, found));
    }
    let _ = (classes, prefixes, text);
    None
}

/// The maximum distance of two bytes that [`may_have_close`] finds.
pub(crate) const MAX_CLOSE_DISTANCE: usize = 5;

/// Returns whether two occurrences of `byte` are at most [`MAX_CLOSE_DISTANCE`] positions apart.
/// Without AVX2, always returns true.
#[inline]
pub(crate) fn may_have_close(text: &[u8], byte: u8) -> bool {
    #[cfg(target_arch = "x86_64")]
    if avx2::is_available() {
        return avx2::close(text, byte);
    }
    let _ = (text, byte);
    true
}

/// Returns the `LEN` bytes from `at` on. If the text ends earlier, copies its rest to `room`, with
/// zeros after it.
#[inline]
pub(crate) fn block_at<'t, const LEN: usize>(
    text: &'t [u8],
    at: usize,
    room: &'t mut [u8; LEN],
) -> &'t [u8; LEN] {
    let rest = text.get(at..).unwrap_or_default();
    if let Some(block) = rest.first_chunk() {
        return block;
    }
    *room = [0; LEN];
    room[..rest.len()].copy_from_slice(rest);
    room
}

#[cfg(test)]
mod tests;
