//! Assembly of a line, from its first byte to the writer.
//!
//! A flat line has these parts: the head, the fields of the event, those of the spans (a
//! [`Fragment`]), members that only some lines have, and the end. The [`Plan`] of the callsite has
//! the parts that all its events share. When a line is complete, it may still change: an
//! [addition](crate::addition) is inserted, it is truncated, or it is rewritten in the syntax of
//! its format.

mod altered_lists;
mod required_message;
mod rewritten_line;
mod thread_members;

use std::{any::Any, collections::HashSet, io::Write as _};

use spanwise_core::{
    EventContext, Fault,
    internal::{log_record::LogRecord, read_shared, reentrancy},
};
use tracing::Subscriber;
use tracing_core::{Metadata, field::Visit, span::Id};
use tracing_subscriber::{fmt::MakeWriter, layer::Context, registry::LookupSpan};

use crate::{
    JsonLayer,
    addition::LayerAddition,
    format::SPANS_OMITTED,
    format_table::{FormatTable, Layout, PartInputs},
    fragment::{Fragment, Overlap},
    json_lexer::{KeySet, members},
    line_buffer::LineBuffer,
    line_template::{push_member, push_parts},
    plan::{Key, Plan},
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
    /// The callsite, which is passed to `MakeWriter::make_writer_for`.
    pub(crate) metadata: &'a Metadata<'a>,
    /// The origin of a record of the `log` crate. `None` for other events.
    pub(crate) log: Option<&'a LogRecord>,
    pub(crate) context: EventContext,
    /// The time of an event that a recorder buffered as values, as seconds and nanoseconds since
    /// 1970. `None` for an event that happens now.
    pub(crate) stored_time: Option<(i64, u32)>,
    /// Whether the line has members that the plan does not know. If so, keys are compared as text.
    pub(crate) has_unknown_keys: bool,
    /// How to find the members of the spans that the line omits because the event has their keys.
    /// Set when the fragment is appended.
    pub(crate) overlap: Overlap,
    /// The buffer that gets the line in place of the writer. Only for the lines of a dump.
    pub(crate) collected: Option<&'a mut Vec<u8>>,
}

/// The span whose fields a line shows after those of the event.
pub(crate) enum SpanScope<'a> {
    /// The span that is current on this thread.
    Current,
    /// The event was logged with `parent: &span`.
    Explicit(&'a Id),
    /// The event was logged with `parent: None`.
    NoSpan,
    /// A recorder buffered the event while its span had this fragment.
    Buffered(&'a (dyn Any + Send + Sync)),
}

/// The byte offsets of the parts of a line, for [`truncate_line`](truncate::truncate_line) and for
/// [additions](crate::addition).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LineOffsets {
    pub(crate) fields_start: usize,
    pub(crate) fields_end: usize,
    /// The end of the fields of the spans.
    pub(crate) spans_end: usize,
    /// The position of the format's addition. Meaningful if the callsite may have an addition.
    pub(crate) addition: usize,
    /// Whether the part after `spans_end` has the list of truncated fields.
    pub(crate) has_truncated_list: bool,
}

impl<'a> Draft<'a> {
    #[inline(always)] // Every line takes this step.
    fn new(
        scratch: &'a mut Scratch,
        plan: &'a Plan,
        metadata: &'a Metadata<'a>,
        context: EventContext,
    ) -> Self {
        Self {
            context,
            scratch,
            plan,
            encoded: Encoded::default(),
            offsets: LineOffsets::default(),
            metadata,
            log: None,
            stored_time: None,
            has_unknown_keys: false,
            overlap: Overlap::Nothing,
            collected: None,
        }
    }
}

