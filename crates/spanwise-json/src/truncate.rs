//! Truncation of lines that are longer than [`JsonLayer::max_line`](crate::JsonLayer::max_line).

use std::borrow::Cow;

use crate::{
    altered_fields::QuotedKeys,
    assemble::LineOffsets,
    builder::Options,
    escape,
    format::{SPANS_OMITTED, TRUNCATED},
    format_table::{FormatTable, Layout},
    json_lexer::{Member, members},
    line_buffer::LineBuffer,
    line_parts,
    line_template::{opening_of, push_member},
};

/// Drops fields until the line fits, or until the message is the only field. The line lists the
/// keys of the dropped fields. They are dropped in this order:
///
/// 1. fields that are longer than any line may be;
/// 2. in a flat line, the fields of the spans from the outermost inwards, then the list of spans.
///    In a nested line, `spans`, then `span`;
/// 3. the fields of the event, from the last one.
#[cold]
pub(crate) fn truncate_line(
    line: &mut LineBuffer,
    offsets: &mut LineOffsets,
    max_line: usize,
    options: &Options,
) {
    let table = options.table;
    let bytes = line.as_bytes().to_vec();
    let (head, rest) = bytes.split_at(offsets.fields_start);
    let (fields, rest) = rest.split_at(offsets.fields_end - offsets.fields_start);
    let (spans, tail) = rest.split_at(offsets.spans_end - offsets.fields_end);

    let mut excess = Excess {
        bytes: bytes.len() - max_line,
        dropped_keys: QuotedKeys::default(),
    };
    // The list of dropped keys takes room, too.
    excess.bytes += TRUNCATED.len() + ",\"\":[]".len();
    let message = &*line_parts::message_key(options);
    let mut tail = Cow::Borrowed(tail);
    let (kept_spans, fields): (Vec<u8>, Vec<u8>) = match table.layout {
        Layout::Flat => {
            let spans = excess.drop_longer_than(max_line, members(spans), message);
            let fields = excess.drop_longer_than(max_line, members(fields), message);
            let spans = excess.drop_from_end(spans, message);
            tail = excess.drop_span_list(tail, table);
            (spans, excess.drop_from_end(fields, message))
        }
        Layout::Nested => {
            // In a nested line, `{` has replaced the comma of the first field.
            let fields = [b",", fields.get(1..).unwrap_or_default()].concat();
            // Keeps the end of the fields' object, and the parts of the line before the spans.
            let (before, span_members) = spans.split_at(span_members_start(spans, table));
            let span_members = excess.drop_longer_than(max_line, members(span_members), message);
            let fields = match fields.len() {
                1 => Vec::new(),
                _ => excess.drop_longer_than(max_line, members(&fields), message),
            };
            let kept = excess.drop_from_end(span_members, message);
            let mut fields = excess.drop_from_end(fields, message);
            match fields.first_mut() {
                Some(comma) => *comma = b'{',
                None => fields.push(b'{'),
            }
            ([before, &kept].concat(), fields)
        }
    };
    let room = max_line.saturating_sub(head.len() + fields.len() + kept_spans.len());
    let will_have_list = offsets.has_truncated_list || !excess.dropped_keys.is_empty();
    let tail = excess.list_dropped_in(&tail, offsets.has_truncated_list, room, table);
    offsets.fields_end = head.len() + fields.len();
    offsets.spans_end = offsets.fields_end + kept_spans.len();
    offsets.has_truncated_list = will_have_list;
    line.truncate(0);
    for part in [head, &fields, &kept_spans, &tail] {
        line.push(part);
    }
}

/// How much a line is too long, and the fields that were dropped so far.
struct Excess {
    /// The number of bytes that must still be dropped.
    bytes: usize,
    dropped_keys: QuotedKeys,
}

