//! The environment: each variable is defined here, once.

use std::{ffi::OsString, fmt, path::PathBuf, str::FromStr};

use spanwise_appender::Bytes;
use spanwise_core::{CONTEXT_KEYS, Levels, Setting, Shown, nearest::nearest};
use spanwise_redact::Changes;
use spanwise_sample::{Recorder, SampleError, Sampler};
use tracing::level_filters::LevelFilter;

use crate::{
    Output, OutputFormat, Preset, files::Files, http_server::HttpServer, redaction, to_sentry,
};

pub(crate) const fn setting(
    name: &'static str,
    default: &'static str,
    accepts: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        name,
        default,
        accepts,
        shown: Shown::Plainly,
        help,
    }
}

/// Levels, by the name that all of Rust uses.
pub(crate) const RUST_LOG: Setting = setting(
    "RUST_LOG",
    "of the preset",
    "a level, or directives such as `info,sqlx=warn,shop::db=trace` or `[request{tenant_id=acme}]=debug`",
    "What is logged; without a bare level the preset's remains for the rest.",
);
pub(crate) const LOG_LEVEL: Setting = setting(
    "LOG_LEVEL",
    "of the preset",
    RUST_LOG.accepts,
    "The same as RUST_LOG, where that name is taken; two that differ are an error.",
);
pub(crate) const LOG_PRESET: Setting = setting(
    "LOG_PRESET",
    "by APP_ENV, RUST_ENV or ENVIRONMENT, else dev if stderr is a terminal, else prod",
    "dev, prod, test",
    "The defaults of everything else.",
);
pub(crate) const LOG_FORMAT: Setting = setting(
    "LOG_FORMAT",
    "of the preset",
    "json, json-nested, pretty, compact",
    "What a line looks like.",
);
pub(crate) const LOG_OUTPUT: Setting = setting(
    "LOG_OUTPUT",
    "of the preset",
    "stdout, stderr, none",
    "Where lines go.",
);
pub(crate) const LOG_FILE: Setting = setting(
    "LOG_FILE",
    "none",
    "a path as it is, such as `/var/log/shop/shop.log`: nothing in it is expanded",
    "A file that lines go to as well, in the same format without colours; not under the preset test.",
);
pub(crate) const LOG_FILE_LEVEL: Setting = setting(
    "LOG_FILE_LEVEL",
    "whatever is logged",
    "error, warn, info, debug, trace",
    "The least severe level that LOG_FILE gets; what is logged at all is said by RUST_LOG.",
);
pub(crate) const LOG_ERROR_FILE: Setting = setting(
    "LOG_ERROR_FILE",
    "none",
    "a path as it is, such as `/var/log/shop/shop.error.log`",
    "A file that lines at ERROR go to as well; not under the preset test.",
);
pub(crate) const LOG_FILE_ROTATE: Setting = setting(
    "LOG_FILE_ROTATE",
    "daily,100MiB",
    "a size such as `100MiB`, one of `minutely`, `hourly`, `daily`, `weekly`, `start`, and `local` for local time, joined by commas; or `never`",
    "When a new file starts: at the first of these.",
);
pub(crate) const LOG_FILE_KEEP: Setting = setting(
    "LOG_FILE_KEEP",
    "14 files",
    "a number such as `14 files`, an age such as `30d`, a size in all such as `10GiB`, and the least free space of the disk such as `free=5GiB`, joined by commas; or `all`",
    "Which rolled files are kept: those that all of these allow.",
);
pub(crate) const LOG_FILE_COMPRESS: Setting = setting(
    "LOG_FILE_COMPRESS",
    "gzip, or none in a program built without the feature `gzip`",
    "none, gzip, zstd: the last two in programs built with the feature of that name",
    "How rolled files are compressed.",
);
pub(crate) const LOG_REDACT: Setting = setting(
    "LOG_REDACT",
    "on: secrets, and but for the preset dev what tells of a person",
    "on, off, or keys and kinds of secret to hide and to show, such as `+employee_no,-session,+items[*].card,-ipv4`",
    "What is hidden in every output.",
);
pub(crate) const LOG_REDACT_KEY_FILE: Setting = setting(
    "LOG_REDACT_KEY_FILE",
    "none",
    "the path of a file with 16 bytes at least, such as `openssl rand -hex 32` makes; in programs built with the feature `pseudonyms`",
    "The key of pseudonyms: what tells of a person is shown as `k1:…`, equal values alike, under every preset.",
);
pub(crate) const LOG_SAMPLE: Setting = setting(
    "LOG_SAMPLE",
    "none",
    "what is kept of a level or a target, joined by commas: a share, a rate, or the first of each while, such as `info=0.1,sqlx=5/s,shop::cache=first:10/100`",
    "What is left out of the outputs, with a count of it; WARN and ERROR only if they are named. Not under the preset test.",
);
pub(crate) const LOG_RECORDER: Setting = setting(
    "LOG_RECORDER",
    "off",
    "off, or a level or directives such as `debug` or `debug,hyper=info`, and with them `slow=1s` and `tail=0.01`",
    "The flight recorder: lines of these levels are kept for each request, and written if it fails, with `slow` also if it takes as long; with `tail` lines at INFO are kept too, and shown of that share of the other requests. Not under the preset test.",
);
pub(crate) const LOG_HTTP_TRUST: Setting = setting(
    "LOG_HTTP_TRUST",
    "never",
    "never, always, or addresses and networks joined by commas, such as `10.0.0.0/8,127.0.0.1`; in programs built with the feature `http`",
    "Whose ids of requests, traces and tenants are taken over, and whose `X-Forwarded-For` is believed.",
);
pub(crate) const LOG_HTTP_CLIENT_ADDRESS: Setting = setting(
    "LOG_HTTP_CLIENT_ADDRESS",
    "network; under the preset dev whole",
    "whole, network, none; in programs built with the feature `http`",
    "How much is told of where a client is: its whole address, the /24 or /48 it is in, or nothing.",
);
pub(crate) const LOG_CONTEXT: Setting = setting(
    "LOG_CONTEXT",
    "request_id, tenant_id, user_id, trace_id, span_id",
    "field names joined by commas, such as `order_id,job_id`",
    "More span fields that `Context` has; JSON lines show every span field in any case.",
);
pub(crate) const SERVICE_NAME: Setting = setting(
    "SERVICE_NAME",
    "OTEL_SERVICE_NAME, else the program's name",
    "text",
    "The name of the service, in each line of `json`.",
);
pub(crate) const SERVICE_VERSION: Setting = setting(
    "SERVICE_VERSION",
    "none",
    "text",
    "The version of the service, in each line of `json`.",
);
pub(crate) const OTEL_SERVICE_NAME: Setting = setting(
    "OTEL_SERVICE_NAME",
    "none",
    "text",
    "The name of the service, where SERVICE_NAME is not set.",
);
pub(crate) const APP_ENV: Setting = setting(
    "APP_ENV",
    "in the line, the name of the preset",
    "production, prod, staging, development, dev, local, test; any other value says nothing about the preset",
    "The environment of the service, in each line of `json`; chooses the preset where LOG_PRESET does not.",
);
pub(crate) const RUST_ENV: Setting = setting(
    "RUST_ENV",
    "none",
    APP_ENV.accepts,
    "The same as APP_ENV, which comes first.",
);
pub(crate) const ENVIRONMENT: Setting = setting(
    "ENVIRONMENT",
    "none",
    APP_ENV.accepts,
    "The same as APP_ENV and RUST_ENV, which come first.",
);
pub(crate) const NO_COLOR: Setting = setting(
    "NO_COLOR",
    "none",
    "any text",
    "If set, no colours in `pretty` and `compact`.",
);

