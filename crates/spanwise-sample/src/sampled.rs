//! A layer that gets fewer events.

use std::{any::TypeId, sync::Arc};

use spanwise_core::{
    EventContext, Fault, SelfReport, forward, forward_downcast, internal::FilterInterop,
};
use tracing::{Dispatch, Event, Subscriber};
use tracing_core::span::{Id, Record};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use crate::{
    Sampler,
    meter::Verdict,
    plan::Plan,
    recorder,
    seat::{SamplerStats, Seat},
    share::Share,
    summary, unit,
};

/// A layer that sees only the events that its [`Sampler`] keeps. Made by [`SampleExt::sampled`](crate::SampleExt::sampled).
///
/// Spans all pass, since they carry the context of the events that do. What is told besides:
///
/// * A kept event that stands for others says so: `sample_rate` 0.01 is one of a hundred. Layers that know
///   [`EventContext`] show it, as ours do.
/// * What a [`rate`](crate::rate) or [`first`](crate::first) held back, or a [`ratio`](crate::ratio) of 0, and no `sample_rate` stands for, is told in one event, *events suppressed*, with
///   the fields `suppressed` (how many), `callsite` (file and line), `first` and `last` (times), and of a
///   rate for each value of a field that field: of the first eight values at a callsite each has a summary of its own, the others have one together,
///   as have values of more than 1,000 bytes. It has the level and the target of the
///   events it is about. It is told once a period (a tick of `first`; of `rate` the time it is for, at least a second) per callsite: with the next
///   event that reaches the layer after it, or by [`Sampler::flush`]; of a ratio of 0 by that alone.
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
    seat: Arc<Seat>,
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
            seat: sampler.seat(),
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
                self.hand_on(event, ctx, share);
            }
            Verdict::StandsFor { others, .. } => {
                self.seat.kept();
                match self.seat.stands_for(event.metadata(), others) {
                    0 => self.inner.on_event(event, ctx),
                    others => self.hand_on(event, ctx, one_of(others + 1)),
                }
            }
            Verdict::SampledOut => self.seat.sampled_out(),
            Verdict::HeldBack { now, until, key } => self.hold_back(event, &ctx, now, until, key),
        }
    }

    /// Counts an event that a limit holds back.
    #[inline]
    fn hold_back<S>(&self, event: &Event<'_>, ctx: &Context<'_, S>, now: u64, until: u64, key: u64)
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        if key == 0 {
            self.seat.held_back(event.metadata(), now, until);
        } else {
            self.hold_back_of(event, ctx, now, until, key);
        }
    }

    #[inline(never)]
    fn hold_back_of<S>(
        &self,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
        now: u64,
        until: u64,
        key: u64,
    ) where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let owner = || self.sampler.owner(event, ctx, &self.seat);
        let callsite = event.metadata();
        self.seat.held_back_of(callsite, now, until, key, owner);
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
        let hand_on = |share: Option<Share>| {
            let change = |again: &mut EventContext| {
                *again = said;
                if let Some(share) = share {
                    share.say(again);
                }
            };
            EventContext::scope(change, || self.inner.on_event(event, ctx.clone()));
        };
        if said.whole || said.tells {
            return hand_on(None);
        }
        let verdict = match self.sampler.plan(event.metadata()) {
            Plan::Keep | Plan::Summary => Verdict::Keep,
            Plan::Ratio(threshold) => {
                let share = self.sampler.share(*threshold, event, ctx, &self.seat);
                share.map_or(Verdict::SampledOut, Verdict::Share)
            }
            Plan::Limit(meter) => self.sampler.limit(meter, event, &self.seat),
            Plan::Rules(rules) => self.sampler.verdict(rules, event, ctx, &self.seat),
        };
        self.tell_due(verdict.time(), ctx);
        let share = match verdict {
            Verdict::Keep => None,
            Verdict::Share(share) => Some(share),
            Verdict::StandsFor { others, .. } => {
                let others = self.seat.stands_for(event.metadata(), others);
                (others > 0).then(|| one_of(others + 1))
            }
            Verdict::SampledOut | Verdict::HeldBack { .. } => {
                if let Verdict::HeldBack { now, until, key } = verdict {
                    self.hold_back(event, ctx, now, until, key);
                } else {
                    self.seat.sampled_out();
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
        self.seat.kept();
        hand_on(share.filter(|_| !said.buffered));
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
                summary.with_event(|event| self.tell(event, ctx.clone()));
            }
        }
    }

    /// Hands on an event that stands for others too.
    fn hand_on<S>(&self, event: &Event<'_>, ctx: Context<'_, S>, share: Share)
    where
        S: Subscriber,
        L: Layer<S>,
    {
        let hand_on = || self.inner.on_event(event, ctx);
        EventContext::scope(|said| share.say(said), hand_on);
    }

    /// Hands on a summary. What is said of the event that is at hand, and what becomes of its line, is not said of it.
    fn tell<S>(&self, summary: &Event<'_>, ctx: Context<'_, S>)
    where
        S: Subscriber,
        L: Layer<S>,
    {
        let change = |said: &mut EventContext| {
            *said = EventContext::default();
            said.tells = true;
        };
        let hand_on = || self.inner.on_event(summary, ctx);
        recorder::plainly(|| EventContext::scope(change, hand_on));
    }
}

/// The share of an event that stands for so many, itself included.
fn one_of(events: u64) -> Share {
    Share {
        share: 1.0 / events as f64,
        of_traces: false,
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
        } else if FilterInterop::contains_type(&self.inner, TypeId::of::<recorder::Shared>()) {
            Some(AROUND_RECORDER)
        } else {
            return;
        };
        self.sampler = Sampler::builder().build();
    }

    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.inner.on_register_dispatch(dispatch);
        self.seat.reached_by(dispatch);
        if let Some(advice) = self.off {
            self.report.fault(Fault::Setup, &advice);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        self.seat.changed();
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

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        self.inner.on_close(id, ctx);
        // After what the inner layer logs, which finds the span as long as it is not removed.
        self.seat.changed();
    }

    #[inline]
    fn event_enabled(&self, event: &Event<'_>, ctx: Context<'_, S>) -> bool {
        if summary::arrives_at(&self.seat, event) {
            self.tell(event, ctx);
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
                self.tell_due(None, &ctx);
                self.seat.kept();
                self.inner.on_event(event, ctx);
            }
            Plan::Ratio(threshold) => {
                self.tell_due(None, &ctx);
                match self.sampler.share(*threshold, event, &ctx, &self.seat) {
                    Some(share) => {
                        self.seat.kept();
                        self.hand_on(event, ctx, share);
                    }
                    None => self.seat.sampled_out(),
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
                self.tell(event, ctx);
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

const AROUND_FILTER: &str = "a layer is not sampled, for it has a filter inside: write `layer.sampled(…).with_filter(…)`, the filter last";
const AROUND_RECORDER: &str = "a layer is not sampled, for it has a recorder inside: write `recorder.sink(writer, levels, |writer| layer.with_writer(writer).sampled(…))`, the sampler inside";
