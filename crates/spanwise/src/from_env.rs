//! The environment, read: what it says, everything that is wrong with it, and what in it is
//! nobody's.

use std::{ffi::OsString, fmt, path::PathBuf, str::FromStr};

use spanwise_core::{
    CONTEXT_KEYS, Levels, Sensitivity, Setting, TargetLevels, internal::suggest::closest_name,
};
use spanwise_json::Format;
use spanwise_redact::PolicyOverrides;
use spanwise_sample::{Recorder, Sampler};
use tracing::level_filters::LevelFilter;

use crate::{
    Color, Output, PanicBacktrace, Preset, TimeZone, conceal,
    file_options::FileOptions,
    http_options::HttpOptions,
    own_crate,
    parse::{self, Mistake},
    redaction,
    settings::{
        APP_ENV, CLICOLOR_FORCE, ENVIRONMENT, FORCE_COLOR, LOG_COLOR, LOG_CONTEXT, LOG_ERROR_FILE,
        LOG_FILE, LOG_FILE_COMPRESS, LOG_FILE_KEEP, LOG_FILE_LEVEL, LOG_FILE_PER_PROCESS,
        LOG_FILE_ROTATE, LOG_FORMAT, LOG_LEVEL, LOG_OUTPUT, LOG_OUTPUT_LEVEL, LOG_OWN,
        LOG_PANIC_BACKTRACE, LOG_PRESET, LOG_RECORDER, LOG_REDACT, LOG_REDACT_KEY_FILE, LOG_SAMPLE,
        LOG_SPANS, LOG_STRICT, LOG_TIME, NO_COLOR, OTEL_SERVICE_NAME, RUST_ENV, RUST_LOG,
        SERVICE_NAME, SERVICE_VERSION, SETTINGS, TERM, name_of,
    },
    sinks,
    static_fields::StaticFields,
    warning::Warning,
};

/// What the environment says, understood.
#[derive(Debug, Default)]
pub(crate) struct FromEnv {
    pub(crate) levels: Option<(Levels, String)>,
    pub(crate) own_targets: Vec<String>,
    pub(crate) span_levels: Option<TargetLevels>,
    pub(crate) preset: Option<(Preset, String)>,
    pub(crate) format: Option<Format>,
    pub(crate) output: Option<Output>,
    pub(crate) output_level: Option<LevelFilter>,
    pub(crate) color: Option<Color>,
    /// What the variables that many programs share choose, where the colors are `auto`.
    pub(crate) shared_color: Option<(Color, String)>,
    pub(crate) time: Option<TimeZone>,
    pub(crate) panic_backtrace: Option<PanicBacktrace>,
    pub(crate) files: FileOptions,
    pub(crate) redaction: redaction::FromEnv,
    pub(crate) sampler: Option<Sampler>,
    /// Nothing if it is said to be off.
    pub(crate) recorder: Option<Option<Recorder>>,
    #[cfg_attr(
        not(feature = "http"),
        expect(dead_code, reason = "for the part that serves")
    )]
    pub(crate) http_server: HttpOptions,
    pub(crate) context: Vec<String>,
    pub(crate) static_fields: StaticFields,
    pub(crate) service_name: Option<(String, String)>,
    pub(crate) service_version: Option<String>,
    pub(crate) environment: Option<(String, String)>,
    #[cfg_attr(
        not(feature = "sentry"),
        expect(dead_code, reason = "for the part that sends")
    )]
    pub(crate) sentry: sinks::FromEnv,
    pub(crate) is_strict: bool,
    /// About names that mean nothing here.
    pub(crate) warnings: Vec<Warning>,
    pub(crate) prefix: String,
}

