//! From choices to a running stack.

use std::{ffi::OsString, fmt};

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use spanwise_core::{
    CONTEXT_KEYS, ContextLayer, Fault, Flush, Layers, LevelLayer, Levels, SelfReport, Setting,
};
use spanwise_json::{Format, JsonLayer};
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::{
    Layer, Registry,
    fmt::{MakeWriter, writer::BoxMakeWriter},
    layer::SubscriberExt as _,
};

use crate::{
    Explanation, InitError, Output, OutputFormat, Preset, Telemetry,
    console::{ConsoleLayer, Style},
    explain::Origin,
    panic_hook, program,
    settings::{
        self, APP_ENV, FromEnv, LOG_CONTEXT, LOG_FORMAT, LOG_LEVEL, LOG_OUTPUT, LOG_PRESET,
        NO_COLOR, RUST_LOG, SERVICE_NAME, SERVICE_VERSION,
    },
};

/// Chooses what is logged, how and where. Code beats environment beats preset.
///
/// ```no_run
/// # fn main() -> Result<(), spanwise::InitError> {
/// let _telemetry = spanwise::Builder::from_env()?
///     .service(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
///     .context_key("order_id")
///     .init()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is logged until `init` is called"]
pub struct Builder {
    env: FromEnv,
    preset: Option<Preset>,
    default_preset: Option<Preset>,
    levels: Option<Levels>,
    format: Option<OutputFormat>,
    output: Option<Output>,
    writer: Option<BoxMakeWriter>,
    context: Vec<String>,
    service: Option<(String, String)>,
    without_color: bool,
    panic_hook: Option<bool>,
    layers: Layers<Registry>,
}

impl Builder {
    /// What the environment says; see [`SETTINGS`](crate::SETTINGS).
    ///
    /// # Errors
    /// [`InitError::Settings`] with every setting that is wrong.
    pub fn from_env() -> Result<Self, InitError> {
        Self::env_prefix(settings::PREFIX)
    }

    /// What the environment says, with `SHOP_LOG_FORMAT` for `LOG_FORMAT` if `prefix` is `SHOP_LOG`. `RUST_LOG` and the other names that
    /// do not begin with `LOG_` stay.
    ///
    /// # Errors
    /// [`InitError::Settings`] with every setting that is wrong.
    pub fn env_prefix(prefix: &str) -> Result<Self, InitError> {
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

    /// [`Preset::Dev`], reading no variable at all. For this preset under the environment: `Builder::from_env()?.preset(Preset::Dev)`.
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

    fn read(
        prefix: &str,
        vars: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, InitError> {
        FromEnv::parse(prefix, vars)
            .map(Self::new)
            .map_err(InitError::Settings)
    }

    fn new(env: FromEnv) -> Self {
        Self {
            env,
            preset: None,
            default_preset: None,
            levels: None,
            format: None,
            output: None,
            writer: None,
            context: Vec::new(),
            service: None,
            without_color: false,
            panic_hook: None,
            layers: Layers::default(),
        }
    }

    /// Sets the preset.
    pub fn preset(mut self, preset: Preset) -> Self {
        self.preset = Some(preset);
        self
    }

    /// Sets the preset that holds where neither code nor environment says, instead of asking whether stderr is a terminal.
    pub fn default_preset(mut self, preset: Preset) -> Self {
        self.default_preset = Some(preset);
        self
    }

    /// Sets the levels; without a bare level the preset's remains for the rest.
    pub fn levels(mut self, levels: Levels) -> Self {
        self.levels = Some(levels);
        self
    }

    /// Sets what a line looks like.
    pub fn format(mut self, format: OutputFormat) -> Self {
        self.format = Some(format);
        self
    }

    /// Sets where lines go.
    pub fn output(mut self, output: Output) -> Self {
        self.output = Some(output);
        self
    }

    /// Writes lines to what `make_writer` makes, one `write_all` each, whatever the [`output`](Self::output).
    pub fn with_writer<W>(mut self, make_writer: W) -> Self
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        self.writer = Some(BoxMakeWriter::new(make_writer));
        self
    }

    /// Sets the name and the version of the service, for each line of `json`; `json-nested` has no place for them.
    pub fn service(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.service = Some((name.into(), version.into()));
        self
    }

    /// Declares one more span field that belongs to the context, besides those that always do: [`Context`](crate::Context) then has it.
    /// JSON lines show every span field in any case.
    pub fn context_key(mut self, key: impl Into<String>) -> Self {
        self.context.push(key.into());
        self
    }

    /// Leaves colours out of `pretty` and `compact`.
    pub fn without_color(mut self) -> Self {
        self.without_color = true;
        self
    }

    /// Leaves the panic hook as it is.
    pub fn without_panic_hook(mut self) -> Self {
        self.panic_hook = Some(false);
        self
    }

    /// Adds a layer of any kind: it sees every event that the levels let through. Layers with a filter of their own are welcome.
    pub fn with(mut self, layer: impl Layer<Registry> + Send + Sync) -> Self {
        self.layers.push(layer);
        self
    }

    /// What holds, and who said so. Nothing is started. What [`Handle`](crate::Handle) changes later is not in it.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        self.resolve().explanation
    }

