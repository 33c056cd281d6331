//! Starts logging: reads the settings, opens the outputs, and builds and installs the stack.

#[cfg(feature = "config")]
use std::path::Path;
use std::{ffi::OsString, sync::Arc};

use spanwise_core::{
    Clock, Fault, SelfReport,
    internal::{
        inherited_context::{InheritedContextLayer, inherit},
        log_bridge,
        sync::RwLock,
    },
};
use spanwise_sample::Sampler;
use tracing::{Dispatch, dispatcher};

use crate::{
    Builder, Explanation, Handle, InitError, Output, Preset, Stack, Telemetry, choices,
    config::Config,
    environment::Environment,
    global_subscriber,
    outputs::{MAIN, OpenOptions, Outputs, add_writer_layer},
    own_crate::OwnCrate,
    panic_hook,
    router::{FreeBits, Router, RouterOptions},
    rule_fields,
    settings::{LOG_RECORDER, LOG_SAMPLE, PREFIX},
    sink_settings::Routing,
    sinks::{self, StackContext, StartedSink},
    start_claim::StartClaim,
    telemetry::{Guards, RunningOutputs},
};
#[cfg(feature = "config")]
use crate::{
    choices::Source as _,
    config_file::{CodeFile, ConfigFiles, FileSources, Reload},
    reload::{Live, Reloader},
    settings::LOG_CONFIG,
};

impl Builder {
    /// Creates a builder with the settings of the environment; see [`SETTINGS`](crate::SETTINGS).
    ///
    /// # Errors
    /// [`InitError::Settings`] with every invalid setting. An unknown format is not among them,
    /// because the program may [register](Self::register_format) it: [`init`](Self::init) reports
    /// it.
    pub fn from_env() -> Result<Self, InitError> {
        Self::from_env_with_prefix(PREFIX)
    }

    /// Creates a builder with the settings of the environment under another prefix. If `prefix` is
    /// `SHOP_LOG`, it reads `SHOP_LOG_FORMAT` instead of `LOG_FORMAT`. `RUST_LOG` and other names
    /// that do not begin with `LOG_` do not change.
    ///
    /// # Errors
    /// [`InitError::Settings`] with every invalid setting.
    pub fn from_env_with_prefix(prefix: &str) -> Result<Self, InitError> {
        let prefix = prefix.trim_end_matches('_');
        Self::read(prefix, std::env::vars_os(), Config::problems_before_code)
    }

    /// Like [`from_env_with_prefix`](Self::from_env_with_prefix), for a start in which code sets
    /// nothing. Also reports an unknown format, because no code can register it.
    pub(crate) fn from_env_alone(prefix: &str) -> Result<Self, InitError> {
        let prefix = prefix.trim_end_matches('_');
        Self::read(prefix, std::env::vars_os(), Config::problems)
    }

