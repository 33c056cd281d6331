//! Members that a format makes from the other members of a complete line: `httpRequest` of an
//! access event, or `_aws`, which describes metrics.

use crate::{
    assemble::LineOffsets,
    builder::Options,
    json_lexer::{Member, members},
    line_buffer::LineBuffer,
    truncate::truncate_line,
};

/// Members that only some lines of a format have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addition {
    /// Returns whether lines of an event with a field of this name may have an addition.
    pub(crate) applies: fn(&str) -> bool,
    /// Makes the addition from the fields of a line.
    pub(crate) make: fn(&Shown<'_>) -> Added,
}

/// The fields that a line shows, as the input of [`Addition::make`].
pub(crate) struct Shown<'a> {
    /// The members of the event, then those of its spans.
    pub(crate) members: &'a [Member<'a>],
    /// The number of the event's members.
    pub(crate) event_count: usize,
    pub(crate) options: &'a Options,
    /// The time of an event whose values were stored. `None` for one that happens now.
    pub(crate) stored_time: Option<(i64, u32)>,
    /// Returns whether a member of the line itself has this key.
    pub(crate) is_taken: &'a dyn Fn(&str) -> bool,
}

/// The members that [`Addition::make`] made.
#[derive(Debug, Default)]
pub(crate) struct Added {
    /// The members that change, by their index in [`Shown::members`]. An empty one is removed from
    /// the fields, because `members` has its value.
    pub(crate) changed: Vec<(usize, Vec<u8>)>,
    /// The new members: `,"key":value`.
    pub(crate) members: Vec<u8>,
}

/// The addition of a format, with the settings of the layer that it depends on.
pub(crate) struct LayerAddition<'a> {
    pub(crate) addition: Addition,
    pub(crate) options: &'a Options,
    pub(crate) stored_time: Option<(i64, u32)>,
    pub(crate) is_taken: &'a dyn Fn(&str) -> bool,
    pub(crate) max_line: usize,
}

impl LayerAddition<'_> {
    /// Adds the members to a line that is otherwise complete. If the result would be too long,
    /// drops fields first, so that the addition is made from the remaining fields.
    #[cold]
    pub(crate) fn add(&self, line: &mut LineBuffer, offsets: &mut LineOffsets) {
        // Truncation moves the offset of the addition, but changes no byte behind it.
        let end_len = line.len() - offsets.addition;
        loop {
            let completed = self.completed(line, offsets, end_len);
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

    /// Returns the line with the addition in front of its last `end_len` bytes.
    fn completed(&self, line: &LineBuffer, offsets: &LineOffsets, end_len: usize) -> Vec<u8> {
        let bytes = line.as_bytes();
        let event_members = members(&bytes[offsets.fields_start..offsets.fields_end]);
        let mut all: Vec<_> = event_members.collect();
        let event_count = all.len();
        all.extend(members(&bytes[offsets.fields_end..offsets.spans_end]));
        let added = (self.addition.make)(&Shown {
            members: &all,
            event_count,
            options: self.options,
            stored_time: self.stored_time,
            is_taken: self.is_taken,
        });
        let mut completed = bytes[..offsets.fields_start].to_vec();
        for (index, member) in all.iter().enumerate() {
            let changed = added.changed.iter().find(|(at, _)| *at == index);
            completed.extend(changed.map_or(member.bytes, |(_, bytes)| bytes));
        }
        let addition_start = bytes.len() - end_len;
        completed.extend(&bytes[offsets.spans_end..addition_start]);
        completed.extend(&added.members);
        completed.extend(&bytes[addition_start..]);
        completed
    }
}
