//! Who chose what: code beats environment beats preset.

use std::fmt;

use serde_core::ser::{Serialize, SerializeMap as _, Serializer};
use spanwise_appender::WhenFull;
use spanwise_core::{CONTEXT_KEYS, Levels, Setting, TargetLevels};
use spanwise_json::Format;
use spanwise_recorder::Recorder;
use spanwise_sample::Sampler;
use tracing::level_filters::LevelFilter;

use crate::{
    Builder, Color, Explanation, Output, PanicBacktrace, Preset, TimeZone, conceal,
    explain::Origin,
    file_options::FileOptions,
    parse::is_field_name,
    program_name::ProgramName,
    redaction::{InCode, Redaction},
    settings::{
        self, APP_ENV, LOG_COLOR, LOG_CONTEXT, LOG_ERROR_FILE, LOG_FILE, LOG_FILE_COMPRESS,
        LOG_FILE_KEEP, LOG_FILE_LEVEL, LOG_FILE_PER_PROCESS, LOG_FILE_ROTATE, LOG_FORMAT,
        LOG_LEVEL, LOG_OUTPUT, LOG_OUTPUT_LEVEL, LOG_OWN, LOG_PANIC_BACKTRACE, LOG_PRESET,
        LOG_RECORDER, LOG_REDACT, LOG_REDACT_KEY_FILE, LOG_SAMPLE, LOG_SPANS, LOG_STATIC_FIELDS,
        LOG_TIME, RUST_LOG, SERVICE_NAME, SERVICE_VERSION,
    },
    sinks,
    static_fields::StaticFields,
    warning::Warning,
};
#[cfg(feature = "http")]
use crate::{
    http_options::HttpOptions,
    settings::{LOG_HTTP_CLIENT_ADDRESS, LOG_HTTP_TRUST},
};

