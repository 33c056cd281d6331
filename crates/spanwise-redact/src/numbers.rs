//! Card and bank account numbers, verified by their check digits, and social security numbers,
//! verified by their form.

use crate::{
    builtin_keys::TRUSTED_IDS,
    byte_class::ByteClass,
    byte_search::{is_boundary, run_end, run_start},
    scan_cost,
};

/// Returns the end of a card number. The number may be in one piece, or in the groups that cards
/// show, separated by spaces, dashes or dots. The issuer's prefix and the Luhn check digit must be
/// valid.
///
/// `start` is at a digit with no digit before it. The digits before and after a decimal point are
/// not a card number.
pub(crate) fn card(text: &[u8], start: usize) -> Option<usize> {
    // No card number begins with 0, 1, 7 or 9. Many times and counters do, and are excluded early.
    if matches!(text.get(start), Some(b'0' | b'1' | b'7' | b'9')) {
        return None;
    }
    let is_fraction = start > 1 && text[start - 1] == b'.' && text[start - 2].is_ascii_digit();
    if is_fraction {
        return None;
    }
    let mut digits = [0_u8; 19];
    let mut groups = [0_u8; 6];
    let (mut count, mut group, mut dots, mut at) = (0, 0, 0, start);
    let mut card_end = None;
    loop {
        scan_cost::add(1);
        match text.get(at) {
            Some(byte) if byte.is_ascii_digit() => {
                if count == digits.len() {
                    break;
                }
                digits[count] = byte - b'0';
                count += 1;
                groups[group] += 1;
                at += 1;
            }
            next => {
                let is_end =
                    !next.is_some_and(|byte| ByteClass::WORD.has(*byte)) && !has_fraction(text, at);
                // With exactly one dot, the text is a decimal fraction, not a number in groups.
                let is_whole = is_end && dots != 1;
                if is_whole
                    && is_card_number(&digits[..count])
                    && is_card_grouping(&groups[..=group])
                {
                    card_end = Some(at);
                }
                let goes_on = matches!(next, Some(b' ' | b'-' | b'.'))
                    && text.get(at + 1).is_some_and(u8::is_ascii_digit);
                if !goes_on || group + 1 == groups.len() {
                    break;
                }
                dots += u8::from(next == Some(&b'.'));
                group += 1;
                at += 1;
            }
        }
    }
    card_end.filter(|end| !is_in_uuid(text, start, *end) && !is_trusted_id(text, start))
}

/// Returns whether the digits at `start` are an id that is shown: the value of a key that ends in
/// one of [`TRUSTED_IDS`], such as `my_span_id=…`, or a span id after a trace id and a dash, as in
/// a `traceparent`. A span id of 16 decimal digits looks like a card number.
fn is_trusted_id(text: &[u8], start: usize) -> bool {
    const MAX_NAME_LEN: usize = 32;
    const TRACE_ID_LEN: usize = 32;
    if text[..start].ends_with(b"-") {
        let trace_id_start = ByteClass::HEX.run_start(text, start - 1, TRACE_ID_LEN + 1);
        return start - 1 - trace_id_start == TRACE_ID_LEN;
    }
    let key_end = run_start(text, start, 16, |byte| b"=: \"'\\".contains(&byte));
    let name = &text[ByteClass::KEY.run_start(text, key_end, MAX_NAME_LEN)..key_end];
    // Compares without case and separators.
    let ends_name = |trusted: &&str| {
        let trusted = trusted.bytes().rev().filter(|byte| *byte != b' ');
        let mut name = name
            .iter()
            .rev()
            .filter(|byte| byte.is_ascii_alphanumeric());
        let mut pairs = trusted.map(|letter| name.next().map(|byte| (byte, letter)));
        pairs.all(|pair| pair.is_some_and(|(byte, letter)| byte.to_ascii_lowercase() == letter))
    };
    key_end < start && TRUSTED_IDS.iter().any(ends_name)
}

/// Returns whether a fraction follows the digits that end at `at`: `4111111111111111.5`.
fn has_fraction(text: &[u8], at: usize) -> bool {
    text.get(at) == Some(&b'.') && text.get(at + 1).is_some_and(u8::is_ascii_digit)
}

/// Returns whether cards show their number in groups of these lengths.
#[rustfmt::skip]
fn is_card_grouping(groups: &[u8]) -> bool {
    matches!(groups, [_] | [4, 4, 4, 4] | [4, 4, 4, 4, 3] | [4, 6, 5] | [4, 6, 4] | [4, 4, 4, 1]
        | [6, 13] | [8, 8])
}

/// Returns whether the issuer's prefix fits the number of digits, and the check digit is valid.
fn is_card_number(digits: &[u8]) -> bool {
    if digits.len() < 13 {
        return false;
    }
    let prefix = digits[..6]
        .iter()
        .fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    let has_issuer = match digits.len() {
        13 => prefix / 100_000 == 4,
        14 => matches!(prefix / 1_000, 300..=305 | 309 | 360..=369 | 380..=399),
        15 => matches!(prefix / 10_000, 34 | 37),
        16 => {
            prefix / 100_000 == 4
                || matches!(prefix / 10_000, 51..=55 | 62 | 65 | 81)
                || matches!(prefix / 1_000, 644..=649)
                || matches!(prefix / 100, 2221..=2720 | 3528..=3589 | 5018 | 5020 | 5038 | 6011 | 6304 | 6759 | 6761..=6763)
        }
        17..=19 => {
            matches!(prefix / 10_000, 62 | 65)
                || (digits.len() == 19 && prefix / 100_000 == 4)
                || matches!(prefix / 100, 3528..=3589 | 5018 | 5020 | 5038 | 6304 | 6759 | 6761..=6763)
        }
        _ => false,
    };
    // The Luhn check also accepts some numbers that repeat one digit.
    has_issuer && digits[1..].iter().any(|digit| *digit != digits[0]) && passes_luhn(digits)
}

fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| match (index % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Returns the end of a social security number. `start` is at a digit with no digit before it.
pub(crate) fn ssn(text: &[u8], start: usize) -> Option<usize> {
    let number = text.get(start..start + 11)?;
    let has_form = number.iter().enumerate().all(|(index, byte)| match index {
        3 | 6 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let end = start + 11;
    // A dash or a dot joins the number to more letters or digits, as in `078-05-1120-x`.
    let is_joined = |mark: Option<usize>, beyond: Option<usize>| {
        let byte = |at: Option<usize>| at.and_then(|at| text.get(at));
        byte(mark).is_some_and(|byte| matches!(byte, b'-' | b'.'))
            && byte(beyond).is_some_and(u8::is_ascii_alphanumeric)
    };
    let is_alone = is_boundary(text, start)
        && is_boundary(text, end)
        && !is_joined(Some(end), Some(end + 1))
        && !is_joined(start.checked_sub(1), start.checked_sub(2));
    let may_be_issued = !matches!(&number[..3], b"000" | b"666" | [b'9', ..])
        && &number[4..6] != b"00"
        && &number[7..] != b"0000";
    (has_form && is_alone && may_be_issued).then_some(end)
}

/// Returns the end of an IBAN whose length is right for its country, and whose check digits are
/// valid. `start` is at the country code.
pub(crate) fn iban(text: &[u8], start: usize) -> Option<usize> {
    let country = text.get(start..start + 2)?;
    let check_digits = text.get(start + 2..start + 4)?;
    if !country.iter().all(u8::is_ascii_uppercase) || !check_digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let known = IBAN_LENGTHS.binary_search_by(|(known, _)| known.as_bytes().cmp(country));
    let (_, length) = IBAN_LENGTHS[known.ok()?];
    let mut iban = [0_u8; 34];
    let (mut count, mut at) = (0, start);
    scan_cost::add(usize::from(length));
    while count < usize::from(length) {
        match text.get(at) {
            Some(byte) if ByteClass::UPPER_ALNUM.has(*byte) => {
                iban[count] = *byte;
                count += 1;
            }
            Some(b' ' | b'-') if count > 2 && count % 4 == 0 => {}
            _ => return None,
        }
        at += 1;
    }
    let iban = &iban[..count];
    // ISO 7064, mod 97-10: the country and the check digits move to the end, and `A` counts as 10.
    let (moved, rest) = iban.split_at(4);
    let remainder = rest.iter().chain(moved).fold(0_u32, |remainder, byte| {
        if byte.is_ascii_digit() {
            (remainder * 10 + u32::from(byte - b'0')) % 97
        } else {
            (remainder * 100 + u32::from(byte - b'A') + 10) % 97
        }
    });
    (remainder == 1 && is_boundary(text, at)).then_some(at)
}

/// Returns whether `start..end` is part of a UUID of 36 characters.
fn is_in_uuid(text: &[u8], start: usize, end: usize) -> bool {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let is_part = |byte: u8| ByteClass::HEX.has(byte) || byte == b'-';
    let from = run_start(text, start, 36, is_part);
    let to = run_end(&text[..text.len().min(end + 36)], end, is_part);
    let groups = text[from..to].split(|byte| *byte == b'-');
    groups.map(<[u8]>::len).eq(GROUPS)
}

/// The length of an IBAN in each country, sorted by country.
#[rustfmt::skip]
static IBAN_LENGTHS: &[(&str, u8)] = &[
    ("AD", 24), ("AE", 23), ("AL", 28), ("AT", 20), ("AZ", 28), ("BA", 20), ("BE", 16),
    ("BG", 22), ("BH", 22), ("BR", 29), ("BY", 28), ("CH", 21), ("CR", 22), ("CY", 28),
    ("CZ", 24), ("DE", 22), ("DK", 18), ("DO", 28), ("EE", 20), ("EG", 29), ("ES", 24),
    ("FI", 18), ("FO", 18), ("FR", 27), ("GB", 22), ("GE", 22), ("GI", 23), ("GL", 18),
    ("GR", 27), ("GT", 28), ("HR", 21), ("HU", 28), ("IE", 22), ("IL", 23), ("IQ", 23),
    ("IS", 26), ("IT", 27), ("JO", 30), ("KW", 30), ("KZ", 20), ("LB", 28), ("LI", 21),
    ("LT", 20), ("LU", 20), ("LV", 21), ("LY", 25), ("MC", 27), ("MD", 24), ("ME", 22),
    ("MK", 19), ("MR", 27), ("MT", 31), ("MU", 30), ("NL", 18), ("NO", 15), ("PK", 24),
    ("PL", 28), ("PS", 29), ("PT", 25), ("QA", 29), ("RO", 24), ("RS", 22), ("SA", 24),
    ("SE", 24), ("SI", 19), ("SK", 24), ("SM", 27), ("TN", 24), ("TR", 26), ("UA", 29),
    ("VA", 22), ("VG", 24), ("XK", 20),
];
