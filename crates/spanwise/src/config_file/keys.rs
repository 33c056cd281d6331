//! The keys of a configuration file, one row each. The check of names and kinds, `explain()` and
//! the JSON Schema read these rows. A key of a setting has the texts of that setting.

use spanwise_core::Setting;

use crate::settings::{
    APP_ENV, LOG_COLOR, LOG_CONTEXT, LOG_ERROR_FILE, LOG_FIELDS, LOG_FILE_COMPRESS, LOG_FILE_KEEP,
    LOG_FILE_PER_PROCESS, LOG_FILE_ROTATE, LOG_FORMAT, LOG_HTTP_CLIENT_ADDRESS, LOG_HTTP_TRUST,
    LOG_MAX_LINE, LOG_OWN, LOG_PANIC_BACKTRACE, LOG_PARENT, LOG_PRESET, LOG_REDACT,
    LOG_REDACT_KEY_FILE, LOG_SAMPLE, LOG_SPANS, LOG_STATIC_FIELDS, LOG_STRICT, LOG_TIME,
    OTEL_EXPORTER_OTLP_ENDPOINT, RUST_LOG, SENTRY_BREADCRUMB_LEVEL, SENTRY_DSN, SENTRY_ENABLE_LOGS,
    SENTRY_ENVIRONMENT, SENTRY_EVENT_LEVEL, SENTRY_GROUPING, SENTRY_RELEASE, SENTRY_SAMPLE_RATE,
    SENTRY_TRACES_SAMPLE_RATE, SERVICE_NAME, SERVICE_NODE, SERVICE_VERSION,
};

/// The definition of a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// The path, such as `sink.*.rotate`. A star matches any name.
    pub(super) path: &'static str,
    pub(super) kind: KeyKind,
    /// The accepted values, as errors and the JSON Schema show them.
    pub(super) accepts: &'static str,
    pub(super) help: &'static str,
    /// The only accepted texts, if they can be listed.
    pub(super) words: &'static [&'static str],
    /// The kinds of sinks that have the key, if it is a key of a sink.
    pub(super) sinks: Sinks,
}

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    Text,
    Integer,
    /// An integer or a float.
    Number,
    Bool,
    /// A list of texts.
    List,
    /// A table with the keys below this path.
    Table,
    /// A table of tables, each with a name that the file chooses.
    Names,
    /// A condition of a filter, which is a table.
    Condition,
}

/// The kinds of sinks that have a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sinks {
    All,
    /// Sinks that write lines.
    Lines,
    Streams,
    Files,
    Sentry,
    Otlp,
}

impl Sinks {
    pub(super) fn contain(self, kind: &str) -> bool {
        match self {
            Self::All => true,
            Self::Lines => ["stdout", "stderr", "file"].contains(&kind),
            Self::Streams => ["stdout", "stderr"].contains(&kind),
            Self::Files => kind == "file",
            Self::Sentry => kind == "sentry",
            Self::Otlp => kind == "otlp",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::All => "all sinks",
            Self::Lines => "stdout, stderr and file",
            Self::Streams => "stdout and stderr",
            Self::Files => "file",
            Self::Sentry => "sentry",
            Self::Otlp => "otlp",
        }
    }
}

impl Key {
    const fn new(
        path: &'static str,
        kind: KeyKind,
        accepts: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            path,
            kind,
            accepts,
            help,
            words: &[],
            sinks: Sinks::All,
        }
    }

    const fn setting(path: &'static str, kind: KeyKind, def: &Setting) -> Self {
        Self::new(path, kind, def.accepts, def.help)
    }

    /// The key of a setting, at the path that the setting has in a file.
    const fn own(kind: KeyKind, def: &Setting) -> Self {
        match def.key {
            Some(path) => Self::setting(path, kind, def),
            // This fails the build, because the list of keys is a constant.
            None => panic!("the setting has no key"),
        }
    }

    const fn words(mut self, words: &'static [&'static str]) -> Self {
        self.words = words;
        self
    }

    const fn only_for(mut self, sinks: Sinks) -> Self {
        self.sinks = sinks;
        self
    }

    /// Returns the last part of the path.
    pub(super) fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }
}

use KeyKind::{Bool, Condition, Integer, List, Names, Number, Table, Text};

/// The kinds of sinks.
pub(super) const SINK_KINDS: [&str; 6] = ["stdout", "stderr", "file", "sentry", "otlp", "none"];

/// The kinds of sinks that a later release will have.
pub(super) const RESERVED_KINDS: [&str; 6] =
    ["syslog", "journald", "loki", "http", "mail", "audit"];

/// The variables of sinks that a later release will have.
pub(super) const RESERVED_VARIABLES: [&str; 6] = [
    "LOG_SYSLOG",
    "LOG_LOKI_URL",
    "LOG_LOKI_LABELS",
    "LOG_MAIL_SMTP",
    "LOG_MAIL_TO",
    "LOG_AUDIT_FILE",
];

