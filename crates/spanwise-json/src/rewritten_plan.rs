//! The part of a callsite's plan for a format that [rewrites](crate::rewrite) lines: the bytes
//! around values, and the start and the end of a line.

use crate::{
    format_table::Kind,
    line_buffer::{LineBuffer, PaddedBytes},
    line_template::LineTemplate,
    member_keys::KeyedMembers,
    plan::{Key, Role},
    rewrite::RewriteByParts,
    value_starts::ValueStart,
};

/// The part of a callsite's plan for lines that are written in the format's syntax directly.
///
/// A *plain* line has only two things behind the fields of the event: the members of the spans, if
/// the spans share none, and members that are the same in all lines of the callsite. Any other line
/// has a [tail](crate::rewrite).
#[derive(Debug)]
pub(crate) struct RewrittenPlan {
    pub(crate) by_parts: RewriteByParts,
    /// The bytes between the text of the timestamp and the first field.
    pub(crate) head: PaddedBytes<64>,
    pub(crate) keys: Box<[RewrittenKey]>,
    /// The index of the message's field.
    pub(crate) message: Option<usize>,
    /// The end of a plain line. The first half is at the end of the list of fields, the last half
    /// behind the list. In front of each half, the line has the same half of the spans' rewritten
    /// members. If the format has no list of fields, the first half has all bytes.
    pub(crate) close: [PaddedBytes<64>; 2],
    /// The end of any other line, behind its rewritten tail.
    pub(crate) end: Vec<u8>,
    /// The maximum length of a plain line in bytes, without its end, and with the members of the
    /// spans as flat JSON.
    pub(crate) max_plain: usize,
    /// The maximum length of any other line in bytes, before its tail is rewritten: everything
    /// behind its fields is flat JSON.
    pub(crate) max_mixed: usize,
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
const CLOSING_LEN: usize = 16;

/// Returns the bytes in front of a value of this kind, and those behind it, in the format's syntax.
/// `opening` is `,"key":`, as in flat JSON. `None` if such a value is encoded as flat JSON and then
/// rewritten.
pub(crate) type AroundValue =
    fn(opening: &[u8], kind: Kind, is_message: bool) -> Option<(Vec<u8>, &'static [u8])>;

impl RewrittenPlan {
    /// Creates the plan. `head` and `close` are those of the [`Plan`](crate::plan::Plan), in flat
    /// JSON.
    pub(crate) fn new(
        by_parts: RewriteByParts,
        template: &LineTemplate,
        keys: &[Key],
        head: &[u8],
        close: &[u8],
    ) -> Self {
        let message = keys.iter().position(Key::is_message);
        // The quote behind the timestamp is not a member.
        let members = &head[template.table.time.quote().len()..];
        let rewritten = (by_parts.head)(members, message.is_some());
        let mut halves = [LineBuffer::default(), LineBuffer::default()];
        (by_parts.tail)(KeyedMembers::from_text(close), &mut halves);
        let [first, last] = halves;
        let key = |key| RewrittenKey::new(key, by_parts.around);
        // `LineTemplate::max_line` limits the length in flat JSON. Here, the start of the line is
        // already rewritten, which changes its length.
        let start_len = template.rewritten_open.as_bytes().len() + rewritten.first().len();
        let json_start_len = template.before_open.as_bytes().len() + head.len();
        let max_mixed = (template.max_line + start_len).saturating_sub(json_start_len);
        Self {
            by_parts,
            head: PaddedBytes::new(rewritten.first().to_vec()),
            keys: keys.iter().map(key).collect(),
            message,
            close: match by_parts.end_fields {
                None => [
                    PaddedBytes::new([first.as_bytes(), rewritten.last()].concat()),
                    PaddedBytes::default(),
                ],
                Some(_) => [
                    PaddedBytes::new(first.as_bytes().to_vec()),
                    PaddedBytes::new([last.as_bytes(), rewritten.last()].concat()),
                ],
            },
            end: rewritten.last().to_vec(),
            max_plain: max_mixed.saturating_sub(close.len()),
            max_mixed,
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
