//! [`Builder`]: the values that code sets.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use spanwise_appender::{
    Background, BackgroundBuilder, Compression, RecordSink, Retention, Rotation, WhenFull,
};
use spanwise_core::{Clock, Levels, ParseError, Redact, SettingValue, TargetLevels};
use spanwise_json::Format;
use spanwise_recorder::Recorder;
use spanwise_redact::Policy;
use spanwise_sample::Sampler;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, Registry,
    fmt::{MakeWriter, writer::BoxMakeWriter},
};

#[cfg(feature = "sentry")]
use crate::sinks::sentry::SentryChange;
use crate::{
    Color, Output, PanicBacktrace, Preset, Stack, TimeZone,
    choices::{CodeValues, Source},
    conceal,
    own_crate::OwnCrate,
    parse,
    pseudonym_key::PseudonymKeyFile,
    redaction::RedactionOverride,
    settings::*,
    sinks::SinkChanges,
    static_fields::StaticFields,
};
#[cfg(feature = "otel")]
use crate::{settings::OTEL_EXPORTER_OTLP_ENDPOINT, sinks::otel::OtelChange};

/// Chooses what is logged, how and where. Code beats environment beats preset.
///
/// A setter accepts a value, or the text of the variable: see [`SettingValue`].
/// [`init`](Self::init) reports every wrong text at once.
///
/// ```
/// use spanwise::{Builder, InitError, Preset, file::Rotation};
///
/// let builder = Builder::new(Preset::Prod)
///     .levels("info,sqlx=warn")
///     .file_rotation(Rotation::default())
///     .sampler("cache=first:10/100")
///     .recorder("debug,slow=1x");
/// let Err(InitError::Settings(problems)) = builder.init() else { panic!("it started") };
/// assert!(problems[0].starts_with("Builder::recorder(\"debug,slow=1x\"): "), "{problems:?}");
/// ```
///
/// ```no_run
/// # fn main() -> Result<(), spanwise::InitError> {
/// let _telemetry = spanwise::builder!()?.context_key("order_id").init()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is logged until `init` is called"]
pub struct Builder {
    pub(crate) sources: Vec<Box<dyn Source>>,
    /// The prefix of the variables.
    pub(crate) prefix: String,
    /// The clock of lines for people.
    pub(crate) clock: Clock,
    pub(crate) code: CodeValues,
    pub(crate) default_preset: Option<Preset>,
    pub(crate) default_levels: Option<Levels>,
    pub(crate) verbosity: i8,
    pub(crate) writer: Option<BoxMakeWriter>,
    pub(crate) when_full: WhenFull,
    pub(crate) redaction: Option<RedactionOverride>,
    /// The key that `LOG_REDACT_KEY_FILE` names, once it is read.
    pub(crate) pseudonym_key: OnceLock<PseudonymKeyFile>,
    pub(crate) context: Vec<String>,
    pub(crate) static_fields: StaticFields,
    pub(crate) own_crate: Option<OwnCrate>,
    pub(crate) panic_hook: Option<bool>,
    pub(crate) sinks: SinkChanges,
    pub(crate) record_sinks: Vec<(String, BackgroundBuilder)>,
    pub(crate) layers: Vec<AddLayer>,
}

type AddLayer = Box<dyn FnOnce(Stack) -> Stack + Send + Sync>;

impl Builder {
    /// Creates a builder with the defaults of `preset`. Reads no variable.
    ///
    /// For a preset under the environment: `Builder::from_env()?.preset(Preset::Dev)`.
    pub fn new(preset: Preset) -> Self {
        Self::with_sources(PREFIX, Vec::new()).preset(preset)
    }

    pub(crate) fn with_sources(prefix: &str, sources: Vec<Box<dyn Source>>) -> Self {
        Self {
            sources,
            prefix: prefix.to_owned(),
            clock: Clock::system(),
            code: CodeValues::default(),
            default_preset: None,
            default_levels: None,
            verbosity: 0,
            writer: None,
            when_full: WhenFull::default(),
            redaction: None,
            pseudonym_key: OnceLock::new(),
            context: Vec::new(),
            static_fields: StaticFields::default(),
            own_crate: None,
            panic_hook: None,
            sinks: SinkChanges::default(),
            record_sinks: Vec::new(),
            layers: Vec::new(),
        }
    }

