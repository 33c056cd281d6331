//! Random numbers, times, ids and versions do not change, unless they contain a whole card number.

use std::{borrow::Cow, fmt::Write as _};

use spanwise_core::Redact;
use spanwise_redact::Policy;

use crate::support::input::{DIGITS, HEX, Letters};

/// Returns whether the hidden digits are a card number: a whole word of 13 to 19 digits.
fn is_card(text: &str, shown: &str) -> bool {
    let before = shown.split("[REDACTED]").next().unwrap_or_default();
    let after = shown.rsplit("[REDACTED]").next().unwrap_or_default();
    let hidden = &text[before.len()..text.len() - after.len()];
    let digits = hidden.bytes().all(|byte| byte.is_ascii_digit());
    let is_part =
        |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    let is_whole = !is_part(before.bytes().last()) && !is_part(after.bytes().next());
    digits && is_whole && (13..=19).contains(&hidden.len())
}

fn number(letters: &mut Letters, text: &mut String, kind: usize) {
    let float = letters.take(DIGITS, 16).parse::<f64>().unwrap() / 1e16;
    match kind % 16 {
        0 => write!(text, "ratio {float}"),
        1 => write!(text, "{{\"score\":{float},\"n\":1}}"),
        2 => write!(text, "took {} ms", float * 5e3),
        3 => write!(text, "at={}", float * 5e15),
        4 => write!(text, "{:e}", float * 1e12),
        5 => write!(text, "[{}, -{}]", float, float * 4e7),
        6 => write!(
            text,
            "2026-11-{:02}T10:{:02}:12.{}Z",
            1 + letters.below(28),
            letters.below(60),
            letters.take(DIGITS, 9)
        ),
        7 => write!(text, "time_unix_nano=17{}", letters.take(DIGITS, 17)),
        8 => {
            let (a, b, c) = (
                letters.take(HEX, 8),
                letters.take(HEX, 4),
                letters.take(HEX, 12),
            );
            write!(text, "request_id={a}-{b}-4{}-a{}-{c}", &b[1..], &a[..3])
        }
        9 => write!(
            text,
            "trace_id={} span_id={}",
            letters.take(HEX, 32),
            letters.take(HEX, 16)
        ),
        10 => write!(
            text,
            "v{}.{}.{}-rc.{}",
            letters.below(40),
            letters.below(100),
            letters.below(9999),
            letters.below(9)
        ),
        11 => write!(
            text,
            "app_version={}.{}.{}.{}",
            letters.below(256),
            letters.below(256),
            letters.below(256),
            letters.below(256)
        ),
        12 => write!(
            text,
            "Chrome/{}.0.{}.{}",
            90 + letters.below(60),
            letters.below(9999),
            letters.below(255)
        ),
        13 => write!(text, "sha256:{}", letters.take(HEX, 64)),
        14 => write!(text, "lat={:.14}, lon=-{:.14}", float * 90.0, float * 180.0),
        _ => write!(
            text,
            "offset {} of partition-{}",
            letters.take(DIGITS, 12),
            letters.below(64)
        ),
    }
    .unwrap();
}

#[test]
fn random_numbers_pass_unchanged() {
    let policy = Policy::secrets_and_pii();
    let mut letters = Letters::new(7);
    let mut text = String::new();
    for kind in 0..100_000 {
        text.clear();
        number(&mut letters, &mut text, kind);
        if let Cow::Owned(shown) = policy.text(&text) {
            assert!(is_card(&text, &shown), "{text} became {shown}");
        }
    }
}
