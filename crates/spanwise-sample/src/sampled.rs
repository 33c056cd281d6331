//! A layer that gets fewer events.

use std::{any::TypeId, sync::Arc};

use spanwise_core::{EventContext, Fault, FilterInterop, SelfReport, forward, forward_downcast};
use tracing::{Dispatch, Event, Subscriber};
use tracing_core::span::{Id, Record};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use crate::{
    Sampler,
    limiter::Decision,
    plan::Plan,
    recorder,
    share::SampleRate,
    summary,
    suppression::{SamplerStats, SinkState},
    trace_cache,
};

/// A layer that sees only the events that its [`Sampler`] keeps. Made by [`SampleExt::sampled`](crate::SampleExt::sampled).
///
/// Spans all pass, since they carry the context of the events that do. What is told besides:
///
/// * A kept event that stands for others says so: `sample_rate` 0.01 is one of a hundred. Layers that know
///   [`EventContext`] show it, as ours do.
/// * What a [`rate`](crate::Rate) or [`first`](crate::First) held back, or a [`ratio`](crate::Limit::ratio) of 0, and no `sample_rate` stands for, is told in one event, *events suppressed*, with
///   the fields `suppressed` (how many), `callsite` (file and line), `first` and `last` (times), and of a
///   rate for each value of a field that field: of the first eight values at a callsite each has a summary of its own, the others have one together,
///   as have values of more than 1,000 bytes. It has the level and the target of the
///   events it is about. It is told once a period (a tick of `first`; of `rate` the time it is for, at least a second) per callsite: with the next
///   event that reaches the layer after it, or by [`Sampler::emit_summaries`]; of a ratio of 0 by that alone.
///
/// So the events that reached the layer can be counted by what it shows: each shown one for 1 / `sample_rate`, and those that are `suppressed`.
///
/// # Order
///
/// With a filter of tracing-subscriber's, this comes first: `layer.sampled(…).with_filter(…)`. A filter inside decides about an event before it comes
/// here, and what it decided would hold for the next event if this one did not arrive. So a layer with a filter inside is not sampled, and a
/// [`Fault::Setup`] says so.
///
/// With [`redacted`](spanwise_core::LayerExt::redacted), this comes last: `layer.redacted(…).sampled(…)`. So nothing is read that is left out anyway.
///
/// With a [`Recorder`](crate::Recorder), this is inside of it: `recorder.sink(writer, levels, |writer| layer.with_writer(writer).sampled(…))`.
/// What the recorder keeps is whole then, and an error is a reason to write it though the sampler leaves it out. Around a recorder nothing is
/// sampled, and a [`Fault::Setup`] says so. The same holds for [`emitted`](spanwise_core::LayerExt::without_captured) and
/// [`leveled`](spanwise_core::LayerExt::with_levels), inside of which it counts only what is shown.
#[derive(Debug)]
pub struct Sampled<L> {
    inner: L,
    sampler: Sampler,
    sink: Arc<SinkState>,
    report: SelfReport,
    /// Why the sampler is one that keeps everything: what is inside must see all events.
    off: Option<&'static str>,
}

/// `layer.sampled(…)`: the wrapper as a method of any [`Layer`], ours or not.
///
/// It knows nothing of the subscriber the layer is for, so that the subscriber's type need not be spelled out; what is made of something that is no
/// layer is no layer either.
pub trait SampleExt: Sized {
    /// Hands this layer only the events that `sampler` keeps. See [`Sampled`].
    fn sampled(self, sampler: Sampler) -> Sampled<Self> {
        Sampled {
            inner: self,
            sink: sampler.sink(),
            sampler,
            report: SelfReport::default(),
            off: None,
        }
    }
}

impl<L> SampleExt for L {}

impl<L> Sampled<L> {
    /// Sets where it is told that the layer is not sampled, or was not told what it did not get. Default: the report of the process.
    #[must_use]
    pub fn report(mut self, report: SelfReport) -> Self {
        self.report = report;
        self
    }

    /// What became of the events that reached this layer.
    #[must_use]
    pub fn stats(&self) -> SamplerStats {
        self.sink.stats()
    }

