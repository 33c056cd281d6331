//! The environment, read: what it says, and everything that is wrong with it.

use std::{ffi::OsString, fmt, path::PathBuf, str::FromStr};

use spanwise_appender::Bytes;
use spanwise_core::{CONTEXT_KEYS, Levels, Setting, Shown, nearest::nearest};
use spanwise_redact::Changes;
use spanwise_sample::{Recorder, SampleError, Sampler};
use tracing::level_filters::LevelFilter;

use crate::{
    Output, OutputFormat, Preset,
    files::Files,
    http_server::HttpServer,
    redaction,
    settings::{
        APP_ENV, ENVIRONMENT, LOG_CONTEXT, LOG_ERROR_FILE, LOG_FILE, LOG_FILE_COMPRESS,
        LOG_FILE_KEEP, LOG_FILE_LEVEL, LOG_FILE_ROTATE, LOG_FORMAT, LOG_HTTP_CLIENT_ADDRESS,
        LOG_HTTP_TRUST, LOG_LEVEL, LOG_OUTPUT, LOG_PRESET, LOG_RECORDER, LOG_REDACT,
        LOG_REDACT_KEY_FILE, LOG_SAMPLE, NO_COLOR, OTEL_SERVICE_NAME, RUST_ENV, RUST_LOG,
        SERVICE_NAME, SERVICE_VERSION, SETTINGS, name_of,
    },
    to_sentry,
};

/// What the environment says, understood.
#[derive(Debug, Default)]
pub(crate) struct FromEnv {
    pub(crate) levels: Option<(Levels, String)>,
    pub(crate) preset: Option<(Preset, String)>,
    pub(crate) format: Option<OutputFormat>,
    pub(crate) output: Option<Output>,
    pub(crate) files: Files,
    pub(crate) redaction: redaction::FromEnv,
    pub(crate) sampler: Option<Sampler>,
    /// Nothing if it is said to be off.
    pub(crate) recorder: Option<Option<Recorder>>,
    pub(crate) http_server: HttpServer,
    pub(crate) context: Vec<String>,
    pub(crate) service_name: Option<(String, String)>,
    pub(crate) service_version: Option<String>,
    pub(crate) environment: Option<(String, String)>,
    pub(crate) no_color: bool,
    #[cfg_attr(
        not(feature = "sentry"),
        expect(dead_code, reason = "for the part that sends")
    )]
    pub(crate) sentry: to_sentry::FromEnv,
    /// Variables with our prefix that are not ours, nor nearly.
    pub(crate) unknown: Vec<String>,
    pub(crate) prefix: String,
}

