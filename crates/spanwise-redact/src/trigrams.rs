//! Sets of trigrams, which are three consecutive letters.
//!
//! A key that contains no trigram of the rules matches no rule, so its words need not be compared
//! with the rules. This excludes most keys.

use crate::builtin_keys;

/// A set of trigrams, with one bit for each code: see [`append_letter`]. Searches skip characters
/// that are not letters.
#[derive(Debug)]
pub(crate) struct Trigrams(Box<[u64; 512]>);

impl Default for Trigrams {
    fn default() -> Self {
        Self(Box::new([0; 512]))
    }
}

impl Trigrams {
    /// Ensures that every key that contains `words` also contains a trigram of the set. If
    /// necessary, adds the trigram of `words` that is rarest in common keys.
    pub(crate) fn add_phrase(&mut self, words: &str, common: &TrigramCounts) {
        let joined = words.replace(' ', "");
        if self.are_in(joined.as_bytes()) {
            return;
        }
        let letters = joined.as_bytes().windows(joined.len().min(3));
        let rarest = letters.min_by_key(|letters| common.count(letters));
        self.add(rarest.unwrap_or_default());
    }

    /// Adds the trigram of the first three letters. For two letters, adds all trigrams that end in
    /// them. For fewer letters, adds nothing.
    pub(crate) fn add(&mut self, letters: &[u8]) {
        let mut add_code = |code: usize| self.0[code >> 6] |= 1 << (code & 63);
        match *letters {
            [first, second] => {
                let two = append_letter(append_letter(0, first), second);
                (0..32).for_each(|before| add_code(before << 10 | two));
            }
            [first, second, third, ..] => {
                let two = append_letter(append_letter(0, first), second);
                add_code(append_letter(two, third));
            }
            _ => {}
        }
    }

    /// Returns whether an unnormalized key contains a trigram of the set, or a character that may
    /// represent a letter.
    #[inline]
    pub(crate) fn may_be_in(&self, key: &[u8]) -> bool {
        let mut code = 0;
        key.iter().any(|byte| {
            if !byte.is_ascii_alphabetic() {
                return !byte.is_ascii() || *byte == b'\\';
            }
            code = append_letter(code, *byte);
            self.0[code >> 6] >> (code & 63) & 1 != 0
        })
    }

    /// Returns whether a normalized text contains a trigram of the set.
    #[inline]
    pub(crate) fn are_in(&self, text: &[u8]) -> bool {
        let mut code = 0;
        text.iter().any(|byte| {
            if !byte.is_ascii_lowercase() {
                return false;
            }
            code = append_letter(code, *byte);
            self.0[code >> 6] >> (code & 63) & 1 != 0
        })
    }
}

/// The number of occurrences of each trigram in the words of common keys and in
/// [`DESCRIPTIVE_WORDS`](builtin_keys::DESCRIPTIVE_WORDS).
pub(crate) struct TrigramCounts(Vec<u16>);

impl TrigramCounts {
    pub(crate) fn new() -> Self {
        let mut counts = vec![0; 1 << 15];
        for word in [builtin_keys::COMMON_WORDS, builtin_keys::DESCRIPTIVE_WORDS]
            .join(" ")
            .split_whitespace()
        {
            for letters in word.as_bytes().windows(3) {
                counts[Self::index_of(letters)] += 1;
            }
        }
        Self(counts)
    }

    fn index_of(letters: &[u8]) -> usize {
        letters
            .iter()
            .fold(0, |before, letter| append_letter(before, *letter))
    }

    fn count(&self, letters: &[u8]) -> u16 {
        self.0[Self::index_of(letters)]
    }
}

/// Returns the code of three letters, a number of 15 bits: the last two letters of the code
/// `before`, and `letter`.
#[inline]
pub(crate) fn append_letter(before: usize, letter: u8) -> usize {
    (before << 5 | usize::from(letter & 31)) & 0x7FFF
}
