//! Finds the positions at which a card number, a social security number, an IPv4 address or an IBAN
//! may begin.
//!
//! Most texts have digits, but few have enough of them close together. So bit masks of a whole
//! block are compared first, and a detector reads the text only at positions that pass.

use crate::{
    Detector, addresses,
    byte_blocks::{BLOCK_LEN, DigitMasks},
    byte_class::ByteClass,
    byte_search::{ends_escape, find},
    char_stats::{CharStats, DASH},
    numbers, scan_cost,
};

/// Runs a detector at each position at which it may match, in ascending order. Calls `report` with
/// the range of the match, or with `None` if the detector does not match.
pub(crate) fn each_number(
    text: &[u8],
    stats: CharStats,
    report: &mut impl FnMut(Detector, Option<(usize, usize)>),
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
            search.search_block(base, *block, digit_before, report);
            digit_before = block.digits >> (BLOCK_STEP - 1) & 1;
            base += BLOCK_STEP;
        }
    }
}

/// The maximum number of blocks that are read at once.
const MAX_BLOCKS: usize = 8;

/// The minimum length of a card number, with or without separators, in bytes.
const MIN_CARD_LEN: usize = 13;

/// The number of positions in a block at which a number is searched. The next block begins after
/// them. So blocks overlap by the bytes that are needed to recognize a card number that begins at
/// the last of these positions.
const BLOCK_STEP: usize = BLOCK_LEN - MIN_CARD_LEN - 1;
/// The bits of the first [`BLOCK_STEP`] positions of a block.
const STEP_MASK: u64 = (1 << BLOCK_STEP) - 1;

/// Returns whether a card number may begin with a run of this many digits: its first group, or the
/// whole number. If the run ends after its block, `digits` counts only the digits in the block,
/// which are at least [`MIN_CARD_LEN`].
fn may_begin_card(digits: u32) -> bool {
    matches!(digits, 4 | 6 | 8) || digits >= MIN_CARD_LEN as u32
}

struct NumberSearch<'t> {
    text: &'t [u8],
    stats: CharStats,
    /// The position of the backslash that the last search found, or `usize::MAX` if it found none.
    /// 0 before the first search.
    backslash_at: usize,
}

impl NumberSearch<'_> {
    /// Runs the detectors of numbers that begin in the first [`BLOCK_STEP`] bytes of the block at
    /// `base`. `digit_before` is 1 if the byte before the block is a digit, and 0 otherwise.
    fn search_block(
        &mut self,
        base: usize,
        block: DigitMasks,
        digit_before: u64,
        report: &mut impl FnMut(Detector, Option<(usize, usize)>),
    ) {
        let DigitMasks {
            digits,
            capitals,
            marks,
        } = block;
        // `joined` has the digits, and each other byte that is between two digits. A bit of `seven`
        // is set if seven bytes of `joined` begin there. The shortest IPv4 address has seven bytes.
        let joined = digits | digits << 1 & digits >> 1;
        let two = joined & joined >> 1;
        let four = two & two >> 2;
        let seven = four & four >> 3;
        // An IBAN begins with two capitals for the country, and two check digits.
        let ibans = capitals & capitals >> 1 & digits >> 2 & digits >> 3 & STEP_MASK;
        if seven | ibans == 0 {
            return;
        }
        let ibans = if self.stats.digits >= 8 { ibans } else { 0 };
        // Two runs of seven bytes that overlap are the 13 bytes of the shortest card number.
        let cards = seven & seven >> (MIN_CARD_LEN - 7);
        // In an address or a social security number, a mark follows one to three digits.
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
                self.detect_iban(at, report);
            } else {
                let digits_in_run = (!(digits >> bit)).trailing_zeros();
                let may_be_card = cards >> bit & 1 != 0 && may_begin_card(digits_in_run);
                self.detect_number(at, may_be_card, report);
            }
        }
    }

    /// Reports an IBAN at `at`.
    fn detect_iban(&self, at: usize, report: &mut impl FnMut(Detector, Option<(usize, usize)>)) {
        let is_country = self.text[at].is_ascii_uppercase();
        if is_country
            && let Some(end) = numbers::iban(self.text, at)
            && self.may_begin_word(at)
        {
            report(Detector::Iban, Some((at, end)));
        }
    }

    /// Reports a card number, a social security number or an IPv4 address at `at`.
    fn detect_number(
        &self,
        at: usize,
        may_be_card: bool,
        report: &mut impl FnMut(Detector, Option<(usize, usize)>),
    ) {
        let Self { text, stats, .. } = self;
        let has = |offset: usize, byte: u8| text.get(at + offset) == Some(&byte);
        let may_be_ssn = has(3, b'-') && stats.digits >= 9 && stats.seen & DASH != 0;
        let may_be_ipv4 = (has(1, b'.') || has(2, b'.') || has(3, b'.')) && stats.may_have_ipv4();
        if !(may_be_card || may_be_ssn || may_be_ipv4) || !self.may_begin_word(at) {
            return;
        }
        let range_to = |end: Option<usize>| end.map(|end| (at, end));
        if may_be_card && stats.digits >= MIN_CARD_LEN as u64 {
            report(Detector::Card, range_to(numbers::card(text, at)));
        }
        if may_be_ssn {
            report(Detector::Ssn, range_to(numbers::ssn(text, at)));
        }
        if may_be_ipv4 {
            report(Detector::Ipv4, range_to(addresses::ipv4(text, at)));
        }
    }

    /// Returns whether a word may begin at `at`: after a byte that is not part of a word, or after
    /// an escape.
    fn may_begin_word(&self, at: usize) -> bool {
        let is_in_word = at > 0 && ByteClass::WORD.has(self.text[at - 1]);
        !is_in_word || ends_escape(self.text, at)
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
