//! The variables for metrics: their export, and the listener for Prometheus.

use spanwise_core::{ParseError, Sensitivity, Setting};

use super::{OtelSetting, batch_settings::set_export_timeout};
use crate::{
    HistogramAggregation, MetricTemporality, SignalKind,
    setting_texts::{parse_millis, parse_number, word_value},
};

pub(super) const METRICS: &[OtelSetting] = rows! {
    "OTEL_METRIC_EXPORT_INTERVAL" => (Some(SignalKind::Metrics), "interval") {
        default: "60000",
        accepts: "milliseconds from `1000` to `86400000`",
        help: "The time between two exports of metrics.",
        apply: |builder, text| {
            let interval = parse_millis(text, 1_000, 24 * 60 * 60 * 1_000)?;
            builder.change(|builder| builder.metrics_options(|options| options.interval(interval)));
            Ok(())
        },
    }
    "OTEL_METRIC_EXPORT_TIMEOUT" => (Some(SignalKind::Metrics), "export_timeout") {
        default: "30000",
        accepts: "milliseconds, at most `600000`; `0` means `600000`",
        help: "How long an attempt to send metrics may take. The shorter of this and the timeout of a request counts.",
        apply: |builder, text| set_export_timeout(builder, SignalKind::Metrics, text),
    }
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE" => (Some(SignalKind::Metrics), "temporality") {
        default: "cumulative",
        accepts: "`cumulative`, `delta` or `lowmemory`",
        help: "Whether exported values count from the start or from the last export.",
        apply: |builder, text| {
            let temporalities = [
                ("cumulative", MetricTemporality::Cumulative),
                ("delta", MetricTemporality::Delta),
                ("lowmemory", MetricTemporality::LowMemory),
            ];
            let temporality = word_value(text, &temporalities)
                .ok_or_else(|| ParseError::word(text, "is not a temporality", "write cumulative, delta or lowmemory"))?;
            builder.change(|builder| builder.metrics_options(|options| options.temporality(temporality)));
            Ok(())
        },
    }
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION" => (Some(SignalKind::Metrics), "histograms") {
        default: "explicit_bucket_histogram",
        accepts: "`explicit_bucket_histogram` or `base2_exponential_bucket_histogram`",
        help: "The buckets of histograms.",
        apply: |builder, text| {
            let aggregations = [
                ("explicit_bucket_histogram", HistogramAggregation::Explicit),
                ("base2_exponential_bucket_histogram", HistogramAggregation::Base2Exponential),
            ];
            let histograms = word_value(text, &aggregations)
                .ok_or_else(|| ParseError::word(text, "is not an aggregation", "write explicit_bucket_histogram or base2_exponential_bucket_histogram"))?;
            builder.change(|builder| builder.metrics_options(|options| options.histograms(histograms)));
            Ok(())
        },
    }
    "OTEL_EXPORTER_PROMETHEUS_HOST" => (Some(SignalKind::Metrics), "prometheus_host") {
        default: "localhost",
        accepts: "a name or an address, such as `0.0.0.0`",
        help: "The host on which metrics are served, if OTEL_METRICS_EXPORTER has `prometheus`.",
        apply: |builder, text| {
            builder.change_listener_variables(|listener| listener.host = Some(text.to_owned()));
            Ok(())
        },
    }
    "OTEL_EXPORTER_PROMETHEUS_PORT" => (Some(SignalKind::Metrics), "prometheus_port") {
        default: "9464",
        accepts: "a number up to `65535`; with `0` the system chooses a port",
        help: "The port on which metrics are served for Prometheus.",
        apply: |builder, text| {
            let port = parse_number(text, 0, u64::from(u16::MAX), "a port")?;
            builder.change_listener_variables(|listener| listener.port = u16::try_from(port).ok());
            Ok(())
        },
    }
    "OTEL_METRICS_EXEMPLAR_FILTER" => (Some(SignalKind::Metrics), "exemplar_filter") {
        default: "trace_based",
        accepts: "`always_on`, `always_off` or `trace_based`",
        help: "Has no effect: there are no exemplars.",
        apply: |_, text| {
            word_value(text, &[("always_on", ()), ("always_off", ()), ("trace_based", ())])
                .ok_or_else(|| ParseError::word(text, "is not a filter", "write always_on, always_off or trace_based"))
        },
    }
};
