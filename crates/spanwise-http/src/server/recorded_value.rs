//! The values of fields that a handler records.

use std::borrow::Cow;

/// The value of a field that [`record`](crate::record) adds.
///
/// Integers of at most 64 bits, floats, booleans and strings convert into it. Format other values:
/// `record("order.id", id.to_string())`.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedValue(Kind);

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Bool(bool),
    Text(Cow<'static, str>),
}

impl RecordedValue {
    /// Returns the value as `tracing` accepts it.
    pub(crate) fn as_tracing(&self) -> &dyn tracing::Value {
        match &self.0 {
            Kind::Signed(value) => value,
            Kind::Unsigned(value) => value,
            Kind::Float(value) => value,
            Kind::Bool(value) => value,
            Kind::Text(Cow::Borrowed(value)) => value,
            Kind::Text(Cow::Owned(value)) => value,
        }
    }
}

macro_rules! from_types {
    ($($kind:ident: $($from:ty),+;)+) => {
        $($(
            impl From<$from> for RecordedValue {
                fn from(value: $from) -> Self {
                    Self(Kind::$kind(value.into()))
                }
            }
        )+)+
    };
}

from_types! {
    Signed: i8, i16, i32, i64;
    Unsigned: u8, u16, u32, u64;
    Float: f32, f64;
    Bool: bool;
    Text: String, Cow<'static, str>;
}

impl From<&str> for RecordedValue {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<usize> for RecordedValue {
    fn from(value: usize) -> Self {
        (value as u64).into()
    }
}

impl From<isize> for RecordedValue {
    fn from(value: isize) -> Self {
        (value as i64).into()
    }
}
