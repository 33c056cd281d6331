//! JSON escaping. Searches sixteen bytes at a time for the characters that need an escape.
//!
//! Beyond [RFC 8259, section 7], these characters are escaped, because they end a line or control a
//! terminal: DEL, the C1 controls, the line separators U+2028 and U+2029, and the bidirectional
//! controls U+202A–U+202E and U+2066–U+2069.
//!
//! Functions with the argument `ALL = false` get JSON that serde_json has escaped. They escape only
//! the characters above, because serde_json does not escape these.
//!
//! [RFC 8259, section 7]: https://www.rfc-editor.org/rfc/rfc8259#section-7

use crate::line_buffer::{BLOCK_LEN, LineBuffer, small_block};

/// Appends `text` as a JSON string.
#[inline]
pub(crate) fn push_quoted(line: &mut LineBuffer, text: &str) {
    let bytes = text.as_bytes();
    // Most texts are short and need no escape. Such a text is copied as one or two blocks, which
    // may overlap, and the room is checked once.
    if let (Some(first), Some(last)) = (bytes.first_chunk::<BLOCK>(), bytes.last_chunk::<BLOCK>()) {
        if bytes.len() <= 2 * BLOCK
            && escape_mask::<true>(first) == 0
            && escape_mask::<true>(last) == 0
        {
            let room = line.room::<{ 2 * BLOCK + 2 }>();
            room[0] = b'"';
            room[1..=BLOCK].copy_from_slice(first);
            room[1 + bytes.len() - BLOCK..1 + bytes.len()].copy_from_slice(last);
            room[1 + bytes.len()] = b'"';
            line.advance(bytes.len() + 2);
            return;
        }
    } else {
        let block = small_block(bytes);
        if find_escape::<true>(&block) >= bytes.len() {
            let room = line.room::<{ BLOCK + 2 }>();
            room[0] = b'"';
            room[1..=BLOCK].copy_from_slice(&block);
            room[1 + bytes.len()] = b'"';
            line.advance(bytes.len() + 2);
            return;
        }
    }
    push_any_quoted(line, text);
}

#[inline(never)] // Kept out of line, so that the common path stays small.
fn push_any_quoted(line: &mut LineBuffer, text: &str) {
    line.push_byte(b'"');
    push_text(line, text);
    line.push_byte(b'"');
}

/// Appends `text` as the inside of a JSON string.
#[inline]
pub(crate) fn push_text(line: &mut LineBuffer, text: &str) {
    if !push_clean::<true>(line, text.as_bytes()) {
        push_pieces::<true>(line, text.as_bytes());
    }
}

/// Like [`push_text`], but only if the text is short and needs no escape. Returns whether it was
/// appended.
#[inline]
pub(crate) fn push_clean_text(line: &mut LineBuffer, text: &str) -> bool {
    push_clean::<true>(line, text.as_bytes())
}

/// Appends compact JSON, as serde_json writes it. Escapes the characters that serde_json does not
/// escape.
pub(crate) fn push_json(line: &mut LineBuffer, json: &str) {
    push_pieces::<false>(line, json.as_bytes());
}

/// Returns `text` as a JSON string with its quotes.
pub(crate) fn quoted(text: &str) -> Vec<u8> {
    // Most texts are short names. An empty buffer would allocate the room for a line, and fill it
    // with zeros.
    let mut line = LineBuffer::with_room(2 * BLOCK + 2);
    push_quoted(&mut line, text);
    line.as_bytes().to_vec()
}

/// The length of a block, in bytes: one search covers a block.
pub(crate) const BLOCK: usize = BLOCK_LEN;

/// The approximate length of a piece of a long text, in bytes. The room is checked once per piece.
const PIECE_LEN: usize = 1024;

/// The length of the two blocks that are searched together in a long text, in bytes.
const WIDE_LEN: usize = 2 * BLOCK;

/// The length of two searched blocks and the two blocks behind them, in bytes. A copy of two blocks
/// that begins within the searched blocks stays within the window.
const WINDOW_LEN: usize = 2 * WIDE_LEN;

