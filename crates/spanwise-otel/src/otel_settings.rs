//! The standard variables of OpenTelemetry, a row each.

use std::mem;

use spanwise_core::{ParseError, Problem, Sensitivity, Setting, TargetLevels, words};

use crate::{
    ExportOptions, HistogramAggregation, InvalidOption, MetricTemporality, Otel, OtelBuilder,
    Protocol, SignalKind, TraceSampler, W3cPropagator,
    endpoint::{Endpoint, Owner},
    setting_texts::{EmptyValues, boolean, count, file, level, limit, millis, number, pairs},
};

/// A variable of the [specification], and what it changes.
///
/// [specification]: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
#[derive(Debug, Clone, Copy)]
pub struct OtelSetting {
    /// The definition: the name, the default, the accepted values.
    pub def: Setting,
    apply: fn(&mut OtelBuilder, &str) -> Result<(), ParseError>,
    /// The option of the builder that has the value.
    option: (Option<SignalKind>, &'static str),
}

impl OtelBuilder {
    /// Sets what a variable sets, from its text. See [`OtelSetting::all`].
    ///
    /// # Errors
    /// If the text is not valid. The builder is as before then.
    pub fn apply(&mut self, setting: &OtelSetting, text: &str) -> Result<(), ParseError> {
        (setting.apply)(self, text)
    }

    fn change(&mut self, change: impl FnOnce(Self) -> Self) {
        let before = mem::replace(self, Otel::builder_without_endpoint());
        *self = change(before);
    }

    fn change_signal(
        &mut self,
        signal: Option<SignalKind>,
        change: impl FnOnce(ExportOptions) -> ExportOptions,
    ) {
        self.change(|builder| match signal {
            None => builder.all_signals(change),
            Some(SignalKind::Traces) => builder.traces(change),
            Some(SignalKind::Logs) => builder.logs(change),
            Some(SignalKind::Metrics) => builder.metrics(change),
        });
    }
}

impl OtelSetting {
    /// Returns all variables, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        [ENDPOINTS, SIGNALS, BATCHES, LIMITS, METRICS]
            .into_iter()
            .flatten()
    }

    /// Returns whether it is the address of a collector.
    #[must_use]
    pub fn is_endpoint(&self) -> bool {
        self.option.1 == "endpoint"
    }

    /// Returns whether it is the address of a collector of this signal.
    #[must_use]
    pub fn is_endpoint_of(&self, signal: SignalKind) -> bool {
        self.is_endpoint() && self.option.0.is_none_or(|own| own == signal)
    }

    /// Returns whether there is something to export or serve with this value: it is the address of
    /// a collector, or it requests metrics for Prometheus.
    #[must_use]
    pub fn enables(&self, text: &str) -> bool {
        self.is_endpoint() || self.names_exporter(text, "prometheus").is_some()
    }

    /// Returns the signal that this value exports over OTLP, and which needs an endpoint.
    #[must_use]
    pub fn exports(&self, text: &str) -> Option<SignalKind> {
        self.names_exporter(text, "otlp")
    }

    /// Returns whether its value is checked even if nothing is exported: it alone could have turned
    /// something on.
    #[must_use]
    pub fn may_enable(&self) -> bool {
        self.option == (Some(SignalKind::Metrics), "off")
    }

    fn names_exporter(&self, text: &str, exporter: &str) -> Option<SignalKind> {
        let (signal, option) = self.option;
        let is_named = || text.split(',').any(|word| word.trim() == exporter);
        signal.filter(|_| option == "off" && is_named())
    }

    /// Returns whether this value switches everything off.
    #[must_use]
    pub fn disables_all(&self, text: &str) -> bool {
        self.def.name == "OTEL_SDK_DISABLED" && text.eq_ignore_ascii_case("true")
    }

    /// Returns whether a value of this variable decides whether the option is valid. If the value
    /// is wrong, the option need not be.
    #[must_use]
    pub fn decides_about(&self, invalid: &InvalidOption) -> bool {
        let (signal, option) = self.option;
        let topic = |option| match option {
            "sampler" | "sampler_argument" => "sampler",
            "off" if signal == Some(SignalKind::Metrics) => "listener",
            "prometheus_host" | "prometheus_port" => "listener",
            "endpoint" | "protocol" | "insecure" | "root_certificates" | "client_certificate"
            | "client_key" => "connection",
            "max_queue_len" | "max_batch_len" => "batch",
            other => other,
        };
        let is_of_signal = signal.is_none() || invalid.signal.is_none() || signal == invalid.signal;
        is_of_signal && topic(option) == topic(invalid.option)
    }

