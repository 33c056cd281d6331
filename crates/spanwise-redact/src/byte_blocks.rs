//! Classifies many bytes of a text at once, with vector instructions.
//!
//! Most texts contain no secret, so the scanner first excludes positions where none can begin. The
//! functions use AVX2 if the processor has it, which is detected at run time. Without AVX2, texts
//! are read byte by byte, and the matches are the same.

#[cfg(target_arch = "x86_64")]
mod avx2;

/// The number of bytes, or of positions, in one block.
pub(crate) const BLOCK_LEN: usize = 64;

/// The number of bytes at the start of a literal that are searched: its prefix.
pub(crate) const PREFIX_LEN: usize = 3;

/// The length of a window: a block, and the bytes after the block that belong to a prefix at its
/// last position.
pub(crate) const WINDOW_LEN: usize = BLOCK_LEN + PREFIX_LEN - 1;

/// Like [`WINDOW_LEN`], for half a block.
#[cfg(target_arch = "x86_64")]
const HALF_WINDOW_LEN: usize = BLOCK_LEN / 2 + PREFIX_LEN - 1;

/// Tables that find all added prefixes, with false positives. Prefixes must be ASCII.
///
/// The algorithm is similar to Teddy. Each prefix is in one of 16 buckets. There is a table for
/// each of the six nibbles (half bytes) of a prefix. Its entry for a value is a bit mask of the
/// buckets that have a prefix with this value. Three bytes may be a prefix if the entries of their
/// six nibbles have a bucket in common. An entry has eight bits, so there are two sets of tables,
/// for eight buckets each.
#[derive(Debug, Clone, Default)]
pub(crate) struct PrefixTables {
    /// For each byte of a prefix, the tables of its lower nibble: one in each set.
    low: [[[u8; 16]; 2]; PREFIX_LEN],
    /// For each byte of a prefix, the tables of its upper nibble: one in each set.
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

    /// Finds prefixes in the first blocks of a text, at most one block for each element of `masks`.
    /// Stores a mask for each block, with a bit for each position where a prefix may begin. The
    /// mask of the last block comes first.
    ///
    /// Returns the number of blocks. It is 0 without AVX2, and if the text is shorter than a
    /// window.
    #[inline]
    pub(crate) fn find_in(&self, text: &[u8], masks: &mut [u64]) -> usize {
        #[cfg(target_arch = "x86_64")]
        if avx2::is_available() {
            return avx2::prefixes(self, text, masks);
        }
        let _ = (text, masks);
        0
    }

    /// Like [`find_in`](Self::find_in), for a text that is shorter than a window. Returns the mask
    /// of its only block, or `None` without AVX2.
    #[inline]
    pub(crate) fn find_in_short(&self, text: &[u8]) -> Option<u64> {
        #[cfg(target_arch = "x86_64")]
        if avx2::is_available() {
            if text.len() <= HALF_WINDOW_LEN {
                let window = &mut [0; HALF_WINDOW_LEN];
                return Some(avx2::prefixes_in_half(self, block_at(text, 0, window)));
            }
            let mut masks = [0];
            avx2::prefixes(self, block_at(text, 0, &mut [0; WINDOW_LEN]), &mut masks);
            return Some(masks[0]);
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
    /// Stores the masks of the blocks that begin every `step` bytes, at most one block for each
    /// element of `masks`. The text is padded with zeros. Returns the number of blocks.
    pub(crate) fn find_in(text: &[u8], step: usize, masks: &mut [Self]) -> usize {
        let mut count = 0;
        #[cfg(target_arch = "x86_64")]
        if avx2::is_available() {
            count = avx2::digit_masks(text, step, masks);
        }
        while let Some(block_masks) = masks.get_mut(count)
            && count * step < text.len()
        {
            let mut buffer = [0; BLOCK_LEN];
            let block = block_at(text, count * step, &mut buffer);
            *block_masks = Self::find_in_block(block);
            count += 1;
        }
        count
    }

    #[inline]
    fn find_in_block(block: &[u8; BLOCK_LEN]) -> Self {
        #[cfg(target_arch = "x86_64")]
        if avx2::is_available() {
            let mut masks = [Self::default()];
            avx2::digit_masks(block, BLOCK_LEN, &mut masks);
            return masks[0];
        }
        Self::find_by_byte(block)
    }

    fn find_by_byte(block: &[u8; BLOCK_LEN]) -> Self {
        let mut masks = Self::default();
        for byte in block.iter().rev() {
            masks.digits = masks.digits << 1 | u64::from(byte.is_ascii_digit());
            masks.capitals = masks.capitals << 1 | u64::from(byte.is_ascii_uppercase());
            masks.marks = masks.marks << 1 | u64::from(matches!(byte, b'-' | b'.'));
        }
        masks
    }
}

/// Tables that classify bytes: one for each nibble, as in [`PrefixTables`]. An entry is a set of
/// classes, with one bit per class. A byte has the classes that both of its entries contain.
#[derive(Debug)]
pub(crate) struct ClassTables {
    pub(crate) low: [u8; 16],
    pub(crate) high: [u8; 16],
}

impl ClassTables {
    /// Creates the tables of up to eight classes. The ASCII characters of a class must have the
    /// same upper nibble.
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

/// The classes of the characters of a text, and the numbers of characters of the last two classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ClassCounts {
    /// A bit for each class in the text.
    pub(crate) classes: u8,
    /// The number of characters of the last class, which has bit 7.
    pub(crate) last_class_count: u64,
    /// The number of characters of the second last class, which has bit 6.
    pub(crate) second_last_class_count: u64,
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
        let mut counts = ClassCounts::default();
        let starts = avx2::short_text(classes, prefixes, text, &mut counts);
        return Some((counts, starts));
    }
    let _ = (classes, prefixes, text);
    None
}

/// The maximum distance of the two bytes that [`may_have_close_pair`] finds, in bytes.
pub(crate) const MAX_CLOSE_DISTANCE: usize = 5;

/// Returns whether two occurrences of `byte` are at most [`MAX_CLOSE_DISTANCE`] positions apart.
/// Without AVX2, always returns true.
#[inline]
pub(crate) fn may_have_close_pair(text: &[u8], byte: u8) -> bool {
    #[cfg(target_arch = "x86_64")]
    if avx2::is_available() {
        return avx2::close_pair(text, byte);
    }
    let _ = (text, byte);
    true
}

/// Returns the `LEN` bytes from `at` on. If the text ends earlier, returns `buffer`, to which the
/// end of the text is copied, padded with zeros.
#[inline]
pub(crate) fn block_at<'t, const LEN: usize>(
    text: &'t [u8],
    at: usize,
    buffer: &'t mut [u8; LEN],
) -> &'t [u8; LEN] {
    let rest = text.get(at..).unwrap_or_default();
    if let Some(block) = rest.first_chunk() {
        return block;
    }
    *buffer = [0; LEN];
    buffer[..rest.len()].copy_from_slice(rest);
    buffer
}

#[cfg(test)]
mod tests;
