//! The encoding of a snapshot as `ExportMetricsServiceRequest`.
//!
//! Each metric is encoded on its own, so that a request that is too large can be split.

use std::sync::Arc;

use super::{
    distributions::{Buckets, Distribution, ExponentialDistribution},
    snapshot::{MetricSnapshot, Number, Point, Points, ScopeSnapshot, Snapshot},
};
use crate::{
    api_value::{write_key_value, write_scope},
    wire::WireWriter as _,
};

/// An encoded `Metric` with its points.
#[derive(Debug)]
pub(crate) struct EncodedMetric {
    /// The encoded `ScopeMetrics` without its metrics. All metrics of a scope share these bytes.
    scope: Arc<[u8]>,
    metric: Vec<u8>,
    pub(crate) point_count: u64,
}

impl EncodedMetric {
    /// Returns the memory of the metric in bytes, without the shared scope.
    pub(crate) fn bytes(&self) -> usize {
        self.metric.len() + size_of::<Self>()
    }
}

/// Encodes all metrics, grouped by scope.
pub(crate) fn encoded_metrics(snapshot: &Snapshot) -> Vec<EncodedMetric> {
    const SCOPE: u32 = 1;
    const SCHEMA_URL: u32 = 3;

    let encode_scope = |scope: &ScopeSnapshot| {
        let mut fields = Vec::new();
        write_scope(&mut fields, SCOPE, &scope.scope);
        if let Some(url) = scope.scope.schema_url() {
            fields.bytes(SCHEMA_URL, url.as_bytes());
        }
        let fields: Arc<[u8]> = fields.into();
        let encoded = scope.metrics.iter().map(|metric| {
            let mut encoded = Vec::new();
            write_metric(&mut encoded, metric);
            EncodedMetric {
                scope: Arc::clone(&fields),
                metric: encoded,
                point_count: metric.points.len() as u64,
            }
        });
        encoded.collect::<Vec<_>>()
    };
    snapshot.scopes.iter().flat_map(encode_scope).collect()
}

/// Returns an `ExportMetricsServiceRequest`. `resource` is an encoded `Resource`.
pub(crate) fn metrics_request(resource: &[u8], metrics: &[EncodedMetric]) -> Vec<u8> {
    const RESOURCE_METRICS: u32 = 1;
    const RESOURCE: u32 = 1;
    const SCOPE_METRICS: u32 = 2;
    const METRICS: u32 = 2;

    let len: usize = metrics.iter().map(EncodedMetric::bytes).sum();
    let mut request = Vec::with_capacity(resource.len() + len);
    request.message(RESOURCE_METRICS, |resource_metrics| {
        resource_metrics.bytes(RESOURCE, resource);
        for metrics in metrics.chunk_by(|metric, next| Arc::ptr_eq(&metric.scope, &next.scope)) {
            resource_metrics.message(SCOPE_METRICS, |scope_metrics| {
                scope_metrics.extend_from_slice(&metrics[0].scope);
                for metric in metrics {
                    scope_metrics.bytes(METRICS, &metric.metric);
                }
            });
        }
    });
    request
}

fn write_metric(metric: &mut Vec<u8>, snapshot: &MetricSnapshot) {
    const NAME: u32 = 1;
    const DESCRIPTION: u32 = 2;
    const UNIT: u32 = 3;
    const GAUGE: u32 = 5;
    const SUM: u32 = 7;
    const HISTOGRAM: u32 = 9;
    const EXPONENTIAL_HISTOGRAM: u32 = 10;

    metric.bytes(NAME, snapshot.name.as_bytes());
    metric.bytes(DESCRIPTION, snapshot.description.as_bytes());
    metric.bytes(UNIT, snapshot.unit.as_bytes());
    match &snapshot.points {
        Points::Gauge(points) => {
            metric.message(GAUGE, |gauge| {
                write_points(gauge, snapshot, points, NUMBER_ATTRIBUTES, write_number);
            });
        }
        Points::Sum {
            points,
            is_monotonic,
            is_delta,
        } => {
            const IS_MONOTONIC: u32 = 3;
            metric.message(SUM, |sum| {
                write_points(sum, snapshot, points, NUMBER_ATTRIBUTES, write_number);
                write_temporality(sum, *is_delta);
                sum.uint(IS_MONOTONIC, (*is_monotonic).into());
            });
        }
        Points::Histogram { points, is_delta } => {
            metric.message(HISTOGRAM, |histogram| {
                write_points(
                    histogram,
                    snapshot,
                    points,
                    DISTRIBUTION_ATTRIBUTES,
                    write_distribution,
                );
                write_temporality(histogram, *is_delta);
            });
        }
        Points::Exponential { points, is_delta } => {
            metric.message(EXPONENTIAL_HISTOGRAM, |histogram| {
                write_points(
                    histogram,
                    snapshot,
                    points,
                    EXPONENTIAL_ATTRIBUTES,
                    write_exponential,
                );
                write_temporality(histogram, *is_delta);
            });
        }
    }
}

