//! Searches a text for the positions where a number or an account may begin.
//!
//! Most texts have digits, but few have thirteen of them in a row. So runs of digits are found in
//! blocks, and only a long run is read.

use crate::{
    Detector, addresses,
    byte_blocks::{BLOCK_LEN, Digits},
    byte_class::ByteClass,
    byte_search::{ends_escape, find},
    char_stats::{CharStats, DASH},
    numbers, scan_cost,
};

/// Calls `found` with the result of each detector at each position where it may match, in the
/// order of the text.
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
    let mut blocks = [Digits::default(); MAX_BLOCKS];
    scan_cost::add(text.len());
    while let Some(rest) = text.get(base..).filter(|rest| !rest.is_empty()) {
        let count = Digits::find_in(rest, OWN_LEN, &mut blocks);
        for block in &blocks[..count] {
            search.block(base, *block, digit_before, found);
            digit_before = block.digits >> (OWN_LEN - 1) & 1;
            base += OWN_LEN;
        }
    }
}

/// The number of blocks that are read at once.
const MAX_BLOCKS: usize = 8;

/// A card in digits and single separators is at least this long.
const MIN_CARD_LEN: usize = 13;

/// The number of positions that a block decides about. The rest of the block shows what follows
/// them: a card, and the digit after its last separator.
const OWN_LEN: usize = BLOCK_LEN - MIN_CARD_LEN - 1;
/// A bit for each position that a block decides about.
const OWN: u64 = (1 << OWN_LEN) - 1;

/// Returns whether a card may begin with a run of this many digits: its first group, or the whole
/// card. The count is at least 14 for a run that ends beyond its block.
fn may_begin_card(digits: u32) -> bool {
    matches!(digits, 4 | 6 | 8) || digits >= MIN_CARD_LEN as u32
}

struct NumberSearch<'t> {
    text: &'t [u8],
    stats: CharStats,
    /// The position of the first backslash after the position from which one was last searched.
    backslash_at: usize,
}

impl NumberSearch<'_> {
    /// Reads the numbers that begin in the block. `digit_before` is 1 if the byte before the block
    /// is a digit.
    fn block(
        &mut self,
        base: usize,
        block: Digits,
        digit_before: u64,
        found: &mut impl FnMut(Detector, Option<(usize, usize)>),
    ) {
        let Digits {
            digits,
            capitals,
            marks,
        } = block;
        // Digits with at most one other byte between them. A bit of `seven` means that such digits
        // go on for seven bytes, as in the shortest address.
        let joined = digits | digits << 1 & digits >> 1;
        let two = joined & joined >> 1;
        let four = two & two >> 2;
        let seven = four & four >> 3;
        // A country and two check digits.
        let accounts = capitals & capitals >> 1 & digits >> 2 & digits >> 3 & OWN;
        if seven | accounts == 0 {
            return;
        }
        let accounts = if self.stats.digits >= 8 { accounts } else { 0 };
        let cards = seven & seven >> (MIN_CARD_LEN - 7);
        // The first mark of an address or a social security number.
        let marked = seven & (marks >> 1 | marks >> 2 | marks >> 3);
        let mut numbers = digits & (cards | marked) & OWN;
        // A number also begins inside a run of digits, after an escape such as `\u0031`.
        if numbers != 0 && !self.may_have_escape(base) {
            numbers &= !(digits << 1 | digit_before);
        }
        let mut starts = numbers | accounts;
        while starts != 0 {
            let bit = starts.trailing_zeros();
            starts &= starts - 1;
            let at = base + bit as usize;
            if digits >> bit & 1 == 0 {
                self.account(at, found);
            } else {
                let group = (!(digits >> bit)).trailing_zeros();
                let may_be_card = cards >> bit & 1 != 0 && may_begin_card(group);
                self.number(at, may_be_card, found);
            }
        }
    }

    fn account(&self, at: usize, found: &mut impl FnMut(Detector, Option<(usize, usize)>)) {
        let is_country = self.text[at].is_ascii_uppercase();
        if is_country
            && let Some(end) = numbers::iban(self.text, at)
            && self.begins(at)
        {
            found(Detector::Iban, Some((at, end)));
        }
    }

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
        self.backslash_at < base + OWN_LEN
    }
}