impl Builder {
    pub(crate) fn resolve(&self) -> Resolved {
        let env = &self.env;
        let mut explanation = Explanation::new(env.warnings.clone());
        // What was read no variables at all has no prefix either.
        let prefix = match env.prefix.as_str() {
            "" => settings::PREFIX,
            prefix => prefix,
        };
        let mut explain = |setting: &Setting, value: &dyn fmt::Display, origin: &Origin| {
            explanation.add(settings::name_of(setting, prefix), value, origin.clone());
        };
        let variable = |setting: &Setting| Origin::Variable(settings::name_of(setting, prefix));
        let program = ProgramName::current();

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

        let (own_targets, origin) = self.resolve_own_targets(&program, || variable(&LOG_OWN));
        let shown = match own_targets.join(", ") {
            none if none.is_empty() => "none".to_owned(),
            targets => targets,
        };
        explain(&LOG_OWN, &shown, &origin);
        let (defaults, default_origin) = match &self.default_levels {
            Some(levels) => (
                levels.clone().or(&preset.levels(&own_targets)),
                Origin::Code,
            ),
            None => (preset.levels(&own_targets), of_preset.clone()),
        };
        let (levels, origin) = self.resolve_levels(defaults, default_origin);
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
        let span_levels = self.span_levels.as_ref().or(env.span_levels.as_ref());
        match span_levels {
            Some(levels) => {
                let origin = choose(self.span_levels.is_some(), true, &LOG_SPANS);
                explain(&LOG_SPANS, levels, &origin);
            }
            None => explain(&LOG_SPANS, &"info at least", &Origin::Default),
        }
        let span_levels = span_levels.cloned().unwrap_or_default();

        let format = self.format.as_ref().or(env.format.as_ref());
        let format = format.cloned().unwrap_or(preset.format());
        let origin = choose(self.format.is_some(), env.format.is_some(), &LOG_FORMAT);
        explain(&LOG_FORMAT, &format, &origin);

        let (time, origin) = match (self.time, env.time) {
            (Some(zone), _) => (zone, Origin::Code),
            (None, Some(zone)) => (zone, variable(&LOG_TIME)),
            (None, None) if format.is_human_readable() => (preset.time(), of_preset.clone()),
            (None, None) => (TimeZone::Utc, Origin::Default),
        };
        explain(&LOG_TIME, &time, &origin);

        let (panic_backtrace, origin) = match (self.panic_backtrace, env.panic_backtrace) {
            (Some(backtrace), _) => (backtrace, Origin::Code),
            (None, Some(backtrace)) => (backtrace, variable(&LOG_PANIC_BACKTRACE)),
            (None, None) if preset == Preset::Cli => {
                (PanicBacktrace::for_command_line(), of_preset.clone())
            }
            (None, None) => (PanicBacktrace::default(), Origin::Default),
        };
        explain(&LOG_PANIC_BACKTRACE, &panic_backtrace, &origin);

        // A pod that sets it for a service sets it for a tool that somebody runs there, too.
        let misled = preset == Preset::Cli && env.output == Some(Output::Stdout);
        let of_env = env.output.filter(|_| !misled);
        let output = self.output.or(of_env).unwrap_or(preset.output());
        let origin = choose(self.output.is_some(), of_env.is_some(), &LOG_OUTPUT);
        match self.writer {
            Some(_) => explain(&LOG_OUTPUT, &"a writer of the program's", &Origin::Code),
            None => explain(&LOG_OUTPUT, &output, &origin),
        }

        // Tests see every line.
        let is_test = preset == Preset::Test;
        let of_env = env.output_level.filter(|_| !is_test);
        let output_level = self.output_level.or(of_env);
        if let Some(level) = output_level {
            let origin = choose(self.output_level.is_some(), true, &LOG_OUTPUT_LEVEL);
            explain(&LOG_OUTPUT_LEVEL, &level, &origin);
        }

        // Tests that run where a service is configured do not write to its files.
        let env_files = match preset {
            Preset::Test => FileOptions::default(),
            Preset::Dev | Preset::Prod | Preset::Cli => env.files.clone(),
        };
        let files = self.files.or(&env_files);
        let none = match preset {
            Preset::Test => of_preset.clone(),
            Preset::Dev | Preset::Prod | Preset::Cli => Origin::Unset,
        };
        explain_files(
            &mut explain,
            &files,
            &self.files,
            &env_files,
            variable,
            &none,
        );

        let redaction = Redaction::resolve(self.redaction.as_ref(), &env.redaction, preset);
        let changed = env.redaction.changes.is_some();
        let origin = choose(self.redaction.is_some(), changed, &LOG_REDACT);
        explain(&LOG_REDACT, &redaction, &origin);
        let asks_env = matches!(self.redaction, None | Some(InCode::Changed(_)));
        if let Some(key) = env.redaction.key.as_ref().filter(|_| asks_env) {
            let origin = variable(&LOG_REDACT_KEY_FILE);
            explain(&LOG_REDACT_KEY_FILE, &key.path, &origin);
        }

        // Tests see every line, and no more.
        let of_env = env.sampler.clone().filter(|_| !is_test);
        let origin = match (&self.sampler, &of_env) {
            (Some(_), _) => Origin::Code,
            (None, Some(_)) => variable(&LOG_SAMPLE),
            (None, None) => none.clone(),
        };
        let sampler = self.sampler.clone().unwrap_or(of_env);
        match &sampler {
            Some(sampler) => explain(&LOG_SAMPLE, sampler, &origin),
            None => explain(&LOG_SAMPLE, &"none", &origin),
        }
        let of_env = env.recorder.clone().filter(|_| !is_test);
        let origin = match (&self.recorder, &of_env) {
            (Some(_), _) => Origin::Code,
            (None, Some(_)) => variable(&LOG_RECORDER),
            (None, None) => none.clone(),
        };
        let recorder = self.recorder.clone().or(of_env).flatten();
        match &recorder {
            Some(recorder) => explain(&LOG_RECORDER, recorder, &origin),
            None => explain(&LOG_RECORDER, &"off", &origin),
        }

        #[cfg(feature = "http")]
        let http_server = explain_http(self, preset, &mut explain, variable, &of_preset);

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

        let fields = env.static_fields.changed_by(&self.static_fields);
        let static_fields = fields.redacted(redaction.policy.as_ref());
        if !static_fields.is_empty() {
            let origin = match self.static_fields.is_empty() {
                true => variable(&LOG_STATIC_FIELDS),
                false => Origin::Code,
            };
            explain(&LOG_STATIC_FIELDS, &static_fields, &origin);
        }

        let (name, origin) = match (&self.service, &env.service_name) {
            (Some((name, _)), _) => (name.clone(), Origin::Code),
            (None, Some((name, variable))) => (name.clone(), Origin::Variable(variable.clone())),
            (None, None) => match self.own_crate.and_then(|own| own.name()) {
                Some(name) => (name.to_owned(), Origin::Crate),
                None => (program.name().to_owned(), Origin::Program),
            },
        };
        explain(&SERVICE_NAME, &name, &origin);
        let (version, origin) = match (&self.service, &env.service_version) {
            (Some((_, version)), _) => (Some(version.clone()), Origin::Code),
            (None, Some(version)) => (Some(version.clone()), variable(&SERVICE_VERSION)),
            (None, None) => match self.own_crate.and_then(|own| own.version()) {
                Some(version) => (Some(version.to_owned()), Origin::Crate),
                None => (None, Origin::Unset),
            },
        };
        explain(
            &SERVICE_VERSION,
            &version.as_deref().unwrap_or("none"),
            &origin,
        );
        let (environment, origin) = match &env.environment {
            Some((environment, name)) => {
                (Some(environment.clone()), Origin::Variable(name.clone()))
            }
            None => (None, Origin::Unset),
        };
        explain(&APP_ENV, &environment.as_deref().unwrap_or("none"), &origin);

        let service = Service {
            name,
            version,
            environment,
        };
        let sentry = sinks::resolve(self, preset, &service, &mut explain);

        let (color, origin) = match (self.color, env.color) {
            (Some(color), _) => (color, Origin::Code),
            (None, Some(color)) => (color, variable(&LOG_COLOR)),
            (None, None) => (Color::Auto, Origin::Default),
        };
        let (color, origin) = match (color, &env.shared_color) {
            (Color::Auto, Some((color, name))) => (*color, Origin::Variable(name.clone())),
            _ => (color, origin),
        };
        explain(&LOG_COLOR, &color, &origin);
        let mut warnings = env.warnings.clone();
        if misled && self.output.is_none() && self.writer.is_none() {
            let name = settings::name_of(&LOG_OUTPUT, prefix);
            let warning = Warning::from(format!(
                "{name}=stdout does not count: the preset cli writes nothing to stdout, which is for what the program prints; \
                 leave it out"
            ));
            explanation.warn(warning.clone());
            warnings.push(warning);
        }
        Resolved {
            preset,
            levels,
            span_levels,
            format,
            time,
            panic_backtrace,
            output,
            output_level,
            has_writer: self.writer.is_some(),
            when_full: self.when_full,
            files,
            redaction,
            sampler,
            recorder,
            #[cfg(feature = "http")]
            http_server,
            prefix: prefix.to_owned(),
            context,
            static_fields,
            service,
            sentry,
            color,
            warnings,
            explanation,
        }
    }
}