/// The room for one escaped piece, in bytes. A piece exceeds `PIECE_LEN` by up to two blocks, each
/// byte may become six (`\u001b`), and a copy writes up to two blocks behind the result.
const PIECE_CAPACITY: usize = 6 * (PIECE_LEN + WIDE_LEN) + WIDE_LEN;

/// Appends a text of at most two blocks if it certainly needs no escape. Copies it as one block, or
/// as two blocks, which may overlap. Returns whether it was appended.
#[inline(always)] // The short texts of every line are copied without a call.
fn push_clean<const ALL: bool>(line: &mut LineBuffer, text: &[u8]) -> bool {
    let (Some(first), Some(last)) = (text.first_chunk::<BLOCK>(), text.last_chunk::<BLOCK>())
    else {
        let block = small_block(text);
        let clean = find_escape::<ALL>(&block) >= text.len();
        if clean {
            line.push_block(&block, text.len());
        }
        return clean;
    };
    let clean =
        text.len() <= 2 * BLOCK && escape_mask::<ALL>(first) == 0 && escape_mask::<ALL>(last) == 0;
    if clean {
        let room = line.room::<{ 2 * BLOCK }>();
        room[..BLOCK].copy_from_slice(first);
        room[text.len() - BLOCK..text.len()].copy_from_slice(last);
        line.advance(text.len());
    }
    clean
}

/// Appends a text of any length, piece by piece.
#[inline(never)] // Kept out of line, so that the common path stays small.
fn push_pieces<const ALL: bool>(line: &mut LineBuffer, text: &[u8]) {
    let mut rest = text;
    while !rest.is_empty() {
        let (read, written) = push_piece::<ALL>(line.room::<PIECE_CAPACITY>(), rest);
        line.advance(written);
        rest = &rest[read..];
    }
}

/// Escapes one piece of `text` into `room`. Returns how many bytes were read and written.
#[inline]
fn push_piece<const ALL: bool>(room: &mut [u8; PIECE_CAPACITY], text: &[u8]) -> (usize, usize) {
    let (mut rest, mut written) = (text, 0);
    // The piece ends when `rest` has at most this length.
    let end_len = text.len().saturating_sub(PIECE_LEN);
    // One comparison checks that the piece has not ended and that `rest` has a whole window.
    let min_window_len = WINDOW_LEN.max(end_len + 1);
    while rest.len() >= min_window_len
        && let Some(window) = rest.first_chunk()
    {
        let [first, second] = [0, BLOCK].map(|at| block_at(window, at));
        let escapes = escape_mask::<ALL>(first) | escape_mask::<ALL>(second) << BLOCK;
        copy_wide(room, written, window, 0);
        // A branch, so that the next blocks need not wait for the result of this search.
        if escapes == 0 {
            rest = &rest[WIDE_LEN..];
            written += WIDE_LEN;
        } else {
            (rest, written) = push_blocks_escaped(room, rest, window, escapes, written);
        }
    }
    let min_block_len = BLOCK.max(end_len + 1);
    while rest.len() >= min_block_len
        && let Some(block) = rest.first_chunk::<BLOCK>()
    {
        let clean_len = find_escape::<ALL>(block);
        room[written..written + BLOCK].copy_from_slice(block);
        rest = &rest[clean_len..];
        written += clean_len;
        if clean_len < BLOCK {
            (rest, written) = push_char(room, rest, written);
        }
    }
    while rest.len() > end_len && rest.len() < BLOCK {
        let block = small_block(rest);
        let clean_len = find_escape::<ALL>(&block).min(rest.len());
        room[written..written + BLOCK].copy_from_slice(&block);
        rest = &rest[clean_len..];
        written += clean_len;
        if !rest.is_empty() {
            (rest, written) = push_char(room, rest, written);
        }
    }
    (text.len() - rest.len(), written)
}

