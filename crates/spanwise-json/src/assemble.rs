//! Assembly of a line, from its first byte to the writer.

use std::{collections::HashSet, io::Write as _};

use spanwise_core::{
    EventContext, Fault,
    internal::{log_record::LogRecord, reentrancy},
};
use tracing::{Event, Subscriber};
use tracing_core::{Metadata, field::Visit, span::Id};
use tracing_subscriber::{fmt::MakeWriter, layer::Context, registry::LookupSpan};

use crate::{
    JsonLayer, escape,
    format::SPANS_OMITTED,
    format_table::{Addition, Facts, FormatTable, Layout},
    fragment::Fragment,
    json_lexer::{KeySet, members},
    line_buffer::{LineBuffer, MAX_RETAINED_LEN},
    line_template::{push_member, push_parts},
    name_limits::limit_name,
    plan::Plan,
    scratch::Scratch,
    truncate,
    visit::{Encoded, Pass, encode},
};

/// A line being assembled.
pub(crate) struct Draft<'a> {
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) plan: &'a Plan,
    pub(crate) encoded: Encoded,
    pub(crate) offsets: LineOffsets,
    /// The callsite, which is passed to the writer.
    pub(crate) metadata: &'a Metadata<'a>,
    pub(crate) log: Option<&'a LogRecord>,
    pub(crate) context: EventContext,
}

/// The span whose fields a line shows in addition to the event's.
pub(crate) enum SpanScope<'a> {
    /// The span that is current on this thread.
    Current,
    Explicit(&'a Id),
    /// The event was logged with `parent: None`.
    NoSpan,
}

/// Where the parts of a line end, for [`truncate_line`](truncate::truncate_line).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LineOffsets {
    pub(crate) fields_start: usize,
    pub(crate) fields_end: usize,
    pub(crate) spans_end: usize,
    /// A value is already truncated; the list of such fields follows the spans.
    pub(crate) truncated: bool,
}

