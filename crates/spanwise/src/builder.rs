//! From choices to a running stack.

use std::{
    ffi::OsString,
    fmt,
    path::PathBuf,
    sync::Arc,
    thread::{self, ThreadId},
};

use spanwise_appender::{Compression, Retention, Rotation, WhenFull};
use spanwise_core::{
    ContextLayer, Fault, LayerExt as _, Layers, LevelLayer, Levels, Redact, SelfReport,
    Sensitivity, Setting, SettingValue, SinkFilter, TargetLevels,
    internal::{
        log_bridge,
        sync::{Condvar, Mutex},
    },
};
use spanwise_json::Format;
use spanwise_recorder::Recorder;
use spanwise_redact::{Policy, RuleError};
use spanwise_sample::Sampler;
use tracing::{Dispatch, dispatcher, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry,
    fmt::{MakeWriter, writer::BoxMakeWriter},
    layer::SubscriberExt as _,
};

use crate::{
    Color, Explanation, InitError, Output, PanicBacktrace, Preset, Telemetry, TimeZone, conceal,
    file_options::FileOptions,
    from_env::FromEnv,
    global_subscriber,
    outputs::Outputs,
    own_crate::OwnCrate,
    panic_hook,
    parse::{self, Mistake},
    redaction::InCode,
    resolve::Resolved,
    rule_fields,
    settings::{
        self, LOG_COLOR, LOG_FILE_COMPRESS, LOG_FILE_KEEP, LOG_FILE_LEVEL, LOG_FILE_ROTATE,
        LOG_FORMAT, LOG_OUTPUT, LOG_OUTPUT_LEVEL, LOG_PANIC_BACKTRACE, LOG_PRESET, LOG_RECORDER,
        LOG_SAMPLE, LOG_SPANS, LOG_TIME, RUST_LOG,
    },
    sinks,
    static_fields::StaticFields,
};
#[cfg(feature = "http")]
use crate::{
    http_options::HttpOptions,
    settings::{LOG_HTTP_CLIENT_ADDRESS, LOG_HTTP_TRUST},
};

/// Chooses what is logged, how and where. Code beats environment beats preset.
///
/// A setter takes a value, or a text as the variable of that setting has it: see [`SettingValue`].
/// [`init`](Self::init) reports what is wrong with all texts at once.
///
/// ```
/// use spanwise::{Builder, InitError, Rotation};
///
/// let builder = Builder::prod()
///     .levels("info,sqlx=warn")
///     .file_rotation(Rotation::default())
///     .sample("cache=first:10/100")
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
    pub(crate) env: FromEnv,
    pub(crate) preset: Option<Preset>,
    pub(crate) default_preset: Option<Preset>,
    pub(crate) default_levels: Option<Levels>,
    pub(crate) levels: Option<Levels>,
    pub(crate) verbosity: i8,
    pub(crate) span_levels: Option<TargetLevels>,
    pub(crate) format: Option<Format>,
    pub(crate) output: Option<Output>,
    pub(crate) output_level: Option<LevelFilter>,
    pub(crate) writer: Option<BoxMakeWriter>,
    pub(crate) when_full: WhenFull,
    pub(crate) files: FileOptions,
    pub(crate) redaction: Option<InCode>,
    /// Nothing if it is said to be off.
    pub(crate) sampler: Option<Option<Sampler>>,
    /// Nothing if it is said to be off.
    pub(crate) recorder: Option<Option<Recorder>>,
    #[cfg(feature = "http")]
    pub(crate) http_server: HttpOptions,
    pub(crate) context: Vec<String>,
    pub(crate) static_fields: StaticFields,
    pub(crate) service: Option<(String, String)>,
    pub(crate) own_crate: Option<OwnCrate>,
    pub(crate) own_targets: Vec<String>,
    pub(crate) color: Option<Color>,
    pub(crate) time: Option<TimeZone>,
    pub(crate) panic_hook: Option<bool>,
    pub(crate) panic_backtrace: Option<PanicBacktrace>,
    pub(crate) sentry: sinks::InCode,
    pub(crate) is_strict: bool,
    /// About texts that setters were given.
    pub(crate) mistakes: Vec<String>,
    layers: Vec<UserLayer>,
}

