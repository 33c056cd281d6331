//! The plan of a callsite: the rules that may match its events, and the state of their limits at
//! the callsite. All that depends on the callsite alone is decided once, when its first event
//! arrives.

use std::{
    cell::OnceCell,
    hash::{DefaultHasher, Hasher},
    ptr,
};

use spanwise_core::{
    CONTEXT_KEYS, Context,
    internal::{
        LimiterClock, SampleDecision as Decision, SampleRate, SpanSubscriber,
        consistent_sampling::{SampleRng, Threshold, randomness_from_context},
        log_record, may_pin_custom_keys,
    },
};
use tracing::Event;
use tracing_core::{Field, Metadata};
use tracing_subscriber::layer::Context as LayerContext;

use crate::{
    EventMatcher, Limit, field_text,
    limit::LimitKind,
    limiter::{Limiter, RateLimiter},
    lru_buckets::LruBuckets,
    sampled_sink::{self, SampledSink},
    summary,
};

/// One rule of a sampler.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) matcher: EventMatcher,
    pub(crate) limit: Limit,
    /// The buckets, used if the limit is a [`Rate`](crate::Rate) per value of a field.
    buckets: LruBuckets,
}

impl Rule {
    pub(crate) fn new(matcher: EventMatcher, limit: Limit) -> Self {
        Self {
            matcher,
            limit,
            buckets: LruBuckets::default(),
        }
    }
}

/// The procedure that decides about the events of a callsite.
#[derive(Debug)]
pub(crate) enum Plan {
    /// Keeps all events.
    Keep,
    /// Not sampled, because the events are summaries of a sampler.
    Summary,
    /// Decides by the trace or request of the event, or else at random.
    Ratio(Threshold),
    /// Decides with the token bucket or window counter of the callsite.
    Limit(Limiter),
    /// Decides by the first rule that matches the event.
    Rules(Rules),
}

/// The rules that may match events of a callsite, in order. A rule without conditions ends the
/// list, because it matches all events.
#[derive(Debug)]
pub(crate) struct Rules(Box<[CandidateRule]>);

/// A rule that may match events of a callsite.
#[derive(Debug)]
struct CandidateRule {
    /// The index of the rule in the sampler.
    rule_index: usize,
    /// The conditions that the plan could not check, because they depend on the event.
    conditions: Box<[Condition]>,
    limit: CompiledLimit,
}

/// A condition of a rule that depends on the event.
#[derive(Debug)]
enum Condition {
    /// The target of a record of the `log` crate. The event has a callsite of `tracing-log`, so the
    /// target is in its fields.
    LogTarget,
    /// The start of the message.
    Message(Field),
    /// The value of a field, by its index in [`EventMatcher::fields`]. `None` if the callsite does
    /// not have the field, so that the value comes from the context.
    Field(usize, Option<CallsiteField>),
}

/// A field of a callsite that a rule reads.
#[derive(Debug)]
struct CallsiteField {
    field: Field,
    /// Whether the name is one of the [`CONTEXT_KEYS`].
    is_context_key: bool,
}

impl CallsiteField {
    fn new(callsite: &'static Metadata<'static>, name: &str) -> Option<Self> {
        Some(Self {
            field: callsite.fields().field(name)?,
            is_context_key: CONTEXT_KEYS.contains(&name),
        })
    }

    /// Returns whether the context may have a pinned value of this name, for example from
    /// [`context::set`](spanwise_core::context::set). A pinned value overrides the field.
    #[inline]
    fn may_be_pinned(&self) -> bool {
        self.is_context_key || may_pin_custom_keys()
    }
}

/// The limit of a rule, prepared for one callsite.
#[derive(Debug)]
enum CompiledLimit {
    KeepAll,
    /// A summary reports the dropped events, because there is no kept event to represent them.
    KeepNone,
    Ratio(Threshold),
    Limiter(Limiter),
    /// One bucket for each value of a field. `None` if the callsite does not have the field, so
    /// that the value comes from the context.
    Buckets(RateLimiter, Option<CallsiteField>),
}