    /// Sets the preset.
    pub fn preset(mut self, preset: impl Into<SettingValue<Preset>>) -> Self {
        self.code.set("preset", &LOG_PRESET, preset.into());
        self
    }

    /// Sets the preset for the case that neither code nor the environment sets one. Defaults to the
    /// choice by whether stderr is a terminal.
    pub fn default_preset(mut self, preset: impl Into<SettingValue<Preset>>) -> Self {
        let preset = self
            .code
            .parse("default_preset", &LOG_PRESET, preset.into());
        self.default_preset = preset.or(self.default_preset);
        self
    }

    /// Sets the levels of events for the case that neither code nor the environment sets them.
    /// Defaults to those of the preset. Without a bare level, the preset's level applies to the
    /// rest. With a bare `warn`, add `spanwise_http=info` to log requests.
    pub fn default_levels(mut self, levels: impl Into<SettingValue<Levels>>) -> Self {
        let levels = self.code.parse("default_levels", &RUST_LOG, levels.into());
        self.default_levels = levels.or(self.default_levels);
        self
    }

    /// Sets the levels of events. Without a bare level, the preset's level applies to the rest.
    pub fn levels(mut self, levels: impl Into<SettingValue<Levels>>) -> Self {
        self.code.set("levels", &RUST_LOG, levels.into());
        self
    }

    /// Sets your own targets: the preset dev logs DEBUG for them. The name of a crate includes all
    /// its modules. Defaults to the crate of [`builder!`](crate::builder!), else to the name of the
    /// executable.
    ///
    /// ```
    /// let builder = spanwise::Builder::new(spanwise::Preset::Dev).own_targets(["shop", "warehouse::stock"]);
    /// let levels = "RUST_LOG = info,shop=debug,warehouse::stock=debug (preset dev)";
    /// assert!(builder.explain().to_string().contains(levels));
    /// ```
    pub fn own_targets<T: Into<String>>(mut self, targets: impl IntoIterator<Item = T>) -> Self {
        let targets: Vec<String> = targets.into_iter().map(Into::into).collect();
        for target in &targets {
            if let Err(problem) = parse::check_own_target(target) {
                let shown = format!("Builder::own_targets({})", conceal::shown(target));
                self.code.refuse(&shown, target, &ParseError::new(problem));
            }
        }
        self.code.put(&LOG_OWN, targets);
        self
    }

    /// Sets the levels of spans: their fields are on every line inside them. Defaults to INFO, or
    /// to the level of events where that is more verbose; see
    /// [`LevelLayer::span_levels`](crate::layer::LevelLayer::span_levels).
    pub fn span_levels(mut self, levels: impl Into<SettingValue<TargetLevels>>) -> Self {
        self.code.set("span_levels", &LOG_SPANS, levels.into());
        self
    }

    /// Sets the format of lines. Defaults to that of the preset.
    pub fn format(mut self, format: impl Into<SettingValue<Format>>) -> Self {
        self.code.set("format", &LOG_FORMAT, format.into());
        self
    }

    /// Sets the time zone of timestamps. Defaults to UTC; under [`Preset::Dev`] and
    /// [`Preset::Cli`] `pretty`, `compact` and `short` have local times.
    pub fn time(mut self, zone: impl Into<SettingValue<TimeZone>>) -> Self {
        self.code.set("time", &LOG_TIME, zone.into());
        self
    }

    /// Sets where lines go. Defaults to the output of the preset.
    pub fn output(mut self, output: impl Into<SettingValue<Output>>) -> Self {
        self.code.set("output", &LOG_OUTPUT, output.into());
        self
    }

    /// Sets the least severe level that [`output`](Self::output) or
    /// [`with_writer`](Self::with_writer) gets. Defaults to all that is logged.
    pub fn output_level(mut self, level: impl Into<SettingValue<LevelFilter>>) -> Self {
        self.code
            .set("output_level", &LOG_OUTPUT_LEVEL, level.into());
        self
    }

