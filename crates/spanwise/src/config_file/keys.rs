//! The keys of a configuration file, each a row of type [`Key`]. The check of names and kinds,
//! `explain()` and the JSON Schema read these rows. The key of a setting has the help text of that
//! setting.
//!
//! Not in the rows: most keys of OTLP sinks, which [`otel_key`] derives from variables, and the
//! keys inside a condition, which are in [`CONDITIONS`].

use spanwise_core::Setting;

use super::key_row::{Key, KeyKind, SWITCH, Sinks};
use crate::settings::{
    APP_ENV, LOG_COLOR, LOG_CONTEXT, LOG_ERROR_FILE, LOG_FIELDS, LOG_FILE_COMPRESS, LOG_FILE_KEEP,
    LOG_FILE_PER_PROCESS, LOG_FILE_ROTATE, LOG_FORMAT, LOG_HTTP_CLIENT_ADDRESS, LOG_HTTP_TRUST,
    LOG_MAX_LINE, LOG_OWN, LOG_PANIC_BACKTRACE, LOG_PARENT, LOG_PRESET, LOG_REDACT,
    LOG_REDACT_KEY_FILE, LOG_SAMPLE, LOG_SPANS, LOG_STATIC_FIELDS, LOG_STRICT, LOG_TIME,
    OTEL_EXPORTER_OTLP_ENDPOINT, RUST_LOG, SENTRY_BREADCRUMB_LEVEL, SENTRY_DSN, SENTRY_ENABLE_LOGS,
    SENTRY_ENVIRONMENT, SENTRY_EVENT_LEVEL, SENTRY_GROUPING, SENTRY_RELEASE, SENTRY_SAMPLE_RATE,
    SENTRY_TRACES_SAMPLE_RATE, SERVICE_NAME, SERVICE_NODE, SERVICE_VERSION,
};

use KeyKind::{Bool, Condition, Integer, List, NamedTables, Number, Table, Text};

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

/// The filters that exist without a table in a file.
pub(super) const BUILT_IN_FILTERS: [&str; 3] = ["debug_only", "not_debug", "prod_only"];

/// The top-level keys that a later release will have.
pub(super) const RESERVED_KEYS: [&str; 1] = ["control"];