/// Every variable that is read, in the order of the documentation.
pub const SETTINGS: &[Setting] = &[
    RUST_LOG,
    LOG_LEVEL,
    LOG_PRESET,
    LOG_FORMAT,
    LOG_OUTPUT,
    LOG_FILE,
    LOG_FILE_LEVEL,
    LOG_ERROR_FILE,
    LOG_FILE_ROTATE,
    LOG_FILE_KEEP,
    LOG_FILE_COMPRESS,
    LOG_REDACT,
    LOG_REDACT_KEY_FILE,
    LOG_SAMPLE,
    LOG_RECORDER,
    LOG_HTTP_TRUST,
    LOG_HTTP_CLIENT_ADDRESS,
    LOG_CONTEXT,
    SERVICE_NAME,
    SERVICE_VERSION,
    OTEL_SERVICE_NAME,
    APP_ENV,
    RUST_ENV,
    ENVIRONMENT,
    NO_COLOR,
    to_sentry::SENTRY_DSN,
    to_sentry::SENTRY_ENVIRONMENT,
    to_sentry::SENTRY_RELEASE,
    to_sentry::SENTRY_EVENT_LEVEL,
    to_sentry::SENTRY_BREADCRUMB_LEVEL,
    to_sentry::SENTRY_SAMPLE_RATE,
    to_sentry::SENTRY_TRACES_SAMPLE_RATE,
    to_sentry::SENTRY_ENABLE_LOGS,
];

/// What stands before the names of the variables that are ours alone.
pub(crate) const PREFIX: &str = "LOG";

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

/// The name of `setting` under `prefix`.
pub(crate) fn name_of(setting: &Setting, prefix: &str) -> String {
    match setting.name.strip_prefix(PREFIX) {
        Some(rest) => format!("{prefix}{rest}"),
        None => setting.name.to_owned(),
    }
}

/// How names begin, after the prefix, of which none is somebody else's, with the setting that is meant.
const GROUPS: [(&str, &Setting); 6] = [
    ("_FILE", &LOG_FILE),
    ("_ERROR_FILE", &LOG_ERROR_FILE),
    ("_REDACT", &LOG_REDACT),
    ("_SAMPL", &LOG_SAMPLE),
    ("_RECORD", &LOG_RECORDER),
    ("_FLIGHT", &LOG_RECORDER),
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
                let group = self.name(group);
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
                    "{name}={value:?} is not a setting: did you mean {meant}? accepts {}",
                    known.join(", ")
                )),
                None => unknown.push(name.clone()),
            }
        }
        unknown
    }
}
