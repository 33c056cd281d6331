//! The environment variables of the exporter, in tables. A row documents a variable, and applies
//! its value to an [`OtelBuilder`]. The caller reads the environment.

// Defines the macros `rows` and `exporter_rows`, which the modules below use.
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
    /// The signal whose option the variable sets. `None` for all signals.
    signal: Option<SignalKind>,
    /// The option of the builder that the variable sets, by its name in [`InvalidOption`].
    option: &'static str,
}

impl OtelBuilder {
    /// Applies `text` as the value of a variable. Apply variables in the order of
    /// [`OtelSetting::all`], because a limit for both spans and log records replaces an earlier
    /// limit for one of them.
    ///
    /// # Errors
    /// If the text is not valid. The builder is then unchanged.
    pub fn apply(&mut self, setting: &OtelSetting, text: &str) -> Result<(), ParseError> {
        (setting.apply)(self, text)
    }

    /// Calls setters, which take the builder by value.
    fn change(&mut self, change: impl FnOnce(Self) -> Self) {
        let builder = mem::replace(self, Otel::builder_without_endpoint());
        *self = change(builder);
    }

    /// Calls setters of the options of one signal, or of all signals if `signal` is `None`.
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
        self.option == "endpoint"
    }

    /// Returns whether the variable is the address of a collector of this signal or of all signals.
    #[must_use]
    pub fn is_endpoint_of(&self, signal: SignalKind) -> bool {
        self.is_endpoint() && self.signal.is_none_or(|only_signal| only_signal == signal)
    }

    /// Returns whether the value `text` of this variable enables an export or a listener: the
    /// variable is the address of a collector, or `text` requests metrics for Prometheus.
    #[must_use]
    pub fn enables(&self, text: &str) -> bool {
        // Only metrics have this exporter.
        let metrics = Some(SignalKind::Metrics);
        self.is_endpoint() || self.names_exporter(text, "prometheus") == metrics
    }

    /// Returns the signal of this variable if the value `text` requests its export over OTLP. The
    /// signal then needs an endpoint.
    #[must_use]
    pub fn exports(&self, text: &str) -> Option<SignalKind> {
        self.names_exporter(text, "otlp")
    }

    /// Returns whether an invalid value of the variable is reported even if nothing is exported.
    /// Only `OTEL_METRICS_EXPORTER` needs this. Its value `prometheus` needs no endpoint, so
    /// nothing else would show that the value is misspelled.
    #[must_use]
    pub fn may_enable(&self) -> bool {
        self.signal == Some(SignalKind::Metrics) && self.option == "off"
    }

    /// Returns the signal of the variable if `text` is a list of exporters that has `exporter`.
    fn names_exporter(&self, text: &str, exporter: &str) -> Option<SignalKind> {
        // `OTEL_TRACES_EXPORTER` and its siblings set the option `off`.
        let lists_exporters = self.option == "off";
        let is_exporter = |word: &str| word.trim().eq_ignore_ascii_case(exporter);
        let is_named = || text.split(',').any(is_exporter);
        self.signal.filter(|_| lists_exporters && is_named())
    }

    /// Returns whether the value `text` of this variable switches all exports off.
    #[must_use]
    pub fn disables_all(&self, text: &str) -> bool {
        self.def.name == "OTEL_SDK_DISABLED" && text.eq_ignore_ascii_case("true")
    }

    /// Returns whether `invalid` may be a mere consequence of a wrong value of this variable. Such
    /// a value is not applied, so an option that is checked together with it may become invalid.
    #[must_use]
    pub fn decides_about(&self, invalid: &InvalidOption) -> bool {
        // Options of one topic are checked together.
        let topic = |option| match option {
            "sampler" | "sampler_argument" => "sampler",
            "off" if self.signal == Some(SignalKind::Metrics) => "listener",
            "prometheus_host" | "prometheus_port" => "listener",
            "endpoint" | "protocol" | "insecure" | "root_certificates" | "client_certificate"
            | "client_key" => "connection",
            "max_queue_len" | "max_batch_len" => "batch",
            other => other,
        };
        let have_common_signal =
            self.signal.is_none() || invalid.signal.is_none() || self.signal == invalid.signal;
        have_common_signal && topic(self.option) == topic(invalid.option)
    }

    /// Returns the variable that sets the option `invalid`, which the builder refused.
    #[must_use]
    pub fn for_option(invalid: &InvalidOption) -> Option<&'static Self> {
        let sets_option =
            |setting: &&Self| (setting.signal, setting.option) == (invalid.signal, invalid.option);
        Self::all().find(sets_option)
    }
}