/// Escapes the first two blocks of `text`, which the caller has copied to `room`. The set bits of
/// `escapes` mark the bytes that may need an escape. After each escape, copies the next two blocks
/// of the window, although only the bytes before the next escape are kept: that escape is written
/// over the others. Returns the rest of `text`, and the new number of written bytes.
#[inline]
fn push_blocks_escaped<'t>(
    room: &mut [u8; PIECE_CAPACITY],
    text: &'t [u8],
    window: &[u8; WINDOW_LEN],
    mut escapes: u32,
    mut written: usize,
) -> (&'t [u8], usize) {
    let mut read = 0;
    while escapes != 0 {
        // `%` changes no value, since `escapes` has a bit for each byte of two blocks. It removes
        // the bounds check.
        let at = escapes.trailing_zeros() as usize % WIDE_LEN;
        escapes &= escapes - 1;
        written += at - read;
        let escape = &ASCII_ESCAPES[usize::from(window[at])];
        let len = usize::from(escape[ESCAPE_SLOT - 1]);
        if len == 0 {
            // The byte begins a multi-byte character, which may reach beyond the blocks.
            return push_multibyte(room, &text[at..], written);
        }
        room[written..written + ESCAPE_SLOT].copy_from_slice(escape);
        written += len;
        read = at + 1;
        copy_wide(room, written, window, read);
    }
    (&text[WIDE_LEN..], written + WIDE_LEN - read)
}

#[inline(always)] // A call costs more than the copy.
fn copy_wide(room: &mut [u8; PIECE_CAPACITY], to: usize, window: &[u8; WINDOW_LEN], from: usize) {
    room[to..to + WIDE_LEN].copy_from_slice(&window[from..from + WIDE_LEN]);
}

#[inline(always)] // See `copy_wide`.
fn block_at(window: &[u8; WINDOW_LEN], at: usize) -> &[u8; BLOCK] {
    match window[at..].first_chunk() {
        Some(block) => block,
        None => unreachable!("`at` is the offset of the first or second of four blocks"),
    }
}

/// Writes the first character of `text`, escaped if necessary, behind the first `written` bytes of
/// `room`. Returns the rest of `text`, and the new number of written bytes.
#[inline]
fn push_char<'t>(
    room: &mut [u8; PIECE_CAPACITY],
    text: &'t [u8],
    written: usize,
) -> (&'t [u8], usize) {
    let escape = &ASCII_ESCAPES[usize::from(text[0])];
    let len = usize::from(escape[ESCAPE_SLOT - 1]);
    if len == 0 {
        return push_multibyte(room, text, written);
    }
    room[written..written + ESCAPE_SLOT].copy_from_slice(escape);
    (&text[1..], written + len)
}

/// Like [`push_char`], for a character of two or three bytes. Its first byte alone does not
/// decide whether it needs an escape.
#[cold]
fn push_multibyte<'t>(
    room: &mut [u8; PIECE_CAPACITY],
    text: &'t [u8],
    written: usize,
) -> (&'t [u8], usize) {
    let (character, rest) = text.split_at(if text[0] == 0xC2 { 2 } else { 3 });
    let code = match *character {
        // U+0080–U+009F
        [0xC2, last @ ..0xA0] => u16::from(last),
        // U+2028–U+202E and U+2066–U+2069
        [0xE2, 0x80, last @ 0xA8..=0xAE] => 0x2000 | u16::from(last & 0x3F),
        [0xE2, 0x81, last @ 0xA6..=0xA9] => 0x2040 | u16::from(last & 0x3F),
        _ => {
            room[written..written + character.len()].copy_from_slice(character);
            return (rest, written + character.len());
        }
    };
    room[written..written + ESCAPE_SLOT].copy_from_slice(&unicode(code));
    (rest, written + 6)
}

/// The length of a padded escape, in bytes. All escapes are copied with this length.
const ESCAPE_SLOT: usize = 8;

