//! The members `truncated` and `redacted` of a line. They list the keys of the fields that were
//! cut, dropped or redacted.

use tracing_subscriber::fmt::MakeWriter;

use super::Draft;
use crate::{
    JsonLayer,
    fragment::{Fragment, Overlap},
    json_lexer::KeySet,
    scratch::Scratch,
    visit::Encoded,
};

impl<W> JsonLayer<W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    /// Appends the lists of truncated and redacted fields, of the event and of the spans.
    #[inline(always)] // Nearly all lines have no lists, so this is only two tests.
    pub(super) fn push_altered_fields(&self, draft: &mut Draft<'_>, spans: Option<&Fragment>) {
        let spans_have_lists = spans.is_some_and(|spans| !spans.altered_members().is_empty());
        if spans_have_lists || draft.encoded.has_redacted_or_altered() {
            self.push_lists(draft, spans);
        }
    }

    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn push_lists(&self, draft: &mut Draft<'_>, spans: Option<&Fragment>) {
        let Encoded {
            redacted_bits,
            redacted_texts,
            altered,
            ..
        } = &draft.encoded;
        let is_shadowing = draft.overlap != Overlap::Nothing;
        let line = &mut draft.scratch.line;
        let span_lists = spans.map(Fragment::altered_members).unwrap_or_default();
        let event_has_lists = draft.encoded.has_redacted_or_altered();
        if !span_lists.is_empty() {
            if !event_has_lists && !is_shadowing {
                // The line shows all fields of the spans, so it has the lists of the spans.
                draft.offsets.has_truncated_list =
                    spans.is_some_and(|spans| !spans.altered().truncated.is_empty());
                return line.push(span_lists);
            }
        } else if altered.is_none() {
            let plan = draft.plan;
            if *redacted_texts == 0 && *redacted_bits == plan.redacted_bits {
                return line.push(&plan.redacted_member);
            }
            if let Some(member) = plan.known_member((*redacted_bits, *redacted_texts)) {
                return line.push(member);
            }
        }
        self.push_merged_altered_fields(draft, spans);
    }

    #[cold]
    fn push_merged_altered_fields(&self, draft: &mut Draft<'_>, spans: Option<&Fragment>) {
        let Draft {
            scratch: Scratch { line, .. },
            plan,
            encoded,
            offsets,
            overlap,
            ..
        } = draft;
        let redacted = (encoded.redacted_bits, encoded.redacted_texts);
        let depends_on_bits_only = spans.is_none_or(|spans| spans.altered_members().is_empty())
            && encoded.altered.is_none();
        encoded.add_redacted(plan, &plan.keys);
        if let Some(spans) = spans {
            // The line does not show a field of the spans that the event shadows, so it does not
            // list the field either. Nested lines show all fields, and have the overlap `Nothing`.
            let shadows = *overlap != Overlap::Nothing;
            let event = &line.as_bytes()[offsets.fields_start..offsets.fields_end];
            let keys = KeySet::new(if shadows { event } else { b"" }, self.template.table);
            encoded
                .altered()
                .add(spans.altered(), |name| !keys.contains(name));
        }
        let altered = encoded.altered();
        offsets.has_truncated_list = !altered.truncated.is_empty();
        let members = altered.to_members(self.template.table);
        line.push(&members);
        if depends_on_bits_only {
            plan.remember_member(redacted, members);
        }
    }
}
