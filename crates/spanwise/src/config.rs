//! The effective value of every setting, chosen before anything is opened.

use std::sync::Arc;

use spanwise_core::{CONTEXT_KEYS, Clock, Redact, internal::inherited_context::InheritedContext};
use spanwise_json::Format;
use spanwise_recorder::Recorder;
use spanwise_sample::Sampler;

#[cfg(feature = "config")]
use crate::config_file::{self, FileTexts, Merged, NamedFormat, Program, named_formats};
#[cfg(feature = "http")]
use crate::http_options::choose_server_layer;
use crate::{
    Builder, Explanation, PanicBacktrace, Preset,
    choices::{Choices, Chosen, Findings},
    explain::Origin,
    field_options,
    file_options::FileOptions,
    format_choice::RegisteredFormat,
    level_options::LevelOptions,
    output_options::{OutputOptions, choose_color, choose_max_line, choose_output},
    own_crate, panic_backtrace, parent_source,
    program_name::ProgramName,
    redaction::Redaction,
    service::Service,
    settings::{
        self, APP_ENV, LOG_CONTEXT, LOG_PANIC_BACKTRACE, LOG_PRESET, LOG_RECORDER, LOG_SAMPLE,
        LOG_STATIC_FIELDS, LOG_STRICT,
    },
    sink_settings::Routing,
    sinks::{self, OptionalSink},
    static_fields::StaticFields,
    warning::Warning,
};
#[cfg(feature = "config")]
use crate::{Output, settings::LOG_CONFIG};

/// The effective value of every setting.
pub(crate) struct Config {
    pub(crate) preset: Preset,
    /// The targets of the application's own crates and modules.
    pub(crate) own_targets: Vec<String>,
    pub(crate) levels: LevelOptions,
    /// The output of lines, and the options of the lines of all outputs.
    pub(crate) lines: OutputOptions,
    pub(crate) panic_backtrace: PanicBacktrace,
    /// The setting that shows all frames of a panic, such as `RUST_BACKTRACE=full`. Short
    /// backtraces mention it.
    pub(crate) full_backtrace_setting: Option<String>,
    /// The log files of `LOG_FILE` and `LOG_ERROR_FILE`.
    pub(crate) files: FileOptions,
    pub(crate) redaction: Redaction,
    pub(crate) sampler: Option<Sampler>,
    pub(crate) recorder: Option<Recorder>,
    #[cfg(feature = "http")]
    pub(crate) http_server: spanwise_http::ServerLayer,
    /// The context keys besides the built-in [`CONTEXT_KEYS`].
    pub(crate) context: Vec<String>,
    /// The context from the parent process.
    pub(crate) inherited: Option<InheritedContext>,
    /// The static fields, after redaction.
    pub(crate) static_fields: StaticFields,
    /// The sinks and routes of a configuration file. `None` if the settings alone decide.
    pub(crate) routing: Option<Routing>,
    /// Whether the configuration file requests a panic hook. `None` if the file does not decide.
    pub(crate) panic_hook: Option<bool>,
    /// The configuration files, merged.
    #[cfg(feature = "config")]
    pub(crate) file: Arc<Merged>,
    /// The names of the configuration files, and the secrets in them that messages must not show.
    #[cfg(feature = "config")]
    file_texts: FileTexts,
    pub(crate) service: Service,
    pub(crate) sinks: Vec<Box<dyn OptionalSink>>,
    /// The prefix of the names of variables, in place of `LOG`.
    pub(crate) prefix: String,
    /// The clock of human-readable lines.
    pub(crate) clock: Clock,
    pub(crate) findings: Findings,
    is_strict: bool,
}

