//! The variables of the environment: each is defined here, once.

use spanwise_core::{Sensitivity, Setting};
use spanwise_json::Format;

use crate::sinks;

pub(crate) const fn setting(
    name: &'static str,
    default: &'static str,
    accepts: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        name,
        key: None,
        default,
        accepts,
        sensitivity: Sensitivity::Public,
        help,
    }
}

/// What a level of one output is.
const LEVEL: &str = "error, warn, info, debug, trace";

/// What a setting is that is on or off.
pub(crate) const SWITCH: &str = "1, true, yes, on, or 0, false, no, off";

/// Levels, by the name that all of Rust uses.
pub(crate) const RUST_LOG: Setting = setting(
    "RUST_LOG",
    "of the preset",
    "a level (off, error, warn, info, debug, trace, in any case; warning, fatal, critical), or directives such as `info,sqlx=warn,shop::db=trace` or `[request{tenant_id=acme}]=debug`",
    "Which events are logged; without a bare level the preset's remains for the rest.",
);
pub(crate) const LOG_LEVEL: Setting = setting(
    "LOG_LEVEL",
    "of the preset",
    RUST_LOG.accepts,
    "The same as RUST_LOG, where that name is taken; if the two differ RUST_LOG counts, with a warning.",
);
pub(crate) const LOG_SPANS: Setting = setting(
    "LOG_SPANS",
    "info; for a target of which RUST_LOG shows more, that level",
    "a level (off, error, warn, info, debug, trace), or directives such as `info,hyper=off`",
    "Which spans are enabled: their fields, such as `request_id`, are on every line inside them. RUST_LOG decides about events, \
     and disables the spans of a target only if it switches that target `off`.",
);
pub(crate) const LOG_OWN: Setting = setting(
    "LOG_OWN",
    "the crate of `spanwise::init_from_env!()`, else the name of the program's file",
    "names of crates or modules joined by commas, such as `shop,shop_db,warehouse::stock`",
    "Your own targets: under the preset dev they are logged from DEBUG on, the rest from INFO on.",
);
pub(crate) const LOG_PRESET: Setting = setting(
    "LOG_PRESET",
    "by APP_ENV, RUST_ENV or ENVIRONMENT, else dev if stderr is a terminal, else prod",
    "dev, prod, test, cli; development and production",
    "The defaults of everything else.",
);
pub(crate) const LOG_FORMAT: Setting = setting(
    "LOG_FORMAT",
    "of the preset",
    Format::ACCEPTS,
    "What a line looks like.",
);
pub(crate) const LOG_OUTPUT: Setting = setting(
    "LOG_OUTPUT",
    "of the preset",
    "stdout, stderr, none",
    "Where lines go; not to stdout under the preset cli.",
);
pub(crate) const LOG_OUTPUT_LEVEL: Setting = setting(
    "LOG_OUTPUT_LEVEL",
    "whatever is logged",
    LEVEL,
    "The least severe level that LOG_OUTPUT gets; what is logged at all is said by RUST_LOG. Not under the preset test.",
);
pub(crate) const LOG_COLOR: Setting = setting(
    "LOG_COLOR",
    "auto: if the output is a terminal, and NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE and TERM do not say otherwise",
    "auto, always, never",
    "Whether `pretty`, `compact` and `short` have colours in LOG_OUTPUT.",
);
pub(crate) const LOG_TIME: Setting = setting(
    "LOG_TIME",
    "utc; under the presets dev and cli local in lines for people",
    "local, utc",
    "The time zone of the times in lines; in JSON, local times have their offset.",
);
pub(crate) const LOG_PANIC_BACKTRACE: Setting = setting(
    "LOG_PANIC_BACKTRACE",
    "short; under the preset cli off, unless RUST_BACKTRACE is set",
    "short, full, off",
    "How much of its backtrace the event of a panic has: with `short`, frames of std, tokio, hyper, axum and tower are counted instead.",
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
    LEVEL,
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
pub(crate) const LOG_FILE_PER_PROCESS: Setting = setting(
    "LOG_FILE_PER_PROCESS",
    "0",
    SWITCH,
    "Whether a further process that logs to the same path has files of its own, with a number in their names: `shop.2.log`.",
);
pub(crate) const LOG_REDACT: Setting = setting(
    "LOG_REDACT",
    "on: secrets, and but for the preset dev what tells of a person",
    "on, off, or keys and kinds of secret to hide and to show, such as `+employee_no,-session,+items[*].card,-ipv4`",
    "What is hidden in every output.",
);
pub(crate) const LOG_REDACT_KEY_FILE: Setting = Setting {
    // A key is put here by mistake.
    sensitivity: Sensitivity::Secret,
    ..setting(
        "LOG_REDACT_KEY_FILE",
        "none",
        "the path of a file with 16 bytes at least, such as `openssl rand -hex 32` makes; in programs built with the feature `pseudonyms`",
        "The key of pseudonyms: what tells of a person is shown as `k1:…`, equal values alike, under every preset.",
    )
};
pub(crate) const LOG_SAMPLE: Setting = setting(
    "LOG_SAMPLE",
    "none",
    "what is kept of a level or a target, joined by commas: a share, a rate, or the first of each while, such as `info=0.1,sqlx=5/s,shop::cache=first:10/100`",
    "What is left out of the outputs, with a count of it; WARN and ERROR only if they are named. Not under the preset test.",
);
pub(crate) const LOG_RECORDER: Setting = setting(
    "LOG_RECORDER",
    "off",
    "off, or a level or directives such as `debug` or `debug,hyper=info`, and with them `slow=1s`, `tail=0.01` and `lines=10000/s`",
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
    "network; under the preset dev full",
    "full, network, none; in programs built with the feature `http`",
    "How much is told of where a client is: its whole address, the /24 or /48 it is in, or nothing. Where personal data is hidden, the whole address is too.",
);
pub(crate) const LOG_CONTEXT: Setting = setting(
    "LOG_CONTEXT",
    "request_id, tenant_id, user_id, trace_id, span_id",
    "field names joined by commas, such as `order_id,job_id`",
    "More span fields that `Context` has, and that `context::set` may set; JSON lines show every span field in any case.",
);
pub(crate) const LOG_STATIC_FIELDS: Setting = setting(
    "LOG_STATIC_FIELDS",
    "none",
    "names and values joined by commas, such as `region=eu,cluster=blue`",
    "Constant fields of every line of JSON, and tags of every event in Sentry; what the policy hides is hidden in them, too.",
);
pub(crate) const LOG_STRICT: Setting = setting(
    "LOG_STRICT",
    "0",
    SWITCH,
    "Whether a warning about the name of a variable stops the start, as a wrong value does.",
);
pub(crate) const SERVICE_NAME: Setting = setting(
    "SERVICE_NAME",
    "OTEL_SERVICE_NAME, else the package of `spanwise::init_from_env!()`, else the name of the program's file",
    "text",
    "The name of the service, in each line of `json`.",
);
pub(crate) const SERVICE_VERSION: Setting = setting(
    "SERVICE_VERSION",
    "that of the package of `spanwise::init_from_env!()`, else none",
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
    "none",
    "production, prod, staging, test (preset prod); development, dev, local (preset dev); any other value chooses no preset",
    "The environment of the service, in each line of `json` if it is set; chooses the preset where LOG_PRESET does not.",
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
    "If set, no colours, unless LOG_COLOR says otherwise.",
);
pub(crate) const FORCE_COLOR: Setting = setting(
    "FORCE_COLOR",
    "none",
    "any text",
    "If set, to something else than 0 or false, colours also where there is no terminal, unless LOG_COLOR or NO_COLOR says otherwise.",
);
pub(crate) const CLICOLOR_FORCE: Setting = setting(
    "CLICOLOR_FORCE",
    "none",
    "any text",
    "The same as FORCE_COLOR.",
);
pub(crate) const TERM: Setting = setting(
    "TERM",
    "none",
    "any text",
    "If it is `dumb`, no colours, unless one of those before says otherwise.",
);

/// Every variable that is read, in the order of the documentation.
pub const SETTINGS: &[Setting] = &[
    RUST_LOG,
    LOG_LEVEL,
    LOG_SPANS,
    LOG_OWN,
    LOG_PRESET,
    LOG_FORMAT,
    LOG_OUTPUT,
    LOG_OUTPUT_LEVEL,
    LOG_COLOR,
    LOG_TIME,
    LOG_PANIC_BACKTRACE,
    LOG_FILE,
    LOG_FILE_LEVEL,
    LOG_ERROR_FILE,
    LOG_FILE_ROTATE,
    LOG_FILE_KEEP,
    LOG_FILE_COMPRESS,
    LOG_FILE_PER_PROCESS,
    LOG_REDACT,
    LOG_REDACT_KEY_FILE,
    LOG_SAMPLE,
    LOG_RECORDER,
    LOG_HTTP_TRUST,
    LOG_HTTP_CLIENT_ADDRESS,
    LOG_CONTEXT,
    LOG_STATIC_FIELDS,
    LOG_STRICT,
    SERVICE_NAME,
    SERVICE_VERSION,
    OTEL_SERVICE_NAME,
    APP_ENV,
    RUST_ENV,
    ENVIRONMENT,
    NO_COLOR,
    FORCE_COLOR,
    CLICOLOR_FORCE,
    TERM,
    sinks::SENTRY_DSN,
    sinks::SENTRY_ENVIRONMENT,
    sinks::SENTRY_RELEASE,
    sinks::SENTRY_EVENT_LEVEL,
    sinks::SENTRY_BREADCRUMB_LEVEL,
    sinks::SENTRY_SAMPLE_RATE,
    sinks::SENTRY_TRACES_SAMPLE_RATE,
    sinks::SENTRY_GROUPING,
    sinks::SENTRY_ENABLE_LOGS,
];

/// The prefix of the variables that are ours alone.
pub const PREFIX: &str = "LOG";

/// The name of `setting` under `prefix`.
pub(crate) fn name_of(setting: &Setting, prefix: &str) -> String {
    match setting.name.strip_prefix(PREFIX) {
        Some(rest) => format!("{prefix}{rest}"),
        None => setting.name.to_owned(),
    }
}
