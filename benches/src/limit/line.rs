//! A line in a buffer of fixed size, which is large enough for all workloads.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use uuid::Uuid;

/// Longer than the longest line of the workloads: 2 KiB of text, even if each byte were escaped.
const CAPACITY: usize = 16 * 1024;

/// The number of bytes that are escaped at once.
const BLOCK: usize = 16;

#[derive(Debug)]
pub(crate) struct Line {
    bytes: Vec<u8>,
    len: usize,
    /// The second of `date`, since the epoch.
    second: u64,
    /// `{"timestamp":"2026-11-20T10:46:12.`
    date: [u8; DATE_LEN],
}

const DATE_LEN: usize = 34;

impl Default for Line {
    fn default() -> Self {
        Self {
            bytes: vec![0; CAPACITY],
            len: 0,
            second: u64::MAX,
            date: [0; DATE_LEN],
        }
    }
}

impl Line {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Appends the opening brace and the timestamp, without its closing quote.
    #[inline]
    pub(crate) fn begin(&mut self) {
        #[expect(
            clippy::disallowed_methods,
            reason = "the limit does not use the clock of the project"
        )]
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        if now.as_secs() != self.second {
            self.set_second(now.as_secs());
        }
        let micros = now.subsec_micros();
        let digit = |power: u32| b'0' + (micros / power % 10) as u8;
        let date = self.date;
        self.literal(&date);
        self.literal(&[
            digit(100_000),
            digit(10_000),
            digit(1_000),
            digit(100),
            digit(10),
            digit(1),
            b'Z',
        ]);
    }

    #[cold]
    fn set_second(&mut self, second: u64) {
        let at = OffsetDateTime::from_unix_timestamp(second.cast_signed())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let text = format!(
            "{{\"timestamp\":\"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second()
        );
        self.date.copy_from_slice(text.as_bytes());
        self.second = second;
    }

    /// Appends bytes of a length that is known at compile time.
    #[inline]
    pub(crate) fn literal<const N: usize>(&mut self, text: &[u8; N]) {
        self.bytes[self.len..self.len + N].copy_from_slice(text);
        self.len += N;
    }

    #[inline]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    #[inline]
    pub(crate) fn number<const N: usize>(&mut self, key: &[u8; N], value: u64) {
        self.literal(key);
        self.bytes(itoa::Buffer::new().format(value).as_bytes());
    }

    #[inline]
    pub(crate) fn float<const N: usize>(&mut self, key: &[u8; N], value: f64) {
        self.literal(key);
        if value.is_finite() {
            self.bytes(zmij::Buffer::new().format_finite(value).as_bytes());
        } else {
            self.literal(b"null");
        }
    }

    #[inline]
    pub(crate) fn boolean<const N: usize>(&mut self, key: &[u8; N], value: bool) {
        self.literal(key);
        if value {
            self.literal(b"true");
        } else {
            self.literal(b"false");
        }
    }

    /// `key` ends with the opening quote.
    #[inline]
    pub(crate) fn uuid<const N: usize>(&mut self, key: &[u8; N], value: Uuid) {
        self.literal(key);
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        value.hyphenated().encode_lower(&mut text);
        self.literal(&text);
        self.literal(b"\"");
    }

    /// `key` ends with the opening quote.
    #[inline]
    pub(crate) fn text<const N: usize>(&mut self, key: &[u8; N], value: &str) {
        self.literal(key);
        let mut rest = value.as_bytes();
        while let Some(block) = rest.first_chunk() {
            rest = &rest[self.escape(block, BLOCK)..];
        }
        while !rest.is_empty() {
            rest = &rest[self.escape(&padded(rest), rest.len())..];
        }
        self.literal(b"\"");
    }

    /// Appends the first `used` bytes of the block, up to and including the first escape. Returns
    /// the number of bytes of the block that were read.
    ///
    /// Copies the whole block, even if only a part of it is used: a copy of a fixed length costs
    /// less than one of a variable length.
    #[inline(always)]
    fn escape(&mut self, block: &[u8; BLOCK], used: usize) -> usize {
        let suspect = first_suspect(block);
        let Some(room) = self.bytes[self.len..].first_chunk_mut::<{ 2 * BLOCK }>() else {
            unreachable!("the buffer is longer than the longest line");
        };
        room[..BLOCK].copy_from_slice(block);
        let Some(at) = suspect else {
            self.len += used;
            return used;
        };
        let (escape, len) = ESCAPES[usize::from(block[at] & 0x7F)];
        room[at..at + 8].copy_from_slice(&escape);
        self.len += at + len;
        at + 1
    }
}

/// Returns fewer bytes than a block as a block, with spaces after them, which need no escape.
/// Copies them in parts of fixed length, which need no call of `memcpy`.
#[inline]
fn padded(tail: &[u8]) -> [u8; BLOCK] {
    let mut block = [b' '; BLOCK];
    let mut done = 0;
    if let Some(eight) = tail.first_chunk::<8>() {
        block[..8].copy_from_slice(eight);
        done = 8;
    }
    if let Some(four) = tail[done..].first_chunk::<4>() {
        block[done..done + 4].copy_from_slice(four);
        done += 4;
    }
    if let Some(two) = tail[done..].first_chunk::<2>() {
        block[done..done + 2].copy_from_slice(two);
        done += 2;
    }
    if let Some(one) = tail.get(done) {
        block[done] = *one;
    }
    block
}

/// Returns the index of the first byte that [RFC 8259, section 7] requires to be escaped.
///
/// Uses vector instructions, because the compiler makes ten times as many instructions of a loop
/// over so few bytes.
///
/// [RFC 8259, section 7]: https://www.rfc-editor.org/rfc/rfc8259#section-7
#[cfg(target_arch = "x86_64")]
#[inline]
fn first_suspect(block: &[u8; BLOCK]) -> Option<usize> {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set1_epi8,
    };

    #[expect(unsafe_code, reason = "the limit is not what safe code can do")]
    // SAFETY: SSE2 is part of x86_64, and the block is as long as the load.
    let found = unsafe {
        let bytes = _mm_loadu_si128(block.as_ptr().cast());
        let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
        let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x22));
        let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x5C));
        _mm_movemask_epi8(_mm_or_si128(control, _mm_or_si128(quote, backslash)))
    };
    // The index is always less than `BLOCK`. The remainder only removes bounds checks.
    (found != 0).then(|| found.trailing_zeros() as usize % BLOCK)
}

#[cfg(not(target_arch = "x86_64"))]
fn first_suspect(block: &[u8; BLOCK]) -> Option<usize> {
    block
        .iter()
        .position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\')
}

/// For each character below 0x80, its escape and the length of that, or 0 if it has none.
static ESCAPES: [([u8; 8], usize); 128] = {
    let mut all = [([0; 8], 0); 128];
    let mut code = 0;
    while code < 0x20 {
        let digits = b"0123456789abcdef";
        let (high, low) = (digits[code >> 4], digits[code & 0xF]);
        all[code] = ([b'\\', b'u', b'0', b'0', high, low, 0, 0], 6);
        code += 1;
    }
    let short = *b"\"\"\\\\\x08b\x0Cf\nn\rr\tt";
    let mut at = 0;
    while at < short.len() {
        all[short[at] as usize] = ([b'\\', short[at + 1], 0, 0, 0, 0, 0, 0], 2);
        at += 2;
    }
    all
};
