//! What follows from a callsite: which rules may be about its events, and what each has counted there.

use std::{
    cell::OnceCell,
    hash::{DefaultHasher, Hasher},
    ptr,
};

use spanwise_core::{
    CONTEXT_KEYS, Context,
    internal::{has_set_custom_key, log_record},
};
use tracing::{Event, Subscriber};
use tracing_core::{Field, Metadata};
use tracing_subscriber::{layer::Context as LayerContext, registry::LookupSpan};

use crate::{
    Limit, When,
    consistent_sampling::{self, SampleRng, Threshold},
    keyed::Keyed,
    keys::Watched,
    limit::Kind,
    meter::{Bucket, Meter, Verdict},
    owner::{self, OwnValue, Owner},
    seat::{self, Seat},
    share::Share,
    summary,
    time::Time,
    unit, value,
};

/// One rule of a sampler.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) when: When,
    pub(crate) limit: Limit,
    /// The buckets, if the limit has one a value.
    pub(crate) keyed: Keyed,
    /// Whether each of the [fields](When::fields) is found, and the one of the limit.
    watched: Box<[Watched]>,
}

impl Rule {
    pub(crate) fn new(when: When, limit: Limit) -> Self {
        let keys = when.fields.len() + 1;
        Self {
            when,
            limit,
            keyed: Keyed::default(),
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
    Limit(Meter),
    Rules(Rules),
}

/// The rules that may be about events of a callsite, in order. The last one is, if no condition is left.
#[derive(Debug)]
pub(crate) struct Rules(Box<[Candidate]>);

#[derive(Debug)]
struct Candidate {
    rule: usize,
    conditions: Box<[Condition]>,
    amount: Amount,
}

/// What has to be seen of each event.
#[derive(Debug)]
enum Condition {
    /// Of a record of the `log` crate, whose callsite is the bridge's.
    LogTarget,
    Message(Field),
    /// By its place in [`When::fields`]; the context is asked where the callsite has no such field.
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
    fn of(callsite: &'static Metadata<'static>, name: &str) -> Option<Self> {
        Some(Self {
            field: callsite.fields().field(name)?,
            is_context_key: CONTEXT_KEYS.contains(&name),
        })
    }

    /// Whether the context may have a decided value of its name.
    #[inline]
    fn may_be_decided(&self) -> bool {
        self.is_context_key || has_set_custom_key()
    }
}

/// How much of them is kept.
#[derive(Debug)]
enum Amount {
    All,
    Ratio(Threshold),
    Metered(Meter),
    /// None is kept that would stand for the others.
    Nothing,
    /// A bucket for each value of the field, or of the context.
    Buckets(Bucket, Option<OwnField>),
}

impl Plan {
    pub(crate) fn of(callsite: &'static Metadata<'static>, rules: &[Rule]) -> Self {
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
                    amount: Amount::new(&rule.limit, callsite),
                });
                if decides {
                    break;
                }
            }
        }
        if candidates
            .iter()
            .all(|candidate| matches!(candidate.amount, Amount::All))
        {
            return Self::Keep;
        }
        let is_alone = matches!(candidates.as_slice(), [only] if only.conditions.is_empty());
        match candidates.pop() {
            Some(Candidate {
                amount: Amount::Ratio(threshold),
                ..
            }) if is_alone => Self::Ratio(threshold),
            Some(Candidate {
                amount: Amount::Metered(meter),
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
        asked: &Asked<'_, '_, S>,
        random: &SampleRng,
        time: &Time,
    ) -> Verdict
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
        Verdict::Keep
    }
}

impl Rules {
    /// Whose an event is that was held back by a bucket of a value.
    #[cold]
    pub(crate) fn owner<S>(&self, rules: &[Rule], asked: &Asked<'_, '_, S>) -> Option<Owner>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let decided = self.0.iter().find(|candidate| {
            let mut conditions = candidate.conditions.iter();
            conditions.all(|condition| asked.meets(condition, &rules[candidate.rule]))
        })?;
        let (Amount::Buckets(_, field), Kind::Rate(rate)) =
            (&decided.amount, &rules[decided.rule].limit.0)
        else {
            return None;
        };
        let key = owner::name_for_ever(rate.per.as_ref()?);
        let own = asked.own(field.as_ref(), key);
        let own = own.and_then(|field| value::own(asked.event, field, owner::MAX_VALUE_LEN));
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
fn conditions(when: &When, callsite: &'static Metadata<'static>) -> Option<Box<[Condition]>> {
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
        conditions.push(Condition::Field(index, OwnField::of(callsite, key)));
    }
    Some(conditions.into())
}

