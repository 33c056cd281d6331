//! What follows from a callsite: which rules may be about its events, and what each has counted there.

use std::{
    cell::OnceCell,
    hash::{DefaultHasher, Hasher},
    ptr,
};

use spanwise_core::{CONTEXT_KEYS, Context, context, log_record};
use tracing::{Event, Subscriber};
use tracing_core::{Field, Metadata};
use tracing_subscriber::{layer::Context as LayerContext, registry::LookupSpan};

use crate::{
    EventMatcher, Limit,
    consistent_sampling::{self, SampleRng, Threshold},
    field_text,
    keys::Watched,
    limit::Kind,
    limiter::{Decision, Limiter, TokenBucket},
    limiter_clock::LimiterClock,
    lru_buckets::LruBuckets,
    owner::{self, OwnValue, Owner},
    share::SampleRate,
    summary,
    suppression::{self, SinkState},
    trace_cache,
};

/// One rule of a sampler.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) when: EventMatcher,
    pub(crate) limit: Limit,
    /// The buckets, if the limit has one a value.
    pub(crate) buckets: LruBuckets,
    /// Whether each of the [fields](EventMatcher::fields) is found, and the one of the limit.
    watched: Box<[Watched]>,
}

impl Rule {
    pub(crate) fn new(when: EventMatcher, limit: Limit) -> Self {
        let keys = when.fields.len() + 1;
        Self {
            when,
            limit,
            buckets: LruBuckets::default(),
            watched: (0..keys).map(|_| Watched::default()).collect(),
        }
    }

    fn watched_key(&self) -> &Watched {
        &self.watched[self.when.fields.len()]
    }
}

/// What is to be done about events of a callsite.
#[derive(Debug)]
pub(crate) enum Plan {
    /// All are kept.
    Keep,
    /// They are what a sampler tells a sink.
    Summary,
    /// All that counts is the request.
    Ratio(Threshold),
    /// All that counts is how many they are.
    Limit(Limiter),
    Rules(Rules),
}

/// The rules that may be about events of a callsite, in order. The last one is, if no condition is left.
#[derive(Debug)]
pub(crate) struct Rules(Box<[Candidate]>);

#[derive(Debug)]
struct Candidate {
    rule: usize,
    conditions: Box<[Condition]>,
    amount: CompiledLimit,
}

/// What has to be seen of each event.
#[derive(Debug)]
enum Condition {
    /// Of a record of the `log` crate, whose callsite is the bridge's.
    LogTarget,
    Message(Field),
    /// By its place in [`EventMatcher::fields`]; the context is asked where the callsite has no such field.
    Field(usize, Option<OwnField>),
}

/// A field of a callsite that a rule looks at.
#[derive(Debug)]
struct OwnField {
    field: Field,
    /// Whether each stack has a context key of its name.
    is_context_key: bool,
}

impl OwnField {
    fn new(callsite: &'static Metadata<'static>, name: &str) -> Option<Self> {
        Some(Self {
            field: callsite.fields().field(name)?,
            is_context_key: CONTEXT_KEYS.contains(&name),
        })
    }

    /// Whether the context may have a decided value of its name.
    #[inline]
    fn may_be_decided(&self) -> bool {
        self.is_context_key || context::has_set_another_key()
    }
}

/// How much of them is kept.
#[derive(Debug)]
enum CompiledLimit {
    All,
    Ratio(Threshold),
    Metered(Limiter),
    /// None is kept that would stand for the others.
    Nothing,
    /// A bucket for each value of the field, or of the context.
    Buckets(TokenBucket, Option<OwnField>),
}

impl Plan {
    pub(crate) fn new(callsite: &'static Metadata<'static>, rules: &[Rule]) -> Self {
        if summary::is_summary(callsite) {
            return Self::Summary;
        }
        let mut candidates = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            if let Some(conditions) = conditions(&rule.when, callsite) {
                let decides = conditions.is_empty();
                candidates.push(Candidate {
                    rule: index,
                    conditions,
                    amount: CompiledLimit::new(&rule.limit, callsite),
                });
                if decides {
                    break;
                }
            }
        }
        if candidates
            .iter()
            .all(|candidate| matches!(candidate.amount, CompiledLimit::All))
        {
            return Self::Keep;
        }
        let is_alone = matches!(candidates.as_slice(), [only] if only.conditions.is_empty());
        match candidates.pop() {
            Some(Candidate {
                amount: CompiledLimit::Ratio(threshold),
                ..
            }) if is_alone => Self::Ratio(threshold),
            Some(Candidate {
                amount: CompiledLimit::Metered(meter),
                ..
            }) if is_alone => Self::Limit(meter),
            last => {
                candidates.extend(last);
                Self::Rules(Rules(candidates.into()))
            }
        }
    }
}

