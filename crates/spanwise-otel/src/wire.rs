//! Writes and reads the encoding of [Protocol Buffers], as far as OTLP uses it.
//!
//! [Protocol Buffers]: https://protobuf.dev/programming-guides/encoding/

/// The wire types: the low three bits of a tag.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH_DELIMITED: u32 = 2;
const FIXED32: u32 = 5;

/// Appends fields of a message. `field` is the number of a field in the `.proto` file.
pub(crate) trait WireWriter {
    /// Appends an integer in as few bytes as it needs, without a tag.
    fn varint(&mut self, value: u64);

    /// Appends a `uint32`, `int64` or enum.
    fn uint(&mut self, field: u32, value: u64);

    /// Appends a `fixed64`.
    fn fixed64(&mut self, field: u32, value: u64);

    /// Appends a `fixed32`.
    fn fixed32(&mut self, field: u32, value: u32);

    /// Appends a `double`.
    fn double(&mut self, field: u32, value: f64);

    /// Appends `bytes`, a `string` or an encoded message.
    fn bytes(&mut self, field: u32, value: &[u8]);

    /// Appends the tag and the length of a field whose bytes follow.
    fn header(&mut self, field: u32, len: usize);

    /// Appends a nested message. `write` appends the fields of that message.
    fn message(&mut self, field: u32, write: impl FnOnce(&mut Vec<u8>));
}

impl WireWriter for Vec<u8> {
    #[inline]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    #[inline]
    fn uint(&mut self, field: u32, value: u64) {
        push_pair(self, tag(field, VARINT), value);
    }

    #[inline]
    fn fixed64(&mut self, field: u32, value: u64) {
        if field < 16 {
            self.extend_from_slice(&short_fixed64(field, value));
        } else {
            self.varint(tag(field, FIXED64));
            self.extend_from_slice(&value.to_le_bytes());
        }
    }

    #[inline]
    fn fixed32(&mut self, field: u32, value: u32) {
        self.varint(tag(field, FIXED32));
        self.extend_from_slice(&value.to_le_bytes());
    }

    #[inline]
    fn double(&mut self, field: u32, value: f64) {
        self.fixed64(field, value.to_bits());
    }

    #[inline]
    fn bytes(&mut self, field: u32, value: &[u8]) {
        self.header(field, value.len());
        self.extend_from_slice(value);
    }

    #[inline]
    fn header(&mut self, field: u32, len: usize) {
        push_pair(self, tag(field, LENGTH_DELIMITED), len as u64);
    }

    #[inline]
    fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        self.varint(tag(field, LENGTH_DELIMITED));
        // Most messages are short, so their length fits into one byte.
        let length_at = self.len();
        self.push(0);
        write(self);
        let len = self.len() - length_at - 1;
        if len < 0x80 {
            self[length_at] = len as u8;
        } else {
            insert_length(self, length_at, len);
        }
    }
}

#[inline]
const fn tag(field: u32, wire_type: u32) -> u64 {
    (field << 3 | wire_type) as u64
}

/// Returns the tag and the length, a byte each. The number of the field must be below 16, and the
/// length below 128.
#[inline]
pub(crate) const fn short_header(field: u32, len: u8) -> [u8; 2] {
    debug_assert!(field < 16 && len < 0x80, "a byte each");
    [tag(field, LENGTH_DELIMITED) as u8, len]
}

/// Returns a `uint32`, `int64` or enum field. Its number must be below 16, and its value below 128.
#[inline]
pub(crate) const fn short_uint(field: u32, value: u8) -> [u8; 2] {
    debug_assert!(field < 16 && value < 0x80, "a byte each");
    [tag(field, VARINT) as u8, value]
}

/// Returns a `fixed64` field. Its number must be below 16.
#[inline]
pub(crate) const fn short_fixed64(field: u32, value: u64) -> [u8; 9] {
    debug_assert!(field < 16, "one byte");
    let tag = tag(field, FIXED64) as u8;
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [tag, a, b, c, d, e, f, g, h]
}

/// Appends a tag and a value as varints. Most tags take one byte and most values one or two. If so,
/// both are appended at once.
#[inline(always)] // A step of every field: a call costs as much as the step.
fn push_pair(into: &mut Vec<u8>, tag: u64, value: u64) {
    match (tag, value) {
        (..0x80, ..0x80) => into.extend_from_slice(&[tag as u8, value as u8]),
        (..0x80, ..0x4000) => {
            into.extend_from_slice(&[tag as u8, value as u8 | 0x80, (value >> 7) as u8]);
        }
        _ => push_long_pair(into, tag, value),
    }
}

#[inline(never)] // Kept out of line, so that the common path stays small.
fn push_long_pair(into: &mut Vec<u8>, tag: u64, value: u64) {
    into.varint(tag);
    into.varint(value);
}

/// The maximum length of a varint in bytes.
pub(crate) const MAX_VARINT_LEN: usize = 10;

/// Returns the length of a varint in bytes.
#[inline]
pub(crate) const fn varint_len(value: u64) -> usize {
    if value < 0x80 {
        return 1;
    }
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Replaces the byte at `at` with a length that takes more than one byte.
#[cold]
fn insert_length(into: &mut Vec<u8>, at: usize, len: usize) {
    let mut length = Vec::new();
    length.varint(len as u64);
    into.splice(at..=at, length);
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireValue<'a> {
    Uint(u64),
    Bytes(&'a [u8]),
    Fixed64(u64),
    Fixed32(u32),
}

/// Returns the number and the value of each field in an encoded message. The iterator ends at the
/// first field that is not valid.
pub(crate) fn fields(mut message: &[u8]) -> impl Iterator<Item = (u32, WireValue<'_>)> {
    std::iter::from_fn(move || {
        let tag = take_varint(&mut message)?;
        let field = u32::try_from(tag >> 3).ok()?;
        let value = match tag as u32 & 7 {
            VARINT => WireValue::Uint(take_varint(&mut message)?),
            LENGTH_DELIMITED => {
                let len = usize::try_from(take_varint(&mut message)?).ok()?;
                let (bytes, rest) = message.split_at_checked(len)?;
                message = rest;
                WireValue::Bytes(bytes)
            }
            FIXED64 => {
                let (bytes, rest) = message.split_first_chunk()?;
                message = rest;
                WireValue::Fixed64(u64::from_le_bytes(*bytes))
            }
            FIXED32 => {
                let (bytes, rest) = message.split_first_chunk()?;
                message = rest;
                WireValue::Fixed32(u32::from_le_bytes(*bytes))
            }
            _ => return None,
        };
        Some((field, value))
    })
}

/// Removes a varint from the front of `message`, and returns its value. Most varints have one or
/// two bytes.
#[inline]
pub(crate) fn take_varint(message: &mut &[u8]) -> Option<u64> {
    match **message {
        [byte @ ..0x80, ref rest @ ..] => {
            *message = rest;
            Some(u64::from(byte))
        }
        [low, high @ ..0x80, ref rest @ ..] => {
            *message = rest;
            Some(u64::from(low & 0x7F) | u64::from(high) << 7)
        }
        _ => take_long_varint(message),
    }
}

fn take_long_varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}