    /// Creates a builder with the settings of these variables, instead of the environment.
    ///
    /// # Errors
    /// [`InitError::Settings`] with every invalid setting.
    pub fn from_vars<N, V>(vars: impl IntoIterator<Item = (N, V)>) -> Result<Self, InitError>
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let vars = vars
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Self::read(PREFIX, vars, Config::problems_before_code)
    }

    /// Creates a builder with the settings of a configuration file. The files of `LOG_CONFIG`
    /// override this file, and the variables of the environment override all files. So a deployment
    /// can change everything that is not in code. See `docs/config-file.md` in the repository.
    ///
    /// The builder does not know your crate, unlike that of [`builder!`](macro@crate::builder). So
    /// set its [`service`](Self::service) and its [`own_targets`](Self::own_targets), or the keys
    /// `service.name`, `service.version` and `own` of the file.
    ///
    /// # Errors
    /// [`InitError::Settings`] with every problem of the files and of the environment.
    #[cfg(feature = "config")]
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, InitError> {
        let file = CodeFile::Path(path.as_ref().to_owned());
        Self::read_with_file(
            PREFIX,
            vec![file],
            std::env::vars_os(),
            Config::problems_before_code,
        )
    }

    /// Like [`from_file`](Self::from_file), with the content of the file, such as
    /// `include_str!("log.toml")`. Errors name the file `config`.
    ///
    /// ```
    /// use spanwise::{Builder, InitError};
    ///
    /// let result = Builder::from_file_text("levels = 'info'\n[sink.console]\nkind = 'stdot'\n");
    /// let Err(InitError::Settings(problems)) = result else { panic!("it is valid") };
    /// assert!(problems[0].starts_with(
    ///     "config:3:8: sink.console.kind=\"stdot\" is unknown: did you mean stdout?"
    /// ));
    /// ```
    ///
    /// # Errors
    /// [`InitError::Settings`] with every problem of the file and of the environment.
    #[cfg(feature = "config")]
    pub fn from_file_text(text: &str) -> Result<Self, InitError> {
        let file = CodeFile::Text(text.to_owned());
        Self::read_with_file(
            PREFIX,
            vec![file],
            std::env::vars_os(),
            Config::problems_before_code,
        )
    }

    /// Creates a builder with the settings of these variables. If a value is invalid, fails with
    /// the result of `problems`.
    fn read(
        prefix: &str,
        vars: impl IntoIterator<Item = (OsString, OsString)>,
        problems: fn(&Config) -> Vec<String>,
    ) -> Result<Self, InitError> {
        #[cfg(feature = "config")]
        return Self::read_with_file(prefix, Vec::new(), vars, problems);
        #[cfg(not(feature = "config"))]
        Self::with_sources(prefix, vec![Box::new(Environment::new(prefix, vars))]).checked(problems)
    }

    /// Like [`read`](Self::read), also with the configuration files that code names, and those that
    /// `LOG_CONFIG` names.
    #[cfg(feature = "config")]
    fn read_with_file(
        prefix: &str,
        code_files: Vec<CodeFile>,
        vars: impl IntoIterator<Item = (OsString, OsString)>,
        problems: fn(&Config) -> Vec<String>,
    ) -> Result<Self, InitError> {
        let environment = Environment::new(prefix, vars);
        let files = ConfigFiles::read(FileSources {
            code: code_files,
            variable: environment.raw(&LOG_CONFIG.def),
            vars: environment.vars().iter().cloned().collect(),
        });
        let mut builder = Self::with_sources(prefix, vec![Box::new(environment)]);
        builder.files = files;
        builder.checked(problems)
    }

    /// Returns the builder if every value from a source is valid. Otherwise fails with the result
    /// of `problems`.
    fn checked(self, problems: fn(&Config) -> Vec<String>) -> Result<Self, InitError> {
        let builder = self;
        let config = Config::choose(&builder);
        if config.has_valid_sources() {
            return Ok(builder);
        }
        // After an invalid value, all mistakes are reported, even those that depend on several
        // settings.
        Err(InitError::Settings(problems(&config)))
    }

    /// Returns the effective settings with their origin. Starts nothing. Later changes by a
    /// [`Handle`](crate::Handle) are not included.
    ///
    /// Each problem is a line. [`init`](Self::init) fails with the same problems. It also fails for
    /// problems that appear only when outputs and sinks are opened, such as a file that cannot be
    /// opened.
    ///
    /// ```
    /// let explanation = spanwise::Builder::new(spanwise::Preset::Prod).levels("inof").explain();
    /// let text = explanation.to_string();
    /// assert!(text.contains("wrong: Builder::levels(\"inof\")"), "{text}");
    /// ```
    pub fn explain(&self) -> Explanation {
        Config::choose(self).into_explanation()
    }

    /// Starts logging: installs the global subscriber, the bridge from the `log` crate, and the
    /// panic hook.
    ///
    /// If the `log` crate already has a logger, that logger stays in place, and a warning is
    /// printed on stderr.
    ///
    /// # Errors
    /// - [`InitError::Settings`] with all problems.
    /// - [`InitError::AlreadyInitialized`] if there is a global subscriber. In that case nothing is
    ///   changed.
    pub fn init(self) -> Result<Telemetry, InitError> {
        start(self)
    }
}

/// The function behind [`builder!`](crate::builder!).
///
/// # Errors
/// [`InitError::Settings`] with every invalid setting.
pub fn from_env_in_crate(own: OwnCrate, prefix: &str) -> Result<Builder, InitError> {
    Builder::from_env_with_prefix(prefix).map(|mut builder| {
        builder.own_crate = Some(own);
        builder
    })
}

/// The function behind [`init_from_env!`](crate::init_from_env!).
///
/// # Errors
/// The errors of [`Builder::from_env`] and [`Builder::init`].
pub fn init_in_crate(own: OwnCrate, prefix: &str) -> Result<Telemetry, InitError> {
    let mut builder = Builder::from_env_alone(prefix)?;
    builder.own_crate = Some(own);
    builder.init()
}

