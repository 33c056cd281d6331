//! *Additions*: members that a format derives from the fields of a complete line. Examples are
//! `httpRequest` of an access event, or `_aws`, which describes metrics.

use crate::{
    assemble::LineOffsets,
    builder::Options,
    json_lexer::{Member, members},
    line_buffer::LineBuffer,
    truncate::truncate_line,
};

/// Derives the members that only some lines of a format have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addition {
    /// Returns whether an event with a field of this name may have an addition.
    pub(crate) applies: fn(&str) -> bool,
    /// Derives the addition from the fields of a line.
    pub(crate) make: fn(&AdditionInputs<'_>) -> AdditionOutput,
}

/// The input of [`Addition::make`]: the fields that a line shows, and the facts about its event.
pub(crate) struct AdditionInputs<'a> {
    /// The members of the event, then those of its spans.
    pub(crate) members: &'a [Member<'a>],
    /// The number of `members` that belong to the event.
    pub(crate) event_member_count: usize,
    pub(crate) options: &'a Options,
    /// The time of an event that a recorder buffered as values, as seconds and nanoseconds since
    /// 1970. `None` for an event that happens now.
    pub(crate) stored_time: Option<(i64, u32)>,
    /// Returns whether a part of the line has this key, or the receiver gives the key a meaning.
    pub(crate) is_taken: &'a dyn Fn(&str) -> bool,
}

/// The output of [`Addition::make`].
#[derive(Debug, Default)]
pub(crate) struct AdditionOutput {
    /// Replacements of fields: the index in [`AdditionInputs::members`], and the new member. An
    /// empty one removes the field, because `new_members` has its value.
    pub(crate) replaced: Vec<(usize, Vec<u8>)>,
    /// The members that the line gets in addition: `,"key":value`.
    pub(crate) new_members: Vec<u8>,
}

/// The addition of a format, with everything that it needs apart from the line.
pub(crate) struct LayerAddition<'a> {
    pub(crate) addition: Addition,
    pub(crate) options: &'a Options,
    pub(crate) stored_time: Option<(i64, u32)>,
    pub(crate) is_taken: &'a dyn Fn(&str) -> bool,
    pub(crate) max_line: usize,
}

impl LayerAddition<'_> {
    /// Inserts the addition into a line that is otherwise complete. If the result would be too
    /// long, drops fields first, so that the addition is made from the remaining fields.
    #[cold]
    pub(crate) fn add(&self, line: &mut LineBuffer, offsets: &mut LineOffsets) {
        // Truncation changes the offset of the addition, but no bytes behind it.
        let len_behind = line.len() - offsets.addition;
        loop {
            let completed = self.with_addition(line, offsets, len_behind);
            let excess = completed.len().saturating_sub(self.max_line);
            let len_before = line.len();
            if excess > 0 {
                let max_line = len_before.saturating_sub(excess);
                truncate_line(line, offsets, max_line, self.options);
            }
            // The result fits, or nothing more can be dropped.
            if line.len() >= len_before {
                line.truncate(0);
                return line.push(&completed);
            }
        }
    }

    /// Returns the line with the addition in front of its last `len_behind` bytes.
    fn with_addition(
        &self,
        line: &LineBuffer,
        offsets: &LineOffsets,
        len_behind: usize,
    ) -> Vec<u8> {
        let bytes = line.as_bytes();
        let event_members = members(&bytes[offsets.fields_start..offsets.fields_end]);
        let mut shown: Vec<_> = event_members.collect();
        let event_member_count = shown.len();
        shown.extend(members(&bytes[offsets.fields_end..offsets.spans_end]));
        let output = (self.addition.make)(&AdditionInputs {
            members: &shown,
            event_member_count,
            options: self.options,
            stored_time: self.stored_time,
            is_taken: self.is_taken,
        });
        let mut completed = bytes[..offsets.fields_start].to_vec();
        for (index, member) in shown.iter().enumerate() {
            let replacement = output.replaced.iter().find(|(at, _)| *at == index);
            completed.extend(replacement.map_or(member.bytes, |(_, bytes)| bytes));
        }
        let addition_start = bytes.len() - len_behind;
        completed.extend(&bytes[offsets.spans_end..addition_start]);
        completed.extend(&output.new_members);
        completed.extend(&bytes[addition_start..]);
        completed
    }
}
