//! Searches a text for many literals, such as `ghp_`, in one pass.

use std::ops::Range;

use crate::{
    byte_blocks::{
        self, BLOCK_LEN, ClassCounts, ClassTables, PREFIX_LEN, PrefixTables, WINDOW_LEN,
    },
    byte_class::ByteClass,
    scan_cost,
};

/// Finds the positions where one of many literals may begin, by the first four bytes of each
/// literal. If a literal has only three bytes, any byte that may follow it is the fourth.
///
/// The filter has false positives, such as literals in the wrong case. Callers compare the whole
/// literal.
#[derive(Debug, Clone)]
pub(crate) struct PrefixFilter {
    /// Finds the first three bytes of literals, with false positives. `None` if a literal is not
    /// ASCII.
    tables: Option<PrefixTables>,
    /// One bit for each hash of the first four bytes of a literal.
    bits: Box<[u64; BIT_WORDS]>,
    /// The first three bytes of each literal with its index, sorted. The bytes are a little-endian
    /// number (see [`prefix_number`]), so they are sorted by the third byte first.
    prefixes: Vec<(u32, u16)>,
    /// For each third byte, the index of the first entry of `prefixes` with this third byte or a
    /// greater one.
    by_third_byte: Box<[u16; 257]>,
}

/// A literal that a filter searches for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Literal<'l> {
    pub(crate) text: &'l str,
    /// The class that the byte after the literal must have. `None` if any byte may follow.
    pub(crate) next_class: Option<ByteClass>,
    /// Whether the filter must also find the literal in other cases.
    pub(crate) any_case: bool,
    /// Selects the bucket in [`PrefixTables`]. May be any number, because the tables use it modulo
    /// [`PrefixTables::BUCKETS`].
    pub(crate) bucket: usize,
}

/// The number of 64-bit words for one bit per [`hash`], which has 15 bits.
const BIT_WORDS: usize = 512;