    /// Returns the variable that sets an option which the builder refused.
    #[must_use]
    pub fn for_option(invalid: &InvalidOption) -> Option<&'static Self> {
        let option = (invalid.signal, invalid.option);
        Self::all().find(|setting| setting.option == option)
    }
}

/// Defines a variable of all signals, and one of each.
macro_rules! exporter_rows {
    ($($suffix:literal => $option:literal {
        default: $default:literal,
        accepts: $accepts:literal,
        help: $help:literal,
        sensitivity: $sensitivity:ident,
        apply: $apply:expr,
    })*) => {
        &[$(
            exporter_rows!(@row concat!("OTEL_EXPORTER_OTLP_", $suffix), None, $option, $default, $accepts, $help, $sensitivity, $apply),
            exporter_rows!(@row concat!("OTEL_EXPORTER_OTLP_TRACES_", $suffix), Some(SignalKind::Traces), $option, concat!("OTEL_EXPORTER_OTLP_", $suffix), $accepts, $help, $sensitivity, $apply),
            exporter_rows!(@row concat!("OTEL_EXPORTER_OTLP_LOGS_", $suffix), Some(SignalKind::Logs), $option, concat!("OTEL_EXPORTER_OTLP_", $suffix), $accepts, $help, $sensitivity, $apply),
            exporter_rows!(@row concat!("OTEL_EXPORTER_OTLP_METRICS_", $suffix), Some(SignalKind::Metrics), $option, concat!("OTEL_EXPORTER_OTLP_", $suffix), $accepts, $help, $sensitivity, $apply),
        )*]
    };
    (@row $name:expr, $signal:expr, $option:literal, $default:expr, $accepts:literal, $help:literal, $sensitivity:ident, $apply:expr) => {
        OtelSetting {
            def: Setting {
                name: $name,
                key: None,
                default: $default,
                accepts: $accepts,
                sensitivity: Sensitivity::$sensitivity,
                help: $help,
            },
            apply: |builder, text| {
                let apply: fn(&mut OtelBuilder, Option<SignalKind>, &str) -> Result<(), ParseError> = $apply;
                apply(builder, $signal, text)
            },
            option: ($signal, $option),
        }
    };
}

/// Defines variables, a row each.
macro_rules! rows {
    ($($name:literal => ($signal:expr, $option:literal) {
        default: $default:literal,
        accepts: $accepts:literal,
        help: $help:literal,
        apply: $apply:expr,
    })*) => {
        &[$(OtelSetting {
            def: Setting {
                name: $name,
                key: None,
                default: $default,
                accepts: $accepts,
                sensitivity: Sensitivity::Public,
                help: $help,
            },
            apply: $apply,
            option: ($signal, $option),
        }),*]
    };
}

