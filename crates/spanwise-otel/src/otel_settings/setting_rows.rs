//! The macros that define the tables of environment variables.

/// Defines four variables per row: one for all signals, and one for each signal, which defaults to
/// the variable for all signals.
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
            signal: $signal,
            option: $option,
        }
    };
}

/// Defines one variable per row.
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
            signal: $signal,
            option: $option,
        }),*]
    };
}
