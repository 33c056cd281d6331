//! The AVX2 versions of the functions of `byte_blocks`, with 32 bytes in each operation.

use std::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8,
    _mm256_extract_epi64, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8,
    _mm256_or_si256, _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_slli_epi16, _mm256_srli_epi16, _mm256_sub_epi8,
};

use super::{
    BLOCK_LEN, ClassCounts, ClassTables, DigitMasks, HALF_WINDOW_LEN, MAX_CLOSE_DISTANCE,
    PREFIX_LEN, PrefixTables, WINDOW_LEN,
};

/// The length of a vector, in bytes.
const LEN: usize = 32;

/// Returns whether the other functions may be called. The standard library caches the answer of the
/// processor.
#[inline]
pub(super) fn is_available() -> bool {
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("popcnt")
}

/// Defines a function that calls `$inner`, which is compiled for AVX2.
macro_rules! with_avx2 {
    ($outer:ident, $inner:ident, ($($name:ident: $type:ty),*) -> $result:ty) => {
        #[inline]
        #[expect(unsafe_code, reason = "the compiler does not know that the processor has AVX2")]
        pub(super) fn $outer($($name: $type),*) -> $result {
            debug_assert!(is_available());
            // SAFETY: the function only requires AVX2 and POPCNT. Its callers, which are all in the
            // module `byte_blocks`, call it only after `is_available` has returned true.
            unsafe { $inner($($name),*) }
        }
    };
}

with_avx2!(
    prefixes,
    find_prefixes,
    (tables: &PrefixTables, text: &[u8], masks: &mut [u64]) -> usize
);
with_avx2!(
    prefixes_in_half,
    find_prefixes_in_half,
    (tables: &PrefixTables, window: &[u8; HALF_WINDOW_LEN]) -> u64
);
with_avx2!(
    digit_masks,
    find_digit_masks,
    (text: &[u8], step: usize, masks: &mut [DigitMasks]) -> usize
);
with_avx2!(classes, find_classes, (tables: &ClassTables, text: &[u8]) -> ClassCounts);
with_avx2!(close_pair, find_close_pair, (text: &[u8], byte: u8) -> bool);
with_avx2!(
    short_text,
    read_short_text,
    (classes: &ClassTables, prefixes: &PrefixTables, text: &[u8], counts: &mut ClassCounts) -> u64
);

#[target_feature(enable = "avx2,popcnt")]
fn find_prefixes(tables: &PrefixTables, text: &[u8], masks: &mut [u64]) -> usize {
    let blocks = (text.len() + BLOCK_LEN).saturating_sub(WINDOW_LEN) / BLOCK_LEN;
    let count = blocks.min(masks.len());
    for (index, mask) in masks[..count].iter_mut().rev().enumerate() {
        let Some(window) = text[index * BLOCK_LEN..].first_chunk::<WINDOW_LEN>() else {
            unreachable!("a window is at the start of each block");
        };
        let low = prefixes_from(tables, window, 0);
        let high = prefixes_from(tables, window, LEN);
        *mask = u64::from(low) | u64::from(high) << LEN;
    }
    count
}

#[target_feature(enable = "avx2,popcnt")]
fn find_prefixes_in_half(tables: &PrefixTables, window: &[u8; HALF_WINDOW_LEN]) -> u64 {
    u64::from(prefixes_from(tables, window, 0))
}

/// Returns a bit for each of the 32 positions from `start` on where a prefix may begin.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn prefixes_from<const WINDOW: usize>(
    tables: &PrefixTables,
    window: &[u8; WINDOW],
    start: usize,
) -> u32 {
    // For each set of tables: the buckets with a prefix that may begin at each position.
    let mut buckets = [_mm256_set1_epi8(-1); 2];
    for at in 0..PREFIX_LEN {
        let bytes = load_from(window, start + at);
        let upper = upper_nibbles(bytes);
        for (set, buckets) in buckets.iter_mut().enumerate() {
            let low = _mm256_shuffle_epi8(table(&tables.low[at][set]), bytes);
            let high = _mm256_shuffle_epi8(table(&tables.high[at][set]), upper);
            *buckets = _mm256_and_si256(*buckets, _mm256_and_si256(low, high));
        }
    }
    let either = _mm256_or_si256(buckets[0], buckets[1]);
    let none = _mm256_cmpeq_epi8(either, _mm256_setzero_si256());
    !_mm256_movemask_epi8(none).cast_unsigned()
}

