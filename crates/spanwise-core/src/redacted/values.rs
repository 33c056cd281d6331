//! Values of an event, a span or a record, rebuilt from what was read of them.

use std::{array, fmt};

use tracing_core::{
    Field,
    field::{DebugValue, Value, Visit, debug},
};

use super::{
    plan::FieldPlan,
    precheck::needs_redaction,
    rebuild::Rebuilder,
    redacted_error,
    text_arena::{ByteRange, TextArena},
};
use crate::{NoRedaction, REDACTED, Redact, internal::nested_json, redact::redacted_display};

/// Formatting `Debug` and `Display` of values are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Formatting {
    /// Once, before the values are handed on, so that what is read is what is shown.
    Eager,
    /// If somebody looks, for who seldom does.
    Lazy,
}

/// Calls `forward` with the values that `record` shows, as `plan` says; with none if they may be seen as they are.
pub(super) fn with_redacted<R>(
    plan: &FieldPlan,
    policy: &dyn Redact,
    formatting: Formatting,
    record: &dyn Fn(&mut dyn Visit),
    forward: impl FnOnce(Option<&[Option<&dyn Value>]>) -> R,
) -> R {
    if !plan.always_redacts() && !needs_redaction(plan, policy, record) {
        return forward(None);
    }
    with_stack_slice(plan.len(), |slots: &mut [RedactedValue]| {
        let mut rebuilder = Rebuilder::new(plan, policy, formatting, slots);
        record(&mut rebuilder);
        let (arena, differs, errors) = rebuilder.finish();
        let result = if differs {
            let source = Source { policy, record };
            match errors {
                Some(number) => redacted_error::with_originals(number, &source, || {
                    forward_slots(slots, &arena, &source, forward)
                }),
                None => forward_slots(slots, &arena, &source, forward),
            }
        } else {
            forward(None)
        };
        arena.put_back();
        result
    })
}

fn forward_slots<R>(
    slots: &[RedactedValue],
    arena: &TextArena,
    source: &Source<'_>,
    forward: impl FnOnce(Option<&[Option<&dyn Value>]>) -> R,
) -> R {
    with_stack_slice(slots.len(), |shown: &mut [AsValue<'_>]| {
        for (index, (slot, shown)) in slots.iter().zip(&mut *shown).enumerate() {
            *shown = slot.shown(index, arena, source);
        }
        with_stack_slice(slots.len(), |values: &mut [Option<&dyn Value>]| {
            for (value, shown) in values.iter_mut().zip(&*shown) {
                *value = shown.value();
            }
            forward(Some(values))
        })
    })
}

/// Callsites of more fields than this cost allocations.
const MAX_STACK_FIELDS: usize = 32;

/// The fewer, the less there is to be made ready.
const SMALL_STACK_FIELDS: usize = 8;

#[inline]
fn with_stack_slice<T: Default, R>(len: usize, f: impl FnOnce(&mut [T]) -> R) -> R {
    if len <= SMALL_STACK_FIELDS {
        let mut slice: [T; SMALL_STACK_FIELDS] = array::from_fn(|_| T::default());
        f(&mut slice[..len])
    } else if len <= MAX_STACK_FIELDS {
        let mut slice: [T; MAX_STACK_FIELDS] = array::from_fn(|_| T::default());
        f(&mut slice[..len])
    } else {
        let mut slice: Vec<T> = (0..len).map(|_| T::default()).collect();
        f(&mut slice)
    }
}

/// A value that was read, of the type it had. TextArena, bytes and errors are kept in [`TextArena`].
#[derive(Clone, Copy, Default)]
pub(super) enum RedactedValue {
    #[default]
    Nothing,
    Hidden,
    Bool(bool),
    I64(i64),
    U64(u64),
    I128(i128),
    U128(u128),
    F64(f64),
    Str(ByteRange),
    Debug(ByteRange),
    /// What `Debug` wrote is nested JSON.
    Json(ByteRange),
    Bytes(ByteRange),
    Error(usize),
    /// To be formatted if somebody looks; true if the policy reads it.
    Lazy(bool),
}

/// A [`RedactedValue`] as something that has a `Value`.
#[derive(Default)]
enum AsValue<'a> {
    #[default]
    Nothing,
    Value(&'a dyn Value),
    Str(&'a str),
    Bytes(&'a [u8]),
    Debug(DebugValue<Formatted<'a>>),
    Json(DebugValue<FormattedJson<'a>>),
    Lazy(DebugValue<LazyValue<'a>>),
}

/// Where the values come from, and who reads them.
pub(super) struct Source<'a> {
    pub(super) policy: &'a dyn Redact,
    pub(super) record: &'a dyn Fn(&mut dyn Visit),
}

impl RedactedValue {
    #[inline]
    fn shown<'a>(
        &'a self,
        index: usize,
        arena: &'a TextArena,
        source: &'a Source<'a>,
    ) -> AsValue<'a> {
        match self {
            Self::Nothing => AsValue::Nothing,
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
            Self::Lazy(reads) => AsValue::Lazy(debug(LazyValue {
                index,
                reads: *reads,
                source,
            })),
        }
    }
}

impl AsValue<'_> {
    #[inline]
    fn value(&self) -> Option<&dyn Value> {
        match self {
            Self::Nothing => None,
            Self::Value(value) => Some(*value),
            Self::Str(text) => Some(text),
            Self::Bytes(bytes) => Some(bytes),
            Self::Debug(text) => Some(text),
            Self::Json(json) => Some(json),
            Self::Lazy(text) => Some(text),
        }
    }
}

/// What a `Debug` wrote.
#[derive(Clone, Copy)]
struct Formatted<'a>(&'a str);

impl fmt::Debug for Formatted<'_> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What a `Debug` wrote that is nested JSON, with its marks.
struct FormattedJson<'a>(&'a str);

impl fmt::Debug for FormattedJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [nested_json::begin(), self.0, nested_json::end()];
        parts.into_iter().try_for_each(|part| f.write_str(part))
    }
}

/// What a `Debug` would write, read by the policy each time somebody looks.
#[derive(Clone, Copy)]
struct LazyValue<'a> {
    index: usize,
    reads: bool,
    source: &'a Source<'a>,
}

impl fmt::Debug for LazyValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct One<'a, 'f, 'w>(&'a LazyValue<'a>, &'f mut fmt::Formatter<'w>, fmt::Result);
        impl Visit for One<'_, '_, '_> {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                if field.index() == self.0.index {
                    let policy = if self.0.reads {
                        self.0.source.policy
                    } else {
                        &NoRedaction
                    };
                    let text = redacted_display(policy, field.name(), format_args!("{value:?}"));
                    self.2 = self.1.write_str(&text);
                }
            }
        }
        let mut one = One(self, f, Ok(()));
        (self.source.record)(&mut one);
        one.2
    }
}
