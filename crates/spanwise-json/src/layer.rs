//! [`JsonLayer`]: from an event to a line.

use std::{
    io::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use spanwise_core::{
    CallsitePlans, Fault, LayerId, Neighbours, Node, SelfReport, SinkCounters, SpanTable,
    log_record::LogRecord,
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
    escape,
    format::{Layout, SPANS_OMITTED, TRUNCATED},
    fragment::{Fragment, Kind, Own, SpanNode},
    line::Line,
    local::{self, Scratch},
    members::members,
    oversize,
    plan::Plan,
    shape::{Shape, push_member, text_policy},
    span_events::{self, Change, Shown},
    visit::{Encoded, Encoding, Pass, encode},
};

/// Writes each event as one line of JSON, with the fields of the spans around it. See the [crate docs](crate).
///
/// It is its own builder: start with [`JsonLayer::new`]. It filters nothing: put a
/// [`LevelLayer`](spanwise_core::LevelLayer) over the stack, or wrap this layer with
/// [`leveled`](spanwise_core::LayerExt::leveled).
#[derive(Debug)]
pub struct JsonLayer<W = fn() -> io::Stdout> {
    pub(crate) make_writer: W,
    pub(crate) options: Options,
    pub(crate) shape: Shape,
    pub(crate) id: LayerId,
    pub(crate) plans: CallsitePlans<Plan>,
    pub(crate) spans: SpanTable<Span>,
    pub(crate) neighbours: Neighbours,
    pub(crate) counters: Arc<SinkCounters>,
    pub(crate) report: SelfReport,
}

/// What is kept for an open span.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    callsite: &'static Metadata<'static>,
    node: SpanNode,
}

/// A line on its way.
struct Draft<'a> {
    scratch: &'a mut Scratch,
    plan: &'a Plan,
    encoded: Encoded,
    parts: Parts,
    /// Where it says it comes from.
    metadata: &'a Metadata<'a>,
    log: Option<&'a LogRecord>,
}