/// Adds a layer of the user's to the stack, behind what stands in guards of it.
type UserLayer = Box<dyn FnOnce(&mut Layers<Registry>, &LayerGuards<'_>) + Send + Sync>;

/// What stands in guards of the layers of a user's.
struct LayerGuards<'a> {
    policy: Option<&'a Arc<dyn Redact>>,
    /// Where a recorder has more let through than they are to see.
    sink_filter: Option<SinkFilter>,
}

impl LayerGuards<'_> {
    fn push<L>(&self, layers: &mut Layers<Registry>, layer: L)
    where
        L: Layer<Registry> + Send + Sync,
    {
        match &self.sink_filter {
            Some(sink_filter) => layers.push(layer.without_captured(sink_filter.clone())),
            None => layers.push(layer),
        }
    }
}

impl Builder {
    /// What the environment says; see [`SETTINGS`](crate::SETTINGS).
    ///
    /// # Errors
    /// [`InitError::Settings`] with every setting that is wrong.
    pub fn from_env() -> Result<Self, InitError> {
        Self::from_env_with_prefix(settings::PREFIX)
    }

    /// What the environment says, with `SHOP_LOG_FORMAT` for `LOG_FORMAT` if `prefix` is
    /// `SHOP_LOG`. `RUST_LOG` and the other names that do not begin with `LOG_` stay.
    ///
    /// # Errors
    /// [`InitError::Settings`] with every setting that is wrong.
    pub fn from_env_with_prefix(prefix: &str) -> Result<Self, InitError> {
        Self::read(prefix.trim_end_matches('_'), std::env::vars_os())
    }