    /// Does what was said of an event.
    #[inline]
    fn apply<S>(&self, verdict: Decision, event: &Event<'_>, ctx: Context<'_, S>)
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
        L: Layer<S>,
    {
        self.emit_due_summaries(verdict.time(), &ctx);
        match verdict {
            Decision::Keep => {
                self.sink.kept();
                self.inner.on_event(event, ctx);
            }
            Decision::KeepWithRatio(share) => {
                self.sink.kept();
                self.forward(event, ctx, share);
            }
            Decision::KeepFor { others, .. } => {
                self.sink.kept();
                match self.sink.take_represented(event.metadata(), others) {
                    0 => self.inner.on_event(event, ctx),
                    others => self.forward(event, ctx, one_of(others + 1)),
                }
            }
            Decision::SampledOut => self.sink.sampled_out(),
            Decision::Suppress { now, until, key } => self.suppress(event, &ctx, now, until, key),
        }
    }

    /// Counts an event that a limit holds back.
    #[inline]
    fn suppress<S>(&self, event: &Event<'_>, ctx: &Context<'_, S>, now: u64, until: u64, key: u64)
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        if key == 0 {
            self.sink.suppress(event.metadata(), now, until);
        } else {
            self.suppress_by_value(event, ctx, now, until, key);
        }
    }

    #[inline(never)]
    fn suppress_by_value<S>(
        &self,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
        now: u64,
        until: u64,
        key: u64,
    ) where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let owner = || self.sampler.owner(event, ctx, &self.sink);
        let callsite = event.metadata();
        self.sink
            .suppress_by_value(callsite, now, until, key, owner);
    }

    /// An event of which a wrapper further out says something.
    #[inline(never)]
    fn decide_of_said<S>(&self, event: &Event<'_>, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
        L: Layer<S>,
    {
        // A value that is read to decide may log: it is not said of that event.
        let said = EventContext::take();
        let forward = |share: Option<SampleRate>| {
            let change = |again: &mut EventContext| {
                *again = said;
                if let Some(share) = share {
                    share.say(again);
                }
            };
            EventContext::scope(change, || self.inner.on_event(event, ctx.clone()));
        };
        if said.exempt_from_sampling || said.force_emit {
            return forward(None);
        }
        let verdict = match self.sampler.plan(event.metadata()) {
            Plan::Keep | Plan::Summary => Decision::Keep,
            Plan::Ratio(threshold) => {
                let share = self.sampler.share(*threshold, event, ctx, &self.sink);
                share.map_or(Decision::SampledOut, Decision::KeepWithRatio)
            }
            Plan::Limit(meter) => self.sampler.limit(meter, event, &self.sink),
            Plan::Rules(rules) => self.sampler.verdict(rules, event, ctx, &self.sink),
        };
        self.emit_due_summaries(verdict.time(), ctx);
        let share = match verdict {
            Decision::Keep => None,
            Decision::KeepWithRatio(share) => Some(share),
            Decision::KeepFor { others, .. } => {
                let others = self.sink.take_represented(event.metadata(), others);
                (others > 0).then(|| one_of(others + 1))
            }
            Decision::SampledOut | Decision::Suppress { .. } => {
                if let Decision::Suppress { now, until, key } = verdict {
                    self.suppress(event, ctx, now, until, key);
                } else {
                    self.sink.sampled_out();
                }
                if said.buffered || recorder::keep_instead() {
                    // It is counted as left out. Should its request fail it is shown, and counts for nothing.
                    let change = |again: &mut EventContext| {
                        *again = EventContext::default();
                        again.buffered = true;
                    };
                    EventContext::scope(change, || self.inner.on_event(event, ctx.clone()));
                }
                return;
            }
        };
        self.sink.kept();
        forward(share.filter(|_| !said.buffered));
    }

    /// Tells what is to be told by `now`. As long as there is nothing to tell, the clock is not read.
    #[inline]
    fn emit_due_summaries<S>(&self, now: Option<u64>, ctx: &Context<'_, S>)
    where
        S: Subscriber,
        L: Layer<S>,
    {
        if self.sink.has_unreported()
            && let Some(now) = self.sink.due_time(now)
        {
            while let Some(summary) = self.sink.next_summary(now) {
                summary.with_event(|event| self.emit_summary(event, ctx.clone()));
            }
        }
    }

    /// Hands on an event that stands for others too.
    fn forward<S>(&self, event: &Event<'_>, ctx: Context<'_, S>, share: SampleRate)
    where
        S: Subscriber,
        L: Layer<S>,
    {
        let forward = || self.inner.on_event(event, ctx);
        EventContext::scope(|said| share.say(said), forward);
    }

    /// Hands on a summary. What is said of the event that is at hand, and what becomes of its line, is not said of it.
    fn emit_summary<S>(&self, summary: &Event<'_>, ctx: Context<'_, S>)
    where
        S: Subscriber,
        L: Layer<S>,
    {
        let change = |said: &mut EventContext| {
            *said = EventContext::default();
            said.force_emit = true;
        };
        let forward = || self.inner.on_event(summary, ctx);
        recorder::plainly(|| EventContext::scope(change, forward));
    }
}

/// The share of an event that stands for so many, itself included.
fn one_of(events: u64) -> SampleRate {
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
    forward_downcast!(this, id => this.inner.downcast_raw(id));

    fn on_layer(&mut self, subscriber: &mut S) {
        self.inner.on_layer(subscriber);
        self.off = if FilterInterop::has_filter(&self.inner) {
            Some(AROUND_FILTER)
        } else if FilterInterop::contains_type(&self.inner, TypeId::of::<recorder::RecorderState>())
        {
            Some(AROUND_RECORDER)
        } else {
            return;
        };
        self.sampler = Sampler::builder().build();
    }

    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.inner.on_register_dispatch(dispatch);
        self.sink.reached_by(dispatch);
        if let Some(advice) = self.off {
            self.report.fault(Fault::Setup, &advice);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        self.sink.changed();
        self.inner.on_record(id, values, ctx);
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        trace_cache::invalidate(&self.sink);
        self.inner.on_enter(id, ctx);
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        trace_cache::invalidate(&self.sink);
        self.inner.on_exit(id, ctx);
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        self.inner.on_close(id, ctx);
        // After what the inner layer logs, which finds the span as long as it is not removed.
        self.sink.changed();
    }

    #[inline]
    fn event_enabled(&self, event: &Event<'_>, ctx: Context<'_, S>) -> bool {
        if summary::arrives_at(&self.sink, event) {
            self.emit_summary(event, ctx);
            // It is for nobody else.
            return false;
        }
        self.sampler.begin(event);
        self.inner.event_enabled(event, ctx)
    }

    #[inline]
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if EventContext::is_set() {
            return self.decide_of_said(event, &ctx);
        }
        match self.sampler.plan(event.metadata()) {
            Plan::Keep => {
                self.emit_due_summaries(None, &ctx);
                self.sink.kept();
                self.inner.on_event(event, ctx);
            }
            Plan::Ratio(threshold) => {
                self.emit_due_summaries(None, &ctx);
                match self.sampler.share(*threshold, event, &ctx, &self.sink) {
                    Some(share) => {
                        self.sink.kept();
                        self.forward(event, ctx, share);
                    }
                    None => self.sink.sampled_out(),
                }
            }
            Plan::Limit(meter) => {
                let verdict = self.sampler.limit(meter, event, &self.sink);
                self.apply(verdict, event, ctx);
            }
            Plan::Rules(rules) => {
                let verdict = self.sampler.verdict(rules, event, &ctx, &self.sink);
                self.apply(verdict, event, ctx);
            }
            // It was sent here, and a layer further out did not pass on the question, so that now all get it.
            Plan::Summary if summary::arrives_at(&self.sink, event) => {
                self.emit_summary(event, ctx);
            }
            // It is another sampler's.
            Plan::Summary => {
                self.sink.kept();
                self.inner.on_event(event, ctx);
            }
        }
    }
}

impl<L> Drop for Sampled<L> {
    fn drop(&mut self) {
        self.sink.close(&self.report);
    }
}

const AROUND_FILTER: &str = "a layer is not sampled, for it has a filter inside: write `layer.sampled(…).with_filter(…)`, the filter last";
const AROUND_RECORDER: &str = "a layer is not sampled, for it has a recorder inside: write `recorder.sink(writer, levels, |writer| layer.with_writer(writer).sampled(…))`, the sampler inside";
