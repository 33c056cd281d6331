//! [`Builder`], which configures logging in code. Its setters only store values. `start.rs` has the
//! methods that read the environment, choose the effective values and start logging.

use std::{fmt, path::PathBuf, sync::Arc};

use spanwise_appender::{
    Background, BackgroundBuilder, ByteSize, Compression, RecordSink, Retention, Rotation, WhenFull,
};
use spanwise_core::{Clock, Levels, ParseError, Redact, SettingValue, TargetLevels};
use spanwise_json::{FieldList, Format};
use spanwise_recorder::Recorder;
use spanwise_redact::Policy;
use spanwise_sample::Sampler;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, Registry,
    fmt::{MakeWriter, writer::BoxMakeWriter},
};

use crate::{
    Color, Output, PanicBacktrace, Preset, Stack, TimeZone,
    choices::Source,
    code_values::CodeValues,
    conceal,
    format_choice::RegisteredFormat,
    own_crate::OwnCrate,
    parent_source::ParentSource,
    parse,
    pseudonym_key::PseudonymKeys,
    redaction::RedactionOverride,
    router::{CodeFilter, FilterEvent, Verdict},
    setting_row::SettingRow,
    settings::*,
    sinks::SinkChanges,
    static_fields::StaticFields,
};

/// Configures logging. Values in code override the environment, the environment overrides a
/// configuration file, and the file overrides the preset.
///
/// A setter accepts a value, or the text of the variable: see [`SettingValue`].
/// [`init`](Self::init) reports all invalid texts together.
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
    /// The sources besides code and the configuration files: the environment, or none.
    pub(crate) sources: Vec<Box<dyn Source>>,
    #[cfg(feature = "config")]
    pub(crate) files: crate::config_file::ConfigFiles,
    /// The prefix of the variables.
    pub(crate) prefix: String,
    /// The clock of human-readable lines.
    pub(crate) clock: Clock,
    /// The values that setters set.
    pub(crate) code: CodeValues,
    pub(crate) default_preset: Option<Preset>,
    pub(crate) default_levels: Option<Levels>,
    pub(crate) verbosity: i8,
    pub(crate) formats: Vec<RegisteredFormat>,
    pub(crate) writer: Option<BoxMakeWriter>,
    pub(crate) when_full: WhenFull,
    pub(crate) redaction: Option<RedactionOverride>,
    /// The pseudonym keys read so far, each with the path of its file.
    pub(crate) pseudonym_keys: PseudonymKeys,
    pub(crate) context_keys: Vec<String>,
    pub(crate) static_fields: StaticFields,
    pub(crate) own_crate: Option<OwnCrate>,
    /// Whether to install the panic hook. `None` if code does not decide.
    pub(crate) panic_hook: Option<bool>,
    /// The settings of optional sinks, such as Sentry.
    pub(crate) sinks: SinkChanges,
    pub(crate) record_sinks: Vec<(String, BackgroundBuilder)>,
    pub(crate) layers: Vec<AddLayer>,
    /// The filters, each with the name that a configuration file uses.
    pub(crate) filters: Vec<(String, CodeFilter)>,
}

type AddLayer = Box<dyn FnOnce(Stack) -> Stack + Send + Sync>;

impl Builder {
    /// Creates a builder with the defaults of `preset`. Reads no setting from the environment.
    ///
    /// To combine a preset with the environment, use `Builder::from_env()?.preset(Preset::Dev)`.
    pub fn new(preset: Preset) -> Self {
        Self::with_sources(PREFIX, Vec::new()).preset(preset)
    }

    pub(crate) fn with_sources(prefix: &str, sources: Vec<Box<dyn Source>>) -> Self {
        Self {
            sources,
            #[cfg(feature = "config")]
            files: crate::config_file::ConfigFiles::default(),
            prefix: prefix.to_owned(),
            clock: Clock::system(),
            code: CodeValues::default(),
            default_preset: None,
            default_levels: None,
            verbosity: 0,
            formats: Vec::new(),
            writer: None,
            when_full: WhenFull::default(),
            redaction: None,
            pseudonym_keys: PseudonymKeys::default(),
            context_keys: Vec::new(),
            static_fields: StaticFields::default(),
            own_crate: None,
            panic_hook: None,
            sinks: SinkChanges::default(),
            record_sinks: Vec::new(),
            layers: Vec::new(),
            filters: Vec::new(),
        }
    }

