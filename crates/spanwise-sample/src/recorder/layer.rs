//! [`Recorded`]: which events are shown, which are kept, and when what was kept is shown.

use std::{
    any::TypeId,
    fmt, ptr,
    sync::{Arc, atomic::Ordering},
    thread,
};

use spanwise_core::{
    CallsitePlans, Context as SpanContext, EventContext, SinkFilter, Visibility, VisibilityCache,
    context::recorded_callsite, forward, forward_downcast,
};
use tracing::{Event, Subscriber};
use tracing_core::{
    Level, Metadata,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::{
    header,
    line::{self, Line},
    local,
    recorder_state::{RecorderState, SinkState},
    trigger::{SpanPlan, Trigger},
    unit::{RecordTag, TailDecision, Unit},
};
use crate::{consistent_sampling, share::SampleRate};

/// A layer that writes lines, behind a [`Recorder`](super::Recorder). Made by [`Recorder::sink`](super::Recorder::sink).
pub struct Recorded<L> {
    inner: L,
    sink: Arc<SinkState>,
    sink_filter: SinkFilter,
    capture: SinkFilter,
    plans: CallsitePlans<Plan>,
}

/// What follows from a callsite.
#[derive(Debug)]
struct Plan {
    number: u32,
    sink_filter: VisibilityCache,
    capture: VisibilityCache,
    span: SpanPlan,
}

impl<L> Recorded<L> {
    pub(crate) fn new(inner: L, sink: Arc<SinkState>, sink_filter: SinkFilter) -> Self {
        Self {
            inner,
            sink_filter,
            capture: sink.shared.options.capture.clone().into(),
            sink,
            plans: CallsitePlans::default(),
        }
    }

    #[inline]
    fn plan(&self, callsite: &'static Metadata<'static>) -> &Plan {
        self.plans.get(callsite, |callsite| Plan {
            number: self.sink.number(callsite),
            sink_filter: VisibilityCache::default(),
            capture: VisibilityCache::default(),
            span: SpanPlan::new(callsite),
        })
    }

    /// Whether an event can end what is quiet about its unit though it is no error.
    #[inline]
    fn is_watchful(&self) -> bool {
        let shared = &self.sink.shared;
        shared.is_timed || shared.asked.load(Ordering::Acquire) > 0
    }

    /// Shows an event, unless tail sampling has it held in the unit that is returned.
    #[inline(never)]
    fn show_or_hold<S>(
        &self,
        number: u32,
        unit: Option<Arc<Unit>>,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Option<Arc<Unit>>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
        L: Layer<S>,
    {
        let shared = &self.sink.shared;
        let tail = shared.options.tail;
        let (Some(unit), Some(threshold), true) =
            (unit, tail, *event.metadata().level() >= Level::INFO)
        else {
            line::plainly(|| self.inner.on_event(event, ctx.clone()));
            return None;
        };
        let show = || line::plainly(|| self.inner.on_event(event, ctx.clone()));
        let tail_decision = unit.tail_decision(|| {
            let number =
                consistent_sampling::randomness_from_context(&SpanContext::of_event(event, ctx));
            unit.choose_by_id(number.is_some());
            threshold.keeps(number.unwrap_or_else(|| shared.random.next()))
        });
        match tail_decision {
            TailDecision::Show if unit.is_through() => whole(show),
            TailDecision::Show => show(),
            TailDecision::ShowSampled => {
                let share = SampleRate {
                    ratio: threshold.ratio(),
                    by_trace: unit.is_chosen_by_id(),
                };
                let chosen = Line::Chosen(unit, RecordTag::held(number));
                let show = || self.inner.on_event(event, ctx.clone());
                let show = || line::with(self.sink.id, chosen, show);
                EventContext::scope(|said| share.say(said), show);
            }
            TailDecision::Hold => return Some(unit),
        }
        None
    }

    /// The unit of a span, or of the nearest one above it that has one: a span opened before the layer was there has none.
    fn unit_at<S>(&self, id: &Id, ctx: &Context<'_, S>) -> Option<Arc<Unit>>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let above = || {
            ctx.span_scope(id)?
                .find_map(|span| self.sink.units.get(&span.id()))
        };
        self.sink.units.get(id).or_else(above)
    }

    #[inline]
    fn unit_of<S>(&self, event: &Event<'_>, ctx: &Context<'_, S>) -> Option<Arc<Unit>>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        match event.parent() {
            Some(parent) => self.unit_at(parent, ctx),
            None if event.is_contextual() => self.current_unit(ctx),
            None => None,
        }
    }

    #[inline]
    fn current_unit<S>(&self, ctx: &Context<'_, S>) -> Option<Arc<Unit>>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        local::current(self.sink.id, &self.sink.units, |id| self.unit_at(id, ctx))
    }

    /// Before an event: if it is a reason, or there is one already.
    fn end_quiet<S>(&self, unit: Option<&Arc<Unit>>, level: Level, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
        L: Layer<S>,
    {
        if let Some(unit) = unit
            && let Some(reason) = unit.reason(Some(level))
        {
            self.write_out(unit, reason, ctx);
        }
        if level == Level::ERROR && thread::panicking() {
            self.write_out(&self.sink.outside, Trigger::Panic, ctx);
        }
    }

    /// Writes what was kept of the unit, behind a header, unless somebody else does already.
    #[cold]
    fn write_out<S>(&self, unit: &Arc<Unit>, reason: Trigger, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
        L: Layer<S>,
    {
        let Some(batch) = unit.begin(reason, &self.sink.dumps) else {
            return;
        };
        let (records, evicted) = (batch.records, batch.evicted);
        let span = unit.span().cloned();
        header::with(span, reason, records, evicted, |event| {
            let forward = || self.inner.on_event(event, ctx.clone());
            // What was said of the event at hand is not said of this one.
            let change = |said: &mut EventContext| {
                *said = EventContext::default();
                said.force_emit = true;
            };
            EventContext::scope(change, || {
                line::with(self.sink.id, Line::Header(batch), forward)
            });
        });
    }

    /// A span that a panic unwinds through says so even where no panic hook logs.
    fn look_for_panic<S>(&self, id: &Id, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
        L: Layer<S>,
    {
        if thread::panicking()
            && let Some(unit) = self.unit_at(id, ctx)
        {
            self.write_out(&unit, Trigger::Panic, ctx);
        }
    }
}

impl<L> Recorded<L> {
    /// An event that may end what is quiet about its unit, or is to be kept in one that is not that of the current span.
    #[inline(never)]
    fn on_other_event<S>(
        &self,
        event: &Event<'_>,
        ctx: Context<'_, S>,
        plan: &Plan,
        is_shown: bool,
        may_end_quiet: bool,
    ) where
        S: Subscriber + for<'s> LookupSpan<'s>,
        L: Layer<S>,
    {
        let unit = self.unit_of(event, &ctx);
        if may_end_quiet {
            self.end_quiet(unit.as_ref(), *event.metadata().level(), &ctx);
        }
        let (unit, what) = if is_shown {
            match self.show_or_hold(plan.number, unit, event, &ctx) {
                Some(unit) => (unit, RecordTag::held(plan.number)),
                None => return,
            }
        } else {
            let unit = unit.unwrap_or_else(|| Arc::clone(&self.sink.outside));
            (unit, RecordTag::captured(plan.number))
        };
        if unit.is_through() {
            self.sink.dumps.passes();
            return whole(|| line::plainly(|| self.inner.on_event(event, ctx)));
        }
        let kept = Line::Kept(unit, what);
        // What is held for tail sampling would be shown: a sampler counts it.
        let keep = |said: &mut EventContext| {
            said.buffered = true;
            said.exempt_from_sampling |= !is_shown;
        };
        EventContext::scope(keep, || {
            line::with(self.sink.id, kept, || self.inner.on_event(event, ctx));
        });
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
        let is_shown = match self.sink_filter.visibility(&plan.sink_filter, event, &ctx) {
            Visibility::Visible => true,
            Visibility::BelowLevel
                if self.capture.visibility(&plan.capture, event, &ctx) == Visibility::Visible =>
            {
                false
            }
            Visibility::BelowLevel | Visibility::Off => return,
        };
        let may_end_quiet = *event.metadata().level() == Level::ERROR || self.is_watchful();
        if is_shown && !may_end_quiet {
            return line::plainly(|| self.inner.on_event(event, ctx));
        }
        // What nearly all that is kept comes to.
        let id = self.sink.id;
        if !may_end_quiet
            && event.is_contextual()
            && let Some(place) = local::quiet_place(id, &self.sink.units)
        {
            let what = RecordTag::captured(plan.number);
            let keep = |said: &mut EventContext| {
                said.buffered = true;
                said.exempt_from_sampling = true;
            };
            return EventContext::scope(keep, || {
                line::with_entered(id, place, what, || self.inner.on_event(event, ctx));
            });
        }
        self.on_other_event(event, ctx, plan, is_shown, may_end_quiet);
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        line::plainly(|| self.inner.on_new_span(attrs, id, ctx.clone()));
        let plan = &self.plan(attrs.metadata()).span;
        let outer = match attrs.parent() {
            _ if plan.is_unit => None,
            Some(parent) => self.unit_at(parent, &ctx),
            None if attrs.is_contextual() => self.current_unit(&ctx),
            None => None,
        };
        let unit = outer.unwrap_or_else(|| Unit::new(&self.sink.shared, Some(id.clone())));
        self.sink.units.insert(id, Arc::clone(&unit));
        if let Some(reason) = plan.reason(|visitor| attrs.record(visitor)) {
            self.write_out(&unit, reason, &ctx);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        line::plainly(|| self.inner.on_record(id, values, ctx.clone()));
        let Some(callsite) = ctx.metadata(id) else {
            return;
        };
        let plan = &self.plan(recorded_callsite(values, callsite)).span;
        if let Some(reason) = plan.reason(|visitor| values.record(visitor))
            && let Some(unit) = self.unit_at(id, &ctx)
        {
            self.write_out(&unit, reason, &ctx);
        }
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        local::enter(self.sink.id, id);
        line::plainly(|| self.inner.on_enter(id, ctx));
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        self.look_for_panic(id, &ctx);
        local::exit(self.sink.id, id);
        line::plainly(|| self.inner.on_exit(id, ctx));
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        let unit = self.sink.units.get(&id);
        // Those inside it are closed already.
        let ends = unit.filter(|unit| unit.span() == Some(&id));
        if let Some(unit) = &ends {
            if let Some(reason) = unit.reason(None)
                && unit.has_records()
            {
                self.write_out(unit, reason, &ctx);
            }
            self.look_for_panic(&id, &ctx);
        }
        line::plainly(|| self.inner.on_close(id.clone(), ctx));
        self.sink.units.close(&id);
        if let Some(unit) = ends {
            unit.end();
        }
    }

    forward!(inner: on_register_dispatch, on_layer, register_callsite, enabled, max_level_hint, event_enabled);
    forward!(inner: on_follows_from, on_id_change);
    forward_downcast!(this, id => {
        // By this, code finds the recorder of its stack.
        if id == TypeId::of::<RecorderState>() {
            Some(ptr::from_ref(&*this.sink.shared).cast())
        } else {
            this.inner.downcast_raw(id)
        }
    });
}

/// Calls `forward` with an event of a unit that failed: no sampler further in leaves it out.
fn whole(forward: impl FnOnce()) {
    EventContext::scope(|said| said.exempt_from_sampling = true, forward);
}

impl<L: fmt::Debug> fmt::Debug for Recorded<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
