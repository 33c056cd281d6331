//! Each value read, and as much of it kept as may be shown.

use std::{error::Error, fmt, ptr};

use tracing_core::{Field, field::Visit};

use super::{
    plan::{FieldPlan, Handling},
    redacted_error::{Original, RedactedError, next_number},
    text_arena::TextArena,
    values::{Formatting, RedactedValue},
};
use crate::{NoRedaction, REDACTED, Redact};

/// A value as it comes.
#[derive(Clone, Copy)]
enum FieldValue<'a> {
    Plain(RedactedValue),
    Str(&'a str),
    Bytes(&'a [u8]),
    Debug(&'a dyn fmt::Debug),
    Error(&'a (dyn Error + 'static)),
}

impl FieldValue<'_> {
    /// What the policy shows instead of it. Nobody but who is told of it has it formatted.
    #[cold]
    fn replacement(self, key: &str, policy: &dyn Redact, formatting: Formatting) -> String {
        let of = |value: fmt::Arguments<'_>| policy.replace_display(key, value);
        match self {
            Self::Plain(RedactedValue::Bool(value)) => of(format_args!("{value}")),
            Self::Plain(RedactedValue::I64(value)) => of(format_args!("{value}")),
            Self::Plain(RedactedValue::U64(value)) => of(format_args!("{value}")),
            Self::Plain(RedactedValue::I128(value)) => of(format_args!("{value}")),
            Self::Plain(RedactedValue::U128(value)) => of(format_args!("{value}")),
            Self::Plain(RedactedValue::F64(value)) => of(format_args!("{value}")),
            Self::Plain(_) => REDACTED.to_owned(),
            Self::Str(text) => of(format_args!("{text}")),
            Self::Bytes(bytes) => of(format_args!("{}", String::from_utf8_lossy(bytes))),
            Self::Debug(_) | Self::Error(_) if formatting == Formatting::Lazy => {
                REDACTED.to_owned()
            }
            Self::Debug(value) => of(format_args!("{value:?}")),
            Self::Error(error) => of(format_args!("{error}")),
        }
    }
}

/// Reads each value, and keeps what may be shown of it.
pub(super) struct Rebuilder<'a> {
    plan: &'a FieldPlan,
    policy: &'a dyn Redact,
    formatting: Formatting,
    slots: &'a mut [RedactedValue],
    arena: Box<TextArena>,
    /// Whether what may be shown is not what came.
    differs: bool,
    /// Of the values, if an error is among them.
    number: Option<u64>,
}

impl<'a> Rebuilder<'a> {
    pub(super) fn new(
        plan: &'a FieldPlan,
        policy: &'a dyn Redact,
        formatting: Formatting,
        slots: &'a mut [RedactedValue],
    ) -> Self {
        Self {
            plan,
            policy,
            formatting,
            slots,
            arena: TextArena::take(),
            differs: false,
            number: None,
        }
    }

    /// The arena of the slots, whether what may be shown is not what came, and the number of the values if they have errors.
    pub(super) fn finish(self) -> (Box<TextArena>, bool, Option<u64>) {
        (self.arena, self.differs, self.number)
    }

    /// A number or a boolean: nothing but its key may hide it.
    #[inline]
    fn plain(&mut self, handling: Option<Handling>, field: &Field, slot: RedactedValue) {
        match handling {
            Some(Handling::Show | Handling::Scan) => self.slots[field.index()] = slot,
            handling => self.by_key(field, FieldValue::Plain(slot), handling),
        }
    }

    #[inline]
    fn visit(&mut self, field: &Field, value_given: FieldValue<'_>) {
        let slot = match self.plan.text_handling(field) {
            Some(Handling::Scan) => self.read(field, value_given),
            Some(Handling::Show) => self.copy(field, value_given),
            handling => return self.by_key(field, value_given, handling),
        };
        self.slots[field.index()] = slot;
    }