impl<W> JsonLayer<W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    /// Starts a line, up to its first field.
    #[inline(always)] // Every line takes each of these steps: inlined, they are one function.
    pub(crate) fn begin<'a>(
        &self,
        scratch: &'a mut Scratch,
        plan: &'a Plan,
        metadata: &'a Metadata<'a>,
    ) -> Draft<'a> {
        let context = EventContext::take();
        let Scratch { line, seconds, .. } = scratch;
        if let Some(timestamp) = self.template.timestamp {
            if !self.template.before_open.is_empty() {
                line.push(&self.template.before_open);
            }
            // Two cached seconds: a stack seldom has more than two JSON layers.
            let second = &mut seconds[(self.id.number() % 2) as usize];
            second.push(
                line,
                self.id,
                &self.template.open,
                self.options.clock.now(),
                timestamp,
            );
        }
        line.push_padded(&plan.head);
        let offsets = LineOffsets {
            fields_start: line.len(),
            ..LineOffsets::default()
        };
        Draft {
            scratch,
            plan,
            encoded: Encoded::default(),
            offsets,
            metadata,
            log: None,
            context,
        }
    }

    /// Appends the fields of the event.
    #[inline(always)] // Every line takes each of these steps: inlined, they are one function.
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
        if plan.message_not_first {
            visit(Pass::Message);
            visit(Pass::AllButMessage);
        } else {
            visit(Pass::All);
        }
    }

    /// Appends everything after the fields, and writes the line.
    #[inline(always)] // Every line takes each of these steps: inlined, they are one function.
    pub(crate) fn finish<S>(
        &self,
        draft: &mut Draft<'_>,
        scope: &SpanScope<'_>,
        ctx: &Context<'_, S>,
    ) where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        self.close_fields(draft);
        let has_span = match scope {
            SpanScope::Current => self
                .with_current(|node, cache| {
                    node.read_cached(cache, |fragment| self.push_fragment(draft, fragment));
                })
                // The error has the current span, if there is one that must be looked up.
                .or_else(|id| id.and_then(|id| self.push_span(draft, &id, ctx)).ok_or(()))
                .ok(),
            SpanScope::Explicit(id) => self.push_span(draft, id, ctx),
            SpanScope::NoSpan => None,
        };
        if has_span.is_none() {
            draft.offsets.spans_end = draft.scratch.line.len();
            self.push_altered_fields(draft, None);
        }
        let EventContext {
            sample_rate,
            buffered,
            ..
        } = draft.context;
        if draft.plan.has_rare_members || sample_rate.is_some() {
            self.push_rare_members(draft);
        }
        if buffered {
            // Not in `push_rare_members`: in a service with a recorder, most lines are buffered.
            draft.scratch.line.push_padded(&self.template.buffered);
        }
        let Draft {
            scratch: Scratch { line, .. },
            plan,
            metadata,
            ..
        } = draft;
        line.push_padded(&plan.close);
        if line.len() > self.template.max_plain {
            return self.write_changed(draft);
        }
        self.write(line.as_bytes(), metadata);
    }

    /// Writes a line that is too long, or that is rewritten for its format.
    #[inline(never)] // Off the common path, which stays small.
    fn write_changed(&self, draft: &mut Draft<'_>) {
        let Draft {
            scratch: Scratch {
                line, rewritten, ..
            },
            offsets,
            metadata,
            ..
        } = draft;
        let template = &self.template;
        if line.len() > template.max_line {
            truncate::truncate_line(line, offsets, template.max_line, template.table);
        }
        let Some(rewrite) = template.table.rewrite else {
            return self.write(line.as_bytes(), metadata);
        };
        rewritten.clear();
        rewritten.extend_from_slice(&template.rewritten_start);
        (rewrite.line)(line.as_bytes(), rewritten);
        self.write(rewritten, metadata);
        rewritten.shrink_to(MAX_RETAINED_LEN);
    }

    /// Appends the fragment of a span that has to be looked up.
    #[inline(never)] // Off the common path, which stays small.
    fn push_span<S>(&self, draft: &mut Draft<'_>, id: &Id, ctx: &Context<'_, S>) -> Option<()>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let node = self.look_up(id, ctx)?;
        node.read(|fragment| self.push_fragment(draft, fragment));
        Some(())
    }

    /// Appends the rarely present members after the spans: log origin, location, thread, sample
    /// rate.
    #[inline(never)] // Off the common path, which stays small.
    fn push_rare_members(&self, draft: &mut Draft<'_>) {
        if let Some(log) = draft.log {
            self.push_origin(&mut draft.scratch.line, Layout::Flat, log, draft.metadata);
        }
        if draft.plan.has_addition
            && let Some(addition) = self.template.table.addition
        {
            push_addition(&mut draft.scratch.line, &mut draft.offsets, addition);
        }
        // Empty unless a thread follows it: otherwise it is in `plan.close`.
        draft.scratch.line.push(&draft.plan.location);
        if self.template.has_threads {
            self.push_thread(draft.scratch);
        }
        let sample_rate = draft.context.sample_rate;
        let Scratch { line, rate, .. } = &mut *draft.scratch;
        if let Some(sample_rate) = sample_rate.filter(|rate| rate.is_finite()) {
            line.push(&self.template.sample_rate);
            rate.push(line, sample_rate);
        }
    }

    /// Appends the parts between the fields and the spans.
    #[inline(always)] // Every line takes each of these steps: inlined, they are one function.
    fn close_fields(&self, draft: &mut Draft<'_>) {
        let Draft {
            scratch,
            plan,
            encoded,
            offsets,
            metadata,
            log,
            ..
        } = draft;
        let line = &mut scratch.line;
        if let Some(bit) = plan.required_message
            && encoded.bits & bit == 0
        {
            let missing = self.template.missing_message();
            line.splice(offsets.fields_start..offsets.fields_start, &missing);
        }
        if plan.has_repeated_keys {
            keep_last(line, offsets.fields_start);
        }
        offsets.fields_end = line.len();
        if self.template.table.layout == Layout::Nested {
            // Each field starts with a comma; the first comma becomes the opening brace.
            match line.as_mut_bytes().get_mut(offsets.fields_start) {
                Some(comma) => *comma = b'{',
                None => line.push_byte(b'{'),
            }
            offsets.fields_end = line.len();
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
            offsets,
            ..
        } = draft;
        let line = &mut scratch.line;
        match self.template.table.layout {
            // No key of the event can be one of the spans'.
            Layout::Flat if encoded.bits & fragment.bits() == 0 => {
                offsets.spans_end = line.len() + fragment.members_len();
                fragment.push_flat(line);
            }
            Layout::Flat => {
                push_unshadowed(line, fragment, offsets, self.template.table);
                offsets.spans_end = line.len();
                line.push(fragment.tail());
            }
            Layout::Nested => {
                self.push_nested(line, fragment);
                offsets.spans_end = line.len();
            }
        }
        self.push_altered_fields(draft, Some(fragment));
    }

    /// Appends the lists of truncated and redacted fields, of the event and of the spans.
    #[inline]
    fn push_altered_fields(&self, draft: &mut Draft<'_>, spans: Option<&Fragment>) {
        let Encoded {
            redacted_bits,
            altered,
            bits,
        } = &draft.encoded;
        let line = &mut draft.scratch.line;
        let span_lists = spans.map(Fragment::altered_members).unwrap_or_default();
        let event_has_lists = *redacted_bits != 0 || altered.is_some();
        if span_lists.is_empty() {
            if !event_has_lists {
                return;
            }
            let is_as_planned = altered.is_none() && *redacted_bits == draft.plan.redacted_bits;
            if is_as_planned {
                return line.push(&draft.plan.redacted_member);
            }
        } else if !event_has_lists && spans.is_some_and(|spans| bits & spans.bits() == 0) {
            // The event shadows no field of the spans.
            draft.offsets.truncated =
                spans.is_some_and(|spans| !spans.altered().truncated.is_empty());
            return line.push(span_lists);
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
            ..
        } = draft;
        encoded.add_redacted_by_key(plan);
        if let Some(spans) = spans {
            // A flat line does not show a span's field that the event has too, so it is not listed.
            let shadows =
                self.template.table.layout == Layout::Flat && encoded.bits & spans.bits() != 0;
            let event = &line.as_bytes()[offsets.fields_start..offsets.fields_end];
            let keys = KeySet::new(if shadows { event } else { b"" }, self.template.table);
            encoded
                .altered()
                .add(spans.altered(), |name| !keys.contains(name));
        }
        let altered = encoded.altered();
        offsets.truncated = !altered.truncated.is_empty();
        line.push(&altered.to_members(self.template.table));
    }

    fn push_nested(&self, line: &mut LineBuffer, fragment: &Fragment) {
        line.push_padded(&self.template.span);
        line.push(fragment.object());
        line.push_padded(&self.template.spans);
        fragment.push_objects(line);
        line.push_byte(b']');
        if fragment.omitted() > 0 {
            let mut member = Vec::new();
            let count = fragment.omitted().to_string();
            push_member(&mut member, SPANS_OMITTED, count.as_bytes());
            line.push(&member);
        }
    }

    /// Appends the origin of a record of the `log` crate, at its place in each layout.
    #[cold]
    fn push_origin(
        &self,
        line: &mut LineBuffer,
        at: Layout,
        log: &LogRecord,
        metadata: &Metadata<'_>,
    ) {
        let template = &self.template;
        if template.table.layout != at {
            return;
        }
        let mut members = Vec::new();
        let facts = Facts::new(&self.options, metadata, Some(log));
        push_parts(&mut members, template.table.origin, &facts);
        line.push(&members);
    }

    fn push_thread(&self, scratch: &mut Scratch) {
        let Scratch { line, thread, .. } = scratch;
        let (name, id) = thread.get_or_insert_with(|| {
            let thread = std::thread::current();
            let id = format!("{:?}", thread.id());
            let name = thread.name().map(|name| escape::quoted(&limit_name(name)));
            (name, escape::quoted(&id))
        });
        let always = self.template.table.thread.always;
        let shown = match name {
            None if always => Some(&*id),
            name => name.as_ref(),
        };
        let [of_name, of_id] = &self.template.thread;
        if let (true, Some(name)) = (self.options.thread_name || always, shown) {
            line.push(of_name);
            line.push(name);
        }
        if self.options.thread_id {
            line.push(of_id);
            line.push(id);
        }
    }

    #[inline]
    fn write(&self, line: &[u8], metadata: &Metadata<'_>) {
        let written = reentrancy::guarded_write(self.id, || {
            self.make_writer.make_writer_for(metadata).write_all(line)
        });
        match written {
            Ok(()) => self.counters.add_delivered(1),
            Err(error) => self.write_failed(&error),
        }
    }

    #[cold]
    fn write_failed(&self, why: &dyn std::fmt::Display) {
        self.counters.add_write_failed(1);
        self.report.fault(
            Fault::WriteFailed,
            &format_args!("a line of JSON is lost: {why}"),
        );
    }
}

