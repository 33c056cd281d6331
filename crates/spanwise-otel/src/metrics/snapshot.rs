//! The values of all instruments at one time, for the OTLP encoding and for the text.
//!
//! The policy redacts attributes when the values are copied from the SDK. Points whose attributes
//! become equal are merged, because receivers refuse two points of one series.

use std::{
    cmp::Ordering,
    time::{SystemTime, UNIX_EPOCH},
};

use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::metrics::{
    Temporality,
    data::{AggregatedMetrics, Metric, MetricData, ResourceMetrics},
};
use spanwise_core::Redact;

use super::{
    attribute_policy::AttributePolicy,
    distributions::{Buckets, Distribution, ExponentialDistribution, Summary},
};

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
    /// The time from which the values count, in nanoseconds since 1970. 0 if it is unknown.
    pub(crate) start_nanos: u64,
    /// The time of the collection, in nanoseconds since 1970.
    pub(crate) time_nanos: u64,
    pub(crate) points: Points,
}

/// The series of an instrument. If `is_delta`, the values count from the last collection.
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

impl Snapshot {
    /// Copies the values that the SDK collected. `policy` redacts the attributes.
    pub(crate) fn new(collected: &ResourceMetrics, policy: Option<&dyn Redact>) -> Self {
        let mut attributes = AttributePolicy::new(policy);
        let mut scopes: Vec<ScopeSnapshot> = Vec::new();
        for scope_metrics in collected.scope_metrics() {
            let scope = attributes.redacted_scope(scope_metrics.scope());
            let metrics = scope_metrics.metrics();
            match scopes.iter_mut().find(|earlier| earlier.scope == scope) {
                Some(same) => append_metrics(&mut same.metrics, metrics, &mut attributes),
                None => {
                    let mut snapshots = Vec::new();
                    append_metrics(&mut snapshots, metrics, &mut attributes);
                    scopes.push(ScopeSnapshot {
                        scope,
                        metrics: snapshots,
                    });
                }
            }
        }
        for metric in scopes.iter_mut().flat_map(|scope| &mut scope.metrics) {
            metric.points.merge_equal_series();
        }
        // The SDK returns the scopes in no particular order.
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
    pub(crate) fn point_count(&self) -> usize {
        self.metrics().map(|metric| metric.points.len()).sum()
    }

    pub(crate) fn metrics(&self) -> impl Iterator<Item = &MetricSnapshot> {
        self.scopes.iter().flat_map(|scope| &scope.metrics)
    }
}

/// Appends metrics to `snapshots`. If an earlier metric has the same name, unit and kind of points,
/// the points are added to that metric instead.
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
        let new_metric = match same {
            // Points of another kind become a metric of their own.
            Some(other) => {
                let not_appended = other.points.append(snapshot.points);
                not_appended.map(|points| MetricSnapshot { points, ..snapshot })
            }
            None => Some(snapshot),
        };
        snapshots.extend(new_metric);
    }
}

fn metric_snapshot<T: InstrumentNumber>(
    metric: &Metric,
    data: &MetricData<T>,
    attributes: &mut AttributePolicy<'_>,
) -> MetricSnapshot {
    let (start_nanos, time, points) = match data {
        MetricData::Gauge(gauge) => {
            let points = gauge.data_points().map(|point| Point {
                attributes: attributes.apply(point.attributes()),
                value: point.value().number(),
            });
            let start_nanos = gauge.start_time().map_or(0, unix_nanos);
            (start_nanos, gauge.time(), Points::Gauge(points.collect()))
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
        start_nanos,
        time_nanos: unix_nanos(time),
        points,
    }
}

/// The types of numbers that instruments accept.
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
    /// A value above `i64::MAX` becomes a float, because OTLP has no larger integers.
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
    pub(crate) fn for_each_attribute_set(&self, mut f: impl FnMut(&[KeyValue])) {
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

    /// Adds the points of `other`. Returns `other` if its points are of another kind: another
    /// variant, temporality or monotonicity, or other bounds.
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

    /// Sorts the points, and merges those with equal attributes. A gauge keeps one of the values.
    fn merge_equal_series(&mut self) {
        match self {
            Self::Gauge(points) => sort_and_merge(points, |_, _| ()),
            Self::Sum { points, .. } => sort_and_merge(points, Number::add),
            Self::Histogram { points, .. } => sort_and_merge(points, Distribution::add),
            Self::Exponential { points, .. } => {
                sort_and_merge(points, ExponentialDistribution::add)
            }
        }
    }
}

fn same_bounds(points: &[Point<Distribution>], more: &[Point<Distribution>]) -> bool {
    let bounds = |points: &[Point<Distribution>]| points.first().map(|p| p.value.bounds.clone());
    bounds(points) == bounds(more)
}

fn sort_and_merge<V>(points: &mut Vec<Point<V>>, add: impl Fn(&mut V, &V)) {
    points.sort_by(|a, b| compare_attributes(&a.attributes, &b.attributes));
    points.dedup_by(|later, earlier| {
        let is_equal = later.attributes == earlier.attributes;
        if is_equal {
            add(&mut earlier.value, &later.value);
        }
        is_equal
    });
}

/// Compares lists of attributes by key, then by type of value, then by the text of the value.
fn compare_attributes(a: &[KeyValue], b: &[KeyValue]) -> Ordering {
    let compare = |(a, b): (&KeyValue, &KeyValue)| {
        let by_key = a.key.as_str().cmp(b.key.as_str());
        let by_type = || type_rank(&a.value).cmp(&type_rank(&b.value));
        let by_text = || a.value.as_str().cmp(&b.value.as_str());
        by_key.then_with(by_type).then_with(by_text)
    };
    let mut orders = a.iter().zip(b).map(compare);
    let first = orders.find(|order| order.is_ne());
    first.unwrap_or_else(|| a.len().cmp(&b.len()))
}

fn type_rank(value: &Value) -> u8 {
    match value {
        Value::Bool(_) => 0,
        Value::I64(_) => 1,
        Value::F64(_) => 2,
        Value::String(_) => 3,
        Value::Array(Array::Bool(_)) => 4,
        Value::Array(Array::I64(_)) => 5,
        Value::Array(Array::F64(_)) => 6,
        Value::Array(Array::String(_)) => 7,
        // `Value` and `Array` are non-exhaustive.
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

#[cfg(test)]
mod tests;
