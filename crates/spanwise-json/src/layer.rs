//! [`JsonLayer`]: from an event to a line.

use std::{
    io::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

use spanwise_core::{
    CallsitePlans, Fault, LayerId, Neighbours, Node, SelfReport, SinkCounters,
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
    fragment::{Fragment, Kind, Own},
    line::Line,
    local,
    members::members,
    oversize,
    plan::{Plan, Role},
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
    pub(crate) shape: OnceLock<Shape>,
    pub(crate) id: LayerId,
    pub(crate) plans: CallsitePlans<Plan>,
    pub(crate) neighbours: Neighbours,
    pub(crate) counters: Arc<SinkCounters>,
    pub(crate) report: SelfReport,
}

/// A line whose fields are written.
struct Draft<'a> {
    line: Box<Line>,
    fields_start: usize,
    plan: &'a Plan,
    encoded: Encoded,
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
            Plan::new(callsite, &self.options, self.shape())
        })
    }

    fn encoding(&self, of_event: bool) -> Encoding<'_> {
        let shape = self.shape();
        Encoding {
            layout: shape.table.layout,
            max_field: self.options.max_field,
            policy: text_policy(shape, &self.options),
            of_event,
        }
    }

    fn kind(&self) -> Kind {
        Kind {
            table: self.shape().table,
            list: self.options.span_list,
            max_len: self.options.max_line,
        }
    }

    /// A line up to its first field.
    #[inline]
    fn begin_line(&self, plan: &Plan) -> Box<Line> {
        let shape = self.shape();
        let Some(timestamp) = self.options.timestamp else {
            let mut line = local::with(self.id, |local| local.line.take()).unwrap_or_default();
            line.push(&plan.head);
            return line;
        };
        let now = self.options.clock.now();
        local::with(self.id, |local| {
            let mut line = local.line.take().unwrap_or_default();
            line.push(&shape.open);
            local.second.push(&mut line, now, timestamp);
            line.push(&plan.head);
            line
        })
    }

    /// Everything of a line after its fields, and then out with it.
    #[inline]
    fn finish_line<S>(&self, draft: Draft<'_>, inside: &Inside<'_>, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let Draft {
            mut line,
            fields_start,
            plan,
            encoded,
            metadata,
            log,
        } = draft;
        let shape = self.shape();
        let fields_end = self.close_fields(&mut line, fields_start, plan);
        if !plan.after_fields.is_empty() {
            line.push(&plan.after_fields);
        }
        if let Some(log) = log {
            self.push_origin(&mut line, Layout::Nested, log, metadata);
        }
        let mut parts = Parts {
            fields_start,
            fields_end,
            spans_end: line.len(),
        };
        let mut push = |node: &Node<Fragment>| {
            node.read(|fragment| {
                self.push_fragment(&mut line, fragment, plan, &encoded, &mut parts)
            });
        };
        let pushed = match inside {
            Inside::Current => {
                local::with(self.id, |local| local.current(ctx).map(|node| push(node)))
            }
            Inside::Span(id) => local::look_up(self.id, id, ctx).map(|node| push(&node)),
            Inside::NoSpan => None,
        };
        if pushed.is_none() && !encoded.cut.is_empty() {
            push_truncated(&mut line, &encoded.cut, b"");
        }
        if let Some(log) = log {
            self.push_origin(&mut line, Layout::Flat, log, metadata);
        }
        line.push(&plan.after_spans);
        if shape.has_threads {
            self.push_thread(&mut line);
        }
        if shape.has_threads || plan.is_log {
            line.push(&shape.close);
        }
        if line.len() > self.options.max_line {
            oversize::shorten(&mut line, &parts, self.options.max_line, shape.table);
        }
        self.write(&line, metadata);
        line.clear();
        local::with(self.id, |local| local.line = Some(line));
    }

    /// Puts the braces around the fields of a nested line, and drops fields that are there twice. Where the fields end.
    #[inline]
    fn close_fields(&self, line: &mut Line, fields_start: usize, plan: &Plan) -> usize {
        if plan.repeats {
            keep_last(line, fields_start);
        }
        if self.shape().table.layout == Layout::Flat {
            return line.len();
        }
        match line.as_mut_bytes().get_mut(fields_start) {
            Some(comma) => *comma = b'{',
            None => line.push_byte(b'{'),
        }
        let fields_end = line.len();
        line.push_byte(b'}');
        fields_end
    }

    #[inline]
    fn push_fragment(
        &self,
        line: &mut Line,
        fragment: &Fragment,
        plan: &Plan,
        encoded: &Encoded,
        parts: &mut Parts,
    ) {
        match self.shape().table.layout {
            Layout::Flat if plan.bits & fragment.bits() == 0 => {
                parts.spans_end = line.len() + fragment.members().len();
                line.push(fragment.all());
            }
            Layout::Flat => {
                push_unshadowed(line, fragment, plan, encoded);
                parts.spans_end = line.len();
                line.push(fragment.tail());
            }
            Layout::Nested => self.push_nested(line, fragment, parts),
        }
        if !encoded.cut.is_empty() || !fragment.cut().is_empty() {
            push_truncated(line, &encoded.cut, fragment.cut());
        }
    }

    fn push_nested(&self, line: &mut Line, fragment: &Fragment, parts: &mut Parts) {
        let table = self.shape().table;
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
        parts.spans_end = line.len();
    }

    /// Where a record of the `log` crate comes from, at the place its layout has for it.
    #[cold]
    fn push_origin(&self, line: &mut Line, at: Layout, log: &LogRecord, metadata: &Metadata<'_>) {
        let shape = self.shape();
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

    fn push_thread(&self, line: &mut Line) {
        let table = self.shape().table;
        local::with(self.id, |local| {
            if local.thread.is_empty() {
                let thread = std::thread::current();
                if let (true, Some(name)) = (self.options.thread_name, thread.name()) {
                    push_member(&mut local.thread, table.thread_name, &escape::quoted(name));
                }
                if self.options.thread_id {
                    let id = escape::quoted(&format!("{:?}", thread.id()));
                    push_member(&mut local.thread, table.thread_id, &id);
                }
            }
            line.push(&local.thread);
        });
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
        let mut line = self.begin_line(plan);
        if self.shape().table.layout == Layout::Flat {
            let mut member = Vec::new();
            let target = record
                .target
                .as_deref()
                .unwrap_or(event.metadata().target());
            self.shape().push_target(&mut member, &self.options, target);
            line.push(&member);
        }
        self.finish_event(line, event, plan, inside, Some(&record), ctx);
    }

    #[inline]
    fn finish_event<S>(
        &self,
        mut line: Box<Line>,
        event: &Event<'_>,
        plan: &Plan,
        inside: &Inside<'_>,
        log: Option<&LogRecord>,
        ctx: &Context<'_, S>,
    ) where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let fields_start = line.len();
        let mut encoded = Encoded::default();
        let mut visit = |line: &mut Line, pass| {
            let record = |visitor: &mut dyn Visit| event.record(visitor);
            encode(
                line,
                &plan.keys,
                pass,
                self.encoding(true),
                &mut encoded,
                record,
            );
        };
        if plan.message_late {
            visit(&mut line, Pass::Message);
            visit(&mut line, Pass::AllButMessage);
        } else {
            visit(&mut line, Pass::All);
        }
        let metadata = event.metadata();
        self.finish_line(
            Draft {
                line,
                fields_start,
                plan,
                encoded,
                metadata,
                log,
            },
            inside,
            ctx,
        );
    }

    /// The members of a span's fields, and what became of them; in the thread's line, from where `f` takes them.
    fn with_own<R>(
        &self,
        plan: &Plan,
        record: impl Fn(&mut dyn Visit),
        f: impl FnOnce(Own<'_>) -> R,
    ) -> R {
        let mut line = local::with(self.id, |local| local.line.take()).unwrap_or_default();
        let mut encoded = Encoded::default();
        encode(
            &mut line,
            &plan.keys,
            Pass::All,
            self.encoding(false),
            &mut encoded,
            record,
        );
        if plan.repeats {
            keep_last(&mut line, 0);
        }
        let shown = plan
            .keys
            .iter()
            .enumerate()
            .filter(|(index, key)| key.role != Role::Omitted && encoded.may_have_seen(*index));
        let bits = shown
            .map(|(_, key)| key.bit)
            .fold(0, |bits, bit| bits | bit);
        let result = f(Own {
            members: [line.as_bytes(), b""],
            bits,
            cut: &encoded.cut,
        });
        line.clear();
        local::with(self.id, |local| local.line = Some(line));
        result
    }

    fn parent_of<S>(
        &self,
        attrs: &Attributes<'_>,
        ctx: &Context<'_, S>,
    ) -> Option<Arc<Node<Fragment>>>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        match attrs.parent() {
            Some(parent) => local::look_up(self.id, parent, ctx),
            None if attrs.is_contextual() => {
                local::with(self.id, |local| local.current(ctx).map(Arc::clone))
            }
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
        let table = self.shape().table;
        let mut line = self.begin_line(plan);
        let fields_start = line.len();
        let mut members = Vec::new();
        push_member(&mut members, table.message, &escape::quoted(message));
        if matches!(change, Change::Closed) {
            for (key, time) in [("time.busy", times.busy), ("time.idle", times.idle)] {
                push_member(&mut members, key, &escape::quoted(&Shown(time).to_string()));
            }
        }
        line.push(&members);
        let draft = Draft {
            line,
            fields_start,
            plan,
            // Of the span's own fields: none of them is a field of this line itself.
            encoded: Encoded::default(),
            metadata: callsite,
            log: None,
        };
        self.finish_line(draft, &Inside::Span(id), ctx);
    }

    /// Keeps the times of a span, and writes a line if one is wanted of `event`.
    #[inline]
    fn span_changed<S>(&self, event: SpanEvents, id: &Id, change: Change, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let wanted = self.options.span_events;
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
        let line = self.begin_line(plan);
        self.finish_event(line, event, plan, &inside, None, &ctx);
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
        let Some(span) = ctx.span(id) else { return };
        node.attach(self.id, &span);
        drop(span);
        self.span_changed(SpanEvents::NEW, id, Change::Opened, &ctx);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let Some(callsite) = ctx.metadata(id) else {
            return;
        };
        let plan = self.plan(callsite);
        self.with_own(
            plan,
            |visitor| values.record(visitor),
            |own| {
                let node = ctx
                    .span(id)
                    .and_then(|span| Node::<Fragment>::of(Some(self.id), &span));
                if let (Some(node), false) = (node, own.members[0].is_empty()) {
                    node.update(|fragment, parent| fragment.record(own, parent));
                }
            },
        );
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
    }
}

/// The members of the spans whose keys the event has not used: an event's field hides a span's.
#[cold]
fn push_unshadowed(line: &mut Line, fragment: &Fragment, plan: &Plan, encoded: &Encoded) {
    let shadows = |key: &[u8]| {
        plan.keys.iter().enumerate().any(|(index, of_event)| {
            of_event.role != Role::Omitted
                && encoded.may_have_seen(index)
                && of_event.member.as_bytes() == key
        })
    };
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
