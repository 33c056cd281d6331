//! A line, from its first byte to the writer.

use std::{collections::HashSet, io::Write as _};

use spanwise_core::{EventContext, Fault, log_record::LogRecord, reentrancy};
use tracing::{Event, Subscriber};
use tracing_core::{Metadata, field::Visit, span::Id};
use tracing_subscriber::{fmt::MakeWriter, layer::Context, registry::LookupSpan};

use crate::{
    JsonLayer, escape,
    format::{IS_BUFFERED, Layout, SPANS_OMITTED},
    fragment::Fragment,
    line::Line,
    local::Scratch,
    members::{Keys, members},
    names::bounded,
    oversize,
    plan::Plan,
    shape::push_member,
    visit::{Encoded, Pass, encode},
};

/// A line on its way.
pub(crate) struct Draft<'a> {
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) plan: &'a Plan,
    pub(crate) encoded: Encoded,
    pub(crate) parts: Parts,
    /// Where it says it comes from.
    pub(crate) metadata: &'a Metadata<'a>,
    pub(crate) log: Option<&'a LogRecord>,
    pub(crate) annotations: EventContext,
}

/// Whose fields a line shows besides the event's.
pub(crate) enum Inside<'a> {
    /// The span that is current on this thread.
    Current,
    Span(&'a Id),
    NoSpan,
}

/// Where the parts of a line end, for when something must be taken out again.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Parts {
    pub(crate) fields_start: usize,
    pub(crate) fields_end: usize,
    pub(crate) spans_end: usize,
    /// Something was cut already, and is named after the spans.
    pub(crate) truncated: bool,
}

