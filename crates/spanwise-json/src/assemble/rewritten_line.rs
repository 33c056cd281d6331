//! Lines that are not flat JSON: written in the format's own syntax directly, or rewritten.

use spanwise_core::EventContext;
use tracing::{Event, Subscriber};
use tracing_core::field::Visit;
use tracing_subscriber::{fmt::MakeWriter, layer::Context, registry::LookupSpan};

use super::{Draft, FieldSyntax, LineOffsets, SpanScope};
use crate::{
    JsonLayer,
    fragment::Overlap,
    plan::Plan,
    rewritten_plan::RewrittenPlan,
    scratch::Scratch,
    visit::{Encoded, Pass, encode_rewritten},
};

impl<W> JsonLayer<W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    /// Writes the line of an event in the format's own syntax. Falls back to JSON, which is
    /// rewritten, if the line is too long, or if the spans have a key of the event.
    #[inline(never)] // Kept out of line, so that the path of `json` stays small.
    pub(crate) fn rewritten_event<S>(
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
        let spans = self.spans_of(plan, scope);
        let scope = match spans {
            Spans::None => &SpanScope::NoSpan,
            Spans::Some | Spans::MayShareKeys => scope,
        };
        let is_written = spans != Spans::MayShareKeys
            && self.write_rewritten(&mut draft, rewritten, event, scope, ctx, now);
        if !is_written {
            draft.restart();
            self.push_head(&mut draft, now);
            self.push_fields(&mut draft, |visitor| event.record(visitor));
            self.finish(&mut draft, scope, ctx);
        }
        scratch.put_back();
    }

    fn spans_of(&self, plan: &Plan, scope: &SpanScope<'_>) -> Spans {
        let may_share_keys = match scope {
            SpanScope::NoSpan => return Spans::None,
            SpanScope::Explicit(_) | SpanScope::Buffered(_) => true,
            SpanScope::Current => {
                let of_span = self.with_current(|node, cache| {
                    node.read_cached(cache, |fragment| plan.bits & fragment.bits() != 0)
                });
                match of_span {
                    Ok(may_share_keys) => may_share_keys,
                    Err(None) if !self.is_late => return Spans::None,
                    Err(_) => true,
                }
            }
        };
        match may_share_keys {
            true => Spans::MayShareKeys,
            false => Spans::Some,
        }
    }

    /// Writes the line in the format's own syntax. Returns false, without writing, if it must be
    /// JSON first.
    fn write_rewritten<S>(
        &self,
        draft: &mut Draft<'_>,
        rewritten: &RewrittenPlan,
        event: &Event<'_>,
        scope: &SpanScope<'_>,
        ctx: &Context<'_, S>,
        now: (i64, u32),
    ) -> bool
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        draft.syntax = FieldSyntax::Rewritten;
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
            // A format such as `otlp` starts the list of fields behind the message, so this line
            // has no start of the list.
            return false;
        }
        let fields_end = draft.scratch.line.len();
        draft.offsets.fields_end = fields_end;
        self.push_tail(draft, scope, ctx);
        if draft.syntax == FieldSyntax::MustBeJson {
            return false;
        }
        let Scratch { line, tails, .. } = &mut *draft.scratch;
        let by_parts = &rewritten.by_parts;
        if line.len() == fields_end {
            if fields_end > rewritten.max_plain {
                return false;
            }
            let [first, last] = &rewritten.close;
            if !first.as_bytes().is_empty() {
                line.push_padded(first);
            }
            (by_parts.end_fields)(line);
            if !last.as_bytes().is_empty() {
                line.push_padded(last);
            }
        } else {
            line.push_padded(&draft.plan.close);
            if line.len() > rewritten.max_mixed {
                return false;
            }
            let tail = tails.get(self.id, &line.as_bytes()[fields_end..], by_parts.tail);
            line.truncate(fields_end);
            line.push(&tail.first);
            (by_parts.end_fields)(line);
            line.push(&tail.last);
            line.push(&rewritten.end);
        }
        self.write(line.as_bytes(), draft.metadata);
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
    /// They have no key of the event.
    Some,
    /// They may have a key of the event. Then the fields of the event must be JSON, so that keys
    /// can be compared.
    MayShareKeys,
}

impl Draft<'_> {
    /// Empties the line, so that it is assembled again, as JSON.
    fn restart(&mut self) {
        self.scratch.line.truncate(0);
        self.encoded = Encoded::default();
        self.offsets = LineOffsets::default();
        self.overlap = Overlap::Nothing;
        self.syntax = FieldSyntax::Json;
    }
}