    /// Starts logging: installs the global subscriber, the bridge from the `log` crate, and the panic hook.
    ///
    /// If the `log` crate has a logger already it keeps it, and stderr says so.
    ///
    /// # Errors
    /// [`InitError::AlreadyInitialized`] if there is a global subscriber; it stays, and nothing is changed.
    pub fn init(self) -> Result<Telemetry, InitError> {
        let resolved = self.resolve();
        let report = SelfReport::default();
        let panic_hook = self.panic_hook.unwrap_or(resolved.preset != Preset::Test);
        let (dispatch, telemetry) = self.build(&resolved, &report);
        dispatcher::set_global_default(dispatch).map_err(|_| InitError::AlreadyInitialized)?;

        // Levels are decided by the stack, which can change them: the bridge hands on everything.
        if let Err(error) = tracing_log::LogTracer::init() {
            let why = format_args!("records of the `log` crate go elsewhere: {error}");
            report.fault(Fault::Setup, &why);
        }
        if panic_hook {
            panic_hook::install(telemetry.handle());
        }
        if resolved.preset == Preset::Prod {
            tracing::debug!(target: "spanwise", settings = %spanwise_json::json(&resolved.explanation), "configuration");
        }
        Ok(telemetry)
    }

    fn build(self, resolved: &Resolved, report: &SelfReport) -> (Dispatch, Telemetry) {
        let mut context = ContextLayer::default();
        for key in &resolved.context {
            context = context.key(key);
        }
        let mut layers = Layers::<Registry>::default();
        layers.push(context);
        let mut outputs: Vec<Box<dyn Flush>> = Vec::new();
        let writer = match self.writer {
            Some(writer) => Some(writer),
            None if resolved.output == Output::None => None,
            None => {
                outputs.extend(resolved.output.flush());
                Some(resolved.output.make_writer())
            }
        };
        if let Some(writer) = writer {
            push_sink(&mut layers, resolved, writer, report);
        }
        layers.push(self.layers);
        let levels = LevelLayer::new(resolved.levels.clone());
        let handle = levels.handle();
        let stack = Registry::default().with(layers).with(levels);
        (
            Dispatch::new(stack),
            Telemetry::new(handle, report.clone(), outputs),
        )
    }

