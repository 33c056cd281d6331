//! What is kept: rules, and what they have counted so far.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use spanwise_core::{CallsitePlans, Clock, panic_safe};
use tracing::{Event, Subscriber};
use tracing_core::Metadata;
use tracing_subscriber::{layer::Context as LayerContext, registry::LookupSpan};

use crate::{
    EventMatcher, Limit,
    consistent_sampling::{SampleRng, Threshold},
    decision_cache,
    limiter::{Decision, Limiter},
    limiter_clock::LimiterClock,
    owner::Owner,
    plan::{self, Evaluation, Plan, Rule, Rules},
    share::SampleRate,
    sink_registry::SinkRegistry,
    suppression::{SamplerStats, SinkState},
};

/// Rules that say which events are kept, for one sink or for several. Cheap to clone; clones are the same sampler.
///
/// The first rule that is about an event decides; an event that no rule is about is kept. SinkRegistry that share a sampler keep and leave out the same
/// events: it decides once for an event, whoever asks, and an event counts once against a limit.
///
/// ```
/// use spanwise_sample::{EventMatcher, First, Limit, Rate, Sampler};
/// use tracing::Level;
///
/// let sampler = Sampler::builder()
///     .rule(EventMatcher::field("tenant_id", "acme"), Limit::keep())
///     .rule(EventMatcher::target("sqlx"), Rate::per_second(5).burst(20).per_value_of("tenant_id"))
///     .rule(EventMatcher::message("cache miss"), First::new(10).then_every(100))
///     .rule(EventMatcher::level(Level::INFO), Limit::ratio(0.1)?)
///     .build();
/// assert_eq!(
///     sampler.to_string(),
///     r#"[tenant_id="acme"]=1,sqlx=5/s/20@tenant_id,[message="cache miss"]=first:10/100,info=0.1"#
/// );
///
/// let from_a_setting: Sampler = "info=0.1,shop::cache=0.01,sqlx=5/s".parse()?;
/// # let _ = from_a_setting;
/// # Ok::<(), spanwise_sample::SampleError>(())
/// ```
///
/// # As text
///
/// What `LOG_SAMPLE` takes: words such as `info=0.1`, joined by commas.
///
/// | before the `=` | |
/// | --- | --- |
/// | `error`, `warn`, `info`, `debug`, `trace` | events at exactly this level |
/// | `warning`, `fatal`, `critical` | the same as `warn`, `error`, `error` |
/// | `shop::cache` | events of this target and of those inside it, but for ERROR and WARN |
/// | `trade::` | the same, for a target that looks like a level spelled wrong |
///
/// | after the `=` | |
/// | --- | --- |
/// | `0.1` | [`ratio`](crate::Limit::ratio)`(0.1)` |
/// | `5/s`, `100/m`, `5/10s` | [`rate`](crate::Rate): so many within that time, of each callsite |
/// | `5/s/20` | with bursts of 20 |
/// | `5/s@tenant_id` | for each value of `tenant_id` |
/// | `first:10` | [`first`](crate::First)`(10)`: the first 10 in each second, of each callsite |
/// | `first:10/100` | and then every 100th |
/// | `first:10/100/m`, `first:10/m` | in each minute |
///
/// As with `RUST_LOG`, the most specific word wins: a target before a level, a longer target before a shorter one.
#[derive(Clone)]
pub struct Sampler(Arc<Inner>);

/// For its sinks.
pub(crate) struct WeakSampler(Weak<Inner>);

impl WeakSampler {
    /// A sink is about to be dropped.
    pub(crate) fn remove(&self, sink: &SinkState) {
        if let Some(inner) = self.0.upgrade() {
            inner.sinks.remove(sink);
        }
    }
}

impl fmt::Debug for WeakSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakSampler")
    }
}

struct Inner {
    rules: Vec<Rule>,
    plans: CallsitePlans<Plan>,
    random: SampleRng,
    time: LimiterClock,
    sinks: SinkRegistry,
}

impl Sampler {
    /// A sampler without rules: it keeps everything.
    pub fn builder() -> SamplerBuilder {
        SamplerBuilder::default()
    }

    /// Tells the sinks, now, what was held back from them and not told: before the outputs are flushed at the end of a program.
    ///
    /// A summary is otherwise told when its time is over, and an event comes by: without one it would be lost with the process. It goes through the
    /// dispatcher that the sink is part of, from any thread, and takes as long as the sinks take. A sink that panics costs its own summaries.
    pub fn emit_summaries(&self) {
        // Not under a lock: a sink may be anybody's.
        for sink in self.0.sinks.live() {
            // This may be the end of a program that panics already.
            let _ = panic_safe::catch_panic(|| sink.flush());
        }
    }