/// Appends the spans' members whose keys the event has not used. A field of the event shadows one
/// of a span, except ids and pinned context (see [`Context`](spanwise_core::Context)): for these,
/// the field of the event is removed or renamed.
#[cold]
fn push_unshadowed(
    line: &mut LineBuffer,
    fragment: &Fragment,
    offsets: &mut LineOffsets,
    table: &FormatTable,
) {
    let mut event = line.as_bytes()[offsets.fields_start..offsets.fields_end].to_vec();
    for change in [Fragment::without_ids, Fragment::rename_pinned] {
        if let Some(changed) = change(fragment, &event) {
            line.truncate(offsets.fields_start);
            line.push(&changed);
            offsets.fields_end = line.len();
            event = changed;
        }
    }
    let keys = KeySet::new(&event, table);
    let span_members = fragment.member_parts().flat_map(members);
    for member in span_members.filter(|member| !keys.contains(member.quoted_key())) {
        line.push(member.bytes);
    }
}

/// Appends the addition, and removes the members that are in it.
#[cold]
fn push_addition(line: &mut LineBuffer, offsets: &mut LineOffsets, addition: Addition) {
    let bytes = line.as_bytes()[offsets.fields_start..].to_vec();
    let fields_len = offsets.fields_end - offsets.fields_start;
    let (fields, rest) = bytes.split_at(fields_len);
    let (spans, tail) = rest.split_at(offsets.spans_end - offsets.fields_end);
    let of_event: Vec<_> = members(fields).collect();
    let all: Vec<_> = of_event.iter().copied().chain(members(spans)).collect();
    let added = (addition.make)(&all);
    line.truncate(offsets.fields_start);
    for (index, member) in all.iter().enumerate() {
        if index == of_event.len() {
            offsets.fields_end = line.len();
        }
        if !added.moved.contains(&index) {
            line.push(member.bytes);
        }
    }
    if all.len() == of_event.len() {
        offsets.fields_end = line.len();
    }
    offsets.spans_end = line.len();
    line.push(tail);
    line.push(&added.members);
}

/// Keeps the last of several members with the same key.
#[cold]
pub(crate) fn keep_last(line: &mut LineBuffer, start: usize) {
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
