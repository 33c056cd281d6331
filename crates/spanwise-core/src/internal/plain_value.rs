//! Values without a text: numbers and booleans.

use std::fmt;

use tracing_core::field::Value;

/// A number or a boolean.
#[derive(Clone, Copy)]
pub(crate) enum PlainValue {
    Bool(bool),
    I64(i64),
    U64(u64),
    I128(i128),
    U128(u128),
    F64(f64),
}

/// Implements the methods of `Visit` for numbers and booleans with `Self::record_plain`.
macro_rules! record_plain_values {
    () => {
        record_plain_values!(
            record_f64(f64) F64, record_i64(i64) I64, record_u64(u64) U64,
            record_i128(i128) I128, record_u128(u128) U128, record_bool(bool) Bool
        );
    };
    ($($method:ident($type:ty) $variant:ident),+) => {$(
        fn $method(&mut self, field: &Field, value: $type) {
            self.record_plain(field, PlainValue::$variant(value));
        }
    )+};
}

pub(crate) use record_plain_values;

impl PlainValue {
    #[inline]
    pub(crate) fn as_value(&self) -> &dyn Value {
        match self {
            Self::Bool(value) => value,
            Self::I64(value) => value,
            Self::U64(value) => value,
            Self::I128(value) => value,
            Self::U128(value) => value,
            Self::F64(value) => value,
        }
    }
}

impl fmt::Display for PlainValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::F64(value) => fmt::Display::fmt(value, f),
            other => fmt::Debug::fmt(other, f),
        }
    }
}

/// The `Debug` of the value itself, such as `1.0`.
impl fmt::Debug for PlainValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value: &dyn fmt::Debug = match self {
            Self::Bool(value) => value,
            Self::I64(value) => value,
            Self::U64(value) => value,
            Self::I128(value) => value,
            Self::U128(value) => value,
            Self::F64(value) => value,
        };
        value.fmt(f)
    }
}
