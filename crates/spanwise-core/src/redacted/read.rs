//! Each value read, and as much of it kept as may be shown.

use std::{error::Error, fmt, ptr};

use tracing_core::{Field, field::Visit};

use super::{
    error::{Original, ShownError, next_number},
    fields::{Handling, Plan},
    texts::Texts,
    values::{Slot, When},
};
use crate::{NoRedaction, REDACTED, Redact};

/// A value as it comes.
#[derive(Clone, Copy)]
enum Given<'a> {
    Plain(Slot),
    Str(&'a str),
    Bytes(&'a [u8]),
    Debug(&'a dyn fmt::Debug),
    Error(&'a (dyn Error + 'static)),
}

impl Given<'_> {
    /// What the policy shows instead of it. Nobody but who is told of it has it formatted.
    #[cold]
    fn stand_in(self, key: &str, policy: &dyn Redact, when: When) -> String {
        let of = |value: fmt::Arguments<'_>| policy.replaced_display(key, value);
        match self {
            Self::Plain(Slot::Bool(value)) => of(format_args!("{value}")),
            Self::Plain(Slot::I64(value)) => of(format_args!("{value}")),
            Self::Plain(Slot::U64(value)) => of(format_args!("{value}")),
            Self::Plain(Slot::I128(value)) => of(format_args!("{value}")),
            Self::Plain(Slot::U128(value)) => of(format_args!("{value}")),
            Self::Plain(Slot::F64(value)) => of(format_args!("{value}")),
            Self::Plain(_) => REDACTED.to_owned(),
            Self::Str(text) => of(format_args!("{text}")),
            Self::Bytes(bytes) => of(format_args!("{}", String::from_utf8_lossy(bytes))),
            Self::Debug(_) | Self::Error(_) if when == When::Asked => REDACTED.to_owned(),
            Self::Debug(value) => of(format_args!("{value:?}")),
            Self::Error(error) => of(format_args!("{error}")),
        }
    }
}

/// Reads each value, and keeps what may be shown of it.
pub(super) struct Reader<'a> {
    plan: &'a Plan,
    policy: &'a dyn Redact,
    when: When,
    slots: &'a mut [Slot],
    texts: Box<Texts>,
    /// Whether what may be shown is not what came.
    differs: bool,
    /// Of the values, if an error is among them.
    number: Option<u64>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        policy: &'a dyn Redact,
        when: When,
        slots: &'a mut [Slot],
    ) -> Self {
        Self {
            plan,
            policy,
            when,
            slots,
            texts: Texts::take(),
            differs: false,
            number: None,
        }
    }

    /// The texts of the slots, whether what may be shown is not what came, and the number of the values if they have errors.
    pub(super) fn finish(self) -> (Box<Texts>, bool, Option<u64>) {
        (self.texts, self.differs, self.number)
    }

    /// A number or a boolean: nothing but its key may hide it.
    #[inline]
    fn plain(&mut self, handling: Option<Handling>, field: &Field, slot: Slot) {
        match handling {
            Some(Handling::Show | Handling::Read) => self.slots[field.index()] = slot,
            handling => self.by_key(field, Given::Plain(slot), handling),
        }
    }

    #[inline]
    fn visit(&mut self, field: &Field, given: Given<'_>) {
        let slot = match self.plan.handling(field) {
            Some(Handling::Read) => self.read(field, given),
            Some(Handling::Show) => self.copy(field, given),
            handling => return self.by_key(field, given, handling),
        };
        self.slots[field.index()] = slot;
    }

    /// A value that is hidden because of its key.
    fn by_key(&mut self, field: &Field, given: Given<'_>, handling: Option<Handling>) {
        self.differs = true;
        let slot = match handling {
            Some(Handling::Replace) => {
                let stand_in = given.stand_in(field.name(), self.policy, self.when);
                Slot::Str(self.texts.push(&stand_in))
            }
            Some(Handling::Remove) => Slot::Nothing,
            Some(Handling::Hide | Handling::Read | Handling::Show) => Slot::Hidden,
            None => return,
        };
        self.slots[field.index()] = slot;
    }

    #[inline]
    fn differ(&mut self, slot: Slot) -> Slot {
        self.differs = true;
        slot
    }

    /// The value as it is. Others may have to be shown differently, so it is kept.
    fn copy(&mut self, field: &Field, given: Given<'_>) -> Slot {
        let key = field.name();
        match given {
            Given::Plain(slot) => slot,
            Given::Str(text) => Slot::Str(self.texts.push(text)),
            Given::Bytes(bytes) => Slot::Bytes(self.texts.push_bytes(bytes)),
            Given::Debug(_) | Given::Error(_) if self.when == When::Asked => Slot::Later(false),
            Given::Debug(value) => self.texts.format(key, value, &NoRedaction),
            Given::Error(error) => self.keep_error(field, error, false),
        }
    }

    fn keep_error(&mut self, field: &Field, error: &(dyn Error + 'static), reads: bool) -> Slot {
        let policy = if reads { self.policy } else { &NoRedaction };
        let number = *self.number.get_or_insert_with(next_number);
        let original = Original::new(number, field, reads);
        let shown = ShownError::new(error, field.name(), policy, original);
        self.texts.push_error(shown)
    }

    /// As much of the value as the policy shows.
    #[inline]
    fn read(&mut self, field: &Field, given: Given<'_>) -> Slot {
        let key = field.name();
        match given {
            Given::Plain(slot) => slot,
            Given::Str(text) => self.read_str(key, text, |texts| Slot::Str(texts.push(text))),
            Given::Bytes(bytes) => self.read_str(key, &String::from_utf8_lossy(bytes), |texts| {
                Slot::Bytes(texts.push_bytes(bytes))
            }),
            Given::Debug(_) | Given::Error(_) if self.when == When::Asked => {
                self.differ(Slot::Later(true))
            }
            // It may write something else the next time: who looks next gets the text that was read.
            Given::Debug(value) => {
                let slot = self.texts.format(key, value, self.policy);
                self.differ(slot)
            }
            Given::Error(error) => {
                let slot = self.keep_error(field, error, true);
                self.differ(slot)
            }
        }
    }

    /// `keep`, if the policy shows all of `text`.
    #[inline]
    fn read_str(&mut self, key: &str, text: &str, keep: impl FnOnce(&mut Texts) -> Slot) -> Slot {
        let shown = self.policy.hide_value(key, text);
        // What is hidden may look as it did: `***et`, of which a policy shows the end.
        if ptr::eq(&*shown, text) || *shown == *text {
            keep(&mut self.texts)
        } else {
            let slot = Slot::Str(self.texts.push(&shown));
            self.differ(slot)
        }
    }
}

impl Visit for Reader<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.plain(self.plan.handling_of_number(field), field, Slot::F64(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(self.plan.handling_of_number(field), field, Slot::I64(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(self.plan.handling_of_number(field), field, Slot::U64(value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.plain(
            self.plan.handling_of_number(field),
            field,
            Slot::I128(value),
        );
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.plain(
            self.plan.handling_of_number(field),
            field,
            Slot::U128(value),
        );
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(self.plan.handling_of_bool(field), field, Slot::Bool(value));
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