/// Sets the clock of human-readable lines, so that images in the documentation show fixed times.
pub fn with_clock(mut builder: Builder, clock: Clock) -> Builder {
    builder.clock = clock;
    builder
}

/// Reads the content of a configuration file with these variables, instead of the environment. For
/// tests.
///
/// # Errors
/// [`InitError::Settings`] with every problem.
#[cfg(feature = "config")]
pub fn from_file_text_and_vars(text: &str, vars: &[(&str, &str)]) -> Result<Builder, InitError> {
    let vars = vars.iter().map(|(name, value)| (name.into(), value.into()));
    let file = CodeFile::Text(text.to_owned());
    Builder::read_with_file(PREFIX, vec![file], vars, Config::problems_before_code)
}

/// Opens the outputs and builds the subscriber of [`Builder::init`], without installing anything in
/// the process. For benches and tests, which have several subscribers.
///
/// # Errors
/// [`InitError::Settings`] with all problems.
pub fn without_installing(mut builder: Builder) -> Result<(Dispatch, Telemetry), InitError> {
    let mut config = Config::choose(&builder);
    let report = SelfReport::default();
    let opened = open(&mut builder, &mut config, &report)?;
    Ok(build(builder, &config, opened, &report))
}

/// Like [`without_installing`], with the given sinks and routes.
#[cfg(test)]
pub(crate) fn with_routing(
    mut builder: Builder,
    routing: Routing,
) -> Result<(Dispatch, Telemetry), InitError> {
    let mut config = Config::choose(&builder);
    config.routing = Some(routing);
    let report = SelfReport::silent();
    let opened = open(&mut builder, &mut config, &report)?;
    Ok(build(builder, &config, opened, &report))
}

/// Starts logging with the settings of `builder`.
fn start(mut builder: Builder) -> Result<Telemetry, InitError> {
    // If several threads start logging at once, only one may open files.
    let _claim = StartClaim::wait().ok_or(InitError::AlreadyInitialized)?;
    if global_subscriber::is_set() {
        return Err(InitError::AlreadyInitialized);
    }
    let mut config = Config::choose(&builder);
    let report = SelfReport::default();
    let opened = open(&mut builder, &mut config, &report)?;
    let telemetry = install(builder, &config, opened, &report)?;
    if let Err(error) = log_bridge::install() {
        let why = format_args!("records of the `log` crate go elsewhere: {error}");
        report.fault(Fault::Setup, &why);
    }
    report_start(&config, &report);
    Ok(telemetry)
}

/// The open outputs and the started optional sinks, with the routes to both.
struct Opened {
    outputs: Outputs,
    sinks: Vec<StartedSink>,
    routing: Routing,
    /// `None` if every event goes to all outputs and exporters whose level admits it.
    router: Option<Router>,
}

/// Opens the outputs and starts the optional sinks. On failure, returns all problems.
fn open(
    builder: &mut Builder,
    config: &mut Config,
    report: &SelfReport,
) -> Result<Opened, InitError> {
    let mut problems = config.problems();
    let sinks = std::mem::take(&mut config.sinks);
    let context = StackContext {
        report,
        policy: config.redaction.policy.as_ref(),
        context_keys: &config.context,
        static_fields: &config.static_fields,
    };
    let started_sinks = sinks::start(sinks, &context);
    let record_sinks = std::mem::take(&mut builder.record_sinks);
    // Empty if a sink failed to start.
    let exporters = started_sinks.iter().flatten().map(StartedSink::kind);
    let names = record_sinks.iter().map(|(name, _)| &**name);
    let mut routing = config.sinks_and_routes(names, exporters);
    config.levels.events = routing.levels(&config.levels.events);
    if let Err(problem) = routing.assign_bits(&mut FreeBits::default(), |_| None) {
        choices::push_new(&mut problems, problem);
    }
    let has_routes = !routing.is_plain() || is_reloadable(builder, config);
    let router = has_routes.then(|| new_router(builder, config, &routing, report));
    let router = router.transpose().unwrap_or_else(|filter_problems| {
        for problem in filter_problems {
            choices::push_new(&mut problems, problem);
        }
        None
    });
    let options = OpenOptions {
        has_routes,
        is_reloadable: is_reloadable(builder, config),
        previous: &[],
        has_start_failed: started_sinks.is_err(),
        report,
    };
    let outputs = Outputs::open(config, &routing.sinks, record_sinks, problems, options);
    match (outputs, started_sinks) {
        (Ok(mut outputs), Ok(sinks)) => {
            outputs.copy_bits_from(&routing);
            Ok(Opened {
                router: router.map(|mut router| {
                    outputs.count_with(&mut router, report);
                    router
                }),
                outputs,
                sinks,
                routing,
            })
        }
        (outputs, started_sinks) => {
            let mut problems = outputs.err().unwrap_or_default();
            for problem in started_sinks.err().unwrap_or_default() {
                choices::push_new(&mut problems, problem);
            }
            config.finish_problems(&mut problems);
            Err(InitError::Settings(problems))
        }
    }
}

