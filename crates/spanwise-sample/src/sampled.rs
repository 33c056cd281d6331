//! A layer that gets fewer events.

use std::sync::Arc;

use spanwise_core::{
    Annotations, CallsitePlans, Emission, EmissionCache, Fault, Neighbours, SelfReport, forward,
    forward_downcast,
};
use tracing::{Dispatch, Event, Subscriber};
use tracing_core::span::{Id, Record};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use crate::{
    Sampler,
    meter::Verdict,
    plan::Plan,
    seat::{SamplerStats, Seat},
    summary, unit,
};

/// A layer that sees only the events that its [`Sampler`] keeps. Made by [`SampleExt::sampled`](crate::SampleExt::sampled).
///
/// Spans all pass, since they carry the context of the events that do. What is told besides:
///
/// * A kept event that stands for others says so: `sample_rate` 0.01 is one of a hundred. Layers that know
///   [`Annotations`] show it, as ours do.
/// * What a [`rate`](crate::rate) or [`first`](crate::first) held back, and no `sample_rate` stands for, is told in one event, *events suppressed*, with
///   the fields `suppressed` (how many), `callsite` (file and line), `first` and `last` (times). It has the level and the target of the
///   events it is about. It is told once a period (a tick of `first`; of `rate` the time it is for, at least a second) per callsite: with the next
///   event that reaches the layer after it, or by [`Sampler::flush`].
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
#[derive(Debug)]
pub struct Sampled<L> {
    inner: L,
    sampler: Sampler,
    seat: Arc<Seat>,
    report: SelfReport,
    /// If a recorder inside keeps what this does not show.
    emission: Option<Emission>,
    emissions: CallsitePlans<EmissionCache>,
    /// There is a filter inside: the sampler is one that keeps everything.
    is_off: bool,
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
            seat: sampler.seat(),
            sampler,
            report: SelfReport::default(),
            emission: None,
            emissions: CallsitePlans::default(),
            is_off: false,
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

    /// Samples only what `emission` shows: the rest is what a recorder inside keeps, which is to be whole.
    #[must_use]
    pub fn among(mut self, emission: impl Into<Emission>) -> Self {
        self.emission = Some(emission.into());
        self
    }

    /// Whether the event is none of those that are sampled.
    #[inline]
    fn is_kept_inside<S: Subscriber>(&self, event: &Event<'_>, ctx: &Context<'_, S>) -> bool {
        let Some(emission) = &self.emission else {
            return false;
        };
        let cache = self
            .emissions
            .get(event.metadata(), |_| EmissionCache::default());
        emission.verdict(cache, event, ctx) != spanwise_core::Verdict::Emit
            && !summary::is_summary(event.metadata())
    }

    /// What became of the events that reached this layer.
    #[must_use]
    pub fn stats(&self) -> SamplerStats {
        self.seat.stats()
    }

    /// Does what was said of an event.
    #[inline]
    fn follow<S>(&self, verdict: Verdict, event: &Event<'_>, ctx: Context<'_, S>)
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
        L: Layer<S>,
    {
        self.tell_due(verdict.time(), &ctx);
        match verdict {
            Verdict::Keep => {
                self.seat.kept();
                self.inner.on_event(event, ctx);
            }
            Verdict::Share(share) => {
                self.seat.kept();
                self.hand_on(event, ctx, Some(share));
            }
            Verdict::StandsFor { others, .. } => {
                self.seat.kept();
                match self.seat.stands_for(event.metadata(), others) {
                    0 => self.inner.on_event(event, ctx),
                    others => self.hand_on(event, ctx, Some(1.0 / (others as f64 + 1.0))),
                }
            }
            Verdict::SampledOut => self.seat.sampled_out(),
            Verdict::HeldBack { now, until } => self.seat.held_back(event.metadata(), now, until),
        }
    }