impl<W> JsonLayer<W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    /// A line up to its first field.
    #[inline(always)]
    pub(crate) fn begin<'a>(
        &self,
        scratch: &'a mut Scratch,
        plan: &'a Plan,
        metadata: &'a Metadata<'a>,
    ) -> Draft<'a> {
        let annotations = EventContext::take();
        let Scratch { line, seconds, .. } = scratch;
        if let Some(timestamp) = self.options.timestamp {
            let second = &mut seconds[(self.id.number() % 2) as usize];
            second.push(
                line,
                self.id,
                &self.shape.open,
                self.options.clock.now(),
                timestamp,
            );
        }
        line.push_short(&plan.head);
        let parts = Parts {
            fields_start: line.len(),
            ..Parts::default()
        };
        Draft {
            scratch,
            plan,
            encoded: Encoded::default(),
            parts,
            metadata,
            log: None,
            annotations,
        }
    }

    /// The fields of the event.
    #[inline(always)]
    pub(crate) fn push_fields(&self, draft: &mut Draft<'_>, event: &Event<'_>) {
        let Draft {
            scratch,
            plan,
            encoded,
            ..
        } = draft;
        let line = &mut scratch.line;
        let mut visit = |pass| {
            let record = |visitor: &mut dyn Visit| event.record(visitor);
            encode(
                line,
                &plan.keys,
                pass,
                self.encoding(plan, true),
                encoded,
                record,
            );
        };
        if plan.message_late {
            visit(Pass::Message);
            visit(Pass::AllButMessage);
        } else {
            visit(Pass::All);
        }
    }

    /// Everything of a line after its fields, and then out with it.
    #[inline(always)]
    pub(crate) fn finish<S>(&self, draft: &mut Draft<'_>, inside: &Inside<'_>, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        self.close_fields(draft);
        let has_span = match inside {
            Inside::Current => self
                .with_current(|node, cache| {
                    node.read_cached(cache, |fragment| self.push_fragment(draft, fragment));
                })
                .or_else(|id| id.and_then(|id| self.push_span(draft, &id, ctx)).ok_or(()))
                .ok(),
            Inside::Span(id) => self.push_span(draft, id, ctx),
            Inside::NoSpan => None,
        };
        if has_span.is_none() {
            draft.parts.spans_end = draft.scratch.line.len();
            self.push_notes(draft, None);
        }
        let EventContext {
            sample_rate,
            buffered,
            ..
        } = draft.annotations;
        if draft.log.is_some() || self.shape.has_threads || sample_rate.is_some() {
            self.push_rest(draft);
        }
        if buffered {
            // Here, not with the rest: in a service with a recorder most lines are.
            draft
                .scratch
                .line
                .push_block(IS_BUFFERED, IS_BUFFERED.len());
        }
        let Draft {
            scratch: Scratch { line, .. },
            plan,
            parts,
            metadata,
            ..
        } = draft;
        line.push_short(&plan.close);
        if line.len() > self.options.max_line {
            oversize::shorten(line, parts, self.options.max_line, self.shape.table);
        }
        self.write(line, metadata);
    }

    /// Appends what a span adds that is looked up.
    #[inline(never)]
    fn push_span<S>(&self, draft: &mut Draft<'_>, id: &Id, ctx: &Context<'_, S>) -> Option<()>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let node = self.look_up(id, ctx)?;
        node.read(|fragment| self.push_fragment(draft, fragment));
        Some(())
    }

    /// What only some lines have after the spans: out of the way of the others.
    #[inline(never)]
    fn push_rest(&self, draft: &mut Draft<'_>) {
        if let Some(log) = draft.log {
            self.push_origin(&mut draft.scratch.line, Layout::Flat, log, draft.metadata);
        }
        draft.scratch.line.push(&draft.plan.location);
        if self.shape.has_threads {
            self.push_thread(draft.scratch);
        }
        let sample_rate = draft.annotations.sample_rate;
        let Scratch { line, rate, .. } = &mut *draft.scratch;
        if let Some(sample_rate) = sample_rate.filter(|rate| rate.is_finite()) {
            rate.push(line, sample_rate);
        }
    }

    /// What comes between the fields and the spans.
    #[inline(always)]
    fn close_fields(&self, draft: &mut Draft<'_>) {
        let Draft {
            scratch,
            plan,
            parts,
            metadata,
            log,
            ..
        } = draft;
        let line = &mut scratch.line;
        if plan.repeats {
            keep_last(line, parts.fields_start);
        }
        parts.fields_end = line.len();
        if self.shape.table.layout == Layout::Nested {
            // Each field begins with a comma; the first one's is the brace.
            match line.as_mut_bytes().get_mut(parts.fields_start) {
                Some(comma) => *comma = b'{',
                None => line.push_byte(b'{'),
            }
            parts.fields_end = line.len();
            line.push_byte(b'}');
            line.push(&plan.after_fields);
            if let Some(log) = log {
                self.push_origin(line, Layout::Nested, log, metadata);
            }
        }
    }

    #[inline]
    fn push_fragment(&self, draft: &mut Draft<'_>, fragment: &Fragment) {
        let Draft {
            scratch,
            encoded,
            parts,
            ..
        } = draft;
        let line = &mut scratch.line;
        match self.shape.table.layout {
            Layout::Flat if encoded.bits & fragment.bits() == 0 => {
                parts.spans_end = line.len() + fragment.members_len();
                fragment.push_flat(line);
            }
            Layout::Flat => {
                push_unshadowed(line, fragment, parts);
                parts.spans_end = line.len();
                line.push(fragment.tail());
            }
            Layout::Nested => {
                self.push_nested(line, fragment);
                parts.spans_end = line.len();
            }
        }
        self.push_notes(draft, Some(fragment));
    }

    /// Appends what is said of the fields of the event and of the spans.
    #[inline]
    fn push_notes(&self, draft: &mut Draft<'_>, spans: Option<&Fragment>) {
        let Encoded {
            hidden,
            notes,
            bits,
        } = &draft.encoded;
        let line = &mut draft.scratch.line;
        let of_spans = spans.map(Fragment::note_members).unwrap_or_default();
        let of_event = *hidden != 0 || notes.is_some();
        match (of_event, of_spans.is_empty()) {
            (false, true) => {}
            (true, true) if notes.is_none() && *hidden == draft.plan.hidden => {
                line.push(&draft.plan.redacted);
            }
            (false, false) if spans.is_some_and(|spans| bits & spans.bits() == 0) => {
                draft.parts.truncated = spans.is_some_and(|spans| !spans.notes().cut.is_empty());
                line.push(of_spans);
            }
            (true, _) | (false, false) => self.push_mixed_notes(draft, spans),
        }
    }

    #[cold]
    fn push_mixed_notes(&self, draft: &mut Draft<'_>, spans: Option<&Fragment>) {
        let Draft {
            scratch: Scratch { line, .. },
            plan,
            encoded,
            parts,
            ..
        } = draft;
        encoded.note_hidden(plan);
        if let Some(spans) = spans {
            // A value of the event's is whole, whatever became of the span's of that name, which a flat line does not show.
            let shadows =
                self.shape.table.layout == Layout::Flat && encoded.bits & spans.bits() != 0;
            let event = &line.as_bytes()[parts.fields_start..parts.fields_end];
            let keys = Keys::of(if shadows { event } else { b"" });
            encoded
                .notes()
                .add(spans.notes(), |name| !keys.contains(name));
        }
        let notes = encoded.notes();
        parts.truncated = !notes.cut.is_empty();
        notes.push_members(|part| line.push(part));
    }

    fn push_nested(&self, line: &mut Line, fragment: &Fragment) {
        line.push_short(&self.shape.span);
        line.push(fragment.object());
        line.push_short(&self.shape.spans);
        fragment.push_objects(line);
        line.push_byte(b']');
        if fragment.omitted() > 0 {
            let mut member = Vec::new();
            let count = fragment.omitted().to_string();
            push_member(&mut member, SPANS_OMITTED, count.as_bytes());
            line.push(&member);
        }
    }

    /// Where a record of the `log` crate comes from, at the place its layout has for it.
    #[cold]
    fn push_origin(&self, line: &mut Line, at: Layout, log: &LogRecord, metadata: &Metadata<'_>) {
        let shape = &self.shape;
        if shape.table.layout != at {
            return;
        }
        let mut members = Vec::new();
        if at == Layout::Nested {
            let target = log.target.as_deref().unwrap_or(metadata.target());
            shape.push_target(&mut members, &self.options, target);
        }
        shape.push_location(&mut members, &self.options, log.file.as_deref(), log.line);
        line.push(&members);
    }

    fn push_thread(&self, scratch: &mut Scratch) {
        let Scratch { line, thread, .. } = scratch;
        let (name, id) = thread.get_or_insert_with(|| {
            let thread = std::thread::current();
            let id = format!("{:?}", thread.id());
            let name = thread.name().map(|name| escape::quoted(&bounded(name)));
            (name, escape::quoted(&id))
        });
        let table = self.shape.table;
        let mut members = Vec::new();
        if let (true, Some(name)) = (self.options.thread_name, name) {
            push_member(&mut members, table.thread_name, name);
        }
        if self.options.thread_id {
            push_member(&mut members, table.thread_id, id);
        }
        line.push(&members);
    }

    #[inline]
    fn write(&self, line: &Line, metadata: &Metadata<'_>) {
        let written = reentrancy::guarded_write(self.id, || {
            self.make_writer
                .make_writer_for(metadata)
                .write_all(line.as_bytes())
        });
        match written {
            Ok(()) => self.counters.delivered(),
            Err(error) => self.write_failed(&error),
        }
    }

    #[cold]
    fn write_failed(&self, why: &dyn std::fmt::Display) {
        self.counters.write_failed();
        self.report.fault(
            Fault::WriteFailed,
            &format_args!("a line of JSON is lost: {why}"),
        );
    }
}

/// The members of the spans whose keys the event has not used: an event's field hides a span's, but
/// not context that was decided.
#[cold]
fn push_unshadowed(line: &mut Line, fragment: &Fragment, parts: &mut Parts) {
    let mut event = line.as_bytes()[parts.fields_start..parts.fields_end].to_vec();
    if let Some(displaced) = fragment.without_decided(&event) {
        line.truncate(parts.fields_start);
        line.push(&displaced);
        parts.fields_end = line.len();
        event = displaced;
    }
    let keys = Keys::of(&event);
    let of_spans = fragment.member_parts().flat_map(members);
    for member in of_spans.filter(|member| !keys.contains(member.quoted_key())) {
        line.push(member.bytes);
    }
}

/// Of members with one key, keeps the last.
#[cold]
pub(crate) fn keep_last(line: &mut Line, start: usize) {
    let bytes = line.as_bytes()[start..].to_vec();
    line.truncate(start);
    let all: Vec<_> = members(&bytes).collect();
    let mut seen = HashSet::with_capacity(all.len());
    let mut kept: Vec<_> = all
        .iter()
        .rev()
        .filter(|member| seen.insert(member.key()))
        .collect();
    kept.reverse();
    kept.iter().for_each(|member| line.push(member.bytes));
}