impl Excess {
    /// Drops the members that are longer than a whole line may be, except one with the quoted key
    /// `keep`. Returns the others. Without this step, members that fit would be dropped before such
    /// a member, and without effect.
    fn drop_longer_than<'m>(
        &mut self,
        max_line: usize,
        all: impl Iterator<Item = Member<'m>>,
        keep: &[u8],
    ) -> Vec<Member<'m>> {
        let fits = |member: &Member<'m>| {
            let fits = member.bytes.len() <= max_line || member.quoted_key() == keep;
            if !fits {
                self.note_dropped(member.quoted_key(), member.bytes.len());
            }
            fits
        };
        all.filter(fits).collect()
    }

    /// Drops members from the end until the line fits, except one with the quoted key `keep`.
    /// Returns the others.
    fn drop_from_end(&mut self, all: Vec<Member<'_>>, keep: &[u8]) -> Vec<u8> {
        let mut kept = Vec::new();
        for member in all.into_iter().rev() {
            if self.bytes == 0 || member.quoted_key() == keep {
                kept.push(member.bytes);
                continue;
            }
            self.note_dropped(member.quoted_key(), member.bytes.len());
        }
        kept.reverse();
        kept.concat()
    }

    /// Lists the key of a dropped member of `len` bytes, and counts the saved bytes. They are fewer
    /// than `len`, because the list of keys gets longer.
    fn note_dropped(&mut self, quoted: &[u8], len: usize) {
        let len_before = self.dropped_keys.as_bytes().len();
        self.dropped_keys.push(quoted);
        let listed_len = self.dropped_keys.as_bytes().len() - len_before;
        self.bytes = self.bytes.saturating_sub(len.saturating_sub(listed_len));
    }

    /// Drops the list of spans from `tail`: the part of a flat line after the members of the spans.
    /// In front of the list are the trace ids and the name of the span, if lines show them.
    fn drop_span_list<'t>(&mut self, tail: Cow<'t, [u8]>, table: &FormatTable) -> Cow<'t, [u8]> {
        if self.bytes == 0 {
            return tail;
        }
        let omitted = (table.spelling.number)(SPANS_OMITTED);
        let list_keys = [table.spans, &omitted].map(escape::quoted);
        let is_listed =
            |member: &Member<'_>| list_keys.iter().any(|key| key == member.quoted_key());
        let len_of = |member: Member<'_>| member.bytes.len();
        let before = members(&tail).take_while(|member| !is_listed(member));
        let start: usize = before.map(len_of).sum();
        let list_len: usize = members(&tail[start..])
            .take_while(is_listed)
            .map(len_of)
            .sum();
        if list_len == 0 {
            return tail;
        }
        self.note_dropped(&list_keys[0], list_len);
        Cow::Owned([&tail[..start], &tail[start + list_len..]].concat())
    }

    /// Returns `tail` with the dropped keys in its list of truncated fields. `has_list` is whether
    /// it already has this list. The list keeps only as many keys as fit in `room` bytes of `tail`.
    fn list_dropped_in(
        self,
        tail: &[u8],
        has_list: bool,
        room: usize,
        table: &FormatTable,
    ) -> Vec<u8> {
        let opening = opening_of(&table.spell(TRUNCATED));
        let mut list_start = 0;
        let list_member = members(tail).find(|member| {
            let is_list = has_list && member.opening() == opening;
            list_start += if is_list { 0 } else { member.bytes.len() };
            is_list
        });
        let (before, old_list, after) = match list_member {
            Some(member) => {
                let after = &tail[list_start + member.bytes.len()..];
                (&tail[..list_start], Some(member.value()), after)
            }
            None if self.dropped_keys.is_empty() => return tail.to_vec(),
            None => (&b""[..], None, tail),
        };
        let mut list = QuotedKeys::default();
        if let Some(old_list) = old_list {
            list.add_shown(old_list, table.style);
        }
        list.add_list(self.dropped_keys.shown(table).as_bytes());
        let others_len = before.len() + opening.len() + "[]".len() + after.len();
        list.shorten(room.saturating_sub(others_len).max(MIN_LIST_LEN));
        let mut new_tail = before.to_vec();
        list.push_shown(&mut new_tail, table, TRUNCATED);
        new_tail.extend(after);
        new_tail
    }
}

/// The list of keys may always have this many bytes, even if the message alone is too long.
const MIN_LIST_LEN: usize = 64;

/// Returns the offset of the members `span` and `spans` in the part after the fields of a nested
/// line. In front of them are the brace that ends the fields, the target, and the source location.
fn span_members_start(spans: &[u8], table: &FormatTable) -> usize {
    let mut key = Vec::new();
    push_member(&mut key, table.span, b"{");
    spans
        .windows(key.len())
        .position(|window| window == key)
        .unwrap_or(spans.len())
}