/// Whose fields a line shows besides the event's.
enum Inside<'a> {
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

    fn encoding(&self, of_event: bool) -> Encoding<'_> {
        let shape = &self.shape;
        Encoding {
            layout: shape.table.layout,
            max_field: self.options.max_field,
            policy: text_policy(shape, &self.options),
            of_event,
        }
    }

    fn kind(&self) -> Kind {
        Kind {
            table: self.shape.table,
            list: self.options.span_list,
            max_len: self.options.max_line,
        }
    }

    /// A line up to its first field.
    #[inline(always)]
    fn begin<'a>(
        &self,
        scratch: &'a mut Scratch,
        plan: &'a Plan,
        metadata: &'a Metadata<'a>,
    ) -> Draft<'a> {
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
        }
    }

    /// The fields of the event.
    #[inline(always)]
    fn push_fields(&self, draft: &mut Draft<'_>, event: &Event<'_>) {
        let Draft {
            scratch,
            plan,
            encoded,
            ..
        } = draft;
        let line = &mut scratch.line;
        let mut visit = |pass| {
            let record = |visitor: &mut dyn Visit| event.record(visitor);
            encode(line, &plan.keys, pass, self.encoding(true), encoded, record);
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
    fn finish<S>(&self, draft: &mut Draft<'_>, inside: &Inside<'_>, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        self.close_fields(draft);
        let has_span = match inside {
            Inside::Current => local::with(self.id, |local| {
                let node = local.current(|id| self.look_up(id, ctx));
                node.map(|node| node.read(|fragment| self.push_fragment(draft, fragment)))
            }),
            Inside::Span(id) => self
                .look_up(id, ctx)
                .map(|node| node.read(|fragment| self.push_fragment(draft, fragment))),
            Inside::NoSpan => None,
        };
        if has_span.is_none() {
            draft.parts.spans_end = draft.scratch.line.len();
            if !draft.encoded.cut.is_empty() {
                push_truncated(&mut draft.scratch.line, &draft.encoded.cut, b"");
            }
        }
        if draft.log.is_some() || self.shape.has_threads {
            self.push_rest(draft);
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

    /// What only some lines have after the spans.
    #[cold]
    fn push_rest(&self, draft: &mut Draft<'_>) {
        if let Some(log) = draft.log {
            self.push_origin(&mut draft.scratch.line, Layout::Flat, log, draft.metadata);
        }
        draft.scratch.line.push(&draft.plan.location);
        if self.shape.has_threads {
            self.push_thread(draft.scratch);
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
                parts.spans_end = line.len() + fragment.members().len();
                line.push(fragment.all());
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
        if !encoded.cut.is_empty() || !fragment.cut().is_empty() {
            push_truncated(line, &encoded.cut, fragment.cut());
        }
    }

    fn push_nested(&self, line: &mut Line, fragment: &Fragment) {
        let table = self.shape.table;
        let mut key = Vec::new();
        push_member(&mut key, table.span, b"");
        line.push(&key);
        line.push(fragment.object());
        key.clear();
        push_member(&mut key, table.spans, b"[");
        line.push(&key);
        line.push(fragment.objects());
        line.push_byte(b']');
        if fragment.omitted() > 0 {
            key.clear();
            push_member(
                &mut key,
                SPANS_OMITTED,
                fragment.omitted().to_string().as_bytes(),
            );
            line.push(&key);
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
            (thread.name().map(escape::quoted), escape::quoted(&id))
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
        // The writer may be anybody's: a panic of its costs the line.
        let written = catch_unwind(AssertUnwindSafe(|| {
            self.make_writer
                .make_writer_for(metadata)
                .write_all(line.as_bytes())
        }));
        match written {
            Ok(Ok(())) => self.counters.delivered(),
            Ok(Err(error)) => self.write_failed(&error),
            Err(_) => self.write_failed(&"the writer panicked"),
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
        let record = LogRecord::of(event);
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
            self.encoding(false),
            &mut encoded,
            record,
        );
        if plan.repeats {
            keep_last(line, 0);
        }
        let Encoded { bits, cut } = encoded;
        let result = f(Own {
            members: [line.as_bytes(), b""],
            bits,
            cut: &cut,
        });
        scratch.put_back();
        result
    }

    /// The node of a span, or of the nearest one above it that has one: a span opened before the layer was there has none.
    fn look_up<S>(&self, id: &Id, ctx: &Context<'_, S>) -> Option<SpanNode>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let known = self.spans.get(id);
        let above = || {
            ctx.span_scope(id)?
                .find_map(|span| self.spans.get(&span.id()))
        };
        known.or_else(above).map(|span| span.node)
    }

    fn parent_of<S>(&self, attrs: &Attributes<'_>, ctx: &Context<'_, S>) -> Option<SpanNode>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        match attrs.parent() {
            Some(parent) => self.look_up(parent, ctx),
            None if attrs.is_contextual() => local::with(self.id, |local| {
                local.current(|id| self.look_up(id, ctx)).map(Arc::clone)
            }),
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
        if matches!(change, Change::Closed) {
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
        self.neighbours.observe(dispatch);
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
        let callsite = attrs.metadata();
        let plan = self.plan(callsite);
        let parent = self.parent_of(attrs, &ctx);
        // Values are formatted before anything of the span is locked.
        let node = self.with_own(
            plan,
            |visitor| attrs.record(visitor),
            |own| {
                Node::new(parent.as_ref(), |parent| {
                    Fragment::new(self.kind(), &plan.name, own, parent)
                })
            },
        );
        self.spans.insert(id, Span { callsite, node });
        self.span_changed(SpanEvents::NEW, id, Change::Opened, &ctx);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let Some(Span { callsite, node }) = self.spans.get(id) else {
            return;
        };
        let record = |visitor: &mut dyn Visit| values.record(visitor);
        self.with_own(self.plan(callsite), record, |own| {
            if !own.members[0].is_empty() {
                node.update(|fragment, parent| fragment.record(own, parent));
            }
        });
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        local::with(self.id, |local| local.enter(id));
        self.span_changed(SpanEvents::ENTER, id, Change::Entered, &ctx);
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        local::with(self.id, |local| local.exit(id));
        self.span_changed(SpanEvents::EXIT, id, Change::Left, &ctx);
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        self.span_changed(SpanEvents::CLOSE, &id, Change::Closed, &ctx);
        self.spans.remove(&id);
    }
}

/// The members of the spans whose keys the event has not used: an event's field hides a span's.
#[cold]
fn push_unshadowed(line: &mut Line, fragment: &Fragment, parts: &Parts) {
    let event = line.as_bytes()[parts.fields_start..parts.fields_end].to_vec();
    let shadows = |key: &[u8]| members(&event).any(|of_event| of_event.key() == key);
    for member in members(fragment.members()).filter(|member| !shadows(member.key())) {
        line.push(member.bytes);
    }
}

/// Of members with one key, keeps the last.
#[cold]
fn keep_last(line: &mut Line, start: usize) {
    let bytes = line.as_bytes()[start..].to_vec();
    line.truncate(start);
    let all: Vec<_> = members(&bytes).collect();
    for (index, member) in all.iter().enumerate() {
        if all[index + 1..]
            .iter()
            .all(|later| later.key() != member.key())
        {
            line.push(member.bytes);
        }
    }
}

#[cold]
fn push_truncated(line: &mut Line, event: &[u8], spans: &[u8]) {
    let mut member = Vec::new();
    push_member(&mut member, TRUNCATED, b"[");
    member.extend(event);
    if !event.is_empty() && !spans.is_empty() {
        member.push(b',');
    }
    member.extend(spans);
    member.push(b']');
    line.push(&member);
}