    /// What became of the events that reached the sinks, also those that are gone: an event that
    /// reached two of them counts twice.
    #[must_use]
    pub fn stats(&self) -> SamplerStats {
        self.0.sinks.stats()
    }

    pub(crate) fn sink(&self) -> Arc<SinkState> {
        let sampler = WeakSampler(Arc::downgrade(&self.0));
        self.0.sinks.add(self.0.time.clone(), sampler)
    }

    #[inline]
    pub(crate) fn plan(&self, callsite: &'static Metadata<'static>) -> &Plan {
        let inner = &*self.0;
        inner
            .plans
            .get(callsite, |callsite| Plan::new(callsite, &inner.rules))
    }

    /// What an event is kept as one of that only a ratio is about.
    #[inline]
    pub(crate) fn share<S>(
        &self,
        threshold: Threshold,
        event: &Event<'_>,
        ctx: &LayerContext<'_, S>,
        sink: &SinkState,
    ) -> Option<SampleRate>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let inner = &*self.0;
        let decide = || plan::sample_by_trace(event, ctx, sink, threshold, &inner.random);
        if !inner.sinks.is_shared() {
            return decide();
        }
        let verdict = decision_cache::get_or_decide(self.id(), event.metadata(), sink, || {
            decide().map_or(Decision::SampledOut, Decision::KeepWithRatio)
        });
        match verdict {
            Decision::KeepWithRatio(share) => Some(share),
            _ => None,
        }
    }

    /// What holds for an event that only a limit of its callsite is about.
    #[inline]
    pub(crate) fn limit(&self, meter: &Limiter, event: &Event<'_>, sink: &SinkState) -> Decision {
        let inner = &*self.0;
        let decide = || meter.verdict(&inner.time);
        if inner.sinks.is_shared() {
            decision_cache::get_or_decide(self.id(), event.metadata(), sink, decide)
        } else {
            decide()
        }
    }

    /// What holds for an event with such rules, said once for all who ask.
    pub(crate) fn verdict<S>(
        &self,
        rules: &Rules,
        event: &Event<'_>,
        ctx: &LayerContext<'_, S>,
        sink: &SinkState,
    ) -> Decision
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let inner = &*self.0;
        let decide = || {
            let asked = Evaluation::new(event, ctx, sink);
            rules.verdict(&inner.rules, &asked, &inner.random, &inner.time)
        };
        if inner.sinks.is_shared() {
            decision_cache::get_or_decide(self.id(), event.metadata(), sink, decide)
        } else {
            decide()
        }
    }

    /// Whose an event is that was held back by a bucket of a value.
    #[cold]
    pub(crate) fn owner<S>(
        &self,
        event: &Event<'_>,
        ctx: &LayerContext<'_, S>,
        sink: &SinkState,
    ) -> Option<Owner>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        match self.plan(event.metadata()) {
            Plan::Rules(rules) => rules.owner(&self.0.rules, &Evaluation::new(event, ctx, sink)),
            _ => None,
        }
    }

    /// An event begins: what was said of the last one of its callsite is over.
    #[inline]
    pub(crate) fn begin(&self, event: &Event<'_>) {
        if self.0.sinks.is_shared() {
            decision_cache::clear(self.id(), event.metadata());
        }
    }

    fn id(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }
}

/// The rules, as they are asked, in the words of `LOG_SAMPLE`; what that has no words for stands in brackets.
impl fmt::Display for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for rule in &self.0.rules {
            write!(f, "{comma}{}={}", rule.when, rule.limit)?;
            comma = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sampler({self})")
    }
}

/// Builds a [`Sampler`], from code or from the text of a setting.
#[derive(Debug, Default)]
#[must_use = "nothing is sampled until the sampler is built and a layer is given it"]
pub struct SamplerBuilder {
    rules: Vec<Rule>,
    clock: Clock,
    seed: Option<u64>,
}

impl SamplerBuilder {
    /// Adds a rule. Those before it are asked first.
    pub fn rule(mut self, when: EventMatcher, limit: impl Into<Limit>) -> Self {
        self.rules.push(Rule::new(when, limit.into()));
        self
    }

    /// Sets where the time comes from. Default: the system.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Makes what is random outside of traces the same in each run: for tests.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The sampler.
    #[must_use]
    pub fn build(self) -> Sampler {
        Sampler(Arc::new(Inner {
            rules: self.rules,
            plans: CallsitePlans::default(),
            random: self.seed.map(SampleRng::seeded).unwrap_or_default(),
            time: LimiterClock::new(self.clock),
            sinks: SinkRegistry::default(),
        }))
    }
}