impl Rules {
    /// What the first rule says that is about this event.
    pub(crate) fn verdict<S>(
        &self,
        rules: &[Rule],
        asked: &Evaluation<'_, '_, S>,
        random: &SampleRng,
        time: &LimiterClock,
    ) -> Decision
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        for candidate in &self.0 {
            let rule = &rules[candidate.rule];
            if candidate
                .conditions
                .iter()
                .all(|condition| asked.meets(condition, rule))
            {
                return candidate.amount.verdict(rule, asked, random, time);
            }
        }
        Decision::Keep
    }
}

impl Rules {
    /// Whose an event is that was held back by a bucket of a value.
    #[cold]
    pub(crate) fn owner<S>(&self, rules: &[Rule], asked: &Evaluation<'_, '_, S>) -> Option<Owner>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let decided = self.0.iter().find(|candidate| {
            let mut conditions = candidate.conditions.iter();
            conditions.all(|condition| asked.meets(condition, &rules[candidate.rule]))
        })?;
        let (CompiledLimit::Buckets(_, field), Kind::Rate(rate)) =
            (&decided.amount, &rules[decided.rule].limit.0)
        else {
            return None;
        };
        let key = owner::name_for_ever(rate.key.as_ref()?);
        let own = asked.own(field.as_ref(), key);
        let own = own.and_then(|field| field_text::own(asked.event, field, owner::MAX_VALUE_LEN));
        let value = match own {
            Some(whole) => whole?,
            None => {
                let value = asked.context().get(key)?;
                let is_told = value.len() <= owner::MAX_VALUE_LEN;
                is_told.then(|| OwnValue::Text(value.to_owned()))?
            }
        };
        Some(Owner { key, value })
    }
}

/// What is left to be seen of each event; nothing if the rule is about none of the callsite.
fn conditions(
    when: &EventMatcher,
    callsite: &'static Metadata<'static>,
) -> Option<Box<[Condition]>> {
    let mut conditions = Vec::new();
    if !when.means_level(*callsite.level()) {
        return None;
    }
    if when
        .name
        .as_ref()
        .is_some_and(|name| name != callsite.name())
    {
        return None;
    }
    if when.target.is_some() && log_record::is_log_record(callsite) {
        conditions.push(Condition::LogTarget);
    } else if !when.means_target(callsite.target()) {
        return None;
    }
    if when.message.is_some() {
        conditions.push(Condition::Message(callsite.fields().field("message")?));
    }
    for (index, (key, _)) in when.fields.iter().enumerate() {
        conditions.push(Condition::Field(index, OwnField::new(callsite, key)));
    }
    Some(conditions.into())
}

impl CompiledLimit {
    fn new(limit: &Limit, callsite: &'static Metadata<'static>) -> Self {
        match &limit.0 {
            Kind::Keep => Self::All,
            Kind::Ratio(threshold) if threshold.keeps_all() => Self::All,
            Kind::Ratio(threshold) if threshold.keeps_none() => Self::Nothing,
            Kind::Ratio(threshold) => Self::Ratio(*threshold),
            Kind::Rate(rate) => match &rate.key {
                None => Self::Metered(Limiter::bucket(rate)),
                Some(key) => Self::Buckets(TokenBucket::new(rate), OwnField::new(callsite, key)),
            },
            Kind::First(first) => Self::Metered(Limiter::count(*first)),
        }
    }

    fn verdict<S>(
        &self,
        rule: &Rule,
        asked: &Evaluation<'_, '_, S>,
        random: &SampleRng,
        time: &LimiterClock,
    ) -> Decision
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        match self {
            Self::All => Decision::Keep,
            Self::Ratio(threshold) => {
                let chosen =
                    sample_by_trace(asked.event, asked.ctx, asked.sink, *threshold, random);
                chosen.map_or(Decision::SampledOut, Decision::KeepWithRatio)
            }
            Self::Metered(meter) => meter.verdict(time),
            Self::Nothing => Decision::Suppress {
                now: time.coarse(),
                until: suppression::ON_FLUSH,
                key: 0,
            },
            Self::Buckets(bucket, field) => {
                // The value is read before anything is locked, and the clock after.
                let key = asked.key(rule, field.as_ref());
                let now = bucket.time(time);
                match rule.buckets.take(key, *bucket, now) {
                    Decision::Suppress { now, until, .. } => Decision::Suppress { now, until, key },
                    kept => kept,
                }
            }
        }
    }
}