/// The padded escape of each byte. The last byte of the padding is the length of the escape, or 0
/// if the byte alone has no escape.
static ASCII_ESCAPES: [[u8; ESCAPE_SLOT]; 256] = {
    let mut escapes = [[0; ESCAPE_SLOT]; 256];
    let mut byte = 0;
    while byte < 0x80 {
        let short = match byte as u8 {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0C => b'f',
            _ => 0,
        };
        if short != 0 {
            escapes[byte] = [b'\\', short, 0, 0, 0, 0, 0, 2];
        } else if byte < 0x20 || byte == 0x7F {
            escapes[byte] = unicode(byte as u16);
        }
        byte += 1;
    }
    escapes
};

/// Returns the escape sequence of a code unit, such as `\u001b`.
const fn unicode(code: u16) -> [u8; ESCAPE_SLOT] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut escape = [b'\\', b'u', 0, 0, 0, 0, 0, 6];
    let mut digit = 0;
    while digit < 4 {
        escape[2 + digit] = HEX[(code >> (12 - 4 * digit) & 0xF) as usize];
        digit += 1;
    }
    escape
}

/// Returns the number of bytes before the first one that may need an escape, such as a quote.
#[inline]
pub(crate) fn plain_len(block: &[u8; BLOCK]) -> usize {
    find_escape::<true>(block)
}

/// Returns the number of bytes before the first one that may need an escape.
#[inline]
fn find_escape<const ALL: bool>(block: &[u8; BLOCK]) -> usize {
    (escape_mask::<ALL>(block) | 1 << BLOCK).trailing_zeros() as usize
}

/// Returns a bit for each byte that may need an escape. Bit 0 is for the first byte.
#[inline]
pub(crate) fn escape_mask<const ALL: bool>(block: &[u8; BLOCK]) -> u32 {
    #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
    return vector::escape_mask::<ALL>(block);
    #[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
    words::escape_mask::<ALL>(block)
}

/// Returns a bit for each byte that is one of `wanted`. Bit 0 is for the first byte.
#[inline]
pub(crate) fn find_any(block: &[u8; BLOCK], wanted: [u8; 3]) -> u32 {
    #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
    return vector::find_any(block, wanted);
    #[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
    words::find_any(block, wanted)
}

/// Returns whether the text certainly needs no escape. May return false for a text beyond ASCII
/// that needs no escape.
#[inline]
pub(crate) fn is_plain(text: &[u8]) -> bool {
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    let are_plain = blocks.iter().all(|block| plain_len(block) == BLOCK);
    are_plain && plain_len(&small_block(rest)) >= rest.len()
}

/// SSE2, which every x86-64 has. Needs 4× fewer instructions than `words` on a long text.
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
mod vector {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
        _mm_set1_epi8, _mm_xor_si128,
    };

    use super::{BLOCK, halves};

    #[inline]
    #[expect(
        unsafe_code,
        reason = "rustc does not know that code compiled for SSE2 may call a function that needs SSE2"
    )]
    pub(super) fn escape_mask<const ALL: bool>(block: &[u8; BLOCK]) -> u32 {
        // SAFETY: `find` requires SSE2, and this module is only compiled for targets that have it.
        unsafe { find::<ALL>(block) }
    }

    #[inline]
    #[expect(
        unsafe_code,
        reason = "rustc does not know that code compiled for SSE2 may call a function that needs SSE2"
    )]
    pub(super) fn find_any(block: &[u8; BLOCK], wanted: [u8; 3]) -> u32 {
        // SAFETY: `compare` requires SSE2, and this module is only compiled for targets that have
        // it.
        unsafe { compare(block, wanted) }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn compare(block: &[u8; BLOCK], wanted: [u8; 3]) -> u32 {
        let (low, high) = halves(block);
        let bytes = _mm_set_epi64x(high.cast_signed(), low.cast_signed());
        let [first, second, third] =
            wanted.map(|byte| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed())));
        let found = _mm_or_si128(_mm_or_si128(first, second), third);
        _mm_movemask_epi8(found).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn find<const ALL: bool>(block: &[u8; BLOCK]) -> u32 {
        let (low, high) = halves(block);
        let bytes = _mm_set_epi64x(high.cast_signed(), low.cast_signed());
        let every = |byte: u8| _mm_set1_epi8(byte.cast_signed());
        // 0xC2 and 0xE2 differ in one bit, so one comparison finds both.
        let either = _mm_cmpeq_epi8(_mm_or_si128(bytes, every(0x20)), every(0xE2));
        let mut found = _mm_or_si128(either, _mm_cmpeq_epi8(bytes, every(0x7F)));
        if ALL {
            // With the bit 0x02 flipped, the quote is 0x20, right after the control characters, and
            // the space is 0x22. One comparison then finds the quote and the control characters.
            let flipped = _mm_xor_si128(bytes, every(0x02));
            let control = _mm_cmpeq_epi8(_mm_min_epu8(flipped, every(0x20)), flipped);
            let backslash = _mm_cmpeq_epi8(bytes, every(b'\\'));
            found = _mm_or_si128(found, _mm_or_si128(control, backslash));
        }
        _mm_movemask_epi8(found).cast_unsigned()
    }
}

