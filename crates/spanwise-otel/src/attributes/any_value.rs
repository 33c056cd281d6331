//! The value of an attribute, and its encoding as an `AnyValue` message of OTLP.

use crate::{
    limits::AttributeLimits,
    wire::{
        MAX_VARINT_LEN, WireValue, WireWriter as _, fields, short_fixed64, short_header,
        short_uint, varint_len,
    },
};

/// The value of an attribute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum AnyValue<'a> {
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(&'a [u8]),
    /// The encoded elements of an array.
    Array(&'a [u8]),
}

impl<'a> AnyValue<'a> {
    const TEXT: u32 = 1;
    const BOOL: u32 = 2;
    const INT: u32 = 3;
    const DOUBLE: u32 = 4;
    const ARRAY: u32 = 5;
    const BYTES: u32 = 7;

    /// Cuts a text or a byte array at the limits. Returns other values as they are.
    #[inline(always)] // See `Attributes::add`.
    pub(super) fn cut(self, limits: AttributeLimits) -> Self {
        match self {
            Self::Text(text) => Self::Text(limits.cut_text(text)),
            Self::Bytes(bytes) => Self::Bytes(limits.cut_bytes(bytes)),
            Self::Bool(_) | Self::Int(_) | Self::Double(_) | Self::Array(_) => self,
        }
    }

    /// Returns the length of the encoded `AnyValue` in bytes.
    #[inline(always)] // See `Attributes::add`.
    pub(crate) fn encoded_len(self) -> usize {
        let with_len = |bytes: &[u8]| 1 + varint_len(bytes.len() as u64) + bytes.len();
        match self {
            Self::Text(text) => with_len(text.as_bytes()),
            Self::Bytes(bytes) | Self::Array(bytes) => with_len(bytes),
            Self::Bool(_) => 2,
            Self::Int(int) => 1 + varint_len(int as u64),
            Self::Double(_) => 9,
        }
    }

    /// Appends the field inside the `AnyValue`. Also writes 0, `false` and the empty text, because
    /// the number of the field is the type of the value.
    #[inline]
    pub(crate) fn encode(self, to: &mut Vec<u8>) {
        match self {
            Self::Text(text) => to.bytes(Self::TEXT, text.as_bytes()),
            Self::Bool(bool) => to.uint(Self::BOOL, u64::from(bool)),
            Self::Int(int) => to.uint(Self::INT, int as u64),
            Self::Double(double) => to.double(Self::DOUBLE, double),
            Self::Bytes(bytes) => to.bytes(Self::BYTES, bytes),
            Self::Array(elements) => to.bytes(Self::ARRAY, elements),
        }
    }

    /// Appends the `AnyValue` as a field of a message. `field_number` must be below 16, and `len`
    /// must be the [length](Self::encoded_len) of the `AnyValue`.
    #[inline(always)] // See `Attributes::add`.
    pub(crate) fn encode_field(self, field_number: u32, len: usize, to: &mut Vec<u8>) {
        let short = |len: usize| short_header(field_number, len as u8);
        match self {
            // Most texts are short: each tag and length is one byte, so append all four at once.
            Self::Text(text) if len < 0x80 => {
                let ([tag, len], [text_tag, text_len]) =
                    (short(len), short_header(Self::TEXT, text.len() as u8));
                to.extend_from_slice(&[tag, len, text_tag, text_len]);
                to.extend_from_slice(text.as_bytes());
            }
            Self::Int(int) => {
                // The field, and behind it unused bytes up to the constant length.
                let mut bytes = [0; MAX_INT_FIELD_LEN];
                bytes[..2].copy_from_slice(&short(len));
                bytes[2] = short_uint(Self::INT, 0)[0];
                let mut remaining_bits = int as u64;
                for byte in &mut bytes[3..2 + len] {
                    *byte = remaining_bits as u8 | 0x80;
                    remaining_bits >>= 7;
                }
                bytes[1 + len] &= 0x7F;
                let end = to.len() + 2 + len;
                // Copy all bytes, and then cut off the unused ones, because a copy of a constant
                // length needs no call of `memcpy`.
                to.extend_from_slice(&bytes);
                to.truncate(end);
            }
            Self::Double(double) => {
                let mut bytes = [0; 2 + 9];
                bytes[..2].copy_from_slice(&short(len));
                bytes[2..].copy_from_slice(&short_fixed64(Self::DOUBLE, double.to_bits()));
                to.extend_from_slice(&bytes);
            }
            _ => {
                to.header(field_number, len);
                self.encode(to);
            }
        }
    }

    /// Decodes the `AnyValue` in `encoded`, a field that begins with its tag.
    pub(super) fn decode(encoded: &'a [u8]) -> Option<Self> {
        let (_, WireValue::Bytes(value)) = fields(encoded).next()? else {
            return None;
        };
        match fields(value).next()? {
            (Self::TEXT, WireValue::Bytes(text)) => std::str::from_utf8(text).ok().map(Self::Text),
            (Self::BOOL, WireValue::Uint(bool)) => Some(Self::Bool(bool != 0)),
            (Self::INT, WireValue::Uint(int)) => Some(Self::Int(int as i64)),
            (Self::DOUBLE, WireValue::Fixed64(bits)) => Some(Self::Double(f64::from_bits(bits))),
            (Self::BYTES, WireValue::Bytes(bytes)) => Some(Self::Bytes(bytes)),
            (Self::ARRAY, WireValue::Bytes(elements)) => Some(Self::Array(elements)),
            _ => None,
        }
    }
}

/// The maximum length, in bytes, of a field with an integer: the tag and the length of the field,
/// the tag of the integer, and the integer.
const MAX_INT_FIELD_LEN: usize = 3 + MAX_VARINT_LEN;
