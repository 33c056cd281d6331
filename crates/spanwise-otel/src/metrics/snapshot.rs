//! The values of all instruments at one time, as both encodings need them.
//!
//! The policy redacts attributes here. Points whose attributes become equal are merged, because
//! receivers refuse two points of one series.

use std::{
    cmp::Ordering,
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::metrics::{
    Temporality,
    data::{AggregatedMetrics, ExponentialBucket, Metric, MetricData, ResourceMetrics},
};
use spanwise_core::{Redact, Redaction, internal::KeyVerdicts};

use super::readers::MAX_BUCKETS;
use crate::{api_attributes::redaction, limits::AttributeLimits};

/// All metrics of a process.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) scopes: Vec<ScopeSnapshot>,
}

/// The metrics of one meter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScopeSnapshot {
    pub(crate) scope: InstrumentationScope,
    pub(crate) metrics: Vec<MetricSnapshot>,
}

/// The series of one instrument.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MetricSnapshot {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) unit: String,
    /// In nanoseconds since 1970. 0 if it is unknown.
    pub(crate) start: u64,
    pub(crate) time: u64,
    pub(crate) points: Points,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Points {
    Gauge(Vec<Point<Number>>),
    Sum {
        points: Vec<Point<Number>>,
        is_monotonic: bool,
        is_delta: bool,
    },
    Histogram {
        points: Vec<Point<Distribution>>,
        is_delta: bool,
    },
    Exponential {
        points: Vec<Point<ExponentialDistribution>>,
        is_delta: bool,
    },
}

/// The value of one series. Its attributes are sorted by key, and no key occurs twice.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point<V> {
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) value: V,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
}

/// Counts of values in buckets with explicit bounds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Distribution {
    pub(crate) summary: Summary,
    pub(crate) bounds: Vec<f64>,
    /// One more than there are bounds.
    pub(crate) counts: Vec<u64>,
}

/// Counts of values in buckets whose bounds are powers of a base.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExponentialDistribution {
    pub(crate) summary: Summary,
    pub(crate) scale: i32,
    pub(crate) zero_count: u64,
    pub(crate) zero_threshold: f64,
    pub(crate) positive: Buckets,
    pub(crate) negative: Buckets,
}

/// The bucket at index `offset + i` has the count `counts[i]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Buckets {
    pub(crate) offset: i32,
    pub(crate) counts: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
}

impl Snapshot {
    /// Copies what the SDK collected. `policy` redacts the attributes.
    pub(crate) fn new(collected: &ResourceMetrics, policy: Option<&dyn Redact>) -> Self {
        let mut attributes = AttributePolicy::new(policy);
        let mut scopes: Vec<ScopeSnapshot> = Vec::new();
        for collected in collected.scope_metrics() {
            let scope = attributes.shown_scope(collected.scope());
            let metrics = collected.metrics();
            match scopes.iter_mut().find(|known| known.scope == scope) {
                Some(same) => append_metrics(&mut same.metrics, metrics, &mut attributes),
                None => {
                    let mut shown = Vec::new();
                    append_metrics(&mut shown, metrics, &mut attributes);
                    scopes.push(ScopeSnapshot {
                        scope,
                        metrics: shown,
                    });
                }
            }
        }
        for metric in scopes.iter_mut().flat_map(|scope| &mut scope.metrics) {
            metric.points.merge_equal();
        }
        // The SDK keeps them in no order.
        scopes.sort_by(|a, b| {
            let key = |scope: &ScopeSnapshot| {
                (
                    scope.scope.name().to_owned(),
                    scope.scope.version().map(str::to_owned),
                )
            };
            key(a).cmp(&key(b))
        });
        Self { scopes }
    }

    /// Returns the number of points.
    pub(crate) fn points(&self) -> usize {
        self.metrics().map(|metric| metric.points.len()).sum()
    }

    pub(crate) fn metrics(&self) -> impl Iterator<Item = &MetricSnapshot> {
        self.scopes.iter().flat_map(|scope| &scope.metrics)
    }
}