impl PrefixFilter {
    /// Creates a filter from literals with their indices. Skips literals of fewer than three bytes.
    /// A literal of exactly three bytes with a [`next_class`](Literal::next_class) is found only
    /// before a byte of that class.
    pub(crate) fn new<'l>(literals: impl IntoIterator<Item = (usize, Literal<'l>)>) -> Self {
        let mut bits = Box::new([0; BIT_WORDS]);
        let mut prefixes = Vec::new();
        let mut tables = PrefixTables::default();
        let mut is_ascii = true;
        for (index, literal) in literals {
            let [a, b, c, rest @ ..] = literal.text.as_bytes() else {
                continue;
            };
            is_ascii &= literal.text.is_ascii();
            prefixes.push((prefix_number(*a, *b, *c), index as u16));
            let bucket = literal.bucket;
            tables.add([*a, *b, *c], bucket);
            if literal.any_case {
                tables.add([*a, *b, *c].map(|byte| byte.to_ascii_lowercase()), bucket);
                tables.add([*a, *b, *c].map(|byte| byte.to_ascii_uppercase()), bucket);
            }
            let mut add_fourth = |d: u8| {
                let hash = hash(u32::from_le_bytes([*a, *b, *c, d]));
                bits[hash >> 6] |= 1 << (hash & 63);
            };
            match rest.first() {
                Some(d) => add_fourth(*d),
                None => (0..=u8::MAX)
                    .filter(|d| literal.next_class.is_none_or(|class| class.has(*d)))
                    .for_each(add_fourth),
            }
        }
        prefixes.sort_unstable();
        let mut by_third_byte = Box::new([0; 257]);
        for (third, start) in (0_u32..).zip(by_third_byte.iter_mut()) {
            *start = prefixes.partition_point(|(prefix, _)| prefix >> 16 < third) as u16;
        }
        Self {
            tables: is_ascii.then_some(tables),
            bits,
            prefixes,
            by_third_byte,
        }
    }

    /// Returns the candidates: the positions among `positions` at which a literal may begin.
    #[inline]
    pub(crate) fn candidates<'f>(
        &'f self,
        text: &'f [u8],
        positions: Range<usize>,
    ) -> Candidates<'f> {
        debug_assert!(positions.is_empty() || positions.end + PREFIX_LEN <= text.len() + 1);
        Candidates {
            filter: self,
            text,
            end: positions.end,
            // One block before the first, because `next_block` moves to the next block first.
            base: positions.start.wrapping_sub(BLOCK_LEN),
            starts: 0,
            ahead: [0; MAX_AHEAD],
            blocks_left: 0,
        }
    }

    /// Like [`candidates`](Self::candidates), for the positions before `end` in a text of at most
    /// one block. `starts` has a bit for each position where a literal may begin. It is a result of
    /// [`classes_and_starts`](Self::classes_and_starts) or
    /// [`starts_in_block`](Self::starts_in_block).
    #[inline]
    pub(crate) fn candidates_in_block<'f>(
        &'f self,
        text: &'f [u8],
        end: usize,
        starts: u64,
    ) -> Candidates<'f> {
        Candidates {
            filter: self,
            text,
            end,
            base: 0,
            starts: starts & first_positions(end),
            ahead: [0; MAX_AHEAD],
            blocks_left: 0,
        }
    }

    /// Returns whether [`candidates_in_block`](Self::candidates_in_block) would return a position.
    #[inline]
    pub(crate) fn may_begin_in(&self, text: &[u8], starts: u64, end: usize) -> bool {
        let mut starts = starts & first_positions(end);
        while starts != 0 {
            let at = starts.trailing_zeros() as usize;
            starts &= starts - 1;
            if self.may_begin(four_bytes_at(text, at)) {
                return true;
            }
        }
        false
    }

    /// Returns the classes of the characters of a block, and a bit for each position where a
    /// literal may begin. `None` without AVX2, or if a literal is not ASCII.
    #[inline]
    pub(crate) fn classes_and_starts(
        &self,
        classes: &ClassTables,
        block: &[u8],
    ) -> Option<(ClassCounts, u64)> {
        byte_blocks::classes_and_prefixes(classes, self.tables.as_ref()?, block)
    }

    /// Calls `check` with the index and the position of each literal that may begin at one of
    /// `positions`, until `check` returns a value.
    #[inline]
    pub(crate) fn find_map<T>(
        &self,
        text: &[u8],
        positions: Range<usize>,
        check: impl Fn(usize, usize) -> Option<T>,
    ) -> Option<T> {
        let mut from = positions.start;
        let mut candidates = self.candidates(text, positions);
        while let Some(at) = candidates.next_from(from) {
            let mut literals = self.literals_at_start(&text[at..]);
            if let Some(found) = literals.find_map(|literal| check(literal, at)) {
                return Some(found);
            }
            from = at + 1;
        }
        None
    }

    /// Returns the indices of the literals that `text` may begin with.
    pub(crate) fn literals_at_start(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        let prefix = match text {
            [a, b, c, ..] => prefix_number(*a, *b, *c),
            _ => u32::MAX,
        };
        let third = (prefix >> 16 & 0xFF) as usize;
        let (from, to) = (self.by_third_byte[third], self.by_third_byte[third + 1]);
        let prefixes = &self.prefixes[usize::from(from)..usize::from(to)];
        let from = prefixes.partition_point(|(other, _)| *other < prefix);
        prefixes[from..]
            .iter()
            .take_while(move |(other, _)| *other == prefix)
            .map(|(_, index)| usize::from(*index))
    }

    #[inline]
    fn may_begin(&self, four_bytes: u32) -> bool {
        let hash = hash(four_bytes);
        self.bits[hash >> 6] >> (hash & 63) & 1 != 0
    }

    /// Returns a bit for each of the 64 positions from `base` on: whether a literal may begin
    /// there. Uses AVX2 only if fewer than [`WINDOW_LEN`] bytes are left, because callers have
    /// tried [`PrefixTables::find_in`] if there are more.
    #[inline]
    pub(crate) fn starts_in_block(&self, text: &[u8], base: usize) -> u64 {
        let rest = &text[base..];
        let tables = self.tables.as_ref().filter(|_| rest.len() < WINDOW_LEN);
        let found = tables.and_then(|tables| tables.find_in_short(rest));
        found.unwrap_or_else(|| self.starts_by_byte(text, base))
    }

    #[inline(never)] // So that the common path stays small.
    pub(crate) fn starts_by_byte(&self, text: &[u8], base: usize) -> u64 {
        let positions = base..text.len().min(base + BLOCK_LEN);
        positions.rev().fold(0, |found, at| {
            found << 1 | u64::from(self.may_begin(four_bytes_at(text, at)))
        })
    }
}