const ENDPOINTS: &[OtelSetting] = exporter_rows! {
    "ENDPOINT" => "endpoint" {
        default: "none: nothing is exported",
        accepts: "the address of a collector, such as `http://collector:4318`; with the protocol grpc the scheme may be missing",
        help: "Where data goes. Over HTTP, each signal has a path below the address of all signals, such as `/v1/traces`; the address of one signal is used to the letter.",
        sensitivity: Public,
        apply: |builder, signal, text| {
            // The protocol may not be there yet, and gRPC needs no scheme.
            let some = signal.unwrap_or(SignalKind::Traces);
            Endpoint::parse(text, some, Owner::AllSignals, Protocol::Grpc, false)?;
            let url = text.to_owned();
            match signal {
                None => builder.change(|builder| builder.endpoint(url)),
                signal => builder.change_signal(signal, |options| options.endpoint(url)),
            }
            Ok(())
        },
    }
    "PROTOCOL" => "protocol" {
        default: "http/protobuf",
        accepts: "`http/protobuf`, or `grpc` in programs built with the feature `otel-grpc`",
        help: "How requests go to the collector.",
        sensitivity: Public,
        apply: |builder, signal, text| {
            let protocol = text.parse()?;
            builder.change_signal(signal, |options| options.protocol(protocol));
            Ok(())
        },
    }
    "HEADERS" => "header" {
        default: "none",
        accepts: "names and values joined by commas, such as `api-key=1234,x-team=shop`; values are percent-decoded",
        help: "Headers of each request. Those of a signal replace those of all signals.",
        sensitivity: Secret,
        apply: |builder, signal, text| {
            let headers = pairs(text, EmptyValues::Refused)?;
            builder.change_signal(signal, |options| {
                headers.into_iter().fold(options, |options, (name, value)| options.header(name, value))
            });
            Ok(())
        },
    }
    "TIMEOUT" => "timeout" {
        default: "10000",
        accepts: "milliseconds, at most `600000`; `0` means the same",
        help: "How long a request may take.",
        sensitivity: Public,
        apply: |builder, signal, text| {
            let timeout = millis(text, 0, 600_000)?;
            builder.change_signal(signal, |options| options.timeout(timeout));
            Ok(())
        },
    }
    "COMPRESSION" => "compression" {
        default: "none",
        accepts: "`none` or `gzip`",
        help: "How requests are compressed.",
        sensitivity: Public,
        apply: |builder, signal, text| {
            let compression = text.parse()?;
            builder.change_signal(signal, |options| options.compression(compression));
            Ok(())
        },
    }
    "INSECURE" => "insecure" {
        default: "false",
        accepts: "`true` or `false`",
        help: "Whether an endpoint without a scheme, over gRPC, is used without TLS.",
        sensitivity: Public,
        apply: |builder, signal, text| {
            let is_insecure = boolean(text)?;
            builder.change_signal(signal, |options| options.insecure(is_insecure));
            Ok(())
        },
    }
    "CERTIFICATE" => "root_certificates" {
        default: "the roots of Mozilla",
        accepts: "the path of a file in PEM",
        help: "The only certificates that are trusted.",
        sensitivity: Public,
        apply: |builder, signal, text| {
            let pem = file(text)?;
            builder.change_signal(signal, |options| options.root_certificates(pem));
            Ok(())
        },
    }
    "CLIENT_CERTIFICATE" => "client_certificate" {
        default: "none",
        accepts: "the path of a file in PEM",
        help: "The certificate by which the collector knows the service. It needs a key.",
        sensitivity: Public,
        apply: |builder, signal, text| {
            let pem = file(text)?;
            builder.change_signal(signal, |options| options.client_certificate(pem));
            Ok(())
        },
    }
    "CLIENT_KEY" => "client_key" {
        default: "none",
        accepts: "the path of a file in PEM",
        help: "The private key of the client certificate.",
        sensitivity: Public,
        apply: |builder, signal, text| {
            let pem = file(text)?;
            builder.change_signal(signal, |options| options.client_key(pem));
            Ok(())
        },
    }
};

