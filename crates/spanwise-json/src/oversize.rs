//! Lines that would be too long.

use crate::{
    compose::Parts,
    escape,
    format::{Layout, TRUNCATED, Table},
    line::Line,
    members::{Member, members},
    notes::Names,
    shape::push_member,
};

/// Leaves out what matters least until the line fits: the fields of the spans from the outermost, then those of the event from
/// the last. The message stays. The line says what is missing.
#[cold]
pub(crate) fn shorten(line: &mut Line, parts: &Parts, max_line: usize, table: &Table) {
    let bytes = line.as_bytes().to_vec();
    let (head, rest) = bytes.split_at(parts.fields_start);
    let (fields, rest) = rest.split_at(parts.fields_end - parts.fields_start);
    let (spans, tail) = rest.split_at(parts.spans_end - parts.fields_end);

    let mut too_much = Excess {
        bytes: bytes.len() - max_line,
        names: Names::default(),
    };
    // The list of names itself takes room.
    too_much.bytes += TRUNCATED.len() + 6;
    let message = escape::quoted(table.message);
    let (kept_spans, fields): (Vec<u8>, Vec<u8>) = match table.layout {
        Layout::Flat => {
            let spans = too_much.drop_from_end(members(spans).collect(), &message);
            (
                spans,
                too_much.drop_from_end(members(fields).collect(), &message),
            )
        }
        Layout::Nested => {
            // `{` stands where the first comma was.
            let fields = [b",", fields.get(1..).unwrap_or_default()].concat();
            // The end of the fields' object and what comes before the spans stays.
            let before = members_start(spans, table);
            let kept = too_much.drop_from_end(members(&spans[before..]).collect(), &message);
            let mut fields = match fields.len() {
                1 => Vec::new(),
                _ => too_much.drop_from_end(members(&fields).collect(), &message),
            };
            match fields.first_mut() {
                Some(comma) => *comma = b'{',
                None => fields.push(b'{'),
            }
            ([&spans[..before], &kept].concat(), fields)
        }
    };
    let tail = too_much.note_in(tail, parts.truncated);
    line.truncate(0);
    for part in [head, &fields, &kept_spans, &tail] {
        line.push(part);
    }
}

struct Excess {
    bytes: usize,
    /// What was left out.
    names: Names,
}

impl Excess {
    fn drop_from_end(&mut self, all: Vec<Member<'_>>, keep: &[u8]) -> Vec<u8> {
        let mut kept = Vec::new();
        for member in all.into_iter().rev() {
            if self.bytes == 0 || member.quoted_key() == keep {
                kept.push(member.bytes);
                continue;
            }
            self.names.push(member.quoted_key());
            let gained = member
                .bytes
                .len()
                .saturating_sub(member.quoted_key().len() + 1);
            self.bytes = self.bytes.saturating_sub(gained);
        }
        kept.reverse();
        kept.concat()
    }

    /// Adds the names to the list that is there already, or a list of them.
    fn note_in(&self, tail: &[u8], is_there: bool) -> Vec<u8> {
        if self.names.is_empty() {
            return tail.to_vec();
        }
        let mut key = Vec::new();
        push_member(&mut key, TRUNCATED, b"[");
        if is_there && let Some(at) = tail.windows(key.len()).position(|window| window == key) {
            let (before, after) = tail.split_at(at + key.len());
            let mut names = self.names.clone();
            let rest = names.add_list(after);
            return [before, names.as_bytes(), rest].concat();
        }
        let member = [&key, self.names.as_bytes(), b"]"].concat();
        [&member, tail].concat()
    }
}

/// Where the spans' members begin, after the brace that ends the fields and the target.
fn members_start(spans: &[u8], table: &Table) -> usize {
    let mut key = Vec::new();
    push_member(&mut key, table.span, b"{");
    spans
        .windows(key.len())
        .position(|window| window == key)
        .unwrap_or(spans.len())
}
