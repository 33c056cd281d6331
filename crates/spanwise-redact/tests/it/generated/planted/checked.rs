//! Secrets in a fixed format, with their check digits.

use super::{ALNUM, Random};

const DIGITS: &str = "0123456789";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Returns the user `ada` and a password.
pub(super) fn basic(random: &mut Random) -> String {
    let length = random.within(8..30);
    base64(&format!("ada:{}", random.text(ALNUM, length)))
}

/// Returns a Telegram bot token.
pub(super) fn bot(random: &mut Random) -> String {
    let bot = random.within(100_000_000..9_999_999_999);
    format!("{bot}:AA{}", random.text(ALNUM, 33))
}

pub(super) fn card(random: &mut Random) -> String {
    let issuer = random.pick(&["4", "51", "55", "2223", "34", "37", "6011", "3530", "36"]);
    let length = match issuer {
        "34" | "37" => 15,
        "36" => 14,
        _ => 16,
    };
    let mut digits = issuer.to_owned();
    digits += &random.text(DIGITS, length - 1 - issuer.len() as u64);
    let sum: u32 = digits.bytes().rev().enumerate().map(luhn).sum();
    digits += &((10 - sum % 10) % 10).to_string();
    let groups: &[usize] = match length {
        15 => &[4, 6, 5],
        14 => &[4, 6, 4],
        _ => &[4, 4, 4, 4],
    };
    let separator = match length {
        16 => random.pick(&["", " ", "-", "."]),
        _ => random.pick(&["", " ", "-"]),
    };
    let mut rest = digits.as_str();
    let mut parts = Vec::new();
    for group in groups {
        let (part, after) = rest.split_at(*group);
        parts.push(part);
        rest = after;
    }
    parts.join(separator)
}

/// Returns the summand of a card digit, counted from the right, without the check digit.
fn luhn((place, digit): (usize, u8)) -> u32 {
    match (place % 2, u32::from(digit - b'0')) {
        (0, digit @ 5..) => digit * 2 - 9,
        (0, digit) => digit * 2,
        (_, digit) => digit,
    }
}

pub(super) fn ssn(random: &mut Random) -> String {
    let area = match random.within(1..900) {
        666 => 667,
        area => area,
    };
    let (group, serial) = (random.within(1..100), random.within(1..10_000));
    format!("{area:03}-{group:02}-{serial:04}")
}

pub(super) fn iban(random: &mut Random) -> String {
    let (country, letters, digits) = random.pick(&[
        ("DE", 0, 18),
        ("GB", 4, 14),
        ("NL", 4, 10),
        ("ES", 0, 20),
        ("AT", 0, 16),
        ("CH", 0, 17),
        ("FR", 0, 23),
        ("PL", 0, 24),
    ]);
    let account = random.text(UPPER, letters) + &random.text(DIGITS, digits);
    let remainder = format!("{account}{country}00").chars().fold(0, |sum, c| {
        let value = c.to_digit(36).unwrap_or_default();
        if value < 10 {
            (sum * 10 + value) % 97
        } else {
            (sum * 100 + value) % 97
        }
    });
    let iban = format!("{country}{:02}{account}", 98 - remainder);
    if random.is_one_of(2) {
        return iban;
    }
    let groups = iban.as_bytes().chunks(4);
    let groups: Vec<String> = groups
        .map(|group| String::from_utf8_lossy(group).into())
        .collect();
    groups.join(" ")
}

pub(super) fn mail(random: &mut Random) -> String {
    let name = random.pick(&[
        "ada",
        "o'hara",
        "jürgen.groß",
        "p-stone",
        "x_1",
        "ada+news",
        "münch",
    ]);
    let number = random.within(0..1000);
    let host = random.pick(&[
        "shop.example",
        "mail.müller.example",
        "a-b.co.example",
        "x.museum",
    ]);
    format!("{name}{number}@{host}")
}

/// Returns a public IPv4 address.
pub(super) fn ipv4(random: &mut Random) -> String {
    let first = random.pick(&[8, 23, 52, 81, 104, 185, 203]);
    let mut byte = || random.within(1..255);
    format!("{first}.{}.{}.{}", byte(), byte(), byte())
}

/// Returns a public IPv6 address.
pub(super) fn ipv6(random: &mut Random) -> String {
    let start = random.pick(&["2001:db8", "2a01:4f8", "2600:1f18"]);
    let mut group = || random.within(0x10..0x1_0000);
    match start {
        "2001:db8" => format!("{start}:{:x}::{:x}", group(), group()),
        _ => format!(
            "{start}:{:x}:{:x}:{:x}::{:x}",
            group(),
            group(),
            group(),
            group()
        ),
    }
}

pub(super) fn phone(random: &mut Random) -> String {
    let country = random.pick(&["1", "44", "49", "33", "91"]);
    let (area, number) = (random.within(100..1000), random.text(DIGITS, 7));
    match random.within(0..4) {
        0 => format!("+{country} ({area}) {}-{}", &number[..3], &number[3..]),
        1 => format!("+{country} {area} {number}"),
        2 => format!("0{area}-{number}"),
        _ => format!("+{country}{area}{number}"),
    }
}

fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let mut bytes = [0; 4];
        bytes[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(bytes);
        for index in 0..4 {
            let sextet = (bits >> (18 - 6 * index)) & 63;
            let c = char::from(ALPHABET[sextet as usize]);
            encoded.push(if index <= chunk.len() { c } else { '=' });
        }
    }
    encoded
}