impl FromEnv {
    /// Reads all of it, and lists everything that is wrong.
    pub(crate) fn parse(
        prefix: &str,
        vars: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Vec<String>> {
        let mut vars = Vars::read(prefix, vars);
        let preset = vars.one_of(&LOG_PRESET, Preset::ALL, Preset::name);
        let format = vars.one_of(&LOG_FORMAT, OutputFormat::ALL, OutputFormat::name);
        let output = vars.one_of(&LOG_OUTPUT, Output::NAMED, Output::name);
        let levels = vars.levels();
        let files = vars.files();
        let redaction = vars.redaction();
        let sampler = vars.sampler();
        let recorder = vars.recorder();
        let http_server = HttpServer {
            trust: vars.parsed(&LOG_HTTP_TRUST),
            client_address: vars.parsed(&LOG_HTTP_CLIENT_ADDRESS),
        };
        let context = vars.context();
        let environment = vars.first(&[APP_ENV, RUST_ENV, ENVIRONMENT]);
        let service_name = vars.first(&[SERVICE_NAME, OTEL_SERVICE_NAME]);
        let service_version = vars.get(&SERVICE_VERSION);
        let no_color = vars.get(&NO_COLOR).is_some();
        let sentry = to_sentry::FromEnv::read(&mut vars);
        let unknown = vars.unknown();
        if !vars.problems.is_empty() {
            return Err(vars.problems);
        }
        let by_environment = environment
            .as_ref()
            .and_then(|(value, name)| Some((Preset::of_environment(value)?, name.clone())));
        Ok(Self {
            levels,
            preset: preset
                .map(|preset| (preset, vars.name(&LOG_PRESET)))
                .or(by_environment),
            format,
            output,
            files,
            redaction,
            sampler,
            recorder,
            http_server,
            context,
            service_name,
            service_version,
            environment,
            no_color,
            sentry,
            unknown,
            prefix: vars.prefix,
        })
    }
}

/// The variables, while they are read.
pub(crate) struct Vars {
    prefix: String,
    vars: Vec<(String, OsString)>,
    pub(crate) problems: Vec<String>,
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
        }
    }

    pub(crate) fn name(&self, setting: &Setting) -> String {
        name_of(setting, &self.prefix)
    }

    /// The trimmed value: a mounted secret ends in a newline. Empty is unset.
    pub(crate) fn get(&mut self, setting: &Setting) -> Option<String> {
        let name = self.name(setting);
        let value = self
            .vars
            .iter()
            .find(|(other, _)| *other == name)
            .map(|(_, value)| value)?;
        match value.to_str().map(str::trim) {
            Some("") => None,
            Some(value) => Some(value.to_owned()),
            None => {
                let shown = match setting.shown {
                    Shown::Plainly => format!("{value:?}"),
                    Shown::Hidden => format!("(hidden, {} bytes)", value.len()),
                };
                self.problems.push(format!(
                    "{name}={shown} is not UTF-8: accepts {}",
                    setting.accepts
                ));
                None
            }
        }
    }

    /// The value of the first that is set, with its name. The others are looked at too, for what is wrong with them.
    fn first(&mut self, settings: &[Setting]) -> Option<(String, String)> {
        let values: Vec<_> = settings
            .iter()
            .map(|setting| Some((self.get(setting)?, self.name(setting))))
            .collect();
        values.into_iter().flatten().next()
    }

    fn one_of<T: Copy, const N: usize>(
        &mut self,
        setting: &Setting,
        all: [T; N],
        name: fn(T) -> &'static str,
    ) -> Option<T> {
        let value = self.get(setting)?;
        let found = all
            .into_iter()
            .find(|one| name(*one).eq_ignore_ascii_case(&value));
        if found.is_none() {
            let alias = Preset::of_environment(&value).map(Preset::name);
            let meant = match nearest(&value, all.map(name))
                .or(alias.filter(|alias| all.map(name).contains(alias)))
            {
                Some(name) => format!("did you mean {name}? "),
                None => String::new(),
            };
            let variable = self.name(setting);
            self.problems.push(format!(
                "{variable}={value:?} is unknown: {meant}accepts {}",
                setting.accepts
            ));
        }
        found
    }

    fn levels(&mut self) -> Option<(Levels, String)> {
        let mut found: Vec<(Levels, String)> = Vec::new();
        for setting in [RUST_LOG, LOG_LEVEL] {
            let Some(value) = self.get(&setting) else {
                continue;
            };
            let name = self.name(&setting);
            match value.parse() {
                Ok(levels) => found.push((levels, name)),
                Err(error) => self.problems.push(format!(
                    "{name}={value:?}: {error}; accepts {}",
                    setting.accepts
                )),
            }
        }
        if let [(one, first), (other, second)] = found.as_slice()
            && one != other
        {
            self.problems.push(format!(
                "{first}=\"{one}\" and {second}=\"{other}\" contradict each other: set one of them"
            ));
        }
        found.into_iter().next()
    }

    fn files(&mut self) -> Files {
        const LEVELS: [LevelFilter; 5] = [
            LevelFilter::ERROR,
            LevelFilter::WARN,
            LevelFilter::INFO,
            LevelFilter::DEBUG,
            LevelFilter::TRACE,
        ];
        let name_of_level = |level| match level {
            LevelFilter::ERROR => "error",
            LevelFilter::WARN => "warn",
            LevelFilter::INFO => "info",
            LevelFilter::DEBUG => "debug",
            _ => "trace",
        };
        let files = Files {
            rotation: self.parsed(&LOG_FILE_ROTATE),
            retention: self.parsed(&LOG_FILE_KEEP),
            compression: self.parsed(&LOG_FILE_COMPRESS),
            level: self.one_of(&LOG_FILE_LEVEL, LEVELS, name_of_level),
            ..Files::default()
        };
        Files {
            file: self.path(&LOG_FILE, &files),
            error_file: self.path(&LOG_ERROR_FILE, &files),
            ..files
        }
    }

    fn sampler(&mut self) -> Option<Sampler> {
        let value = self.get(&LOG_SAMPLE)?;
        let is_off = OFF.iter().any(|off| value.eq_ignore_ascii_case(off));
        (!is_off).then(|| self.parsed(&LOG_SAMPLE)).flatten()
    }

    fn recorder(&mut self) -> Option<Option<Recorder>> {
        let value = self.get(&LOG_RECORDER)?;
        if OFF.iter().any(|off| value.eq_ignore_ascii_case(off)) {
            return Some(None);
        }
        let name = self.name(&LOG_RECORDER);
        // Words that look like a switch, and would be taken for a target or a level.
        let is_switch = ["on", "true", "yes", "1"]
            .iter()
            .any(|on| value.eq_ignore_ascii_case(on));
        let problem = if is_switch {
            "no level: did you mean debug? accepts"
        } else if value.parse::<Bytes>().is_ok() {
            "a size: how much is kept is said in code, by `Recorder::builder().unit_bytes(…).process_bytes(…)`; accepts"
        } else {
            return match value.parse() {
                Ok(recorder) => Some(Some(recorder)),
                Err(error) => {
                    let error: SampleError = error;
                    let accepts = LOG_RECORDER.accepts;
                    self.problems
                        .push(format!("{name}={value:?}: {error}; accepts {accepts}"));
                    None
                }
            };
        };
        self.problems.push(format!(
            "{name}={value:?} is {problem} {}",
            LOG_RECORDER.accepts
        ));
        None
    }

    fn redaction(&mut self) -> redaction::FromEnv {
        let changes: Option<Changes> = self.parsed(&LOG_REDACT);
        let key_file = self.get(&LOG_REDACT_KEY_FILE);
        let name = self.name(&LOG_REDACT_KEY_FILE);
        let is_off = changes.as_ref().is_some_and(Changes::is_off);
        if key_file.is_some() && is_off {
            let redact = self.name(&LOG_REDACT);
            self.problems.push(format!(
                "{redact}=off and {name} contradict each other: leave one of them out"
            ));
        }
        let key = key_file.and_then(|path| {
            let error = match redaction::Key::read(&path) {
                Ok(key) => return Some(key),
                Err(error) => error,
            };
            self.problems.push(if looks_like_key(&path) {
                let length = path.len();
                format!(
                    "{name}=(hidden, {length} bytes) looks like the key itself: write it into a file, and that file's path here"
                )
            } else if is_to_be_expanded(&path) {
                not_expanded(&name, &path)
            } else {
                format!("{name}={path:?}: {error}")
            });
            None
        });
        redaction::FromEnv { changes, key }
    }

    /// The value as what it stands for.
    pub(crate) fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, setting: &Setting) -> Option<T> {
        let value = self.get(setting)?;
        match value.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                let name = self.name(setting);
                self.problems.push(format!("{name}={value:?}: {error}"));
                None
            }
        }
    }

    /// A path that a file can be opened at, as far as looking at it tells.
    fn path(&mut self, setting: &Setting, files: &Files) -> Option<PathBuf> {
        let value = self.get(setting)?;
        let name = self.name(setting);
        if is_to_be_expanded(&value) {
            self.problems.push(not_expanded(&name, &value));
            return None;
        }
        if let Err(error) = files.builder(&value).check() {
            self.problems.push(format!("{name}: {error}"));
            return None;
        }
        Some(value.into())
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
        let is_name = |key: &String| {
            key.chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))
        };
        if let Some(wrong) = keys.iter().find(|key| !is_name(key)) {
            let name = self.name(&LOG_CONTEXT);
            self.problems.push(format!(
                "{name}={value:?}: `{wrong}` is not a field name: accepts {}",
                LOG_CONTEXT.accepts
            ));
        }
        keys.into_iter()
            .filter(|key| !CONTEXT_KEYS.contains(&key.as_str()))
            .collect()
    }

    /// What has our prefix and is not ours. What is nearly ours is a mistake; the rest belongs to somebody else.
    fn unknown(&mut self) -> Vec<String> {
        let known: Vec<String> = SETTINGS.iter().map(|setting| self.name(setting)).collect();
        let prefix = format!("{}_", self.prefix);
        let mut unknown = Vec::new();
        for (name, value) in &self.vars {
            if !name.starts_with(&prefix) || known.contains(name) || value.is_empty() {
                continue;
            }
            let of_prefix = &name[self.prefix.len()..];
            if let Some((_, group)) = GROUPS.iter().find(|(stem, _)| of_prefix.starts_with(stem)) {
                let group = format!("{}{group}", self.prefix);
                let alike = known.iter().filter(|known| known.starts_with(&group));
                let alike: Vec<&str> = alike.map(String::as_str).collect();
                let are = if alike.len() == 1 { "is" } else { "are" };
                self.problems.push(format!(
                    "{name}={value:?} is not a setting: there {are} {}",
                    alike.join(", ")
                ));
                continue;
            }
            match nearest(name, known.iter().map(String::as_str)) {
                Some(meant) => self.problems.push(format!(
                    "{name}={value:?} is not a setting: did you mean {meant}?"
                )),
                None => unknown.push(name.clone()),
            }
        }
        unknown
    }
}

/// How names begin, after the prefix, of which none is somebody else's, and how those do that are meant.
const GROUPS: [(&str, &str); 7] = [
    ("_FILE", "_FILE"),
    ("_ERROR_FILE", "_ERROR_FILE"),
    ("_REDACT", "_REDACT"),
    ("_SAMPL", "_SAMPLE"),
    ("_RECORD", "_RECORDER"),
    ("_FLIGHT", "_RECORDER"),
    ("_HTTP", "_HTTP"),
];

/// Said of what is not wanted.
const OFF: [&str; 2] = ["off", "none"];

fn is_to_be_expanded(path: &str) -> bool {
    path.starts_with('~') || path.contains('$')
}

fn not_expanded(name: &str, path: &str) -> String {
    format!(
        "{name}={path:?} looks as if something in it were to be expanded, which nothing is: write the path out"
    )
}

/// A key is put where its file's path belongs by mistake, and must not be shown.
fn looks_like_key(path: &str) -> bool {
    let is_coded = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte);
    let begins_as_path = path.starts_with(['/', '.']);
    path.len() >= 16 && !begins_as_path && path.bytes().all(is_coded)
}
