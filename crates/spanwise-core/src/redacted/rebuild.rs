//! Copies the values of an event, span or record, and redacts the copies.

use std::{array, error::Error, fmt, ptr};

use tracing_core::{
    Field,
    field::{Value, Visit},
};

use super::{
    plan::{FieldPlan, Handling},
    precheck::needs_redaction,
    redacted_error::{ErrorLocation, Originals, RedactedError, next_originals_id, with_originals},
    text_arena::TextArena,
    values::{AsValue, RedactedValue, TextHandling, record_plain_values},
};
use crate::{NoRedaction, REDACTED, Redact};

/// The time at which the wrapper calls `Debug` and `Display` of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Formatting {
    /// Once, before the values are forwarded, so that the scanned text is the shown text.
    Eager,
    /// On demand. Used for `event_enabled`, where a layer seldom formats values.
    Lazy,
}

/// Forwards the values in its argument, or the original values if that is `None`. A trait object,
/// so that the code in this module is compiled only once.
pub(super) type Forward<'a> = dyn FnMut(Option<&[Option<&dyn Value>]>) + 'a;

/// Calls `forward` with the redacted values, or with `None` if the original values may be shown.
pub(super) fn with_redacted(
    plan: &FieldPlan,
    policy: &dyn Redact,
    formatting: Formatting,
    record: &dyn Fn(&mut dyn Visit),
    forward: &mut Forward<'_>,
) {
    if !plan.skips_precheck() && !needs_redaction(plan, policy, record) {
        return forward(None);
    }
    let always_forward_copies = false;
    with_rebuilt(
        plan,
        policy,
        formatting,
        record,
        always_forward_copies,
        forward,
    );
}

/// Calls `forward` with copies of the values, which the policy has redacted. If all copies are
/// known to equal their originals, calls it with `None`: the originals may be shown.
///
/// If `always_forward_copies` is true, `forward` gets the copies even if none differs. Use it if
/// the values are for another callsite, because the originals belong to the fields of their own
/// callsite.
pub(super) fn with_rebuilt(
    plan: &FieldPlan,
    policy: &dyn Redact,
    formatting: Formatting,
    record: &dyn Fn(&mut dyn Visit),
    always_forward_copies: bool,
    forward: &mut Forward<'_>,
) {
    with_stack_slice(plan.len(), |slots: &mut [RedactedValue]| {
        let mut rebuilder = Rebuilder {
            plan,
            policy,
            formatting,
            slots,
            arena: TextArena::take(),
            may_differ: false,
            originals_id: None,
        };
        record(&mut rebuilder);
        let Rebuilder {
            arena,
            may_differ,
            originals_id,
            ..
        } = rebuilder;
        if may_differ || always_forward_copies {
            let originals = Originals { policy, record };
            match originals_id {
                Some(id) => with_originals(id, &originals, || {
                    forward_slots(slots, &arena, &originals, forward)
                }),
                None => forward_slots(slots, &arena, &originals, forward),
            }
        } else {
            forward(None);
        }
        arena.put_back();
    });
}

/// Calls `forward` with the values in `slots`.
fn forward_slots(
    slots: &[RedactedValue],
    arena: &TextArena,
    originals: &Originals<'_>,
    forward: &mut Forward<'_>,
) {
    with_stack_slice(slots.len(), |shown: &mut [AsValue<'_>]| {
        for (index, (slot, shown)) in slots.iter().zip(&mut *shown).enumerate() {
            *shown = slot.as_value(index, arena, originals);
        }
        with_stack_slice(slots.len(), |values: &mut [Option<&dyn Value>]| {
            for (value, shown) in values.iter_mut().zip(&*shown) {
                *value = shown.value();
            }
            forward(Some(values));
        });
    });
}

/// The arrays on the stack have room for this many fields. Callsites with more fields allocate.
const MAX_STACK_FIELDS: usize = 32;

/// Callsites with at most this many fields use a smaller array.
const SMALL_STACK_FIELDS: usize = 8;

/// Calls `f` with a slice of `len` default values. Short slices are on the stack.
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