impl Config {
    /// Chooses all settings, in the order in which `explain()` lists them.
    pub(crate) fn choose(builder: &Builder) -> Self {
        let mut choices = Choices::new(&builder.code, &builder.sources, &builder.prefix);
        #[cfg(feature = "config")]
        choices.set_file(builder.files.merged(None));
        choose_preset(builder, &mut choices);
        #[cfg(feature = "config")]
        let file = choose_file(builder, &mut choices);
        #[cfg(feature = "config")]
        let file_formats = named_formats(&file, &builder.formats, &mut choices);
        #[cfg(feature = "config")]
        let formats_in_file: Vec<RegisteredFormat> =
            file_formats.iter().map(NamedFormat::registered).collect();
        #[cfg(not(feature = "config"))]
        let formats_in_file: Vec<RegisteredFormat> = Vec::new();
        let program_name = ProgramName::current();
        let own_targets = own_crate::choose(builder.own_crate, &mut choices, &program_name);
        let levels = LevelOptions::choose(
            builder.default_levels.as_ref(),
            builder.verbosity,
            &own_targets,
            &mut choices,
        );
        let has_writer = builder.writer.is_some();
        let mut lines = OutputOptions::choose(builder, &formats_in_file, &mut choices);
        let panic_backtrace = choose_panic_backtrace(&lines.format, &mut choices);
        let full_backtrace_setting = full_backtrace_setting(&lines.format, &mut choices);
        (lines.output, lines.level) = choose_output(has_writer, &mut choices);
        let files = FileOptions::choose(&mut choices);
        let redaction = Redaction::choose(
            builder.redaction.as_ref(),
            &builder.pseudonym_keys,
            &mut choices,
        );
        let sampler = choices.value(&LOG_SAMPLE).flatten();
        let recorder = choices.value(&LOG_RECORDER).flatten();
        #[cfg(feature = "http")]
        let http_server = choose_server_layer(&mut choices);
        let context = choose_context(builder, &mut choices);
        let inherited = parent_source::choose(&mut choices);
        let policy = redaction.policy.as_ref();
        let static_fields =
            choose_static_fields(&builder.static_fields, &mut choices, &context, policy);
        lines.fields = field_options::choose(
            &lines.format,
            &static_fields,
            &context,
            policy,
            &mut choices,
        );
        lines.max_line = choose_max_line(&mut choices);
        #[cfg(feature = "config")]
        config_file::complete_lines(
            &mut lines,
            &file_formats,
            &static_fields,
            &context,
            policy,
            &mut choices,
        );
        let service = Service::choose(builder.own_crate, &mut choices, &program_name);
        let sinks = sinks::choose(&builder.sinks, &mut choices, &service);
        lines.color = choose_color(&mut choices);
        #[cfg(feature = "config")]
        let code_filters: Vec<String> = builder
            .filters
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        #[cfg(feature = "config")]
        let routing = config_file::choose_routing(
            &file,
            &Program {
                lines: &lines,
                files: &files,
                registered: &builder.formats,
                code_filters: &code_filters,
                formats: &file_formats,
                static_fields: &static_fields,
                context: &context,
                policy,
                changes_redaction: redaction.is_changeable(),
                levels: &levels,
                verbosity: builder.verbosity,
                is_in_code: builder.files.is_in_code(),
            },
            &mut choices,
        );
        #[cfg(feature = "config")]
        if let Some(routing) = &routing
            && !routing.has_main()
        {
            lines.output = Output::None;
            choices.explain_sinks_in_file();
        }
        let is_strict = choices.value(&LOG_STRICT).unwrap_or_default();
        let preset = choices.preset;
        #[cfg_attr(
            not(feature = "config"),
            expect(unused_mut, reason = "only texts of files are changed")
        )]
        let mut findings = choices.finish();
        #[cfg(feature = "config")]
        let file_texts = FileTexts::new(&builder.files, &file);
        #[cfg(feature = "config")]
        findings.explanation.hide(&file_texts);
        Self {
            preset,
            own_targets,
            levels,
            lines,
            panic_backtrace,
            full_backtrace_setting,
            files,
            redaction,
            sampler,
            recorder,
            #[cfg(feature = "http")]
            http_server,
            context,
            inherited,
            static_fields,
            #[cfg(feature = "config")]
            routing,
            #[cfg(not(feature = "config"))]
            routing: None,
            #[cfg(feature = "config")]
            panic_hook: file.panic_hook(),
            #[cfg(not(feature = "config"))]
            panic_hook: None,
            #[cfg(feature = "config")]
            file,
            #[cfg(feature = "config")]
            file_texts,
            service,
            sinks,
            prefix: builder.prefix.clone(),
            clock: builder.clock.clone(),
            is_strict,
            findings,
        }
    }

    /// Returns whether every value from a source is valid by itself. With a strict start, a warning
    /// also counts as invalid.
    pub(crate) fn has_valid_sources(&self) -> bool {
        self.findings.invalid_values.is_empty()
            && (!self.is_strict || self.findings.explanation.warnings.is_empty())
    }

    /// Returns the start-up errors that are known before anything is opened.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems_with(&self.findings.unregistered)
    }

    /// Returns whether a writer from code, or the test harness, gets the lines of the sink `main`.
    #[cfg(feature = "config")]
    pub(crate) fn has_writer(&self) -> bool {
        self.lines.has_writer || self.lines.output == Output::TestHarness
    }

    /// Returns the problems of a configuration whose profile this deployment does not use. Omits
    /// the problems of references such as `${NAME}`, because the variable may be set only where the
    /// profile is used.
    #[cfg(feature = "config")]
    pub(crate) fn problems_of_profile(&self) -> Vec<String> {
        let mut problems = self.problems();
        problems.retain(|problem| !self.file_texts.reference_problems.contains(problem));
        problems
    }

    /// Returns the warnings. If the start is strict, returns none, because
    /// [`problems`](Self::problems) contains them.
    #[cfg(feature = "config")]
    pub(crate) fn warnings(&self) -> Vec<String> {
        let warnings = self.findings.explanation.warnings.iter();
        let warnings = warnings.filter(|_| !self.is_strict);
        warnings.map(ToString::to_string).collect()
    }

    /// Returns [`problems`](Self::problems) without those that code may still solve, for example by
    /// registering a format.
    pub(crate) fn problems_before_code(&self) -> Vec<String> {
        self.problems_with(&[])
    }

    /// Returns all problems. `unregistered` has those that code may still solve.
    fn problems_with(&self, unregistered: &[String]) -> Vec<String> {
        let findings = &self.findings;
        let mut problems = [
            &findings.invalid_values,
            &findings.problems[..],
            unregistered,
        ]
        .concat();
        if self.is_strict {
            let warnings = findings.explanation.warnings.iter();
            problems.extend(warnings.map(Warning::problem));
        }
        self.finish_problems(&mut problems);
        problems
    }

    /// Sorts problems by their positions in files, and hides the contents of secret files. Removes
    /// problems that only follow from an unknown key or a value of the wrong type.
    #[cfg_attr(
        not(feature = "config"),
        expect(clippy::unused_self, reason = "only the feature reads files")
    )]
    pub(crate) fn finish_problems(&self, problems: &mut Vec<String>) {
        #[cfg(feature = "config")]
        self.file_texts.finish(problems);
        #[cfg(not(feature = "config"))]
        let _ = problems;
    }

    /// Returns the explanation, including the start-up errors.
    pub(crate) fn into_explanation(self) -> Explanation {
        let problems = self.problems();
        self.findings
            .explanation
            .with_problems(problems, self.is_strict)
    }

    /// Returns the name of the variable for a setting.
    pub(crate) fn name_of(&self, def: &spanwise_core::Setting) -> String {
        settings::name_of(def, &self.prefix)
    }
}