#[target_feature(enable = "avx2,popcnt")]
fn find_digit_masks(text: &[u8], step: usize, masks: &mut [DigitMasks]) -> usize {
    let mut count = 0;
    for block_masks in masks {
        let block = text.get(count * step..).and_then(<[u8]>::first_chunk);
        let Some(block) = block else {
            break;
        };
        *block_masks = digit_masks_of(block);
        count += 1;
    }
    count
}

#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn digit_masks_of(block: &[u8; BLOCK_LEN]) -> DigitMasks {
    let find = |from: usize| {
        let bytes = load_from(block, from);
        let in_range = |first: u8, last: u8| {
            let value = _mm256_sub_epi8(bytes, splat(first));
            let found = _mm256_cmpeq_epi8(_mm256_min_epu8(value, splat(last - first)), value);
            u64::from(_mm256_movemask_epi8(found).cast_unsigned())
        };
        // `-` and `.` are adjacent in ASCII.
        (
            in_range(b'0', b'9'),
            in_range(b'A', b'Z'),
            in_range(b'-', b'.'),
        )
    };
    let (low, high) = (find(0), find(LEN));
    DigitMasks {
        digits: low.0 | high.0 << LEN,
        capitals: low.1 | high.1 << LEN,
        marks: low.2 | high.2 << LEN,
    }
}

#[target_feature(enable = "avx2,popcnt")]
fn find_classes(tables: &ClassTables, text: &[u8]) -> ClassCounts {
    let mut counter = ClassCounter::new(tables);
    let (blocks, rest) = text.as_chunks::<LEN>();
    for block in blocks {
        counter.add(load(block));
    }
    if !rest.is_empty() {
        counter.add(load(&padded::<LEN>(rest)));
    }
    counter.counts()
}

/// Counts the classes of a text of at most one block. Returns a bit for each position where a
/// prefix may begin.
#[target_feature(enable = "avx2,popcnt")]
fn read_short_text(
    classes: &ClassTables,
    prefixes: &PrefixTables,
    text: &[u8],
    counts: &mut ClassCounts,
) -> u64 {
    let mut counter = ClassCounter::new(classes);
    let starts = if text.len() <= LEN {
        let window = padded::<HALF_WINDOW_LEN>(text);
        counter.add(load_from(&window, 0));
        u64::from(prefixes_from(prefixes, &window, 0))
    } else {
        let window = padded::<WINDOW_LEN>(text);
        counter.add(load_from(&window, 0));
        counter.add(load_from(&window, LEN));
        let low = prefixes_from(prefixes, &window, 0);
        u64::from(low) | u64::from(prefixes_from(prefixes, &window, LEN)) << LEN
    };
    *counts = counter.counts();
    starts
}

/// Returns whether two occurrences of `byte` are at most [`MAX_CLOSE_DISTANCE`] positions apart.
#[target_feature(enable = "avx2,popcnt")]
fn find_close_pair(text: &[u8], byte: u8) -> bool {
    // Blocks overlap, so that both bytes of a pair are in one of them.
    const STEP: usize = BLOCK_LEN - MAX_CLOSE_DISTANCE;
    let byte = splat(byte);
    let mut unread = text;
    loop {
        let has_pair = match unread.first_chunk() {
            Some(block) => has_close_pair(block, byte),
            None => return has_close_pair(&padded(unread), byte),
        };
        if has_pair {
            return true;
        }
        unread = &unread[STEP..];
    }
}

/// Like [`find_close_pair`], in one block. Each byte of the vector `byte` is the byte to find.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn has_close_pair(block: &[u8; BLOCK_LEN], byte: __m256i) -> bool {
    let find = |start: usize| {
        let equal = _mm256_cmpeq_epi8(load_from(block, start), byte);
        u64::from(_mm256_movemask_epi8(equal).cast_unsigned())
    };
    let mask = find(0) | find(LEN) << LEN;
    (1..=MAX_CLOSE_DISTANCE).any(|distance| mask & mask >> distance != 0)
}

/// Counts the classes of the characters that it is passed.
struct ClassCounter {
    /// The tables of the lower and of the upper nibble.
    low: __m256i,
    high: __m256i,
    /// The classes so far, at each position of the vector.
    all: __m256i,
    last_class_count: u64,
    second_last_class_count: u64,
}

