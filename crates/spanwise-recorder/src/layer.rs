//! The layer that decides whether an event is written or buffered, and when the lines of a unit of
//! work are dumped. A unit of work is a root span with its descendants.

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
    capture: SinkFilter,
    plans: CallsitePlans<Plan>,
    /// Holds no data. `downcast_raw` returns its address, so that an outer sampler knows that this
    /// layer must see all events.
    must_see_all: MustSeeAllEvents,
}

/// The data that the layer stores for a callsite.
#[derive(Debug)]
struct Plan {
    /// The number that identifies the callsite in records.
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
            capture: sink.recorder.options.capture.clone().into(),
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

    /// Returns whether the recorder must look at the unit of an event less severe than ERROR: if
    /// slow units trigger or tail sampling is on (`is_timed`), or if a dump is requested.
    #[inline]
    fn must_consult_unit(&self) -> bool {
        let recorder = &self.sink.recorder;
        recorder.is_timed || recorder.pending_dumps.load(Ordering::Acquire) > 0
    }

    /// Returns the unit of a span, or of its nearest ancestor that has one. A span has no unit if
    /// it was opened before the layer was installed.
    fn unit_at<S: SpanSubscriber>(&self, id: &Id, ctx: &Context<'_, S>) -> Option<Arc<Unit>> {
        let of_ancestor = || {
            ctx.span_scope(id)?
                .find_map(|span| self.sink.units.get(&span.id()))
        };
        self.sink.units.get(id).or_else(of_ancestor)
    }

