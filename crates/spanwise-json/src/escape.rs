//! Text into JSON strings, sixteen bytes at a time.
//!
//! Beyond what [RFC 8259, section 7] asks for, everything is escaped that ends a line or drives a terminal somewhere: DEL, the C1
//! controls, U+2028, U+2029 and the bidirectional controls.
//!
//! [RFC 8259, section 7]: https://www.rfc-editor.org/rfc/rfc8259#section-7

use crate::line::Line;

/// Appends `text` as the inside of a JSON string.
#[inline]
pub(crate) fn push_text(line: &mut Line, text: &str) {
    push::<true>(line, text.as_bytes());
}

/// Appends `json`, compact JSON as serde_json writes it, with those characters escaped that serde_json leaves as they are.
pub(crate) fn push_json(line: &mut Line, json: &str) {
    push::<false>(line, json.as_bytes());
}

/// `text` as a JSON string with its quotes.
pub(crate) fn quoted(text: &str) -> Vec<u8> {
    let mut line = Line::default();
    line.push_byte(b'"');
    push_text(&mut line, text);
    line.push_byte(b'"');
    line.as_bytes().to_vec()
}

const BLOCK: usize = 16;

/// The most bytes that one byte of text becomes: `\u001b`.
const LONGEST: usize = 6;

/// With `ALL` false, the characters that JSON itself is made of stay as they are.
#[inline]
fn push<const ALL: bool>(line: &mut Line, text: &[u8]) {
    let mut at = 0;
    while at < text.len() {
        // Twice as long as a block, so that sixteen bytes can be copied from any place in it.
        let mut block = [0_u8; 2 * BLOCK];
        let count = match text[at..].first_chunk::<BLOCK>() {
            Some(whole) => {
                block[..BLOCK].copy_from_slice(whole);
                BLOCK
            }
            None => {
                copy_tail(&mut block, &text[at..]);
                text.len() - at
            }
        };
        let suspects =
            suspects::<ALL>(block.first_chunk().unwrap_or(&[0; BLOCK])) & low_bits(count);
        let room = line.room(BLOCK * LONGEST + BLOCK);
        if suspects == 0 {
            room[..BLOCK].copy_from_slice(&block[..BLOCK]);
            line.advance(count);
            at += count;
        } else {
            let (read, written) = push_block(room, &block, count, suspects, &text[at..]);
            line.advance(written);
            at += read;
        }
    }
}

/// Escapes one block into `room`; how many bytes were read and written.
fn push_block(
    room: &mut [u8],
    block: &[u8; 2 * BLOCK],
    count: usize,
    mut suspects: u32,
    text: &[u8],
) -> (usize, usize) {
    let (mut read, mut written) = (0, 0);
    while suspects != 0 {
        let at = suspects.trailing_zeros() as usize;
        suspects &= suspects - 1;
        let Some(escape) = escape(text, at) else {
            continue;
        };
        room[written..written + BLOCK].copy_from_slice(&block[read..read + BLOCK]);
        written += at - read;
        room[written..written + 8].copy_from_slice(&escape.block);
        written += usize::from(escape.len);
        read = at + usize::from(escape.replaces);
        if read >= count {
            return (read, written);
        }
    }
    room[written..written + BLOCK].copy_from_slice(&block[read..read + BLOCK]);
    (count, written + count - read)
}

/// Without a call to `memcpy`, which costs more than the bytes.
#[inline]
fn copy_tail(block: &mut [u8; 2 * BLOCK], tail: &[u8]) {
    debug_assert!(tail.len() < BLOCK);
    let mut done = 0;
    if let Some(eight) = tail.first_chunk::<8>() {
        block[..8].copy_from_slice(eight);
        done = 8;
    }
    if let Some(four) = tail[done..].first_chunk::<4>() {
        block[done..done + 4].copy_from_slice(four);
        done += 4;
    }
    for (to, from) in block[done..].iter_mut().zip(&tail[done..]) {
        *to = *from;
    }
}