impl ClassCounter {
    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    fn new(tables: &ClassTables) -> Self {
        Self {
            low: table(&tables.low),
            high: table(&tables.high),
            all: _mm256_setzero_si256(),
            last_class_count: 0,
            second_last_class_count: 0,
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    fn add(&mut self, bytes: __m256i) {
        let low = _mm256_shuffle_epi8(self.low, bytes);
        let classes = _mm256_and_si256(low, _mm256_shuffle_epi8(self.high, upper_nibbles(bytes)));
        self.all = _mm256_or_si256(self.all, classes);
        // A mask has bit 7 of each byte: the last class. The shift moves bit 6 to bit 7.
        let last = _mm256_movemask_epi8(classes).cast_unsigned();
        let second_last = _mm256_movemask_epi8(_mm256_slli_epi16::<1>(classes)).cast_unsigned();
        self.last_class_count += u64::from(last.count_ones());
        self.second_last_class_count += u64::from(second_last.count_ones());
    }

    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    fn counts(&self) -> ClassCounts {
        let all = self.all;
        // Combines the 32 bytes of the vector with `|`.
        let folded = _mm256_extract_epi64::<0>(all)
            | _mm256_extract_epi64::<1>(all)
            | _mm256_extract_epi64::<2>(all)
            | _mm256_extract_epi64::<3>(all);
        let folded = folded | folded >> 32;
        let folded = folded | folded >> 16;
        ClassCounts {
            classes: (folded | folded >> 8) as u8,
            last_class_count: self.last_class_count,
            second_last_class_count: self.second_last_class_count,
        }
    }
}

/// Returns the text, padded with zeros to `SIZE` bytes. The text must not be longer.
///
/// Copies the two ends of the text, which may overlap, because the compiler inlines copies of a
/// fixed length. A copy of a variable length would be a call of `memcpy`.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn padded<const SIZE: usize>(text: &[u8]) -> [u8; SIZE] {
    let mut buffer = [0; SIZE];
    let is_copied = copy_ends::<32>(text, &mut buffer)
        || copy_ends::<16>(text, &mut buffer)
        || copy_ends::<8>(text, &mut buffer);
    if !is_copied {
        for (byte, target) in text.iter().zip(&mut buffer) {
            *target = *byte;
        }
    }
    buffer
}

/// Copies the text to `buffer` if it has from `PART` to `2 * PART` bytes. Returns whether it was
/// copied.
#[inline]
fn copy_ends<const PART: usize>(text: &[u8], buffer: &mut [u8]) -> bool {
    if let (Some(first), Some(last)) = (text.first_chunk::<PART>(), text.last_chunk::<PART>())
        && text.len() <= 2 * PART
        && text.len() <= buffer.len()
    {
        buffer[..PART].copy_from_slice(first);
        buffer[text.len() - PART..text.len()].copy_from_slice(last);
        return true;
    }
    false
}

/// Returns the upper nibble of each byte.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn upper_nibbles(bytes: __m256i) -> __m256i {
    _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), splat(0xF))
}

#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn splat(byte: u8) -> __m256i {
    _mm256_set1_epi8(byte.cast_signed())
}

/// Returns the [`LEN`] bytes from `start` on. Panics if there are fewer.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn load_from(bytes: &[u8], start: usize) -> __m256i {
    match bytes[start..].first_chunk() {
        Some(bytes) => load(bytes),
        None => unreachable!("a block has {LEN} bytes from {start} on"),
    }
}

#[inline]
#[target_feature(enable = "avx2,popcnt")]
#[expect(unsafe_code, reason = "safe code compiles to several loads")]
fn load(bytes: &[u8; LEN]) -> __m256i {
    // SAFETY: the reference is valid for reads of 32 bytes, and the load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Returns a table for a shuffle: a vector with the entries in both of its halves. A shuffle looks
/// up the 16 bytes of a half in the 16 entries of the same half.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
#[expect(unsafe_code, reason = "safe code compiles to several loads")]
fn table(entries: &[u8; 16]) -> __m256i {
    // SAFETY: the reference is valid for reads of 16 bytes, and the load needs no alignment.
    let entries = unsafe { _mm_loadu_si128(entries.as_ptr().cast()) };
    _mm256_broadcastsi128_si256(entries)
}
