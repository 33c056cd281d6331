//! The sink that exports traces, logs and metrics over OTLP. `OTEL_EXPORTER_OTLP_ENDPOINT` and the
//! other variables of OpenTelemetry configure it.

use std::{mem, sync::Arc};

use spanwise_core::{ParseError, Sensitivity};
use spanwise_otel::{
    InvalidOption, Otel, OtelBuilder, OtelError, OtelGuard, OtelSetting, OtelStats,
};

use super::{
    BuilderChanges, GuardedSink, OptionalSink, SinkChanges, SinkType, StackContext, StartedSink,
};
use crate::{
    Preset, Stack,
    choices::{Choices, Chosen, describe},
    conceal,
    explain::Origin,
    service::Service,
    settings::{OTEL_EXPORTER_OTLP_ENDPOINT, SERVICE_NAME, SERVICE_VERSION},
};

pub(super) const SINK_TYPE: SinkType = SinkType {
    choose: OtelSink::choose,
    own_settings: || OtelSetting::all().map(|setting| setting.def).collect(),
};

/// Whether fields of events become metrics: see `Builder::metrics_of_events`.
#[derive(Clone, Copy, Default)]
struct MeasuresEvents(bool);

/// The OpenTelemetry exporter, before it starts.
pub(crate) struct OtelSink {
    builder: OtelBuilder,
    changes: BuilderChanges<OtelBuilder>,
    /// The settings of OpenTelemetry that are set, each with the name that errors show.
    named_settings: Vec<(&'static OtelSetting, String)>,
    has_endpoint_in_code: bool,
    /// Whether code changes the builder.
    has_changes: bool,
    measures_events: bool,
}

type RunningOtel = GuardedSink<Otel, OtelGuard>;

impl OtelSink {
    /// Returns the sink if a setting turns it on. If none does, only settings that could turn the
    /// sink on are checked, because the other variables may be meant for other programs.
    fn choose(
        changes: &SinkChanges,
        choices: &mut Choices<'_>,
        service: &Service,
    ) -> Option<Box<dyn OptionalSink>> {
        let endpoint = choices.choose(&OTEL_EXPORTER_OTLP_ENDPOINT);
        let endpoint_in_code = endpoint.filter(|endpoint| endpoint.origin == Origin::Code);
        // Tests on a machine with a configured service must not export.
        let reads_variables = choices.preset != Preset::Test;
        let find_setting = |choices: &Choices<'_>, predicate: fn(&OtelSetting, &str) -> bool| {
            let mut settings = OtelSetting::all().filter(|_| reads_variables);
            settings.find(|setting| {
                let text = choices.unchecked_text(&setting.def);
                text.is_some_and(|text| predicate(setting, &text))
            })
        };
        if endpoint_in_code.is_none() && find_setting(choices, OtelSetting::enables).is_none() {
            if find_setting(choices, OtelSetting::disables_all).is_none() && reads_variables {
                check_enabling_settings(choices);
            }
            return None;
        }
        if let Some(setting) = find_setting(choices, OtelSetting::disables_all) {
            let text = choices.sourced_text(&setting.def)?;
            choices.add_explanation(&setting.def, text.value, &text.origin);
            return None;
        }
        let mut builder = Otel::builder_without_endpoint();
        // `OTEL_RESOURCE_ATTRIBUTES` overrides the default name and version of the service. A name
        // or a version that is set overrides `OTEL_RESOURCE_ATTRIBUTES`.
        let has_name = choices.explicit_value(&SERVICE_NAME).is_some();
        let has_version = choices.explicit_value(&SERVICE_VERSION).is_some();
        builder = builder.resource_attribute("service.name", &service.name);
        if let Some(version) = &service.version {
            builder = builder.resource_attribute("service.version", version);
        }
        let mut named_settings = Vec::new();
        // The signals that settings export over OTLP, each with the name of the setting.
        let mut exported = Vec::new();
        let mut invalid_settings: Vec<&OtelSetting> = Vec::new();
        for setting in OtelSetting::all().filter(|_| reads_variables) {
            let is_general_endpoint = setting.def.name == OTEL_EXPORTER_OTLP_ENDPOINT.def.name;
            if is_general_endpoint && endpoint_in_code.is_some() {
                continue;
            }
            let Some(Chosen { value, origin }) = choices.sourced_text(&setting.def) else {
                continue;
            };
            let name = origin.source_name().unwrap_or(setting.def.name).to_owned();
            exported.extend(setting.exports(&value).map(|signal| (name.clone(), signal)));
            match builder.apply(setting, &value) {
                Ok(()) if is_general_endpoint => {}
                Ok(()) => {
                    choices.add_explanation(&setting.def, shown_value(setting, &value), &origin)
                }
                Err(error) => {
                    choices.add_invalid_value(invalid_value(setting, &name, &value, &error));
                    invalid_settings.push(setting);
                }
            }
            named_settings.push((setting, name));
        }
        let has_endpoint_in_code = endpoint_in_code.is_some();
        // Code that changes the builder may set an endpoint later.
        let builder_changes = changes.get::<BuilderChanges<OtelBuilder>>();
        let has_changes = !builder_changes.is_empty();
        for (name, signal) in exported {
            let mut settings = named_settings.iter();
            let has_endpoint = settings.any(|(setting, _)| setting.is_endpoint_of(signal));
            if !(has_endpoint || has_endpoint_in_code || has_changes) {
                choices.add_problem(format!(
                    "{name}: otlp has no endpoint: set {}, or remove otlp",
                    OTEL_EXPORTER_OTLP_ENDPOINT.def.name
                ));
            }
        }
        if let Some(endpoint) = endpoint_in_code {
            builder = builder.endpoint(endpoint.value);
        }
        if has_name {
            builder = builder.service_name(&service.name);
        }
        if let Some(version) = service.version.as_ref().filter(|_| has_version) {
            builder = builder.service_version(version);
        }
        if let Some(environment) = &service.environment {
            builder = builder.environment(environment);
        }
        if let Some(node) = &service.node {
            builder = builder.service_instance_id(node);
        }
        let sink = Self {
            builder,
            changes: builder_changes,
            named_settings,
            has_endpoint_in_code,
            has_changes,
            measures_events: changes.get::<MeasuresEvents>().0,
        };
        if !has_changes {
            for invalid in sink.builder.invalid_options() {
                if !invalid_settings
                    .iter()
                    .any(|setting| setting.decides_about(&invalid))
                {
                    choices.add_problem(sink.problem(&invalid));
                }
            }
        }
        Some(Box::new(sink))
    }