const LEVEL: &str = "off, error, warn, info, debug, trace";
const LIST_OF_NAMES: &str = "a list of names";
const SIZE: &str = "a size with a unit, such as `8MiB`";
const VALUES: &str = "a text, a number, true or false, or a list of them";

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "version",
        Integer,
        "1",
        "The version of the format of this file.",
    ),
    Key::for_setting(Text, &LOG_PRESET.def),
    Key::for_setting(Text, &RUST_LOG.def),
    Key::for_setting(Text, &LOG_SPANS.def),
    Key::for_setting(List, &LOG_OWN.def).accepts("a list of names of crates or modules"),
    Key::for_setting(List, &LOG_CONTEXT.def).accepts("a list of field names"),
    Key::for_setting(Text, &LOG_TIME.def),
    Key::for_setting(Text, &LOG_PARENT.def),
    Key::for_setting(Text, &LOG_STATIC_FIELDS.def),
    Key::for_setting(Bool, &LOG_STRICT.def),
    Key::new(
        "reload",
        Text,
        "off, manual, sighup, or an interval of at least `1s`",
        "When changed files are applied while the program runs. `manual`: when the program calls \
         `Handle::reload`. `sighup`: also at each SIGHUP, which reopens the log files, too. An \
         interval: also when a check at this interval finds a change. Defaults to off.",
    ),
    Key::new(
        "include",
        List,
        "a list of paths, relative to the directory of this file; the file name may have `*` and \
         `?`",
        "Files that override this one. A later path in the list overrides an earlier one. The \
         files that a path with `*` matches are sorted by name.",
    ),
    Key::new(
        "service",
        Table,
        "a table",
        "The name and other attributes of the service.",
    ),
    Key::for_setting(Text, &SERVICE_NAME.def),
    Key::for_setting(Text, &SERVICE_VERSION.def),
    Key::for_setting(Text, &SERVICE_NODE.def),
    Key::for_setting(Text, &APP_ENV.def),
    Key::new(
        "redact",
        Table,
        "a table",
        "The values that every output hides.",
    ),
    Key::for_setting(Text, &LOG_REDACT.def),
    Key::for_setting(Text, &LOG_REDACT_KEY_FILE.def),
    Key::new("sample", Table, "a table", "The sampler."),
    Key::for_setting(Text, &LOG_SAMPLE.def),
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
        "Also writes the buffered events of slow requests, which take at least this long. By \
         default, no request is slow.",
    ),
    Key::new(
        "recorder.tail",
        Number,
        "a number from 0 to 1",
        "Also buffers the shown events at INFO and more verbose levels. They are written if the \
         request fails or is slow, and for this ratio of the other requests. Defaults to 1: they \
         are not buffered.",
    ),
    Key::new(
        "recorder.lines",
        Text,
        "a rate, such as `10000/s`",
        "The maximum rate at which each sink writes buffered lines. Defaults to 10000/s.",
    ),
    Key::new("http", Table, "a table", "The layer for servers."),
    Key::for_setting(List, &LOG_HTTP_TRUST.def)
        .accepts("a list of addresses and networks, or of the one word `never` or `always`"),
    Key::for_setting(Text, &LOG_HTTP_CLIENT_ADDRESS.def),
    Key::new("panic", Table, "a table", "How panics are logged."),
    Key::new(
        "panic.hook",
        Bool,
        SWITCH,
        "Whether a panic is logged. Defaults to true, under the preset test to false.",
    ),
    Key::for_setting(Text, &LOG_PANIC_BACKTRACE.def),
    Key::new(
        "format",
        NamedTables,
        "tables",
        "Formats with names of their own. A sink uses one by its name.",
    ),
    Key::new(
        "format.*",
        Table,
        "a table",
        "Another format with changes, or a template.",
    ),
    Key::with_texts_of("format.*.base", Text, &LOG_FORMAT.def),
    Key::new(
        "format.*.template",
        Text,
        "a text such as `{level} {time} {message} {fields}`",
        "The template of each line, instead of `base`.",
    ),
    Key::with_texts_of("format.*.fields", Text, &LOG_FIELDS.def),
    Key::new(
        "format.*.max_field",
        Text,
        "a size from `256B` to `16MiB`",
        "The maximum length of the text of a value. Defaults to 16KiB.",
    ),
    Key::with_texts_of("format.*.max_line", Text, &LOG_MAX_LINE.def),
    Key::new("sink", NamedTables, "tables", "The sinks by name."),
    Key::new("sink.*", Table, "a table", "A sink."),
    Key::new(
        "sink.*.kind",
        Text,
        "stdout, stderr, file, sentry, otlp, none",
        "What the sink writes to. The sinks `main`, `file`, `error_file`, `sentry` and `otlp` \
         need no kind.",
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
        "The format of lines: one of these, the name of a table `[format.NAME]`, or the name of a \
         format that the program registers. Defaults to LOG_FORMAT, else to the format of the \
         sink `main`, else by preset.",
    )
    .only_for(Sinks::Lines),
    Key::new(
        "sink.*.level",
        Text,
        "a level, or directives such as `warn,shop=info`",
        "The levels of the events that the sink gets. Defaults to all levels, for the sink \
         `error_file` to error.",
    ),
    Key::new(
        "sink.*.filters",
        List,
        LIST_OF_NAMES,
        "The filters that are applied to each event of the sink, in this order.",
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
    Key::new(
        "sink.*.color",
        Text,
        LOG_COLOR.def.accepts,
        "Whether `pretty`, `compact` and `short` have colours. Defaults to auto: if the output is a \
         terminal, unless NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE or TERM decides.",
    )
    .only_for(Sinks::Streams),
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
        "Whether a background thread writes the lines. Defaults to true for files and, under the \
         preset prod, for stdout and stderr.",
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
        "What happens to a line while the buffer is full. Defaults to `Builder::when_full`, else \
         to `shed_by_level 100ms`.",
    )
    .only_for(Sinks::Lines),
    Key::new(
        "sink.*.fallback",
        List,
        "the list `[\"stderr\"]`, or an empty list",
        "Where lines go while the file cannot be written. If all sinks are files, they go to \
         stderr even without this key.",
    )
    .only_for(Sinks::Files),
    Key::with_texts_of("sink.*.fields", Text, &LOG_FIELDS.def).only_for(Sinks::Lines),
    Key::with_texts_of("sink.*.max_line", Text, &LOG_MAX_LINE.def).only_for(Sinks::Lines),
    Key::new("sink.*.path", Text, LOG_ERROR_FILE.def.accepts, "The file.").only_for(Sinks::Files),
    Key::with_texts_of("sink.*.rotate", Text, &LOG_FILE_ROTATE.def).only_for(Sinks::Files),
    Key::with_texts_of("sink.*.keep", Text, &LOG_FILE_KEEP.def).only_for(Sinks::Files),
    Key::with_texts_of("sink.*.compress", Text, &LOG_FILE_COMPRESS.def).only_for(Sinks::Files),
    Key::new(
        "sink.*.mode",
        Text,
        "octal digits, such as `0640`",
        "The permissions of new files on Unix. Defaults to 0640.",
    )
    .only_for(Sinks::Files),
    Key::with_texts_of("sink.*.per_process", Bool, &LOG_FILE_PER_PROCESS.def).only_for(Sinks::Files),
    Key::with_texts_of("sink.*.dsn", Text, &SENTRY_DSN.def).only_for(Sinks::Sentry),
    Key::with_texts_of("sink.*.environment", Text, &SENTRY_ENVIRONMENT.def).only_for(Sinks::Sentry),
    Key::with_texts_of("sink.*.release", Text, &SENTRY_RELEASE.def).only_for(Sinks::Sentry),
    Key::with_texts_of("sink.*.event_level", Text, &SENTRY_EVENT_LEVEL.def).only_for(Sinks::Sentry),
    Key::with_texts_of(
        "sink.*.breadcrumb_level",
        Text,
        &SENTRY_BREADCRUMB_LEVEL.def,
    )
    .only_for(Sinks::Sentry),
    Key::with_texts_of("sink.*.sample_rate", Number, &SENTRY_SAMPLE_RATE.def).only_for(Sinks::Sentry),
    Key::with_texts_of(
        "sink.*.traces_sample_rate",
        Number,
        &SENTRY_TRACES_SAMPLE_RATE.def,
    )
    .only_for(Sinks::Sentry),
    Key::with_texts_of("sink.*.grouping", Bool, &SENTRY_GROUPING.def).only_for(Sinks::Sentry),
    Key::with_texts_of("sink.*.enable_logs", Bool, &SENTRY_ENABLE_LOGS.def).only_for(Sinks::Sentry),
    Key::with_texts_of("sink.*.endpoint", Text, &OTEL_EXPORTER_OTLP_ENDPOINT.def).only_for(Sinks::Otlp),
    Key::new(
        "filter",
        NamedTables,
        "tables",
        "Filters. Routes and sinks use them by name.",
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
        "The parent of all routes, and the route of the events that no other route matches.",
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
        LIST_OF_NAMES,
        "The sinks of all events, except those of exclusive routes. Defaults to every sink that no \
         route names.",
    ),
    Key::new(
        "root.filters",
        List,
        LIST_OF_NAMES,
        "The filters of the events that no other route matches.",
    ),
    Key::new(
        "route",
        NamedTables,
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
        LIST_OF_NAMES,
        "The sinks of the route, in addition to the sinks of its parents.",
    ),
    Key::new(
        "route.*.filters",
        List,
        LIST_OF_NAMES,
        "The filters of events of this route.",
    ),
    Key::new(
        "route.*.exclusive",
        Bool,
        SWITCH,
        "Whether the events skip the sinks of the parents. Defaults to false.",
    ),
    Key::new(
        "profile",
        Table,
        "tables",
        "Changes for a preset, in a table with the name of the preset. They override all files.",
    ),
];