    /// Takes the writer that code set, if any. Leaves a writer that writes nothing in its place, so
    /// that a reload still knows that code set a writer.
    pub(crate) fn take_writer(&mut self) -> Option<BoxMakeWriter> {
        let writer = self.writer.as_mut()?;
        Some(std::mem::replace(writer, BoxMakeWriter::new(std::io::sink)))
    }

    /// Stores the argument of a setter. An empty text changes nothing. [`init`](Self::init) reports
    /// an invalid text.
    pub(crate) fn set<V, T>(
        mut self,
        setter: &str,
        row: &SettingRow<T>,
        value: impl Into<SettingValue<V>>,
    ) -> Self
    where
        T: From<V> + Send + Sync + 'static,
    {
        match self.code.parse(setter, row, value.into()) {
            Some(value) => self.put(row, value),
            None => self,
        }
    }

    pub(crate) fn put<T: Send + Sync + 'static>(mut self, row: &SettingRow<T>, value: T) -> Self {
        self.code.put(row, value);
        self
    }

    /// Stores a text that needs no parser. An empty text changes nothing.
    pub(crate) fn put_text(self, row: &SettingRow<String>, text: impl Into<String>) -> Self {
        match text.into().trim() {
            "" => self,
            text => self.put(row, text.to_owned()),
        }
    }

    /// Sets the preset.
    pub fn preset(self, preset: impl Into<SettingValue<Preset>>) -> Self {
        self.set("preset", &LOG_PRESET, preset)
    }

    /// Sets the preset for the case that neither [`preset`](Self::preset), nor the environment, nor
    /// a configuration file sets one. Defaults to `Dev` if stderr is a terminal, or else to `Prod`.
    pub fn default_preset(mut self, preset: impl Into<SettingValue<Preset>>) -> Self {
        let preset = self
            .code
            .parse("default_preset", &LOG_PRESET, preset.into());
        self.default_preset = preset.or(self.default_preset);
        self
    }

    /// Sets the levels of events for the case that neither [`levels`](Self::levels), nor the
    /// environment, nor a configuration file sets them. Defaults to the levels of the preset.
    ///
    /// Levels such as `sqlx=warn` have no default level: no level for targets that they do not
    /// name. If levels from code, the environment or a file have none, `default_levels` applies to
    /// all other targets. If it has none either, the levels of the preset apply. With the default
    /// level `warn`, add `spanwise_http=info` to log requests.
    pub fn default_levels(mut self, levels: impl Into<SettingValue<Levels>>) -> Self {
        let levels = self.code.parse("default_levels", &RUST_LOG, levels.into());
        self.default_levels = levels.or(self.default_levels);
        self
    }

    /// Sets the levels of events. Levels such as `sqlx=warn` have no level for all other targets.
    /// In that case, the levels of a configuration file, of
    /// [`default_levels`](Self::default_levels) or of the preset apply to these targets.
    pub fn levels(self, levels: impl Into<SettingValue<Levels>>) -> Self {
        self.set("levels", &RUST_LOG, levels)
    }

    /// Sets the targets of your own code. The preset dev logs DEBUG for them, and backtraces in
    /// `pretty`, `compact` and `short` show their frames. The name of a crate includes all its
    /// modules. Defaults to the crate of [`builder!`](crate::builder!), or else to the name of the
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
                self.code
                    .add_text_problem(&shown, target, &ParseError::new(problem));
            }
        }
        self.put(&LOG_OWN, targets)
    }

    /// Sets the levels of spans. The fields of an enabled span are on every line inside it.
    /// Defaults to INFO, or to the level of events if that is more verbose. See
    /// [`LevelLayer::span_levels`](crate::layer::LevelLayer::span_levels).
    pub fn span_levels(self, levels: impl Into<SettingValue<TargetLevels>>) -> Self {
        self.set("span_levels", &LOG_SPANS, levels)
    }

    /// Sets the format of lines. Defaults to the format of the preset.
    pub fn format(self, format: impl Into<SettingValue<Format>>) -> Self {
        self.set("format", &LOG_FORMAT, format)
    }

    /// Makes a format available under a name, for `LOG_FORMAT` and [`format`](Self::format). The
    /// name must not be that of another format.
    ///
    /// ```
    /// use spanwise::{Builder, Format, Preset};
    ///
    /// let acme = Format::custom("acme").message("text").build()?;
    /// let builder = Builder::new(Preset::Prod).register_format("acme", acme).format("acme");
    /// assert!(builder.explain().to_string().contains("LOG_FORMAT = acme (code)"));
    /// # Ok::<(), spanwise::FormatError>(())
    /// ```
    pub fn register_format(mut self, name: impl Into<String>, format: Format) -> Self {
        self.formats.push((name.into(), format));
        self
    }

    /// Sets which fields and parts lines show, omit, rename or add: see [`FieldList`]. Defaults to
    /// those of the format. To add a static field that Sentry and OpenTelemetry also receive, use
    /// [`field`](Self::field).
    ///
    /// ```
    /// let builder = spanwise::Builder::new(spanwise::Preset::Prod).fields("+location,level>severity");
    /// assert!(builder.explain().to_string().contains("LOG_FIELDS = +location,level>severity (code)"));
    /// ```
    pub fn fields(self, fields: impl Into<SettingValue<FieldList>>) -> Self {
        self.set("fields", &LOG_FIELDS, fields)
    }

    /// Sets the maximum length of a line. A longer line loses fields: see
    /// [`JsonLayer::max_line`](crate::layer::JsonLayer::max_line). `pretty`, `compact` and `short`
    /// ignore it. Defaults to 256 KiB.
    ///
    /// ```
    /// let builder = spanwise::Builder::new(spanwise::Preset::Prod).max_line("64KiB");
    /// assert!(builder.explain().to_string().contains("LOG_MAX_LINE = 64KiB (code)"));
    /// ```
    pub fn max_line(self, size: impl Into<SettingValue<ByteSize>>) -> Self {
        self.set("max_line", &LOG_MAX_LINE, size)
    }

    /// Sets the time zone of timestamps. Defaults to UTC. With [`Preset::Dev`] and [`Preset::Cli`],
    /// `pretty`, `compact` and `short` default to local time.
    pub fn time(self, zone: impl Into<SettingValue<TimeZone>>) -> Self {
        self.set("time", &LOG_TIME, zone)
    }

    /// Sets where lines go. Defaults to the output of the preset.
    pub fn output(self, output: impl Into<SettingValue<Output>>) -> Self {
        self.set("output", &LOG_OUTPUT, output)
    }

    /// Sets the least severe level that [`output`](Self::output) or
    /// [`with_writer`](Self::with_writer) receives. Defaults to all enabled events.
    pub fn output_level(self, level: impl Into<SettingValue<LevelFilter>>) -> Self {
        self.set("output_level", &LOG_OUTPUT_LEVEL, level)
    }

    /// Writes lines to your own writer instead of the [`output`](Self::output), with one
    /// `write_all` per line.
    pub fn with_writer<W>(mut self, make_writer: W) -> Self
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        self.writer = Some(BoxMakeWriter::new(make_writer));
        self
    }

    /// Sets what happens to lines while the buffer in front of an output fills. Standard streams,
    /// files and [record sinks](Self::record_sink) have a buffer. A
    /// [writer of your own](Self::with_writer) has none. Defaults to [`WhenFull::ShedByLevel`] with
    /// 100 ms.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Also writes lines to a file, in the background, in the same format without colours.
    pub fn file(self, path: impl Into<PathBuf>) -> Self {
        self.put(&LOG_FILE, path.into())
    }

    /// Sets the least severe level that [`file`](Self::file) receives. Defaults to all enabled
    /// events.
    pub fn file_level(self, level: impl Into<SettingValue<LevelFilter>>) -> Self {
        self.set("file_level", &LOG_FILE_LEVEL, level)
    }

    /// Also writes lines at ERROR to a file.
    pub fn error_file(self, path: impl Into<PathBuf>) -> Self {
        self.put(&LOG_ERROR_FILE, path.into())
    }

    /// Sets when a new file starts. Defaults to every day, and also when a file reaches 100 MiB.
    pub fn file_rotation(self, rotation: impl Into<SettingValue<Rotation>>) -> Self {
        self.set("file_rotation", &LOG_FILE_ROTATE, rotation)
    }

    /// Sets which rolled files are kept. Defaults to the newest 14 for each log file.
    pub fn file_retention(self, retention: impl Into<SettingValue<Retention>>) -> Self {
        self.set("file_retention", &LOG_FILE_KEEP, retention)
    }

    /// Sets how rolled files are compressed. Defaults to [`Compression::Gzip`], or to none without
    /// the feature `gzip`.
    pub fn file_compression(self, compression: impl Into<SettingValue<Compression>>) -> Self {
        self.set("file_compression", &LOG_FILE_COMPRESS, compression)
    }

    /// Allows several processes to log to the same path. Each further process writes its own files,
    /// with a number in their names: `shop.2.log`. Defaults to one file, which only one process can
    /// open.
    pub fn file_per_process(self) -> Self {
        self.put(&LOG_FILE_PER_PROCESS, true)
    }

    /// Changes the policy of the preset and the environment. `change` is passed [`Policy::secrets`]
    /// for [`Preset::Dev`] and [`Preset::Cli`], or else [`Policy::secrets_and_pii`]. With
    /// `LOG_REDACT_KEY_FILE`, it is passed a policy of secrets and pseudonyms instead. The changes
    /// of `LOG_REDACT` are already applied. [`init`](Self::init) reports an invalid rule. With
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

    /// Replaces the policy of the preset and the environment.
    pub fn redact(mut self, policy: impl Redact) -> Self {
        self.redaction = Some(RedactionOverride::Policy(Arc::new(policy)));
        self
    }

    /// Disables redaction, so that passwords are logged in plain text.
    pub fn without_redaction(mut self) -> Self {
        self.redaction = Some(RedactionOverride::Off);
        self
    }

    /// Sets the sampler of the outputs. [Added](Self::layer) layers are not sampled. Defaults to
    /// none.
    pub fn sampler(self, sampler: impl Into<SettingValue<Sampler>>) -> Self {
        self.set("sampler", &LOG_SAMPLE, sampler)
    }

    /// Sets the flight recorder, which buffers the events of each request and writes them to the
    /// outputs if the request fails. [Added](Self::layer) layers do not receive the events that are
    /// enabled only for the recorder. Defaults to none.
    pub fn recorder(self, recorder: impl Into<SettingValue<Recorder>>) -> Self {
        self.set("recorder", &LOG_RECORDER, recorder)
    }

    /// Sets the callers that [`Telemetry::http_server`](crate::Telemetry::http_server) trusts. The
    /// layer adopts their request ids, trace ids and tenant ids, and reads their `X-Forwarded-For`.
    /// Defaults to none.
    #[cfg(feature = "http")]
    pub fn http_trust(self, trust: impl Into<SettingValue<spanwise_http::Trust>>) -> Self {
        self.set("http_trust", &LOG_HTTP_TRUST, trust)
    }

    /// Sets which part of a client's address
    /// [`Telemetry::http_server`](crate::Telemetry::http_server) logs. Defaults to the network, or
    /// to the full address with [`Preset::Dev`].
    #[cfg(feature = "http")]
    pub fn http_client_address(
        self,
        address: impl Into<SettingValue<spanwise_http::ClientAddress>>,
    ) -> Self {
        self.set("http_client_address", &LOG_HTTP_CLIENT_ADDRESS, address)
    }

    /// Sets the name and the version of the service, which each line of `json` shows. `json-nested`
    /// does not show them. An empty text changes nothing.
    pub fn service(self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.put_text(&SERVICE_NAME, name)
            .put_text(&SERVICE_VERSION, version)
    }

    /// Sets the name of this instance of the service, such as the name of the pod. Each line of
    /// `json` shows it. Defaults to none.
    pub fn service_node(self, node: impl Into<String>) -> Self {
        self.put_text(&SERVICE_NODE, node)
    }

    /// Adds a context key: the value of a span field with this name is part of the
    /// [`Context`](crate::context::Context). JSON lines show every span field, also those that are
    /// not context keys.
    pub fn context_key(mut self, key: impl Into<String>) -> Self {
        let key = key.into();
        if !parse::is_field_name(&key) {
            self.code.add_problem(format!(
                "Builder::context_key({}) is not a field name: write letters, digits, `_`, `.` \
                 and `-`",
                conceal::shown(&key)
            ));
        }
        self.context_keys.push(key);
        self
    }

    /// Makes the span of the parent process the parent of this process's units of work, as
    /// `LOG_PARENT=env` does. Use it for jobs and command-line tools. The builder must read the
    /// environment. See [`child_env`](crate::context::child_env).
    pub fn parent_from_env(mut self) -> Self {
        self.code.put(&LOG_PARENT, ParentSource::Env);
        self
    }

    /// Adds a constant text field to every JSON line, a tag to every event in Sentry, and an
    /// attribute to the resource in OpenTelemetry. `pretty`, `compact` and `short` omit it. If a
    /// name is set twice, the last value wins. The policy also redacts these fields.
    ///
    /// [`init`](Self::init) reports fields that break these rules. A name is a field name of at
    /// most 64 bytes. It must not be a key of the line itself or a context key. With the feature
    /// `sentry`, it must also be a valid tag, which `release` is not. A value has 1 to 1,024 bytes.
    /// At most 64 fields are accepted.
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
    pub fn color(self, color: impl Into<SettingValue<Color>>) -> Self {
        self.set("color", &LOG_COLOR, color)
    }

    /// Turns the warnings of [`explain`](Self::explain) into errors of [`init`](Self::init). Most
    /// warnings are about unknown names that resemble a setting or have the prefix of the settings.
    /// Others are about settings of parts that are not built in, or values without effect. Defaults
    /// to warnings.
    pub fn strict(self) -> Self {
        self.put(&LOG_STRICT, true)
    }

    /// Disables the panic hook, so that panics are not logged.
    pub fn without_panic_hook(mut self) -> Self {
        self.panic_hook = Some(false);
        self
    }

    /// Sets the length of the backtrace in the event of a panic. Defaults to
    /// [`PanicBacktrace::Short`]. With [`Preset::Cli`], the default is [`PanicBacktrace::Off`],
    /// unless `RUST_BACKTRACE` requests a backtrace. With `pretty`, `compact` and `short`,
    /// `RUST_BACKTRACE=full` makes [`PanicBacktrace::Full`] the default.
    pub fn panic_backtrace(self, backtrace: impl Into<SettingValue<PanicBacktrace>>) -> Self {
        self.set("panic_backtrace", &LOG_PANIC_BACKTRACE, backtrace)
    }

    /// Registers a filter by its name in a configuration file: `special = { code = true }`. The
    /// filter decides about the events of the routes and sinks that list `special` in their
    /// `filters`.
    ///
    /// The function sees redacted values. The thread that logs an event calls the function once for
    /// each list that contains the filter, unless an earlier filter drops the event. If the
    /// function panics, the event is kept, and the panic is reported once. A later filter replaces
    /// an earlier one of the same name.
    ///
    /// ```
    /// use spanwise::{Builder, Preset, filter::Verdict};
    ///
    /// let builder = Builder::new(Preset::Prod).filter("special", |event| {
    ///     match event.field("foo").as_deref() {
    ///         Some("bar") => Verdict::Keep,
    ///         _ => Verdict::Drop,
    ///     }
    /// });
    /// # let _ = builder;
    /// ```
    pub fn filter<F>(mut self, name: impl Into<String>, filter: F) -> Self
    where
        F: Fn(&FilterEvent<'_>) -> Verdict + Send + Sync + 'static,
    {
        let name = name.into();
        self.filters.retain(|(other, _)| *other != name);
        self.filters.push((name, Arc::new(filter)));
        self
    }

    /// Adds an output that accepts whole records, such as a message queue. The output receives the
    /// same lines as a file. `name` is the name of the output in [`Stats`](crate::report::Stats)
    /// and in reports. A table `[sink.NAME]` with `kind = "none"` in a configuration file sets the
    /// options of its lines, such as `level`, `format` and `redact`.
    pub fn record_sink(mut self, name: impl Into<String>, sink: impl RecordSink + 'static) -> Self {
        self.record_sinks
            .push((name.into(), Background::for_sink(sink)));
        self
    }

    /// Adds a layer of any kind. It receives every event that the levels enable, with secrets
    /// hidden. See [`LayerExt::redacted`](crate::layer::LayerExt::redacted). It may have its own
    /// filter.
    pub fn layer(mut self, layer: impl Layer<Registry> + Send + Sync) -> Self {
        self.layers.push(Box::new(|stack| stack.layer(layer)));
        self
    }

    /// Adds a layer that receives unredacted values. Use it for a layer that needs the original
    /// values, such as the types of errors, and does not write them.
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
