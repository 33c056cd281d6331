//! Results of the encoder: the fields that it has written, redacted and truncated.

use std::{iter, ops::Range};

use crate::{
    altered_fields::AlteredFields,
    json_lexer::members,
    plan::{Key, MAX_SPAN_FIELDS, Plan, Role},
};

/// Results of encoding the fields.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    /// The fields that were redacted because of their key, a bit each.
    pub(crate) redacted_bits: u128,
    /// The fields that were redacted because of their text, a bit each. Fields after the 64th are
    /// in `altered` instead.
    pub(crate) redacted_texts: u64,
    /// The fields for which a member was written.
    pub(crate) fields: FieldSet,
    /// The number of members that were written. A field may have several.
    pub(crate) member_count: u32,
    /// The truncated fields, and the redacted fields that have no bit. Boxed, because most lines
    /// have none.
    pub(crate) altered: Option<Box<AlteredFields>>,
}

/// A set of fields of one callsite, a bit each. A field after the 64th shares the bit of an earlier
/// one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FieldSet(u64);

impl FieldSet {
    #[inline]
    pub(super) fn add(&mut self, index: usize) {
        self.0 |= 1 << (index % MAX_SPAN_FIELDS);
    }

    /// Returns whether the field is in the set. After the 64th field, it may be true for a field
    /// that is not.
    #[inline]
    pub(crate) fn has(self, index: usize) -> bool {
        self.0 >> (index % MAX_SPAN_FIELDS) & 1 != 0
    }

    /// Returns the indices of the fields in ascending order. Only for callsites with at most 64
    /// fields.
    #[inline]
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        iter::from_fn(move || {
            let next = (rest != 0).then(|| rest.trailing_zeros() as usize);
            rest &= rest.wrapping_sub(1);
            next
        })
    }

    /// Returns the fields as a range of indices, if they are consecutive.
    #[inline]
    pub(crate) fn as_range(self) -> Option<Range<usize>> {
        let start = self.0.trailing_zeros() % u64::BITS;
        let fields = self.0 >> start;
        let after = fields.wrapping_add(1);
        let is_range = fields & after == 0;
        is_range.then(|| start as usize..(start + after.trailing_zeros()) as usize)
    }

    pub(crate) fn len(self) -> usize {
        self.0.count_ones() as usize
    }
}

/// For each field, the offset of its last member in a line. The additional element is for the end
/// of the last member: see [`OwnKeys::list`](crate::member_keys::OwnKeys::list).
pub(crate) type MemberStarts = [usize; MAX_SPAN_FIELDS + 1];

impl Encoded {
    pub(crate) fn altered(&mut self) -> &mut AlteredFields {
        self.altered.get_or_insert_default()
    }

    /// Returns whether a message was written. `index` is that of its field, and `event` has the
    /// members of the event.
    pub(crate) fn has_message(&self, plan: &Plan, index: usize, event: &[u8]) -> bool {
        if plan.keys.len() <= MAX_SPAN_FIELDS {
            return self.fields.has(index);
        }
        members(event).any(|member| plan.keys[index].name() == member.quoted_key())
    }

    /// Returns whether a field was redacted or truncated, so that the line may list it.
    #[inline]
    pub(crate) fn has_redacted_or_altered(&self) -> bool {
        self.redacted_bits != 0 || self.redacted_texts != 0 || self.altered.is_some()
    }

    /// Calls [`list_redacted`](Self::list_redacted) if `keys` are not the keys of the plan. Later
    /// steps interpret the bits with the keys of the plan, which would then be wrong.
    #[cold]
    pub(crate) fn list_redacted_if_keys_differ(&mut self, plan: &Plan, keys: &[Key]) {
        let is_redacted = self.redacted_bits != 0 || self.redacted_texts != 0;
        if is_redacted && !std::ptr::eq(keys, &*plan.keys) {
            self.list_redacted(plan, keys);
        }
    }

    /// Moves the redacted fields from the bits to `altered`.
    #[cold]
    pub(crate) fn list_redacted(&mut self, plan: &Plan, keys: &[Key]) {
        self.add_redacted(plan, keys);
        (self.redacted_bits, self.redacted_texts) = (0, 0);
    }

    /// Adds the redacted fields to `altered`: first the fields that were redacted because of their
    /// text, then the fields that were redacted because of their key.
    #[cold]
    pub(crate) fn add_redacted(&mut self, plan: &Plan, keys: &[Key]) {
        if self.redacted_texts != 0 {
            let message = keys.iter().position(Key::is_message);
            let message = message.filter(|_| plan.message_not_first);
            let others = (0..keys.len()).filter(|index| Some(*index) != message);
            let all = message.into_iter().chain(others);
            for index in all.filter(|index| *index < REDACTED_TEXT_BITS) {
                if self.redacted_texts >> index & 1 != 0 {
                    self.altered().redacted.push(keys[index].name());
                }
            }
        }
        if plan.redacted_member.is_empty() {
            return;
        }
        for (index, key) in keys.iter().enumerate() {
            if key.field_role() == Role::Redacted && self.redacted_bits & redacted_bit(index) != 0 {
                self.altered().redacted.push(key.name());
            }
        }
    }
}

/// Returns the bit of a field in [`Encoded::redacted_bits`]. A field after the 128th shares the bit
/// of an earlier one.
pub(crate) fn redacted_bit(index: usize) -> u128 {
    1 << (index % 128)
}

/// The number of bits in [`Encoded::redacted_texts`].
pub(super) const REDACTED_TEXT_BITS: usize = 64;
