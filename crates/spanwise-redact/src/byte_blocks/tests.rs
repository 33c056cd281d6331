use super::*;

/// A generator of pseudorandom numbers. Each run uses the same numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    fn text(&mut self, alphabet: &[u8], length: usize) -> Vec<u8> {
        let mut byte = || alphabet[self.next() as usize % alphabet.len()];
        (0..length).map(|_| byte()).collect()
    }
}

/// Bytes inside and just outside of the ranges that are tested, and bytes with equal nibbles.
const ALPHABET: &[u8] = b"/0189:;@AYZ[`aghpz{-.,= _%<\x00\x0F\x10\x7F\x80\xB0\xC3\xE1\xFF";

#[test]
fn prefixes_are_found_in_blocks_of_any_length() {
    let mut random = Random(1);
    let prefixes = ["ghp", "gAp", "-zZ", "://", "a a", "\n-."];
    let mut tables = PrefixTables::default();
    for (bucket, prefix) in prefixes.into_iter().enumerate() {
        tables.add(*prefix.as_bytes().first_chunk().unwrap(), bucket * 3);
    }
    for round in 0..6_000 {
        let mut text = random.text(ALPHABET, round % 300);
        for _ in 0..2 {
            let prefix = prefixes[random.next() as usize % prefixes.len()];
            let at = random.next() as usize % (text.len() + 1);
            text.splice(at..at, prefix.bytes());
        }
        let is_prefix = |at: usize| {
            let mut all = prefixes.iter();
            all.any(|prefix| text[at..].starts_with(prefix.as_bytes()))
        };
        let mut masks = [0; 3];
        let count = tables.find_in(&text, &mut masks);
        for (block, bits) in masks[..count].iter().rev().enumerate() {
            for at in 0..BLOCK_LEN {
                let position = block * BLOCK_LEN + at;
                assert!(
                    bits >> at & 1 != 0 || !is_prefix(position),
                    "{position} of {text:?}"
                );
            }
        }
        if text.len() < WINDOW_LEN
            && let Some(bits) = tables.find_in_short(&text)
        {
            for at in 0..text.len().saturating_sub(PREFIX_LEN - 1) {
                assert!(bits >> at & 1 != 0 || !is_prefix(at), "{at} of {text:?}");
            }
        }
    }
}

#[test]
fn prefix_alone_in_its_bucket_is_found_exactly() {
    let mut tables = PrefixTables::default();
    tables.add(*b"ghp", 9);
    let text = b"ghq ghp hhp g`p ghp".repeat(9);
    let mut masks = [0; 2];
    let count = tables.find_in(&text, &mut masks);
    for (block, bits) in masks[..count].iter().rev().enumerate() {
        let positions = 0..BLOCK_LEN;
        let expected = positions.rev().fold(0, |bits, at| {
            bits << 1 | u64::from(text[block * BLOCK_LEN + at..].starts_with(b"ghp"))
        });
        assert_eq!(*bits, expected);
    }
}

#[test]
fn digit_masks_equal_those_read_by_byte() {
    let mut random = Random(2);
    for length in (0..400).chain(0..400) {
        let text = random.text(ALPHABET, length);
        let mut masks = [DigitMasks::default(); 4];
        let step = 50;
        let count = DigitMasks::find_in(&text, step, &mut masks);
        assert_eq!(count, length.div_ceil(step).min(4));
        for (index, masks) in masks[..count].iter().enumerate() {
            let mut buffer = [0; BLOCK_LEN];
            let block = block_at(&text, index * step, &mut buffer);
            assert_eq!(*masks, DigitMasks::find_by_byte(block), "{text:?}");
        }
    }
}

#[test]
fn classes_equal_those_read_by_byte() {
    static TABLES: ClassTables =
        ClassTables::new([b"@", b":", b"=", b"-", b"%", b"<", b".", b"0123456789"]);
    let mut random = Random(3);
    for length in (0..200).chain(0..200) {
        for alphabet in [ALPHABET, b"abc1", b"ab.", b"a\xFF"] {
            let text = random.text(alphabet, length);
            let mut expected = ClassCounts::default();
            for byte in &text {
                let class = b"@:=-%<.0"
                    .iter()
                    .position(|class| byte == class || *class == b'0' && byte.is_ascii_digit());
                assert_eq!(
                    TABLES.classes_of(*byte),
                    class.map_or(0, |class| 1 << class)
                );
                expected.classes |= TABLES.classes_of(*byte);
                expected.last_class_count += u64::from(class == Some(7));
                expected.second_last_class_count += u64::from(class == Some(6));
            }
            if let Some(counts) = classes(&TABLES, &text) {
                assert_eq!(counts, expected, "{text:?}");
            }
        }
    }
}

#[test]
fn close_pairs_are_found_at_any_position() {
    for length in [0, 1, 5, 20, 40, 63, 64, 65, 130, 200] {
        for first in 0..length {
            let mut text = vec![b'a'; length];
            text[first] = b':';
            let has_avx2 = !may_have_close_pair(&text, b':');
            for second in first + 1..length.min(first + 9) {
                text[second] = b':';
                let is_found = may_have_close_pair(&text, b':');
                assert!(
                    is_found || second - first > MAX_CLOSE_DISTANCE,
                    "{first}, {second}"
                );
                // Without AVX2, `may_have_close_pair` is always true, also for a single byte.
                assert!(!has_avx2 || is_found == (second - first <= MAX_CLOSE_DISTANCE));
                text[second] = b'a';
            }
        }
    }
}
