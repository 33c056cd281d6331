//! Lower-case hexadecimal digits of ids.

/// The `COUNT` lower-case hexadecimal digits of an id, formatted once for all sinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HexDigits<const COUNT: usize>([u8; COUNT]);

impl<const COUNT: usize> HexDigits<COUNT> {
    /// Returns the digits of `bytes`. The number of bytes must be half the number of digits.
    #[inline]
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut digits = [b'0'; COUNT];
        for (digits, bytes) in digits.chunks_mut(16).zip(bytes.chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            let all_digits = sixteen_digits(u64::from_be_bytes(padded));
            digits.copy_from_slice(&all_digits[..digits.len()]);
        }
        Self(digits)
    }

    /// Returns the digits as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default() // they are ASCII
    }
}

/// Returns the digits of eight bytes. Moves each half of a byte to a byte of its own, and converts
/// all halves at once.
#[inline]
fn sixteen_digits(bytes: u64) -> [u8; 16] {
    const ONES: u128 = u128::MAX / 0xff;
    let mut halves = u128::from(bytes);
    for (shift, mask) in [
        (32, u128::MAX / ((1 << 32) + 1)),
        (16, u128::MAX / ((1 << 16) + 1)),
        (8, u128::MAX / ((1 << 8) + 1)),
        (4, u128::MAX / ((1 << 4) + 1)),
    ] {
        halves = (halves | halves << shift) & mask;
    }
    // Each byte is 1 if its digit is a letter, because the half is more than nine. Else it is 0.
    let letters = (halves + ONES * 6) >> 4 & ONES;
    let to_letter = u128::from(b'a' - b'0' - 10);
    (halves + ONES * u128::from(b'0') + letters * to_letter).to_be_bytes()
}

/// Parses the digits of `N` bytes. Returns `None` if there are more or fewer digits, or if one is
/// not a lower-case hexadecimal digit.
#[must_use]
pub fn parse_hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = digits.try_into().ok()?;
        *byte = parse_digit(high)? << 4 | parse_digit(low)?;
    }
    Some(bytes)
}

fn parse_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