/// What an event is one of, if the request that it is part of is among the chosen; of an event outside, if it is itself.
#[inline]
pub(crate) fn sample_by_trace<S>(
    event: &Event<'_>,
    ctx: &LayerContext<'_, S>,
    sink: &SinkState,
    threshold: Threshold,
    random: &SampleRng,
) -> Option<SampleRate>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    let look_up = || consistent_sampling::randomness_from_context(&Context::of_event(event, ctx));
    let number = if event.is_contextual() {
        trace_cache::randomness(sink, look_up)
    } else {
        look_up()
    };
    let keeps = threshold.keeps(number.unwrap_or_else(|| random.next()));
    keeps.then_some(SampleRate {
        ratio: threshold.ratio(),
        by_trace: number.is_some(),
    })
}

/// An event, and its context once somebody wants it.
pub(crate) struct Evaluation<'a, 'e, S> {
    event: &'a Event<'e>,
    ctx: &'a LayerContext<'a, S>,
    sink: &'a SinkState,
    context: OnceCell<Context>,
}

impl<'a, 'e, S> Evaluation<'a, 'e, S>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    pub(crate) fn new(
        event: &'a Event<'e>,
        ctx: &'a LayerContext<'a, S>,
        sink: &'a SinkState,
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
            .get_or_init(|| Context::of_event(self.event, self.ctx))
    }

    fn meets(&self, condition: &Condition, rule: &Rule) -> bool {
        let when = &rule.when;
        match condition {
            Condition::LogTarget => {
                let target = log_record::LogRecord::of(self.event).target;
                target.is_some_and(|target| when.means_target(&target))
            }
            Condition::Message(field) => {
                let start = when.message.as_deref().unwrap_or_default();
                field_text::equals(self.event, field, start, true).unwrap_or(false)
            }
            Condition::Field(index, field) => {
                let (key, wanted) = &when.fields[*index];
                let own = self.own(field.as_ref(), key);
                let own =
                    own.and_then(|field| field_text::equals(self.event, field, wanted, false));
                let watched = &rule.watched[*index];
                match own.or_else(|| Some(self.context().get(key)? == wanted)) {
                    Some(met) => {
                        watched.found();
                        met
                    }
                    // It is right, and has no value here.
                    None if field.is_some() => false,
                    None => {
                        watched.missed(key, false, || self.keys());
                        false
                    }
                }
            }
        }
    }

    /// The event's own field, unless the context has a decided value of that name: an event does
    /// not say whose it is.
    #[inline]
    fn own<'f>(&self, field: Option<&'f OwnField>, name: &str) -> Option<&'f Field> {
        let field = field?;
        let is_decided = field.may_be_decided() && self.context().decided(name).is_some();
        (!is_decided).then_some(&field.field)
    }

    /// For the value by which `rule` tells buckets apart, at this callsite.
    fn key(&self, rule: &Rule, field: Option<&OwnField>) -> u64 {
        let mut hasher = rule.buckets.hasher();
        hasher.write_usize(ptr::from_ref(self.event.metadata()) as usize);
        let own = field.filter(|field| !field.may_be_decided());
        if own.is_some_and(|own| field_text::hash(self.event, &own.field, &mut hasher)) {
            rule.watched_key().found();
        } else {
            self.hash_with_context(rule, field, &mut hasher);
        }
        hasher.finish()
    }

    /// Hashes the value where the event alone does not say what it is.
    #[inline(never)]
    fn hash_with_context(&self, rule: &Rule, field: Option<&OwnField>, hasher: &mut DefaultHasher) {
        let Kind::Rate(rate) = &rule.limit.0 else {
            return;
        };
        let Some(name) = &rate.key else { return };
        let own = self.own(field, name);
        if own.is_some_and(|field| field_text::hash(self.event, field, hasher)) {
            return rule.watched_key().found();
        }
        match self.context().get(name) {
            Some(value) => {
                rule.watched_key().found();
                field_text::hash_text(value, hasher);
            }
            // It is right, and has no value here.
            None if field.is_some() => {}
            None => rule.watched_key().missed(name, true, || self.keys()),
        }
    }

    /// What the event has values of.
    fn keys(&self) -> impl Iterator<Item = &str> {
        let own = self.event.metadata().fields().iter();
        own.map(|field| field.name())
            .chain(self.context().iter().map(|(key, _)| key))
    }
}