/// The positions where a literal may begin.
#[derive(Debug)]
pub(crate) struct Candidates<'f> {
    filter: &'f PrefixFilter,
    text: &'f [u8],
    end: usize,
    /// The start of the current block.
    base: usize,
    /// A bit for each position of the current block where a literal may begin, without the
    /// positions that were returned.
    starts: u64,
    /// The bits of the blocks that were read at once, the last block first.
    ahead: [u64; MAX_AHEAD],
    /// The number of blocks in `ahead` after the current block. This is also the index of the
    /// current block in `ahead`.
    blocks_left: usize,
}

/// The number of blocks that are read at once.
const MAX_AHEAD: usize = 8;

impl Candidates<'_> {
    /// Returns the next position that is not before `from`.
    #[inline]
    pub(crate) fn next_from(&mut self, from: usize) -> Option<usize> {
        // Usually clears nothing, because `from` is mostly right after the last returned position.
        self.starts &= positions_from(from, self.base);
        loop {
            while self.starts != 0 {
                let at = self.base + self.starts.trailing_zeros() as usize;
                self.starts &= self.starts - 1;
                if self.filter.may_begin(four_bytes_at(self.text, at)) {
                    return Some(at);
                }
            }
            self.next_block(from)?;
        }
    }

    #[inline]
    fn next_block(&mut self, from: usize) -> Option<()> {
        self.base = self.base.wrapping_add(BLOCK_LEN);
        match self.blocks_left.checked_sub(1) {
            Some(blocks_left) => self.blocks_left = blocks_left,
            None if self.base >= self.end => return None,
            None => self.read_blocks(from)?,
        }
        // `blocks_left` is always less than `MAX_AHEAD`. The remainder only removes a bounds check.
        self.starts = self.ahead[self.blocks_left % MAX_AHEAD] & positions_from(from, self.base);
        self.starts &= first_positions(self.end.saturating_sub(self.base));
        Some(())
    }

    /// Reads blocks, beginning at the current position or at `from`, whichever is later.
    // Not inlined, so that its loop can use all registers.
    #[inline(never)]
    fn read_blocks(&mut self, from: usize) -> Option<()> {
        self.base = self.base.max(from);
        let count = self.end.checked_sub(self.base).filter(|count| *count > 0)?;
        scan_cost::add(count.min(MAX_AHEAD * BLOCK_LEN));
        let rest = &self.text[self.base..];
        let tables = self.filter.tables.as_ref();
        let tables = tables.filter(|_| rest.len() >= WINDOW_LEN);
        let blocks = tables.map_or(0, |tables| tables.find_in(rest, &mut self.ahead));
        if blocks == 0 {
            self.ahead[0] = self.filter.starts_in_block(self.text, self.base);
        }
        self.blocks_left = blocks.saturating_sub(1);
        Some(())
    }
}

/// Returns the bits of the positions that are not before `from`, in the block at `base`.
#[inline]
fn positions_from(from: usize, base: usize) -> u64 {
    match from.saturating_sub(base) {
        passed if passed < BLOCK_LEN => u64::MAX << passed,
        _ => 0,
    }
}

/// Returns the bits of the first `count` positions of a block.
#[inline]
fn first_positions(count: usize) -> u64 {
    if count < BLOCK_LEN {
        (1 << count) - 1
    } else {
        u64::MAX
    }
}

/// Returns the four bytes at `at` as a number. If the text has only three bytes there, the fourth
/// is zero. Returns 0 for fewer bytes.
#[inline]
fn four_bytes_at(text: &[u8], at: usize) -> u32 {
    let rest = text.get(at..).unwrap_or_default();
    match (rest.first_chunk(), rest) {
        (Some(four), _) => u32::from_le_bytes(*four),
        (None, [a, b, c]) => u32::from_le_bytes([*a, *b, *c, 0]),
        (None, _) => 0,
    }
}

/// Returns the first three bytes of a literal as a number, ignoring case.
const fn prefix_number(a: u8, b: u8, c: u8) -> u32 {
    u32::from_le_bytes([a, b, c, 0]) | (CASE_BITS & 0x00FF_FFFF)
}

/// The case bits of four letters. [`hash`] and [`prefix_number`] set them in all bytes, letters or
/// not. Equal bytes stay equal, and some unequal bytes become equal.
const CASE_BITS: u32 = 0x2020_2020;

/// Hashes four bytes, ignoring case.
#[inline]
const fn hash(four_bytes: u32) -> usize {
    ((four_bytes | CASE_BITS).wrapping_mul(0x9E37_79B1) >> 17) as usize
}

#[cfg(test)]
mod tests;
