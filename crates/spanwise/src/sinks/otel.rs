//! Traces and logs over OTLP: `OTEL_EXPORTER_OTLP_ENDPOINT` and the other variables of
//! OpenTelemetry.

use std::{io, sync::Arc, time::Instant};

use spanwise_core::{Flush, Sensitivity, SinkControl, internal::sync::Mutex};
use spanwise_otel::{
    InvalidOption, Otel, OtelBuilder, OtelError, OtelGuard, OtelSetting, OtelStats,
};

use super::{OptionalSink, RunningSink, SinkChanges, StackContext, StartedSink};
use crate::{
    Preset, Stack,
    choices::{Choices, Chosen, describe},
    conceal,
    explain::Origin,
    service::Service,
    settings::OTEL_EXPORTER_OTLP_ENDPOINT,
};

/// What `Builder::otel` changes, until the sink starts.
#[derive(Clone, Default)]
pub(crate) struct OtelChange(Arc<Mutex<Option<Change>>>);

type Change = Box<dyn FnOnce(OtelBuilder) -> OtelBuilder + Send + Sync>;

/// The choices about the exporter.
pub(crate) struct OtelSink {
    builder: OtelBuilder,
    change: OtelChange,
    measures_events: bool,
}

/// The exporter, until the shutdown.
struct RunningOtel {
    otel: Otel,
    #[expect(dead_code, reason = "dropping it ends the exporter")]
    guard: OtelGuard,
}

impl OtelChange {
    pub(crate) fn new(
        change: impl FnOnce(OtelBuilder) -> OtelBuilder + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(change)))))
    }

    fn is_set(&self) -> bool {
        self.0.lock().is_some()
    }

    fn apply(&self, builder: OtelBuilder) -> OtelBuilder {
        let change = self.0.lock().take();
        match change {
            Some(change) => change(builder),
            None => builder,
        }
    }
}

impl OtelSink {
    /// Returns the sink if there is an endpoint. The other variables are read only then: they may
    /// be there for other programs.
    pub(super) fn choose(
        changes: &SinkChanges,
        choices: &mut Choices<'_>,
        service: &Service,
    ) -> Option<Box<dyn OptionalSink>> {
        let general = choices.choose(&OTEL_EXPORTER_OTLP_ENDPOINT);
        let is_in_code = matches!(&general, Some(endpoint) if endpoint.origin == Origin::Code);
        // Tests that run where a service is configured export nothing.
        let reads_variables = choices.preset != Preset::Test;
        let has_own_endpoint = || {
            let mut endpoints = OtelSetting::all().filter(|setting| setting.is_endpoint());
            reads_variables && endpoints.any(|setting| choices.foreign_text(&setting.def).is_some())
        };
        if !is_in_code && general.is_none() && !has_own_endpoint() {
            return None;
        }
        let mut builder = Otel::builder_without_endpoint();
        if reads_variables {
            let mut is_disabled = false;
            for setting in OtelSetting::all() {
                let Some(Chosen {
                    value: text,
                    origin,
                }) = choices.sourced_text(&setting.def)
                else {
                    continue;
                };
                match builder.apply(setting, &text) {
                    Ok(()) => choices.explain(&setting.def, shown(setting, &text), origin),
                    Err(error) => choices.wrong(match setting.def.sensitivity {
                        Sensitivity::Public => {
                            let value = format!("{}={}", setting.def.name, conceal::shown(&text));
                            describe(&value, &text, &error)
                        }
                        Sensitivity::Secret => {
                            let error = conceal::message(&error.to_string(), &text);
                            format!("{}: {error}", setting.def.name)
                        }
                    }),
                }
                is_disabled |= setting.disables_all(&text);
            }
            if is_disabled {
                return None;
            }
        }
        if let Some(endpoint) = general {
            builder = builder.endpoint(endpoint.value);
        }
        builder = builder.service_name(&service.name);
        if let Some(version) = &service.version {
            builder = builder.service_version(version);
        }
        if let Some(environment) = &service.environment {
            builder = builder.environment(environment);
        }
        Some(Box::new(Self {
            builder,
            change: changes.otel.clone(),
            measures_events: changes.measures_events,
        }))
    }
}

/// Returns a value as `explain()` shows it.
fn shown(setting: &OtelSetting, text: &str) -> String {
    match setting.def.sensitivity {
        Sensitivity::Public if setting.is_endpoint() => conceal::address(text),
        Sensitivity::Public => conceal::bare(text),
        Sensitivity::Secret => conceal::hidden(text.len()),
    }
}

impl OptionalSink for OtelSink {
    fn start(self: Box<Self>, context: &StackContext<'_>) -> Result<StartedSink, Vec<String>> {
        let mut builder = self.builder.report(context.report.clone());
        for (name, value) in context.static_fields.iter() {
            builder = builder.resource_attribute(name, value);
        }
        for key in context.context_keys {
            builder = builder.log_options(|options| options.context_key(key));
        }
        if let Some(policy) = context.policy {
            builder = builder.redact(Arc::clone(policy));
        }
        let (otel, guard) = self.change.apply(builder).build().map_err(problems)?;
        let (spans, logs, writer) = (otel.spans(), otel.logs(), otel.log_writer());
        let events = match self.measures_events {
            true => otel.metrics_of_events(),
            false => otel.event_counts(),
        };
        let add_layers = move |mut stack: Stack| {
            if let Some(spans) = spans {
                stack = stack.first(spans);
            }
            if let Some(events) = events {
                stack = stack.layer_unredacted(events);
            }
            match (logs, writer) {
                (Some(logs), Some(writer)) => {
                    stack.redacting_lines(writer, |writer| logs.with_writer(writer))
                }
                _ => stack,
            }
        };
        Ok(StartedSink::with_layers(
            add_layers,
            RunningOtel { otel, guard },
        ))
    }
}

fn problems(error: OtelError) -> Vec<String> {
    match error {
        OtelError::Options(invalid) => invalid.iter().map(problem).collect(),
        _ => vec![error.to_string()],
    }
}

/// Names the variable of an option that is not valid.
fn problem(invalid: &InvalidOption) -> String {
    match OtelSetting::for_option(invalid) {
        Some(setting) => format!("{}: {}", setting.def.name, invalid.error),
        None => format!("otel::OtelBuilder: {invalid}"),
    }
}

impl Flush for RunningOtel {
    fn flush_by(&self, deadline: Instant) -> io::Result<()> {
        self.otel.flush_by(deadline)
    }
}

impl SinkControl for RunningOtel {
    fn name(&self) -> &str {
        self.otel.name()
    }

    fn hurry(&self) {
        self.otel.hurry();
    }

    fn shutdown_by(&self, deadline: Instant) {
        self.otel.shutdown_by(deadline);
    }
}

impl RunningSink for RunningOtel {
    fn on_installed(&self) {
        self.otel.install_globals();
    }
}

impl crate::Handle {
    /// Returns the content type and the body for a scrape by Prometheus. `accept` is the header of
    /// the request: the text is OpenMetrics if that is preferred. Empty without metrics.
    ///
    /// It runs the callbacks of instruments and waits for them, so call it where blocking is
    /// allowed.
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
            Some(running) => running.otel.metrics_text(accept),
            None => ("text/plain; version=0.0.4; charset=utf-8", String::new()),
        }
    }

    /// Returns the counters of traces, logs and metrics that are exported over OTLP. All zero without it.
    #[must_use]
    pub fn otel_stats(&self) -> OtelStats {
        let running = self.sink::<RunningOtel>();
        running
            .map(|running| running.otel.stats())
            .unwrap_or_default()
    }
}
