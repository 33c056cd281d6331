//! Sets of ASCII characters.

use crate::byte_search::{run_end, run_start};

/// A set of the ASCII characters that secrets consist of. No other byte is in any set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteClass(u16);

impl ByteClass {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const HEX: Self = Self(LOWER_A_TO_F | UPPER_A_TO_F | DIGIT);
    pub(crate) const LOWER_HEX: Self = Self(LOWER_A_TO_F | DIGIT);
    pub(crate) const ALPHA: Self = Self(LOWER_A_TO_F | LOWER_G_TO_Z | UPPER_A_TO_F | UPPER_G_TO_Z);
    pub(crate) const ALNUM: Self = Self(Self::ALPHA.0 | DIGIT);
    pub(crate) const UPPER_ALNUM: Self = Self(UPPER_A_TO_F | UPPER_G_TO_Z | DIGIT);
    /// `\w`
    pub(crate) const WORD: Self = Self(Self::ALNUM.0 | UNDERSCORE);
    pub(crate) const ALNUM_DASH: Self = Self(Self::ALNUM.0 | DASH);
    /// The alphabet of base64url.
    pub(crate) const BASE64URL: Self = Self(Self::WORD.0 | DASH);
    pub(crate) const BASE64URL_DOT: Self = Self(Self::BASE64URL.0 | DOT);
    pub(crate) const BASE64: Self = Self(Self::ALNUM.0 | PLUS | SLASH);
    pub(crate) const BASE64_PADDED: Self = Self(Self::BASE64.0 | EQUALS);
    /// The alphabet of base64, and the `_` of base64url.
    pub(crate) const BASE64_ANY: Self = Self(Self::BASE64.0 | UNDERSCORE);
    pub(crate) const BASE64_ANY_PADDED: Self = Self(Self::BASE64_ANY.0 | EQUALS);
    /// The alphabets of base64 and base64url, which are also the characters of a plain path.
    pub(crate) const PATH: Self = Self(Self::BASE64.0 | UNDERSCORE | DASH);
    pub(crate) const BASE64URL_DOT_PADDED: Self = Self(Self::BASE64URL_DOT.0 | EQUALS);
    /// `token68` of RFC 7235, without the padding.
    pub(crate) const TOKEN68: Self = Self(Self::PATH.0 | DOT | TILDE);
    /// The characters of a key before `=`.
    pub(crate) const KEY: Self = Self(Self::BASE64URL_DOT.0);
    /// The characters in front of the `@` of an e-mail address.
    pub(crate) const LOCAL_PART: Self = Self(Self::BASE64URL_DOT.0 | PLUS | PERCENT);
    pub(crate) const DIGIT: Self = Self(DIGIT);
    pub(crate) const LOWER_ALNUM: Self = Self(LOWER_A_TO_F | LOWER_G_TO_Z | DIGIT);
    pub(crate) const UPPER_ALNUM_DOT: Self = Self(Self::UPPER_ALNUM.0 | DOT);
    pub(crate) const HEX_DASH: Self = Self(Self::HEX.0 | DASH);
    /// The characters of a path segment of a URL.
    pub(crate) const PATH_PART: Self = Self(Self::BASE64URL_DOT.0 | TILDE | PERCENT);
    /// The characters of the secret path of a webhook URL.
    pub(crate) const PATH_REST: Self = Self(Self::PATH.0 | AT);
    pub(crate) const ALNUM_PERCENT: Self = Self(Self::ALNUM.0 | PERCENT);
    /// The characters of password hashes.
    pub(crate) const CRYPT: Self = Self(Self::BASE64_PADDED.0 | DOT | DOLLAR);
    pub(crate) const IPV6: Self = Self(Self::HEX.0 | COLON | DOT);

    #[inline]
    pub(crate) const fn has(self, byte: u8) -> bool {
        BITS[byte as usize] & self.0 != 0
    }

    pub(crate) fn has_all(self, text: &[u8]) -> bool {
        text.iter().all(|byte| self.has(*byte))
    }

    /// Returns the end of the run of these characters that starts at `start`.
    #[inline]
    pub(crate) fn run_end(self, text: &[u8], start: usize) -> usize {
        run_end(text, start, |byte| self.has(byte))
    }

    /// Returns the start of the run of these characters that ends at `end`. Reads at most `max`
    /// bytes.
    #[inline]
    pub(crate) fn run_start(self, text: &[u8], end: usize, max: usize) -> usize {
        run_start(text, end, max, |byte| self.has(byte))
    }
}

// One bit for each set of characters that a class consists of. The sets are disjoint.
const LOWER_A_TO_F: u16 = 1;
const LOWER_G_TO_Z: u16 = 1 << 1;
const UPPER_A_TO_F: u16 = 1 << 2;
const UPPER_G_TO_Z: u16 = 1 << 3;
const DIGIT: u16 = 1 << 4;
const UNDERSCORE: u16 = 1 << 5;
const DASH: u16 = 1 << 6;
const DOT: u16 = 1 << 7;
const PLUS: u16 = 1 << 8;
const SLASH: u16 = 1 << 9;
const EQUALS: u16 = 1 << 10;
const TILDE: u16 = 1 << 11;
const PERCENT: u16 = 1 << 12;
const COLON: u16 = 1 << 13;
const DOLLAR: u16 = 1 << 14;
const AT: u16 = 1 << 15;

/// The bit of each byte.
static BITS: [u16; 256] = {
    let mut bits = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        bits[byte] = match byte as u8 {
            b'a'..=b'f' => LOWER_A_TO_F,
            b'g'..=b'z' => LOWER_G_TO_Z,
            b'A'..=b'F' => UPPER_A_TO_F,
            b'G'..=b'Z' => UPPER_G_TO_Z,
            b'0'..=b'9' => DIGIT,
            b'_' => UNDERSCORE,
            b'-' => DASH,
            b'.' => DOT,
            b'+' => PLUS,
            b'/' => SLASH,
            b'=' => EQUALS,
            b'~' => TILDE,
            b'%' => PERCENT,
            b':' => COLON,
            b'$' => DOLLAR,
            b'@' => AT,
            _ => 0,
        };
        byte += 1;
    }
    bits
};