/// The filters that need no definition.
pub(super) const BUILT_IN_FILTERS: [&str; 3] = ["debug_only", "not_debug", "prod_only"];

/// The top-level keys that a later release will have.
pub(super) const RESERVED_KEYS: [&str; 1] = ["control"];

const LEVEL: &str = "off, error, warn, info, debug, trace";
const SWITCH: &str = "true or false";
const NAMES: &str = "a list of names";
const SIZE: &str = "a size with a unit, such as `8MiB`";
const VALUES: &str = "a text, a number, true or false, or a list of them";

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "version",
        Integer,
        "1",
        "The version of the format of this file.",
    ),
    Key::own(Text, &LOG_PRESET.def),
    Key::own(Text, &RUST_LOG.def),
    Key::own(Text, &LOG_SPANS.def),
    Key::own(List, &LOG_OWN.def),
    Key::own(List, &LOG_CONTEXT.def),
    Key::own(Text, &LOG_TIME.def),
    Key::own(Text, &LOG_PARENT.def),
    Key::own(Text, &LOG_STATIC_FIELDS.def),
    Key::own(Bool, &LOG_STRICT.def),
    Key::new(
        "reload",
        Text,
        "off, manual, sighup, or an interval of at least `1s`",
        "Whether changed files are applied while the program runs. With `manual`, the program \
         calls `Handle::reload`. With `sighup`, SIGHUP does the same, and reopens the log files. \
         With an interval, the files are also compared at that interval. Defaults to off.",
    ),
    Key::new(
        "include",
        List,
        "paths of files, relative to this one; the last part may have `*`",
        "Files that override this one, in the order of the list. The files of a path with `*` are \
         sorted.",
    ),
    Key::new(
        "service",
        Table,
        "a table",
        "The service, as each line names it.",
    ),
    Key::own(Text, &SERVICE_NAME.def),
    Key::own(Text, &SERVICE_VERSION.def),
    Key::own(Text, &SERVICE_NODE.def),
    Key::own(Text, &APP_ENV.def),
    Key::new(
        "redact",
        Table,
        "a table",
        "The values that every output hides.",
    ),
    Key::own(Text, &LOG_REDACT.def),
    Key::own(Text, &LOG_REDACT_KEY_FILE.def),
    Key::new("sample", Table, "a table", "The sampler."),
    Key::own(Text, &LOG_SAMPLE.def),
    Key::new("recorder", Table, "a table", "The flight recorder."),
    Key::new(
        "recorder.capture",
        Text,
        "off, or a level or directives such as `debug,hyper=info`",
        "The events that are buffered per request, and written if the request fails.",
    ),
    Key::new(
        "recorder.slow",
        Text,
        "a duration, such as `1s`",
        "The duration of a slow request. The events of slower requests are written, too.",
    ),
    Key::new(
        "recorder.tail",
        Number,
        "a number from 0 to 1",
        "The ratio of other requests whose events are written.",
    ),
    Key::new(
        "recorder.lines",
        Text,
        "a rate, such as `10000/s`",
        "The maximum rate of written lines.",
    ),
    Key::new("http", Table, "a table", "The layer for servers."),
    Key::own(List, &LOG_HTTP_TRUST.def),
    Key::own(Text, &LOG_HTTP_CLIENT_ADDRESS.def),
    Key::new("panic", Table, "a table", "How panics are logged."),
    Key::new(
        "panic.hook",
        Bool,
        SWITCH,
        "Whether a panic is logged. The preset test has no hook.",
    ),
    Key::own(Text, &LOG_PANIC_BACKTRACE.def),
    Key::new(
        "format",
        Names,
        "tables",
        "Formats by name, which sinks use.",
    ),
    Key::new("format.*", Table, "a table", "A format with changes."),
    Key::setting("format.*.base", Text, &LOG_FORMAT.def),
    Key::new(
        "format.*.template",
        Text,
        "a text such as `{level} {time} {message} {fields}`",
        "The template of each line, instead of `base`.",
    ),
    Key::setting("format.*.fields", Text, &LOG_FIELDS.def),
    Key::new(
        "format.*.max_field",
        Text,
        "a size from `256B` to `16MiB`",
        "The maximum length of the text of a value. Defaults to 16KiB.",
    ),
    Key::setting("format.*.max_line", Text, &LOG_MAX_LINE.def),
    Key::new("sink", Names, "tables", "The sinks by name."),
    Key::new("sink.*", Table, "a table", "A sink."),
    Key::new(
        "sink.*.kind",
        Text,
        "stdout, stderr, file, sentry, otlp, none",
        "What the sink writes to. The sinks `file`, `error_file`, `sentry` and `otlp` need no kind.",
    )
    .words(&SINK_KINDS),
    Key::new(
        "sink.*.enabled",
        Bool,
        SWITCH,
        "Whether the sink exists. Defaults to true.",
    ),
    Key::new(
        "sink.*.format",
        Text,
        LOG_FORMAT.def.accepts,
        "The format of lines, or the name of a `[format.NAME]`. Defaults to the format of the sink \
         `main`, or else of the preset.",
    )
    .only_for(Sinks::Lines),
    Key::new(
        "sink.*.level",
        Text,
        "a level, or directives such as `warn,shop=info`",
        "The levels of the events that the sink gets. Defaults to all events that reach it.",
    ),
    Key::new(
        "sink.*.filters",
        List,
        NAMES,
        "The filters that all events pass, in this order.",
    ),
    Key::new(
        "sink.*.sample",
        Text,
        "off, or rules such as `info=0.1`",
        "The sampler of the sink. Defaults to the sampler of the program.",
    )
    .only_for(Sinks::Lines),
    Key::new(
        "sink.*.recorder",
        Bool,
        SWITCH,
        "Whether the flight recorder writes to the sink. Defaults to true.",
    )
    .only_for(Sinks::Lines),
    Key::setting("sink.*.color", Text, &LOG_COLOR.def).only_for(Sinks::Streams),
    Key::new(
        "sink.*.redact",
        Text,
        "inherit, insecure_off, or changes such as `+iban`",
        "The redaction of the sink. Defaults to the redaction of the program.",
    )
    .only_for(Sinks::Lines),
    Key::new(
        "sink.*.background",
        Bool,
        SWITCH,
        "Whether a background thread writes the lines. Defaults to true for files, and to true for \
         stdout and stderr under the preset prod.",
    )
    .only_for(Sinks::Lines),
    Key::new(
        "sink.*.buffer",
        Text,
        SIZE,
        "The size of the buffer of the background thread. Defaults to 8MiB.",
    )
    .only_for(Sinks::Lines),
    Key::new(
        "sink.*.when_full",
        Text,
        "shed_by_level 100ms, block 1s, shed",
        "What happens to a line while the buffer is full. Defaults to `shed_by_level 100ms`.",
    )
    .only_for(Sinks::Lines),
    Key::new(
        "sink.*.fallback",
        List,
        "a list of `stderr`",
        "Where lines go while the file cannot be written.",
    )
    .only_for(Sinks::Files),
    Key::setting("sink.*.fields", Text, &LOG_FIELDS.def).only_for(Sinks::Lines),
    Key::setting("sink.*.max_line", Text, &LOG_MAX_LINE.def).only_for(Sinks::Lines),
    Key::new("sink.*.path", Text, LOG_ERROR_FILE.def.accepts, "The file.").only_for(Sinks::Files),
    Key::setting("sink.*.rotate", Text, &LOG_FILE_ROTATE.def).only_for(Sinks::Files),
    Key::setting("sink.*.keep", Text, &LOG_FILE_KEEP.def).only_for(Sinks::Files),
    Key::setting("sink.*.compress", Text, &LOG_FILE_COMPRESS.def).only_for(Sinks::Files),
    Key::new(
        "sink.*.mode",
        Text,
        "octal digits, such as `0640`",
        "The permissions of new files on Unix. Defaults to 0640.",
    )
    .only_for(Sinks::Files),
    Key::setting("sink.*.per_process", Bool, &LOG_FILE_PER_PROCESS.def).only_for(Sinks::Files),
    Key::setting("sink.*.dsn", Text, &SENTRY_DSN.def).only_for(Sinks::Sentry),
    Key::setting("sink.*.environment", Text, &SENTRY_ENVIRONMENT.def).only_for(Sinks::Sentry),
    Key::setting("sink.*.release", Text, &SENTRY_RELEASE.def).only_for(Sinks::Sentry),
    Key::setting("sink.*.event_level", Text, &SENTRY_EVENT_LEVEL.def).only_for(Sinks::Sentry),
    Key::setting(
        "sink.*.breadcrumb_level",
        Text,
        &SENTRY_BREADCRUMB_LEVEL.def,
    )
    .only_for(Sinks::Sentry),
    Key::setting("sink.*.sample_rate", Number, &SENTRY_SAMPLE_RATE.def).only_for(Sinks::Sentry),
    Key::setting(
        "sink.*.traces_sample_rate",
        Number,
        &SENTRY_TRACES_SAMPLE_RATE.def,
    )
    .only_for(Sinks::Sentry),
    Key::setting("sink.*.grouping", Bool, &SENTRY_GROUPING.def).only_for(Sinks::Sentry),
    Key::setting("sink.*.enable_logs", Bool, &SENTRY_ENABLE_LOGS.def).only_for(Sinks::Sentry),
    Key::setting("sink.*.endpoint", Text, &OTEL_EXPORTER_OTLP_ENDPOINT.def).only_for(Sinks::Otlp),
    Key::new(
        "filter",
        Names,
        "tables",
        "The filters by name, which routes and sinks use.",
    ),
    Key::new(
        "filter.*",
        Table,
        "a table with one of keep, drop, level, code",
        "A filter.",
    ),
    Key::new(
        "filter.*.keep",
        Condition,
        "a condition",
        "Drops events that do not meet the condition.",
    ),
    Key::new(
        "filter.*.drop",
        Condition,
        "a condition",
        "Drops events that meet the condition.",
    ),
    Key::new(
        "filter.*.level",
        Condition,
        "a condition, and `as` with a level",
        "Gives another level to events that meet the condition.",
    ),
    Key::new(
        "filter.*.code",
        Bool,
        "true",
        "Whether the function that the program registers under this name decides.",
    ),
    Key::new(
        "root",
        Table,
        "a table",
        "The route of the events that no other route matches.",
    ),
    Key::new(
        "root.level",
        Text,
        LEVEL,
        "The least severe level of all targets that have no level of their own.",
    ),
    Key::new(
        "root.sinks",
        List,
        NAMES,
        "The sinks of these events. Defaults to every sink that no route names.",
    ),
    Key::new(
        "root.filters",
        List,
        NAMES,
        "The filters of the events that no other route matches.",
    ),
    Key::new(
        "route",
        Names,
        "tables",
        "Routes by target: `[route.\"shop::payments\"]`.",
    ),
    Key::new(
        "route.*",
        Table,
        "a table",
        "The route of a target and of the modules inside it.",
    ),
    Key::new(
        "route.*.level",
        Text,
        LEVEL,
        "The least severe level of the target.",
    ),
    Key::new(
        "route.*.sinks",
        List,
        NAMES,
        "The sinks of the route, in addition to the sinks of its parents.",
    ),
    Key::new(
        "route.*.filters",
        List,
        NAMES,
        "The filters of events of this route.",
    ),
    Key::new(
        "route.*.exclusive",
        Bool,
        SWITCH,
        "Whether the events do not go to the sinks of the parents, too. Defaults to false.",
    ),
    Key::new(
        "profile",
        Table,
        "tables",
        "Changes for one preset. They override the rest of the file.",
    ),
];