    /// A value that is hidden because of its key.
    fn by_key(&mut self, field: &Field, value_given: FieldValue<'_>, handling: Option<Handling>) {
        self.differs = true;
        let slot = match handling {
            Some(Handling::Replace) => {
                let replacement =
                    value_given.replacement(field.name(), self.policy, self.formatting);
                RedactedValue::Str(self.arena.push(&replacement))
            }
            Some(Handling::Remove) => RedactedValue::Nothing,
            Some(Handling::Redact | Handling::Scan | Handling::Show) => RedactedValue::Hidden,
            None => return,
        };
        self.slots[field.index()] = slot;
    }

    #[inline]
    fn differ(&mut self, slot: RedactedValue) -> RedactedValue {
        self.differs = true;
        slot
    }

    /// The value as it is. Others may have to be shown differently, so it is kept.
    fn copy(&mut self, field: &Field, value_given: FieldValue<'_>) -> RedactedValue {
        let key = field.name();
        match value_given {
            FieldValue::Plain(slot) => slot,
            FieldValue::Str(text) => RedactedValue::Str(self.arena.push(text)),
            FieldValue::Bytes(bytes) => RedactedValue::Bytes(self.arena.push_bytes(bytes)),
            FieldValue::Debug(_) | FieldValue::Error(_) if self.formatting == Formatting::Lazy => {
                RedactedValue::Lazy(false)
            }
            FieldValue::Debug(value) => self.arena.format(key, value, &NoRedaction),
            FieldValue::Error(error) => self.keep_error(field, error, false),
        }
    }

    fn keep_error(
        &mut self,
        field: &Field,
        error: &(dyn Error + 'static),
        reads: bool,
    ) -> RedactedValue {
        let policy = if reads { self.policy } else { &NoRedaction };
        let number = *self.number.get_or_insert_with(next_number);
        let original = Original::new(number, field, reads);
        let shown = RedactedError::new(error, field.name(), policy, original);
        self.arena.push_error(shown)
    }

    /// As much of the value as the policy shows.
    #[inline]
    fn read(&mut self, field: &Field, value_given: FieldValue<'_>) -> RedactedValue {
        let key = field.name();
        match value_given {
            FieldValue::Plain(slot) => slot,
            FieldValue::Str(text) => {
                self.read_str(key, text, |arena| RedactedValue::Str(arena.push(text)))
            }
            FieldValue::Bytes(bytes) => {
                self.read_str(key, &String::from_utf8_lossy(bytes), |arena| {
                    RedactedValue::Bytes(arena.push_bytes(bytes))
                })
            }
            FieldValue::Debug(_) | FieldValue::Error(_) if self.formatting == Formatting::Lazy => {
                self.differ(RedactedValue::Lazy(true))
            }
            // It may write something else the next time: who looks next gets the text that was read.
            FieldValue::Debug(value) => {
                let slot = self.arena.format(key, value, self.policy);
                self.differ(slot)
            }
            FieldValue::Error(error) => {
                let slot = self.keep_error(field, error, true);
                self.differ(slot)
            }
        }
    }

    /// `keep`, if the policy shows all of `text`.
    #[inline]
    fn read_str(
        &mut self,
        key: &str,
        text: &str,
        keep: impl FnOnce(&mut TextArena) -> RedactedValue,
    ) -> RedactedValue {
        let shown = self.policy.redact_value(key, text);
        // What is hidden may look as it did: `***et`, of which a policy shows the end.
        if ptr::eq(&*shown, text) || *shown == *text {
            keep(&mut self.arena)
        } else {
            let slot = RedactedValue::Str(self.arena.push(&shown));
            self.differ(slot)
        }
    }
}

impl Visit for Rebuilder<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.plain(
            self.plan.number_handling(field),
            field,
            RedactedValue::F64(value),
        );
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(
            self.plan.number_handling(field),
            field,
            RedactedValue::I64(value),
        );
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(
            self.plan.number_handling(field),
            field,
            RedactedValue::U64(value),
        );
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.plain(
            self.plan.number_handling(field),
            field,
            RedactedValue::I128(value),
        );
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.plain(
            self.plan.number_handling(field),
            field,
            RedactedValue::U128(value),
        );
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(
            self.plan.bool_handling(field),
            field,
            RedactedValue::Bool(value),
        );
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.visit(field, FieldValue::Str(value));
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.visit(field, FieldValue::Bytes(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.visit(field, FieldValue::Error(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.visit(field, FieldValue::Debug(value));
    }
}