/// The keys of a condition, with their accepted values and their meanings.
pub(super) const CONDITIONS: &[(&str, &str, &str)] = &[
    (
        "field",
        "the name of a field of the event, of its spans, or of the context",
        "The field that the other keys test.",
    ),
    ("is", VALUES, "The field has one of these values."),
    (
        "not",
        "a condition; with `field`, a value or a list of values",
        "The condition is not met; with `field`, the field has none of these values.",
    ),
    ("starts", "a text", "The field begins with this text."),
    ("contains", "a text", "The field contains this text."),
    ("above", "a number", "The field is a greater number."),
    ("below", "a number", "The field is a smaller number."),
    (
        "exists",
        SWITCH,
        "Whether the event, one of its spans, or the context has the field.",
    ),
    (
        "target",
        "a target",
        "The target is this module, or inside it.",
    ),
    ("message", "a text", "The message contains this text."),
    (
        "level",
        LEVEL,
        "The event has this level or a more severe one.",
    ),
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

/// Returns the key in an OTLP sink for a variable of OpenTelemetry: `traces_endpoint` for
/// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`.
pub(super) fn otel_key(name: &str) -> Option<String> {
    let without_prefix = name.strip_prefix("OTEL_EXPORTER_OTLP_");
    let without_prefix = without_prefix.or_else(|| name.strip_prefix("OTEL_"))?;
    Some(without_prefix.to_ascii_lowercase())
}

/// Returns the variables of OpenTelemetry that OTLP sinks read. Without the feature `otel`, it
/// returns only the endpoint.
pub(super) fn otel_settings() -> Vec<Setting> {
    #[cfg(feature = "otel")]
    return spanwise_otel::OtelSetting::all()
        .map(|setting| setting.def)
        .collect();
    #[cfg(not(feature = "otel"))]
    vec![OTEL_EXPORTER_OTLP_ENDPOINT.def]
}

/// Returns the path of a setting in a configuration file, or `None` if a file cannot set it.
pub(super) fn path_of(def: &Setting) -> Option<String> {
    match def.key {
        Some(path) => Some(path.to_owned()),
        // This variable is not a key of OTLP sinks, because a file sets `service.name` instead.
        None if def.name == "OTEL_SERVICE_NAME" => None,
        None => otel_key(def.name).map(|key| format!("sink.otlp.{key}")),
    }
}