/// An original value.
#[derive(Clone, Copy)]
enum FieldValue<'a> {
    /// A number or a boolean, in the variant that stores it unchanged.
    Plain(RedactedValue),
    Str(&'a str),
    Bytes(&'a [u8]),
    Debug(&'a dyn fmt::Debug),
    Error(&'a (dyn Error + 'static)),
}

impl FieldValue<'_> {
    /// Returns the policy's replacement. With lazy formatting, does not format a `Debug` or an
    /// error: its replacement is `[REDACTED]`.
    #[cold]
    fn replacement(self, key: &str, policy: &dyn Redact, formatting: Formatting) -> String {
        let replace = |value: fmt::Arguments<'_>| policy.replace_display(key, value);
        match self {
            Self::Plain(RedactedValue::Bool(value)) => replace(format_args!("{value}")),
            Self::Plain(RedactedValue::I64(value)) => replace(format_args!("{value}")),
            Self::Plain(RedactedValue::U64(value)) => replace(format_args!("{value}")),
            Self::Plain(RedactedValue::I128(value)) => replace(format_args!("{value}")),
            Self::Plain(RedactedValue::U128(value)) => replace(format_args!("{value}")),
            Self::Plain(RedactedValue::F64(value)) => replace(format_args!("{value}")),
            Self::Plain(_) => REDACTED.to_owned(), // not a number or a boolean: does not occur
            Self::Str(text) => replace(format_args!("{text}")),
            Self::Bytes(bytes) => replace(format_args!("{}", String::from_utf8_lossy(bytes))),
            Self::Debug(_) | Self::Error(_) if formatting == Formatting::Lazy => {
                REDACTED.to_owned()
            }
            Self::Debug(value) => replace(format_args!("{value:?}")),
            Self::Error(error) => replace(format_args!("{error}")),
        }
    }
}

/// Reads each value and stores its redacted form.
struct Rebuilder<'a> {
    plan: &'a FieldPlan,
    policy: &'a dyn Redact,
    formatting: Formatting,
    /// The redacted values, by the index of their field.
    slots: &'a mut [RedactedValue],
    arena: Box<TextArena>,
    /// Whether a redacted value differs, or may differ, from its original.
    may_differ: bool,
    /// The id under which [`with_originals`] publishes the originals in a thread-local. Set when an
    /// error is stored: a [`RedactedError`] is `'static`, so it cannot borrow them as lazy values
    /// do.
    originals_id: Option<u64>,
}

