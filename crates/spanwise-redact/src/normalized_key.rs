//! The normalized form of keys, for comparison with rules.

use crate::{
    builtin_keys::{EXEMPT_ATTRIBUTES, HEADER_PREFIXES},
    byte_search::char_end,
    confusables,
};

/// A key in lower case with letters and digits only, and with the starts of its words. A longer
/// key keeps its end.
///
/// Letters that look like ASCII letters become these ASCII letters. JSON escapes are decoded.
#[derive(Debug)]
pub(crate) struct NormalizedKey {
    bytes: [u8; MAX_KEY_LEN],
    length: usize,
    /// The start of the part after the last dot.
    last: usize,
    /// One bit for each start of a word.
    starts: u128,
    /// Whether it is an attribute of the semantic conventions whose words have another meaning.
    pub(crate) is_attribute: bool,
}

/// The maximum length of a key with its quotes, in bytes.
pub(crate) const MAX_KEY_LEN: usize = 128;

impl NormalizedKey {
    pub(crate) fn new(key: &str) -> Self {
        if key.bytes().any(|byte| !byte.is_ascii() || byte == b'\\') {
            return Self::folded(key);
        }
        Self::from_ascii(key)
    }

    // Not inlined, so that ASCII keys have no buffer on the stack.
    #[cold]
    #[inline(never)]
    fn folded(key: &str) -> Self {
        // The lower case of a letter may be up to 50 % longer.
        let (mut looks, mut len) = ([0; 12 * MAX_KEY_LEN], 0);
        // An escaped letter takes up to eight bytes.
        let from = char_end(key, key.len().saturating_sub(8 * MAX_KEY_LEN));
        confusables::fold(&key[from..], |c| {
            if let Some(room) = looks
                .get_mut(len..)
                .filter(|room| room.len() >= c.len_utf8())
            {
                len += c.encode_utf8(room).len();
            }
        });
        Self::from_ascii(str::from_utf8(&looks[..len]).unwrap_or_default())
    }

    fn from_ascii(key: &str) -> Self {
        let mut normal = Self {
            bytes: [0; MAX_KEY_LEN],
            length: 0,
            last: 0,
            starts: 0,
            is_attribute: false,
        };
        let mut key = key;
        if key.contains('.') {
            let header = HEADER_PREFIXES
                .iter()
                .find_map(|headers| key.strip_prefix(headers));
            normal.is_attribute = EXEMPT_ATTRIBUTES.contains(&key);
            key = header.unwrap_or(key);
        }
        let from = char_end(key, key.len().saturating_sub(MAX_KEY_LEN));
        let bytes = &key.as_bytes()[from..];
        let mut before = GAP;
        let mut is_acronym = false;
        for (at, byte) in bytes.iter().enumerate() {
            let class = class(*byte);
            let length = normal.length;
            if class == GAP {
                if *byte == b'.' && !normal.is_attribute {
                    normal.last = length;
                }
                before = GAP;
                continue;
            }
            if is_acronym && class == LOWER && before == UPPER {
                // `HTTPToken` is two words, but `IDs` is one.
                let goes_on = bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
                if *byte != b's' || goes_on {
                    normal.starts |= 1 << (length - 1);
                }
            }
            if STARTS >> (before * 8 + class) & 1 != 0 {
                normal.starts |= 1 << length;
            }
            is_acronym = class == UPPER && before == UPPER;
            normal.bytes[length] = byte.to_ascii_lowercase();
            normal.length += 1;
            before = class;
        }
        normal
    }

    /// Returns all letters and digits.
    pub(crate) fn full(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Returns the part after the last dot.
    pub(crate) fn last_part(&self) -> &[u8] {
        &self.bytes[self.last..self.length]
    }

    /// Returns the words, and whether each is in the part after the last dot.
    pub(crate) fn words(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let mut starts = self.starts;
        std::iter::from_fn(move || {
            if starts == 0 {
                return None;
            }
            let start = starts.trailing_zeros() as usize;
            starts &= starts - 1;
            let end = (starts.trailing_zeros() as usize).min(self.length);
            Some((&self.bytes[start..end], start >= self.last))
        })
    }
}

/// The class of a character.
const GAP: u32 = 0;
const LOWER: u32 = 1;
const UPPER: u32 = 2;
const DIGIT: u32 = 3;
/// A non-ASCII letter that does not look like an ASCII letter.
const FOREIGN: u32 = 4;

/// One bit for each pair of classes between which a word begins: `db_password`, `dbPassword`,
/// `oauth2Token`, `sha256sum`.
const STARTS: u64 = {
    #[rustfmt::skip]
    let pairs = [
        (GAP, LOWER), (GAP, UPPER), (GAP, DIGIT), (LOWER, UPPER), (DIGIT, UPPER), (DIGIT, LOWER),
        (GAP, FOREIGN), (LOWER, FOREIGN), (UPPER, FOREIGN), (DIGIT, FOREIGN), (FOREIGN, LOWER),
        (FOREIGN, UPPER), (FOREIGN, DIGIT),
    ];
    let mut starts = 0;
    let mut at = 0;
    while at < pairs.len() {
        starts |= 1 << (pairs[at].0 * 8 + pairs[at].1);
        at += 1;
    }
    starts
};

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
