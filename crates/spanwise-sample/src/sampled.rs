//! The wrapper that forwards only the events that a sampler keeps.

use std::{any::TypeId, ptr, sync::Arc};

use spanwise_core::{
    EventContext, Fault, SelfReport, forward, forward_downcast,
    internal::{
        DispatchedSummary, FilterInterop, MustSeeAllEvents, SampleDecision as Decision, SampleRate,
        SinkMask, SpanSubscriber,
    },
};
use tracing::{Dispatch, Event, Subscriber};
use tracing_core::span::{Id, Record};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use crate::{
    Sampler,
    plan::Plan,
    sampled_sink::{SampledSink, SamplerStats},
};

/// Forwards an event to the inner layer only if its [`Sampler`] keeps the event. Created by
/// [`SampleExt::sampled`](crate::SampleExt::sampled).
///
/// All spans are forwarded, because they carry the context of the kept events. The output also
/// accounts for the dropped events:
///
/// * A kept event that represents dropped events has a `sample_rate`. For example, 0.01 means one
///   event in a hundred. Layers that read [`EventContext`] show it, such as the layers of spanwise.
/// * A summary event, `events suppressed`, reports the events that a [`Rate`](crate::Rate), a
///   [`First`](crate::First) or a ratio of 0 dropped. Events that
///   [`First::then_every`](crate::First::then_every) already accounts for in the `sample_rate` of a
///   kept event are not counted again. The summary has the target `spanwise::sampler` and the level
///   of the dropped events. Its fields are `suppressed` (how many), `suppressed_target`, `callsite`
///   (file and line), `first` and `last` (times).
///
/// There is one summary per callsite and period. The period is that of the `First` or the `Rate`,
/// and at least one second for a `Rate`. The layer emits the summary before the next event after
/// the period. [`Sampler::emit_summaries`] emits it at once. For a ratio of 0, summaries are
/// emitted only by this call.
///
/// So the output shows how many events reached the layer. Each event counts as 1 / `sample_rate`,
/// and each summary as `suppressed`.
///
/// # Order
///
/// * With a filter of tracing-subscriber: `layer.sampled(…).with_filter(…)`. An inner filter stores
///   its decision about an event until it receives the event. If the sampler dropped the event, the
///   filter would apply the decision to the next event. So sampling is off for a layer that
///   contains a filter: it receives every event, and a [`Fault::Setup`] reports this.
/// * With [`redacted`](spanwise_core::LayerExt::redacted): `layer.redacted(…).sampled(…)`. In this
///   order, dropped events are not redacted.
/// * With a recorder, the sampler is inside: `|writer| layer.with_writer(writer).sampled(…)` is the
///   last argument of `Recorder::sink`. The recorder receives each event before the sampler may
///   drop it. So its dumps are complete, and an error that the sampler drops still triggers a dump.
///   Sampling is off for a layer that contains a recorder: it receives every event, and a
///   [`Fault::Setup`] reports this.
/// * With [`without_captured`](spanwise_core::LayerExt::without_captured) and
///   [`with_levels`](spanwise_core::LayerExt::with_levels): `layer.sampled(…).with_levels(…)`. In
///   this order, the sampler counts only events that are shown.
#[derive(Debug)]
pub struct Sampled<L> {
    inner: L,
    sampler: Sampler,
    sink: Arc<SampledSink>,
    /// Whether the inner layer contains another sampler.
    has_inner_sampler: bool,
    /// The message that reports why sampling is off. Set if the inner layer must receive all
    /// events.
    why_disabled: Option<&'static str>,
}

/// The result of counting an event by the decision of the sampler.
enum CountedEvent {
    Dropped,
    /// The event represents only itself.
    Kept,
    /// The event also represents dropped events.
    KeptAtRate(SampleRate),
}

/// Adds the method `layer.sampled(…)` to every [`Layer`].
///
/// The trait has no parameter for the subscriber, so callers need no type annotation. The result is
/// a layer if the wrapped type is a layer.
pub trait SampleExt: Sized {
    /// Forwards only the events that `sampler` keeps. See [`Sampled`].
    fn sampled(self, sampler: Sampler) -> Sampled<Self> {
        Sampled {
            inner: self,
            sink: sampler.add_sink(),
            sampler,
            has_inner_sampler: false,
            why_disabled: None,
        }
    }
}

impl<L> SampleExt for L {}

impl<L> Sampled<L> {
    /// Sets where faults are reported. Two faults are reported: sampling is off (see
    /// [*Order*](Self#order)), or no summary reports suppressed events, because the layer was
    /// dropped or the summary did not reach it. Defaults to the process-wide [`SelfReport`].
    #[must_use]
    pub fn report(self, report: SelfReport) -> Self {
        self.sink.set_report(report);
        self
    }

    /// Returns the counts of the events that reached this layer. See [`SamplerStats`].
    #[must_use]
    pub fn stats(&self) -> SamplerStats {
        self.sink.stats()
    }