impl Plan {
    pub(crate) fn new(callsite: &'static Metadata<'static>, rules: &[Rule]) -> Self {
        if summary::is_summary(callsite) {
            return Self::Summary;
        }
        let mut candidates = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            if let Some(conditions) = conditions_on_event(&rule.matcher, callsite) {
                let matches_all = conditions.is_empty();
                candidates.push(CandidateRule {
                    rule_index: index,
                    conditions,
                    limit: CompiledLimit::new(&rule.limit, callsite),
                });
                if matches_all {
                    break;
                }
            }
        }
        let keeps_all =
            |candidate: &CandidateRule| matches!(candidate.limit, CompiledLimit::KeepAll);
        if candidates.iter().all(keeps_all) {
            return Self::Keep;
        }
        let is_only_rule = matches!(candidates.as_slice(), [only] if only.conditions.is_empty());
        match candidates.pop() {
            Some(CandidateRule {
                limit: CompiledLimit::Ratio(threshold),
                ..
            }) if is_only_rule => Self::Ratio(threshold),
            Some(CandidateRule {
                limit: CompiledLimit::Limiter(limiter),
                ..
            }) if is_only_rule => Self::Limit(limiter),
            last => {
                candidates.extend(last);
                Self::Rules(Rules(candidates.into()))
            }
        }
    }
}

impl Rules {
    /// Returns the decision of the first rule that matches the event.
    pub(crate) fn decide<S: SpanSubscriber>(
        &self,
        rules: &[Rule],
        evaluation: &Evaluation<'_, '_, S>,
        random: &SampleRng,
        clock: &LimiterClock,
    ) -> Decision {
        for candidate in &self.0 {
            let rule = &rules[candidate.rule_index];
            if candidate
                .conditions
                .iter()
                .all(|condition| evaluation.meets(condition, &rule.matcher))
            {
                return candidate.limit.decide(rule, evaluation, random, clock);
            }
        }
        Decision::Keep
    }
}

/// Returns the conditions that depend on the event, or `None` if no event of the callsite can
/// match.
fn conditions_on_event(
    matcher: &EventMatcher,
    callsite: &'static Metadata<'static>,
) -> Option<Box<[Condition]>> {
    let mut conditions = Vec::new();
    let name = matcher.name.as_ref();
    if !matcher.matches_level(*callsite.level()) || name.is_some_and(|name| name != callsite.name())
    {
        return None;
    }
    if matcher.target.is_some() && log_record::is_log_record(callsite) {
        conditions.push(Condition::LogTarget);
    } else if !matcher.matches_target(callsite.target()) {
        return None;
    }
    if matcher.message.is_some() {
        conditions.push(Condition::Message(callsite.fields().field("message")?));
    }
    for (index, (key, _)) in matcher.fields.iter().enumerate() {
        conditions.push(Condition::Field(index, CallsiteField::new(callsite, key)));
    }
    Some(conditions.into())
}

impl CompiledLimit {
    fn new(limit: &Limit, callsite: &'static Metadata<'static>) -> Self {
        match &limit.0 {
            LimitKind::Keep => Self::KeepAll,
            LimitKind::Ratio(threshold) if threshold.keeps_all() => Self::KeepAll,
            LimitKind::Ratio(threshold) if threshold.keeps_none() => Self::KeepNone,
            LimitKind::Ratio(threshold) => Self::Ratio(*threshold),
            LimitKind::Rate(rate) => match &rate.key {
                None => Self::Limiter(Limiter::for_rate(rate)),
                Some(key) => {
                    Self::Buckets(RateLimiter::new(rate), CallsiteField::new(callsite, key))
                }
            },
            LimitKind::First(first) => Self::Limiter(Limiter::for_first(*first)),
        }
    }

    fn decide<S: SpanSubscriber>(
        &self,
        rule: &Rule,
        evaluation: &Evaluation<'_, '_, S>,
        random: &SampleRng,
        clock: &LimiterClock,
    ) -> Decision {
        match self {
            Self::KeepAll => Decision::Keep,
            Self::KeepNone => Decision::Suppress {
                now: clock.coarse(),
                summary_due: sampled_sink::ON_REQUEST,
            },
            Self::Ratio(threshold) => {
                let Evaluation {
                    event, ctx, sink, ..
                } = evaluation;
                let rate = sample_by_trace(event, ctx, sink, *threshold, random);
                rate.map_or(Decision::SampledOut, Decision::KeepWithRatio)
            }
            Self::Limiter(limiter) => limiter.decide(clock),
            Self::Buckets(limiter, field) => {
                // Reads the value before the bucket is locked, because the `Debug` of the value may
                // log. Reads the clock last, because the `Debug` takes time.
                let key = evaluation.bucket_key(rule, field.as_ref());
                rule.buckets.take_token(key, *limiter, limiter.now(clock))
            }
        }
    }
}

