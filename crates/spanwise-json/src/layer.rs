//! The JSON layer: writes events, and stores the encoded fields of spans.

use std::{borrow::Cow, io, sync::Arc};

use spanwise_core::{
    Fault, SelfReport,
    internal::{
        CallsitePlans, CurrentSpan, FilterInterop, LayerId, SinkCounters, SpanData, SpanDataCache,
        SpanIdentity, SpanTable, log_record::LogRecord, recorded_callsite,
    },
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
    altered_fields::{AlteredFields, UNALTERED},
    assemble::{SpanScope, keep_last},
    builder::Options,
    conversion::push_field,
    escape,
    format_table::{Facts, Layout},
    fragment::{Fragment, OwnMembers, SpanNode},
    line_template::{LineTemplate, push_member, text_policy},
    plan::Plan,
    scratch::{self, Scratch},
    span_events::{self, HumanDuration, SpanChange},
    span_plan::SpanPlan,
    visit::{Encoded, Encoding, Pass, encode},
};

/// Writes each event as one line of JSON, with the fields of the spans around it. See the [crate
/// docs](crate).
///
/// It is its own builder: start with [`JsonLayer::new`]. It does not filter: add a
/// [`LevelLayer`](spanwise_core::LevelLayer) to the stack, or wrap this layer with
/// [`with_levels`](spanwise_core::LayerExt::with_levels).
#[derive(Debug)]
pub struct JsonLayer<W = fn() -> io::Stdout> {
    pub(crate) make_writer: W,
    pub(crate) options: Options,
    pub(crate) template: LineTemplate,
    pub(crate) id: LayerId,
    pub(crate) plans: CallsitePlans<Plan>,
    pub(crate) spans: SpanTable<SpanNode>,
    pub(crate) filter_interop: FilterInterop,
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
            Plan::new(callsite, &self.options, &self.template)
        })
    }

    pub(crate) fn encoding<'a>(&'a self, plan: &'a Plan, is_event: bool) -> Encoding<'a> {
        let template = &self.template;
        Encoding {
            clean_message: &plan.clean_message,
            layout: template.table.layout,
            policy: text_policy(template, &self.options),
            replacer: &self.options.redact,
            lists_redacted: self.options.redacted_list,
            is_event,
        }
    }

    /// Reports that this layer cannot write the format, if it is for humans.
    fn report_format(&self) {
        let format = &self.options.format;
        if format.is_human_readable() {
            let why = format_args!(
                "a JsonLayer does not write `{format}`: its lines are `json`; for `{format}` use the outputs of `spanwise`"
            );
            self.report.fault_unthrottled(Fault::Setup, &why);
        }
    }

    /// Writes a record of the `log` crate. Its target and location are in its fields.
    fn log_event<S>(
        &self,
        event: &Event<'_>,
        plan: &Plan,
        scope: &SpanScope<'_>,
        ctx: &Context<'_, S>,
    ) where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let record = LogRecord::from_event(event);
        let mut scratch = Scratch::take();
        let mut draft = self.begin(&mut scratch, plan, event.metadata());
        let facts = Facts::new(&self.options, event.metadata(), Some(&record));
        // Each record has a message.
        draft.scratch.line.push(&self.template.head(&facts, true));
        draft.offsets.fields_start = draft.scratch.line.len();
        draft.log = Some(&record);
        self.push_fields(&mut draft, event);
        self.finish(&mut draft, scope, ctx);
        scratch.put_back();
    }

    /// Encodes the own fields of a span, which `record` visits, and calls `f` with the members.
    fn encode_own<R>(
        &self,
        plan: &Plan,
        record: impl Fn(&mut dyn Visit),
        f: impl FnOnce(OwnMembers<'_>) -> R,
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
        if plan.has_repeated_keys {
            keep_last(line, 0);
        }
        if encoded.redacted_bits != 0 {
            encoded.add_redacted_by_key(plan);
        }
        let Encoded { bits, altered, .. } = encoded;
        let result = f(OwnMembers {
            members: [line.as_bytes(), b""],
            bits,
            pinned: plan.pinned(bits),
            altered: altered.as_deref().unwrap_or(&UNALTERED),
            ids: b"",
        });
        scratch.put_back();
        result
    }

    /// As [`encode_own`](Self::encode_own), where spans have identities.
    #[inline(never)] // Off the path of a program that exports no traces, which stays small.
    fn encode_own_with_ids<R>(
        &self,
        plan: &Plan,
        identity: Option<&SpanIdentity>,
        record: impl Fn(&mut dyn Visit),
        f: impl FnOnce(OwnMembers<'_>) -> R,
    ) -> R {
        self.encode_own(plan, record, |own| match (identity, &plan.span_plan) {
            (Some(identity), Some(span_plan)) => with_ids(own, span_plan, identity, f),
            _ => f(own),
        })
    }

    /// Returns the node of a span, or of the nearest one above it that has a node. A span opened
    /// before the layer was added has none.
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

    /// Calls `f` with the node of the span that is current on this thread. `f` must not call code
    /// that may log. Returns the current span as an error if its node has to be looked up.
    ///
    /// This function cannot do that, since the thread's spans are borrowed. A look-up may be the
    /// last use of a span that another thread closes, and then runs code that may log.
    #[inline(always)] // An event in a span costs 3 % less.
    pub(crate) fn with_current<R>(
        &self,
        f: impl FnOnce(&SpanNode, &mut SpanDataCache<Fragment>) -> R,
    ) -> Result<R, Option<Id>> {
        let found = scratch::with_entered(|entered| match entered.current(self.id, &self.spans) {
            CurrentSpan::Known { value, cache, .. } => Ok(f(value, cache)),
            // The span is closed, or older than the layer.
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

    /// Writes a line about a span itself.
    #[cold]
    fn span_event<S>(&self, message: &str, id: &Id, change: SpanChange, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let Some(span) = ctx.span(id) else { return };
        let times =
            span_events::record_change(&span, self.id, self.options.clock.instant(), change);
        let callsite = span.metadata();
        let plan = self.plan(callsite);
        let table = self.template.table;
        let mut scratch = Scratch::take();
        let mut draft = self.begin(&mut scratch, plan, callsite);
        let mut members = Vec::new();
        push_member(&mut members, table.message.key, &escape::quoted(message));
        // In the format of `fmt`, a line without a timestamp has no times either.
        let has_times = table.layout == Layout::Flat || self.options.timestamp.is_some();
        if matches!(change, SpanChange::Closed) && has_times {
            for (key, time) in [("time.busy", times.busy), ("time.idle", times.idle)] {
                let time = escape::quoted(&HumanDuration(time).to_string());
                push_field(&mut members, table, key, &time);
            }
        }
        draft.scratch.line.push(&members);
        // Compare all keys: any key of a span may be one that this line already has.
        draft.encoded.bits = u128::MAX;
        self.finish(&mut draft, &SpanScope::Explicit(id), ctx);
        scratch.put_back();
    }

    /// Updates the times of a span, and writes a line if `event` is to be logged.
    #[inline]
    fn span_changed<S>(&self, event: SpanEvents, id: &Id, change: SpanChange, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let wanted = self.options.span_events;
        if wanted == SpanEvents::NONE {
            return;
        }
        if wanted.contains(event) {
            let message = match change {
                SpanChange::New => "new",
                SpanChange::Entered => "enter",
                SpanChange::Exited => "exit",
                SpanChange::Closed => "close",
            };
            self.span_event(message, id, change, ctx);
        } else if wanted.contains(SpanEvents::CLOSE)
            && let Some(span) = ctx.span(id)
        {
            span_events::record_change(&span, self.id, self.options.clock.instant(), change);
        }
    }
}

impl<S, W> Layer<S> for JsonLayer<W>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.filter_interop.detect(dispatch);
        self.report_format();
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        self.filter_interop.interest_in_all()
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let plan = self.plan(event.metadata());
        let scope = match event.parent() {
            Some(parent) => SpanScope::Explicit(parent),
            None if event.is_contextual() => SpanScope::Current,
            None => SpanScope::NoSpan,
        };
        if plan.is_log {
            return self.log_event(event, plan, &scope, &ctx);
        }
        let mut scratch = Scratch::take();
        let mut draft = self.begin(&mut scratch, plan, event.metadata());
        self.push_fields(&mut draft, event);
        self.finish(&mut draft, &scope, &ctx);
        scratch.put_back();
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let plan = self.plan(attrs.metadata());
        let Some(span_plan) = &plan.span_plan else {
            return;
        };
        let parent = self.parent_of(attrs, &ctx);
        // Values are formatted before any data of the span is locked.
        let record = |visitor: &mut dyn Visit| attrs.record(visitor);
        let make = |own: OwnMembers<'_>| {
            SpanData::new(parent.as_ref(), |parent| {
                Fragment::new(span_plan, own, parent)
            })
        };
        let node = if SpanIdentity::exist() {
            self.encode_own_with_ids(plan, find_identity(id, &ctx).as_ref(), record, make)
        } else {
            self.encode_own(plan, record, make)
        };
        self.spans.insert(id, node);
        self.span_changed(SpanEvents::NEW, id, SpanChange::New, &ctx);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let Some(node) = self.spans.get(id) else {
            return;
        };
        let callsite = recorded_callsite(values, node.read(Fragment::callsite));
        let record = |visitor: &mut dyn Visit| values.record(visitor);
        let update = |own: OwnMembers<'_>| {
            if !own.members[0].is_empty() || !own.ids.is_empty() {
                node.update(|fragment, parent| fragment.record(own, parent));
            }
        };
        let plan = self.plan(callsite);
        if SpanIdentity::exist() {
            self.encode_own_with_ids(plan, find_identity(id, &ctx).as_ref(), record, update);
        } else {
            self.encode_own(plan, record, update);
        }
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        scratch::with_entered(|entered| entered.enter(self.id, id));
        self.span_changed(SpanEvents::ENTER, id, SpanChange::Entered, &ctx);
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        // The removed node is dropped after the borrow of the thread's spans has ended.
        drop(scratch::with_entered(|entered| entered.exit(self.id, id)));
        self.span_changed(SpanEvents::EXIT, id, SpanChange::Exited, &ctx);
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        self.span_changed(SpanEvents::CLOSE, &id, SpanChange::Closed, &ctx);
        self.spans.close(&id);
    }
}