/// Appends points to those of the same metric.
fn append_metrics<'m>(
    snapshots: &mut Vec<MetricSnapshot>,
    metrics: impl Iterator<Item = &'m Metric>,
    attributes: &mut AttributePolicy<'_>,
) {
    for metric in metrics {
        let snapshot = match metric.data() {
            AggregatedMetrics::F64(data) => metric_snapshot(metric, data, attributes),
            AggregatedMetrics::U64(data) => metric_snapshot(metric, data, attributes),
            AggregatedMetrics::I64(data) => metric_snapshot(metric, data, attributes),
        };
        // One instrument may have been created for integers and again for floats.
        let same = snapshots
            .iter_mut()
            .find(|other| other.name == snapshot.name && other.unit == snapshot.unit);
        let rest = match same {
            Some(other) => other.points.append(snapshot.points).map(|points| {
                let mut rest = other.clone();
                rest.points = points;
                rest
            }),
            None => Some(snapshot),
        };
        snapshots.extend(rest);
    }
}

fn metric_snapshot<T: InstrumentNumber>(
    metric: &Metric,
    data: &MetricData<T>,
    attributes: &mut AttributePolicy<'_>,
) -> MetricSnapshot {
    let (start, time, points) = match data {
        MetricData::Gauge(gauge) => {
            let points = gauge.data_points().map(|point| Point {
                attributes: attributes.apply(point.attributes()),
                value: point.value().number(),
            });
            let start = gauge.start_time().map_or(0, unix_nanos);
            (start, gauge.time(), Points::Gauge(points.collect()))
        }
        MetricData::Sum(sum) => {
            let points = sum.data_points().map(|point| Point {
                attributes: attributes.apply(point.attributes()),
                value: point.value().number(),
            });
            let points = Points::Sum {
                points: points.collect(),
                is_monotonic: sum.is_monotonic(),
                is_delta: is_delta(sum.temporality()),
            };
            (unix_nanos(sum.start_time()), sum.time(), points)
        }
        MetricData::Histogram(histogram) => {
            let points = histogram.data_points().map(|point| Point {
                attributes: attributes.apply(point.attributes()),
                value: Distribution {
                    summary: Summary {
                        count: point.count(),
                        sum: point.sum().float(),
                        min: point.min().map(InstrumentNumber::float),
                        max: point.max().map(InstrumentNumber::float),
                    },
                    bounds: point.bounds().collect(),
                    counts: point.bucket_counts().collect(),
                },
            });
            let points = Points::Histogram {
                points: points.collect(),
                is_delta: is_delta(histogram.temporality()),
            };
            (unix_nanos(histogram.start_time()), histogram.time(), points)
        }
        MetricData::ExponentialHistogram(histogram) => {
            let points = histogram.data_points().map(|point| Point {
                attributes: attributes.apply(point.attributes()),
                value: ExponentialDistribution {
                    summary: Summary {
                        count: point.count() as u64,
                        sum: point.sum().float(),
                        min: point.min().map(InstrumentNumber::float),
                        max: point.max().map(InstrumentNumber::float),
                    },
                    scale: point.scale().into(),
                    zero_count: point.zero_count(),
                    zero_threshold: point.zero_threshold(),
                    positive: Buckets::new(point.positive_bucket()),
                    negative: Buckets::new(point.negative_bucket()),
                },
            });
            let points = Points::Exponential {
                points: points.collect(),
                is_delta: is_delta(histogram.temporality()),
            };
            (unix_nanos(histogram.start_time()), histogram.time(), points)
        }
    };
    MetricSnapshot {
        name: metric.name().to_owned(),
        description: metric.description().to_owned(),
        unit: metric.unit().to_owned(),
        start,
        time: unix_nanos(time),
        points,
    }
}

/// The kinds of numbers that instruments take.
trait InstrumentNumber: Copy {
    fn number(self) -> Number;

    fn float(self) -> f64;
}

impl InstrumentNumber for f64 {
    fn number(self) -> Number {
        Number::Float(self)
    }

    fn float(self) -> f64 {
        self
    }
}

