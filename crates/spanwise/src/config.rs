//! All choices. They are made before anything is opened.

use std::sync::Arc;

use spanwise_core::{CONTEXT_KEYS, Clock, Redact, internal::inherited_context::InheritedContext};
use spanwise_json::Format;
use spanwise_recorder::Recorder;
use spanwise_sample::Sampler;

#[cfg(feature = "http")]
use crate::http_options::choose_server_layer;
use crate::{
    Builder, Explanation, PanicBacktrace, Preset,
    choices::{Choices, Chosen, Findings},
    explain::Origin,
    file_options::FileOptions,
    level_options::LevelOptions,
    output_options::{OutputOptions, choose_color, choose_output},
    own_crate, panic_backtrace, parent_source,
    program_name::ProgramName,
    redaction::Redaction,
    service::Service,
    settings::{
        self, APP_ENV, LOG_CONTEXT, LOG_PANIC_BACKTRACE, LOG_PRESET, LOG_RECORDER, LOG_SAMPLE,
        LOG_STATIC_FIELDS, LOG_STRICT,
    },
    sinks::{self, OptionalSink},
    static_fields::StaticFields,
    warning::Warning,
};

/// The effective value of every setting.
pub(crate) struct Config {
    pub(crate) preset: Preset,
    /// The crates and modules of the program.
    pub(crate) own_targets: Vec<String>,
    pub(crate) levels: LevelOptions,
    pub(crate) lines: OutputOptions,
    pub(crate) panic_backtrace: PanicBacktrace,
    pub(crate) files: FileOptions,
    pub(crate) redaction: Redaction,
    pub(crate) sampler: Option<Sampler>,
    pub(crate) recorder: Option<Recorder>,
    #[cfg(feature = "http")]
    pub(crate) http_server: spanwise_http::ServerLayer,
    /// The context keys that the program declares.
    pub(crate) context: Vec<String>,
    /// The context from the parent process.
    pub(crate) inherited: Option<InheritedContext>,
    /// The static fields, after redaction.
    pub(crate) static_fields: StaticFields,
    pub(crate) service: Service,
    pub(crate) sinks: Vec<Box<dyn OptionalSink>>,
    /// The prefix of the variables.
    pub(crate) prefix: String,
    /// The clock of lines for people.
    pub(crate) clock: Clock,
    pub(crate) findings: Findings,
    is_strict: bool,
}

impl Config {
    /// Makes all choices, in the order of `explain()`.
    pub(crate) fn choose(builder: &Builder) -> Self {
        let mut choices = Choices::new(&builder.code, &builder.sources, &builder.prefix);
        choose_preset(builder, &mut choices);
        let program = ProgramName::current();
        let own_targets = own_crate::choose(builder.own_crate, &mut choices, &program);
        let levels = LevelOptions::choose(
            builder.default_levels.as_ref(),
            builder.verbosity,
            &own_targets,
            &mut choices,
        );
        let has_writer = builder.writer.is_some();
        let mut lines = OutputOptions::choose(has_writer, builder.when_full, &mut choices);
        let panic_backtrace = choose_panic_backtrace(&lines.format, &mut choices);
        (lines.output, lines.level) = choose_output(has_writer, &mut choices);
        let files = FileOptions::choose(&mut choices);
        let redaction = Redaction::choose(
            builder.redaction.as_ref(),
            &builder.pseudonym_key,
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
        let service = Service::choose(builder.own_crate, &mut choices, &program);
        let sinks = sinks::choose(&builder.sinks, &mut choices, &service);
        lines.color = choose_color(&mut choices);
        let is_strict = choices.set(&LOG_STRICT).is_some_and(|strict| strict.value);
        let preset = choices.preset;
        let findings = choices.finish();
        Self {
            preset,
            own_targets,
            levels,
            lines,
            panic_backtrace,
            files,
            redaction,
            sampler,
            recorder,
            #[cfg(feature = "http")]
            http_server,
            context,
            inherited,
            static_fields,
            service,
            sinks,
            prefix: builder.prefix.clone(),
            clock: builder.clock.clone(),
            is_strict,
            findings,
        }
    }

    /// Returns whether every value from a source is valid by itself.
    pub(crate) fn is_readable(&self) -> bool {
        self.findings.wrong.is_empty()
            && (!self.is_strict || self.findings.explanation.warnings.is_empty())
    }

    /// Returns the start-up errors that are known before anything is opened.
    pub(crate) fn problems(&self) -> Vec<String> {
        let findings = &self.findings;
        let mut problems = [&findings.wrong[..], &findings.problems[..]].concat();
        if self.is_strict {
            let warnings = findings.explanation.warnings.iter();
            problems.extend(warnings.map(Warning::problem));
        }
        problems
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

/// Chooses the preset from code, or else from its variable, or else from the environment of the
/// service, or else by whether stderr is a terminal.
fn choose_preset(builder: &Builder, choices: &mut Choices<'_>) {
    let set = choices.set(&LOG_PRESET);
    let by_environment = choices.sourced(&APP_ENV).and_then(|environment| {
        let preset = Preset::for_environment(&environment.value)?;
        Some(Chosen::new(preset, environment.origin))
    });
    let default = || match builder.default_preset {
        Some(preset) => Chosen::new(preset, Origin::Code),
        None => Chosen::new(Preset::from_terminal(), Origin::Terminal),
    };
    let preset = set.or(by_environment).unwrap_or_else(default);
    choices.explain(&LOG_PRESET.def, preset.value, &preset.origin);
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

/// Chooses the context keys: the keys of the variable, and the keys that code adds.
fn choose_context(builder: &Builder, choices: &mut Choices<'_>) -> Vec<String> {
    let variable = choices.sourced(&LOG_CONTEXT);
    let origin = match (&builder.context[..], &variable) {
        ([], Some(variable)) => variable.origin.clone(),
        ([], None) => Origin::Default,
        _ => Origin::Code,
    };
    let keys = variable.map(|keys| keys.value).unwrap_or_default();
    let is_new = |key: &String| !CONTEXT_KEYS.contains(&key.as_str());
    let mut keys: Vec<String> = keys.into_iter().filter(is_new).collect();
    keys.extend(builder.context.iter().cloned());
    let shown = CONTEXT_KEYS.iter().copied();
    let shown: Vec<&str> = shown.chain(keys.iter().map(String::as_str)).collect();
    choices.explain(&LOG_CONTEXT.def, shown.join(", "), &origin);
    keys
}

/// Chooses the fields of the variable and of `code`, and redacts them.
fn choose_static_fields(
    code: &StaticFields,
    choices: &mut Choices<'_>,
    context: &[String],
    policy: Option<&Arc<dyn Redact>>,
) -> StaticFields {
    code.problems_in_code()
        .for_each(|problem| choices.problem(problem));
    let variable = choices.sourced(&LOG_STATIC_FIELDS);
    let fields = variable.map(|fields| fields.value).unwrap_or_default();
    let fields = fields.changed_by(code);
    let name = choices.name_of(&LOG_STATIC_FIELDS.def);
    for problem in fields.problems(code, context, &name) {
        choices.problem(problem);
    }
    let fields = fields.redacted(policy);
    if !fields.is_empty() {
        let origin = match code.is_empty() {
            true => Origin::Variable(name),
            false => Origin::Code,
        };
        choices.explain(&LOG_STATIC_FIELDS.def, &fields, &origin);
    }
    fields
}