    /// Writes lines to a writer of your own, with one `write_all` for each line, instead of the
    /// [`output`](Self::output).
    pub fn with_writer<W>(mut self, make_writer: W) -> Self
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        self.writer = Some(BoxMakeWriter::new(make_writer));
        self
    }

    /// Sets what happens to a line if the buffer of a background output is full: of a file, or of a
    /// standard stream under [`Preset::Prod`]. Defaults to [`WhenFull::ShedByLevel`] with 100 ms.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Adds a file that also gets the lines, in the background and in the same format without
    /// colours.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.code.put(&LOG_FILE, path.into());
        self
    }

    /// Sets the least severe level that [`file`](Self::file) gets. Defaults to all that is logged.
    pub fn file_level(mut self, level: impl Into<SettingValue<LevelFilter>>) -> Self {
        self.code.set("file_level", &LOG_FILE_LEVEL, level.into());
        self
    }

    /// Adds a file that also gets the lines at ERROR.
    pub fn error_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.code.put(&LOG_ERROR_FILE, path.into());
        self
    }

    /// Sets when a new file starts. Defaults to daily, and at 100 MiB.
    pub fn file_rotation(mut self, rotation: impl Into<SettingValue<Rotation>>) -> Self {
        self.code
            .set("file_rotation", &LOG_FILE_ROTATE, rotation.into());
        self
    }

    /// Sets which rolled files are kept. Defaults to the newest 14 of each file.
    pub fn file_retention(mut self, retention: impl Into<SettingValue<Retention>>) -> Self {
        self.code
            .set("file_retention", &LOG_FILE_KEEP, retention.into());
        self
    }

    /// Sets how rolled files are compressed. Defaults to [`Compression::Gzip`], or to none without
    /// the feature `gzip`.
    pub fn file_compression(mut self, compression: impl Into<SettingValue<Compression>>) -> Self {
        self.code
            .set("file_compression", &LOG_FILE_COMPRESS, compression.into());
        self
    }

    /// Gives each further process that logs to the same path files of its own, with a number in
    /// their names: `shop.2.log`. Defaults to one file, which only one process can open.
    pub fn file_per_process(mut self) -> Self {
        self.code.put(&LOG_FILE_PER_PROCESS, true);
        self
    }

    /// Changes the policy of the preset and the environment. `change` gets [`Policy::secrets`]
    /// under [`Preset::Dev`] and [`Preset::Cli`], else [`Policy::secrets_and_pii`], with the
    /// changes of `LOG_REDACT` and `LOG_REDACT_KEY_FILE`. A wrong rule stops the start. With
    /// `LOG_REDACT=off` nothing is hidden, and `change` is not called.
    ///
    /// ```
    /// use spanwise::{Builder, Preset, redact::{Action, Detector}};
    ///
    /// let builder = Builder::new(Preset::Prod).redact_with(|policy| {
    ///     Ok(policy
    ///         .hide("employee_no")?
    ///         .hide_with("iban", Action::KeepLast(4))?
    ///         .without_detector(Detector::Ipv4))
    /// });
    /// # drop(builder);
    /// ```
    ///
    /// [`Policy::secrets`]: crate::redact::Policy::secrets
    /// [`Policy::secrets_and_pii`]: crate::redact::Policy::secrets_and_pii
    pub fn redact_with<F>(mut self, change: F) -> Self
    where
        F: Fn(Policy) -> Result<Policy, ParseError> + Send + Sync + 'static,
    {
        self.redaction = Some(RedactionOverride::Changed(Box::new(change)));
        self
    }

    /// Sets the policy, instead of that of the preset and the environment.
    pub fn redact(mut self, policy: impl Redact) -> Self {
        self.redaction = Some(RedactionOverride::Policy(Arc::new(policy)));
        self
    }

    /// Disables redaction: passwords are logged in plain text.
    pub fn without_redaction(mut self) -> Self {
        self.redaction = Some(RedactionOverride::Off);
        self
    }

    /// Sets the sampler of the outputs. [Added](Self::layer) layers see every event. Defaults to
    /// none.
    pub fn sampler(mut self, sampler: impl Into<SettingValue<Sampler>>) -> Self {
        self.code.set("sampler", &LOG_SAMPLE, sampler.into());
        self
    }

    /// Sets the flight recorder, which buffers lines for each request and writes them to the
    /// outputs if the request fails. [Added](Self::layer) layers do not see buffered events.
    /// Defaults to none.
    pub fn recorder(mut self, recorder: impl Into<SettingValue<Recorder>>) -> Self {
        self.code.set("recorder", &LOG_RECORDER, recorder.into());
        self
    }

    /// Sets the callers whose ids of requests, traces and tenants
    /// [`Telemetry::http_server`](crate::Telemetry::http_server) adopts, and whose
    /// `X-Forwarded-For` it believes. Defaults to none.
    #[cfg(feature = "http")]
    pub fn http_trust(mut self, trust: impl Into<SettingValue<spanwise_http::Trust>>) -> Self {
        self.code.set("http_trust", &LOG_HTTP_TRUST, trust.into());
        self
    }

    /// Sets how much of a client's address
    /// [`Telemetry::http_server`](crate::Telemetry::http_server) logs. Defaults to the network;
    /// under [`Preset::Dev`] to the full address.
    #[cfg(feature = "http")]
    pub fn http_client_address(
        mut self,
        address: impl Into<SettingValue<spanwise_http::ClientAddress>>,
    ) -> Self {
        self.code.set(
            "http_client_address",
            &LOG_HTTP_CLIENT_ADDRESS,
            address.into(),
        );
        self
    }

    /// Sets the name and the version of the service, on each line of `json`. `json-nested` has no
    /// place for them.
    pub fn service(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.code.put(&SERVICE_NAME, name.into());
        self.code.put(&SERVICE_VERSION, version.into());
        self
    }

    /// Adds a span field to the keys of the [`Context`](crate::context::Context). JSON lines show
    /// every span field in any case.
    pub fn context_key(mut self, key: impl Into<String>) -> Self {
        let key = key.into();
        if !parse::is_field_name(&key) {
            self.code.problem(format!(
                "Builder::context_key({}) is not a field name: write letters, digits, `_`, `.` \
                 and `-`",
                conceal::shown(&key)
            ));
        }
        self.context.push(key);
        self
    }

    /// Adds a constant text field to every JSON line, and a tag to every event in Sentry. `pretty`,
    /// `compact` and `short` omit it. The last value of a name counts. The policy redacts it too.
    ///
    /// Some names stop the start: keys of the line itself, keys of the context, and, with the
    /// feature `sentry`, names that are not valid tags, such as `release`.
    ///
    /// ```
    /// let builder = spanwise::Builder::new(spanwise::Preset::Prod).field("region", "eu").field("shard", 7);
    /// assert!(builder.explain().to_string().contains("LOG_STATIC_FIELDS = region=eu,shard=7 (code)"));
    /// ```
    pub fn field(mut self, name: impl AsRef<str>, value: impl fmt::Display) -> Self {
        self.static_fields.set(name.as_ref(), &value.to_string());
        self
    }

    /// Sets whether `pretty`, `compact` and `short` have colours in the output. Defaults to
    /// [`Color::Auto`].
    pub fn color(mut self, color: impl Into<SettingValue<Color>>) -> Self {
        self.code.set("color", &LOG_COLOR, color.into());
        self
    }

    /// Turns warnings about the names of variables into errors: names that resemble a setting,
    /// names with the prefix of the settings, and settings of parts that are not built in. Defaults
    /// to warnings.
    pub fn strict(mut self) -> Self {
        self.code.put(&LOG_STRICT, true);
        self
    }

    /// Keeps the panic hook of the program.
    pub fn without_panic_hook(mut self) -> Self {
        self.panic_hook = Some(false);
        self
    }

    /// Sets how much of its backtrace the event of a panic has. Defaults to
    /// [`PanicBacktrace::Short`].
    pub fn panic_backtrace(mut self, backtrace: impl Into<SettingValue<PanicBacktrace>>) -> Self {
        self.code
            .set("panic_backtrace", &LOG_PANIC_BACKTRACE, backtrace.into());
        self
    }

    /// Sets the OpenTelemetry Collector that gets traces, logs and metrics, instead of
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` and under every preset.
    ///
    /// ```
    /// let builder = spanwise::Builder::new(spanwise::Preset::Prod)
    ///     .otlp_endpoint("http://collector:4318")
    ///     .otel(|otel| otel.service_instance_id("shop-1"));
    /// ```
    #[cfg(feature = "otel")]
    pub fn otlp_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.code.put(&OTEL_EXPORTER_OTLP_ENDPOINT, endpoint.into());
        self
    }

    /// Changes the options of OpenTelemetry, after the settings of the environment. If neither an
    /// endpoint nor `OTEL_METRICS_EXPORTER=prometheus` turns it on, `change` is not called.
    #[cfg(feature = "otel")]
    pub fn otel<F>(mut self, change: F) -> Self
    where
        F: FnOnce(spanwise_otel::OtelBuilder) -> spanwise_otel::OtelBuilder + Send + Sync + 'static,
    {
        self.sinks.otel = OtelChange::new(change);
        self
    }

    /// Makes metrics of the fields `monotonic_counter.*`, `counter.*`, `histogram.*` and `gauge.*`
    /// of events, where metrics are exported. Their other fields become attributes.
    #[cfg(feature = "otel")]
    pub fn metrics_of_events(mut self) -> Self {
        self.sinks.measures_events = true;
        self
    }

    /// Sets the project in Sentry that gets errors, instead of `SENTRY_DSN` and under every preset.
    ///
    /// ```
    /// let builder = spanwise::Builder::new(spanwise::Preset::Prod)
    ///     .sentry_dsn("https://0123456789@sentry.example.com/42")
    ///     .sentry(|sentry| sentry.ignore_target("shop::probe").ignore_error("ClientGone"));
    /// assert!(builder.explain().to_string().contains("SENTRY_DSN = (hidden, 40 bytes)"));
    /// ```
    #[cfg(feature = "sentry")]
    pub fn sentry_dsn(mut self, dsn: impl Into<SettingValue<spanwise_sentry::Dsn>>) -> Self {
        self.code.set("sentry_dsn", &SENTRY_DSN, dsn.into());
        self
    }

    /// Changes the options of Sentry, after the settings of the environment. Without a DSN nothing
    /// is sent, and `change` is not called.
    #[cfg(feature = "sentry")]
    pub fn sentry<F>(mut self, change: F) -> Self
    where
        F: FnOnce(spanwise_sentry::SentryBuilder) -> spanwise_sentry::SentryBuilder
            + Send
            + Sync
            + 'static,
    {
        self.sinks.sentry = SentryChange::new(change);
        self
    }

    /// Adds an output that writes whole records, such as a message queue. It gets the lines that a
    /// file would get. `name` names it in [`Stats`](crate::report::Stats) and in reports.
    pub fn record_sink(mut self, name: impl Into<String>, sink: impl RecordSink + 'static) -> Self {
        self.record_sinks
            .push((name.into(), Background::for_sink(sink)));
        self
    }

    /// Adds a layer of any kind. It sees every event that the levels enable, with secrets hidden;
    /// see [`LayerExt::redacted`](crate::layer::LayerExt::redacted). It may have a filter of its
    /// own.
    pub fn layer(mut self, layer: impl Layer<Registry> + Send + Sync) -> Self {
        self.layers.push(Box::new(|stack| stack.layer(layer)));
        self
    }

    /// Adds a layer that sees secrets: one that needs the original values, such as the types of
    /// errors, and does not write them.
    pub fn layer_unredacted(mut self, layer: impl Layer<Registry> + Send + Sync) -> Self {
        self.layers
            .push(Box::new(|stack| stack.layer_unredacted(layer)));
        self
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("explain", &self.explain())
            .finish_non_exhaustive()
    }
}