    /// Returns the problem of an invalid option, with the name of its variable or setter.
    fn problem(&self, invalid: &InvalidOption) -> String {
        let is_endpoint = OtelSetting::for_option(invalid).is_some_and(OtelSetting::is_endpoint);
        if is_endpoint && invalid.signal.is_none() && self.has_endpoint_in_code {
            return format!("Builder::otlp_endpoint: {}", invalid.error);
        }
        let mut for_all_signals = invalid.clone();
        for_all_signals.signal = None;
        let mut settings = [invalid, &for_all_signals]
            .into_iter()
            .filter_map(OtelSetting::for_option);
        let name_of = |setting: &OtelSetting| {
            let mut named_settings = self.named_settings.iter();
            let found = named_settings.find(|(other, _)| other.def.name == setting.def.name);
            found.map(|(_, name)| name.clone())
        };
        // If no setting sets the option, another setting makes the option necessary. The problem
        // then names the missing variable: that of the signal, or else that of all signals.
        let needed =
            OtelSetting::for_option(invalid).or_else(|| OtelSetting::for_option(&for_all_signals));
        let needed = needed.filter(|_| !self.has_changes);
        // If a configuration file makes the option necessary, the problem also names the position
        // in the file. Only names from a file contain `: `.
        let needed = needed.map(|setting| {
            let first = self.named_settings.first().map(|(_, name)| &**name);
            match first.filter(|name| name.contains(": ")) {
                Some(first) => format!("{first}: {}", setting.def.name),
                None => setting.def.name.to_owned(),
            }
        });
        match settings.find_map(name_of).or(needed) {
            Some(name) => format!("{name}: {}", invalid.error),
            None => format!("Builder::otel: {invalid}"),
        }
    }
}

/// Reports invalid values that may have been meant to enable an export.
fn check_enabling_settings(choices: &mut Choices<'_>) {
    for setting in OtelSetting::all().filter(|setting| setting.may_enable()) {
        if let Some(Chosen { value, origin }) = choices.sourced_text(&setting.def)
            && let Err(error) = Otel::builder_without_endpoint().apply(setting, &value)
        {
            let name = origin.source_name().unwrap_or(setting.def.name);
            choices.add_invalid_value(invalid_value(setting, name, &value, &error));
        }
    }
}

/// Returns a value as `explain()` shows it.
fn shown_value(setting: &OtelSetting, text: &str) -> String {
    match setting.def.sensitivity {
        Sensitivity::Public if setting.is_endpoint() => conceal::url(text),
        Sensitivity::Public => conceal::shown_unquoted(text),
        Sensitivity::Secret => conceal::hidden(text.len()),
    }
}

/// Returns the sentence about an invalid value. Does not show secrets.
fn invalid_value(setting: &OtelSetting, name: &str, text: &str, error: &ParseError) -> String {
    let is_shown = setting.def.sensitivity == Sensitivity::Public
        && !(setting.is_endpoint() && conceal::has_user_or_query(text));
    if is_shown {
        describe(&format!("{name}={}", conceal::shown(text)), text, error)
    } else {
        let error = conceal::message(&error.to_string(), text);
        format!("{name}: {error}")
    }
}

