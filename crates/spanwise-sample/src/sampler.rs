//! The sampler: its rules, and the state that its sinks share. A *sink* is a layer that the sampler
//! wraps.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use spanwise_core::{
    Clock, TargetPattern,
    internal::{
        CallsitePlans, LimiterClock, SampleDecision as Decision, SampleRate, SpanSubscriber,
        consistent_sampling::{SampleRng, Threshold},
        panic_safe,
    },
};
use tracing::Event;
use tracing_core::Metadata;
use tracing_subscriber::layer::Context as LayerContext;

use crate::{
    EventMatcher, Limit,
    limit::LimitKind,
    limiter::Limiter,
    parse::is_limit_word,
    plan::{self, Evaluation, Plan, Rule, Rules},
    sampled_sink::{SampledSink, SamplerStats},
    sink_registry::SinkRegistry,
};

/// Rules that decide which events one or more sinks keep. Cheap to clone: clones share their state.
///
/// The first rule that matches an event decides. Events that no rule matches are kept. Sinks that
/// share a sampler keep and drop the same events, and an event counts once against a limit.
///
/// ```
/// use spanwise_sample::{EventMatcher, First, Limit, Rate, Sampler};
/// use tracing::Level;
///
/// let sampler = Sampler::builder()
///     .rule(EventMatcher::field("tenant_id", "acme"), Limit::keep())
///     .rule(
///         EventMatcher::target("sqlx"),
///         Rate::per_second(5).burst(20).per_value_of("tenant_id"),
///     )
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
/// # Ok::<(), spanwise_core::ParseError>(())
/// ```
///
/// # Syntax of `LOG_SAMPLE`
///
/// The text consists of words such as `info=0.1`, separated by commas.
///
/// | before the `=` | matches |
/// | --- | --- |
/// | `error`, `warn`, `info`, `debug`, `trace` | events at exactly this level, of any target |
/// | `warning` | the same as `warn` |
/// | `fatal`, `critical` | the same as `error` |
/// | `shop::cache` | events of this target and of its submodules, except ERROR and WARN |
/// | `trade::` | events of the target `trade`. The `::` is for a target that looks like a misspelled level |
///
/// | after the `=` | keeps |
/// | --- | --- |
/// | `0.1` | a [ratio](crate::Limit::ratio) of 0.1 |
/// | `5/s`, `100/m`, `5/10s` | a [rate](crate::Rate): 5 per second at each callsite |
/// | `5/s/20` | 5 per second, with bursts of 20 |
/// | `5/s@tenant_id` | 5 per second for each value of `tenant_id` |
/// | `first:10` | the [first](crate::First) 10 in each second at each callsite |
/// | `first:10/100` | the first 10 in each second, and then every 100th |
/// | `first:10/100/m`, `first:10/m` | the first 10 in each minute, with and without every 100th after them |
///
/// The order of the words does not matter. As with `RUST_LOG`, the most specific word wins. A
/// target wins over a level, and a longer target wins over a shorter one.
#[derive(Clone)]
pub struct Sampler(Arc<Inner>);

/// A weak reference from a sink to its sampler, so that the sink does not keep the sampler alive.
#[derive(Debug)]
pub(crate) struct WeakSampler(Weak<Inner>);

impl WeakSampler {
    /// Removes a sink that is being dropped.
    pub(crate) fn remove(&self, sink: &SampledSink) {
        if let Some(inner) = self.0.upgrade() {
            inner.sinks.remove(sink);
        }
    }
}

struct Inner {
    rules: Vec<Rule>,
    plans: CallsitePlans<Plan>,
    random: SampleRng,
    clock: LimiterClock,
    sinks: SinkRegistry,
}

impl Sampler {
    /// Creates a builder of a sampler without rules, which keeps all events.
    pub fn builder() -> SamplerBuilder {
        SamplerBuilder::default()
    }

    /// Emits all pending summaries now. Any thread may call this method. Call it at the end of the
    /// program, before the outputs are flushed.
    ///
    /// Without this call, a summary is emitted when its period is over and the next event arrives.
    /// A summary from this call goes through the dispatcher, so layers without a sampler see it
    /// too. If a sink panics, its summaries are lost.
    pub fn emit_summaries(&self) {
        // No lock is held during the call, because a sink may run any code.
        for sink in self.0.sinks.live_sinks() {
            // The thread may be unwinding already. A second panic would abort the process.
            let _ = panic_safe::catch_panic(|| sink.emit_summaries());
        }
    }

    /// Returns the counts of the events that reached the sinks, including sinks that were dropped.
    /// An event that reached two sinks counts twice.
    #[must_use]
    pub fn stats(&self) -> SamplerStats {
        self.0.sinks.stats()
    }

