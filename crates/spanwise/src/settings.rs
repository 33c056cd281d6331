//! The settings, one row each.
//!
//! A [`SettingRow`] has the definition that the documentation shows, the parser, and the default.
//! [`Choices`](crate::choices::Choices) chooses the effective value.

use std::path::PathBuf;

use spanwise_appender::{ByteSize, Compression, Retention, Rotation};
use spanwise_core::{Levels, Sensitivity, Setting, TargetLevels};
use spanwise_json::{FieldList, Format};
use spanwise_recorder::Recorder;
use spanwise_redact::PolicyOverrides;
use spanwise_sample::Sampler;
use tracing::level_filters::LevelFilter;

use crate::{
    Color, Output, PanicBacktrace, Preset, TimeZone,
    format_choice::FormatChoice,
    parent_source::ParentSource,
    parse,
    pseudonym_key::PseudonymKeyFile,
    setting_row::{DefaultValue, ErrorStyle, Feature, InTests, SettingRow, settings},
    static_fields::StaticFields,
};

use DefaultValue::{ByPreset, Text, Unset, Value};

/// Imports the types that optional parts define. If a part is not built in,
/// [`NotBuilt`](crate::not_built::NotBuilt) replaces its types.
macro_rules! optional_types {
    ($($feature:literal: $part:ident::$type:ident;)*) => {$(
        #[cfg(feature = $feature)]
        use $part::$type;
        #[cfg(not(feature = $feature))]
        type $type = crate::not_built::NotBuilt;
    )*};
}

optional_types! {
    "http": spanwise_http::ClientAddress;
    "http": spanwise_http::Trust;
    "sentry": spanwise_sentry::Dsn;
}

/// The values that the level of an output accepts.
const OUTPUT_LEVELS: &str = "error, warn, info, debug, trace";

/// The values that a switch accepts.
const SWITCH: &str = "1, true, yes, on, or 0, false, no, off";

/// The values that the environment of the service accepts.
const ENVIRONMENTS: &str = "production, prod, staging, test (preset prod); development, dev, local \
                            (preset dev); any other value chooses no preset";

/// The values that the levels of events accept.
const EVENT_LEVELS: &str = "a level (off, error, warn, info, debug, trace, in any case; warning, \
                            fatal, critical), or directives such as \
                            `info,sqlx=warn,shop::db=trace` or `[request{tenant_id=acme}]=debug`";