#[inline]
fn low_bits(count: usize) -> u32 {
    (1 << count) - 1
}

struct Escape {
    block: [u8; 8],
    len: u8,
    /// How many bytes of text it stands for.
    replaces: u8,
}

/// The escape for the character that starts at `at`, if it needs one: a first byte alone only raises suspicion.
#[inline]
fn escape(text: &[u8], at: usize) -> Option<Escape> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let unicode = |code: u16, replaces| {
        let digit = |shift: u16| HEX[usize::from(code >> shift & 0xF)];
        let block = [b'\\', b'u', digit(12), digit(8), digit(4), digit(0), 0, 0];
        Some(Escape {
            block,
            len: 6,
            replaces,
        })
    };
    let byte = text[at];
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0C => b'f',
        // U+0080–U+009F
        0xC2 => {
            let next = *text.get(at + 1)?;
            return if next < 0xA0 {
                unicode(u16::from(next), 2)
            } else {
                None
            };
        }
        // U+2028–U+202E and U+2066–U+2069
        0xE2 => {
            let code = match (*text.get(at + 1)?, *text.get(at + 2)?) {
                (0x80, last @ 0xA8..=0xAE) => 0x2000 | u16::from(last & 0x3F),
                (0x81, last @ 0xA6..=0xA9) => 0x2040 | u16::from(last & 0x3F),
                _ => return None,
            };
            return unicode(code, 3);
        }
        control => return unicode(u16::from(control), 1),
    };
    Some(Escape {
        block: [b'\\', short, 0, 0, 0, 0, 0, 0],
        len: 2,
        replaces: 1,
    })
}

/// One bit for each byte that may need an escape.
///
/// Plain loops over sixteen bytes: the compiler makes vector instructions of them, on every architecture that has some.
#[inline]
fn suspects<const ALL: bool>(block: &[u8; BLOCK]) -> u32 {
    let mut found = [0_u8; BLOCK];
    for (found, byte) in found.iter_mut().zip(block) {
        let always = (*byte == 0x7F) | (*byte == 0xC2) | (*byte == 0xE2);
        let json = (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
        *found = u8::from(always | (ALL & json));
    }
    let half = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| found[at + i]));
    let (low, high) = (half(0), half(8));
    if low | high == 0 {
        0
    } else {
        gather(low) | gather(high) << 8
    }
}

/// The lowest bits of eight bytes in one.
#[inline]
fn gather(bytes: u64) -> u32 {
    (bytes.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One character after the other.
    fn plain(text: &str) -> String {
        text.chars()
            .map(|c| match c {
                '"' => "\\\"".to_owned(),
                '\\' => "\\\\".to_owned(),
                '\n' => "\\n".to_owned(),
                '\r' => "\\r".to_owned(),
                '\t' => "\\t".to_owned(),
                '\u{8}' => "\\b".to_owned(),
                '\u{c}' => "\\f".to_owned(),
                '\0'..='\u{1f}'
                | '\u{7f}'..='\u{9f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}' => format!("\\u{:04x}", u32::from(c)),
                c => c.to_string(),
            })
            .collect()
    }

    fn check(text: &str) {
        let escaped = String::from_utf8(quoted(text)).unwrap();
        assert_eq!(escaped, format!("\"{}\"", plain(text)));
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
    }

    #[test]
    fn every_character_is_escaped_as_the_rules_say_wherever_it_stands_in_a_block() {
        for c in ('\0'..='\u{3000}').chain(['\u{feff}', '\u{1f980}', '\u{10ffff}']) {
            check(&c.to_string());
        }
        for before in 0..40 {
            for c in [
                'a', '"', '\u{1b}', '\u{85}', '\u{a0}', '\u{2028}', '\u{2066}', '\u{20ac}',
            ] {
                check(&format!("{}{c}", "x".repeat(before)));
                check(&format!("{}{c}{c}tail of some length", "x".repeat(before)));
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_reads_back(text in "\\PC*|[\\x00-\\xff\u{2020}-\u{2070}]*") {
            check(&text);
        }
    }
}