/// Returns the identity of a span, or of the nearest span around it that has one. It stays
/// provisional: no line shows it yet.
fn find_identity<S>(id: &Id, ctx: &Context<'_, S>) -> Option<SpanIdentity>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    let span = ctx.span(id)?;
    // Nearly always the span has one. A scope looks each span up.
    let around = || {
        let mut around = span.scope().skip(1);
        around.find_map(|span| SpanIdentity::find(&span))
    };
    SpanIdentity::find(&span).or_else(around)
}

/// Calls `f` with the members and the ids of the identity, in place of fields with such keys.
fn with_ids<R>(
    own: OwnMembers<'_>,
    span_plan: &SpanPlan,
    identity: &SpanIdentity,
    f: impl FnOnce(OwnMembers<'_>) -> R,
) -> R {
    let keys = &span_plan.ids;
    let ids = keys.members(identity);
    let mut members = Cow::Borrowed(own.members[0]);
    let mut altered = Cow::Borrowed(own.altered);
    let (mut bits, is_flat) = (own.bits, span_plan.table.layout == Layout::Flat);
    if bits & keys.bits != 0 {
        // The bits stay: other fields may share them.
        members = keys.remove_from(own.members[0]).into();
        let mut kept = AlteredFields::default();
        kept.add(own.altered, |name| !keys.contains(name));
        altered = Cow::Owned(kept);
    }
    if !is_flat {
        // They are members of the span's own object.
        members.to_mut().extend_from_slice(&ids);
        bits |= keys.bits;
    }
    f(OwnMembers {
        members: [&members, b""],
        bits,
        pinned: own.pinned,
        altered: &altered,
        ids: if is_flat { &ids } else { b"" },
    })
}
