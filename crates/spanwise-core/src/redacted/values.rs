//! Values, read by the policy and handed on.

use std::{cell::Cell, error::Error, fmt, ops::Range, ptr};

use tracing_core::{
    Field,
    field::{DebugValue, Value, Visit, debug},
};

use super::{
    error::ShownError,
    fields::{Handling, Plan},
};
use crate::{
    NoRedaction, REDACTED, Redact, guarded,
    redact::{BUDGET, text_of},
};

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
    with_room(plan.len(), |slots: &mut [Slot]| {
        let mut reader = Reader {
            plan,
            policy,
            when,
            slots,
            texts: Texts::take(),
            differs: false,
        };
        record(&mut reader);
        let Reader {
            slots,
            texts,
            differs,
            ..
        } = reader;
        let result = if differs {
            forward_slots(slots, &texts, policy, record, forward)
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
    policy: &dyn Redact,
    record: &dyn Fn(&mut dyn Visit),
    forward: impl FnOnce(Option<&[Option<&dyn Value>]>) -> R,
) -> R {
    with_room(slots.len(), |shown: &mut [Shown<'_>]| {
        for (index, (slot, shown)) in slots.iter().zip(&mut *shown).enumerate() {
            *shown = slot.shown(index, texts, policy, record);
        }
        with_room(slots.len(), |values: &mut [Option<&dyn Value>]| {
            for (value, shown) in values.iter_mut().zip(&*shown) {
                *value = shown.value();
            }
            forward(Some(values))
        })
    })
}

/// Callsites of more fields than this cost an allocation.
const FEW: usize = 16;

#[inline]
fn with_room<T: Default, R>(len: usize, f: impl FnOnce(&mut [T]) -> R) -> R {
    if len <= FEW {
        let mut room: [T; FEW] = std::array::from_fn(|_| T::default());
        f(&mut room[..len])
    } else {
        let mut room: Vec<T> = (0..len).map(|_| T::default()).collect();
        f(&mut room)
    }
}

/// A value that was read, of the type it had. Texts and bytes are kept in [`Texts`].
#[derive(Default)]
enum Slot {
    #[default]
    Nothing,
    Hidden,
    Bool(bool),
    I64(i64),
    U64(u64),
    I128(i128),
    U128(u128),
    F64(f64),
    Str(Range<usize>),
    Debug(Range<usize>),
    Bytes(Range<usize>),
    Error(Box<dyn Error>),
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
    Later(DebugValue<Later<'a>>),
}

impl Slot {
    #[inline]
    fn shown<'a>(
        &'a self,
        index: usize,
        texts: &'a Texts,
        policy: &'a dyn Redact,
        record: &'a dyn Fn(&mut dyn Visit),
    ) -> Shown<'a> {
        match self {
            Self::Nothing => Shown::Nothing,
            Self::Hidden => Shown::Str(REDACTED),
            Self::Bool(value) => Shown::Value(value),
            Self::I64(value) => Shown::Value(value),
            Self::U64(value) => Shown::Value(value),
            Self::I128(value) => Shown::Value(value),
            Self::U128(value) => Shown::Value(value),
            Self::F64(value) => Shown::Value(value),
            Self::Str(range) => Shown::Str(&texts.text[range.clone()]),
            Self::Debug(range) => Shown::Debug(debug(Formatted(&texts.text[range.clone()]))),
            Self::Bytes(range) => Shown::Bytes(&texts.bytes[range.clone()]),
            Self::Error(error) => Shown::Value(error),
            Self::Later(reads) => Shown::Later(debug(Later {
                index,
                policy: if *reads { policy } else { &NoRedaction },
                record,
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
            Self::Later(text) => Some(text),
        }
    }
}

/// What a `Debug` wrote.
struct Formatted<'a>(&'a str);

impl fmt::Debug for Formatted<'_> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What a `Debug` would write, read by the policy each time somebody looks.
struct Later<'a> {
    index: usize,
    policy: &'a dyn Redact,
    record: &'a dyn Fn(&mut dyn Visit),
}

impl fmt::Debug for Later<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct One<'a, 'f, 'w>(&'a Later<'a>, &'f mut fmt::Formatter<'w>, fmt::Result);
        impl Visit for One<'_, '_, '_> {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                if field.index() == self.0.index {
                    let text = text_of(self.0.policy, format_args!("{value:?}"));
                    self.2 = self.1.write_str(&text);
                }
            }
        }
        let mut one = One(self, f, Ok(()));
        (self.record)(&mut one);
        one.2
    }
}

/// A value as it comes.
enum Given<'a> {
    Plain(Slot),
    Str(&'a str),
    Bytes(&'a [u8]),
    Debug(&'a dyn fmt::Debug),
    Error(&'a (dyn Error + 'static)),
}

/// Reads each value, and keeps what may be shown of it.
struct Reader<'a> {
    plan: &'a Plan,
    policy: &'a dyn Redact,
    when: When,
    slots: &'a mut [Slot],
    texts: Texts,
    /// Whether what may be shown is not what came.
    differs: bool,
}

