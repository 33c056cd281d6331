//! The number of columns that a text takes on a terminal.

/// Returns the number of columns of a text. The text must not contain control characters.
pub(crate) fn display_width(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    text.chars().map(char_width).sum()
}

fn char_width(c: char) -> usize {
    let in_table = |table: &[(u32, u32)]| {
        let code = u32::from(c);
        let index = table.partition_point(|(_, last)| *last < code);
        table.get(index).is_some_and(|(first, _)| *first <= code)
    };
    match c {
        '\0'..='\u{2ff}' => 1,
        _ if in_table(&COMBINING) => 0,
        _ if in_table(&WIDE) => 2,
        _ => 1,
    }
}

/// The common ranges of combining characters, which take no column of their own: the first and last
/// code point of each range.
const COMBINING: [(u32, u32); 13] = [
    (0x300, 0x36f),
    (0x483, 0x489),
    (0x591, 0x5bd),
    (0x610, 0x61a),
    (0x64b, 0x65f),
    (0x6d6, 0x6dc),
    (0x93c, 0x93c),
    (0x94d, 0x94d),
    (0xe31, 0xe3a),
    (0x1ab0, 0x1aff),
    (0x1dc0, 0x1dff),
    (0x20d0, 0x20ff),
    (0xfe00, 0xfe0f),
];

/// The ranges of East Asian scripts and emoji that take two columns, without rare characters.
const WIDE: [(u32, u32); 21] = [
    (0x1100, 0x115f),
    (0x231a, 0x231b),
    (0x23e9, 0x23ec),
    (0x25fd, 0x25fe),
    (0x2614, 0x2615),
    (0x2648, 0x2653),
    (0x26a1, 0x26a1),
    (0x2705, 0x2705),
    (0x274c, 0x274c),
    (0x2753, 0x2757),
    (0x2795, 0x2797),
    (0x2b1b, 0x2b1c),
    (0x2e80, 0x303e),
    (0x3041, 0xa4cf),
    (0xa960, 0xa97c),
    (0xac00, 0xd7a3),
    (0xf900, 0xfaff),
    (0xfe30, 0xfe6f),
    (0xff01, 0xff60),
    (0x1f300, 0x1faff),
    (0x20000, 0x3fffd),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_of_a_terminal() {
        for (text, columns) in [
            ("", 0),
            ("order", 5),
            ("…0e2474da", 9),
            ("ä", 1),
            ("a\u{308}", 1),
            ("注文", 4),
            ("완료", 4),
            ("🚀", 2),
            ("▸", 1),
        ] {
            assert_eq!(display_width(text), columns, "{text}");
        }
    }

    #[test]
    fn tables_are_sorted() {
        for table in [&COMBINING[..], &WIDE[..]] {
            assert!(table.iter().all(|(first, last)| first <= last));
            assert!(table.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }
}
