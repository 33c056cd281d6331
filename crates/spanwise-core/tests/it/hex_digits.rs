//! Hexadecimal digits.

use spanwise_core::internal::{HexDigits, parse_hex};

#[test]
fn digits_are_lower_case_and_parse_back() {
    let bytes: [u8; 16] = std::array::from_fn(|at| (at as u8).wrapping_mul(0x1d));
    let digits = HexDigits::<32>::from_bytes(&bytes);
    assert_eq!(digits.as_str(), "001d3a577491aecbe805223f5c7996b3");
    assert_eq!(parse_hex(digits.as_str().as_bytes()), Some(bytes));
    assert_eq!(HexDigits::<2>::from_bytes(&[0xaf]).as_str(), "af");
}

#[test]
fn other_texts_are_no_digits() {
    for text in ["", "0", "000", "0A", "0g", "é"] {
        assert_eq!(parse_hex::<1>(text.as_bytes()), None, "{text}");
    }
}