/// The keys of a condition, with their accepted values and their meanings.
pub(super) const CONDITIONS: &[(&str, &str, &str)] = &[
    (
        "field",
        "the name of a field of the event, of its spans, or of the context",
        "The field.",
    ),
    ("is", VALUES, "The field has one of these values."),
    (
        "not",
        "a condition, or with `field` values",
        "The opposite.",
    ),
    ("starts", "a text", "The field begins with this text."),
    ("contains", "a text", "The field contains this text."),
    ("above", "a number", "The field is a greater number."),
    ("below", "a number", "The field is a smaller number."),
    ("exists", SWITCH, "Whether the event has the field."),
    (
        "target",
        "a target",
        "The target is this module, or inside it.",
    ),
    ("message", "a text", "The message contains this text."),
    ("level", LEVEL, "The event is at least as severe."),
    (
        "preset",
        "dev, prod, test, cli, or a list of them",
        "The preset is one of these.",
    ),
    (
        "any",
        "a list of conditions",
        "At least one of them is met.",
    ),
];

/// The presets, which are the names of profiles.
pub(super) const PROFILES: [&str; 4] = ["dev", "prod", "test", "cli"];

/// The keys that a profile cannot have.
pub(super) const NOT_IN_PROFILES: [&str; 5] = ["version", "preset", "include", "profile", "reload"];

/// Returns the key of a variable of OpenTelemetry: `traces_endpoint` for
/// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`.
pub(super) fn otel_key(name: &str) -> Option<String> {
    let without_prefix = name.strip_prefix("OTEL_EXPORTER_OTLP_");
    let without_prefix = without_prefix.or_else(|| name.strip_prefix("OTEL_"))?;
    Some(without_prefix.to_ascii_lowercase())
}

/// Returns the variables of OpenTelemetry.
pub(super) fn otel_settings() -> Vec<Setting> {
    #[cfg(feature = "otel")]
    return spanwise_otel::OtelSetting::all()
        .map(|setting| setting.def)
        .collect();
    #[cfg(not(feature = "otel"))]
    vec![OTEL_EXPORTER_OTLP_ENDPOINT.def]
}

/// Returns the path of a setting in a configuration file.
pub(super) fn path_of(def: &Setting) -> Option<String> {
    match def.key {
        Some(path) => Some(path.to_owned()),
        // The table `service` has the name of the service.
        None if def.name == "OTEL_SERVICE_NAME" => None,
        None => otel_key(def.name).map(|key| format!("sink.otlp.{key}")),
    }
}