/// Samples by the trace or request of the event, or else at random. Returns the sample rate if the
/// event is kept.
#[inline]
pub(crate) fn sample_by_trace<S: SpanSubscriber>(
    event: &Event<'_>,
    ctx: &LayerContext<'_, S>,
    sink: &SampledSink,
    threshold: Threshold,
    random: &SampleRng,
) -> Option<SampleRate> {
    let look_up = || randomness_from_context(&Context::from_event(event, ctx));
    // The cache has the randomness of the current span, which is the parent of contextual events.
    let randomness = if event.is_contextual() {
        sink.trace_cache.randomness(look_up)
    } else {
        look_up()
    };
    let keeps = threshold.keeps(randomness.unwrap_or_else(|| random.next()));
    keeps.then_some(SampleRate {
        ratio: threshold.ratio(),
        by_trace: randomness.is_some(),
    })
}

/// Evaluates conditions and reads values for one event. Looks up the context only if it is needed.
pub(crate) struct Evaluation<'a, 'e, S> {
    event: &'a Event<'e>,
    ctx: &'a LayerContext<'a, S>,
    sink: &'a SampledSink,
    context: OnceCell<Context>,
}

impl<'a, 'e, S: SpanSubscriber> Evaluation<'a, 'e, S> {
    pub(crate) fn new(
        event: &'a Event<'e>,
        ctx: &'a LayerContext<'a, S>,
        sink: &'a SampledSink,
    ) -> Self {
        Self {
            event,
            ctx,
            sink,
            context: OnceCell::new(),
        }
    }

    fn context(&self) -> &Context {
        self.context
            .get_or_init(|| Context::from_event(self.event, self.ctx))
    }

    fn meets(&self, condition: &Condition, matcher: &EventMatcher) -> bool {
        match condition {
            Condition::LogTarget => {
                let target = log_record::LogRecord::from_event(self.event).target;
                target.is_some_and(|target| matcher.matches_target(&target))
            }
            Condition::Message(field) => {
                let start = matcher.message.as_deref().unwrap_or_default();
                field_text::starts_with(self.event, field, start).unwrap_or(false)
            }
            Condition::Field(index, field) => {
                let (name, expected) = &matcher.fields[*index];
                let unpinned_field = self.unpinned_field(field.as_ref(), name);
                let is_equal = unpinned_field
                    .and_then(|field| field_text::equals(self.event, field, expected));
                is_equal.unwrap_or_else(|| self.context().get(name) == Some(expected))
            }
        }
    }

    /// Returns the field of the event, unless the context has a pinned value of this name, which
    /// overrides the field.
    #[inline]
    fn unpinned_field<'f>(
        &self,
        field: Option<&'f CallsiteField>,
        name: &str,
    ) -> Option<&'f Field> {
        let field = field?;
        let is_pinned = field.may_be_pinned() && self.context().pinned(name).is_some();
        (!is_pinned).then_some(&field.field)
    }

    /// Returns the key of the bucket for this callsite and the value of the rule's field.
    fn bucket_key(&self, rule: &Rule, field: Option<&CallsiteField>) -> u64 {
        let mut hasher = rule.buckets.hasher();
        hasher.write_usize(ptr::from_ref(self.event.metadata()) as usize);
        // Fast path: the value is in the event, and no pinned value can override it.
        let unpinnable = field.filter(|field| !field.may_be_pinned());
        if !unpinnable.is_some_and(|field| field_text::hash(self.event, &field.field, &mut hasher))
        {
            self.hash_with_context(rule, field, &mut hasher);
        }
        hasher.finish()
    }

    /// Hashes the value of the rule's field: a pinned value of the context, or else the value in
    /// the event, or else another value of the context.
    #[inline(never)] // Keeps `bucket_key` small.
    fn hash_with_context(
        &self,
        rule: &Rule,
        field: Option<&CallsiteField>,
        hasher: &mut DefaultHasher,
    ) {
        let LimitKind::Rate(rate) = &rule.limit.0 else {
            return;
        };
        let Some(name) = &rate.key else { return };
        let unpinned_field = self.unpinned_field(field, name);
        if unpinned_field.is_some_and(|field| field_text::hash(self.event, field, hasher)) {
            return;
        }
        if let Some(value) = self.context().get(name) {
            field_text::hash_text(value, hasher);
        }
    }
}