fn write_temporality(data: &mut Vec<u8>, is_delta: bool) {
    const AGGREGATION_TEMPORALITY: u32 = 2;
    const DELTA: u64 = 1;
    const CUMULATIVE: u64 = 2;
    let temporality = if is_delta { DELTA } else { CUMULATIVE };
    data.uint(AGGREGATION_TEMPORALITY, temporality);
}

// The field number of the attributes, which differs between the kinds of points.
const NUMBER_ATTRIBUTES: u32 = 7;
const DISTRIBUTION_ATTRIBUTES: u32 = 9;
const EXPONENTIAL_ATTRIBUTES: u32 = 1;

fn write_points<V>(
    data: &mut Vec<u8>,
    metric: &MetricSnapshot,
    points: &[Point<V>],
    attributes_field: u32,
    write: impl Fn(&mut Vec<u8>, &V),
) {
    // These field numbers are the same in all kinds of points.
    const DATA_POINTS: u32 = 1;
    const START_TIME_UNIX_NANO: u32 = 2;
    const TIME_UNIX_NANO: u32 = 3;

    for point in points {
        data.message(DATA_POINTS, |encoded| {
            for attribute in &point.attributes {
                write_key_value(encoded, attributes_field, attribute);
            }
            if metric.start_nanos != 0 {
                encoded.fixed64(START_TIME_UNIX_NANO, metric.start_nanos);
            }
            encoded.fixed64(TIME_UNIX_NANO, metric.time_nanos);
            write(encoded, &point.value);
        });
    }
}

fn write_number(point: &mut Vec<u8>, value: &Number) {
    const AS_DOUBLE: u32 = 4;
    const AS_INT: u32 = 6;
    match *value {
        Number::Int(value) => point.fixed64(AS_INT, value as u64),
        Number::Float(value) => point.double(AS_DOUBLE, value),
    }
}

fn write_distribution(point: &mut Vec<u8>, value: &Distribution) {
    const COUNT: u32 = 4;
    const SUM: u32 = 5;
    const BUCKET_COUNTS: u32 = 6;
    const EXPLICIT_BOUNDS: u32 = 7;
    const MIN: u32 = 11;
    const MAX: u32 = 12;

    point.fixed64(COUNT, value.summary.count);
    point.double(SUM, value.summary.sum);
    point.header(BUCKET_COUNTS, value.counts.len() * size_of::<u64>());
    for count in &value.counts {
        point.extend_from_slice(&count.to_le_bytes());
    }
    point.header(EXPLICIT_BOUNDS, value.bounds.len() * size_of::<f64>());
    for bound in &value.bounds {
        point.extend_from_slice(&bound.to_le_bytes());
    }
    write_optional(point, MIN, value.summary.min);
    write_optional(point, MAX, value.summary.max);
}

fn write_exponential(point: &mut Vec<u8>, value: &ExponentialDistribution) {
    const COUNT: u32 = 4;
    const SUM: u32 = 5;
    const SCALE: u32 = 6;
    const ZERO_COUNT: u32 = 7;
    const POSITIVE: u32 = 8;
    const NEGATIVE: u32 = 9;
    const MIN: u32 = 12;
    const MAX: u32 = 13;
    const ZERO_THRESHOLD: u32 = 14;

    point.fixed64(COUNT, value.summary.count);
    point.double(SUM, value.summary.sum);
    point.uint(SCALE, zigzag(value.scale));
    point.fixed64(ZERO_COUNT, value.zero_count);
    point.message(POSITIVE, |buckets| write_buckets(buckets, &value.positive));
    point.message(NEGATIVE, |buckets| write_buckets(buckets, &value.negative));
    write_optional(point, MIN, value.summary.min);
    write_optional(point, MAX, value.summary.max);
    point.double(ZERO_THRESHOLD, value.zero_threshold);
}

fn write_buckets(buckets: &mut Vec<u8>, value: &Buckets) {
    const OFFSET: u32 = 1;
    const BUCKET_COUNTS: u32 = 2;

    buckets.uint(OFFSET, zigzag(value.offset));
    buckets.message(BUCKET_COUNTS, |counts| {
        for count in &value.counts {
            counts.varint(*count);
        }
    });
}

fn write_optional(point: &mut Vec<u8>, field: u32, value: Option<f64>) {
    if let Some(value) = value {
        point.double(field, value);
    }
}

/// Maps a `sint32` to the unsigned number that is encoded as a varint. Numbers near zero, positive
/// or negative, become small numbers, and so have few bytes.
fn zigzag(value: i32) -> u64 {
    ((value << 1) ^ (value >> 31)) as u32 as u64
}
