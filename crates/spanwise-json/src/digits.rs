//! Decimal digits of integers. Those of short integers are computed in one 64-bit word.

use crate::line_buffer::LineBuffer;

/// Appends the decimal digits of a number.
#[inline]
pub(crate) fn push_u64(line: &mut LineBuffer, number: u64) {
    match u32::try_from(number) {
        Ok(small) if small < EIGHT_DIGITS_END => push_eight(line, small),
        _ => line.push(itoa::Buffer::new().format(number).as_bytes()),
    }
}

/// Appends the digits of a number, after a minus sign if it is negative.
#[inline]
pub(crate) fn push_i64(line: &mut LineBuffer, number: i64) {
    match u64::try_from(number) {
        Ok(number) => push_u64(line, number),
        Err(_) => line.push(itoa::Buffer::new().format(number).as_bytes()),
    }
}

/// The smallest number with more than eight digits.
const EIGHT_DIGITS_END: u32 = 100_000_000;

/// Appends the digits of a number with at most eight digits, as most numbers of lines have.
/// Computes all digits together, each in a byte of one word. This takes 2× fewer instructions than
/// computing them one by one and copying them.
#[inline]
fn push_eight(line: &mut LineBuffer, number: u32) {
    let number = u64::from(number);
    // Two numbers of four digits. The first four digits are in the lower half, because the word is
    // written in little-endian order.
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    // Four numbers of two digits: a multiplication and a shift divide both halves by 100.
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007F_0000_007F;
    let twos = hundreds | (fours - hundreds * 100) << 16;
    // Eight digits: a multiplication and a shift divide all four numbers by 10.
    let tens = ((twos * 103) >> 10) & 0x000F_000F_000F_000F;
    let digits = tens | (twos - tens * 10) << 8;
    // The number of leading zeros, which are in the low bytes. Bit 56 is set so that the last digit
    // stays, even if it is zero.
    let zeros = (digits | 1 << 56).trailing_zeros() / 8;
    let text = (digits | 0x3030_3030_3030_3030) >> (zeros * 8);
    line.push_block(&text.to_le_bytes(), 8 - zeros as usize);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits_of(number: u64) -> String {
        let mut line = LineBuffer::default();
        push_u64(&mut line, number);
        String::from_utf8(line.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn digits_are_those_of_the_number() {
        let powers = (0..20).map(|power| 10_u64.pow(power));
        let near = powers.flat_map(|power| [power - 1, power, power + 1, power / 8 * 9]);
        let spread = (0..200_000).map(|step| step * 499);
        for number in near.chain(spread).chain([u64::MAX]) {
            assert_eq!(digits_of(number), number.to_string());
        }
    }

    #[test]
    fn negative_number_has_a_minus_sign() {
        for number in [i64::MIN, -100_000_000, -1, 0, 7, i64::MAX] {
            let mut line = LineBuffer::default();
            push_i64(&mut line, number);
            assert_eq!(line.as_bytes(), number.to_string().as_bytes());
        }
    }
}