impl Rebuilder<'_> {
    /// Stores a number or a boolean. Only the key can hide it.
    #[inline]
    fn visit_plain(&mut self, handling: Option<Handling>, field: &Field, slot: RedactedValue) {
        match handling {
            Some(Handling::Show | Handling::Scan) => self.slots[field.index()] = slot,
            handling => self.hide(field, FieldValue::Plain(slot), handling),
        }
    }

    /// Stores a value that has a text, such as a string or an error.
    #[inline]
    fn visit_text(&mut self, field: &Field, value: FieldValue<'_>) {
        let slot = match self.plan.text_handling(field) {
            Some(Handling::Scan) => self.scan(field, value),
            Some(Handling::Show) => self.copy(field, value),
            handling => return self.hide(field, value, handling),
        };
        self.slots[field.index()] = slot;
    }

    /// Hides a value because of its key: stores its replacement, or that it is absent.
    fn hide(&mut self, field: &Field, value: FieldValue<'_>, handling: Option<Handling>) {
        // This includes `None`, the handling of a field of another callsite, which is omitted.
        self.may_differ = true;
        let slot = match handling {
            Some(Handling::Replace) => {
                let replacement = value.replacement(field.name(), self.policy, self.formatting);
                RedactedValue::Str(self.arena.push(&replacement))
            }
            Some(Handling::Remove) => RedactedValue::Absent,
            // `Scan` and `Show` do not occur here.
            Some(Handling::Redact | Handling::Scan | Handling::Show) => RedactedValue::Hidden,
            None => return,
        };
        self.slots[field.index()] = slot;
    }

    /// Records that a value differs, or may differ, from its original. Returns `slot`.
    #[inline]
    fn mark_differing(&mut self, slot: RedactedValue) -> RedactedValue {
        self.may_differ = true;
        slot
    }

    /// Copies a value that is shown unchanged. The copy is forwarded only if another value of the
    /// same event, span or record differs.
    fn copy(&mut self, field: &Field, value: FieldValue<'_>) -> RedactedValue {
        match value {
            FieldValue::Plain(slot) => slot,
            FieldValue::Str(text) => RedactedValue::Str(self.arena.push(text)),
            FieldValue::Bytes(bytes) => RedactedValue::Bytes(self.arena.push_bytes(bytes)),
            FieldValue::Debug(_) | FieldValue::Error(_) if self.formatting == Formatting::Lazy => {
                RedactedValue::Lazy(TextHandling::Show)
            }
            FieldValue::Debug(value) => self.format(field, value, &NoRedaction),
            FieldValue::Error(error) => self.push_error(field, error, TextHandling::Show),
        }
    }

    /// Formats and redacts a `Debug`. The output may be JSON that
    /// [`nested_json`](crate::internal::nested_json) marks.
    fn format(
        &mut self,
        field: &Field,
        value: &dyn fmt::Debug,
        policy: &dyn Redact,
    ) -> RedactedValue {
        match self.arena.format(field.name(), value, policy) {
            (range, true) => RedactedValue::Json(range),
            (range, false) => RedactedValue::Debug(range),
        }
    }

    fn push_error(
        &mut self,
        field: &Field,
        error: &(dyn Error + 'static),
        handling: TextHandling,
    ) -> RedactedValue {
        let policy = handling.policy(self.policy);
        let id = *self.originals_id.get_or_insert_with(next_originals_id);
        let location = ErrorLocation::new(id, field, handling);
        let redacted = RedactedError::new(error, field.name(), policy, location);
        RedactedValue::Error(self.arena.push_error(redacted))
    }

    /// Redacts the text of a value.
    #[inline]
    fn scan(&mut self, field: &Field, value: FieldValue<'_>) -> RedactedValue {
        let key = field.name();
        match value {
            FieldValue::Plain(slot) => slot,
            FieldValue::Str(text) => {
                self.scan_str(key, text, |arena| RedactedValue::Str(arena.push(text)))
            }
            FieldValue::Bytes(bytes) => {
                self.scan_str(key, &String::from_utf8_lossy(bytes), |arena| {
                    RedactedValue::Bytes(arena.push_bytes(bytes))
                })
            }
            FieldValue::Debug(_) | FieldValue::Error(_) if self.formatting == Formatting::Lazy => {
                self.mark_differing(RedactedValue::Lazy(TextHandling::Scan))
            }
            // Forwards the scanned text, because another call might write a different text.
            FieldValue::Debug(value) => {
                let slot = self.format(field, value, self.policy);
                self.mark_differing(slot)
            }
            FieldValue::Error(error) => {
                let slot = self.push_error(field, error, TextHandling::Scan);
                self.mark_differing(slot)
            }
        }
    }

    /// Calls `copy` if the policy shows all of `text`. If not, stores the redacted text.
    #[inline]
    fn scan_str(
        &mut self,
        key: &str,
        text: &str,
        copy: impl FnOnce(&mut TextArena) -> RedactedValue,
    ) -> RedactedValue {
        let shown = self.policy.redact_value(key, text);
        // Redacting a text that is already masked may not change it: `***et` under a rule that
        // keeps the last two characters. The value then does not differ.
        if ptr::eq(&*shown, text) || *shown == *text {
            copy(&mut self.arena)
        } else {
            let slot = RedactedValue::Str(self.arena.push(&shown));
            self.mark_differing(slot)
        }
    }
}

impl Visit for Rebuilder<'_> {
    record_plain_values!();

    fn record_str(&mut self, field: &Field, value: &str) {
        self.visit_text(field, FieldValue::Str(value));
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.visit_text(field, FieldValue::Bytes(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.visit_text(field, FieldValue::Error(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.visit_text(field, FieldValue::Debug(value));
    }
}