/// Merges the profile of the preset into the file, and reports the problems of the file.
#[cfg(feature = "config")]
fn choose_file(builder: &Builder, choices: &mut Choices<'_>) -> Arc<Merged> {
    let _ = choices.value(&LOG_CONFIG);
    let merged = builder.files.merged(Some(choices.preset));
    choices.set_file(merged.clone());
    for problem in builder.files.problems() {
        choices.add_invalid_value(problem.clone());
    }
    for warning in builder.files.warnings() {
        choices.warn(warning.clone());
    }
    for problem in merged.unbuilt() {
        choices.add_invalid_value(problem);
    }
    // These depend on the profile. Code may still choose a preset with another profile.
    for problem in merged.problems() {
        choices.add_unregistered(problem.clone());
    }
    merged
}

/// Chooses the preset from the first of these that is set: [`Builder::preset`], `LOG_PRESET`, the
/// preset in the configuration file, the service environment (`APP_ENV`), and
/// [`Builder::default_preset`]. If none is set, the preset depends on whether stderr is a terminal.
fn choose_preset(builder: &Builder, choices: &mut Choices<'_>) {
    let explicit = choices.explicit_value(&LOG_PRESET);
    let by_environment = choices.sourced(&APP_ENV).and_then(|environment| {
        let preset = Preset::for_environment(&environment.value)?;
        Some(Chosen::new(preset, environment.origin))
    });
    let default = || match builder.default_preset {
        Some(preset) => Chosen::new(preset, Origin::Code),
        None => Chosen::new(Preset::from_terminal(), Origin::Terminal),
    };
    let preset = explicit.or(by_environment).unwrap_or_else(default);
    choices.add_explanation(&LOG_PRESET.def, preset.value, &preset.origin);
    choices.preset = preset.value;
}