impl<W> JsonLayer<W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    /// Begins a draft with the start of a line, up to its first field. Sets [`Draft::stored_time`].
    #[inline(always)] // Every line takes all of these steps: inlining joins them to one function.
    pub(crate) fn begin<'a>(
        &self,
        scratch: &'a mut Scratch,
        plan: &'a Plan,
        metadata: &'a Metadata<'a>,
        context: EventContext,
        stored_time: Option<(i64, u32)>,
    ) -> Draft<'a> {
        let mut draft = Draft::new(scratch, plan, metadata, context);
        draft.stored_time = stored_time;
        let time = stored_time.unwrap_or_else(|| self.options.clock.since_epoch());
        self.push_head(&mut draft, time);
        draft
    }

    #[inline(always)] // Every line takes all of these steps: inlining joins them to one function.
    fn push_head(&self, draft: &mut Draft<'_>, time: (i64, u32)) {
        let Scratch { line, seconds, .. } = &mut *draft.scratch;
        if let Some(timestamp) = self.template.timestamp {
            if !self.template.before_open.as_bytes().is_empty() {
                line.push_padded(&self.template.before_open);
            }
            let second = seconds.for_layer(self.id);
            second.push(line, &self.template.open, time, timestamp);
        }
        line.push_padded(&draft.plan.head);
        draft.offsets.fields_start = line.len();
    }

    /// Appends the fields of the event, which `record` visits.
    #[inline(always)] // Every line takes all of these steps: inlining joins them to one function.
    pub(crate) fn push_fields(
        &self,
        draft: &mut Draft<'_>,
        record: impl Fn(&mut dyn Visit) + Copy,
    ) {
        let plan = draft.plan;
        if plan.is_visited_once {
            return self.visit_fields(draft, record, &plan.keys, Pass::All);
        }
        self.push_uncommon_fields(draft, &record);
    }

    #[inline(always)] // Every line takes this step.
    fn visit_fields(
        &self,
        draft: &mut Draft<'_>,
        record: impl Fn(&mut dyn Visit) + Copy,
        keys: &[Key],
        pass: Pass,
    ) {
        let Draft {
            scratch,
            plan,
            encoded,
            ..
        } = draft;
        let Scratch { line, starts, .. } = &mut **scratch;
        let is_event = true;
        let encoding = self.encoding(plan, is_event);
        encode(line, keys, pass, encoding, encoded, starts, record);
    }

    /// Like [`push_fields`](Self::push_fields), but also handles a message after other fields, and
    /// keys that depend on the values.
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn push_uncommon_fields(&self, draft: &mut Draft<'_>, record: &dyn Fn(&mut dyn Visit)) {
        let plan = draft.plan;
        let (keys, _) = plan.keys_for(None, record);
        if plan.message_not_first {
            self.visit_fields(draft, record, keys, Pass::Message);
            self.visit_fields(draft, record, keys, Pass::AllButMessage);
        } else {
            self.visit_fields(draft, record, keys, Pass::All);
        }
        draft.encoded.list_redacted_if_keys_differ(plan, keys);
    }

    /// Appends everything after the fields, and writes the line.
    #[inline(always)] // Every line takes all of these steps: inlining joins them to one function.
    pub(crate) fn finish<S>(
        &self,
        draft: &mut Draft<'_>,
        scope: &SpanScope<'_>,
        ctx: &Context<'_, S>,
    ) where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        self.close_fields(draft);
        self.push_tail(draft, scope, ctx);
        if draft.context.buffered {
            return self.finish_buffered(draft);
        }
        let Draft {
            scratch: Scratch { line, .. },
            plan,
            metadata,
            ..
        } = draft;
        line.push_padded(&plan.close);
        if line.len() > plan.max_plain {
            return self.write_uncommon(draft);
        }
        self.write(line.as_bytes(), metadata);
    }

    /// Appends the parts between the fields and the end, which depend on more than the callsite.
    #[inline(always)] // Every line takes all of these steps: inlining joins them to one function.
    fn push_tail<S>(&self, draft: &mut Draft<'_>, scope: &SpanScope<'_>, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let has_span = match scope {
            SpanScope::Current => self
                .with_current(|node, cache| {
                    node.read_cached(cache, |fragment| self.push_fragment(draft, fragment));
                })
                // In case of `Err(Some(id))`, the node of the current span must be looked up.
                .or_else(|id| {
                    let id = id.or_else(|| self.missed_current(ctx));
                    id.and_then(|id| self.push_span(draft, &id, ctx)).ok_or(())
                })
                .ok(),
            SpanScope::Explicit(id) => self.push_span(draft, id, ctx),
            SpanScope::NoSpan => None,
            SpanScope::Buffered(fragment) => self.push_buffered_span(draft, *fragment),
        };
        if has_span.is_none() {
            draft.offsets.spans_end = draft.scratch.line.len();
            self.push_altered_fields(draft, None);
        }
        if draft.plan.has_rare_members || draft.context.sample_rate.is_some() {
            self.push_rare_members(draft);
        }
    }

    /// Adds the member `buffered`, and writes the line.
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn finish_buffered(&self, draft: &mut Draft<'_>) {
        let line = &mut draft.scratch.line;
        line.push_padded(&self.template.buffered);
        line.push_padded(&draft.plan.close);
        self.noting_recorded_sink(|| self.write_uncommon(draft));
    }

    /// Writes a line that may be too long, may have an addition, has to be rewritten, or is
    /// buffered or dumped by a recorder.
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn write_uncommon(&self, draft: &mut Draft<'_>) {
        let Draft {
            scratch: Scratch {
                line, rewritten, ..
            },
            offsets,
            metadata,
            plan,
            stored_time,
            collected,
            ..
        } = draft;
        let mut write = |line: &[u8]| match collected {
            Some(collected) => collected.extend(line),
            None => self.write(line, metadata),
        };
        let template = &self.template;
        match template.table.addition.filter(|_| plan.has_addition) {
            Some(addition) => {
                let is_taken = |key: &str| template.is_taken(&self.options, key);
                let addition = LayerAddition {
                    addition,
                    options: &self.options,
                    stored_time: *stored_time,
                    is_taken: &is_taken,
                    max_line: template.max_line,
                };
                addition.add(line, offsets);
            }
            None if line.len() > template.max_line => {
                truncate::truncate_line(line, offsets, template.max_line, &self.options);
            }
            None => {}
        }
        let Some(rewrite) = template.table.rewrite else {
            return write(line.as_bytes());
        };
        rewritten.clear();
        rewritten.push(&template.rewritten_start);
        (rewrite.line)(&self.options, line.as_bytes(), rewritten);
        write(rewritten.as_bytes());
        rewritten.clear();
    }

    /// Looks up a span, and appends its fragment.
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn push_span<S>(&self, draft: &mut Draft<'_>, id: &Id, ctx: &Context<'_, S>) -> Option<()>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let node = self.look_up(id, ctx)?;
        node.read(|fragment| self.push_fragment(draft, fragment));
        Some(())
    }

    /// Appends the fragment that the span had when the event was buffered.
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn push_buffered_span(
        &self,
        draft: &mut Draft<'_>,
        fragment: &(dyn Any + Send + Sync),
    ) -> Option<()> {
        read_shared(fragment, |fragment| self.push_fragment(draft, fragment))
    }

    /// Appends the rarely present members after the spans: log origin, location, thread, sample
    /// rate.
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn push_rare_members(&self, draft: &mut Draft<'_>) {
        if let Some(log) = draft.log {
            self.push_origin(&mut draft.scratch.line, Layout::Flat, log, draft.metadata);
        }
        draft.offsets.addition = draft.scratch.line.len();
        // The location is empty if it is part of `plan.close`.
        if !draft.plan.location.is_empty() {
            draft.scratch.line.push(&draft.plan.location);
        }
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

    /// Completes the fields: adds a message if the format requires one, and removes repeated keys.
    /// In a nested line, closes the object of the fields, and appends the parts before the spans.
    #[inline(always)] // Every line takes all of these steps: inlining joins them to one function.
    fn close_fields(&self, draft: &mut Draft<'_>) {
        if let Some(message) = &draft.plan.required_message
            && !draft.has_visible_message(message)
        {
            self.complete_message(draft, message.index);
        }
        let Draft {
            scratch,
            plan,
            offsets,
            metadata,
            log,
            ..
        } = draft;
        let line = &mut scratch.line;
        if plan.has_repeated_keys {
            remove_repeated_keys(line, offsets.fields_start);
        }
        offsets.fields_end = line.len();
        if self.template.table.layout == Layout::Nested {
            // Each field starts with a comma. The first of these commas becomes the opening brace.
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

    #[inline(always)] // Every line in a span takes this step.
    fn push_fragment(&self, draft: &mut Draft<'_>, fragment: &Fragment) {
        let may_overlap = draft.plan.bits & fragment.bits() != 0 || draft.has_unknown_keys;
        if may_overlap || self.template.table.layout == Layout::Nested {
            self.push_uncommon_fragment(draft, fragment);
        } else {
            let line = &mut draft.scratch.line;
            draft.offsets.spans_end = line.len() + fragment.members_len();
            fragment.push_flat(line);
        }
        self.push_altered_fields(draft, Some(fragment));
    }

    /// Appends a fragment if the line is nested, or if the event may shadow some of the members.
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn push_uncommon_fragment(&self, draft: &mut Draft<'_>, fragment: &Fragment) {
        let is_flat = self.template.table.layout == Layout::Flat;
        let Draft {
            scratch,
            plan,
            encoded,
            offsets,
            overlap,
            has_unknown_keys,
            ..
        } = draft;
        let Scratch { line, shadowed, .. } = &mut **scratch;
        if is_flat {
            *overlap = match has_unknown_keys {
                true => Overlap::Text,
                false => fragment.overlap(plan, encoded.fields, shadowed),
            };
        }
        match overlap {
            Overlap::Nothing if is_flat => {
                offsets.spans_end = line.len() + fragment.members_len();
                fragment.push_flat(line);
            }
            Overlap::KeyIds => {
                fragment.push_unshadowed(line, shadowed);
                offsets.spans_end = line.len();
                line.push(fragment.tail());
            }
            Overlap::Text => push_unshadowed_by_text(draft, fragment, self.template.table),
            Overlap::Nothing => {
                self.push_nested(line, fragment);
                offsets.spans_end = line.len();
            }
        }
    }

    fn push_nested(&self, line: &mut LineBuffer, fragment: &Fragment) {
        line.push_padded(&self.template.span);
        line.push(fragment.object());
        line.push_padded(&self.template.spans);
        fragment.push_objects(line);
        line.push_byte(b']');
        if fragment.omitted_span_count() > 0 {
            let mut member = Vec::new();
            let count = fragment.omitted_span_count().to_string();
            push_member(&mut member, SPANS_OMITTED, count.as_bytes());
            line.push(&member);
        }
    }

    /// Appends the origin of a `log` record if lines have this layout. Each layout has its own
    /// position for the origin, so each caller passes the layout of its position.
    #[cold]
    fn push_origin(
        &self,
        line: &mut LineBuffer,
        layout: Layout,
        log: &LogRecord,
        metadata: &Metadata<'_>,
    ) {
        let template = &self.template;
        if template.table.layout != layout {
            return;
        }
        let mut members = Vec::new();
        let inputs = PartInputs::new(&self.options, metadata, Some(log));
        push_parts(&mut members, template.table.origin, &inputs);
        line.push(&members);
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
    pub(crate) fn write_failed(&self, why: &dyn std::fmt::Display) {
        self.counters.add_write_failed(1);
        self.report.fault(
            Fault::WriteFailed,
            &format_args!("a line of JSON is lost: {why}"),
        );
    }
}

/// Appends a fragment without the members that the event shadows, and compares keys as text. Before
/// that, removes or renames fields of the event with the keys of trace ids or pinned context.
#[cold]
fn push_unshadowed_by_text(draft: &mut Draft<'_>, fragment: &Fragment, table: &FormatTable) {
    let Draft {
        scratch: Scratch { line, .. },
        plan,
        encoded,
        offsets,
        ..
    } = draft;
    encoded.list_redacted(plan, &plan.keys);
    let event = line.as_bytes()[offsets.fields_start..offsets.fields_end].to_vec();
    let event = fragment.adapt_event_fields(event, encoded.altered.as_deref_mut());
    line.truncate(offsets.fields_start);
    line.push(&event);
    offsets.fields_end = line.len();
    let keys = KeySet::new(&event, table);
    let span_members = fragment.member_parts().flat_map(|part| members(part.text));
    for member in span_members.filter(|member| !keys.contains(member.quoted_key())) {
        line.push(member.bytes);
    }
    offsets.spans_end = line.len();
    line.push(fragment.tail());
}

/// Removes repeated keys behind the offset `start`: keeps the last member of each key.
#[cold]
pub(crate) fn remove_repeated_keys(line: &mut LineBuffer, start: usize) {
    let bytes = line.as_bytes()[start..].to_vec();
    line.truncate(start);
    let all: Vec<_> = members(&bytes).collect();
    let mut seen = HashSet::with_capacity(all.len());
    let mut kept: Vec<_> = all
        .iter()
        .rev()
        .filter(|member| seen.insert(member.opening()))
        .collect();
    kept.reverse();
    kept.iter().for_each(|member| line.push(member.bytes));
}
