//! Counts of characters in a text, and hints at what the text may contain.
//!
//! With them, the scanner skips the searches that cannot find anything in the text.

use crate::{
    byte_blocks::{self, ClassCounts, ClassTables},
    prefix_filter::PrefixFilter,
};

/// Counts of characters, and hints at what the text may contain.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CharStats {
    /// The classes of characters that are in the text, such as [`AT`] and [`COLON`].
    pub(crate) seen: u8,
    pub(crate) digits: u64,
    pub(crate) dots: u64,
    /// Whether the search for tokens has found a command or an option.
    pub(crate) command_line: bool,
    /// Whether the search for tokens has found a part of a key, such as `ssword`.
    pub(crate) prose_key: bool,
    /// Whether the search for tokens has found an `INSERT INTO` of SQL.
    pub(crate) sql_insert: bool,
}

impl CharStats {
    #[inline]
    pub(crate) fn from_text(text: &[u8]) -> Self {
        let counts = byte_blocks::classes(&CLASSES, text);
        Self::from_class_counts(counts.unwrap_or_else(|| classes_by_byte(text)))
    }

    /// Like [`from_text`](Self::from_text), for a text of at most one block. Also returns a bit for
    /// each position of the block where one of the literals may begin.
    #[inline(always)] // See `Survey::new`.
    pub(crate) fn from_block(block: &[u8], literals: &PrefixFilter) -> (Self, u64) {
        match literals.classes_and_starts(&CLASSES, block) {
            Some((counts, starts)) => (Self::from_class_counts(counts), starts),
            None => (Self::from_text(block), literals.starts_in_block(block, 0)),
        }
    }

    #[inline(always)] // See `Survey::new`.
    fn from_class_counts(counts: ClassCounts) -> Self {
        Self {
            seen: counts.classes,
            digits: counts.last_class_count,
            dots: counts.second_last_class_count,
            ..Self::default()
        }
    }

    /// Returns whether all detectors except those of tokens with known prefixes can be skipped.
    #[inline]
    pub(crate) fn has_tokens_only(self) -> bool {
        self.seen & (AT | COLON) == 0 && self.dots < 2 && !self.may_have_numbers()
    }

    /// Returns whether keys with values may be in the text.
    #[inline]
    pub(crate) fn may_have_keys(self) -> bool {
        self.seen & (COLON | EQUALS | PERCENT | LESS) != 0
            || self.command_line
            || self.prose_key
            || self.sql_insert
    }

    pub(crate) fn may_have_pairs(self) -> bool {
        self.seen & (COLON | EQUALS) != 0
    }

    pub(crate) fn may_have_encoded_pairs(self) -> bool {
        self.seen & PERCENT != 0
    }

    pub(crate) fn may_have_xml_elements(self) -> bool {
        self.seen & LESS != 0
    }

    /// Returns whether the text may have pairs in prose, such as `the password is …`. Their values
    /// contain a digit.
    pub(crate) fn may_have_prose_pairs(self) -> bool {
        self.prose_key && self.digits > 0
    }

    #[inline]
    pub(crate) fn may_have_numbers(self) -> bool {
        self.digits >= 8 || self.may_have_ipv4()
    }

    #[inline]
    pub(crate) fn may_have_ipv4(self) -> bool {
        self.digits >= 4 && self.dots >= 3
    }
}

fn classes_by_byte(text: &[u8]) -> ClassCounts {
    let mut counts = ClassCounts::default();
    for byte in text {
        let classes = CLASSES.classes_of(*byte);
        counts.classes |= classes;
        counts.last_class_count += u64::from(classes >> 7);
        counts.second_last_class_count += u64::from(classes >> 6 & 1);
    }
    counts
}

// The bits of the classes that are not counted.
pub(crate) const AT: u8 = 1;
pub(crate) const COLON: u8 = 1 << 1;
pub(crate) const EQUALS: u8 = 1 << 2;
pub(crate) const DASH: u8 = 1 << 3;
const PERCENT: u8 = 1 << 4;
const LESS: u8 = 1 << 5;

/// The characters of each class, from the lowest bit to the highest.
static CLASSES: ClassTables =
    ClassTables::new([b"@", b":", b"=", b"-", b"%", b"<", b".", b"0123456789"]);

#[cfg(test)]
mod tests;
