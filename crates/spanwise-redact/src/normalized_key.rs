//! The normalized form of keys, for comparison with rules: lower case, without separators.

use crate::{
    builtin_keys::{EXEMPT_ATTRIBUTES, HEADER_PREFIXES},
    byte_search::char_end,
    confusables,
};

/// A key in lower case without separators, and the indices at which its words start: `dbPassword`
/// and `DB-PASSWORD` are both `dbpassword`, with words at 0 and 2.
///
/// It contains ASCII letters and digits, `*`, and non-ASCII letters. Letters that look like an
/// ASCII letter are replaced by that letter, and JSON escapes are decoded. If a key has more than
/// [`MAX_KEY_LEN`] bytes, only its end is kept.
#[derive(Debug)]
pub(crate) struct NormalizedKey {
    bytes: [u8; MAX_KEY_LEN],
    length: usize,
    /// The index at which the part after the last dot starts. 0 for exempt attributes.
    last_part_start: usize,
    /// The bit `i` is set if a word starts at `bytes[i]`.
    word_starts: u128,
    /// Whether the key is one of [`EXEMPT_ATTRIBUTES`], which built-in rules do not apply to.
    pub(crate) is_exempt_attribute: bool,
}

/// The maximum length of a key, in bytes. The scanner also reads at most this many bytes back from
/// the end of a key to find its start.
pub(crate) const MAX_KEY_LEN: usize = 128;

impl NormalizedKey {
    pub(crate) fn new(key: &str) -> Self {
        if key.bytes().any(|byte| !byte.is_ascii() || byte == b'\\') {
            return Self::from_unfolded(key);
        }
        Self::from_folded(key)
    }

    /// Like [`from_folded`](Self::from_folded), but first folds the key: decodes its escapes, and
    /// replaces lookalikes of ASCII letters.
    // Not inlined, so that other keys have no buffer on the stack.
    #[cold]
    #[inline(never)]
    fn from_unfolded(key: &str) -> Self {
        // The maximum number of bytes that are read at the end of the key: eight for each letter.
        // An escape such as `\u0061` has six bytes, and more backslashes in a nested string.
        const MAX_READ_LEN: usize = 8 * MAX_KEY_LEN;
        // A letter in lower case may be half as long again: `Ⱥ` has two bytes, and `ⱥ` has three.
        const MAX_FOLDED_LEN: usize = MAX_READ_LEN / 2 * 3;
        let (mut folded, mut len) = ([0; MAX_FOLDED_LEN], 0);
        let from = char_end(key, key.len().saturating_sub(MAX_READ_LEN));
        confusables::fold(&key[from..], |c| {
            if let Some(room) = folded
                .get_mut(len..)
                .filter(|room| room.len() >= c.len_utf8())
            {
                len += c.encode_utf8(room).len();
            }
        });
        Self::from_folded(str::from_utf8(&folded[..len]).unwrap_or_default())
    }

    /// Normalizes a folded key, which has no escapes and no lookalikes of ASCII letters. It may
    /// have other non-ASCII letters.
    fn from_folded(key: &str) -> Self {
        let mut normal = Self {
            bytes: [0; MAX_KEY_LEN],
            length: 0,
            last_part_start: 0,
            word_starts: 0,
            is_exempt_attribute: false,
        };
        let mut key = key;
        if key.contains('.') {
            let header_name = HEADER_PREFIXES
                .iter()
                .find_map(|prefix| key.strip_prefix(prefix));
            normal.is_exempt_attribute = EXEMPT_ATTRIBUTES.contains(&key);
            key = header_name.unwrap_or(key);
        }
        let from = char_end(key, key.len().saturating_sub(MAX_KEY_LEN));
        let bytes = &key.as_bytes()[from..];
        let mut previous = GAP;
        let mut is_acronym = false;
        for (at, byte) in bytes.iter().enumerate() {
            let class = class(*byte);
            let length = normal.length;
            if class == GAP {
                if *byte == b'.' && !normal.is_exempt_attribute {
                    normal.last_part_start = length;
                }
                previous = GAP;
                continue;
            }
            if is_acronym && class == LOWER && previous == UPPER {
                // `HTTPToken` is two words, but `IDs` is one.
                let word_continues = bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
                if *byte != b's' || word_continues {
                    normal.word_starts |= 1 << (length - 1);
                }
            }
            if begins_word(previous, class) {
                normal.word_starts |= 1 << length;
            }
            is_acronym = class == UPPER && previous == UPPER;
            normal.bytes[length] = byte.to_ascii_lowercase();
            normal.length += 1;
            previous = class;
        }
        normal
    }

    /// Returns the whole normalized key.
    pub(crate) fn full(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Returns the part after the last dot.
    pub(crate) fn last_part(&self) -> &[u8] {
        &self.bytes[self.last_part_start..self.length]
    }

    /// Returns the words, each with whether it is in the part after the last dot.
    pub(crate) fn words(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let mut starts = self.word_starts;
        std::iter::from_fn(move || {
            if starts == 0 {
                return None;
            }
            let start = starts.trailing_zeros() as usize;
            starts &= starts - 1;
            // After the last word, `trailing_zeros` returns 128, which is not less than the length.
            let end = (starts.trailing_zeros() as usize).min(self.length);
            Some((&self.bytes[start..end], start >= self.last_part_start))
        })
    }
}

// The classes of bytes. `WORD_BOUNDARIES` has room for eight.

/// A separator.
const GAP: u32 = 0;
/// A lower-case ASCII letter, or `*`. The star of a pattern is not a separator, so that the parser
/// of patterns finds it in a normalized name.
const LOWER: u32 = 1;
/// An upper-case ASCII letter.
const UPPER: u32 = 2;
/// An ASCII digit.
const DIGIT: u32 = 3;
/// A byte of a non-ASCII letter that does not look like an ASCII letter.
const FOREIGN: u32 = 4;

/// A table of 8 × 8 bits. A bit is set if a word begins between a byte of the class `row` and one
/// of the class `column`: `db_password`, `dbPassword`, `oauth2Token`, `sha256sum`.
const WORD_BOUNDARIES: u64 = {
    #[rustfmt::skip]
    let pairs = [
        (GAP, LOWER), (GAP, UPPER), (GAP, DIGIT), (LOWER, UPPER), (DIGIT, UPPER), (DIGIT, LOWER),
        (GAP, FOREIGN), (LOWER, FOREIGN), (UPPER, FOREIGN), (DIGIT, FOREIGN), (FOREIGN, LOWER),
        (FOREIGN, UPPER), (FOREIGN, DIGIT),
    ];
    let mut table = 0;
    let mut at = 0;
    while at < pairs.len() {
        table |= 1 << (pairs[at].0 * 8 + pairs[at].1);
        at += 1;
    }
    table
};

/// Returns whether a word begins with a byte of `class` after a byte of the class `previous`.
#[inline]
fn begins_word(previous: u32, class: u32) -> bool {
    WORD_BOUNDARIES >> (previous * 8 + class) & 1 != 0
}

#[inline]
fn class(byte: u8) -> u32 {
    match byte {
        b'a'..=b'z' | b'*' => LOWER,
        b'A'..=b'Z' => UPPER,
        b'0'..=b'9' => DIGIT,
        0x80.. => FOREIGN,
        _ => GAP,
    }
}
