//! Finds the positions at which a card, a social security number, an IPv4 address or an IBAN may
//! begin.
//!
//! Most texts have digits, but few have enough of them close together. So the digits of a whole
//! block are found at once, and only the positions that remain are read byte by byte.

use crate::{
    Detector, addresses,
    byte_blocks::{BLOCK_LEN, DigitMasks},
    byte_class::ByteClass,
    byte_search::{ends_escape, find},
    char_stats::{CharStats, DASH},
    numbers, scan_cost,
};

/// Calls `found` with the result of a detector, for each position at which the detector may match.
/// The positions are in ascending order. The result is `None` if the detector does not match.
pub(crate) fn each_number(
    text: &[u8],
    stats: CharStats,
    found: &mut impl FnMut(Detector, Option<(usize, usize)>),
) {
    let mut search = NumberSearch {
        text,
        stats,
        backslash_at: 0,
    };
    let (mut base, mut digit_before) = (0, 0);
    let mut blocks = [DigitMasks::default(); MAX_BLOCKS];
    scan_cost::add(text.len());
    while let Some(rest) = text.get(base..).filter(|rest| !rest.is_empty()) {
        let count = DigitMasks::find_in(rest, BLOCK_STEP, &mut blocks);
        for block in &blocks[..count] {
            search.block(base, *block, digit_before, found);
            digit_before = block.digits >> (BLOCK_STEP - 1) & 1;
            base += BLOCK_STEP;
        }
    }
}

/// The maximum number of blocks that are read at once.
const MAX_BLOCKS: usize = 8;

/// The minimum length of a card number, with or without separators, in bytes.
const MIN_CARD_LEN: usize = 13;

/// The number of positions in a block at which a number is searched. Blocks overlap: the bytes
/// after these positions are also the start of the next block. They are enough to recognize a card
/// that begins at the last position.
const BLOCK_STEP: usize = BLOCK_LEN - MIN_CARD_LEN - 1;
/// The bits of these positions.
const STEP_MASK: u64 = (1 << BLOCK_STEP) - 1;

/// Returns whether a card may begin with a run of this many digits: the first group, or the whole
/// card. For a run that ends beyond its block, `digits` counts only the part in the block, which is
/// at least [`MIN_CARD_LEN`].
fn may_begin_card(digits: u32) -> bool {
    matches!(digits, 4 | 6 | 8) || digits >= MIN_CARD_LEN as u32
}

struct NumberSearch<'t> {
    text: &'t [u8],
    stats: CharStats,
    /// The first backslash that the last search found, or `usize::MAX` if there was none. 0 before
    /// the first search.
    backslash_at: usize,
}

impl NumberSearch<'_> {
    /// Reads the numbers that begin in the block. `digit_before` is 1 if the byte before the block
    /// is a digit.
    fn block(
        &mut self,
        base: usize,
        block: DigitMasks,
        digit_before: u64,
        found: &mut impl FnMut(Detector, Option<(usize, usize)>),
    ) {
        let DigitMasks {
            digits,
            capitals,
            marks,
        } = block;
        // `joined` has the digits, and each other byte that is between two digits. A bit of `seven`
        // is set if seven such bytes begin there. Seven is the length of the shortest address.
        let joined = digits | digits << 1 & digits >> 1;
        let two = joined & joined >> 1;
        let four = two & two >> 2;
        let seven = four & four >> 3;
        // Two capitals for the country, and two check digits.
        let ibans = capitals & capitals >> 1 & digits >> 2 & digits >> 3 & STEP_MASK;
        if seven | ibans == 0 {
            return;
        }
        let ibans = if self.stats.digits >= 8 { ibans } else { 0 };
        let cards = seven & seven >> (MIN_CARD_LEN - 7);
        // An address or a social security number has a mark after one to three digits.
        let marked = seven & (marks >> 1 | marks >> 2 | marks >> 3);
        let mut numbers = digits & (cards | marked) & STEP_MASK;
        // A number begins at the start of a run of digits. It may also begin inside a run, after
        // an escape such as `\u0031`.
        if numbers != 0 && !self.may_have_escape(base) {
            numbers &= !(digits << 1 | digit_before);
        }
        let mut starts = numbers | ibans;
        while starts != 0 {
            let bit = starts.trailing_zeros();
            starts &= starts - 1;
            let at = base + bit as usize;
            if digits >> bit & 1 == 0 {
                self.iban(at, found);
            } else {
                let group = (!(digits >> bit)).trailing_zeros();
                let may_be_card = cards >> bit & 1 != 0 && may_begin_card(group);
                self.number(at, may_be_card, found);
            }
        }
    }

    /// Checks for an IBAN at `at`.
    fn iban(&self, at: usize, found: &mut impl FnMut(Detector, Option<(usize, usize)>)) {
        let is_country = self.text[at].is_ascii_uppercase();
        if is_country
            && let Some(end) = numbers::iban(self.text, at)
            && self.begins(at)
        {
            found(Detector::Iban, Some((at, end)));
        }
    }

    /// Checks for a card, a social security number and an IPv4 address at `at`.
    fn number(
        &self,
        at: usize,
        may_be_card: bool,
        found: &mut impl FnMut(Detector, Option<(usize, usize)>),
    ) {
        let Self { text, stats, .. } = self;
        let has = |after: usize, byte: u8| text.get(at + after) == Some(&byte);
        let may_be_ssn = has(3, b'-') && stats.digits >= 9 && stats.seen & DASH != 0;
        let may_be_ipv4 = (has(1, b'.') || has(2, b'.') || has(3, b'.')) && stats.may_have_ipv4();
        if !(may_be_card || may_be_ssn || may_be_ipv4) || !self.begins(at) {
            return;
        }
        let to = |end: Option<usize>| end.map(|end| (at, end));
        if may_be_card && stats.digits >= MIN_CARD_LEN as u64 {
            found(Detector::Card, to(numbers::card(text, at)));
        }
        if may_be_ssn {
            found(Detector::Ssn, to(numbers::ssn(text, at)));
        }
        if may_be_ipv4 {
            found(Detector::Ipv4, to(addresses::ipv4(text, at)));
        }
    }

    /// Returns whether a word begins at `at`, or an escape ends there.
    fn begins(&self, at: usize) -> bool {
        let goes_on = at > 0 && ByteClass::WORD.has(self.text[at - 1]);
        !goes_on || ends_escape(self.text, at)
    }

    /// Returns whether an escape may end in the block at `base`.
    fn may_have_escape(&mut self, base: usize) -> bool {
        const MAX_ESCAPE_LEN: usize = "\\u0031".len();
        let from = base.saturating_sub(MAX_ESCAPE_LEN);
        if self.backslash_at < from || self.backslash_at == 0 {
            self.backslash_at = find(self.text, b'\\', from).unwrap_or(usize::MAX);
        }
        self.backslash_at < base + BLOCK_STEP
    }
}