/// Creates the router, or returns all problems of the filters.
pub(crate) fn new_router(
    builder: &Builder,
    config: &Config,
    routing: &Routing,
    report: &SelfReport,
) -> Result<Router, Vec<String>> {
    let options = RouterOptions {
        preset: config.preset,
        code_filters: &builder.filters,
        context_keys: &config.context,
        policy: config.redaction.policy.clone(),
        report,
    };
    Router::new(routing, options)
}

/// Returns whether the sinks may change while the program runs.
#[cfg_attr(
    not(feature = "config"),
    expect(unused_variables, reason = "only the feature reads files")
)]
fn is_reloadable(builder: &Builder, config: &Config) -> bool {
    #[cfg(feature = "config")]
    return builder.files.exist()
        && config.file.reload() != Reload::Off
        // Tests on a machine with a configured service ignore the sinks of that service.
        && (config.preset != Preset::Test || builder.files.is_in_code());
    #[cfg(not(feature = "config"))]
    false
}

/// Builds the stack and makes it the global subscriber.
fn install(
    builder: Builder,
    config: &Config,
    opened: Opened,
    report: &SelfReport,
) -> Result<Telemetry, InitError> {
    let has_writer = builder.writer.is_some();
    let has_panic_hook = builder.panic_hook.or(config.panic_hook);
    let has_panic_hook = has_panic_hook.unwrap_or(config.preset != Preset::Test);
    let (subscriber, telemetry) = build(builder, config, opened, report);
    dispatcher::set_global_default(subscriber).map_err(|_| InitError::AlreadyInitialized)?;
    if let Some(inherited) = &config.inherited {
        inherit(inherited.clone());
    }
    telemetry.on_installed();
    if let Some(policy) = &config.redaction.policy {
        report.redact(Arc::clone(policy));
    }
    if has_panic_hook {
        let options = panic_hook::Options {
            policy: config.redaction.policy.clone(),
            backtrace: config.panic_backtrace,
            skips_std_hook: match config.preset {
                Preset::Prod | Preset::Cli => true,
                // If the line is on stderr, std need not print the panic there again. If the line
                // goes elsewhere, std prints the panic for the person at the terminal.
                Preset::Dev => !has_writer && config.lines.output == Output::Stderr,
                Preset::Test => false,
            },
            aborts: cfg!(panic = "abort"),
        };
        panic_hook::install(telemetry.handle(), options);
    }
    Ok(telemetry)
}

