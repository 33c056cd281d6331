//! The environment variables of the exporter, in tables. All but `OTEL_RUST_TRACES_LEVEL` and
//! `OTEL_RUST_LOGS_LEVEL` are standard variables of OpenTelemetry.

// Defines the macros of the rows, which the modules below use.
#[macro_use]
mod setting_rows;

mod batch_settings;
mod exporter_settings;
mod limit_settings;
mod metric_settings;
mod signal_settings;

use std::mem;

use spanwise_core::{ParseError, Setting};

use self::{
    batch_settings::BATCHES, exporter_settings::EXPORTERS, limit_settings::LIMITS,
    metric_settings::METRICS, signal_settings::SIGNALS,
};
use crate::{ExportOptions, InvalidOption, Otel, OtelBuilder, SignalKind};

/// An environment variable, and the option that it changes. `OTEL_RUST_TRACES_LEVEL` and
/// `OTEL_RUST_LOGS_LEVEL` are additions to the variables of the [specification].
///
/// [specification]: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
#[derive(Debug, Clone, Copy)]
pub struct OtelSetting {
    /// The definition: the name, the default, the accepted values.
    pub def: Setting,
    apply: fn(&mut OtelBuilder, &str) -> Result<(), ParseError>,
    /// The option of the builder that the variable sets, as in [`InvalidOption`]: the signal, or
    /// `None` for all signals, and the name of the option.
    option: (Option<SignalKind>, &'static str),
}

impl OtelBuilder {
    /// Applies the value of a variable. Apply variables in the order of [`OtelSetting::all`]: a
    /// limit for spans and log records would replace an earlier limit for one of them.
    ///
    /// # Errors
    /// If the text is not valid. The builder does not change then.
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
        [EXPORTERS, SIGNALS, BATCHES, LIMITS, METRICS]
            .into_iter()
            .flatten()
    }

    /// Returns whether the variable is the address of a collector.
    #[must_use]
    pub fn is_endpoint(&self) -> bool {
        let (_, option) = self.option;
        option == "endpoint"
    }

    /// Returns whether the variable is the address of a collector of this signal or of all signals.
    #[must_use]
    pub fn is_endpoint_of(&self, signal: SignalKind) -> bool {
        let (only_signal, _) = self.option;
        self.is_endpoint() && only_signal.is_none_or(|only| only == signal)
    }

    /// Returns whether this value enables an export or a listener: it is the address of a
    /// collector, or it requests metrics for Prometheus.
    #[must_use]
    pub fn enables(&self, text: &str) -> bool {
        self.is_endpoint() || self.names_exporter(text, "prometheus").is_some()
    }

    /// Returns the signal for which this value requests an export over OTLP. The signal then needs
    /// an endpoint.
    #[must_use]
    pub fn exports(&self, text: &str) -> Option<SignalKind> {
        self.names_exporter(text, "otlp")
    }

    /// Returns whether a wrong value of the variable is reported even if nothing is exported. This
    /// holds for `OTEL_METRICS_EXPORTER`: its value `prometheus` needs no endpoint, so a typing
    /// error in the value would stay unnoticed.
    #[must_use]
    pub fn may_enable(&self) -> bool {
        self.option == (Some(SignalKind::Metrics), "off")
    }

    /// Returns the signal of the variable if it lists exporters, and `exporter` is one of them.
    fn names_exporter(&self, text: &str, exporter: &str) -> Option<SignalKind> {
        // `OTEL_TRACES_EXPORTER` and its siblings set the option `off`.
        let (signal, option) = self.option;
        let is_exporter = |word: &str| word.trim().eq_ignore_ascii_case(exporter);
        let is_named = || text.split(',').any(is_exporter);
        signal.filter(|_| option == "off" && is_named())
    }

    /// Returns whether this value switches all exports off.
    #[must_use]
    pub fn disables_all(&self, text: &str) -> bool {
        self.def.name == "OTEL_SDK_DISABLED" && text.eq_ignore_ascii_case("true")
    }

    /// Returns whether this variable may be the cause of `invalid`: if its value is wrong and was
    /// not applied, `invalid` may be a mere consequence.
    #[must_use]
    pub fn decides_about(&self, invalid: &InvalidOption) -> bool {
        let (signal, option) = self.option;
        // Options of one topic are checked together.
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