impl FromEnv {
    /// Reads all of it, and lists every value that is wrong by itself.
    pub(crate) fn parse(
        prefix: &str,
        vars: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> (Self, Vec<String>) {
        let mut vars = Vars::read(prefix, vars);
        let preset = vars.one_of(&LOG_PRESET, &Preset::NAMED);
        let format = vars.value(&LOG_FORMAT, parse::format);
        let output = vars.one_of(&LOG_OUTPUT, &Output::NAMED);
        let output_level = vars.level(&LOG_OUTPUT_LEVEL);
        let levels = vars.levels();
        let own_targets = vars.value(&LOG_OWN, own_crate::targets);
        let span_levels = vars.value(&LOG_SPANS, parse::span_levels);
        let color = vars.one_of_our_own(&LOG_COLOR, |text| {
            parse::named(&LOG_COLOR, &Color::NAMED, text)
        });
        let shared_color = vars.shared_color();
        let time = vars.one_of_our_own(&LOG_TIME, parse::time_zone);
        let panic_backtrace = vars.one_of(&LOG_PANIC_BACKTRACE, &PanicBacktrace::NAMED);
        let files = vars.files(preset);
        let redaction = vars.redaction();
        let sampler = vars.value(&LOG_SAMPLE, parse::sampler).flatten();
        let recorder = vars.value(&LOG_RECORDER, parse::recorder);
        let http_server = HttpOptions::read(&mut vars);
        let context = vars.context();
        let static_fields = StaticFields::read(&mut vars);
        let environment = vars.first(&[APP_ENV, RUST_ENV, ENVIRONMENT]);
        let service_name = vars.first(&[SERVICE_NAME, OTEL_SERVICE_NAME]);
        let service_version = vars.get(&SERVICE_VERSION);
        let sentry = sinks::FromEnv::read(&mut vars);
        vars.warn_of_unknown();
        let is_strict = vars.switch(&LOG_STRICT) == Some(true);
        let by_environment = environment
            .as_ref()
            .and_then(|(value, name)| Some((Preset::of_environment(value)?, name.clone())));
        let read = Self {
            levels,
            own_targets: own_targets.unwrap_or_default(),
            span_levels,
            preset: preset
                .map(|preset| (preset, vars.name(&LOG_PRESET)))
                .or(by_environment),
            format,
            output,
            output_level,
            color,
            shared_color,
            time,
            panic_backtrace,
            files,
            redaction,
            sampler,
            recorder,
            http_server,
            context,
            static_fields,
            service_name,
            service_version,
            environment,
            sentry,
            is_strict,
            warnings: vars.warnings,
            prefix: vars.prefix,
        };
        (read, vars.problems)
    }
}

/// The variables, while they are read.
pub(crate) struct Vars {
    prefix: String,
    vars: Vec<(String, OsString)>,
    problems: Vec<String>,
    warnings: Vec<Warning>,
}

impl Vars {
    fn read(prefix: &str, vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        // A name that is not UTF-8 is none of ours.
        let vars = vars
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self {
            prefix: prefix.to_owned(),
            vars: vars.collect(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(crate) fn name(&self, setting: &Setting) -> String {
        name_of(setting, &self.prefix)
    }

    /// What stops the start. Settings that are read twice are wrong once.
    pub(crate) fn problem(&mut self, problem: String) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// What does not, unless it is asked to.
    pub(crate) fn warn(&mut self, warning: String) {
        self.warnings.push(warning.into());
    }

    fn raw(&self, setting: &Setting) -> Option<&OsString> {
        let name = self.name(setting);
        let found = self.vars.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| value)
    }

    /// Whether it has a value, right or wrong.
    pub(crate) fn is_set(&self, setting: &Setting) -> bool {
        let value = self.raw(setting).map(|value| value.to_string_lossy());
        value.is_some_and(|value| !value.trim().is_empty())
    }

    /// The trimmed value: a mounted secret ends in a newline. Empty is unset.
    pub(crate) fn get(&mut self, setting: &Setting) -> Option<String> {
        let value = self.raw(setting)?;
        let name = self.name(setting);
        let Some(value) = value.to_str().map(str::trim) else {
            let len = value.len();
            self.problem(format!(
                "{name}={} is not UTF-8: accepts {}",
                conceal::hidden(len),
                setting.accepts
            ));
            return None;
        };
        if value.is_empty() {
            return None;
        }
        let value = value.to_owned();
        if let Some(mistake) = mistake_around(&value) {
            self.problem(format!("{name}: {mistake}"));
            return None;
        }
        Some(value)
    }

    /// `NAME="value"`, or how long the value is where it may be a secret.
    pub(crate) fn shown(&self, setting: &Setting, value: &str) -> String {
        let name = self.name(setting);
        match setting.sensitivity {
            Sensitivity::Public => format!("{name}={}", conceal::shown(value)),
            Sensitivity::Secret => format!("{name}={}", conceal::hidden(value.len())),
        }
    }

    /// Notes what `error` says of a value.
    pub(crate) fn wrong(&mut self, setting: &Setting, value: &str, error: &dyn fmt::Display) {
        self.mistaken(setting, value, &Mistake::error(error));
    }

    fn mistaken(&mut self, setting: &Setting, value: &str, mistake: &Mistake) {
        let shown = self.shown(setting, value);
        let accepts = setting.accepts;
        self.problem(match setting.sensitivity {
            Sensitivity::Public => mistake.problem(&shown, value),
            Sensitivity::Secret => format!("{shown} is not understood: accepts {accepts}"),
        });
    }

    /// The value as what `read` makes of it.
    pub(crate) fn value<T>(
        &mut self,
        setting: &Setting,
        read: impl FnOnce(&str) -> Result<T, Mistake>,
    ) -> Option<T> {
        let text = self.get(setting)?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(mistake) => {
                self.mistaken(setting, &text, &mistake);
                None
            }
        }
    }

    /// The value of the first that is set, with its name. The others are looked at too, for what is
    /// wrong with them.
    fn first(&mut self, settings: &[Setting]) -> Option<(String, String)> {
        let values: Vec<_> = settings
            .iter()
            .map(|setting| Some((self.get(setting)?, self.name(setting))))
            .collect();
        values.into_iter().flatten().next()
    }

    fn one_of<T: Copy>(&mut self, setting: &Setting, named: &[(&'static str, T)]) -> Option<T> {
        self.value(setting, |text| parse::named(setting, named, text))
    }

    /// [`one_of`](Self::one_of), but for a switch, which many programs have under this name: it
    /// does not count, with a warning.
    fn one_of_our_own<T>(
        &mut self,
        setting: &Setting,
        read: impl Fn(&str) -> Result<T, Mistake>,
    ) -> Option<T> {
        let value = self.get(setting);
        if value.as_deref().and_then(parse::is_on).is_none() {
            return self.value(setting, read);
        }
        let name = self.name(setting);
        let accepts = setting.accepts;
        self.warn(format!(
            "{name}=true and the like have no effect here: write one of {accepts}"
        ));
        None
    }

    /// What is on or off.
    pub(crate) fn switch(&mut self, setting: &Setting) -> Option<bool> {
        self.value(setting, |text| parse::switch(setting, text))
    }

    /// The level of one output.
    fn level(&mut self, setting: &Setting) -> Option<LevelFilter> {
        self.value(setting, |text| parse::level(setting, text))
    }

    fn levels(&mut self) -> Option<(Levels, String)> {
        let mut found: Vec<(Levels, String)> = Vec::new();
        for setting in [RUST_LOG, LOG_LEVEL] {
            let levels = self.value(&setting, parse::levels);
            found.extend(levels.map(|levels| (levels, self.name(&setting))));
        }
        if let [(one, first), (other, second)] = found.as_slice()
            && one != other
        {
            let (one, other) = (one.to_string(), other.to_string());
            let warning = format!(
                "{second}={} does not count: {first}={} is set too; leave one of them out",
                conceal::bare(&other),
                conceal::bare(&one),
            );
            self.warn(warning);
        }
        found.into_iter().next()
    }

    /// Returns the color choice of the variables that many programs share, and the name of the
    /// variable.
    fn shared_color(&self) -> Option<(Color, String)> {
        let is_off = |value: &str| value == "0" || value.eq_ignore_ascii_case("false");
        for (setting, choice) in [
            (&NO_COLOR, Color::Never),
            (&FORCE_COLOR, Color::Always),
            (&CLICOLOR_FORCE, Color::Always),
            (&TERM, Color::Never),
        ] {
            // They are their owners', who accept any value.
            let value = self.raw(setting).map(|value| value.to_string_lossy());
            let value = value.as_deref().unwrap_or_default().trim();
            let says = match setting.name {
                "TERM" => value == "dumb",
                "NO_COLOR" => !value.is_empty(),
                _ => !value.is_empty() && !is_off(value),
            };
            if says {
                return Some((choice, setting.name.to_owned()));
            }
        }
        None
    }

    fn files(&mut self, preset: Option<Preset>) -> FileOptions {
        let files = FileOptions {
            rotation: self.parsed(&LOG_FILE_ROTATE),
            retention: self.parsed(&LOG_FILE_KEEP),
            compression: self.parsed(&LOG_FILE_COMPRESS),
            level: self.level(&LOG_FILE_LEVEL),
            per_process: self.switch(&LOG_FILE_PER_PROCESS),
            ..FileOptions::default()
        };
        // Under the preset test no file is opened, so its path may be of another machine. If code
        // chooses another preset after all, the start checks the path.
        let checked = (preset != Some(Preset::Test)).then_some(&files);
        let file = self.path(&LOG_FILE, checked);
        let error_file = self.path(&LOG_ERROR_FILE, checked);
        FileOptions {
            file,
            error_file,
            ..files
        }
    }

    fn redaction(&mut self) -> redaction::FromEnv {
        let changes: Option<PolicyOverrides> = self.parsed(&LOG_REDACT);
        let name = self.name(&LOG_REDACT_KEY_FILE);
        if !cfg!(feature = "pseudonyms") {
            if self.is_set(&LOG_REDACT_KEY_FILE) {
                self.warn(format!(
                    "{name} does not count: this program is built without pseudonyms; add the feature `pseudonyms` of `spanwise`, or \
                     leave the variable out"
                ));
            }
            return redaction::FromEnv { changes, key: None };
        }
        let key_file = self.get(&LOG_REDACT_KEY_FILE);
        let is_off = changes.as_ref().is_some_and(PolicyOverrides::is_off);
        if key_file.is_some() && is_off {
            let redact = self.name(&LOG_REDACT);
            self.problem(format!(
                "{redact}=off and {name} contradict each other: leave one of them out"
            ));
        }
        let key = key_file.and_then(|path| {
            let error = match redaction::Key::read(&path) {
                Ok(key) => return Some(key),
                Err(error) => error,
            };
            let shown = self.shown(&LOG_REDACT_KEY_FILE, &path);
            self.problem(if conceal::is_path(&path) && path.contains(['/', '\\']) {
                if is_to_be_expanded(&path) {
                    format!("{shown}{NOT_EXPANDED}")
                } else {
                    format!("{name}={path:?}: {error}")
                }
            } else {
                format!(
                    "{shown} names no file that can be read; if it is the key itself, write it into a file, and that file's path here"
                )
            });
            None
        });
        redaction::FromEnv { changes, key }
    }

    /// The value as what its type's own grammar says.
    pub(crate) fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, setting: &Setting) -> Option<T> {
        self.value(setting, parse::parsed)
    }

    /// The path of a file; also one that none can be opened at, since its other settings belong to
    /// it. It is checked together with these settings.
    fn path(&mut self, setting: &Setting, checked: Option<&FileOptions>) -> Option<PathBuf> {
        let Some(value) = self.get(setting) else {
            let is_set = self.is_set(setting);
            return self.raw(setting).filter(|_| is_set).map(Into::into);
        };
        if let Some(files) = checked {
            self.check_path(setting, &value, files);
        }
        Some(value.into())
    }

    fn check_path(&mut self, setting: &Setting, value: &str, files: &FileOptions) {
        if is_to_be_expanded(value) {
            let shown = self.shown(setting, value);
            return self.problem(format!("{shown}{NOT_EXPANDED}"));
        }
        let Err(error) = files.check(value.as_ref()) else {
            return;
        };
        if conceal::is_path(value) {
            let name = self.name(setting);
            self.problem(format!("{name}: {error}"));
        } else {
            self.wrong(setting, value, &error);
        }
    }

    fn context(&mut self) -> Vec<String> {
        let Some(value) = self.get(&LOG_CONTEXT) else {
            return Vec::new();
        };
        let keys: Vec<String> = value
            .split(',')
            .map(str::trim)
            .filter(|key| !key.is_empty())
            .map(str::to_owned)
            .collect();
        if let Some(wrong) = keys.iter().find(|key| !parse::is_field_name(key)) {
            let accepts = LOG_CONTEXT.accepts;
            let error = format!("`{wrong}` is not a field name: accepts {accepts}");
            self.wrong(&LOG_CONTEXT, &value, &error);
        }
        keys.into_iter()
            .filter(|key| !CONTEXT_KEYS.contains(&key.as_str()))
            .collect()
    }

    /// Warns of names that are nearly ours, or begin as ours do. What their values are is not
    /// looked at.
    fn warn_of_unknown(&mut self) {
        let known: Vec<String> = SETTINGS.iter().map(|setting| self.name(setting)).collect();
        let prefix = format!("{}_", self.prefix);
        // A typo in a name that is not ours alone is as likely a name of somebody else's.
        let ours = |name: &&String| {
            name.starts_with(&prefix)
                || ["RUST_LOG", "SERVICE_", "SENTRY_"]
                    .iter()
                    .any(|begin| name.starts_with(begin))
        };
        let ours: Vec<&str> = known.iter().filter(ours).map(String::as_str).collect();
        let mut warnings = Vec::new();
        let mut others = Vec::new();
        for (name, value) in &self.vars {
            if value.is_empty() || known.contains(name) {
                continue;
            }
            let begins_as_ours = name.starts_with(&prefix);
            if is_service_link(name) {
                // Kubernetes makes these, of the names of services.
                others.extend(begins_as_ours.then_some(name));
            } else if let Some(meant) = closest_name(name, ours.iter().copied()) {
                let warning = format!("{name} is not a setting: did you mean {meant}?");
                warnings.push(Warning::from(warning));
            } else if begins_as_ours {
                let of_prefix = &name[self.prefix.len()..];
                match GROUPS.iter().find(|(stem, _)| of_prefix.starts_with(stem)) {
                    Some((_, group)) => {
                        let group = format!("{}{group}", self.prefix);
                        let alike = ours.iter().filter(|known| known.starts_with(&group));
                        let alike: Vec<&str> = alike.copied().collect();
                        let are = if alike.len() == 1 { "is" } else { "are" };
                        let alike = alike.join(", ");
                        let warning = format!("{name} is not a setting: there {are} {alike}");
                        warnings.push(warning.into());
                    }
                    None => others.push(name),
                }
            }
        }
        if let [only] = others[..] {
            warnings.push(Warning {
                about: format!("{only} is not a setting here"),
                warning: ", and is left alone",
                problem: LEAVE_OUT,
            });
        } else if !others.is_empty() {
            let shown: Vec<&str> = others
                .iter()
                .take(MAX_NAMES)
                .map(|name| name.as_str())
                .collect();
            let more = match others.len().saturating_sub(MAX_NAMES) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            warnings.push(Warning {
                about: format!("{}{more} are no settings here", shown.join(", ")),
                warning: ", and are left alone",
                problem: LEAVE_OUT,
            });
        }
        self.warnings.append(&mut warnings);
    }
}

/// What to do about names that nobody here knows.
const LEAVE_OUT: &str = ": leave out what is not needed, or give the settings a prefix of their own, by `init_from_env!(\"SHOP_LOG\")`";

/// A warning names no more variables than this.
const MAX_NAMES: usize = 12;

/// How names begin, after the prefix, which are most likely meant for us, and how those that are
/// ours do.
const GROUPS: [(&str, &str); 7] = [
    ("_FILE", "_FILE"),
    ("_ERROR_FILE", "_ERROR_FILE"),
    ("_REDACT", "_REDACT"),
    ("_SAMPL", "_SAMPLE"),
    ("_RECORD", "_RECORDER"),
    ("_FLIGHT", "_RECORDER"),
    ("_HTTP", "_HTTP"),
];

/// What somebody has done to a value, of whatever setting, that a shell would have undone.
fn mistake_around(value: &str) -> Option<&'static str> {
    let is_quote = |c: char| matches!(c, '"' | '\'' | '`' | '“' | '”' | '‘' | '’' | '„');
    if value.starts_with(is_quote) || value.ends_with(is_quote) {
        return Some(
            "the quotes are part of the value, as `docker --env-file` hands them on; write it without quotes",
        );
    }
    if value.contains(char::is_control) {
        return Some("the value has a line break or another control character; write one without");
    }
    let repeats = |setting: &Setting| {
        let rest = value.strip_prefix(setting.name);
        rest.is_some_and(|rest| rest.starts_with('='))
    };
    let is_repeated = SETTINGS.iter().any(repeats) || value.starts_with("export ");
    is_repeated.then_some(
        "the value begins with the name of a variable; write what comes after the `=` alone",
    )
}

/// `LOG_STORE_SERVICE_HOST`, `LOG_STORE_PORT_9200_TCP_ADDR`: what Kubernetes sets for a service
/// `log-store`.
fn is_service_link(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT") || name.ends_with("_PORT")
    {
        return true;
    }
    let Some((_, port)) = name.rsplit_once("_PORT_") else {
        return false;
    };
    port.split('_').next().is_some_and(is_number)
}

fn is_to_be_expanded(path: &str) -> bool {
    path.starts_with('~') || path.contains('$')
}

const NOT_EXPANDED: &str =
    " looks as if something in it were to be expanded, which nothing is: write the path out";
