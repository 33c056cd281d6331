//! Values of an event, a span or a record, rebuilt from what was read of them.

use std::{array, fmt};

use tracing_core::{
    Field,
    field::{DebugValue, Value, Visit, debug},
};

use super::{
    error,
    fields::Plan,
    glance::glance,
    read::Reader,
    texts::{Place, Texts},
};
use crate::{NoRedaction, REDACTED, Redact, nested_json, redact::text_of};

/// When `Debug` and `Display` of values are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Once, before the values are handed on, so that what is read is what is shown.
    Now,
    /// If somebody looks, for who seldom does.
    Asked,
}

/// Calls `forward` with the values that `record` shows, as `plan` says; with none if they may be seen as they are.
pub(super) fn show<R>(
    plan: &Plan,
    policy: &dyn Redact,
    when: When,
    record: &dyn Fn(&mut dyn Visit),
    forward: impl FnOnce(Option<&[Option<&dyn Value>]>) -> R,
) -> R {
    if !plan.always_differs() && !glance(plan, policy, record) {
        return forward(None);
    }
    with_room(plan.len(), |slots: &mut [Slot]| {
        let mut reader = Reader::new(plan, policy, when, slots);
        record(&mut reader);
        let (texts, differs, errors) = reader.finish();
        let result = if differs {
            let source = Source { policy, record };
            match errors {
                Some(number) => error::with_originals(number, &source, || {
                    forward_slots(slots, &texts, &source, forward)
                }),
                None => forward_slots(slots, &texts, &source, forward),
            }
        } else {
            forward(None)
        };
        texts.put_back();
        result
    })
}

fn forward_slots<R>(
    slots: &[Slot],
    texts: &Texts,
    source: &Source<'_>,
    forward: impl FnOnce(Option<&[Option<&dyn Value>]>) -> R,
) -> R {
    with_room(slots.len(), |shown: &mut [Shown<'_>]| {
        for (index, (slot, shown)) in slots.iter().zip(&mut *shown).enumerate() {
            *shown = slot.shown(index, texts, source);
        }
        with_room(slots.len(), |values: &mut [Option<&dyn Value>]| {
            for (value, shown) in values.iter_mut().zip(&*shown) {
                *value = shown.value();
            }
            forward(Some(values))
        })
    })
}

/// Callsites of more fields than this cost allocations.
const MANY: usize = 32;

/// The fewer, the less there is to be made ready.
const FEW: usize = 8;

#[inline]
fn with_room<T: Default, R>(len: usize, f: impl FnOnce(&mut [T]) -> R) -> R {
    if len <= FEW {
        let mut room: [T; FEW] = array::from_fn(|_| T::default());
        f(&mut room[..len])
    } else if len <= MANY {
        let mut room: [T; MANY] = array::from_fn(|_| T::default());
        f(&mut room[..len])
    } else {
        let mut room: Vec<T> = (0..len).map(|_| T::default()).collect();
        f(&mut room)
    }
}

/// A value that was read, of the type it had. Texts, bytes and errors are kept in [`Texts`].
#[derive(Clone, Copy, Default)]
pub(super) enum Slot {
    #[default]
    Nothing,
    Hidden,
    Bool(bool),
    I64(i64),
    U64(u64),
    I128(i128),
    U128(u128),
    F64(f64),
    Str(Place),
    Debug(Place),
    /// What `Debug` wrote is nested JSON.
    Json(Place),
    Bytes(Place),
    Error(usize),
    /// To be formatted if somebody looks; true if the policy reads it.
    Later(bool),
}

/// A [`Slot`] as something that has a `Value`.
#[derive(Default)]
enum Shown<'a> {
    #[default]
    Nothing,
    Value(&'a dyn Value),
    Str(&'a str),
    Bytes(&'a [u8]),
    Debug(DebugValue<Formatted<'a>>),
    Json(DebugValue<FormattedJson<'a>>),
    Later(DebugValue<Later<'a>>),
}

/// Where the values come from, and who reads them.
pub(super) struct Source<'a> {
    pub(super) policy: &'a dyn Redact,
    pub(super) record: &'a dyn Fn(&mut dyn Visit),
}

impl Slot {
    #[inline]
    fn shown<'a>(&'a self, index: usize, texts: &'a Texts, source: &'a Source<'a>) -> Shown<'a> {
        match self {
            Self::Nothing => Shown::Nothing,
            Self::Hidden => Shown::Str(REDACTED),
            Self::Bool(value) => Shown::Value(value),
            Self::I64(value) => Shown::Value(value),
            Self::U64(value) => Shown::Value(value),
            Self::I128(value) => Shown::Value(value),
            Self::U128(value) => Shown::Value(value),
            Self::F64(value) => Shown::Value(value),
            Self::Str(place) => Shown::Str(texts.text(*place)),
            Self::Debug(place) => Shown::Debug(debug(Formatted(texts.text(*place)))),
            Self::Json(place) => Shown::Json(debug(FormattedJson(texts.text(*place)))),
            Self::Bytes(place) => Shown::Bytes(texts.bytes(*place)),
            Self::Error(index) => Shown::Value(texts.error(*index)),
            Self::Later(reads) => Shown::Later(debug(Later {
                index,
                reads: *reads,
                source,
            })),
        }
    }
}

impl Shown<'_> {
    #[inline]
    fn value(&self) -> Option<&dyn Value> {
        match self {
            Self::Nothing => None,
            Self::Value(value) => Some(*value),
            Self::Str(text) => Some(text),
            Self::Bytes(bytes) => Some(bytes),
            Self::Debug(text) => Some(text),
            Self::Json(json) => Some(json),
            Self::Later(text) => Some(text),
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
struct Later<'a> {
    index: usize,
    reads: bool,
    source: &'a Source<'a>,
}

impl fmt::Debug for Later<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct One<'a, 'f, 'w>(&'a Later<'a>, &'f mut fmt::Formatter<'w>, fmt::Result);
        impl Visit for One<'_, '_, '_> {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                if field.index() == self.0.index {
                    let policy = if self.0.reads {
                        self.0.source.policy
                    } else {
                        &NoRedaction
                    };
                    let text = text_of(policy, field.name(), format_args!("{value:?}"));
                    self.2 = self.1.write_str(&text);
                }
            }
        }
        let mut one = One(self, f, Ok(()));
        (self.source.record)(&mut one);
        one.2
    }
}