impl Reader<'_> {
    #[inline]
    fn visit(&mut self, field: &Field, given: Given<'_>) {
        let slot = match self.plan.handling(field) {
            Some(Handling::Show) => self.copy(given),
            Some(Handling::Read) => self.read(given),
            Some(Handling::Hide) => self.differ(Slot::Hidden),
            Some(Handling::Remove) => self.differ(Slot::Nothing),
            None => {
                self.differs = true;
                return;
            }
        };
        self.slots[field.index()] = slot;
    }

    #[inline]
    fn differ(&mut self, slot: Slot) -> Slot {
        self.differs = true;
        slot
    }

    /// The value as it is. Others may have to be shown differently, so it is kept.
    fn copy(&mut self, given: Given<'_>) -> Slot {
        match given {
            Given::Plain(slot) => slot,
            Given::Str(text) => Slot::Str(self.texts.push(text)),
            Given::Bytes(bytes) => Slot::Bytes(self.texts.push_bytes(bytes)),
            Given::Debug(_) | Given::Error(_) if self.when == When::Asked => Slot::Later(false),
            Given::Debug(value) => self.texts.format(value, &NoRedaction),
            Given::Error(error) => Slot::Error(ShownError::of(error, &NoRedaction)),
        }
    }

    /// As much of the value as the policy shows.
    #[inline]
    fn read(&mut self, given: Given<'_>) -> Slot {
        match given {
            Given::Plain(slot) => slot,
            Given::Str(text) => self.read_str(text, |texts| Slot::Str(texts.push(text))),
            Given::Bytes(bytes) => self.read_str(&String::from_utf8_lossy(bytes), |texts| {
                Slot::Bytes(texts.push_bytes(bytes))
            }),
            Given::Debug(_) | Given::Error(_) if self.when == When::Asked => {
                self.differ(Slot::Later(true))
            }
            // It may write something else the next time: who looks next gets the text that was read.
            Given::Debug(value) => {
                let slot = self.texts.format(value, self.policy);
                self.differ(slot)
            }
            Given::Error(error) => self.differ(Slot::Error(ShownError::of(error, self.policy))),
        }
    }

    /// `keep`, if the policy shows all of `text`.
    #[inline]
    fn read_str(&mut self, text: &str, keep: impl FnOnce(&mut Texts) -> Slot) -> Slot {
        if text.len() > BUDGET {
            return self.differ(Slot::Hidden);
        }
        let shown = self.policy.hide(text);
        // Borrowed is not enough: it may be borrowed from elsewhere.
        if ptr::eq(&*shown, text) {
            keep(&mut self.texts)
        } else {
            let slot = Slot::Str(self.texts.push(&shown));
            self.differ(slot)
        }
    }
}

impl Visit for Reader<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.visit(field, Given::Plain(Slot::F64(value)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.visit(field, Given::Plain(Slot::I64(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.visit(field, Given::Plain(Slot::U64(value)));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.visit(field, Given::Plain(Slot::I128(value)));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.visit(field, Given::Plain(Slot::U128(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.visit(field, Given::Plain(Slot::Bool(value)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.visit(field, Given::Str(value));
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.visit(field, Given::Bytes(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.visit(field, Given::Error(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.visit(field, Given::Debug(value));
    }
}

/// The texts and bytes of one event's values, in memory that the next event of this thread uses again.
#[derive(Default)]
struct Texts {
    text: String,
    bytes: Vec<u8>,
}

thread_local! {
    static TEXTS: Cell<Texts> = const { Cell::new(Texts { text: String::new(), bytes: Vec::new() }) };
}

/// A thread keeps no more memory than this, twice.
const KEPT: usize = 16 * 1024;

impl Texts {
    /// The thread's, or empty ones while it is inside of another event, and when it ends.
    fn take() -> Self {
        TEXTS.try_with(Cell::take).unwrap_or_default()
    }

    fn put_back(mut self) {
        if self.text.capacity() <= KEPT && self.bytes.capacity() <= KEPT {
            self.text.clear();
            self.bytes.clear();
            // At the end of the thread there is nowhere to put them.
            let _ = TEXTS.try_with(|texts| texts.set(self));
        }
    }

    fn push(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }

    fn push_bytes(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    /// As much of what `value` writes as `policy` shows.
    fn format(&mut self, value: &dyn fmt::Debug, policy: &dyn Redact) -> Slot {
        let start = self.text.len();
        if guarded::append(&mut self.text, format_args!("{value:?}"), BUDGET) {
            self.text.truncate(start);
            return Slot::Hidden;
        }
        let text = &self.text[start..];
        let shown = policy.hide(text);
        if !ptr::eq(&*shown, text) {
            let shown = shown.into_owned();
            self.text.truncate(start);
            self.text.push_str(&shown);
        }
        Slot::Debug(start..self.text.len())
    }
}