const SIGNALS: &[OtelSetting] = rows! {
    "OTEL_SDK_DISABLED" => (None, "disabled") {
        default: "false",
        accepts: "`true` or `false`",
        help: "Whether nothing is exported.",
        apply: |_, text| boolean(text).map(drop),
    }
    "OTEL_CONFIG_FILE" => (None, "config_file") {
        default: "none",
        accepts: "nothing: a file of OpenTelemetry's declarative configuration would replace all other variables, and is not read yet",
        help: "Stops the start.",
        apply: |_, text| config_file(text),
    }
    "OTEL_EXPERIMENTAL_CONFIG_FILE" => (None, "config_file") {
        default: "none",
        accepts: "nothing, as OTEL_CONFIG_FILE",
        help: "Stops the start.",
        apply: |_, text| config_file(text),
    }
    "OTEL_TRACES_EXPORTER" => (Some(SignalKind::Traces), "off") {
        default: "otlp",
        accepts: "`otlp` or `none`",
        help: "Whether traces are exported.",
        apply: |builder, text| exporter(builder, SignalKind::Traces, text),
    }
    "OTEL_LOGS_EXPORTER" => (Some(SignalKind::Logs), "off") {
        default: "otlp",
        accepts: "`otlp` or `none`",
        help: "Whether logs are exported.",
        apply: |builder, text| exporter(builder, SignalKind::Logs, text),
    }
    "OTEL_METRICS_EXPORTER" => (Some(SignalKind::Metrics), "off") {
        default: "otlp",
        accepts: "`otlp`, `prometheus`, both joined by a comma, or `none`",
        help: "Whether metrics are exported, and whether they are served for Prometheus.",
        apply: |builder, text| {
            let exporters = words::parse_each(text, |word| match word {
                "otlp" | "prometheus" => Ok(word),
                "none" if text == "none" => Ok(word),
                _ => Err(Problem::new(format!(
                    "`{word}` is not an exporter that spanwise has: write otlp, prometheus, both, or none alone"
                ))),
            })?;
            builder.named_listener.is_requested = exporters.contains(&"prometheus");
            if !exporters.contains(&"otlp") {
                builder.change_signal(Some(SignalKind::Metrics), ExportOptions::off);
            }
            Ok(())
        },
    }
    "OTEL_RESOURCE_ATTRIBUTES" => (None, "resource_attribute") {
        default: "none",
        accepts: "keys and values joined by commas, such as `cloud.region=eu,team=shop`; values are percent-decoded",
        help: "What all data says about its source. The name, version and environment of the service have settings of their own.",
        apply: |builder, text| {
            let attributes = pairs(text, EmptyValues::Accepted)?;
            builder.change(|builder| {
                attributes.into_iter().fold(builder, |builder, (key, value)| {
                    builder.resource_attribute(key, value)
                })
            });
            Ok(())
        },
    }
    "OTEL_TRACES_SAMPLER" => (Some(SignalKind::Traces), "sampler") {
        default: "parentbased_always_on",
        accepts: "`always_on`, `always_off`, `traceidratio`, or one of these after `parentbased_`",
        help: "Which traces are exported. After `parentbased_`, the caller decides about its traces.",
        apply: |builder, text| {
            // The argument may not be there yet.
            TraceSampler::from_name(text, None)?;
            builder.named_sampler.name = Some(text.to_owned());
            Ok(())
        },
    }
    "OTEL_TRACES_SAMPLER_ARG" => (Some(SignalKind::Traces), "sampler_argument") {
        default: "1",
        accepts: "a number from `0` to `1`",
        help: "The ratio of traces for a sampler that is named after `traceidratio`.",
        apply: |builder, text| {
            TraceSampler::from_name("traceidratio", Some(text))?;
            builder.named_sampler.argument = Some(text.to_owned());
            Ok(())
        },
    }
    "OTEL_PROPAGATORS" => (None, "propagator") {
        default: "tracecontext,baggage",
        accepts: "`tracecontext`, `baggage`, both joined by a comma, or `none`",
        help: "The headers that HTTP requests and code with the API of OpenTelemetry read and send: `traceparent` with `tracestate`, and `baggage`.",
        apply: |builder, text| {
            let words = words::parse_each(text, |word| match word {
                "tracecontext" | "baggage" => Ok(word),
                "none" if text == "none" => Ok(word),
                _ => Err(Problem::new(format!(
                    "`{word}` is not a propagator that spanwise has: write tracecontext, baggage, both, or none alone"
                ))),
            })?;
            let propagator = match (words.contains(&"tracecontext"), words.contains(&"baggage")) {
                (true, true) => W3cPropagator::default(),
                (true, false) => W3cPropagator::trace_context(),
                (false, true) => W3cPropagator::baggage(),
                (false, false) => W3cPropagator::none(),
            };
            builder.change(|builder| builder.propagator(propagator));
            Ok(())
        },
    }
    "OTEL_LOG_LEVEL" => (None, "log_level") {
        default: "info",
        accepts: "a level",
        help: "Has no effect: faults of the exporter are reported on stderr.",
        apply: |_, text| level(text),
    }
    "OTEL_RUST_TRACES_LEVEL" => (Some(SignalKind::Traces), "levels") {
        default: "info",
        accepts: "a level, or directives such as `info,sqlx=off`",
        help: "Which spans are exported. LOG_SPANS decides which there are at all.",
        apply: |builder, text| {
            let levels: TargetLevels = text.parse()?;
            builder.change(|builder| builder.span_options(|options| options.levels(levels)));
            Ok(())
        },
    }
    "OTEL_RUST_LOGS_LEVEL" => (Some(SignalKind::Logs), "levels") {
        default: "all that RUST_LOG enables",
        accepts: "a level, or directives such as `info,sqlx=off`",
        help: "Which events are exported as log records.",
        apply: |builder, text| {
            let levels: TargetLevels = text.parse()?;
            builder.change(|builder| builder.log_options(|options| options.levels(levels)));
            Ok(())
        },
    }
};

