//! Lines that are not flat JSON, such as those of `logfmt` and `otlp`.
//!
//! Most of these lines are written in the format's own syntax directly. The others are assembled as
//! flat JSON, and then rewritten as a whole. See [`rewrite`](crate::rewrite).

use spanwise_core::EventContext;
use tracing::{Event, Subscriber};
use tracing_core::field::Visit;
use tracing_subscriber::{fmt::MakeWriter, layer::Context, registry::LookupSpan};

use super::{Draft, LineOffsets, SpanScope};
use crate::{
    JsonLayer,
    fragment::{Fragment, Overlap},
    plan::Plan,
    rewritten_plan::RewrittenPlan,
    scratch::Scratch,
    visit::{Encoded, Pass, encode_rewritten},
};

impl<W> JsonLayer<W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    /// Writes the line of an event in the format's own syntax. The line must be flat JSON first if
    /// it is too long, the spans may have a key of the event, or the message has no value.
    #[inline(never)] // Kept out of line, so that the path of `json` stays small.
    pub(crate) fn write_rewritten_event<S>(
        &self,
        event: &Event<'_>,
        plan: &Plan,
        rewritten: &RewrittenPlan,
        context: EventContext,
        scope: &SpanScope<'_>,
        ctx: &Context<'_, S>,
    ) where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let mut scratch = Scratch::take();
        let now = self.options.clock.since_epoch();
        let mut draft = Draft::new(&mut scratch, plan, event.metadata(), context);
        let spans = self.classify_spans(plan, scope);
        let is_written = spans != Spans::MayShareKeys
            && self.write_rewritten(&mut draft, rewritten, event, spans, now);
        if !is_written {
            draft.restart();
            self.push_head(&mut draft, now);
            self.push_fields(&mut draft, |visitor| event.record(visitor));
            self.finish(&mut draft, scope, ctx);
        }
        scratch.put_back();
    }

    /// Returns whether an event has spans, and whether these may have a key of the event.
    fn classify_spans(&self, plan: &Plan, scope: &SpanScope<'_>) -> Spans {
        let may_share_keys = match scope {
            SpanScope::NoSpan => return Spans::None,
            SpanScope::Explicit(_) | SpanScope::Buffered(_) => true,
            SpanScope::Current => {
                let current = self.with_current(|node, cache| {
                    node.read_cached(cache, |fragment| plan.bits & fragment.bits() != 0)
                });
                match current {
                    Ok(may_share_keys) => may_share_keys,
                    Err(None) if !self.is_late => return Spans::None,
                    Err(_) => true,
                }
            }
        };
        match may_share_keys {
            true => Spans::MayShareKeys,
            false => Spans::DistinctKeys,
        }
    }

    /// Writes the line in the format's own syntax. Returns false, and writes nothing, if the line
    /// must be flat JSON first.
    fn write_rewritten(
        &self,
        draft: &mut Draft<'_>,
        rewritten: &RewrittenPlan,
        event: &Event<'_>,
        spans: Spans,
        now: (i64, u32),
    ) -> bool {
        let template = &self.template;
        let Scratch { line, seconds, .. } = &mut *draft.scratch;
        line.push_padded(&template.rewritten_open);
        if let Some(timestamp) = template.timestamp {
            let second = seconds.for_layer(self.id);
            second.push(line, &template.open, now, timestamp);
        }
        line.push_padded(&rewritten.head);
        draft.offsets.fields_start = line.len();
        self.push_rewritten_fields(draft, rewritten, event);
        let message = rewritten.message;
        if message.is_some_and(|index| !draft.encoded.fields.has(index)) {
            // A format such as `otlp` starts the list of fields behind the message. Without a
            // message, the start is missing.
            return false;
        }
        draft.offsets.fields_end = draft.scratch.line.len();
        let is_complete = match spans {
            Spans::DistinctKeys => {
                let completed = self.with_current(|node, cache| {
                    node.read_cached(cache, |fragment| {
                        self.end_rewritten(draft, rewritten, Some(fragment))
                    })
                });
                // Code that formats a value may have closed the span since its keys were compared.
                completed.unwrap_or(false)
            }
            Spans::None | Spans::MayShareKeys => self.end_rewritten(draft, rewritten, None),
        };
        if is_complete {
            self.write(draft.scratch.line.as_bytes(), draft.metadata);
        }
        is_complete
    }

    /// Appends everything after the fields of the event. Returns false if the line must be flat
    /// JSON first: it is too long, or a span has recorded a key of the event since
    /// [`Self::classify_spans`].
    #[inline]
    fn end_rewritten(
        &self,
        draft: &mut Draft<'_>,
        rewritten: &RewrittenPlan,
        spans: Option<&Fragment>,
    ) -> bool {
        if spans.is_some_and(|spans| draft.plan.bits & spans.bits() != 0) {
            return false;
        }
        let unshared = spans.and_then(Fragment::unshared);
        if let Some(spans) = spans.filter(|_| unshared.is_none()) {
            spans.push_flat(&mut draft.scratch.line);
        }
        self.push_altered_fields(draft, spans);
        if draft.plan.has_rare_members || draft.context.sample_rate.is_some() {
            self.push_rare_members(draft);
        }
        let by_parts = &rewritten.by_parts;
        let fields_end = draft.offsets.fields_end;
        let spans_len = unshared.map_or(0, |spans| spans.json().len());
        let Scratch { line, tails, .. } = &mut *draft.scratch;
        // Whether only the members of the spans and `close` follow the fields.
        let is_plain = line.len() == fields_end;
        if !is_plain {
            line.push_padded(&draft.plan.close);
        }
        let max_len = match is_plain {
            true => rewritten.max_plain,
            false => rewritten.max_mixed,
        };
        if line.len() + spans_len > max_len {
            return false;
        }
        let spans = unshared.map(|spans| spans.rewritten(by_parts.tail, &mut tails.buffers));
        if is_plain {
            if let Some(spans) = spans {
                line.push(spans.first());
            }
            let [first, last] = &rewritten.close;
            if !first.as_bytes().is_empty() {
                line.push_padded(first);
            }
            if let Some(end_fields) = by_parts.end_fields {
                end_fields(line);
                if let Some(spans) = spans {
                    line.push_short(spans.last());
                }
                line.push_padded(last);
            }
        } else {
            let tail = tails.get(self.id, &line.as_bytes()[fields_end..], by_parts.tail);
            line.truncate(fields_end);
            if let Some(spans) = spans {
                line.push(spans.first());
            }
            line.push(tail.first());
            if let Some(end_fields) = by_parts.end_fields {
                end_fields(line);
                if let Some(spans) = spans {
                    line.push(spans.last());
                }
                line.push(tail.last());
            }
            line.push(&rewritten.end);
        }
        true
    }

    fn push_rewritten_fields(
        &self,
        draft: &mut Draft<'_>,
        rewritten: &RewrittenPlan,
        event: &Event<'_>,
    ) {
        let Draft {
            scratch,
            plan,
            encoded,
            ..
        } = draft;
        let Scratch { line, starts, .. } = &mut **scratch;
        let mut visit = |pass| {
            let record = |visitor: &mut dyn Visit| event.record(visitor);
            let keys = (&*plan.keys, rewritten);
            let encoding = self.encoding(plan, true);
            encode_rewritten(line, keys, pass, encoding, encoded, starts, record);
        };
        if plan.message_not_first {
            visit(Pass::Message);
            return visit(Pass::AllButMessage);
        }
        visit(Pass::All);
    }
}

/// The spans of an event, before its line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spans {
    None,
    /// The spans have no key of the event.
    DistinctKeys,
    /// The spans may have a key of the event. Keys must be compared, which needs flat JSON.
    MayShareKeys,
}

impl Draft<'_> {
    /// Empties the line, so that it can be assembled again as flat JSON.
    fn restart(&mut self) {
        self.scratch.line.truncate(0);
        self.encoded = Encoded::default();
        self.offsets = LineOffsets::default();
        self.overlap = Overlap::Nothing;
    }
}