/// Builds the stack, and the guard of its outputs.
fn build(
    builder: Builder,
    config: &Config,
    opened: Opened,
    report: &SelfReport,
) -> (Dispatch, Telemetry) {
    let Opened {
        outputs,
        sinks,
        routing,
        router,
    } = opened;
    let router = router.map(Arc::new);
    let mut stack =
        Stack::new(config.levels.events.clone()).span_levels(config.levels.spans.clone());
    for key in &config.context {
        stack = stack.context_key(key);
    }
    if let Some(policy) = &config.redaction.policy {
        stack = stack.redact(Arc::clone(policy));
    }
    if let Some(sampler) = &config.sampler {
        stack = stack.sampler(sampler.clone());
    }
    if let Some(recorder) = &config.recorder {
        stack = stack.recorder(recorder.clone());
    }
    let mut builder = builder;
    let user_layers = std::mem::take(&mut builder.layers);
    let writer = builder.take_writer();
    let mut running_sinks = Vec::new();
    let bit_of_exporter = |kind| {
        router
            .as_deref()
            .map_or(0, |router| router.bit_of_exporter(kind))
    };
    let writer_bit = router.as_deref().map_or(0, |router| router.bit(MAIN));
    #[cfg(feature = "config")]
    let exporters: Vec<&'static str> = sinks.iter().map(StartedSink::kind).collect();
    let is_reloadable = is_reloadable(&builder, config);
    // Adds the layers that a reload does not replace.
    let add_fixed = |mut stack: Stack| {
        stack = add_writer_layer(stack, config, writer_bit, is_reloadable, writer, report);
        for sink in sinks {
            stack = stack.for_routes(bit_of_exporter(sink.kind()), sink.add_layers);
            running_sinks.push(sink.running);
        }
        stack
    };
    let sink_samplers = routing.sinks.iter();
    let sink_samplers = sink_samplers.filter_map(|sink| sink.sampler.clone().flatten());
    let sink_samplers: Vec<Sampler> = sink_samplers.collect();
    let first_outputs = RunningOutputs {
        sampler: config.sampler.clone(),
        ..RunningOutputs::new(
            &outputs,
            &routing,
            &config.levels,
            router.clone(),
            sink_samplers,
        )
    };
    let running_outputs = Arc::new(RwLock::new(Arc::new(first_outputs)));
    let guards = Arc::new(Guards::default());
    let mut outputs = outputs;
    guards.add(std::mem::take(&mut outputs.guards));
    #[cfg(feature = "config")]
    let mut reloader = None;
    stack = match &router {
        #[cfg(feature = "config")]
        Some(router) if is_reloadable => {
            let (stack, fixed) = stack.collect(|stack| {
                let stack = add_fixed(stack);
                match &config.recorder {
                    Some(recorder) => stack.layer_unredacted(recorder.finder()),
                    None => stack,
                }
            });
            let fixed = Arc::new(fixed.wrapped(&stack.wrappers()));
            let live = Live {
                wrappers: stack.wrappers(),
                levels: stack.handle(),
                running: Arc::clone(&running_outputs),
                guards: Arc::clone(&guards),
                report: report.clone(),
                shared: Arc::default(),
                fixed: Arc::clone(&fixed),
                exporters,
            };
            let (layers, started_reloader) =
                Reloader::start(live, builder, config, outputs, routing, Arc::clone(router));
            reloader = Some(Arc::new(started_reloader));
            stack.with_routed(|_| layers)
        }
        Some(router) => stack.with_router(Arc::clone(router), |stack| {
            add_fixed(outputs.add_layers(stack, config, true))
        }),
        None => add_fixed(outputs.add_layers(stack, config, false)),
    };
    for add in user_layers {
        stack = add(stack);
    }
    if config.inherited.is_some() {
        // This layer comes last: it records ids on a span while the span opens, so the other layers
        // must already know the span.
        stack = stack.layer_unredacted(InheritedContextLayer::default());
    }
    let handle = Handle {
        levels: stack.handle(),
        report: report.clone(),
        running: running_outputs,
        #[cfg(feature = "config")]
        reloader,
        recorder: config.recorder.clone(),
        sinks: running_sinks.into(),
    };
    let telemetry = Telemetry::new(
        handle,
        guards,
        #[cfg(feature = "http")]
        (config.context.iter()).fold(config.http_server.clone(), |layer, key| {
            layer.context_key(key)
        }),
    );
    (stack.build().into(), telemetry)
}

/// Reports warnings, a recorder that buffers nothing, and doubtful fields and targets in the rules
/// of the sampler. In production, also reports disabled redaction and the whole configuration.
fn report_start(config: &Config, report: &SelfReport) {
    if let Some(recorder) = &config.recorder
        && !recorder.captures_beyond(&config.levels.events)
    {
        let (variable, levels) = (config.name_of(&LOG_RECORDER.def), &config.levels.events);
        let why = format_args!(
            "the recorder buffers nothing: the levels `{levels}` show all of `{recorder}`; show \
             less, such as `info`, or let {variable} buffer more verbose levels"
        );
        report.fault(Fault::Setup, &why);
    }
    if let Some(sampler) = &config.sampler {
        let variable = config.name_of(&LOG_SAMPLE.def);
        rule_fields::warn_of_misspelled_fields(sampler, &variable, &config.context, report);
        rule_fields::warn_of_suspect_targets(sampler, &variable, &config.own_targets, report);
    }
    for warning in &config.findings.explanation.warnings {
        report.fault_unthrottled(Fault::Setup, warning);
        tracing::warn!(target: "spanwise", "{warning}");
    }
    if config.preset == Preset::Prod && config.redaction.policy.is_none() {
        tracing::warn!(target: "spanwise", "redaction is off: secrets are logged as they are");
    }
    if config.preset == Preset::Prod {
        let settings = spanwise_json::as_json(&config.findings.explanation);
        tracing::debug!(target: "spanwise", settings = %settings, "configuration");
    }
}