/// The limits. Those of all signals come first: those of one signal replace them.
const LIMITS: &[OtelSetting] = rows! {
    "OTEL_ATTRIBUTE_COUNT_LIMIT" => (None, "max_attributes") {
        default: "128",
        accepts: "a number",
        help: "How many attributes a span or log record has at most.",
        apply: |builder, text| {
            let limit = limit(text)?;
            builder.change(|builder| builder.span_options(|options| options.max_attributes(limit)).log_options(|options| options.max_attributes(limit)));
            Ok(())
        },
    }
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT" => (None, "max_value_chars") {
        default: "none but that of 16 KiB",
        accepts: "a number",
        help: "How many characters the text of an attribute has at most.",
        apply: |builder, text| {
            let limit = limit(text)?;
            builder.change(|builder| builder.span_options(|options| options.max_value_chars(limit)).log_options(|options| options.max_value_chars(limit)));
            Ok(())
        },
    }
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" => (Some(SignalKind::Traces), "max_attributes") {
        default: "OTEL_ATTRIBUTE_COUNT_LIMIT",
        accepts: "a number",
        help: "How many attributes a span has at most.",
        apply: |builder, text| {
            let limit = limit(text)?;
            builder.change(|builder| builder.span_options(|options| options.max_attributes(limit)));
            Ok(())
        },
    }
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT" => (Some(SignalKind::Traces), "max_value_chars") {
        default: "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        accepts: "a number",
        help: "How many characters the text of an attribute of a span has at most.",
        apply: |builder, text| {
            let limit = limit(text)?;
            builder.change(|builder| builder.span_options(|options| options.max_value_chars(limit)));
            Ok(())
        },
    }
    "OTEL_SPAN_EVENT_COUNT_LIMIT" => (Some(SignalKind::Traces), "max_events") {
        default: "128",
        accepts: "a number",
        help: "How many events a span has at most.",
        apply: |builder, text| {
            let limit = limit(text)?;
            builder.change(|builder| builder.span_options(|options| options.max_events(limit)));
            Ok(())
        },
    }
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT" => (Some(SignalKind::Traces), "max_event_attributes") {
        default: "128",
        accepts: "a number",
        help: "How many attributes an event of a span has at most.",
        apply: |builder, text| {
            let limit = limit(text)?;
            builder.change(|builder| builder.span_options(|options| options.max_event_attributes(limit)));
            Ok(())
        },
    }
    "OTEL_SPAN_LINK_COUNT_LIMIT" => (Some(SignalKind::Traces), "max_links") {
        default: "128",
        accepts: "a number",
        help: "How many links a span has at most.",
        apply: |builder, text| {
            let limit = limit(text)?;
            builder.change(|builder| builder.span_options(|options| options.max_links(limit)));
            Ok(())
        },
    }
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT" => (Some(SignalKind::Traces), "max_link_attributes") {
        default: "128",
        accepts: "a number",
        help: "How many attributes a link of a span has at most.",
        apply: |builder, text| {
            let limit = limit(text)?;
            builder.change(|builder| builder.span_options(|options| options.max_link_attributes(limit)));
            Ok(())
        },
    }
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT" => (Some(SignalKind::Logs), "max_attributes") {
        default: "OTEL_ATTRIBUTE_COUNT_LIMIT",
        accepts: "a number",
        help: "How many attributes a log record has at most.",
        apply: |builder, text| {
            let limit = limit(text)?;
            builder.change(|builder| builder.log_options(|options| options.max_attributes(limit)));
            Ok(())
        },
    }
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT" => (Some(SignalKind::Logs), "max_value_chars") {
        default: "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        accepts: "a number",
        help: "How many characters the text of an attribute of a log record has at most.",
        apply: |builder, text| {
            let limit = limit(text)?;
            builder.change(|builder| builder.log_options(|options| options.max_value_chars(limit)));
            Ok(())
        },
    }
};

