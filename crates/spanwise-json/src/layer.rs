//! [`JsonLayer`]: what it is told, and what it keeps of spans.

use std::{io, sync::Arc};

use spanwise_core::{
    CallsitePlans, CurrentSpan, Fault, FilterInterop, LayerId, SelfReport, SinkCounters, SpanData,
    SpanDataCache, SpanTable, context::recorded_callsite, log_record::LogRecord,
};
use tracing::{Dispatch, Event, Subscriber};
use tracing_core::{
    Interest, Metadata,
    field::Visit,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, fmt::MakeWriter, layer::Context, registry::LookupSpan};

use crate::{
    SpanEvents,
    builder::Options,
    compose::{Inside, keep_last},
    escape,
    format::Layout,
    fragment::{Fragment, Own, SpanNode},
    local::{self, Scratch},
    notes::NO_NOTES,
    plan::Plan,
    shape::{Shape, push_member, text_policy},
    span_events::{self, Change, Shown},
    visit::{Encoded, Encoding, Pass, encode},
};

/// Writes each event as one line of JSON, with the fields of the spans around it. See the [crate docs](crate).
///
/// It is its own builder: start with [`JsonLayer::new`]. It filters nothing: put a
/// [`LevelLayer`](spanwise_core::LevelLayer) over the stack, or wrap this layer with
/// [`leveled`](spanwise_core::LayerExt::with_levels).
#[derive(Debug)]
pub struct JsonLayer<W = fn() -> io::Stdout> {
    pub(crate) make_writer: W,
    pub(crate) options: Options,
    pub(crate) shape: Shape,
    pub(crate) id: LayerId,
    pub(crate) plans: CallsitePlans<Plan>,
    pub(crate) spans: SpanTable<SpanNode>,
    pub(crate) neighbours: FilterInterop,
    pub(crate) counters: Arc<SinkCounters>,
    pub(crate) report: SelfReport,
}

impl<W> JsonLayer<W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    #[inline]
    fn plan(&self, callsite: &'static Metadata<'static>) -> &Plan {
        self.plans.get(callsite, |callsite| {
            Plan::new(callsite, &self.options, &self.shape)
        })
    }

    pub(crate) fn encoding<'a>(&'a self, plan: &'a Plan, of_event: bool) -> Encoding<'a> {
        let shape = &self.shape;
        Encoding {
            clean_message: &plan.clean_message,
            layout: shape.table.layout,
            policy: text_policy(shape, &self.options),
            replacer: &self.options.redact,
            lists_redacted: self.options.redacted_list,
            of_event,
        }
    }

    /// Reports a format that this layer does not write.
    fn report_format(&self) {
        let format = &self.options.format;
        if format.is_for_people() {
            let why = format_args!(
                "a JsonLayer does not write `{format}`: its lines are `json`; for `{format}` use the outputs of `spanwise`"
            );
            self.report.fault_unthrottled(Fault::Setup, &why);
        }
    }

    /// A record of the `log` crate says by its values where it comes from.
    fn log_event<S>(
        &self,
        event: &Event<'_>,
        plan: &Plan,
        inside: &Inside<'_>,
        ctx: &Context<'_, S>,
    ) where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let record = LogRecord::from_event(event);
        let mut scratch = Scratch::take();
        let mut draft = self.begin(&mut scratch, plan, event.metadata());
        if self.shape.table.layout == Layout::Flat {
            let mut member = Vec::new();
            let target = record
                .target
                .as_deref()
                .unwrap_or(event.metadata().target());
            self.shape.push_target(&mut member, &self.options, target);
            draft.scratch.line.push(&member);
            draft.parts.fields_start = draft.scratch.line.len();
        }
        draft.log = Some(&record);
        self.push_fields(&mut draft, event);
        self.finish(&mut draft, inside, ctx);
        scratch.put_back();
    }

    /// Calls `f` with the members that `record` gives of a span's fields.
    fn with_own<R>(
        &self,
        plan: &Plan,
        record: impl Fn(&mut dyn Visit),
        f: impl FnOnce(Own<'_>) -> R,
    ) -> R {
        let mut scratch = Scratch::take();
        let line = &mut scratch.line;
        let mut encoded = Encoded::default();
        encode(
            line,
            &plan.keys,
            Pass::All,
            self.encoding(plan, false),
            &mut encoded,
            record,
        );
        if plan.repeats {
            keep_last(line, 0);
        }
        if encoded.hidden != 0 {
            encoded.note_hidden(plan);
        }
        let Encoded { bits, notes, .. } = encoded;
        let result = f(Own {
            members: [line.as_bytes(), b""],
            bits,
            decided: plan.decided(bits),
            notes: notes.as_deref().unwrap_or(&NO_NOTES),
        });
        scratch.put_back();
        result
    }

    /// The node of a span, or of the nearest one above it that has one: a span opened before the layer was there has none.
    pub(crate) fn look_up<S>(&self, id: &Id, ctx: &Context<'_, S>) -> Option<SpanNode>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let known = self.spans.get(id);
        let above = || {
            ctx.span_scope(id)?
                .find_map(|span| self.spans.get(&span.id()))
        };
        known.or_else(above)
    }

    /// Calls `f` with the node of the span that this thread is in. `f` must not call code that may
    /// log. An error is the span, if there is one and it has no node: look it up.
    ///
    /// To look up is up to the caller, for the thread's spans are borrowed here. A span that another
    /// thread closes is removed by the last thread that looks at it, which calls code that may log.
    #[inline(always)] // An event in a span costs 3 % less.
    pub(crate) fn with_current<R>(
        &self,
        f: impl FnOnce(&SpanNode, &mut SpanDataCache<Fragment>) -> R,
    ) -> Result<R, Option<Id>> {
        let found = local::with_entered(|entered| match entered.current(self.id, &self.spans) {
            CurrentSpan::Known { value, cache, .. } => Ok(f(value, cache)),
            // It is closed, or older than the layer.
            CurrentSpan::Unknown(id) => Err(Some(id.clone())),
            CurrentSpan::None => Err(None),
        });
        found.unwrap_or(Err(None))
    }

    fn parent_of<S>(&self, attrs: &Attributes<'_>, ctx: &Context<'_, S>) -> Option<SpanNode>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        match attrs.parent() {
            Some(parent) => self.look_up(parent, ctx),
            None if attrs.is_contextual() => self
                .with_current(|node, _| Arc::clone(node))
                .or_else(|id| id.and_then(|id| self.look_up(&id, ctx)).ok_or(()))
                .ok(),
            None => None,
        }
    }

    /// A line about a span itself.
    #[cold]
    fn span_event<S>(&self, message: &str, id: &Id, change: Change, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let Some(span) = ctx.span(id) else { return };
        let times = span_events::change(&span, self.id, self.options.clock.instant(), change);
        let callsite = span.metadata();
        let plan = self.plan(callsite);
        let table = self.shape.table;
        let mut scratch = Scratch::take();
        let mut draft = self.begin(&mut scratch, plan, callsite);
        let mut members = Vec::new();
        push_member(&mut members, table.message, &escape::quoted(message));
        // As `fmt` does, in its format: without a timestamp no line has a time.
        let has_times = table.layout == Layout::Flat || self.options.timestamp.is_some();
        if matches!(change, Change::Closed) && has_times {
            for (key, time) in [("time.busy", times.busy), ("time.idle", times.idle)] {
                push_member(&mut members, key, &escape::quoted(&Shown(time).to_string()));
            }
        }
        draft.scratch.line.push(&members);
        // Any key of a span may be one that this line has already.
        draft.encoded.bits = u128::MAX;
        self.finish(&mut draft, &Inside::Span(id), ctx);
        scratch.put_back();
    }

    /// Keeps the times of a span, and writes a line if one is wanted of `event`.
    #[inline]
    fn span_changed<S>(&self, event: SpanEvents, id: &Id, change: Change, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let wanted = self.options.span_events;
        if wanted == SpanEvents::NONE {
            return;
        }
        if wanted.contains(event) {
            let message = match change {
                Change::Opened => "new",
                Change::Entered => "enter",
                Change::Left => "exit",
                Change::Closed => "close",
            };
            self.span_event(message, id, change, ctx);
        } else if wanted.contains(SpanEvents::CLOSE)
            && let Some(span) = ctx.span(id)
        {
            span_events::change(&span, self.id, self.options.clock.instant(), change);
        }
    }
}