impl InstrumentNumber for i64 {
    fn number(self) -> Number {
        Number::Int(self)
    }

    fn float(self) -> f64 {
        self as f64
    }
}

impl InstrumentNumber for u64 {
    /// OTLP has no larger integers.
    fn number(self) -> Number {
        i64::try_from(self).map_or(Number::Float(self as f64), Number::Int)
    }

    fn float(self) -> f64 {
        self as f64
    }
}

fn is_delta(temporality: Temporality) -> bool {
    temporality == Temporality::Delta
}

fn unix_nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

impl Points {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Gauge(points) | Self::Sum { points, .. } => points.len(),
            Self::Histogram { points, .. } => points.len(),
            Self::Exponential { points, .. } => points.len(),
        }
    }

    /// Calls `f` with the attributes of each point.
    pub(crate) fn each_attributes(&self, mut f: impl FnMut(&[KeyValue])) {
        match self {
            Self::Gauge(points) | Self::Sum { points, .. } => {
                points.iter().for_each(|point| f(&point.attributes));
            }
            Self::Histogram { points, .. } => points.iter().for_each(|point| f(&point.attributes)),
            Self::Exponential { points, .. } => {
                points.iter().for_each(|point| f(&point.attributes));
            }
        }
    }

    /// Adds points of the same kind. Returns those of another kind.
    fn append(&mut self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Gauge(points), Self::Gauge(more)) => points.extend(more),
            (
                Self::Sum {
                    points,
                    is_monotonic,
                    is_delta,
                },
                Self::Sum {
                    points: more,
                    is_monotonic: other_monotonic,
                    is_delta: other_delta,
                },
            ) if (*is_monotonic, *is_delta) == (other_monotonic, other_delta) => {
                points.extend(more);
            }
            (
                Self::Histogram { points, is_delta },
                Self::Histogram {
                    points: more,
                    is_delta: other_delta,
                },
            ) if *is_delta == other_delta && same_bounds(points, &more) => points.extend(more),
            (
                Self::Exponential { points, is_delta },
                Self::Exponential {
                    points: more,
                    is_delta: other_delta,
                },
            ) if *is_delta == other_delta => points.extend(more),
            (_, other) => return Some(other),
        }
        None
    }

    /// Sorts the points, and merges those with equal attributes.
    fn merge_equal(&mut self) {
        match self {
            Self::Gauge(points) => merge_equal(points, |_, _| ()),
            Self::Sum { points, .. } => merge_equal(points, Number::add),
            Self::Histogram { points, .. } => merge_equal(points, Distribution::add),
            Self::Exponential { points, .. } => merge_equal(points, ExponentialDistribution::add),
        }
    }
}

fn same_bounds(points: &[Point<Distribution>], more: &[Point<Distribution>]) -> bool {
    let bounds = |points: &[Point<Distribution>]| points.first().map(|p| p.value.bounds.clone());
    bounds(points) == bounds(more)
}

fn merge_equal<V>(points: &mut Vec<Point<V>>, add: impl Fn(&mut V, &V)) {
    points.sort_by(|a, b| compare_attributes(&a.attributes, &b.attributes));
    points.dedup_by(|later, earlier| {
        let is_equal = later.attributes == earlier.attributes;
        if is_equal {
            add(&mut earlier.value, &later.value);
        }
        is_equal
    });
}

fn compare_attributes(a: &[KeyValue], b: &[KeyValue]) -> Ordering {
    let compare = |(a, b): (&KeyValue, &KeyValue)| {
        let keys = a.key.as_str().cmp(b.key.as_str());
        let kinds = || value_kind(&a.value).cmp(&value_kind(&b.value));
        let texts = || a.value.as_str().cmp(&b.value.as_str());
        keys.then_with(kinds).then_with(texts)
    };
    let mut orders = a.iter().zip(b).map(compare);
    let first = orders.find(|order| order.is_ne());
    first.unwrap_or_else(|| a.len().cmp(&b.len()))
}