/// The variables of metrics.
const METRICS: &[OtelSetting] = rows! {
    "OTEL_METRIC_EXPORT_INTERVAL" => (Some(SignalKind::Metrics), "interval") {
        default: "60000",
        accepts: "milliseconds from `1000`",
        help: "The time between two exports of metrics.",
        apply: |builder, text| {
            let interval = millis(text, 1_000, 24 * 60 * 60 * 1_000)?;
            builder.change(|builder| builder.metrics_options(|options| options.interval(interval)));
            Ok(())
        },
    }
    "OTEL_METRIC_EXPORT_TIMEOUT" => (Some(SignalKind::Metrics), "export_timeout") {
        default: "30000",
        accepts: "milliseconds, at most `600000`; `0` means the same",
        help: "How long an attempt to send metrics may take, if that is less than the timeout of a request.",
        apply: |builder, text| export_timeout(builder, SignalKind::Metrics, text),
    }
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE" => (Some(SignalKind::Metrics), "temporality") {
        default: "cumulative",
        accepts: "`cumulative`, `delta` or `lowmemory`",
        help: "Whether exported values count from the start or from the last export.",
        apply: |builder, text| {
            let temporality = match () {
                () if text.eq_ignore_ascii_case("cumulative") => MetricTemporality::Cumulative,
                () if text.eq_ignore_ascii_case("delta") => MetricTemporality::Delta,
                () if text.eq_ignore_ascii_case("lowmemory") => MetricTemporality::LowMemory,
                () => return Err(ParseError::word(text, "is not a temporality", "write cumulative, delta or lowmemory")),
            };
            builder.change(|builder| builder.metrics_options(|options| options.temporality(temporality)));
            Ok(())
        },
    }
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION" => (Some(SignalKind::Metrics), "histograms") {
        default: "explicit_bucket_histogram",
        accepts: "`explicit_bucket_histogram` or `base2_exponential_bucket_histogram`",
        help: "The buckets of histograms.",
        apply: |builder, text| {
            let histograms = match () {
                () if text.eq_ignore_ascii_case("explicit_bucket_histogram") => HistogramAggregation::Explicit,
                () if text.eq_ignore_ascii_case("base2_exponential_bucket_histogram") => HistogramAggregation::Base2Exponential,
                () => return Err(ParseError::word(text, "is not an aggregation", "write explicit_bucket_histogram or base2_exponential_bucket_histogram")),
            };
            builder.change(|builder| builder.metrics_options(|options| options.histograms(histograms)));
            Ok(())
        },
    }
    "OTEL_EXPORTER_PROMETHEUS_HOST" => (Some(SignalKind::Metrics), "prometheus_host") {
        default: "localhost",
        accepts: "a name or an address, such as `0.0.0.0`",
        help: "Where metrics are served for Prometheus, if OTEL_METRICS_EXPORTER says so.",
        apply: |builder, text| {
            builder.named_listener.host = Some(text.to_owned());
            Ok(())
        },
    }
    "OTEL_EXPORTER_PROMETHEUS_PORT" => (Some(SignalKind::Metrics), "prometheus_port") {
        default: "9464",
        accepts: "a number up to `65535`; with `0` the system chooses a port",
        help: "The port for Prometheus.",
        apply: |builder, text| {
            let port = number(text, 0, u64::from(u16::MAX), "a port")?;
            builder.named_listener.port = u16::try_from(port).ok();
            Ok(())
        },
    }
    "OTEL_METRICS_EXEMPLAR_FILTER" => (Some(SignalKind::Metrics), "exemplar_filter") {
        default: "trace_based",
        accepts: "`always_on`, `always_off` or `trace_based`",
        help: "Has no effect: there are no exemplars.",
        apply: |_, text| match text {
            "always_on" | "always_off" | "trace_based" => Ok(()),
            _ => Err(ParseError::word(text, "is not a filter", "write always_on, always_off or trace_based")),
        },
    }
};