    /// Forwards or drops an event according to the decision.
    #[inline]
    fn apply<S: SpanSubscriber>(&self, decision: Decision, event: &Event<'_>, ctx: Context<'_, S>)
    where
        L: Layer<S>,
    {
        match self.emit_due_and_count(decision, event, &ctx) {
            CountedEvent::KeptAtRate(rate) => self.forward_with_rate(event, ctx, rate),
            CountedEvent::Kept => self.inner.on_event(event, ctx),
            CountedEvent::Dropped => {}
        }
    }

    /// Emits the summaries that are due, and counts the event by the decision.
    #[inline]
    fn emit_due_and_count<S: Subscriber>(
        &self,
        decision: Decision,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> CountedEvent
    where
        L: Layer<S>,
    {
        self.emit_due_summaries(decision.time(), ctx);
        let counted = match decision {
            Decision::Keep => CountedEvent::Kept,
            Decision::KeepWithRatio(rate) => CountedEvent::KeptAtRate(rate),
            Decision::KeepRepresenting { suppressed, .. } => {
                match self.sink.represent(event.metadata(), suppressed) {
                    0 => CountedEvent::Kept,
                    represented => CountedEvent::KeptAtRate(rate_of_one_in(represented + 1)),
                }
            }
            Decision::SampledOut => {
                self.sink.sampled_out.count();
                return CountedEvent::Dropped;
            }
            Decision::Suppress { now, summary_due } => {
                self.sink.suppress(event.metadata(), now, summary_due);
                return CountedEvent::Dropped;
            }
        };
        self.sink.kept.count();
        counted
    }

    /// Handles an event whose [`EventContext`] was set by an outer wrapper.
    #[inline(never)] // Keeps `on_event` small.
    fn on_event_in_context<S: SpanSubscriber>(&self, event: &Event<'_>, ctx: &Context<'_, S>)
    where
        L: Layer<S>,
    {
        let plan = self.sampler.plan(event.metadata());
        if let Plan::Summary = plan {
            return self.on_summary(event, ctx.clone());
        }
        // Takes the context first, because the decision may format a value that logs another event.
        // The other event must not have this context.
        let context = EventContext::take();
        let forward = |rate: Option<SampleRate>| {
            let change = |inner: &mut EventContext| {
                *inner = context;
                if let Some(rate) = rate {
                    rate.apply(inner);
                }
            };
            EventContext::scope(change, || self.inner.on_event(event, ctx.clone()));
        };
        if context.exempt_from_sampling || context.force_emit {
            return forward(None);
        }
        let decision = self.decide(plan, event, ctx);
        match self.emit_due_and_count(decision, event, ctx) {
            // A buffered line has no rate, because a dump writes all buffered lines.
            CountedEvent::KeptAtRate(rate) if !context.buffered => forward(Some(rate)),
            CountedEvent::Kept | CountedEvent::KeptAtRate(_) => forward(None),
            // An outer recorder may still buffer the event.
            CountedEvent::Dropped => {
                context.forward_sampled_out(|| self.inner.on_event(event, ctx.clone()));
            }
        }
    }

    fn decide<S: SpanSubscriber>(
        &self,
        plan: &Plan,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Decision {
        match plan {
            Plan::Keep | Plan::Summary => Decision::Keep,
            Plan::Ratio(threshold) => {
                let rate = self.sampler.sample_rate(*threshold, event, ctx, &self.sink);
                rate.map_or(Decision::SampledOut, Decision::KeepWithRatio)
            }
            Plan::Limit(limiter) => self.sampler.decide_by_limit(limiter, event, &self.sink),
            Plan::Rules(rules) => self.sampler.decide_by_rules(rules, event, ctx, &self.sink),
        }
    }

    /// Handles a summary.
    ///
    /// A dispatched summary reaches all sinks, but belongs to one of them, which emits it. A sink
    /// that contains another sampler forwards it, because it may belong to the sink of the inner
    /// sampler. All other sinks ignore it.
    ///
    /// A summary that is not dispatched comes from an outer sampler, and is forwarded.
    fn on_summary<S: Subscriber>(&self, summary: &Event<'_>, ctx: Context<'_, S>)
    where
        L: Layer<S>,
    {
        if DispatchedSummary::take(self.sink.id) {
            self.emit_summary(summary, ctx);
        } else if !DispatchedSummary::is_current() || self.has_inner_sampler {
            self.inner.on_event(summary, ctx);
        }
    }

    /// Forwards a summary, without the [`EventContext`] of the current event.
    fn emit_summary<S: Subscriber>(&self, summary: &Event<'_>, ctx: Context<'_, S>)
    where
        L: Layer<S>,
    {
        let mut context = EventContext::default();
        context.force_emit = true;
        context.forward_new_event(|| self.inner.on_event(summary, ctx));
    }

    /// Emits the summaries that are due. `now` is the current time if the caller has read the
    /// clock. If not, the clock is read only if a summary is pending.
    ///
    /// The summaries go to the inner layer directly. A nested dispatch would overwrite the
    /// decisions of other layers' filters about the current event.
    #[inline]
    fn emit_due_summaries<S: Subscriber>(&self, now: Option<u64>, ctx: &Context<'_, S>)
    where
        L: Layer<S>,
    {
        if self.sink.has_pending_summary()
            && let Some(now) = self.sink.now_if_due(now)
        {
            // All sinks of the inner layer get the summaries, as if they were dispatched, because a
            // router may have chosen other sinks for the current event than for the dropped events.
            SinkMask::default().scope(|| {
                while let Some(summary) = self.sink.next_summary(now) {
                    summary.with_event(|event| self.emit_summary(event, ctx.clone()));
                }
            });
        }
    }

    /// Forwards an event that represents dropped events.
    #[inline]
    fn forward_with_rate<S: Subscriber>(
        &self,
        event: &Event<'_>,
        ctx: Context<'_, S>,
        rate: SampleRate,
    ) where
        L: Layer<S>,
    {
        let forward = || self.inner.on_event(event, ctx);
        EventContext::scope(|context| rate.apply(context), forward);
    }
}

/// Returns the sample rate of an event that represents this many events, including itself.
fn rate_of_one_in(events: u64) -> SampleRate {
    SampleRate {
        ratio: 1.0 / events as f64,
        by_trace: false,
    }
}

impl<S, L> Layer<S> for Sampled<L>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    L: Layer<S>,
{
    forward!(inner: register_callsite, enabled, max_level_hint, on_new_span);
    forward!(inner: on_follows_from, on_id_change);
    forward_downcast!(this, id => {
        if id == TypeId::of::<SampledSink>() {
            // Lets an outer sampler detect this layer.
            Some(ptr::from_ref(&*this.sink).cast())
        } else {
            this.inner.downcast_raw(id)
        }
    });

    fn on_layer(&mut self, subscriber: &mut S) {
        self.inner.on_layer(subscriber);
        let contains = |id| FilterInterop::contains_type(&self.inner, id);
        self.has_inner_sampler = contains(TypeId::of::<SampledSink>());
        self.why_disabled = if FilterInterop::has_filter(&self.inner) {
            Some(DISABLED_BY_FILTER)
        } else if contains(TypeId::of::<MustSeeAllEvents>()) {
            Some(DISABLED_BY_RECORDER)
        } else {
            return;
        };
        // A sampler without rules keeps every event.
        self.sampler = Sampler::builder().build();
    }

    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.inner.on_register_dispatch(dispatch);
        self.sink.set_dispatch(dispatch);
        if let Some(why) = self.why_disabled {
            self.sink.report().fault(Fault::Setup, &why);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        // The trace or request id of an entered span may have changed.
        self.sink.trace_cache.clear_on_all_threads();
        self.inner.on_record(id, values, ctx);
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        self.sink.trace_cache.clear_on_this_thread();
        self.inner.on_enter(id, ctx);
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        self.sink.trace_cache.clear_on_this_thread();
        self.inner.on_exit(id, ctx);
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        self.inner.on_close(id, ctx);
        // Runs after `on_close` of the inner layer, because events that the inner layer logs still
        // belong to the span.
        self.sink.trace_cache.clear_on_all_threads();
    }

    #[inline]
    fn event_enabled(&self, event: &Event<'_>, ctx: Context<'_, S>) -> bool {
        // Forgets the decision about the previous event.
        self.sampler.begin_event(event);
        self.inner.event_enabled(event, ctx)
    }

    #[inline]
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if EventContext::is_set() {
            return self.on_event_in_context(event, &ctx);
        }
        match self.sampler.plan(event.metadata()) {
            Plan::Keep => {
                self.emit_due_summaries(None, &ctx);
                self.sink.kept.count();
                self.inner.on_event(event, ctx);
            }
            Plan::Ratio(threshold) => {
                self.emit_due_summaries(None, &ctx);
                match self
                    .sampler
                    .sample_rate(*threshold, event, &ctx, &self.sink)
                {
                    Some(rate) => {
                        self.sink.kept.count();
                        self.forward_with_rate(event, ctx, rate);
                    }
                    None => self.sink.sampled_out.count(),
                }
            }
            Plan::Limit(limiter) => {
                let decision = self.sampler.decide_by_limit(limiter, event, &self.sink);
                self.apply(decision, event, ctx);
            }
            Plan::Rules(rules) => {
                let decision = self.sampler.decide_by_rules(rules, event, &ctx, &self.sink);
                self.apply(decision, event, ctx);
            }
            Plan::Summary => self.on_summary(event, ctx),
        }
    }
}

impl<L> Drop for Sampled<L> {
    fn drop(&mut self) {
        self.sink.close();
    }
}

const DISABLED_BY_FILTER: &str = "sampling is off for a layer that contains a filter: call \
     `with_filter` last, as in `layer.sampled(…).with_filter(…)`";
const DISABLED_BY_RECORDER: &str = "sampling is off for a layer that contains a recorder: put the \
     sampler inside, as in `recorder.sink(writer, levels, |writer| \
     layer.with_writer(writer).sampled(…))`";
