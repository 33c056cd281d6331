//! The value of a captured field.

use std::fmt;

/// The value of a captured field.
///
/// A value that was logged with `%` or `?` is a text. Numbers are compared regardless of their
/// width, so a field logged as `7_u8` equals `7_i64`.
///
/// ```
/// use spanwise_testing::{FieldValue, capture};
///
/// let logs = capture();
/// tracing::info!(count = 7_u8, path = %"/orders", tags = ?["a"], "listed");
///
/// let event = logs.one("listed");
/// assert_eq!(event.field("count"), Some(&FieldValue::from(7)));
/// assert_eq!(event.field("path"), Some(&FieldValue::from("/orders")));
/// assert_eq!(event.field("tags").map(FieldValue::to_string), Some(r#"["a"]"#.to_owned()));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FieldValue {
    /// A boolean.
    Bool(bool),
    /// An integer of any type.
    Int(i128),
    /// An integer that [`Int`](Self::Int) cannot hold.
    BigInt(u128),
    /// A floating-point number.
    Float(f64),
    /// A `str`, or the output of a `Display` or `Debug`. Truncated at 1 MiB.
    Text(String),
    /// A byte slice.
    Bytes(Vec<u8>),
    /// An error that was logged as `error = &err as &dyn Error`.
    Error {
        /// The message of the error.
        message: String,
        /// The messages of its sources, outermost first, at most 16.
        causes: Vec<String>,
    },
}

impl FieldValue {
    /// Returns whether the value is the expected one in a test. An error is compared by its
    /// message, with or without causes. `NaN` equals `NaN`.
    pub(crate) fn matches(&self, expected: &Self) -> bool {
        match (self, expected) {
            (Self::Error { message, .. }, Self::Text(text)) => {
                message == text || self.to_string() == *text
            }
            (Self::Float(float), Self::Float(expected)) => {
                float == expected || (float.is_nan() && expected.is_nan())
            }
            _ => self == expected,
        }
    }

    /// Returns the value with its type, so that the number 42 and the text "42" look different.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Int(_) | Self::BigInt(_) => format!("the integer {self}"),
            Self::Float(value) => format!("the float {value:?}"),
            Self::Text(text) => format!("the text {text:?}"),
            Self::Bytes(_) => format!("the bytes 0x{self}"),
            Self::Error { .. } => format!("the error {:?}", self.to_string()),
        }
    }
}

impl fmt::Display for FieldValue {
    /// Writes bytes in hexadecimal, and an error with its causes after colons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::BigInt(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Self::Error { message, causes } => {
                f.write_str(message)?;
                causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
            }
        }
    }
}

macro_rules! from {
    ($to:expr, $($from:ty),+) => {
        $(impl From<$from> for FieldValue {
            fn from(value: $from) -> Self {
                $to(value.into())
            }
        })+
    };
}

from!(FieldValue::Bool, bool);
from!(FieldValue::Int, i8, i16, i32, i64, i128, u8, u16, u32, u64);
from!(FieldValue::Float, f32, f64);
from!(FieldValue::Text, &str, String);
from!(FieldValue::Bytes, &[u8]);

impl From<u128> for FieldValue {
    fn from(value: u128) -> Self {
        i128::try_from(value).map_or(Self::BigInt(value), Self::Int)
    }
}

impl From<usize> for FieldValue {
    fn from(value: usize) -> Self {
        // No target has a `usize` wider than 64 bits.
        Self::Int(value as i128)
    }
}

impl From<isize> for FieldValue {
    fn from(value: isize) -> Self {
        Self::Int(value as i128)
    }
}