    fn resolve(&self) -> Resolved {
        let env = &self.env;
        let mut explanation = Explanation::new(env.unknown.clone());
        let mut explain = |setting: &Setting, value: &dyn fmt::Display, origin: &Origin| {
            let prefix = if env.prefix.is_empty() {
                settings::PREFIX
            } else {
                &env.prefix
            };
            explanation.add(settings::name_of(setting, prefix), value, origin.clone());
        };
        let variable =
            |setting: &Setting| Origin::Variable(settings::name_of(setting, &env.prefix));
        let program = program::name();

        let (preset, origin) = match (self.preset, &env.preset) {
            (Some(preset), _) => (preset, Origin::Code),
            (None, Some((preset, name))) => (*preset, Origin::Variable(name.clone())),
            (None, None) => match self.default_preset {
                Some(preset) => (preset, Origin::Code),
                None => (Preset::of_terminal(), Origin::Terminal),
            },
        };
        explain(&LOG_PRESET, &preset, &origin);
        let of_preset = Origin::Preset(preset.name());

        let defaults = preset.levels(&program);
        let (levels, origin) = match (&self.levels, &env.levels) {
            (Some(levels), _) => (levels.clone().or(&defaults), Origin::Code),
            (None, Some((levels, name))) => {
                (levels.clone().or(&defaults), Origin::Variable(name.clone()))
            }
            (None, None) => (defaults, of_preset.clone()),
        };
        let by_log_level = origin == variable(&LOG_LEVEL);
        explain(
            if by_log_level { &LOG_LEVEL } else { &RUST_LOG },
            &levels,
            &origin,
        );

        let choose = |code: bool, set: bool, setting: &Setting| match (code, set) {
            (true, _) => Origin::Code,
            (false, true) => variable(setting),
            (false, false) => of_preset.clone(),
        };
        let format = self.format.or(env.format).unwrap_or(preset.format());
        let origin = choose(self.format.is_some(), env.format.is_some(), &LOG_FORMAT);
        explain(&LOG_FORMAT, &format, &origin);

        let output = self.output.or(env.output).unwrap_or(preset.output());
        let origin = choose(self.output.is_some(), env.output.is_some(), &LOG_OUTPUT);
        match self.writer {
            Some(_) => explain(&LOG_OUTPUT, &"a writer of the program's", &Origin::Code),
            None => explain(&LOG_OUTPUT, &output, &origin),
        }

        let context: Vec<String> = env.context.iter().chain(&self.context).cloned().collect();
        let origin = match choose(
            !self.context.is_empty(),
            !env.context.is_empty(),
            &LOG_CONTEXT,
        ) {
            Origin::Preset(_) => Origin::Default,
            chosen => chosen,
        };
        let keys = CONTEXT_KEYS
            .iter()
            .copied()
            .chain(context.iter().map(String::as_str));
        explain(&LOG_CONTEXT, &keys.collect::<Vec<_>>().join(", "), &origin);

        let (name, origin) = match (&self.service, &env.service_name) {
            (Some((name, _)), _) => (name.clone(), Origin::Code),
            (None, Some((name, variable))) => (name.clone(), Origin::Variable(variable.clone())),
            (None, None) => (program, Origin::Program),
        };
        explain(&SERVICE_NAME, &name, &origin);
        let (version, origin) = match (&self.service, &env.service_version) {
            (Some((_, version)), _) => (Some(version.clone()), Origin::Code),
            (None, Some(version)) => (Some(version.clone()), variable(&SERVICE_VERSION)),
            (None, None) => (None, Origin::Unset),
        };
        explain(
            &SERVICE_VERSION,
            &version.as_deref().unwrap_or("none"),
            &origin,
        );
        let (environment, origin) = match &env.environment {
            Some((environment, name)) => (environment.clone(), Origin::Variable(name.clone())),
            None => (preset.name().to_owned(), of_preset.clone()),
        };
        explain(&APP_ENV, &environment, &origin);

        let color = !self.without_color && !env.no_color && self.writer.is_none();
        if env.no_color {
            explain(&NO_COLOR, &"set", &variable(&NO_COLOR));
        }
        Resolved {
            preset,
            levels,
            format,
            output,
            context,
            service: Service {
                name,
                version,
                environment,
            },
            color,
            explanation,
        }
    }
}

/// Every choice made.
struct Resolved {
    preset: Preset,
    levels: Levels,
    format: OutputFormat,
    output: Output,
    context: Vec<String>,
    service: Service,
    color: bool,
    explanation: Explanation,
}

struct Service {
    name: String,
    version: Option<String>,
    environment: String,
}

impl Serialize for Service {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut service = serializer.serialize_map(None)?;
        service.serialize_entry("name", &self.name)?;
        if let Some(version) = &self.version {
            service.serialize_entry("version", version)?;
        }
        service.serialize_entry("environment", &self.environment)?;
        service.end()
    }
}

fn push_sink(
    layers: &mut Layers<Registry>,
    resolved: &Resolved,
    writer: BoxMakeWriter,
    report: &SelfReport,
) {
    let style = match resolved.format {
        OutputFormat::Json => return layers.push(json(Format::Json, resolved, writer, report)),
        OutputFormat::JsonNested => {
            return layers.push(json(Format::JsonNested, resolved, writer, report));
        }
        OutputFormat::Pretty => Style::Pretty,
        OutputFormat::Compact => Style::Compact,
    };
    let color = resolved.color && resolved.output.is_terminal();
    layers.push(ConsoleLayer::new(
        style,
        color,
        resolved.context.clone(),
        writer,
        report,
    ));
}

fn json(
    format: Format,
    resolved: &Resolved,
    writer: BoxMakeWriter,
    report: &SelfReport,
) -> JsonLayer<BoxMakeWriter> {
    let layer = JsonLayer::new()
        .format(format)
        .with_writer(writer)
        .report(report);
    // The layout of `fmt().json()` has no place for it, and a drop-in change adds nothing.
    if format == Format::Json {
        layer.add("service", &resolved.service)
    } else {
        layer
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("explain", &self.explain())
            .finish_non_exhaustive()
    }
}