/// Eight bytes at a time, in a plain integer.
#[cfg(any(test, not(all(target_arch = "x86_64", target_feature = "sse2"))))]
mod words {
    use super::{BLOCK, halves};

    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;

    #[inline]
    pub(super) fn escape_mask<const ALL: bool>(block: &[u8; BLOCK]) -> u32 {
        let (low, high) = halves(block);
        let found = |half: u64| bit_per_byte(find::<ALL>(half));
        found(low) | found(high) << 8
    }

    #[inline]
    pub(super) fn find_any(block: &[u8; BLOCK], wanted: [u8; 3]) -> u32 {
        let (low, high) = halves(block);
        let [first, second, third] = wanted;
        let found =
            |half| bit_per_byte(equal(half, first) | equal(half, second) | equal(half, third));
        found(low) | found(high) << 8
    }

    /// Moves the high bits of eight bytes into one byte.
    #[inline]
    fn bit_per_byte(highs: u64) -> u32 {
        // Each bit of the factor moves one high bit into the highest byte. The moved bits never
        // overlap.
        ((highs >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
    }

    /// Returns a mask with the high bit of each byte of `word` that may need an escape.
    #[inline]
    fn find<const ALL: bool>(word: u64) -> u64 {
        let mut found = equal(word | (ONES * 0x20), 0xE2) | equal(word, 0x7F);
        if ALL {
            // In a byte below 0x20, none of the upper three bits is set.
            found |= equal(word & (ONES * 0xE0), 0) | equal(word, b'"') | equal(word, b'\\');
        }
        found
    }

    /// Returns a mask with the high bit of each byte of `word` that equals `byte`.
    #[inline]
    fn equal(word: u64, byte: u8) -> u64 {
        zero_bytes(word ^ (ONES * u64::from(byte)))
    }

    /// Returns a mask with the high bit of each byte of `word` that is zero. Exact, because no
    /// carry crosses bytes.
    #[inline]
    fn zero_bytes(word: u64) -> u64 {
        !(((word & !HIGHS) + !HIGHS) | word) & HIGHS
    }
}

/// Returns the block as two integers.
#[inline]
fn halves(block: &[u8; BLOCK]) -> (u64, u64) {
    let bits = u128::from_le_bytes(*block);
    (bits as u64, (bits >> 64) as u64)
}

#[cfg(all(test, target_arch = "x86_64", target_feature = "sse2"))]
mod tests {
    use super::*;

    #[test]
    fn both_scans_agree() {
        for byte in 0..=255 {
            for at in 0..BLOCK {
                let mut block = *b"sixteen letters.";
                block[at] = byte;
                assert_eq!(
                    words::escape_mask::<true>(&block),
                    vector::escape_mask::<true>(&block),
                    "{byte:#x} at {at}"
                );
                assert_eq!(
                    words::escape_mask::<false>(&block),
                    vector::escape_mask::<false>(&block),
                    "{byte:#x} at {at}"
                );
                assert_eq!(
                    words::find_any(&block, *b" =\\"),
                    vector::find_any(&block, *b" =\\"),
                    "{byte:#x} at {at}"
                );
            }
        }
    }
}
