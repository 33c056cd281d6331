//! The redacted form of values, and its conversion to `tracing` values.

use std::fmt;

use tracing_core::{
    Field,
    field::{DebugValue, Value, Visit, debug},
};

use super::{
    redacted_error::Originals,
    text_arena::{ByteRange, TextArena},
};
use crate::{NoRedaction, REDACTED, Redact, internal::nested_json, redact::redacted_display};

/// The redacted form of a value. Texts, bytes and errors are in a [`TextArena`], and the variant
/// has their position in it.
#[derive(Clone, Copy, Default)]
pub(super) enum RedactedValue {
    /// The field has no value, or the policy removes it.
    #[default]
    Absent,
    /// The text `[REDACTED]`.
    Hidden,
    Bool(bool),
    I64(i64),
    U64(u64),
    I128(i128),
    U128(u128),
    F64(f64),
    Str(ByteRange),
    /// The output of a `Debug`.
    Debug(ByteRange),
    /// The output of a `Debug` that is nested JSON.
    Json(ByteRange),
    Bytes(ByteRange),
    /// The index of the error.
    Error(usize),
    /// Formatted on demand.
    Lazy(TextHandling),
}

/// Whether the policy scans a text before it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextHandling {
    Scan,
    Show,
}

impl TextHandling {
    /// Returns the policy to redact the text with.
    pub(super) fn policy(self, policy: &dyn Redact) -> &dyn Redact {
        match self {
            Self::Scan => policy,
            Self::Show => &NoRedaction,
        }
    }
}

/// Implements the methods of `Visit` for numbers and booleans, with `Self::visit_plain`.
macro_rules! record_plain_values {
    () => {
        record_plain_values!(
            record_f64(f64) number_handling F64, record_i64(i64) number_handling I64,
            record_u64(u64) number_handling U64, record_i128(i128) number_handling I128,
            record_u128(u128) number_handling U128, record_bool(bool) bool_handling Bool
        );
    };
    ($($method:ident($type:ty) $handling:ident $variant:ident),+) => {$(
        fn $method(&mut self, field: &Field, value: $type) {
            let handling = self.plan.$handling(field);
            self.visit_plain(handling, field, RedactedValue::$variant(value));
        }
    )+};
}

pub(super) use record_plain_values;

/// A [`RedactedValue`] in a form that can be borrowed as a `Value`.
#[derive(Default)]
pub(super) enum AsValue<'a> {
    #[default]
    Absent,
    Value(&'a dyn Value),
    Str(&'a str),
    Bytes(&'a [u8]),
    Debug(DebugValue<Formatted<'a>>),
    Json(DebugValue<FormattedJson<'a>>),
    Lazy(DebugValue<LazyValue<'a>>),
}

impl RedactedValue {
    /// Returns the value of the field at `index`, in a form that `tracing` accepts.
    #[inline]
    pub(super) fn as_value<'a>(
        &'a self,
        index: usize,
        arena: &'a TextArena,
        originals: &'a Originals<'a>,
    ) -> AsValue<'a> {
        match self {
            Self::Absent => AsValue::Absent,
            Self::Hidden => AsValue::Str(REDACTED),
            Self::Bool(value) => AsValue::Value(value),
            Self::I64(value) => AsValue::Value(value),
            Self::U64(value) => AsValue::Value(value),
            Self::I128(value) => AsValue::Value(value),
            Self::U128(value) => AsValue::Value(value),
            Self::F64(value) => AsValue::Value(value),
            Self::Str(range) => AsValue::Str(arena.text(*range)),
            Self::Debug(range) => AsValue::Debug(debug(Formatted(arena.text(*range)))),
            Self::Json(range) => AsValue::Json(debug(FormattedJson(arena.text(*range)))),
            Self::Bytes(range) => AsValue::Bytes(arena.bytes(*range)),
            Self::Error(index) => AsValue::Value(arena.error(*index)),
            Self::Lazy(handling) => AsValue::Lazy(debug(LazyValue {
                index,
                handling: *handling,
                originals,
            })),
        }
    }
}

impl AsValue<'_> {
    #[inline]
    pub(super) fn value(&self) -> Option<&dyn Value> {
        match self {
            Self::Absent => None,
            Self::Value(value) => Some(*value),
            Self::Str(text) => Some(text),
            Self::Bytes(bytes) => Some(bytes),
            Self::Debug(text) => Some(text),
            Self::Json(json) => Some(json),
            Self::Lazy(text) => Some(text),
        }
    }
}

/// The output of a `Debug`. Its own `Debug` writes that text unchanged.
#[derive(Clone, Copy)]
pub(super) struct Formatted<'a>(&'a str);

impl fmt::Debug for Formatted<'_> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The output of a `Debug` that is nested JSON. Its own `Debug` writes the marks of
/// [`nested_json`] around the text.
pub(super) struct FormattedJson<'a>(&'a str);

impl fmt::Debug for FormattedJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [nested_json::begin(), self.0, nested_json::end()];
        parts.into_iter().try_for_each(|part| f.write_str(part))
    }
}

/// A value that is formatted and redacted each time the inner layer formats it.
#[derive(Clone, Copy)]
pub(super) struct LazyValue<'a> {
    /// The index of the field.
    index: usize,
    handling: TextHandling,
    originals: &'a Originals<'a>,
}

impl fmt::Debug for LazyValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Formats the field with the index of the lazy value.
        struct FormatField<'a, 'f, 'w> {
            lazy: &'a LazyValue<'a>,
            out: &'f mut fmt::Formatter<'w>,
            result: fmt::Result,
        }
        impl Visit for FormatField<'_, '_, '_> {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                if field.index() == self.lazy.index {
                    let policy = self.lazy.handling.policy(self.lazy.originals.policy);
                    let text = redacted_display(policy, field.name(), format_args!("{value:?}"));
                    self.result = self.out.write_str(&text);
                }
            }
        }
        let mut visitor = FormatField {
            lazy: self,
            out: f,
            result: Ok(()),
        };
        (self.originals.record)(&mut visitor);
        visitor.result
    }
}
