//! The JSON layer: writes events, and stores the encoded fields of spans.
//!
//! A [`Plan`] has all that follows from a callsite. A [`Fragment`] has the encoded fields of a span
//! and its ancestors. The *node* of a span ([`SpanNode`]) stores its current fragment.

use std::{
    borrow::Cow,
    io,
    sync::{Arc, OnceLock},
};

use spanwise_core::{
    Context as SpanContext, EventContext, Fault, SelfReport,
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
    assemble::{SpanScope, remove_repeated_keys},
    builder::Options,
    conversion::push_field,
    escape,
    format_table::{Layout, PartInputs},
    fragment::{Fragment, OwnMembers, SpanNode},
    line_parts,
    line_template::{LineTemplate, text_policy},
    member_keys::KeyedMembers,
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
    /// The options as they were set. `options` are the same, resolved against the format.
    pub(crate) requested: Options,
    pub(crate) template: LineTemplate,
    pub(crate) id: LayerId,
    pub(crate) plans: CallsitePlans<Plan>,
    pub(crate) spans: SpanTable<SpanNode>,
    pub(crate) filter_interop: FilterInterop,
    pub(crate) counters: Arc<SinkCounters>,
    pub(crate) report: SelfReport,
    /// See [`JsonLayer::late`].
    pub(crate) is_late: bool,
    /// See [`JsonLayer::has_redacted_context`].
    pub(crate) has_redacted_context: bool,
    /// The recorder's id of the sink to which `make_writer` belongs. Set when the recorder first
    /// buffers a line of this layer.
    pub(crate) recorded_sink: OnceLock<LayerId>,
}

/// The source of the values that a span shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SpanValues {
    /// The values as they were recorded.
    Recorded,
    /// The values in the context of the span, for a span that is older than the layer.
    Context,
}

