//! The layer that decides whether an event is written or buffered, and when a unit of work is
//! dumped. A unit of work is a root span with its descendants. A dump writes the buffered lines of
//! a unit.
//!
//! A *shown* event passes the filter of the sink. A *captured* event is below the levels of the
//! sink, and is enabled only for the recorder.

use std::{
    any::TypeId,
    fmt, ptr,
    sync::{Arc, atomic::Ordering},
    thread,
};

use spanwise_core::{
    Context as SpanContext, EventContext, SinkFilter, forward, forward_downcast,
    internal::{
        CallsitePlans, EnteredLine, LineDisposition, MustSeeAllEvents, SampleRate, SpanSubscriber,
        Visibility, VisibilityCache,
        consistent_sampling::{Threshold, randomness_from_context},
        recorded_callsite,
    },
};
use tracing::{Event, Subscriber};
use tracing_core::{
    Level, Metadata,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use crate::{
    entered_units,
    header::with_header,
    recorder_state::{RecorderState, SinkState},
    trigger::{SpanPlan, Trigger},
    unit::{RecordTag, TailAction, TailSampling, Unit},
};

/// A recorder around a layer that writes lines. Created by
/// [`Recorder::sink`](crate::Recorder::sink).
pub struct Recorded<L> {
    inner: L,
    sink: Arc<SinkState>,
    sink_filter: SinkFilter,
    /// Selects the events to buffer among those that are below the levels of the sink.
    capture_filter: SinkFilter,
    plans: CallsitePlans<Plan>,
    /// Holds no data. `downcast_raw` returns its address, so that an outer sampler knows that this
    /// layer must see all events.
    must_see_all: MustSeeAllEvents,
}

/// The data that the layer derives from a callsite, and stores for later events.
#[derive(Debug)]
struct Plan {
    /// The number that identifies the callsite in buffered records.
    number: u32,
    sink_visibility: VisibilityCache,
    capture_visibility: VisibilityCache,
    span: SpanPlan,
}

impl<L> Recorded<L> {
    pub(crate) fn new(inner: L, sink: Arc<SinkState>, sink_filter: SinkFilter) -> Self {
        Self {
            inner,
            sink_filter,
            capture_filter: sink.recorder.options.capture.clone().into(),
            sink,
            plans: CallsitePlans::default(),
            must_see_all: MustSeeAllEvents,
        }
    }

    #[inline]
    fn plan(&self, callsite: &'static Metadata<'static>) -> &Plan {
        self.plans.get(callsite, |callsite| Plan {
            number: self.sink.add_callsite(callsite),
            sink_visibility: VisibilityCache::default(),
            capture_visibility: VisibilityCache::default(),
            span: SpanPlan::new(callsite),
        })
    }

    /// Returns whether an event less severe than ERROR may fire a trigger, so that its unit must be
    /// looked up. It may if units are timed for the slow trigger or tail sampling (`is_timed`), or
    /// if a dump is requested.
    #[inline]
    fn any_event_may_trigger(&self) -> bool {
        let recorder = &self.sink.recorder;
        recorder.is_timed || recorder.pending_dumps.load(Ordering::Acquire) > 0
    }

    /// Returns the unit of a span. If the span has none, because it was opened before the layer was
    /// installed, returns the unit of the nearest ancestor that has one.
    fn unit_of_span<S: SpanSubscriber>(&self, id: &Id, ctx: &Context<'_, S>) -> Option<Arc<Unit>> {
        let unit_of_ancestor = || {
            ctx.span_scope(id)?
                .find_map(|span| self.sink.units.get(&span.id()))
        };
        self.sink.units.get(id).or_else(unit_of_ancestor)
    }

    #[inline]
    fn unit_of_event<S: SpanSubscriber>(
        &self,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Option<Arc<Unit>> {
        match event.parent() {
            Some(parent) => self.unit_of_span(parent, ctx),
            None if event.is_contextual() => self.current_unit(ctx),
            None => None,
        }
    }

    #[inline]
    fn current_unit<S: SpanSubscriber>(&self, ctx: &Context<'_, S>) -> Option<Arc<Unit>> {
        entered_units::current(self.sink.id, &self.sink.units, |id| {
            self.unit_of_span(id, ctx)
        })
    }
}

impl<L> Recorded<L> {
    /// Handles the events that the fast paths of `on_event` do not: those that may fire a trigger
    /// or that tail sampling may buffer, and captured events that find no buffering unit among the
    /// entered spans.
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn on_uncommon_event<S: SpanSubscriber>(
        &self,
        event: &Event<'_>,
        ctx: Context<'_, S>,
        plan: &Plan,
        passes_sink_filter: bool,
        may_trigger: bool,
    ) where
        L: Layer<S>,
    {
        let unit = self.unit_of_event(event, &ctx);
        if may_trigger {
            self.dump_if_triggered(unit.as_ref(), *event.metadata().level(), &ctx);
        }
        let (unit, tag) = if passes_sink_filter {
            match self.write_unless_buffered(plan.number, unit, event, &ctx) {
                Some(unit) => (unit, RecordTag::shown(plan.number)),
                None => return,
            }
        } else {
            let unit = unit.unwrap_or_else(|| Arc::clone(&self.sink.outside_unit));
            (unit, RecordTag::captured(plan.number))
        };
        if unit.passes_through() {
            // This event would not be written without the earlier trigger, so it counts against
            // `max_lines_per_second`.
            self.sink.dump_limit.charge_line();
            return self.write_exempt_from_sampling(event, ctx);
        }
        let tag = tag.to_bits();
        let buffered = |context: &mut EventContext| {
            context.buffered = true;
            // A captured event is exempt from sampling. A shown event is not: the sink would
            // have written it, so the limits of a sampler inside the recorder count it.
            context.exempt_from_sampling |= !passes_sink_filter;
        };
        LineDisposition::Buffer { unit, tag }.scope(self.sink.id, buffered, || {
            self.inner.on_event(event, ctx);
        });
    }

    /// Writes the event, unless tail sampling buffers it. In that case, returns the unit in which
    /// the caller must buffer it.
    fn write_unless_buffered<S: SpanSubscriber>(
        &self,
        callsite: u32,
        unit: Option<Arc<Unit>>,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Option<Arc<Unit>>
    where
        L: Layer<S>,
    {
        let forward = || self.inner.on_event(event, ctx.clone());
        let threshold = self.sink.recorder.options.tail;
        // INFO or more verbose.
        let may_be_buffered = *event.metadata().level() >= Level::INFO;
        let (Some(unit), Some(threshold), true) = (unit, threshold, may_be_buffered) else {
            LineDisposition::without(forward);
            return None;
        };
        match unit.tail_action(|| self.decide_tail_sampling(threshold, event, ctx)) {
            TailAction::Write if unit.passes_through() => {
                self.write_exempt_from_sampling(event, ctx.clone())
            }
            TailAction::Write => LineDisposition::without(forward),
            TailAction::WriteSampled { by_trace } => {
                let ratio = threshold.ratio();
                let sampled = |context: &mut EventContext| {
                    SampleRate { ratio, by_trace }.apply(context);
                    context.keep_if_sampled_out = true;
                };
                // The writer writes the line, unless an inner sampler drops the event. In that
                // case, it buffers the line.
                let tag = RecordTag::buffer_if_sampled_out(callsite).to_bits();
                LineDisposition::Buffer { unit, tag }.scope(self.sink.id, sampled, forward);
            }
            TailAction::Buffer => return Some(unit),
        }
        None
    }

    /// Decides whether tail sampling writes the events of a unit even without a trigger. The
    /// decision follows the trace or request of `event`, or else is random.
    fn decide_tail_sampling<S: SpanSubscriber>(
        &self,
        threshold: Threshold,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> TailSampling {
        let randomness = randomness_from_context(&SpanContext::from_event(event, ctx));
        let by_trace = randomness.is_some();
        let random = &self.sink.recorder.random;
        if !threshold.keeps(randomness.unwrap_or_else(|| random.next())) {
            TailSampling::NotSampled
        } else if by_trace {
            TailSampling::SampledByTrace
        } else {
            TailSampling::SampledAtRandom
        }
    }

    /// Writes an event of a unit after a trigger. Inner samplers must not drop it.
    fn write_exempt_from_sampling<S>(&self, event: &Event<'_>, ctx: Context<'_, S>)
    where
        S: Subscriber,
        L: Layer<S>,
    {
        let exempt = |context: &mut EventContext| context.exempt_from_sampling = true;
        EventContext::scope(exempt, || {
            LineDisposition::without(|| self.inner.on_event(event, ctx));
        });
    }

    /// Dumps the unit if an event of this level fires a trigger, or if a dump is pending. If the
    /// event reports a panic, also dumps the events outside spans.
    fn dump_if_triggered<S: SpanSubscriber>(
        &self,
        unit: Option<&Arc<Unit>>,
        level: Level,
        ctx: &Context<'_, S>,
    ) where
        L: Layer<S>,
    {
        if let Some(unit) = unit
            && let Some(trigger) = unit.due_trigger(Some(level))
        {
            self.dump(unit, trigger, ctx);
        }
        if level == Level::ERROR && thread::panicking() {
            self.dump(&self.sink.outside_unit, Trigger::Panic, ctx);
        }
    }

    /// Writes the header and the buffered lines of a unit. Writes nothing if the buffer is empty,
    /// if another thread is dumping the unit, or if the limit of lines per second refuses the dump.
    /// The inner layer receives the header as an event. When it writes the header, the writer takes
    /// the [`LineDisposition::Header`] and writes the buffered lines after the header.
    #[cold]
    fn dump<S: SpanSubscriber>(&self, unit: &Arc<Unit>, trigger: Trigger, ctx: &Context<'_, S>)
    where
        L: Layer<S>,
    {
        let Some(dump) = unit.begin_dump(trigger, &self.sink.dump_limit) else {
            return;
        };
        let (records, dropped) = (dump.records, dump.dropped_records);
        let span = unit.span().cloned();
        with_header(span, trigger, records, dropped, |header| {
            let forced = |context: &mut EventContext| {
                *context = EventContext::default();
                context.force_emit = true;
            };
            LineDisposition::Header(dump).scope(self.sink.id, forced, || {
                self.inner.on_event(header, ctx.clone());
            });
        });
    }

    /// Dumps the unit of a span that this thread leaves or closes during a panic, even if no panic
    /// hook logs the panic.
    fn dump_if_panicking<S: SpanSubscriber>(&self, id: &Id, ctx: &Context<'_, S>)
    where
        L: Layer<S>,
    {
        if thread::panicking()
            && let Some(unit) = self.unit_of_span(id, ctx)
        {
            self.dump(&unit, Trigger::Panic, ctx);
        }
    }
}

impl<S, L> Layer<S> for Recorded<L>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    L: Layer<S>,
{
    #[inline]
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let plan = self.plan(event.metadata());
        let (sink_filter, capture_filter) = (&self.sink_filter, &self.capture_filter);
        let passes_sink_filter = match sink_filter.visibility(&plan.sink_visibility, event, &ctx) {
            Visibility::Visible => true,
            Visibility::BelowLevel
                if capture_filter.visibility(&plan.capture_visibility, event, &ctx)
                    == Visibility::Visible =>
            {
                false
            }
            Visibility::BelowLevel | Visibility::Off => return,
        };
        let may_trigger = *event.metadata().level() == Level::ERROR || self.any_event_may_trigger();
        if passes_sink_filter && !may_trigger {
            return LineDisposition::without(|| self.inner.on_event(event, ctx));
        }
        // Nearly all buffered events take this path.
        let sink = self.sink.id;
        if !may_trigger
            && event.is_contextual()
            && let Some(index) = entered_units::index_of_buffering_span(sink, &self.sink.units)
        {
            let line = EnteredLine {
                sink,
                index,
                tag: RecordTag::captured(plan.number).to_bits(),
                units: &entered_units::UnitsOfThread,
            };
            return line.scope(|| self.inner.on_event(event, ctx));
        }
        self.on_uncommon_event(event, ctx, plan, passes_sink_filter, may_trigger);
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        LineDisposition::without(|| self.inner.on_new_span(attrs, id, ctx.clone()));
        let span_plan = &self.plan(attrs.metadata()).span;
        let enclosing_unit = match attrs.parent() {
            _ if span_plan.starts_unit => None,
            Some(parent) => self.unit_of_span(parent, &ctx),
            None if attrs.is_contextual() => self.current_unit(&ctx),
            None => None,
        };
        let unit =
            enclosing_unit.unwrap_or_else(|| Unit::new(&self.sink.recorder, Some(id.clone())));
        self.sink.units.insert(id, Arc::clone(&unit));
        if let Some(trigger) = span_plan.trigger(|visitor| attrs.record(visitor)) {
            self.dump(&unit, trigger, &ctx);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        LineDisposition::without(|| self.inner.on_record(id, values, ctx.clone()));
        let Some(callsite) = ctx.metadata(id) else {
            return;
        };
        let span_plan = &self.plan(recorded_callsite(values, callsite)).span;
        if let Some(trigger) = span_plan.trigger(|visitor| values.record(visitor))
            && let Some(unit) = self.unit_of_span(id, &ctx)
        {
            self.dump(&unit, trigger, &ctx);
        }
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        entered_units::enter(self.sink.id, id);
        LineDisposition::without(|| self.inner.on_enter(id, ctx));
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        self.dump_if_panicking(id, &ctx);
        entered_units::exit(self.sink.id, id);
        LineDisposition::without(|| self.inner.on_exit(id, ctx));
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        let unit = self.sink.units.get(&id);
        // A unit ends when the span that began it closes. The other spans of the unit close
        // earlier.
        let ending_unit = unit.filter(|unit| unit.span() == Some(&id));
        if let Some(unit) = &ending_unit {
            if let Some(trigger) = unit.due_trigger(None)
                && !unit.is_empty()
            {
                self.dump(unit, trigger, &ctx);
            }
            self.dump_if_panicking(&id, &ctx);
        }
        LineDisposition::without(|| self.inner.on_close(id.clone(), ctx));
        self.sink.units.close(&id);
        if let Some(unit) = ending_unit {
            unit.end();
        }
    }

    forward!(inner: on_register_dispatch, on_layer, register_callsite, enabled, max_level_hint);
    forward!(inner: event_enabled, on_follows_from, on_id_change);
    forward_downcast!(this, id => {
        if id == TypeId::of::<RecorderState>() {
            // For `dump_current_unit` and `CancellationGuard`.
            Some(ptr::from_ref(&*this.sink.recorder).cast())
        } else if id == TypeId::of::<MustSeeAllEvents>() {
            Some(ptr::from_ref(&this.must_see_all).cast())
        } else {
            this.inner.downcast_raw(id)
        }
    });
}

impl<L: fmt::Debug> fmt::Debug for Recorded<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
