//! The keys of an event's fields in a line that is not flat JSON, with the bytes around values.

use crate::{
    format_table::Kind,
    line_buffer::PaddedBytes,
    plan::{Key, Role},
    rewrite::RewrittenFields,
    value_starts::ValueStart,
    visit::{FieldSet, MemberStarts},
};

/// The fields of an event in a line that is not flat JSON.
#[derive(Debug)]
pub(crate) struct RewrittenKeys {
    pub(crate) keys: Box<[RewrittenKey]>,
    pub(crate) fields: RewrittenFields,
    /// The index of the message.
    message: Option<usize>,
}

/// The bytes around the values of a field, by type of value.
#[derive(Debug)]
pub(crate) struct RewrittenKey {
    pub(crate) text: ValueFrame,
    pub(crate) integer: ValueFrame,
    pub(crate) float: ValueFrame,
    pub(crate) boolean: ValueFrame,
    /// The maximum length of a value's text, in bytes: see [`Key::max_len`].
    pub(crate) max_len: usize,
}

/// The bytes around a value.
#[derive(Debug, Default)]
pub(crate) struct ValueFrame {
    /// The treatment of the value, or [`Role::Omitted`] if it is not written in one step.
    pub(crate) role: Role,
    pub(crate) closing_len: u8,
    /// The bytes behind the value, padded to a block.
    pub(crate) closing: [u8; CLOSING_LEN],
    /// The bytes in front of the value.
    pub(crate) opening: PaddedBytes<64>,
}

/// The maximum length of the bytes behind a value.
const CLOSING_LEN: usize = 8;

/// Returns the bytes in front of a value of this kind, and those behind it, in a line that is not
/// flat JSON. `opening` is `,"key":`, as flat JSON has it. `None` if such a value is rewritten.
pub(crate) type AroundValue =
    fn(opening: &[u8], kind: Kind, is_message: bool) -> Option<(Vec<u8>, &'static [u8])>;

impl RewrittenKeys {
    pub(crate) fn new(keys: &[Key], fields: RewrittenFields, message: Option<usize>) -> Self {
        let rewritten = |key| RewrittenKey::new(key, fields.around);
        Self {
            keys: keys.iter().map(rewritten).collect(),
            fields,
            message,
        }
    }

    /// Returns the end of the message in a line with these fields. The message comes first.
    pub(crate) fn message_end(
        &self,
        fields: FieldSet,
        starts: &MemberStarts,
        fields_start: usize,
        fields_end: usize,
    ) -> usize {
        match self.message.filter(|index| fields.has(*index)) {
            Some(message) => {
                let next = fields.iter().find(|index| *index != message);
                next.map_or(fields_end, |next| starts[next])
            }
            None => fields_start,
        }
    }
}

impl RewrittenKey {
    fn new(key: &Key, around: AroundValue) -> Self {
        let is_message = key.is_message();
        let starts = &key.starts;
        let frame = |start: &ValueStart, kind| {
            let opening = start.opening.as_bytes();
            let is_quoted = kind == Kind::Bool && starts.bool_closing_len > 0;
            let around = (start.role != Role::Omitted && !is_quoted)
                .then(|| around(opening, kind, is_message))
                .flatten();
            around.map_or_else(ValueFrame::default, |(opening, closing)| {
                ValueFrame::new(start.role, opening, closing)
            })
        };
        Self {
            text: frame(&starts.text, Kind::Text),
            integer: frame(&starts.integer, Kind::Integer),
            float: frame(&starts.float, Kind::Number),
            boolean: frame(&starts.boolean, Kind::Bool),
            max_len: key.max_len,
        }
    }
}

impl ValueFrame {
    fn new(role: Role, opening: Vec<u8>, closing: &[u8]) -> Self {
        let mut padded = [0; CLOSING_LEN];
        padded[..closing.len()].copy_from_slice(closing);
        Self {
            role,
            closing_len: closing.len() as u8,
            closing: padded,
            opening: PaddedBytes::new(opening),
        }
    }
}