impl<W> JsonLayer<W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    #[inline]
    pub(crate) fn plan(&self, callsite: &'static Metadata<'static>) -> &Plan {
        self.plans.get(callsite, |callsite| {
            Plan::new(callsite, &self.options, &self.template)
        })
    }

    pub(crate) fn encoding<'a>(&'a self, plan: &'a Plan, is_event: bool) -> Encoding<'a> {
        let template = &self.template;
        Encoding {
            clean_texts: &plan.clean_texts,
            layout: template.table.layout,
            policy: text_policy(template, &self.options),
            replacer: &self.options.redact,
            lists_redacted_fields: self.options.lists_redacted_fields,
            is_event,
            are_replaced: false,
        }
    }

    /// Reports setup faults: a human-readable format, which this layer cannot write, and options
    /// that do not fit the format.
    fn report_setup_faults(&self) {
        let format = &self.options.format;
        if format.is_human_readable() {
            let why = format_args!(
                "JsonLayer cannot write the format `{format}` and writes `json` instead; for \
                 `{format}`, set up logging with the `spanwise` crate"
            );
            self.report.fault_unthrottled(Fault::Setup, &why);
        }
        for problem in line_parts::resolve(&self.requested).problems {
            self.report.fault_unthrottled(Fault::Setup, &problem);
        }
    }

    /// Writes a record of the `log` crate, or a recorder's dump, which begins with its header.
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn write_uncommon_event<S>(
        &self,
        event: &Event<'_>,
        plan: &Plan,
        scope: &SpanScope<'_>,
        ctx: &Context<'_, S>,
    ) where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        if plan.is_log {
            self.write_log_record(event, plan, scope, ctx);
        } else {
            self.write_dump(event, plan, scope, ctx);
        }
    }

    /// Writes a record of the `log` crate. Its target and location are in its fields.
    fn write_log_record<S>(
        &self,
        event: &Event<'_>,
        plan: &Plan,
        scope: &SpanScope<'_>,
        ctx: &Context<'_, S>,
    ) where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let record = LogRecord::from_event(event);
        let context = EventContext::take();
        let mut scratch = Scratch::take();
        let mut draft = self.begin(&mut scratch, plan, event.metadata(), context, None);
        let inputs = PartInputs::new(&self.options, event.metadata(), Some(&record));
        // A `log` record always has a message.
        let has_message = true;
        let head = self.template.head(&inputs, has_message);
        draft.scratch.line.push(&head);
        draft.offsets.fields_start = draft.scratch.line.len();
        draft.log = Some(&record);
        self.push_fields(&mut draft, |visitor| event.record(visitor));
        self.finish(&mut draft, scope, ctx);
        scratch.put_back();
    }

    /// Encodes the own fields of a span, which `record` visits, and calls `f` with the members. If
    /// several fields can be the error of the span, `known_error` is the index of the field that an
    /// earlier call has selected.
    fn encode_own_fields<R>(
        &self,
        plan: &Plan,
        values: SpanValues,
        known_error: Option<usize>,
        record: impl Fn(&mut dyn Visit),
        f: impl FnOnce(&OwnMembers<'_>) -> R,
    ) -> R {
        let mut scratch = Scratch::take();
        let Scratch {
            line, starts, keys, ..
        } = &mut *scratch;
        let mut encoded = Encoded::default();
        let (field_keys, error) = if plan.other_errors.is_empty() {
            (&*plan.keys, None)
        } else {
            plan.keys_for(known_error, &record)
        };
        let is_event = false;
        let encoding = Encoding {
            are_replaced: values == SpanValues::Context && self.has_redacted_context,
            ..self.encoding(plan, is_event)
        };
        encode(
            line,
            field_keys,
            Pass::All,
            encoding,
            &mut encoded,
            starts,
            record,
        );
        if plan.has_repeated_keys {
            remove_repeated_keys(line, 0);
        }
        if encoded.has_redacted_or_altered() {
            encoded.add_redacted(plan, field_keys);
        }
        let Encoded {
            fields, altered, ..
        } = &encoded;
        let has_key_ids = plan.list_own_keys(&encoded, starts, line.len(), keys);
        let is_flat = self.template.table.layout == Layout::Flat;
        let result = f(&OwnMembers {
            members: [keys.with_text(line.as_bytes()), KeyedMembers::default()],
            has_key_ids,
            // Flat lines compare key ids after the bits. So `bits` is only a filter there, and may
            // include keys that have no value here.
            bits: if has_key_ids && is_flat {
                plan.bits
            } else {
                plan.bits_of(*fields)
            },
            pinned: plan.pinned(*fields),
            altered: altered.as_deref().unwrap_or(&UNALTERED),
            trace_ids: b"",
            nested_ids_len: 0,
            error: error.and_then(|index| index.try_into().ok()),
        });
        scratch.put_back();
        result
    }

    /// Like [`encode_own_fields`](Self::encode_own_fields), but adds the trace ids of the span's
    /// identity. For programs that export traces.
    #[inline(never)] // Kept out of line: programs that export no traces do not pay for it.
    fn encode_own_fields_with_ids<R>(
        &self,
        plan: &Plan,
        values: SpanValues,
        identity: Option<&SpanIdentity>,
        known_error: Option<usize>,
        record: impl Fn(&mut dyn Visit),
        f: impl FnOnce(&OwnMembers<'_>) -> R,
    ) -> R {
        self.encode_own_fields(plan, values, known_error, record, |own| {
            match (identity, &plan.span_plan) {
                (Some(identity), Some(span_plan)) => with_trace_ids(own, span_plan, identity, f),
                _ => f(own),
            }
        })
    }

    /// Returns the node of a span, or of its nearest ancestor that has a node. A span opened before
    /// the layer was added has no node, unless the layer is [late](JsonLayer::late).
    pub(crate) fn look_up<S>(&self, id: &Id, ctx: &Context<'_, S>) -> Option<SpanNode>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let known = self.spans.get(id);
        let find_ancestor = || {
            ctx.span_scope(id)?
                .find_map(|span| self.spans.get(&span.id()))
        };
        match known {
            None if self.is_late => self.adopt(id, ctx),
            known => known.or_else(find_ancestor),
        }
    }

    /// Creates the nodes of a span that is older than the layer, and of its ancestors without a
    /// node. Such a node shows the values in the [context](SpanContext) of its span as fields.
    #[cold]
    fn adopt<S>(&self, id: &Id, ctx: &Context<'_, S>) -> Option<SpanNode>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let mut parent = None;
        for span in ctx.span_scope(id)?.from_root() {
            let known = self.spans.get(&span.id());
            let node = known.or_else(|| {
                let callsite = span.metadata();
                let plan = self.plan(callsite);
                let span_plan = plan.span_plan.as_ref()?;
                let context = SpanContext::from_span(&span);
                let record = |visitor: &mut dyn Visit| {
                    for field in callsite.fields() {
                        if let Some(value) = context.get(field.name()) {
                            visitor.record_str(&field, value);
                        }
                    }
                };
                let identity = find_identity(&span.id(), ctx);
                let make = |own: &OwnMembers<'_>| {
                    SpanData::new(parent.as_ref(), |parent| {
                        Fragment::new(span_plan.share(), own, parent)
                    })
                };
                let identity = identity.as_ref();
                let values = SpanValues::Context;
                let node =
                    self.encode_own_fields_with_ids(plan, values, identity, None, record, make);
                self.spans.insert(&span.id(), Arc::clone(&node));
                Some(node)
            });
            parent = node.or(parent);
        }
        parent
    }

    /// Returns the current span if the layer is [late](JsonLayer::late), because the thread may
    /// have entered this span before the layer was added.
    #[inline]
    pub(crate) fn missed_current<S>(&self, ctx: &Context<'_, S>) -> Option<Id>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        if self.is_late {
            ctx.current_span().id().cloned()
        } else {
            None
        }
    }

    /// Calls `f` with the node of the span that is current on this thread. `f` must not call code
    /// that may log. Returns `Err(Some(id))` if the caller must look the node up, and `Err(None)`
    /// if there is no current span, or if the thread is exiting.
    ///
    /// This function does not look the node up, because it borrows the spans of the thread. A
    /// look-up may drop the last reference to a span. Layers then run `on_close`, which may log and
    /// borrow them again.
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

    /// Returns the node of the parent of a new span.
    fn parent_of<S>(&self, attrs: &Attributes<'_>, ctx: &Context<'_, S>) -> Option<SpanNode>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        match attrs.parent() {
            Some(parent) => self.look_up(parent, ctx),
            None if attrs.is_contextual() => self
                .with_current(|node, _| Arc::clone(node))
                .or_else(|id| {
                    let id = id.or_else(|| self.missed_current(ctx));
                    id.and_then(|id| self.look_up(&id, ctx)).ok_or(())
                })
                .ok(),
            None => None,
        }
    }

    /// Writes a line about a change of a span.
    #[cold]
    fn write_lifecycle_line<S>(&self, change: SpanChange, id: &Id, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let Some(span) = ctx.span(id) else { return };
        let times =
            span_events::record_change(&span, self.id, self.options.clock.instant(), change);
        let callsite = span.metadata();
        let plan = self.plan(callsite);
        let table = self.template.table;
        let context = EventContext::take();
        let mut scratch = Scratch::take();
        let mut draft = self.begin(&mut scratch, plan, callsite, context, None);
        let mut members = Vec::new();
        if self.options.message {
            members.push(b',');
            members.extend(line_parts::message_key(&self.options));
            members.push(b':');
            members.extend(escape::quoted(change.message()));
        }
        // The nested layout imitates `tracing_subscriber::fmt`, which omits `time.busy` and
        // `time.idle` if it shows no timestamp.
        let has_times = table.layout == Layout::Flat || self.options.timestamp.is_some();
        if matches!(change, SpanChange::Closed) && has_times {
            for (key, time) in [("time.busy", times.busy), ("time.idle", times.idle)] {
                let time = escape::quoted(&HumanDuration(time).to_string());
                push_field(&mut members, table, key, &time);
            }
        }
        draft.scratch.line.push(&members);
        // The plan does not have the keys of these members. So `finish` must compare them with the
        // keys of the spans as text.
        draft.has_unknown_keys = true;
        self.finish(&mut draft, &SpanScope::Explicit(id), ctx);
        scratch.put_back();
    }

    /// Writes a line if lines about `change` are enabled. If not, updates the times of the span for
    /// the line about its end, if that line is enabled.
    #[inline]
    fn on_lifecycle<S>(&self, change: SpanChange, id: &Id, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let wanted = self.options.span_events;
        if wanted == SpanEvents::NONE {
            return;
        }
        if wanted.contains(change.flag()) {
            self.write_lifecycle_line(change, id, ctx);
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
        self.report_setup_faults();
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        self.filter_interop.always_or_sometimes()
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let plan = self.plan(event.metadata());
        let scope = match event.parent() {
            Some(parent) => SpanScope::Explicit(parent),
            None if event.is_contextual() => SpanScope::Current,
            None => SpanScope::NoSpan,
        };
        if plan.is_uncommon {
            return self.write_uncommon_event(event, plan, &scope, &ctx);
        }
        let context = if EventContext::take_if_buffered() {
            if self.buffer_unencoded(event, plan, &scope, &ctx) {
                return;
            }
            EventContext::for_buffered()
        } else {
            EventContext::take()
        };
        if let Some(rewritten) = plan.rewritten.as_ref().filter(|_| !context.buffered) {
            return self.write_rewritten_event(event, plan, rewritten, context, &scope, &ctx);
        }
        let mut scratch = Scratch::take();
        let mut draft = self.begin(&mut scratch, plan, event.metadata(), context, None);
        self.push_fields(&mut draft, |visitor| event.record(visitor));
        self.finish(&mut draft, &scope, &ctx);
        scratch.put_back();
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let plan = self.plan(attrs.metadata());
        let Some(span_plan) = &plan.span_plan else {
            return;
        };
        let parent = self.parent_of(attrs, &ctx);
        // Values are formatted before data of the span is locked, because formatting may log.
        let record = |visitor: &mut dyn Visit| attrs.record(visitor);
        let make = |own: &OwnMembers<'_>| {
            SpanData::new(parent.as_ref(), |parent| {
                Fragment::new(span_plan.share(), own, parent)
            })
        };
        let node = if SpanIdentity::exist() {
            self.encode_own_fields_with_ids(
                plan,
                SpanValues::Recorded,
                find_identity(id, &ctx).as_ref(),
                None,
                record,
                make,
            )
        } else {
            self.encode_own_fields(plan, SpanValues::Recorded, None, record, make)
        };
        self.spans.insert(id, node);
        self.on_lifecycle(SpanChange::New, id, &ctx);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let Some(node) = self.spans.get(id) else {
            return;
        };
        let (callsite, known_error) = node.read(|fragment| (fragment.callsite(), fragment.error()));
        let callsite = recorded_callsite(values, callsite);
        let record = |visitor: &mut dyn Visit| values.record(visitor);
        let update = |own: &OwnMembers<'_>| {
            if !own.members[0].text.is_empty() || !own.trace_ids.is_empty() {
                node.update(|fragment, parent| fragment.record(own, parent));
            }
        };
        let plan = self.plan(callsite);
        if SpanIdentity::exist() {
            let identity = find_identity(id, &ctx);
            self.encode_own_fields_with_ids(
                plan,
                SpanValues::Recorded,
                identity.as_ref(),
                known_error,
                record,
                update,
            );
        } else {
            self.encode_own_fields(plan, SpanValues::Recorded, known_error, record, update);
        }
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        scratch::with_entered(|entered| entered.enter(self.id, id));
        self.on_lifecycle(SpanChange::Entered, id, &ctx);
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        // The removed node is dropped after the borrow of the thread's spans has ended.
        drop(scratch::with_entered(|entered| entered.exit(self.id, id)));
        self.on_lifecycle(SpanChange::Exited, id, &ctx);
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        self.on_lifecycle(SpanChange::Closed, &id, &ctx);
        self.spans.close(&id);
    }
}