    #[inline]
    fn unit_of<S: SpanSubscriber>(
        &self,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Option<Arc<Unit>> {
        match event.parent() {
            Some(parent) => self.unit_at(parent, ctx),
            None if event.is_contextual() => self.current_unit(ctx),
            None => None,
        }
    }

    #[inline]
    fn current_unit<S: SpanSubscriber>(&self, ctx: &Context<'_, S>) -> Option<Arc<Unit>> {
        entered_units::current(self.sink.id, &self.sink.units, |id| self.unit_at(id, ctx))
    }
}

impl<L> Recorded<L> {
    /// Handles an event that may fire a trigger, that tail sampling may buffer, or that belongs to
    /// no buffering unit of an entered span.
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
        let unit = self.unit_of(event, &ctx);
        if may_trigger {
            self.fire_trigger(unit.as_ref(), *event.metadata().level(), &ctx);
        }
        let (unit, tag) = if passes_sink_filter {
            match self.write_or_buffer(plan.number, unit, event, &ctx) {
                Some(unit) => (unit, RecordTag::shown(plan.number)),
                None => return,
            }
        } else {
            let unit = unit.unwrap_or_else(|| Arc::clone(&self.sink.outside_unit));
            (unit, RecordTag::captured(plan.number))
        };
        if unit.passes_through() {
            // Without the trigger, this line would not be written, so it counts against
            // `max_lines_per_second`.
            self.sink.dump_limit.charge_line();
            return self.write_exempt(event, ctx);
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

    /// Writes the event. If tail sampling buffers it, returns its unit instead.
    fn write_or_buffer<S: SpanSubscriber>(
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
        match unit.tail_action(|| self.choose(threshold, event, ctx)) {
            TailAction::Write if unit.passes_through() => self.write_exempt(event, ctx.clone()),
            TailAction::Write => LineDisposition::without(forward),
            TailAction::WriteSampled { by_trace } => {
                let ratio = threshold.ratio();
                let sampled = |context: &mut EventContext| {
                    SampleRate { ratio, by_trace }.apply(context);
                    context.keep_if_sampled_out = true;
                };
                // The line is written. Only if an inner sampler drops the event, the writer puts
                // the line in the buffer.
                let tag = RecordTag::buffer_if_sampled_out(callsite).to_bits();
                LineDisposition::Buffer { unit, tag }.scope(self.sink.id, sampled, forward);
            }
            TailAction::Buffer => return Some(unit),
        }
        None
    }

    /// Decides whether tail sampling writes the events of the event's unit even without a trigger.
    fn choose<S: SpanSubscriber>(
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

    /// Writes an event of a unit after a trigger. Samplers inside the recorder do not drop it.
    fn write_exempt<S>(&self, event: &Event<'_>, ctx: Context<'_, S>)
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
    fn fire_trigger<S: SpanSubscriber>(
        &self,
        unit: Option<&Arc<Unit>>,
        level: Level,
        ctx: &Context<'_, S>,
    ) where
        L: Layer<S>,
    {
        if let Some(unit) = unit
            && let Some(trigger) = unit.trigger(Some(level))
        {
            self.dump(unit, trigger, ctx);
        }
        if level == Level::ERROR && thread::panicking() {
            self.dump(&self.sink.outside_unit, Trigger::Panic, ctx);
        }
    }

    /// Writes the header and the buffered lines of a unit, unless another thread is doing so, or
    /// the limit of lines refuses the dump. The layer receives the header as an event. When the
    /// layer writes the header, the writer takes the [`LineDisposition::Header`] and writes the
    /// buffered lines after it.
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

    /// Dumps a unit through which a panic unwinds, even if no panic hook logs.
    fn detect_panic<S: SpanSubscriber>(&self, id: &Id, ctx: &Context<'_, S>)
    where
        L: Layer<S>,
    {
        if thread::panicking()
            && let Some(unit) = self.unit_at(id, ctx)
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
        let (sink_filter, capture) = (&self.sink_filter, &self.capture);
        let passes_sink_filter = match sink_filter.visibility(&plan.sink_visibility, event, &ctx) {
            Visibility::Visible => true,
            Visibility::BelowLevel
                if capture.visibility(&plan.capture_visibility, event, &ctx)
                    == Visibility::Visible =>
            {
                false
            }
            Visibility::BelowLevel | Visibility::Off => return,
        };
        let may_trigger = *event.metadata().level() == Level::ERROR || self.must_consult_unit();
        if passes_sink_filter && !may_trigger {
            return LineDisposition::without(|| self.inner.on_event(event, ctx));
        }
        // Nearly all buffered events take this path.
        let sink = self.sink.id;
        if !may_trigger
            && event.is_contextual()
            && let Some(index) = entered_units::buffering_index(sink, &self.sink.units)
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
        let plan = &self.plan(attrs.metadata()).span;
        let outer = match attrs.parent() {
            _ if plan.is_unit => None,
            Some(parent) => self.unit_at(parent, &ctx),
            None if attrs.is_contextual() => self.current_unit(&ctx),
            None => None,
        };
        let unit = outer.unwrap_or_else(|| Unit::new(&self.sink.recorder, Some(id.clone())));
        self.sink.units.insert(id, Arc::clone(&unit));
        if let Some(trigger) = plan.trigger(|visitor| attrs.record(visitor)) {
            self.dump(&unit, trigger, &ctx);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        LineDisposition::without(|| self.inner.on_record(id, values, ctx.clone()));
        let Some(callsite) = ctx.metadata(id) else {
            return;
        };
        let plan = &self.plan(recorded_callsite(values, callsite)).span;
        if let Some(trigger) = plan.trigger(|visitor| values.record(visitor))
            && let Some(unit) = self.unit_at(id, &ctx)
        {
            self.dump(&unit, trigger, &ctx);
        }
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        entered_units::enter(self.sink.id, id);
        LineDisposition::without(|| self.inner.on_enter(id, ctx));
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        self.detect_panic(id, &ctx);
        entered_units::exit(self.sink.id, id);
        LineDisposition::without(|| self.inner.on_exit(id, ctx));
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        let unit = self.sink.units.get(&id);
        // A unit ends when its root span closes. Its other spans are closed before.
        let ending = unit.filter(|unit| unit.span() == Some(&id));
        if let Some(unit) = &ending {
            if let Some(trigger) = unit.trigger(None)
                && !unit.is_empty()
            {
                self.dump(unit, trigger, &ctx);
            }
            self.detect_panic(&id, &ctx);
        }
        LineDisposition::without(|| self.inner.on_close(id.clone(), ctx));
        self.sink.units.close(&id);
        if let Some(unit) = ending {
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