fn value_kind(value: &Value) -> u8 {
    match value {
        Value::Bool(_) => 0,
        Value::I64(_) => 1,
        Value::F64(_) => 2,
        Value::String(_) => 3,
        Value::Array(Array::Bool(_)) => 4,
        Value::Array(Array::I64(_)) => 5,
        Value::Array(Array::F64(_)) => 6,
        Value::Array(Array::String(_)) => 7,
        // The enums may grow.
        _ => 8,
    }
}

impl Number {
    fn add(&mut self, other: &Self) {
        *self = match (*self, *other) {
            (Self::Int(a), Self::Int(b)) => match a.checked_add(b) {
                Some(sum) => Self::Int(sum),
                None => Self::Float(a as f64 + b as f64),
            },
            (a, b) => Self::Float(a.as_f64() + b.as_f64()),
        };
    }

    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

impl Summary {
    fn add(&mut self, other: &Self) {
        let merged = |a: Option<f64>, b: Option<f64>, choose: fn(f64, f64) -> f64| match (a, b) {
            (Some(a), Some(b)) => Some(choose(a, b)),
            (one, other) => one.or(other),
        };
        self.count += other.count;
        self.sum += other.sum;
        self.min = merged(self.min, other.min, f64::min);
        self.max = merged(self.max, other.max, f64::max);
    }
}

impl Distribution {
    fn add(&mut self, other: &Self) {
        self.summary.add(&other.summary);
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }
}

impl ExponentialDistribution {
    fn add(&mut self, other: &Self) {
        let scale = self.common_scale(other);
        self.summary.add(&other.summary);
        self.zero_count += other.zero_count;
        self.zero_threshold = self.zero_threshold.max(other.zero_threshold);
        let sum = |a: &Buckets, b: &Buckets| {
            let a = a.counts_by_index(self.scale - scale);
            Buckets::from_counts(a.chain(b.counts_by_index(other.scale - scale)))
        };
        self.positive = sum(&self.positive, &other.positive);
        self.negative = sum(&self.negative, &other.negative);
        self.scale = scale;
    }

    /// Returns the highest scale at which both have room in [`MAX_BUCKETS`]. Buckets for both
    /// 5 ms and 5 s would be millions at the scale of either.
    fn common_scale(&self, other: &Self) -> i32 {
        let has_room = |a: &Buckets, b: &Buckets, scale: i32| {
            let a = a.index_range(self.scale - scale);
            match (a, b.index_range(other.scale - scale)) {
                (Some((first, last)), Some((other_first, other_last))) => {
                    last.max(other_last) - first.min(other_first) < i64::from(MAX_BUCKETS)
                }
                _ => true,
            }
        };
        let mut scale = self.scale.min(other.scale);
        // It ends: each step halves the range.
        while !has_room(&self.positive, &other.positive, scale)
            || !has_room(&self.negative, &other.negative, scale)
        {
            scale -= 1;
        }
        scale
    }
}

impl Buckets {
    fn new(bucket: &ExponentialBucket) -> Self {
        Self {
            offset: bucket.offset(),
            counts: bucket.counts().collect(),
        }
    }

    /// Returns the buckets that are not empty, with their indexes at a scale that is lower by
    /// `steps`: each step halves the number of buckets, so several may have one index.
    fn counts_by_index(&self, steps: i32) -> impl DoubleEndedIterator<Item = (i64, u64)> {
        let counts = self.counts.iter().copied().enumerate();
        let counts = counts.filter(|(_, count)| *count > 0);
        counts.map(move |(at, count)| {
            // Indexes have 32 bits, but their sums and differences may have more.
            let index = i64::from(self.offset) + at as i64;
            (index >> steps.clamp(0, 63), count)
        })
    }

    /// Returns the lowest and the highest index that is not empty.
    fn index_range(&self, steps: i32) -> Option<(i64, i64)> {
        let mut indexes = self.counts_by_index(steps).map(|(index, _)| index);
        let first = indexes.next()?;
        Some((first, indexes.next_back().unwrap_or(first)))
    }