/// Every choice made.
pub(crate) struct Resolved {
    pub(crate) preset: Preset,
    pub(crate) levels: Levels,
    pub(crate) span_levels: TargetLevels,
    pub(crate) format: Format,
    pub(crate) time: TimeZone,
    pub(crate) panic_backtrace: PanicBacktrace,
    pub(crate) output: Output,
    pub(crate) output_level: Option<LevelFilter>,
    /// Lines go to a writer of the program's instead of the output.
    pub(crate) has_writer: bool,
    pub(crate) when_full: WhenFull,
    pub(crate) files: FileOptions,
    pub(crate) redaction: Redaction,
    pub(crate) sampler: Option<Sampler>,
    pub(crate) recorder: Option<Recorder>,
    #[cfg(feature = "http")]
    pub(crate) http_server: HttpOptions,
    /// Of the variables.
    pub(crate) prefix: String,
    pub(crate) context: Vec<String>,
    /// As the policy lets them be shown.
    pub(crate) static_fields: StaticFields,
    pub(crate) service: Service,
    #[cfg_attr(
        not(feature = "sentry"),
        expect(dead_code, reason = "for the part that sends")
    )]
    pub(crate) sentry: Option<sinks::Resolved>,
    pub(crate) color: Color,
    /// About names of variables.
    pub(crate) warnings: Vec<Warning>,
    pub(crate) explanation: Explanation,
}

pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    /// Nothing where nobody set it: a preset is no environment.
    pub(crate) environment: Option<String>,
}

impl Builder {
    /// What is wrong with the keys of the context that the code declares.
    fn context_problems(&self) -> impl Iterator<Item = String> {
        let wrong = self.context.iter().filter(|key| !is_field_name(key));
        wrong.map(|key| {
            let key = conceal::shown(key);
            let accepts = "write letters, digits, `_`, `.` and `-`";
            format!("Builder::context_key({key}) is not a field name: {accepts}")
        })
    }
}

impl Resolved {
    /// The name of the variable for `setting`.
    pub(crate) fn name_of(&self, setting: &Setting) -> String {
        settings::name_of(setting, &self.prefix)
    }

    /// What is wrong with the choices, as far as that is seen before anything is opened.
    pub(crate) fn problems(&self, builder: &Builder) -> Vec<String> {
        let mut problems = builder.mistakes.clone();
        problems.extend(builder.context_problems());
        problems.extend(builder.own_target_problems());
        problems.extend(builder.static_fields.problems_in_code());
        let name = self.name_of(&LOG_STATIC_FIELDS);
        let code = &builder.static_fields;
        let of_all = self.static_fields.problems(code, &self.context, &name);
        problems.extend(of_all);
        problems.extend(self.redaction.problem.iter().cloned());
        problems.extend(self.problems_with_files());
        if self.output == Output::None && !self.has_writer && self.output_level.is_some() {
            let (level, output) = (self.name_of(&LOG_OUTPUT_LEVEL), self.name_of(&LOG_OUTPUT));
            problems.push(format!(
                "{level} is set, and {output} is none: set another output, or leave the level out"
            ));
        }
        if let Err(error) = self.levels.check_spans() {
            problems.extend(error.problems().iter().map(ToString::to_string));
        }
        problems.extend(sinks::problems(self));
        if builder.is_strict || builder.env.is_strict {
            problems.extend(self.warnings.iter().map(Warning::problem));
        }
        problems
    }

    /// What was said about files that are not there, or are the same.
    fn problems_with_files(&self) -> Vec<String> {
        let files = &self.files;
        let (file, error_file) = (self.name_of(&LOG_FILE), self.name_of(&LOG_ERROR_FILE));
        let mut problems = Vec::new();
        if files.are_same() {
            problems.push(format!(
                "{file} and {error_file} are the same file: give each its own"
            ));
        }
        for (is_set, setting, has_file, needs) in [
            (
                files.rotation.is_some(),
                &LOG_FILE_ROTATE,
                files.has_any(),
                &file,
            ),
            (
                files.retention.is_some(),
                &LOG_FILE_KEEP,
                files.has_any(),
                &file,
            ),
            (
                files.compression.is_some(),
                &LOG_FILE_COMPRESS,
                files.has_any(),
                &file,
            ),
            (
                files.level.is_some(),
                &LOG_FILE_LEVEL,
                files.file.is_some(),
                &file,
            ),
            (
                files.per_process == Some(true),
                &LOG_FILE_PER_PROCESS,
                files.has_any(),
                &file,
            ),
        ] {
            if is_set && !has_file {
                let name = self.name_of(setting);
                problems.push(format!(
                    "{name} is set, and there is no file for it: set {needs} too, or leave both out"
                ));
            }
        }
        problems
    }
}