impl Amount {
    fn new(limit: &Limit, callsite: &'static Metadata<'static>) -> Self {
        match &limit.0 {
            Kind::Keep => Self::All,
            Kind::Ratio(threshold) if threshold.keeps_all() => Self::All,
            Kind::Ratio(threshold) if threshold.keeps_none() => Self::Nothing,
            Kind::Ratio(threshold) => Self::Ratio(*threshold),
            Kind::Rate(rate) => match &rate.per {
                None => Self::Metered(Meter::bucket(rate)),
                Some(key) => Self::Buckets(Bucket::new(rate), OwnField::of(callsite, key)),
            },
            Kind::First(first) => Self::Metered(Meter::count(*first)),
        }
    }

    fn verdict<S>(
        &self,
        rule: &Rule,
        asked: &Asked<'_, '_, S>,
        random: &SampleRng,
        time: &Time,
    ) -> Verdict
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        match self {
            Self::All => Verdict::Keep,
            Self::Ratio(threshold) => {
                let chosen = choose(asked.event, asked.ctx, asked.seat, *threshold, random);
                chosen.map_or(Verdict::SampledOut, Verdict::Share)
            }
            Self::Metered(meter) => meter.verdict(time),
            Self::Nothing => Verdict::HeldBack {
                now: time.coarse(),
                until: seat::AT_THE_END,
                key: 0,
            },
            Self::Buckets(bucket, field) => {
                // The value is read before anything is locked, and the clock after.
                let key = asked.key(rule, field.as_ref());
                let now = bucket.time(time);
                match rule.keyed.take(key, *bucket, now) {
                    Verdict::HeldBack { now, until, .. } => Verdict::HeldBack { now, until, key },
                    kept => kept,
                }
            }
        }
    }
}

/// What an event is one of, if the request that it is part of is among the chosen; of an event outside, if it is itself.
#[inline]
pub(crate) fn choose<S>(
    event: &Event<'_>,
    ctx: &LayerContext<'_, S>,
    seat: &Seat,
    threshold: Threshold,
    random: &SampleRng,
) -> Option<Share>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    let look_up = || consistent_sampling::randomness_from_context(&Context::from_event(event, ctx));
    let number = if event.is_contextual() {
        unit::number(seat, look_up)
    } else {
        look_up()
    };
    let keeps = threshold.keeps(number.unwrap_or_else(|| random.next()));
    keeps.then_some(Share {
        share: threshold.ratio(),
        of_traces: number.is_some(),
    })
}

/// An event, and its context once somebody wants it.
pub(crate) struct Asked<'a, 'e, S> {
    event: &'a Event<'e>,
    ctx: &'a LayerContext<'a, S>,
    seat: &'a Seat,
    context: OnceCell<Context>,
}

impl<'a, 'e, S> Asked<'a, 'e, S>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    pub(crate) fn new(event: &'a Event<'e>, ctx: &'a LayerContext<'a, S>, seat: &'a Seat) -> Self {
        Self {
            event,
            ctx,
            seat,
            context: OnceCell::new(),
        }
    }

    fn context(&self) -> &Context {
        self.context
            .get_or_init(|| Context::from_event(self.event, self.ctx))
    }

    fn meets(&self, condition: &Condition, rule: &Rule) -> bool {
        let when = &rule.when;
        match condition {
            Condition::LogTarget => {
                let target = log_record::LogRecord::from_event(self.event).target;
                target.is_some_and(|target| when.means_target(&target))
            }
            Condition::Message(field) => {
                let start = when.message.as_deref().unwrap_or_default();
                value::equals(self.event, field, start, true).unwrap_or(false)
            }
            Condition::Field(index, field) => {
                let (key, wanted) = &when.fields[*index];
                let own = self.own(field.as_ref(), key);
                let own = own.and_then(|field| value::equals(self.event, field, wanted, false));
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
        let is_decided = field.may_be_decided() && self.context().pinned(name).is_some();
        (!is_decided).then_some(&field.field)
    }

    /// For the value by which `rule` tells buckets apart, at this callsite.
    fn key(&self, rule: &Rule, field: Option<&OwnField>) -> u64 {
        let mut hasher = rule.keyed.hasher();
        hasher.write_usize(ptr::from_ref(self.event.metadata()) as usize);
        let own = field.filter(|field| !field.may_be_decided());
        if own.is_some_and(|own| value::hash(self.event, &own.field, &mut hasher)) {
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
        let Some(name) = &rate.per else { return };
        let own = self.own(field, name);
        if own.is_some_and(|field| value::hash(self.event, field, hasher)) {
            return rule.watched_key().found();
        }
        match self.context().get(name) {
            Some(value) => {
                rule.watched_key().found();
                value::hash_text(value, hasher);
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