settings! {
    RUST_LOG: Levels = {
        key: "levels",
        default: "by preset",
        accepts: EVENT_LEVELS,
        help: "The levels of events. If there is no default level such as `info`, the preset's level applies to all other targets.",
        parse: parse::levels,
    };
    LOG_LEVEL: Levels = {
        default: "by preset",
        accepts: EVENT_LEVELS,
        help: "The same as RUST_LOG, for platforms that use that name. If the two differ, RUST_LOG wins, with a warning.",
        parse: parse::levels,
    };
    LOG_SPANS: TargetLevels = {
        key: "spans",
        default: "info; for a target of which RUST_LOG shows more, that level",
        accepts: "a level (off, error, warn, info, debug, trace), or directives such as `info,hyper=off`",
        help: "The levels of spans: the fields of an enabled span, such as `request_id`, are on every line inside it. RUST_LOG decides about events, and disables the spans of a target only if it switches that target `off`.",
        parse: parse::span_levels,
    }.or(Text("info at least"));
    LOG_OWN: Vec<String> = {
        key: "own",
        default: "the crate of `spanwise::init_from_env!()`, else the name of the executable",
        accepts: "names of crates or modules joined by commas, such as `shop,shop_db,warehouse::stock`",
        help: "Your own targets: the preset dev logs DEBUG for them, and INFO for the rest.",
        parse: parse::own_targets,
        show: |targets| targets.join(", "),
    };
    LOG_PRESET: Preset = {
        key: "preset",
        default: "by APP_ENV, RUST_ENV or ENVIRONMENT, else dev if stderr is a terminal, else prod",
        accepts: "dev, prod, test, cli; development and production",
        help: "The defaults of all other settings.",
        parse: parse::named,
    };
    LOG_FORMAT: FormatChoice = {
        key: "sink.main.format",
        default: "by preset",
        accepts: Format::ACCEPTS,
        help: "The format of lines: one of these, the name of one that the program registers, or a template such as `text:{level} {time} {message} {fields}`.",
        parse: parse::format,
        show: |format| format.name().to_owned(),
    };
    LOG_FIELDS: FieldList = {
        key: "sink.main.fields",
        default: "none",
        accepts: FieldList::ACCEPTS,
        help: "What lines show, omit, rename and add, and the precision of timestamps. Several names of `only` are separated by bars. Formats for people accept only `+` and `-` words.",
        parse: parse::from_str,
    }.without_value_in_errors();
    LOG_MAX_LINE: ByteSize = {
        key: "sink.main.max_line",
        default: "256KiB",
        accepts: "a size from `256B` to `1GiB`",
        help: "The length up to which a line keeps all of its fields. A longer line of JSON, `logfmt` or `otlp` loses fields: first each field that is longer than the limit, then those of the outermost span. The message and the parts of the line itself stay, so a line with a long message is longer. In the formats gcp, datadog and emf, the length is at most what their receivers accept. Formats for people ignore it.",
        parse: parse::max_line,
    };
    LOG_OUTPUT: Output = {
        key: "sink.main.kind",
        default: "by preset",
        accepts: "stdout, stderr, none",
        help: "Where lines go. The preset cli ignores stdout.",
        parse: parse::named,
    };
    LOG_OUTPUT_LEVEL: LevelFilter = {
        default: "all that RUST_LOG enables",
        accepts: OUTPUT_LEVELS,
        help: "The least severe level that is written to LOG_OUTPUT. RUST_LOG decides which events are enabled. The preset test ignores it.",
        parse: parse::level,
    }.ignored_in_tests();
    LOG_COLOR: Color = {
        key: "sink.main.color",
        default: "auto: if the output is a terminal, unless NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE or TERM decides",
        accepts: "auto, always, never",
        help: "Whether `pretty`, `compact` and `short` have colours in LOG_OUTPUT.",
        parse: parse::named,
    }.shared();
    LOG_TIME: TimeZone = {
        key: "time",
        default: "utc; under the presets dev and cli local in `pretty`, `compact` and `short`",
        accepts: "local, utc",
        help: "The time zone of timestamps. Local times in JSON have their offset.",
        parse: parse::time_zone,
    }.shared();
    LOG_PANIC_BACKTRACE: PanicBacktrace = {
        key: "panic.backtrace",
        default: "short; full in `pretty`, `compact` and `short` if RUST_BACKTRACE is full; under the preset cli off, unless RUST_BACKTRACE is set",
        accepts: "short, full, off",
        help: "The length of the backtrace in the event of a panic. With `short`, the frames of std, tokio, hyper, axum and tower are only counted. In lines for people, all frames outside LOG_OWN are only counted.",
        parse: parse::named,
    };
    LOG_FILE: PathBuf = {
        key: "sink.file.path",
        default: "none",
        accepts: "a path, such as `/var/log/shop/shop.log`; nothing in it is expanded",
        help: "A file to which lines are also written, in the same format without colours. The preset test ignores it.",
        parse: parse::any,
        show: |path| path.display().to_string(),
    }.or(Unset("none")).ignored_in_tests();
    LOG_FILE_LEVEL: LevelFilter = {
        default: "all that RUST_LOG enables",
        accepts: OUTPUT_LEVELS,
        help: "The least severe level that is written to LOG_FILE. RUST_LOG decides which events are enabled.",
        parse: parse::level,
    }.ignored_in_tests();
    LOG_ERROR_FILE: PathBuf = {
        key: "sink.error_file.path",
        default: "none",
        accepts: "a path, such as `/var/log/shop/shop.error.log`",
        help: "A file to which lines at ERROR are also written. The preset test ignores it.",
        parse: parse::any,
        show: |path| path.display().to_string(),
    }.or(Unset("none")).ignored_in_tests();
    LOG_FILE_ROTATE: Rotation = {
        key: "sink.file.rotate",
        default: "daily,100MiB",
        accepts: "a size such as `100MiB`, one of `minutely`, `hourly`, `daily`, `weekly`, `start`, and `local` for local time, joined by commas; or `never`",
        help: "When a new file starts. The first condition that is met counts.",
        parse: parse::from_str,
    }.or(Value(Rotation::default)).ignored_in_tests();
    LOG_FILE_KEEP: Retention = {
        key: "sink.file.keep",
        default: "14 files",
        accepts: "a number such as `14 files`, an age such as `30d`, a total size such as `10GiB`, and the least free space of the disk such as `free=5GiB`, joined by commas; or `all`",
        help: "The limits for rolled files. While any limit is exceeded, the oldest file is deleted.",
        parse: parse::from_str,
    }.or(Value(Retention::default)).ignored_in_tests();
    LOG_FILE_COMPRESS: Compression = {
        key: "sink.file.compress",
        default: "gzip, or none in a program built without the feature `gzip`",
        accepts: "none, gzip, zstd: the last two in programs built with the feature of that name",
        help: "How rolled files are compressed.",
        parse: parse::from_str,
    }.or(Value(default_compression)).ignored_in_tests();
    LOG_FILE_PER_PROCESS: bool = {
        key: "sink.file.per_process",
        default: "0",
        accepts: SWITCH,
        help: "Whether several processes may log to the same path. Each further process writes its own files, with a number in their names: `shop.2.log`.",
        parse: parse::switch,
        show: |is_on| if *is_on { "1" } else { "0" }.to_owned(),
    }.ignored_in_tests();
    LOG_REDACT: PolicyOverrides = {
        key: "redact.change",
        default: "on: secrets, and under the presets prod and test PII",
        accepts: "on, off, or keys and kinds of secret to hide and to show, such as `+employee_no,-session,+items[*].card,-ipv4`",
        help: "The values that every output hides.",
        parse: parse::from_str,
    };
    LOG_REDACT_KEY_FILE: PseudonymKeyFile = {
        key: "redact.key_file",
        default: "none",
        accepts: "the path of a file with at least 16 bytes, such as `openssl rand -hex 32` makes; in programs built with the feature `pseudonyms`",
        help: "The key of pseudonyms. With it, every preset shows PII as `k1:…`. Equal values have the same pseudonym.",
        parse: PseudonymKeyFile::parse,
        show: |key| key.path.clone(),
    }.secret().needs("pseudonyms", "pseudonyms", cfg!(feature = "pseudonyms"));
    LOG_SAMPLE: Option<Sampler> = {
        key: "sample.rules",
        default: "none",
        accepts: "how much of a level or a target is kept, joined by commas: a ratio, a rate, or the first of each period, such as `info=0.1,sqlx=5/s,shop::cache=first:10/100`",
        help: "Drops events before the outputs, and counts the dropped events. WARN and ERROR are dropped only if they are named. The preset test ignores it.",
        parse: parse::sampler,
        show: |sampler| sampler.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string),
    }.or(Unset("none")).ignored_in_tests();
    LOG_RECORDER: Option<Recorder> = {
        key: "recorder",
        default: "off",
        accepts: "off, or a level or directives such as `debug` or `debug,hyper=info`, and with them `slow=1s`, `tail=0.01` and `lines=10000/s`",
        help: "The flight recorder: buffers events of these levels per request, those at DEBUG if there is no level, and writes them if the request fails, or is slower than `slow`. With `tail`, INFO is buffered too and written for that ratio of other requests. The preset test ignores it.",
        parse: parse::recorder,
        show: |recorder| recorder.as_ref().map_or_else(|| "off".to_owned(), ToString::to_string),
    }.or(Unset("off")).ignored_in_tests();
    LOG_HTTP_TRUST: Trust = {
        key: "http.trust",
        default: "never",
        accepts: "never, always, or addresses and networks joined by commas, such as `10.0.0.0/8,127.0.0.1`; in programs built with the feature `http`",
        help: "The callers whose request ids, trace ids and tenant ids are adopted, and whose `X-Forwarded-For` is trusted.",
        parse: parse::from_str,
    }.or(Value(Trust::default)).needs("http", "HTTP", cfg!(feature = "http"));
    LOG_HTTP_CLIENT_ADDRESS: ClientAddress = {
        key: "http.client_address",
        default: "network; under the preset dev full",
        accepts: "full, network, none; in programs built with the feature `http`",
        help: "The part of a client's address that is logged: the full address, its /24 or /48 network, or nothing. Where PII is hidden, the full address is hidden too.",
        parse: parse::from_str,
    }.or(ByPreset(Preset::client_address)).needs("http", "HTTP", cfg!(feature = "http"));
    LOG_CONTEXT: Vec<String> = {
        key: "context",
        default: "request_id, tenant_id, user_id, trace_id, span_id",
        accepts: "field names joined by commas, such as `order_id,job_id`",
        help: "Additional context keys: span fields that `Context` contains and that `context::set` may set. JSON lines show every span field in any case.",
        parse: parse::field_names,
        show: |keys| keys.join(", "),
    };
    LOG_PARENT: ParentSource = {
        key: "parent",
        default: "none",
        accepts: "env, none",
        help: "The parent of this process's units of work. With `env`, it is read from TRACEPARENT, TRACESTATE and BAGGAGE, which the parent process sets. For jobs and command-line tools. The preset test ignores it.",
        parse: parse::named,
    }.ignored_in_tests();
    LOG_STATIC_FIELDS: StaticFields = {
        key: "static_fields",
        default: "none",
        accepts: "names and values joined by commas, such as `region=eu,cluster=blue`",
        help: "Constant fields of every JSON line, tags of every event in Sentry, and attributes of the resource in OpenTelemetry. The policy redacts them too.",
        parse: StaticFields::parse,
    }.without_value_in_errors();
    LOG_CONFIG: String = {
        default: "none",
        accepts: "the path of a TOML file, or several joined by commas, each of which overrides the earlier ones; in programs built with the feature `config`",
        help: "The configuration file. Variables override it.",
        parse: parse::any,
    }.needs("config", "the configuration file", cfg!(feature = "config"));
    LOG_STRICT: bool = {
        key: "strict",
        default: "0",
        accepts: SWITCH,
        help: "Whether the warnings of the start, such as those about names of variables, are errors, like invalid values.",
        parse: parse::switch,
        show: |is_on| if *is_on { "1" } else { "0" }.to_owned(),
    };
    SERVICE_NAME: String = {
        key: "service.name",
        default: "OTEL_SERVICE_NAME, else the package of `spanwise::init_from_env!()`, else the name of the executable",
        accepts: "text",
        help: "The name of the service, on each line of `json`.",
        parse: parse::any,
    }.aliases(&[OTEL_SERVICE_NAME.def]);
    SERVICE_VERSION: String = {
        key: "service.version",
        default: "that of the package of `spanwise::init_from_env!()`, else none",
        accepts: "text",
        help: "The version of the service, on each line of `json`.",
        parse: parse::any,
    };
    SERVICE_NODE: String = {
        key: "service.node",
        default: "none",
        accepts: "text",
        help: "The name of this instance of the service, such as that of the pod, on each line of `json`.",
        parse: parse::any,
    };
    OTEL_SERVICE_NAME: String = {
        default: "none",
        accepts: "text",
        help: "The name of the service, if SERVICE_NAME is not set.",
        parse: parse::any,
    };
    OTEL_EXPORTER_OTLP_ENDPOINT: String = {
        key: "sink.otlp.endpoint",
        default: "none",
        accepts: "the address of an OpenTelemetry Collector, such as `http://collector:4318`; in programs built with the feature `otel`",
        help: "Where traces, logs and metrics go. With it, the other variables of OpenTelemetry are read. The preset test ignores it.",
        parse: parse::any,
        show: |endpoint| crate::conceal::url(endpoint),
    }.or(Unset("none")).ignored_in_tests().needs("otel", "OpenTelemetry", cfg!(feature = "otel"));
    APP_ENV: String = {
        key: "service.environment",
        default: "none",
        accepts: ENVIRONMENTS,
        help: "The environment of the service, on each line of `json` if it is set; chooses the preset if LOG_PRESET does not.",
        parse: parse::any,
    }.aliases(&[RUST_ENV.def, ENVIRONMENT.def]).or(Unset("none"));
    RUST_ENV: String = {
        default: "none",
        accepts: ENVIRONMENTS,
        help: "The same as APP_ENV, which has priority.",
        parse: parse::any,
    };
    ENVIRONMENT: String = {
        default: "none",
        accepts: ENVIRONMENTS,
        help: "The same as APP_ENV and RUST_ENV, which have priority.",
        parse: parse::any,
    };
    TRACEPARENT: String = {
        default: "none",
        accepts: "a W3C `traceparent`, such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        help: "The span of the process that started this one, if LOG_PARENT=env is set. An invalid one is a warning.",
        parse: parse::any,
    };
    TRACESTATE: String = {
        default: "none",
        accepts: "a W3C `tracestate`",
        help: "What tracing systems pass on with TRACEPARENT.",
        parse: parse::any,
    };
    BAGGAGE: String = {
        default: "none",
        accepts: "a W3C `baggage`",
        help: "The baggage of the process that started this one, if LOG_PARENT=env is set. Calls send the keys that the client layer declares.",
        parse: parse::any,
    }.secret();
    NO_COLOR: String = {
        default: "none",
        accepts: "any text",
        help: "If set, no colours, unless LOG_COLOR decides.",
        parse: parse::any,
    };
    FORCE_COLOR: String = {
        default: "none",
        accepts: "any text",
        help: "If set, and not to 0 or false, colours also without a terminal, unless LOG_COLOR or NO_COLOR decides.",
        parse: parse::any,
    };
    CLICOLOR_FORCE: String = {
        default: "none",
        accepts: "any text",
        help: "The same as FORCE_COLOR.",
        parse: parse::any,
    };
    TERM: String = {
        default: "none",
        accepts: "any text",
        help: "If it is `dumb`, no colours, unless one of the variables above decides.",
        parse: parse::any,
    };
    GOOGLE_CLOUD_PROJECT: String = {
        default: "none",
        accepts: "the id of a project",
        help: "The project whose traces the lines of LOG_FORMAT=gcp refer to. Without it, trace ids are fields.",
        parse: parse::any,
    };
    SENTRY_DSN: Dsn = {
        key: "sink.sentry.dsn",
        default: "none",
        accepts: "the DSN of a project, `https://<key>@<host>/<number>`; in programs built with the feature `sentry`",
        help: "The project in Sentry to which errors are sent. The preset test ignores it.",
        parse: parse::from_str,
        show: |dsn| format!("{dsn:?}"),
    }.secret().ignored_in_tests().needs("sentry", "Sentry", cfg!(feature = "sentry"));
    SENTRY_ENVIRONMENT: String = {
        key: "sink.sentry.environment",
        default: "that of the service, APP_ENV, else none, which Sentry takes for `production`",
        accepts: "text",
        help: "The environment that Sentry shows.",
        parse: parse::sentry_environment,
    };
    SENTRY_RELEASE: String = {
        key: "sink.sentry.release",
        default: "SERVICE_NAME@SERVICE_VERSION, none without a version",
        accepts: "text",
        help: "The release that Sentry shows.",
        parse: parse::sentry_release,
    };
    SENTRY_EVENT_LEVEL: TargetLevels = {
        key: "sink.sentry.event_level",
        default: "error",
        accepts: "a level, or directives such as `error,shop::probe=off`",
        help: "The events that are sent to Sentry as errors. RUST_LOG decides which events are enabled.",
        parse: parse::from_str,
    }.or(Text("error"));
    SENTRY_BREADCRUMB_LEVEL: TargetLevels = {
        key: "sink.sentry.breadcrumb_level",
        default: "info",
        accepts: "a level, or directives such as `info,sqlx=off`",
        help: "The events of a request that are sent with its errors, as breadcrumbs.",
        parse: parse::from_str,
    }.or(Text("info"));
    SENTRY_SAMPLE_RATE: f64 = {
        key: "sink.sentry.sample_rate",
        default: "1",
        accepts: "a number from 0 to 1",
        help: "The ratio of errors that are sent.",
        parse: parse::ratio,
    }.or(Text("1"));
    SENTRY_TRACES_SAMPLE_RATE: f64 = {
        key: "sink.sentry.traces_sample_rate",
        default: "0",
        accepts: "a number from 0 to 1",
        help: "The ratio of requests that are sent as transactions. The trace id decides, as for LOG_SAMPLE.",
        parse: parse::ratio,
    }.or(Text("0"));
    SENTRY_GROUPING: bool = {
        key: "sink.sentry.grouping",
        default: "on",
        accepts: SWITCH,
        help: "Whether errors that differ only in numbers, ids, addresses and paths form one issue. If off, Sentry groups them by its own rules.",
        parse: parse::switch,
        show: |is_on| if *is_on { "on" } else { "off" }.to_owned(),
    }.or(Text("on"));
    SENTRY_ENABLE_LOGS: bool = {
        key: "sink.sentry.enable_logs",
        default: "false",
        accepts: SWITCH,
        help: "Whether events at INFO and more severe levels are sent as logs, too.",
        parse: parse::switch,
    }.or(Text("false"));
}

/// The prefix of the variables that only `spanwise` reads.
pub const PREFIX: &str = "LOG";

/// Returns the name of the variable of `setting`, with `prefix` in place of [`PREFIX`].
pub(crate) fn name_of(setting: &Setting, prefix: &str) -> String {
    match setting.name.strip_prefix(PREFIX) {
        Some(suffix) => format!("{prefix}{suffix}"),
        None => setting.name.to_owned(),
    }
}

/// Returns the compression of rolled files if none is set.
pub(crate) fn default_compression() -> Compression {
    if cfg!(feature = "gzip") {
        Compression::Gzip
    } else {
        Compression::None
    }
}