/// The entries about servers of HTTP.
#[cfg(feature = "http")]
fn explain_http(
    builder: &Builder,
    preset: Preset,
    explain: &mut impl FnMut(&Setting, &dyn fmt::Display, &Origin),
    variable: impl Fn(&Setting) -> Origin,
    of_preset: &Origin,
) -> HttpOptions {
    let (code, env) = (&builder.http_server, &builder.env.http_server);
    let origin = |in_code: bool, in_env: bool, setting: &Setting, else_of: &Origin| match (
        in_code, in_env,
    ) {
        (true, _) => Origin::Code,
        (false, true) => variable(setting),
        (false, false) => else_of.clone(),
    };
    let http_server = code.clone().or(env.clone()).or_of(preset);
    if let Some(trust) = &http_server.trust {
        let (code, env) = (code.trust.is_some(), env.trust.is_some());
        let origin = origin(code, env, &LOG_HTTP_TRUST, &Origin::Default);
        explain(&LOG_HTTP_TRUST, trust, &origin);
    }
    if let Some(address) = &http_server.client_address {
        let (code, env) = (code.client_address.is_some(), env.client_address.is_some());
        let origin = origin(code, env, &LOG_HTTP_CLIENT_ADDRESS, of_preset);
        explain(&LOG_HTTP_CLIENT_ADDRESS, address, &origin);
    }
    http_server
}

/// The entries about files; those that need a file only if there is one.
fn explain_files(
    explain: &mut impl FnMut(&Setting, &dyn fmt::Display, &Origin),
    files: &FileOptions,
    code: &FileOptions,
    env: &FileOptions,
    variable: impl Fn(&Setting) -> Origin,
    none: &Origin,
) {
    let origin = |in_code: bool, in_env: bool, setting| match (in_code, in_env) {
        (true, _) => Origin::Code,
        (false, true) => variable(setting),
        (false, false) => Origin::Default,
    };
    for (path, in_code, setting) in [
        (&files.file, code.file.is_some(), &LOG_FILE),
        (
            &files.error_file,
            code.error_file.is_some(),
            &LOG_ERROR_FILE,
        ),
    ] {
        match path {
            Some(path) => explain(setting, &path.display(), &origin(in_code, true, setting)),
            None => explain(setting, &"none", none),
        }
    }
    if !files.has_any() {
        return;
    }
    if let Some(level) = files.level {
        let origin = origin(code.level.is_some(), true, &LOG_FILE_LEVEL);
        explain(&LOG_FILE_LEVEL, &level, &origin);
    }
    let from = origin(
        code.rotation.is_some(),
        env.rotation.is_some(),
        &LOG_FILE_ROTATE,
    );
    explain(
        &LOG_FILE_ROTATE,
        &files.rotation.clone().unwrap_or_default(),
        &from,
    );
    let from = origin(
        code.retention.is_some(),
        env.retention.is_some(),
        &LOG_FILE_KEEP,
    );
    explain(
        &LOG_FILE_KEEP,
        &files.retention.clone().unwrap_or_default(),
        &from,
    );
    let from = origin(
        code.compression.is_some(),
        env.compression.is_some(),
        &LOG_FILE_COMPRESS,
    );
    explain(&LOG_FILE_COMPRESS, &files.compression(), &from);
    if let Some(per_process) = files.per_process {
        let from = origin(code.per_process.is_some(), true, &LOG_FILE_PER_PROCESS);
        let shown = if per_process { "1" } else { "0" };
        explain(&LOG_FILE_PER_PROCESS, &shown, &from);
    }
}

impl Serialize for Service {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut service = serializer.serialize_map(None)?;
        service.serialize_entry("name", &self.name)?;
        if let Some(version) = &self.version {
            service.serialize_entry("version", version)?;
        }
        if let Some(environment) = &self.environment {
            service.serialize_entry("environment", environment)?;
        }
        service.end()
    }
}