    fn from_counts(counts: impl Iterator<Item = (i64, u64)>) -> Self {
        let counts: Vec<_> = counts.collect();
        let indexes = || counts.iter().map(|(index, _)| *index);
        let (Some(first), Some(last)) = (indexes().min(), indexes().max()) else {
            return Self::default();
        };
        let mut buckets = Self {
            // The index of a bucket, shifted to the right at most.
            offset: first as i32,
            counts: vec![0; (last - first) as usize + 1],
        };
        for (index, count) in counts {
            buckets.counts[(index - first) as usize] += count;
        }
        buckets
    }
}

/// Sorts, redacts and cuts attributes.
struct AttributePolicy<'p> {
    policy: Option<&'p dyn Redact>,
    /// The verdicts of the keys that occurred.
    verdicts: HashMap<String, KeyVerdicts>,
}

impl<'p> AttributePolicy<'p> {
    fn new(policy: Option<&'p dyn Redact>) -> Self {
        Self {
            policy,
            verdicts: HashMap::new(),
        }
    }

    fn apply<'a>(&mut self, attributes: impl Iterator<Item = &'a KeyValue>) -> Vec<KeyValue> {
        let mut shown: Vec<KeyValue> = match self.policy {
            None => attributes.cloned().collect(),
            Some(policy) => attributes
                .filter_map(|attribute| self.redact(policy, attribute))
                .collect(),
        };
        // The SDK keeps them as they were recorded. The last value of a key counts, as far
        // as their order is that of the caller.
        shown.reverse();
        shown.sort_by(|a, b| a.key.cmp(&b.key));
        shown.dedup_by(|earlier, last| earlier.key == last.key);
        for attribute in &mut shown {
            cut_texts(&mut attribute.value);
        }
        shown
    }

    fn shown_scope(&mut self, scope: &InstrumentationScope) -> InstrumentationScope {
        if scope.attributes().next().is_none() {
            return scope.clone();
        }
        let mut shown = InstrumentationScope::builder(scope.name().to_owned())
            .with_attributes(self.apply(scope.attributes()));
        if let Some(version) = scope.version() {
            shown = shown.with_version(version.to_owned());
        }
        if let Some(url) = scope.schema_url() {
            shown = shown.with_schema_url(url.to_owned());
        }
        shown.build()
    }

    fn redact(&mut self, policy: &dyn Redact, attribute: &KeyValue) -> Option<KeyValue> {
        let key = attribute.key.as_str();
        let verdicts = match self.verdicts.get(key) {
            Some(verdicts) => *verdicts,
            None => *self
                .verdicts
                .entry(key.to_owned())
                .or_insert(policy.verdicts(key)),
        };
        let redaction = redaction(policy, verdicts, key, &attribute.value);
        match redaction {
            Redaction::Keep => Some(with_shown_texts(policy, attribute)),
            Redaction::Remove => None,
            Redaction::Replace(text) => {
                Some(KeyValue::new(attribute.key.clone(), text.into_owned()))
            }
        }
    }
}

/// Cuts texts at [`MAX_VALUE_LEN`](crate::limits::MAX_VALUE_LEN).
fn cut_texts(value: &mut Value) {
    let limits = AttributeLimits::default();
    let cut = |text: &mut StringValue| {
        let kept = limits.cut_text(text.as_str());
        if kept.len() < text.as_str().len() {
            *text = StringValue::from(kept.to_owned());
        }
    };
    match value {
        Value::String(text) => cut(text),
        Value::Array(Array::String(texts)) => texts.iter_mut().for_each(cut),
        _ => {}
    }
}

/// Redacts the texts of an array one by one: [`redaction`] decides by the key only.
fn with_shown_texts(policy: &dyn Redact, attribute: &KeyValue) -> KeyValue {
    let Value::Array(Array::String(texts)) = &attribute.value else {
        return attribute.clone();
    };
    let key = attribute.key.as_str();
    let texts = texts.iter().map(|text| {
        let shown = policy.redact_value(key, text.as_str());
        StringValue::from(shown.into_owned())
    });
    let texts = Value::Array(Array::String(texts.collect()));
    KeyValue::new(attribute.key.clone(), texts)
}

#[cfg(test)]
mod tests;