    /// Tells what is to be told by `now`. As long as there is nothing to tell, the clock is not read.
    #[inline]
    fn tell_due<S>(&self, now: Option<u64>, ctx: &Context<'_, S>)
    where
        S: Subscriber,
        L: Layer<S>,
    {
        if self.seat.is_owed()
            && let Some(now) = self.seat.due_time(now)
        {
            while let Some(summary) = self.seat.next_until(now) {
                summary.with_event(|event| self.hand_on(event, ctx.clone(), None));
            }
        }
    }

    /// Hands on an event that stands for others too, if it is one of a `share`.
    fn hand_on<S>(&self, event: &Event<'_>, ctx: Context<'_, S>, share: Option<f64>)
    where
        S: Subscriber,
        L: Layer<S>,
    {
        let change = |said: &mut Annotations| match share {
            // A sampler further out has taken its share already.
            Some(share) => said.sample_rate = Some(said.sample_rate.unwrap_or(1.0) * share),
            // A summary: what is said of the event that is at hand is not said of it.
            None => {
                *said = Annotations::default();
                said.tells = true;
            }
        };
        Annotations::with(change, || self.inner.on_event(event, ctx));
    }
}

impl<S, L> Layer<S> for Sampled<L>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    L: Layer<S>,
{
    forward!(inner: register_callsite, enabled, max_level_hint, on_new_span);
    forward!(inner: on_follows_from, on_close, on_id_change);
    forward_downcast!(this, id => this.inner.downcast_raw(id));

    fn on_layer(&mut self, subscriber: &mut S) {
        self.inner.on_layer(subscriber);
        self.is_off = Neighbours::has_filter(&self.inner);
        if self.is_off {
            self.sampler = Sampler::builder().build();
        }
    }

    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.inner.on_register_dispatch(dispatch);
        self.seat.reached_by(dispatch);
        if self.is_off {
            self.report.fault(Fault::Setup, &ADVICE);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        self.seat.recorded();
        self.inner.on_record(id, values, ctx);
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        unit::moved(&self.seat);
        self.inner.on_enter(id, ctx);
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        unit::moved(&self.seat);
        self.inner.on_exit(id, ctx);
    }

    #[inline]
    fn event_enabled(&self, event: &Event<'_>, ctx: Context<'_, S>) -> bool {
        if summary::arrives_at(&self.seat, event) {
            self.hand_on(event, ctx, None);
            // It is for nobody else.
            return false;
        }
        self.sampler.begin(event);
        self.inner.event_enabled(event, ctx)
    }

    #[inline]
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if self.is_kept_inside(event, &ctx) {
            return self.inner.on_event(event, ctx);
        }
        match self.sampler.plan(event.metadata()) {
            Plan::Keep => {
                self.tell_due(None, &ctx);
                self.seat.kept();
                self.inner.on_event(event, ctx);
            }
            Plan::Ratio(threshold) => {
                self.tell_due(None, &ctx);
                if self.sampler.keeps(*threshold, event, &ctx, &self.seat) {
                    self.seat.kept();
                    self.hand_on(event, ctx, Some(threshold.share()));
                } else {
                    self.seat.sampled_out();
                }
            }
            Plan::Limit(meter) => {
                let verdict = self.sampler.limit(meter, event, &self.seat);
                self.follow(verdict, event, ctx);
            }
            Plan::Rules(rules) => {
                let verdict = self.sampler.verdict(rules, event, &ctx, &self.seat);
                self.follow(verdict, event, ctx);
            }
            // It was sent here, and a layer further out did not pass on the question, so that now all get it.
            Plan::Summary if summary::arrives_at(&self.seat, event) => {
                self.hand_on(event, ctx, None);
            }
            // It is another sampler's.
            Plan::Summary => {
                self.seat.kept();
                self.inner.on_event(event, ctx);
            }
        }
    }
}

impl<L> Drop for Sampled<L> {
    fn drop(&mut self) {
        self.seat.close(&self.report);
    }
}

const ADVICE: &str = "a layer is not sampled, for it has a filter inside: write `layer.sampled(…).with_filter(…)`, the filter last";
