//! The report of the encoder about the fields that it has written.

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
    /// The fields whose text was redacted, a bit each. Those after the first 64 are in `altered`.
    pub(crate) redacted_texts: u64,
    /// The fields that had a value.
    pub(crate) fields: FieldSet,
    /// How many members were written.
    pub(crate) members: u32,
    /// The fields that the line lists, apart from those with a bit. Boxed, as it is rarely needed.
    pub(crate) altered: Option<Box<AlteredFields>>,
}

/// A set of fields of one callsite, a bit each. From the 65th field on, two share a bit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FieldSet(u64);

impl FieldSet {
    #[inline]
    pub(super) fn add(&mut self, index: usize) {
        self.0 |= 1 << (index % MAX_SPAN_FIELDS);
    }

    /// Returns whether the field is in the set, or may be.
    #[inline]
    pub(crate) fn has(self, index: usize) -> bool {
        self.0 >> (index % MAX_SPAN_FIELDS) & 1 != 0
    }

    /// Returns the fields in their order, if a callsite has at most 64.
    #[inline]
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        iter::from_fn(move || {
            let next = (rest != 0).then(|| rest.trailing_zeros() as usize);
            rest &= rest.wrapping_sub(1);
            next
        })
    }

    /// Returns the fields as a range of indices, if there is none between them without a value.
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

/// Where the last member of each field starts in a line. The end of the last follows in a list of
/// the members.
pub(crate) type MemberStarts = [usize; MAX_SPAN_FIELDS + 1];

impl Encoded {
    pub(crate) fn altered(&mut self) -> &mut AlteredFields {
        self.altered.get_or_insert_default()
    }

    /// Returns whether the message at this index has a value, among the members of the event.
    pub(crate) fn has_message(&self, plan: &Plan, index: usize, event: &[u8]) -> bool {
        if plan.keys.len() <= MAX_SPAN_FIELDS {
            return self.fields.has(index);
        }
        members(event).any(|member| plan.keys[index].name() == member.quoted_key())
    }

    /// Returns whether the line lists a field as redacted or truncated.
    #[inline]
    pub(crate) fn has_redacted_or_altered(&self) -> bool {
        self.redacted_bits != 0 || self.redacted_texts != 0 || self.altered.is_some()
    }

    /// Lists the redacted fields, if `keys` are not the plan's.
    #[cold]
    pub(crate) fn list_redacted_of(&mut self, plan: &Plan, keys: &[Key]) {
        let is_redacted = self.redacted_bits != 0 || self.redacted_texts != 0;
        if is_redacted && !std::ptr::eq(keys, &*plan.keys) {
            self.add_redacted(plan, keys);
            (self.redacted_bits, self.redacted_texts) = (0, 0);
        }
    }

    /// Lists the fields that were redacted: because of their text, then because of their key.
    #[cold]
    pub(crate) fn add_redacted(&mut self, plan: &Plan, keys: &[Key]) {
        if self.redacted_texts != 0 {
            let message = keys.iter().position(Key::is_message);
            let message = message.filter(|_| plan.message_not_first);
            let others = (0..keys.len()).filter(|index| Some(*index) != message);
            let all = message.into_iter().chain(others);
            for index in all.filter(|index| *index < MAX_BITS) {
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

/// Returns the bit of a field. If a callsite has more fields than bits, some share a bit.
pub(crate) fn redacted_bit(index: usize) -> u128 {
    1 << (index % 128)
}

/// The number of bits for fields whose text was redacted.
pub(super) const MAX_BITS: usize = 64;