    /// What these variables say, instead of the environment.
    ///
    /// # Errors
    /// [`InitError::Settings`] with every setting that is wrong.
    pub fn from_vars<N, V>(vars: impl IntoIterator<Item = (N, V)>) -> Result<Self, InitError>
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let vars = vars
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Self::read(settings::PREFIX, vars)
    }

    /// [`Preset::Dev`], reading no variable at all. For this preset under the environment:
    /// `Builder::from_env()?.preset(Preset::Dev)`.
    pub fn dev() -> Self {
        Self::new(FromEnv::default()).preset(Preset::Dev)
    }

    /// [`Preset::Prod`], reading no variable at all.
    pub fn prod() -> Self {
        Self::new(FromEnv::default()).preset(Preset::Prod)
    }

    /// [`Preset::Test`], reading no variable at all.
    pub fn test() -> Self {
        Self::new(FromEnv::default()).preset(Preset::Test)
    }

    /// [`Preset::Cli`], reading no variable at all.
    pub fn cli() -> Self {
        Self::new(FromEnv::default()).preset(Preset::Cli)
    }

    fn read(
        prefix: &str,
        vars: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, InitError> {
        let (env, mut problems) = FromEnv::parse(prefix, vars);
        let is_wrong = !problems.is_empty() || env.is_strict && !env.warnings.is_empty();
        let builder = Self::new(env);
        if !is_wrong {
            return Ok(builder);
        }
        // With one mistake to mend, all are told: also what is wrong only beside another setting.
        let others = builder.resolve().problems(&builder);
        problems.extend(others);
        Err(InitError::Settings(problems))
    }

    fn new(env: FromEnv) -> Self {
        Self {
            env,
            preset: None,
            default_preset: None,
            default_levels: None,
            levels: None,
            verbosity: 0,
            span_levels: None,
            format: None,
            output: None,
            output_level: None,
            writer: None,
            when_full: WhenFull::default(),
            files: FileOptions::default(),
            redaction: None,
            sampler: None,
            recorder: None,
            #[cfg(feature = "http")]
            http_server: HttpOptions::default(),
            context: Vec::new(),
            static_fields: StaticFields::default(),
            service: None,
            own_crate: None,
            own_targets: Vec::new(),
            color: None,
            time: None,
            panic_hook: None,
            panic_backtrace: None,
            sentry: sinks::InCode::default(),
            is_strict: false,
            mistakes: Vec::new(),
            layers: Vec::new(),
        }
    }

    /// Returns what a setter is given, as `read` reads it; nothing if it is empty, or wrong.
    fn given<T, U: From<T>>(
        &mut self,
        setter: &str,
        setting: &Setting,
        value: SettingValue<T>,
        read: impl FnOnce(&str) -> Result<U, Mistake>,
    ) -> Option<U> {
        match value.read(read) {
            Ok(value) => value,
            Err((text, mistake)) => {
                // The errors of secret settings do not quote them.
                let shown = match setting.sensitivity {
                    Sensitivity::Public => format!("Builder::{setter}({})", conceal::shown(&text)),
                    Sensitivity::Secret => format!("Builder::{setter}"),
                };
                self.mistakes.push(mistake.problem(&shown, &text));
                None
            }
        }
    }

    /// Sets the preset.
    pub fn preset(mut self, preset: impl Into<SettingValue<Preset>>) -> Self {
        let read = |text: &str| parse::named(&LOG_PRESET, &Preset::NAMED, text);
        let preset = self.given("preset", &LOG_PRESET, preset.into(), read);
        self.preset = preset.or(self.preset);
        self
    }

    /// Sets the preset that holds where neither code nor environment says, instead of asking
    /// whether stderr is a terminal.
    pub fn default_preset(mut self, preset: impl Into<SettingValue<Preset>>) -> Self {
        let read = |text: &str| parse::named(&LOG_PRESET, &Preset::NAMED, text);
        let preset = self.given("default_preset", &LOG_PRESET, preset.into(), read);
        self.default_preset = preset.or(self.default_preset);
        self
    }

    /// Sets the levels of events that hold where neither code nor environment says, in place of the
    /// preset's. Without a bare level the preset's remains for the rest. With a bare `warn`, add
    /// `spanwise_http=info` to see the requests that are served.
    pub fn default_levels(mut self, levels: impl Into<SettingValue<Levels>>) -> Self {
        let levels = self.given("default_levels", &RUST_LOG, levels.into(), parse::levels);
        self.default_levels = levels.or(self.default_levels);
        self
    }

    /// Sets the levels of events; without a bare level the preset's remains for the rest.
    pub fn levels(mut self, levels: impl Into<SettingValue<Levels>>) -> Self {
        let levels = self.given("levels", &RUST_LOG, levels.into(), parse::levels);
        self.levels = levels.or(self.levels);
        self
    }

    /// Sets the levels of spans: their fields are on every line inside them. Defaults to INFO, or
    /// to the level of events where that is more verbose; see [`LevelLayer::span_levels`].
    pub fn span_levels(mut self, levels: impl Into<SettingValue<TargetLevels>>) -> Self {
        let levels = self.given("span_levels", &LOG_SPANS, levels.into(), parse::span_levels);
        self.span_levels = levels.or(self.span_levels);
        self
    }

    /// Sets what a line looks like.
    pub fn format(mut self, format: impl Into<SettingValue<Format>>) -> Self {
        let format = self.given("format", &LOG_FORMAT, format.into(), parse::format);
        self.format = format.or(self.format);
        self
    }

    /// Sets the time zone of the times in lines. Defaults to UTC; under [`Preset::Dev`] and
    /// [`Preset::Cli`] `pretty`, `compact` and `short` have local times.
    pub fn time(mut self, zone: impl Into<SettingValue<TimeZone>>) -> Self {
        let zone = self.given("time", &LOG_TIME, zone.into(), parse::time_zone);
        self.time = zone.or(self.time);
        self
    }

    /// Sets where lines go.
    pub fn output(mut self, output: impl Into<SettingValue<Output>>) -> Self {
        let read = |text: &str| parse::named(&LOG_OUTPUT, &Output::NAMED, text);
        let output = self.given("output", &LOG_OUTPUT, output.into(), read);
        self.output = output.or(self.output);
        self
    }

    /// Sets the least severe level that [`output`](Self::output), or
    /// [`with_writer`](Self::with_writer), gets. Defaults to whatever is logged.
    pub fn output_level(mut self, level: impl Into<SettingValue<LevelFilter>>) -> Self {
        let read = |text: &str| parse::level(&LOG_OUTPUT_LEVEL, text);
        let level = self.given("output_level", &LOG_OUTPUT_LEVEL, level.into(), read);
        self.output_level = level.or(self.output_level);
        self
    }

    /// Writes lines to what `make_writer` makes, one `write_all` each, whatever the
    /// [`output`](Self::output).
    pub fn with_writer<W>(mut self, make_writer: W) -> Self
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        self.writer = Some(BoxMakeWriter::new(make_writer));
        self
    }

    /// Sets what happens to a line when an output in the background is behind: a file, or a
    /// standard stream under [`Preset::Prod`]. Default: [`WhenFull::ShedByLevel`] with 100 ms.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Writes lines to the file at `path` as well, in the background and in the same format without
    /// colours.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.file = Some(path.into());
        self
    }

    /// Sets the least severe level that [`file`](Self::file) gets. Default: whatever is logged.
    pub fn file_level(mut self, level: impl Into<SettingValue<LevelFilter>>) -> Self {
        let read = |text: &str| parse::level(&LOG_FILE_LEVEL, text);
        let level = self.given("file_level", &LOG_FILE_LEVEL, level.into(), read);
        self.files.level = level.or(self.files.level);
        self
    }

    /// Writes lines at ERROR to the file at `path` as well.
    pub fn error_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.error_file = Some(path.into());
        self
    }

    /// Sets when a new file starts. Default: daily, and at 100 MiB.
    pub fn file_rotation(mut self, rotation: impl Into<SettingValue<Rotation>>) -> Self {
        let rotation = self.given(
            "file_rotation",
            &LOG_FILE_ROTATE,
            rotation.into(),
            parse::parsed,
        );
        self.files.rotation = rotation.or(self.files.rotation);
        self
    }

    /// Sets which rolled files are kept. Default: the newest 14 of each file.
    pub fn file_retention(mut self, retention: impl Into<SettingValue<Retention>>) -> Self {
        let retention = self.given(
            "file_retention",
            &LOG_FILE_KEEP,
            retention.into(),
            parse::parsed,
        );
        self.files.retention = retention.or(self.files.retention);
        self
    }

    /// Sets how rolled files are compressed. Default: [`Compression::Gzip`], or not at all without
    /// the feature `gzip`.
    pub fn file_compression(mut self, compression: impl Into<SettingValue<Compression>>) -> Self {
        let compression = self.given(
            "file_compression",
            &LOG_FILE_COMPRESS,
            compression.into(),
            parse::parsed,
        );
        self.files.compression = compression.or(self.files.compression);
        self
    }

    /// Gives each further process that logs to the same path files of its own, with a number in
    /// their names: `shop.2.log`. Defaults to one file, which one process can have open.
    pub fn file_per_process(mut self) -> Self {
        self.files.per_process = Some(true);
        self
    }

    /// Adds rules to what is hidden, in every output and in what [`with`](Self::with) adds, or
    /// takes some away: `change` is given [`Policy::secrets`] under [`Preset::Dev`], else
    /// [`Policy::secrets_and_pii`], with what `LOG_REDACT` and `LOG_REDACT_KEY_FILE` say. A rule
    /// that is wrong stops the start. Under `LOG_REDACT=off` nothing is hidden all the same.
    ///
    /// ```
    /// use spanwise::{Action, Builder, Detector};
    ///
    /// let builder = Builder::prod().redact_with(|policy| {
    ///     Ok(policy
    ///         .hide("employee_no")?
    ///         .hide_with("iban", Action::KeepLast(4))?
    ///         .without_detector(Detector::Ipv4))
    /// });
    /// # drop(builder);
    /// ```
    ///
    /// [`Policy::secrets`]: crate::Policy::secrets
    /// [`Policy::secrets_and_pii`]: crate::Policy::secrets_and_pii
    pub fn redact_with<F>(mut self, change: F) -> Self
    where
        F: Fn(Policy) -> Result<Policy, RuleError> + Send + Sync + 'static,
    {
        self.redaction = Some(InCode::Changed(Box::new(change)));
        self
    }

    /// Hides what `policy` says and nothing else, whatever preset and environment say.
    pub fn redact(mut self, policy: impl Redact) -> Self {
        self.redaction = Some(InCode::Policy(Arc::new(policy)));
        self
    }

    /// Hides nothing: passwords are logged as they are.
    pub fn without_redaction(mut self) -> Self {
        self.redaction = Some(InCode::Off);
        self
    }

    /// Leaves out of the outputs what `sampler` says, with a count of it. Layers that are
    /// [added](Self::with) see every event. Default: none.
    pub fn sample(mut self, sampler: impl Into<SettingValue<Sampler>>) -> Self {
        let sampler = self.given("sample", &LOG_SAMPLE, sampler.into(), parse::sampler);
        self.sampler = sampler.or(self.sampler);
        self
    }

    /// Keeps for each request what `recorder` captures, and writes it to the outputs if the request
    /// fails. Layers that are [added](Self::with) see no more than without it. Default: none.
    pub fn recorder(mut self, recorder: impl Into<SettingValue<Recorder>>) -> Self {
        let recorder = self.given("recorder", &LOG_RECORDER, recorder.into(), parse::recorder);
        self.recorder = recorder.or(self.recorder);
        self
    }

    /// Sets whose ids of requests, traces and tenants [`Telemetry::http_server`] takes over, and
    /// whose `X-Forwarded-For` it believes. Defaults to nobody's.
    #[cfg(feature = "http")]
    pub fn http_trust(mut self, trust: impl Into<SettingValue<spanwise_http::Trust>>) -> Self {
        let trust = self.given("http_trust", &LOG_HTTP_TRUST, trust.into(), parse::parsed);
        self.http_server.trust = trust.or(self.http_server.trust);
        self
    }

    /// Sets how much [`Telemetry::http_server`] tells of where a client is. Defaults to the
    /// network; under [`Preset::Dev`] to the whole address.
    #[cfg(feature = "http")]
    pub fn http_client_address(
        mut self,
        address: impl Into<SettingValue<spanwise_http::ClientAddress>>,
    ) -> Self {
        let address = self.given(
            "http_client_address",
            &LOG_HTTP_CLIENT_ADDRESS,
            address.into(),
            parse::parsed,
        );
        self.http_server.client_address = address.or(self.http_server.client_address);
        self
    }

    /// Sets the name and the version of the service, for each line of `json`; `json-nested` has no
    /// place for them.
    pub fn service(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.service = Some((name.into(), version.into()));
        self
    }

    /// Declares one more span field that belongs to the context, besides those that always do:
    /// [`Context`](crate::Context) then has it. JSON lines show every span field in any case.
    pub fn context_key(mut self, key: impl Into<String>) -> Self {
        self.context.push(key.into());
        self
    }

    /// Adds a constant field to every line of JSON, and a tag to every event in Sentry; `pretty`,
    /// `compact` and `short` show none. The last value of a name counts. What the policy hides is
    /// hidden here, too. It is text in both: `JsonLayer::add` and `static_tag` of `spanwise-sentry`
    /// are for stacks without this builder, and set the one or the other.
    ///
    /// Some names stop the start: those that the line has for itself, keys of the context, and,
    /// with the feature `sentry`, those that are no tags, such as `release`.
    ///
    /// ```
    /// let builder = spanwise::Builder::prod().field("region", "eu").field("shard", 7);
    /// assert!(builder.explain().to_string().contains("LOG_STATIC_FIELDS = region=eu,shard=7 (code)"));
    /// ```
    pub fn field(mut self, name: impl AsRef<str>, value: impl fmt::Display) -> Self {
        self.static_fields.set(name.as_ref(), &value.to_string());
        self
    }

    /// Sets whether `pretty`, `compact` and `short` have colours in the output. Defaults to
    /// [`Color::Auto`].
    pub fn color(mut self, color: impl Into<SettingValue<Color>>) -> Self {
        let read = |text: &str| parse::named(&LOG_COLOR, &Color::NAMED, text);
        let color = self.given("color", &LOG_COLOR, color.into(), read);
        self.color = color.or(self.color);
        self
    }

    /// Stops the start for warnings about the names of variables, too: those that are nearly a
    /// setting, those that begin as settings do, and those of parts that are not compiled in.
    /// Defaults to a warning each.
    pub fn strict(mut self) -> Self {
        self.is_strict = true;
        self
    }

    /// Leaves the panic hook as it is.
    pub fn without_panic_hook(mut self) -> Self {
        self.panic_hook = Some(false);
        self
    }

    /// Sets how much of its backtrace the event of a panic has. Defaults to
    /// [`PanicBacktrace::Short`].
    pub fn panic_backtrace(mut self, backtrace: impl Into<SettingValue<PanicBacktrace>>) -> Self {
        let read = |text: &str| parse::named(&LOG_PANIC_BACKTRACE, &PanicBacktrace::NAMED, text);
        let backtrace = self.given(
            "panic_backtrace",
            &LOG_PANIC_BACKTRACE,
            backtrace.into(),
            read,
        );
        self.panic_backtrace = backtrace.or(self.panic_backtrace);
        self
    }

    /// Sends errors to this project of Sentry's, whatever `SENTRY_DSN` says, and under every
    /// preset.
    ///
    /// ```
    /// let builder = spanwise::Builder::prod()
    ///     .sentry_dsn("https://0123456789@sentry.example.com/42")
    ///     .sentry(|sentry| sentry.ignore_target("shop::probe").ignore_error("ClientGone"));
    /// assert!(builder.explain().to_string().contains("SENTRY_DSN = (hidden, 40 bytes)"));
    /// ```
    #[cfg(feature = "sentry")]
    pub fn sentry_dsn(mut self, dsn: impl Into<SettingValue<spanwise_sentry::Dsn>>) -> Self {
        let dsn = self.given("sentry_dsn", &sinks::SENTRY_DSN, dsn.into(), parse::parsed);
        self.sentry.dsn = dsn.or(self.sentry.dsn);
        self
    }

    /// Changes what is sent to Sentry, and how, after what the environment says. Without a DSN
    /// nothing is sent, and `change` is not called.
    #[cfg(feature = "sentry")]
    pub fn sentry<F>(mut self, change: F) -> Self
    where
        F: FnOnce(spanwise_sentry::SentryBuilder) -> spanwise_sentry::SentryBuilder
            + Send
            + Sync
            + 'static,
    {
        self.sentry.change = Some(Box::new(change));
        self
    }

    /// Adds a layer of any kind: it sees every event that the levels let through, with what is
    /// secret hidden (see [`LayerExt::redacted`](crate::LayerExt::redacted)). Layers with a filter
    /// of their own are welcome.
    pub fn with(mut self, layer: impl Layer<Registry> + Send + Sync) -> Self {
        self.layers
            .push(Box::new(move |layers, guards| match guards.policy {
                Some(policy) => guards.push(layers, layer.redacted(Arc::clone(policy))),
                None => guards.push(layers, layer),
            }));
        self
    }

    /// Adds a layer that sees what is logged as it is, secrets included: one that needs the values
    /// themselves, such as the types of errors, and shows them to nobody.
    pub fn with_unredacted(mut self, layer: impl Layer<Registry> + Send + Sync) -> Self {
        self.layers
            .push(Box::new(move |layers, guards| guards.push(layers, layer)));
        self
    }

    /// What holds, and who said so. Nothing is started. What [`Handle`](crate::Handle) changes
    /// later is not in it.
    ///
    /// What is wrong is a line each. [`init`](Self::init) fails with the same, and with files that
    /// it cannot open.
    ///
    /// ```
    /// let explanation = spanwise::Builder::prod().levels("inof").explain();
    /// let text = explanation.to_string();
    /// assert!(text.contains("wrong: Builder::levels(\"inof\")"), "{text}");
    /// ```
    pub fn explain(&self) -> Explanation {
        let resolved = self.resolve();
        let problems = resolved.problems(self);
        let is_strict = self.is_strict || self.env.is_strict;
        resolved.explanation.with_problems(problems, is_strict)
    }

    /// Starts logging: installs the global subscriber, the bridge from the `log` crate, and the
    /// panic hook.
    ///
    /// If the `log` crate has a logger already it keeps it, and stderr says so.
    ///
    /// # Errors
    /// [`InitError::Settings`] with everything that is wrong, and
    /// [`InitError::AlreadyInitialized`] if there is a global subscriber; it stays, and nothing is
    /// changed.
    pub fn init(self) -> Result<Telemetry, InitError> {
        // Starts that race are told apart before any of them opens a file.
        let _claim = Claim::wait().ok_or(InitError::AlreadyInitialized)?;
        if global_subscriber::is_set() {
            return Err(InitError::AlreadyInitialized);
        }
        self.start()
    }

    fn start(mut self) -> Result<Telemetry, InitError> {
        let resolved = self.resolve();
        let report = SelfReport::default();
        let panic_hook = self.panic_hook.unwrap_or(resolved.preset != Preset::Test);
        let problems = resolved.problems(&self);
        let sentry = sinks::start(&resolved, std::mem::take(&mut self.sentry), &report);
        let outputs = Outputs::open(&resolved, problems, sentry.is_err(), &report);
        let (outputs, sentry) = match (outputs, sentry) {
            (Ok(outputs), Ok(sentry)) => (outputs, sentry),
            (outputs, sentry) => {
                let mut problems = outputs.err().unwrap_or_default();
                problems.extend(sentry.err().unwrap_or_default());
                return Err(InitError::Settings(problems));
            }
        };
        let (dispatch, telemetry) = self.build(&resolved, outputs, sentry, &report);
        dispatcher::set_global_default(dispatch).map_err(|_| InitError::AlreadyInitialized)?;
        telemetry.bind_sentry();

        if let Err(error) = log_bridge::install() {
            let why = format_args!("records of the `log` crate go elsewhere: {error}");
            report.fault(Fault::Setup, &why);
        }
        if let Some(recorder) = &resolved.recorder
            && !recorder.captures_beyond(&resolved.levels)
        {
            let (variable, levels) = (resolved.name_of(&LOG_RECORDER), &resolved.levels);
            let why = format_args!(
                "the recorder keeps nothing: all of `{recorder}` is shown under the levels `{levels}`; have it keep more, such as {variable}=debug, or leave it out"
            );
            report.fault(Fault::Setup, &why);
        }
        if let Some(sampler) = &resolved.sampler {
            let variable = resolved.name_of(&LOG_SAMPLE);
            rule_fields::warn_of_misspelled(sampler, &variable, &resolved.context, &report);
        }
        let policy = resolved.redaction.policy.clone();
        if let Some(policy) = &policy {
            report.redact(Arc::clone(policy));
        }
        if panic_hook {
            let options = panic_hook::Options {
                policy,
                backtrace: resolved.panic_backtrace,
                leaves_std_out: matches!(resolved.preset, Preset::Prod | Preset::Cli),
            };
            panic_hook::install(telemetry.handle(), options);
        }
        for warning in &resolved.warnings {
            report.fault_unthrottled(Fault::Setup, warning);
            tracing::warn!(target: "spanwise", "{warning}");
        }
        if resolved.preset == Preset::Prod && resolved.redaction.policy.is_none() {
            tracing::warn!(target: "spanwise", "redaction is off: secrets are logged as they are");
        }
        if resolved.preset == Preset::Prod {
            tracing::debug!(target: "spanwise", settings = %spanwise_json::as_json(&resolved.explanation), "configuration");
        }
        Ok(telemetry)
    }

    fn build(
        self,
        resolved: &Resolved,
        mut outputs: Outputs,
        sentry: sinks::Started,
        report: &SelfReport,
    ) -> (Dispatch, Telemetry) {
        let mut context = ContextLayer::default();
        for key in &resolved.context {
            context = context.key(key);
        }
        let mut levels = LevelLayer::new(resolved.levels.clone());
        levels = levels.span_levels(resolved.span_levels.clone());
        if let Some(recorder) = &resolved.recorder {
            levels = levels.capture(recorder.levels());
        }
        let handle = levels.handle();
        let sink_filter = || SinkFilter::from(handle.clone());
        let guards = LayerGuards {
            policy: resolved.redaction.policy.as_ref(),
            sink_filter: resolved.recorder.as_ref().map(|_| sink_filter()),
        };
        if let Some(policy) = guards.policy {
            context = context.redact(Arc::clone(policy));
        }
        let mut layers = Layers::<Registry>::default();
        layers.push(context);
        let sink_filter = guards.sink_filter.as_ref();
        outputs.push_layers(
            &mut layers,
            resolved,
            self.writer,
            &handle,
            sink_filter,
            report,
        );
        let sentry = sentry.push_layer(|layer| guards.push(&mut layers, layer));
        for push in self.layers {
            push(&mut layers, &guards);
        }
        let stack = Registry::default().with(layers).with(levels);
        (
            Dispatch::new(stack),
            Telemetry::new(handle, report.clone(), outputs, sentry, resolved),
        )
    }
}

/// The right to start, which one thread has at a time.
struct Claim;

static STARTING: Mutex<Option<ThreadId>> = Mutex::new(None);
static STARTED: Condvar = Condvar::new();

impl Claim {
    /// Waits until no other thread starts; nothing if this one does already, in something that a
    /// start calls.
    fn wait() -> Option<Self> {
        let this = thread::current().id();
        let mut starting = STARTING.lock();
        while let Some(thread) = *starting {
            if thread == this {
                return None;
            }
            starting = STARTED.wait(starting);
        }
        *starting = Some(this);
        Some(Self)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        *STARTING.lock() = None;
        STARTED.notify_one();
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("explain", &self.explain())
            .finish_non_exhaustive()
    }
}
