//! The message of an event, in formats whose receivers require a message.

use tracing_subscriber::fmt::MakeWriter;

use super::Draft;
use crate::{
    JsonLayer,
    conversion::{is_blank, is_visible},
    escape,
    json_lexer::members,
    line_buffer::LineBuffer,
    plan::{Key, RequiredMessage},
};

impl Draft<'_> {
    /// Returns whether the event has the message as its first field, and the text starts with a
    /// visible character. Also returns false if the plan does not know the position of the text.
    #[inline]
    pub(super) fn has_visible_message(&self, message: &RequiredMessage) -> bool {
        let Some(text_at) = message.text_at else {
            return false;
        };
        let first = self
            .scratch
            .line
            .as_bytes()
            .get(self.offsets.fields_start + text_at);
        self.encoded.fields.has(message.index) && first.is_some_and(is_visible)
    }
}

impl<W> JsonLayer<W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    /// Adds a message if the event has none. Replaces a blank message if the format does not accept
    /// it. `index` is the index of the message among the fields of the callsite.
    #[cold]
    #[inline(never)] // Kept out of line, so that the common path stays small.
    pub(super) fn complete_message(&self, draft: &mut Draft<'_>, index: usize) {
        let (line, plan) = (&mut draft.scratch.line, draft.plan);
        let start = draft.offsets.fields_start;
        let fields = &line.as_bytes()[start..];
        if !draft.encoded.has_message(plan, index, fields) {
            return line.splice(start..start, &self.template.missing_message());
        }
        let Some(replacement) = self.template.table.message.blank else {
            return;
        };
        let message = &plan.keys[index];
        let first = fields.strip_prefix(message.opening());
        if plan.has_repeated_keys || first.is_none_or(is_blank) {
            replace_blank(line, message, replacement, start);
        }
    }
}

/// Replaces each blank message among the members after the offset `start`.
#[cold]
fn replace_blank(line: &mut LineBuffer, message: &Key, replacement: &str, start: usize) {
    let fields = line.as_bytes()[start..].to_vec();
    line.truncate(start);
    for member in members(&fields) {
        if member.opening() == message.opening() && is_blank(member.value()) {
            line.push(member.opening());
            escape::push_quoted(line, replacement);
        } else {
            line.push(member.bytes);
        }
    }
}
