//! Whose the events are that were held back from a rate for each value of a field.

use spanwise_core::internal::sync::Mutex;
use tracing_core::field::Value;

/// A key and its value: of the first few values of a callsite that are held back before they are told; the others are told together.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) key: &'static str,
    pub(crate) value: OwnValue,
}

/// A value, of the type that it was logged with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OwnValue {
    Bool(bool),
    I64(i64),
    U64(u64),
    I128(i128),
    U128(u128),
    F64(f64),
    /// Of the context, which has texts alone, too.
    Text(String),
}

impl OwnValue {
    pub(crate) fn as_value(&self) -> &dyn Value {
        match self {
            Self::Bool(value) => value,
            Self::I64(value) => value,
            Self::U64(value) => value,
            Self::I128(value) => value,
            Self::U128(value) => value,
            Self::F64(value) => value,
            Self::Text(value) => value,
        }
    }
}

/// So many of a callsite have a summary of their own.
pub(crate) const OWNERS: usize = 8;

/// A longer value is not told. It must not be cut: a policy inside the sampler has to read all of
/// it, to find a secret of which a part is missing. The context cuts a value at 1,024 bytes, so
/// that one of this length is whole.
pub(crate) const MAX_VALUE_LEN: usize = 1000;

/// The name of a field for callsites that are made while the program runs. One for each name, for ever: rules name few.
pub(crate) fn name_for_ever(name: &str) -> &'static str {
    static NAMES: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    let mut names = NAMES.lock();
    if let Some(known) = names.iter().find(|known| **known == name) {
        return known;
    }
    let name: &'static str = Box::leak(name.into());
    names.push(name);
    name
}