impl<S, W> Layer<S> for JsonLayer<W>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.neighbours.detect(dispatch);
        self.report_format();
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        self.neighbours.interest()
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let plan = self.plan(event.metadata());
        let inside = match event.parent() {
            Some(parent) => Inside::Span(parent),
            None if event.is_contextual() => Inside::Current,
            None => Inside::NoSpan,
        };
        if plan.is_log {
            return self.log_event(event, plan, &inside, &ctx);
        }
        let mut scratch = Scratch::take();
        let mut draft = self.begin(&mut scratch, plan, event.metadata());
        self.push_fields(&mut draft, event);
        self.finish(&mut draft, &inside, &ctx);
        scratch.put_back();
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let plan = self.plan(attrs.metadata());
        let Some(label) = &plan.label else { return };
        let parent = self.parent_of(attrs, &ctx);
        // Values are formatted before anything of the span is locked.
        let node = self.with_own(
            plan,
            |visitor| attrs.record(visitor),
            |own| SpanData::new(parent.as_ref(), |parent| Fragment::new(label, own, parent)),
        );
        self.spans.insert(id, node);
        self.span_changed(SpanEvents::NEW, id, Change::Opened, &ctx);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let Some(node) = self.spans.get(id) else {
            return;
        };
        let callsite = recorded_callsite(values, node.read(Fragment::callsite));
        let record = |visitor: &mut dyn Visit| values.record(visitor);
        self.with_own(self.plan(callsite), record, |own| {
            if !own.members[0].is_empty() {
                node.update(|fragment, parent| fragment.record(own, parent));
            }
        });
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        local::with_entered(|entered| entered.enter(self.id, id));
        self.span_changed(SpanEvents::ENTER, id, Change::Entered, &ctx);
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        // What was looked up is dropped when the thread's spans are not borrowed any more.
        drop(local::with_entered(|entered| entered.exit(self.id, id)));
        self.span_changed(SpanEvents::EXIT, id, Change::Left, &ctx);
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        self.span_changed(SpanEvents::CLOSE, &id, Change::Closed, &ctx);
        self.spans.close(&id);
    }
}
