//! The variables that select, sample and describe what is exported.

use spanwise_core::{ParseError, Problem, Sensitivity, Setting, TargetLevels, words};

use super::OtelSetting;
use crate::{
    ExportOptions, OtelBuilder, SignalKind, TraceSampler, W3cPropagator,
    setting_texts::{PairKind, check_level, parse_boolean, parse_pairs, word_value},
};

pub(super) const SIGNALS: &[OtelSetting] = rows! {
    "OTEL_SDK_DISABLED" => (None, "disabled") {
        default: "false",
        accepts: "`true` or `false`",
        help: "Whether all exports are switched off.",
        apply: |_, text| parse_boolean(text).map(drop),
    }
    "OTEL_CONFIG_FILE" => (None, "config_file") {
        default: "none",
        accepts: "nothing: a file of OpenTelemetry's declarative configuration would replace all other variables, and is not read yet",
        help: "Stops the start.",
        apply: |_, text| refuse_config_file(text),
    }
    "OTEL_EXPERIMENTAL_CONFIG_FILE" => (None, "config_file") {
        default: "none",
        accepts: "nothing, like OTEL_CONFIG_FILE",
        help: "Stops the start.",
        apply: |_, text| refuse_config_file(text),
    }
    "OTEL_TRACES_EXPORTER" => (Some(SignalKind::Traces), "off") {
        default: "otlp",
        accepts: "`otlp` or `none`",
        help: "Whether traces are exported.",
        apply: |builder, text| set_exporter(builder, SignalKind::Traces, text),
    }
    "OTEL_LOGS_EXPORTER" => (Some(SignalKind::Logs), "off") {
        default: "otlp",
        accepts: "`otlp` or `none`",
        help: "Whether logs are exported.",
        apply: |builder, text| set_exporter(builder, SignalKind::Logs, text),
    }
    "OTEL_METRICS_EXPORTER" => (Some(SignalKind::Metrics), "off") {
        default: "otlp",
        accepts: "`otlp`, `prometheus`, both joined by a comma, or `none`",
        help: "Whether metrics are exported, and whether they are served for Prometheus.",
        apply: |builder, text| {
            let exporters = parse_choices(text, ["otlp", "prometheus"], |word| {
                format!("`{word}` is not an exporter that spanwise has: write otlp, prometheus, both, or none alone")
            })?;
            builder.change_listener_variables(|listener| {
                listener.is_requested = exporters.contains(&"prometheus");
            });
            if !exporters.contains(&"otlp") {
                builder.change_signal(Some(SignalKind::Metrics), ExportOptions::off);
            }
            Ok(())
        },
    }
    "OTEL_RESOURCE_ATTRIBUTES" => (None, "resource_attribute") {
        default: "none",
        accepts: "keys and values joined by commas, such as `cloud.region=eu,team=shop`; both are percent-decoded",
        help: "Attributes of the source of all data. The name, version and environment of the service have settings of their own.",
        apply: |builder, text| {
            let attributes = parse_pairs(text, PairKind::ResourceAttributes)?;
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
        help: "Which traces are exported. With `parentbased_`, the traces of a caller follow the decision of the caller.",
        apply: |builder, text| {
            // Checks the name alone, because the argument is applied later.
            TraceSampler::from_name(text, None)?;
            builder.change_sampler_variables(|sampler| sampler.name = Some(text.to_owned()));
            Ok(())
        },
    }
    "OTEL_TRACES_SAMPLER_ARG" => (Some(SignalKind::Traces), "sampler_argument") {
        default: "1",
        accepts: "a number from `0` to `1`",
        help: "The ratio of traces that the samplers `traceidratio` and `parentbased_traceidratio` export.",
        apply: |builder, text| {
            TraceSampler::from_name("traceidratio", Some(text))?;
            builder.change_sampler_variables(|sampler| sampler.argument = Some(text.to_owned()));
            Ok(())
        },
    }
    "OTEL_PROPAGATORS" => (None, "propagator") {
        default: "tracecontext,baggage",
        accepts: "`tracecontext`, `baggage`, both joined by a comma, or `none`",
        help: "The headers that HTTP requests and code that uses the API of OpenTelemetry read and send: `traceparent` with `tracestate`, and `baggage`.",
        apply: |builder, text| {
            let propagators = parse_choices(text, ["tracecontext", "baggage"], |word| {
                format!("`{word}` is not a propagator that spanwise has: write tracecontext, baggage, both, or none alone")
            })?;
            let has = |propagator| propagators.contains(&propagator);
            let propagator = match (has("tracecontext"), has("baggage")) {
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
        help: "Has no effect: faults of the exporter are always reported on stderr.",
        apply: |_, text| check_level(text),
    }
    "OTEL_RUST_TRACES_LEVEL" => (Some(SignalKind::Traces), "levels") {
        default: "info",
        accepts: "a level, or directives such as `info,sqlx=off`",
        help: "Which spans are exported. LOG_SPANS decides which spans are enabled at all.",
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

fn refuse_config_file(path: &str) -> Result<(), ParseError> {
    Err(ParseError::word(
        path,
        "is a configuration file of OpenTelemetry, which is not read",
        "unset it, and set the other variables",
    ))
}

fn set_exporter(
    builder: &mut OtelBuilder,
    signal: SignalKind,
    text: &str,
) -> Result<(), ParseError> {
    match word_value(text, &[("otlp", true), ("none", false)]) {
        Some(true) => {}
        Some(false) => builder.change_signal(Some(signal), ExportOptions::off),
        None => {
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

/// Parses a list of `accepted` words, in upper or lower case, or `none` alone. Returns the words as
/// `accepted` has them, or no words for `none`. `problem` describes a word that is not accepted.
fn parse_choices(
    text: &str,
    accepted: [&'static str; 2],
    problem: impl Fn(&str) -> String,
) -> Result<Vec<&'static str>, ParseError> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(Vec::new());
    }
    words::parse_each(text, |word| {
        word_value(word, &accepted.map(|accepted| (accepted, accepted)))
            .ok_or_else(|| Problem::new(problem(word)))
    })
}