impl OptionalSink for OtelSink {
    fn start(mut self: Box<Self>, context: &StackContext<'_>) -> Result<StartedSink, Vec<String>> {
        let builder = mem::replace(&mut self.builder, Otel::builder_without_endpoint());
        let mut builder = builder.report(context.report.clone());
        for (name, value) in context.static_fields.iter() {
            builder = builder.resource_attribute(name, value);
        }
        for key in context.context_keys {
            builder = builder.log_options(|options| options.context_key(key));
        }
        if let Some(policy) = context.policy {
            builder = builder.redact(Arc::clone(policy));
        }
        let built = self.changes.apply(builder).build();
        let (otel, guard) = built.map_err(|error| match error {
            OtelError::Options(invalid) => {
                invalid.iter().map(|option| self.problem(option)).collect()
            }
            _ => vec![error.to_string()],
        })?;
        let (spans, logs, writer) = (otel.spans(), otel.logs(), otel.log_writer());
        // The layer that measures fields of events also counts events.
        let (events, counts) = match self.measures_events {
            true => (otel.metrics_of_events(), None),
            false => (None, otel.event_counts()),
        };
        let add_layers = move |mut stack: Stack| {
            if let Some(spans) = spans {
                stack = stack.first(spans);
            }
            if let Some(events) = events {
                stack = stack.metrics(events);
            }
            if let Some(counts) = counts {
                stack = stack.metrics(counts);
            }
            match (logs, writer) {
                (Some(logs), Some(writer)) => {
                    stack.redacting_lines(writer, |writer| logs.with_writer(writer))
                }
                _ => stack,
            }
        };
        let running = RunningOtel {
            handle: otel,
            _guard: guard,
            on_installed: Otel::install_globals,
        };
        Ok(StartedSink::new(add_layers, running))
    }
}

impl crate::Builder {
    /// Sets the OpenTelemetry Collector that receives traces, logs and metrics. Overrides
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, and works with every preset.
    ///
    /// ```
    /// let builder = spanwise::Builder::new(spanwise::Preset::Prod)
    ///     .otlp_endpoint("http://collector:4318")
    ///     .otel(|otel| otel.service_instance_id("shop-1"));
    /// ```
    pub fn otlp_endpoint(self, endpoint: impl Into<String>) -> Self {
        self.put_text(&OTEL_EXPORTER_OTLP_ENDPOINT, endpoint)
    }

    /// Changes the options of OpenTelemetry, after the settings of the environment were applied.
    /// `change` is called only if there is an endpoint, or `OTEL_METRICS_EXPORTER=prometheus`, and
    /// not with `OTEL_SDK_DISABLED=true`. Each further call of `otel` adds a change.
    pub fn otel<F>(mut self, change: F) -> Self
    where
        F: FnOnce(OtelBuilder) -> OtelBuilder + Send + Sync + 'static,
    {
        self.sinks
            .get_mut::<BuilderChanges<OtelBuilder>>()
            .push(change);
        self
    }

    /// Converts the fields `monotonic_counter.*`, `counter.*`, `histogram.*` and `gauge.*` of
    /// events to metrics, if metrics are exported or served. The other fields of these events
    /// become attributes if they are numbers, texts or booleans.
    pub fn metrics_of_events(mut self) -> Self {
        *self.sinks.get_mut() = MeasuresEvents(true);
        self
    }
}

impl crate::Handle {
    /// Returns the content type and the body for a scrape by Prometheus. `accept` is the `Accept`
    /// header of the request. If the header prefers OpenMetrics, the body has that format. The body
    /// has no metrics if there are none, or if they are not
    /// [available as text](crate::otel::MetricsOptions::text).
    ///
    /// The method calls the callbacks of instruments and waits for them up to four seconds, so call
    /// it only where blocking is allowed.
    ///
    /// ```
    /// use spanwise::{Builder, Output, Preset};
    ///
    /// let telemetry = Builder::new(Preset::Prod)
    ///     .output(Output::None)
    ///     .otlp_endpoint("http://127.0.0.1:4318")
    ///     .init()?;
    /// let (content_type, text) = telemetry.handle().metrics_text(None);
    /// assert!(content_type.starts_with("text/plain"));
    /// assert!(text.contains("process_cpu_time_seconds_total") || cfg!(not(target_os = "linux")));
    /// # Ok::<(), spanwise::InitError>(())
    /// ```
    #[must_use]
    pub fn metrics_text(&self, accept: Option<&str>) -> (&'static str, String) {
        match self.sink::<RunningOtel>() {
            Some(running) => running.handle.metrics_text(accept),
            None => ("text/plain; version=0.0.4; charset=utf-8", String::new()),
        }
    }

    /// Measures the workers, the tasks and the queue of a Tokio runtime, if metrics are exported or
    /// served: `tokio.runtime.workers` and others.
    ///
    /// ```
    /// # async fn start() -> Result<(), spanwise::InitError> {
    /// let telemetry = spanwise::init_from_env!()?;
    /// telemetry.handle().observe_runtime(&tokio::runtime::Handle::current());
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn observe_runtime(&self, runtime: &tokio::runtime::Handle) {
        if let Some(running) = self.sink::<RunningOtel>() {
            running.handle.observe_runtime(runtime);
        }
    }

    /// Returns the counters of traces, logs and metrics that are exported over OTLP. All counters
    /// are zero without an exporter.
    #[must_use]
    pub fn otel_stats(&self) -> OtelStats {
        let running = self.sink::<RunningOtel>();
        running
            .map(|running| running.handle.stats())
            .unwrap_or_default()
    }
}