fn choose_panic_backtrace(format: &Format, choices: &mut Choices<'_>) -> PanicBacktrace {
    let preset = choices.preset;
    choices.choose_or(&LOG_PANIC_BACKTRACE, || {
        if format.is_human_readable() && panic_backtrace::is_full_requested() {
            let origin = Origin::Variable("RUST_BACKTRACE".to_owned());
            Chosen::new(PanicBacktrace::Full, origin)
        } else if preset == Preset::Cli {
            let backtrace = PanicBacktrace::for_command_line();
            Chosen::new(backtrace, Origin::Preset(preset.name()))
        } else {
            Chosen::new(PanicBacktrace::default(), Origin::Default)
        }
    })
}

/// Returns the setting that shows all frames of a panic. Returns `None` if code sets the length of
/// backtraces, because code overrides every setting.
fn full_backtrace_setting(format: &Format, choices: &mut Choices<'_>) -> Option<String> {
    let explicit = choices.explicit_value(&LOG_PANIC_BACKTRACE);
    match explicit.map(|explicit| explicit.origin) {
        Some(Origin::Code) => None,
        None if format.is_human_readable() => Some("RUST_BACKTRACE=full".to_owned()),
        _ => Some(format!(
            "{}=full",
            choices.name_of(&LOG_PANIC_BACKTRACE.def)
        )),
    }
}

/// Chooses the context keys: those of `LOG_CONTEXT` or the file, and those that code adds. Returns
/// them without the built-in keys, which `explain()` also shows.
fn choose_context(builder: &Builder, choices: &mut Choices<'_>) -> Vec<String> {
    let sourced = choices.sourced(&LOG_CONTEXT);
    let origin = match (&builder.context_keys[..], &sourced) {
        ([], Some(sourced)) => sourced.origin.clone(),
        ([], None) => Origin::Default,
        _ => Origin::Code,
    };
    let sourced = sourced.map(|keys| keys.value).unwrap_or_default();
    let mut keys: Vec<String> = Vec::new();
    for key in sourced
        .into_iter()
        .chain(builder.context_keys.iter().cloned())
    {
        if !CONTEXT_KEYS.contains(&key.as_str()) && !keys.contains(&key) {
            keys.push(key);
        }
    }
    let shown = CONTEXT_KEYS.iter().copied();
    let shown: Vec<&str> = shown.chain(keys.iter().map(String::as_str)).collect();
    choices.add_explanation(&LOG_CONTEXT.def, shown.join(", "), &origin);
    keys
}

/// Chooses the static fields: those of `LOG_STATIC_FIELDS` or the file, and those of `code`.
/// Redacts them.
fn choose_static_fields(
    code: &StaticFields,
    choices: &mut Choices<'_>,
    context: &[String],
    policy: Option<&Arc<dyn Redact>>,
) -> StaticFields {
    code.problems_in_code()
        .for_each(|problem| choices.add_problem(problem));
    let sourced = choices.sourced(&LOG_STATIC_FIELDS);
    let name = (sourced
        .as_ref()
        .and_then(|fields| fields.origin.source_name()))
    .map_or_else(|| choices.name_of(&LOG_STATIC_FIELDS.def), str::to_owned);
    let origin = match &sourced {
        Some(fields) if code.is_empty() => fields.origin.clone(),
        _ => Origin::Code,
    };
    let fields = sourced.map(|fields| fields.value).unwrap_or_default();
    let fields = fields.changed_by(code);
    for problem in fields.problems(code, context, &name) {
        choices.add_problem(problem);
    }
    let fields = fields.redacted(policy);
    if !fields.is_empty() {
        choices.add_explanation(&LOG_STATIC_FIELDS.def, &fields, &origin);
    }
    fields
}
