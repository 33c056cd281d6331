//! The start: from the settings to a running stack.

use std::{
    ffi::OsString,
    sync::Arc,
    thread::{self, ThreadId},
};

use spanwise_core::{
    Clock, Fault, SelfReport,
    internal::{
        inherited_context::{InheritedContextLayer, inherit},
        log_bridge,
        sync::{Condvar, Mutex},
    },
};
use tracing::dispatcher;

use crate::{
    Builder, Explanation, Handle, InitError, Output, Preset, Stack, Telemetry, choices,
    config::Config,
    environment::Environment,
    global_subscriber,
    outputs::Outputs,
    own_crate::OwnCrate,
    panic_hook, rule_fields,
    settings::{LOG_RECORDER, LOG_SAMPLE, PREFIX},
    sinks::{self, StackContext, StartedSink},
};

impl Builder {
    /// Creates a builder with the settings of the environment; see [`SETTINGS`](crate::SETTINGS).
    ///
    /// # Errors
    /// [`InitError::Settings`] with every invalid setting.
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
        Self::read(prefix.trim_end_matches('_'), std::env::vars_os())
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
        Self::read(PREFIX, vars)
    }

    fn read(
        prefix: &str,
        vars: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, InitError> {
        let environment = Environment::new(prefix, vars);
        let builder = Self::with_sources(prefix, vec![Box::new(environment)]);
        let config = Config::choose(&builder);
        if config.is_readable() {
            return Ok(builder);
        }
        // If one value is invalid, all mistakes are reported, including those that depend on other
        // settings.
        Err(InitError::Settings(config.problems()))
    }

    /// Returns the effective settings with their origin. Starts nothing. Later changes by a
    /// [`Handle`](crate::Handle) are not included.
    ///
    /// Each problem is a line. [`init`](Self::init) fails with the same problems. It also fails if
    /// it cannot open a file.
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

/// Sets the clock of lines for people, for pictures of them.
pub fn with_clock(mut builder: Builder, clock: Clock) -> Builder {
    builder.clock = clock;
    builder
}

/// Starts logging with the settings of `builder`.
fn start(mut builder: Builder) -> Result<Telemetry, InitError> {
    // If several starts race, only one may open files.
    let _claim = Claim::wait().ok_or(InitError::AlreadyInitialized)?;
    if global_subscriber::is_set() {
        return Err(InitError::AlreadyInitialized);
    }
    let mut config = Config::choose(&builder);
    let report = SelfReport::default();
    let (outputs, sinks) = open(&mut builder, &mut config, &report)?;
    let telemetry = install(builder, &config, outputs, sinks, &report)?;
    if let Err(error) = log_bridge::install() {
        let why = format_args!("records of the `log` crate go elsewhere: {error}");
        report.fault(Fault::Setup, &why);
    }
    report_start(&config, &report);
    Ok(telemetry)
}

/// Opens the outputs and starts the sinks. On failure, returns all problems.
fn open(
    builder: &mut Builder,
    config: &mut Config,
    report: &SelfReport,
) -> Result<(Outputs, Vec<StartedSink>), InitError> {
    let problems = config.problems();
    let sinks = std::mem::take(&mut config.sinks);
    let context = StackContext {
        report,
        policy: config.redaction.policy.as_ref(),
        context_keys: &config.context,
        static_fields: &config.static_fields,
    };
    let sinks = sinks::start(sinks, &context);
    let record_sinks = std::mem::take(&mut builder.record_sinks);
    let outputs = Outputs::open(config, record_sinks, problems, sinks.is_err(), report);
    match (outputs, sinks) {
        (Ok(outputs), Ok(sinks)) => Ok((outputs, sinks)),
        (outputs, sinks) => {
            let mut problems = outputs.err().unwrap_or_default();
            for problem in sinks.err().unwrap_or_default() {
                choices::push_new(&mut problems, problem);
            }
            Err(InitError::Settings(problems))
        }
    }
}

/// Builds the stack and makes it the global subscriber.
fn install(
    builder: Builder,
    config: &Config,
    mut outputs: Outputs,
    sinks: Vec<StartedSink>,
    report: &SelfReport,
) -> Result<Telemetry, InitError> {
    let has_writer = builder.writer.is_some();
    let has_panic_hook = builder.panic_hook.unwrap_or(config.preset != Preset::Test);
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
    stack = outputs.add_layers(stack, config, builder.writer, report);
    let mut running = Vec::new();
    for sink in sinks {
        stack = (sink.add_layers)(stack);
        running.push(sink.running);
    }
    for add in builder.layers {
        stack = add(stack);
    }
    if config.inherited.is_some() {
        // All others are in front of it, since it records values for them.
        stack = stack.layer_unredacted(InheritedContextLayer::default());
    }
    let handle = Handle {
        levels: stack.handle(),
        report: report.clone(),
        backgrounds: outputs.backgrounds.into(),
        files: outputs.files.into(),
        sampler: config.sampler.clone(),
        recorder: config.recorder.clone(),
        sinks: running.into(),
    };
    let telemetry = Telemetry::new(
        handle,
        outputs.guards,
        #[cfg(feature = "http")]
        (config.context.iter()).fold(config.http_server.clone(), |layer, key| {
            layer.context_key(key)
        }),
    );
    dispatcher::set_global_default(stack.build().into())
        .map_err(|_| InitError::AlreadyInitialized)?;
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
            leaves_std_out: match config.preset {
                Preset::Prod | Preset::Cli => true,
                // Where std prints. A person at a terminal also sees a panic whose line goes to
                // another place.
                Preset::Dev => !has_writer && config.lines.output == Output::Stderr,
                Preset::Test => false,
            },
            aborts: cfg!(panic = "abort"),
        };
        panic_hook::install(telemetry.handle(), options);
    }
    Ok(telemetry)
}

/// Reports warnings and disabled redaction, and in production also the whole configuration.
fn report_start(config: &Config, report: &SelfReport) {
    if let Some(recorder) = &config.recorder
        && !recorder.captures_beyond(&config.levels.events)
    {
        let (variable, levels) = (config.name_of(&LOG_RECORDER.def), &config.levels.events);
        let why = format_args!(
            "the recorder buffers nothing: the levels `{levels}` show all of `{recorder}`; let it \
             buffer more, such as {variable}=debug, or remove it"
        );
        report.fault(Fault::Setup, &why);
    }
    if let Some(sampler) = &config.sampler {
        let variable = config.name_of(&LOG_SAMPLE.def);
        rule_fields::warn_of_misspelled(sampler, &variable, &config.context, report);
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

/// The right to start. Only one thread has it at a time.
struct Claim;

static STARTING: Mutex<Option<ThreadId>> = Mutex::new(None);
static STARTED: Condvar = Condvar::new();

impl Claim {
    /// Waits until no other thread is starting. Returns `None` if this thread is already starting,
    /// because code that the start calls has called it again.
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