/// The variables of batches.
const BATCHES: &[OtelSetting] = rows! {
    "OTEL_BSP_SCHEDULE_DELAY" => (Some(SignalKind::Traces), "delay") {
        default: "5000",
        accepts: "milliseconds, at most `3600000`",
        help: "After which time spans are sent that do not fill a batch.",
        apply: |builder, text| delay(builder, SignalKind::Traces, text),
    }
    "OTEL_BSP_EXPORT_TIMEOUT" => (Some(SignalKind::Traces), "export_timeout") {
        default: "30000",
        accepts: "milliseconds, at most `600000`; `0` means the same",
        help: "How long an attempt to send spans may take, if that is less than the timeout of a request.",
        apply: |builder, text| export_timeout(builder, SignalKind::Traces, text),
    }
    "OTEL_BSP_MAX_QUEUE_SIZE" => (Some(SignalKind::Traces), "max_queue_len") {
        default: "2048",
        accepts: "a number from `1` to `1000000`",
        help: "How many spans may wait.",
        apply: |builder, text| queue_len(builder, SignalKind::Traces, text),
    }
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE" => (Some(SignalKind::Traces), "max_batch_len") {
        default: "512",
        accepts: "a number from `1` to that of the queue",
        help: "How many spans a request has at most.",
        apply: |builder, text| batch_len(builder, SignalKind::Traces, text),
    }
    "OTEL_BLRP_SCHEDULE_DELAY" => (Some(SignalKind::Logs), "delay") {
        default: "1000",
        accepts: "milliseconds, at most `3600000`",
        help: "After which time log records are sent that do not fill a batch.",
        apply: |builder, text| delay(builder, SignalKind::Logs, text),
    }
    "OTEL_BLRP_EXPORT_TIMEOUT" => (Some(SignalKind::Logs), "export_timeout") {
        default: "30000",
        accepts: "milliseconds, at most `600000`; `0` means the same",
        help: "How long an attempt to send log records may take, if that is less than the timeout of a request.",
        apply: |builder, text| export_timeout(builder, SignalKind::Logs, text),
    }
    "OTEL_BLRP_MAX_QUEUE_SIZE" => (Some(SignalKind::Logs), "max_queue_len") {
        default: "2048",
        accepts: "a number from `1` to `1000000`",
        help: "How many log records may wait.",
        apply: |builder, text| queue_len(builder, SignalKind::Logs, text),
    }
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE" => (Some(SignalKind::Logs), "max_batch_len") {
        default: "512",
        accepts: "a number from `1` to that of the queue",
        help: "How many log records a request has at most.",
        apply: |builder, text| batch_len(builder, SignalKind::Logs, text),
    }
};

fn config_file(path: &str) -> Result<(), ParseError> {
    Err(ParseError::word(
        path,
        "is a configuration file of OpenTelemetry, which is not read",
        "unset it, and set the other variables",
    ))
}

fn exporter(builder: &mut OtelBuilder, signal: SignalKind, text: &str) -> Result<(), ParseError> {
    match text {
        "otlp" => {}
        "none" => builder.change_signal(Some(signal), ExportOptions::off),
        _ => {
            let hint = "write otlp or none";
            return Err(ParseError::word(
                text,
                "is not an exporter that spanwise has",
                hint,
            ));
        }
    }
    Ok(())
}

fn delay(builder: &mut OtelBuilder, signal: SignalKind, text: &str) -> Result<(), ParseError> {
    let delay = millis(text, 0, 3_600_000)?;
    builder.change_signal(Some(signal), |options| options.delay(delay));
    Ok(())
}

fn export_timeout(
    builder: &mut OtelBuilder,
    signal: SignalKind,
    text: &str,
) -> Result<(), ParseError> {
    let timeout = millis(text, 0, 600_000)?;
    builder.change_signal(Some(signal), |options| options.export_timeout(timeout));
    Ok(())
}

fn queue_len(builder: &mut OtelBuilder, signal: SignalKind, text: &str) -> Result<(), ParseError> {
    let len = count(text, 1, 1_000_000)?;
    builder.change_signal(Some(signal), |options| options.max_queue_len(len));
    Ok(())
}

fn batch_len(builder: &mut OtelBuilder, signal: SignalKind, text: &str) -> Result<(), ParseError> {
    let len = count(text, 1, 1_000_000)?;
    builder.change_signal(Some(signal), |options| options.max_batch_len(len));
    Ok(())
}