/// Returns the identity of a span, or else of the nearest enclosing span that has an identity. Does
/// not freeze the identity. No line shows its trace ids yet, so the span may still move to another
/// trace.
fn find_identity<S>(id: &Id, ctx: &Context<'_, S>) -> Option<SpanIdentity>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    let span = ctx.span(id)?;
    // Try the span itself first: it nearly always has an identity, and `scope()` costs a registry
    // look-up per span.
    let enclosing = || {
        let mut enclosing = span.scope().skip(1);
        enclosing.find_map(|span| SpanIdentity::find(&span))
    };
    SpanIdentity::find(&span).or_else(enclosing)
}

/// Calls `f` with the members and the trace ids of a span. Before that, removes the fields that
/// have the keys of trace ids.
fn with_trace_ids<R>(
    own: &OwnMembers<'_>,
    span_plan: &SpanPlan,
    identity: &SpanIdentity,
    f: impl FnOnce(&OwnMembers<'_>) -> R,
) -> R {
    let keys = &span_plan.trace_ids;
    let ids = keys.members(identity);
    let mut altered = Cow::Borrowed(own.altered);
    let (mut bits, is_flat) = (own.bits, span_plan.table.layout == Layout::Flat);
    let changed;
    let mut members = own.members[0];
    if bits & keys.bits != 0 {
        // The bits of the removed fields stay, because other fields may share them.
        changed = keys.remove_from(members);
        let mut kept = AlteredFields::default();
        kept.add(own.altered, |name| !keys.contains(name));
        altered = Cow::Owned(kept);
        members = changed.as_members();
    }
    let nested;
    if !is_flat {
        // In nested lines, the ids are members of the span's object.
        nested = [members.text, &ids].concat();
        members = KeyedMembers::from_text(&nested);
        bits |= keys.bits;
    }
    f(&OwnMembers {
        members: [members, KeyedMembers::default()],
        bits,
        altered: &altered,
        trace_ids: if is_flat { &ids } else { b"" },
        nested_ids_len: if is_flat { 0 } else { ids.len() },
        ..*own
    })
}
