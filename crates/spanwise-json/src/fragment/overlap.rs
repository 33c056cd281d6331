//! Keys that both an event and its spans have. A field of the event *shadows* the fields of the
//! spans with the same key: the line does not show them.

use super::Fragment;
use crate::{
    line_buffer::LineBuffer,
    member_keys::{KeyId, NO_KEY_ID},
    plan::{Key, MAX_SPAN_FIELDS, Plan},
    visit::FieldSet,
};

/// The way to find the members of the spans that an event shadows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overlap {
    /// There are no such members: the event and the spans have no key in common.
    Nothing,
    /// They are the members with the key ids in [`ShadowedKeys`].
    KeyIds,
    /// Keys must be compared as text, because a member has no key id, or because the span removes
    /// or renames a field of the event.
    Text,
}

/// The ids of the keys that both an event and its spans have.
#[derive(Debug)]
pub(crate) struct ShadowedKeys {
    key_ids: [KeyId; MAX_SPAN_FIELDS],
    count: usize,
}

impl ShadowedKeys {
    pub(crate) const fn new() -> Self {
        Self {
            key_ids: [NO_KEY_ID; MAX_SPAN_FIELDS],
            count: 0,
        }
    }
}

impl Fragment {
    /// Compares the keys of an event that has values for `fields` with the keys of the spans.
    /// Writes the common keys to `shadowed` if the result is [`Overlap::KeyIds`].
    #[inline(never)] // Kept out of line, so that the common path stays small.
    pub(crate) fn overlap(
        &self,
        plan: &Plan,
        fields: FieldSet,
        shadowed: &mut ShadowedKeys,
    ) -> Overlap {
        let bits = self.bits();
        if !self.has_key_ids || plan.has_error_key || plan.keys.len() > MAX_SPAN_FIELDS {
            return match plan.bits_of(fields) & bits {
                0 => Overlap::Nothing,
                _ => Overlap::Text,
            };
        }
        let changes_events = self.has_trace_ids || self.pinned != 0;
        let (head, pieces) = (self.head_members(), self.pieces());
        let has = |key_id| {
            head.contains(key_id) || pieces.iter().any(|piece| piece.members().contains(key_id))
        };
        shadowed.count = 0;
        for index in fields.iter() {
            let key = &plan.keys[index];
            if key.bits & bits == 0 {
                continue;
            }
            if changes_events && self.may_change(key) {
                return Overlap::Text;
            }
            if key.key_id == NO_KEY_ID {
                if key.key_ids.iter().any(|key_id| self.may_have(*key_id)) {
                    return Overlap::Text;
                }
            } else if has(key.key_id) {
                // `%` changes no index, since a plan has at most `MAX_SPAN_FIELDS` keys here. It
                // removes the bounds check.
                shadowed.key_ids[shadowed.count % MAX_SPAN_FIELDS] = key.key_id;
                shadowed.count += 1;
            }
        }
        match shadowed.count {
            0 => Overlap::Nothing,
            _ => Overlap::KeyIds,
        }
    }

    /// Returns whether lines of the span may omit or rename a field of the event with this key.
    fn may_change(&self, key: &Key) -> bool {
        (self.has_trace_ids && self.span_plan.trace_ids.may_have(key))
            || self.span_plan.may_rename(self.pinned, key)
    }

    /// Appends all members to a flat line, except those with `shadowed` keys.
    #[inline(never)] // Kept out of line, so that the common path stays small.
    pub(crate) fn push_unshadowed(&self, line: &mut LineBuffer, shadowed: &ShadowedKeys) {
        let shadowed = &shadowed.key_ids[..shadowed.count];
        for part in self.member_parts() {
            // The text of the part from `run_start` on is not appended yet.
            let (mut run_start, mut member_start) = (0, 0);
            if shadowed.iter().any(|key_id| part.contains(*key_id)) {
                for (key_id, member) in part.iter() {
                    let member_end = member_start + member.len();
                    if shadowed.contains(&key_id) {
                        line.push(&part.text[run_start..member_start]);
                        run_start = member_end;
                    }
                    member_start = member_end;
                }
            }
            line.push(&part.text[run_start..]);
        }
    }

    /// Returns whether a member has the key with this id.
    #[inline]
    pub(super) fn has_key_id(&self, key_id: KeyId) -> bool {
        self.head_members().contains(key_id)
            || self
                .pieces()
                .iter()
                .any(|piece| piece.members().contains(key_id))
    }

    /// Returns whether a member may have the key with this id, which is [`NO_KEY_ID`] for a key
    /// without an id.
    pub(super) fn may_have(&self, key_id: KeyId) -> bool {
        key_id == NO_KEY_ID || self.has_key_id(key_id)
    }
}