    /// Returns the names of the fields in the rules, so that callers can check their spelling.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.0.rules.iter().flat_map(|rule| {
            let key = match &rule.limit.0 {
                LimitKind::Rate(rate) => rate.key.as_deref(),
                LimitKind::Keep | LimitKind::Ratio(_) | LimitKind::First(_) => None,
            };
            let fields = rule.matcher.fields.iter();
            fields.map(|(name, _)| name.as_str()).chain(key)
        })
    }

    /// Returns the targets in the rules that are probably meant as a limit, such as `ratio`, so
    /// that callers can warn of them. The rule `ratio=0.1` applies only to events with the target
    /// `ratio`.
    #[doc(hidden)]
    pub fn suspect_targets(&self) -> impl Iterator<Item = &str> {
        let targets = self.0.rules.iter().filter_map(|rule| {
            let target = rule.matcher.target.as_ref();
            target.map(TargetPattern::as_str)
        });
        targets.filter(|target| is_limit_word(target))
    }

    /// Adds a sink, and returns its state.
    pub(crate) fn add_sink(&self) -> Arc<SampledSink> {
        let sampler = WeakSampler(Arc::downgrade(&self.0));
        self.0.sinks.add(self.0.clock.clone(), sampler)
    }

    /// Returns the plan of a callsite.
    #[inline]
    pub(crate) fn plan(&self, callsite: &'static Metadata<'static>) -> &Plan {
        let inner = &*self.0;
        inner
            .plans
            .get(callsite, |callsite| Plan::new(callsite, &inner.rules))
    }

    /// Decides about an event to which only a ratio applies. Returns its sample rate if the event
    /// is kept.
    #[inline]
    pub(crate) fn sample_rate<S: SpanSubscriber>(
        &self,
        threshold: Threshold,
        event: &Event<'_>,
        ctx: &LayerContext<'_, S>,
        sink: &SampledSink,
    ) -> Option<SampleRate> {
        if self.0.sinks.has_several() {
            return self.shared_sample_rate(threshold, event, ctx, sink);
        }
        plan::sample_by_trace(event, ctx, sink, threshold, &self.0.random)
    }

    #[inline(never)] // Inlining it would cost a sampler with one sink 3 instructions per event.
    fn shared_sample_rate<S: SpanSubscriber>(
        &self,
        threshold: Threshold,
        event: &Event<'_>,
        ctx: &LayerContext<'_, S>,
        sink: &SampledSink,
    ) -> Option<SampleRate> {
        let decide = || {
            let rate = plan::sample_by_trace(event, ctx, sink, threshold, &self.0.random);
            rate.map_or(Decision::SampledOut, Decision::KeepWithRatio)
        };
        match Decision::cached(self.address(), event.metadata(), sink.bit(), decide) {
            Decision::KeepWithRatio(rate) => Some(rate),
            _ => None,
        }
    }

    /// Decides about an event to which only a limit of its callsite applies.
    #[inline]
    pub(crate) fn decide_by_limit(
        &self,
        limiter: &Limiter,
        event: &Event<'_>,
        sink: &SampledSink,
    ) -> Decision {
        self.shared_decision(event, sink, || limiter.decide(&self.0.clock))
    }

    /// Decides about an event that rules with conditions may match.
    pub(crate) fn decide_by_rules<S: SpanSubscriber>(
        &self,
        rules: &Rules,
        event: &Event<'_>,
        ctx: &LayerContext<'_, S>,
        sink: &SampledSink,
    ) -> Decision {
        let inner = &*self.0;
        self.shared_decision(event, sink, || {
            let evaluation = Evaluation::new(event, ctx, sink);
            rules.decide(&inner.rules, &evaluation, &inner.random, &inner.clock)
        })
    }

    /// Returns the decision about an event, which all sinks share. Calls `decide` for the first
    /// sink.
    #[inline]
    fn shared_decision(
        &self,
        event: &Event<'_>,
        sink: &SampledSink,
        decide: impl FnOnce() -> Decision,
    ) -> Decision {
        if self.0.sinks.has_several() {
            Decision::cached(self.address(), event.metadata(), sink.bit(), decide)
        } else {
            decide()
        }
    }

    /// Forgets the decision about the previous event of the callsite, because a new event begins.
    #[inline]
    pub(crate) fn begin_event(&self, event: &Event<'_>) {
        if self.0.sinks.has_several() {
            Decision::forget(self.address(), event.metadata());
        }
    }

    /// Returns an address that identifies the sampler.
    fn address(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }
}

/// Writes the rules in the order in which they apply, in the syntax of `LOG_SAMPLE`. Conditions
/// that the syntax cannot express are in brackets.
impl fmt::Display for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for rule in &self.0.rules {
            write!(f, "{comma}{}={}", rule.matcher, rule.limit)?;
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

/// Builds a [`Sampler`].
#[derive(Debug, Default)]
#[must_use = "nothing is sampled until the sampler is built and given to a layer"]
pub struct SamplerBuilder {
    rules: Vec<Rule>,
    clock: Clock,
    seed: Option<u64>,
}

impl SamplerBuilder {
    /// Adds a rule. Rules are tried in the order in which they were added.
    pub fn rule(mut self, matcher: EventMatcher, limit: impl Into<Limit>) -> Self {
        self.rules.push(Rule::new(matcher, limit.into()));
        self
    }

    /// Sets the clock. Defaults to [`Clock::system`].
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the seed of random decisions, for tests. Defaults to a random seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Builds the sampler.
    #[must_use]
    pub fn build(self) -> Sampler {
        Sampler(Arc::new(Inner {
            rules: self.rules,
            plans: CallsitePlans::default(),
            random: self.seed.map(SampleRng::seeded).unwrap_or_default(),
            clock: LimiterClock::new(self.clock),
            sinks: SinkRegistry::default(),
        }))
    }
}
