//! Production logging for services that use `tracing`, with one line of code.
//!
//! ```no_run
//! fn main() -> Result<(), spanwise::InitError> {
//!     let _telemetry = spanwise::init_from_env!()?;
//!     tracing::info!(order.id = 42, "order created");
//!     Ok(())
//! }
//! ```
//!
//! In production this prints one line on stdout, which is wrapped here:
//!
//! ```json
//! {"timestamp":"2026-11-20T08:46:12.123456Z","level":"INFO","target":"shop","message":"order created","order.id":42,
//!  "service":{"name":"shop","version":"1.4.0"}}
//! ```
//!
//! On a terminal, it prints this on stderr, in colour:
//!
//! ```text
//! 08:46:12.123  INFO shop                 order created order.id=42
//! ```
//!
//! `docs/console.md` in the repository describes these lines.
//!
//! # What `init_from_env!` does
//!
//! * It chooses a [`Preset`] and reads the [settings](SETTINGS). If a value is invalid, it returns
//!   an [`InitError`] that lists every invalid value. It warns of an unknown variable whose name
//!   resembles a setting. [`Builder::strict`] turns these warnings into errors.
//! * It installs a global subscriber with the levels of `RUST_LOG`, the
//!   [`Context`](context::Context) of requests, and the layers that write lines.
//! * It writes files in the background, and with [`Preset::Prod`] also stdout. So a stalled reader
//!   or a full disk does not stop your program. Lost lines are counted and reported.
//! * It turns records of the `log` crate into events, with their key-values as fields. A key that
//!   the event already has is prefixed with `kv.`, so `message` becomes `kv.message`. An error in a
//!   key-value shows its message, but not its causes.
//! * It logs panics with their location and a short backtrace, even if `RUST_BACKTRACE` is not set.
//!   [`Builder::panic_backtrace`] describes the exceptions. With [`Preset::Prod`] and
//!   [`Preset::Cli`], std prints a panic only if no output accepted its event. The same applies to
//!   [`Preset::Dev`] if lines go to stderr. A panic hook that you set before still runs, after the
//!   hook of `spanwise`.
//! * It returns a [`Telemetry`] guard. Keep it in `main`. Its [`Handle`] reads and changes the
//!   levels at run time.
//!
//! # The request and the tenant on every line
//!
//! Open a span for each request and put the ids into its fields. Every line inside the span has
//! these ids, including the lines of tasks that run in the span.
//!
//! ```
//! # use tracing_subscriber::prelude::*;
//! # let _default = tracing_subscriber::registry().with(spanwise::context::ContextLayer::default()).set_default();
//! use tracing::Instrument;
//!
//! let request = tracing::info_span!("http.request", request_id = "r-1", tenant_id = "acme");
//! let handler = async {
//!     tracing::info!("on the line: request_id, tenant_id");
//!     assert_eq!(spanwise::context::Context::current().get("tenant_id"), Some("acme"));
//! }
//! .instrument(request);
//! # let mut handler = std::pin::pin!(handler);
//! # let _ = handler.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
//! # use std::future::Future;
//! ```
//!
//! To add an id later, such as the user, call `spanwise::context::set("user_id", &user.id)`
//! anywhere inside the span. See [`context`].
//!
//! New tasks and threads do not inherit the span. `spanwise::task::spawn(work)` (feature `tokio`)
//! passes the span to a task, like `tokio::spawn(work.in_current_span())`.
//! `thread::spawn(task::in_current(work))` passes it to a thread. See [`task`]. For work that does
//! not belong to a request, use [`unit_span!`].
//!
//! # Errors
//!
//! `error = err(&e)` logs an error with its type, its message and its causes. [`err`] accepts your
//! own error types, a `Box<dyn Error + Send + Sync>`, an `anyhow::Error` and an `eyre::Report`.
//! `%e` and `#[instrument(err)]` log only the message.
//!
//! ```
//! use spanwise::err;
//!
//! fn pay() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!     Err("declined".into())
//! }
//! if let Err(e) = pay() {
//!     tracing::error!(error = err(&e), "payment failed");
//!     // {…,"message":"payment failed","error":{"message":"declined","chain":[]},…}
//! }
//! ```
//!
//! # In code
//!
//! [`Builder`] has setters for most settings of the environment. Code overrides the environment,
//! and the environment overrides a configuration file and the preset.
//!
//! ```
//! use spanwise::{Builder, Format, Preset};
//!
//! let builder = Builder::from_vars([("RUST_LOG", "warn,shop=debug")])?
//!     .preset(Preset::Prod)
//!     .format(Format::Compact)
//!     .service("shop", "1.4.0");
//! assert!(builder.explain().to_string().contains("RUST_LOG = warn,shop=debug (RUST_LOG)"));
//! # Ok::<(), spanwise::InitError>(())
//! ```
//!
//! A setter also accepts the text of the variable: `.levels("warn,shop=debug")`. The error of
//! [`Builder::init`] lists every invalid text.
//!
//! # In a file
//!
//! With the feature `config`, `LOG_CONFIG=log.toml` or [`Builder::from_file`] reads a configuration
//! file with several sinks, routes to them and filters. `docs/config-file.md` in the repository
//! describes it.
//!
//! # Files
//!
//! `LOG_FILE=/var/log/shop/shop.log`, or [`Builder::file`] in code, also writes lines to this file.
//! The file rolls daily and at 100 MiB, and the newest 14 rolled files are kept. `LOG_ERROR_FILE`
//! is a second file for lines at ERROR.
//!
//! ```
//! let directory = tempfile::tempdir()?;
//! let telemetry = spanwise::Builder::new(spanwise::Preset::Prod)
//!     .output(spanwise::Output::None)
//!     .file(directory.path().join("shop.log"))
//!     .file_rotation("hourly,100MiB,local")
//!     .file_retention("30d,10GiB")
//!     .init()?;
//! tracing::info!("order created");
//! let report = telemetry.shutdown(std::time::Duration::from_secs(5));
//! assert_eq!((report.delivered, report.lost), (1, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `docs/operations.md` in the repository describes faults, logrotate, containers and signals.
//!
//! # Secrets
//!
//! Every output hides passwords, tokens, keys and card numbers. With [`Preset::Prod`] and
//! [`Preset::Test`] it also hides PII. Secrets are recognized by their key at any depth, by their
//! format, and by their type.
//!
//! ```
//! use spanwise::redact::{Action, Classified};
//!
//! # #[derive(Clone, Default)]
//! # struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
//! # impl std::io::Write for Lines {
//! #     fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> { self.0.lock().unwrap().write(bytes) }
//! #     fn flush(&mut self) -> std::io::Result<()> { Ok(()) }
//! # }
//! # let lines = Lines::default();
//! # let writer = lines.clone();
//! let _telemetry = spanwise::Builder::new(spanwise::Preset::Prod)
//! #   .with_writer(move || writer.clone())
//!     .redact_with(|policy| policy.hide_with("iban", Action::KeepLast(4)))
//!     .init()?;
//! let pin = Classified::new("1234");
//! tracing::info!(password = "hunter2", iban = "DE02120300000000202051", code = %pin, "paid with 4111 1111 1111 1111");
//! // {…,"message":"paid with [REDACTED]","password":"[REDACTED]","iban":"***2051","code":"[REDACTED]","redacted":["message",…],…}
//! # let text = String::from_utf8(lines.0.lock().unwrap().clone())?;
//! # assert!(text.contains(r#""message":"paid with [REDACTED]","password":"[REDACTED]","iban":"***2051","code":"[REDACTED]""#), "{text}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `docs/redaction.md` in the repository describes the rules, their limits, and how to add rules.
//!
//! # Sampling and the flight recorder
//!
//! `LOG_SAMPLE=info=0.1,sqlx=5/s` keeps 10 % of the INFO events, and from each callsite in `sqlx`
//! at most five events per second. Dropped events are counted. `LOG_RECORDER=debug` buffers the
//! DEBUG events of each request. If the request fails, these events are written before the error.
//!
//! ```
//! use spanwise::{Builder, Preset, record::Recorder};
//!
//! let builder = Builder::new(Preset::Prod)
//!     .recorder(Recorder::default())
//!     .sampler("cache=first:10/100");
//! assert!(builder.explain().to_string().contains("LOG_RECORDER = debug (code)"));
//! ```
//!
//! See `docs/sampling.md` in the repository.
//!
//! # Requests
//!
//! With the feature `axum` (or `http` for `tonic` and `hyper`), `Telemetry::http_server` returns a
//! layer for the server. Each request has a span with its id and its tenant, and one access event
//! when it ends, fails or is dropped. `spanwise::http::fail` adds an error to the access event.
//! `Telemetry::http_client` propagates the ids. See `docs/http.md` in the repository.
//!
//! # The error that ends the program
//!
//! [`run`] holds the guard until your `main` has returned, logs the error that `main` returns, and
//! keeps the exit code of `main`. `docs/programs.md` in the repository describes command-line
//! tools, batch jobs and libraries.
//!
//! # Features
//!
//! | feature | |
//! | --- | --- |
//! | `config` | a configuration file with sinks, routes and filters: `LOG_CONFIG` |
//! | `gzip` (default), `zstd` | compression of rolled files: `LOG_FILE_COMPRESS` |
//! | `pseudonyms` | pseudonyms for PII: `LOG_REDACT_KEY_FILE` |
//! | `secrecy` | `Classified<SecretString>` of the crate `secrecy` has `expose_secret` |
//! | `http` | `spanwise::http`: the span and the access event of a request, propagation of ids; `Telemetry::http_server` |
//! | `axum` | `http`, with the route and the peer address from axum |
//! | `reqwest` | `http`, with a middleware for `reqwest-middleware` |
//! | `otel`, `otel-grpc` | traces, logs and metrics over OTLP: `OTEL_EXPORTER_OTLP_ENDPOINT` |
//! | `sentry` | errors in Sentry: `SENTRY_DSN` |
//! | `sighup` | `config`, with `reload = "sighup"`: SIGHUP applies the file again, and reopens log files |
//! | `tokio` | `spanwise::task::spawn`, `spawn_blocking` and `JoinSet`: tasks that keep the context of their request |
//!
//! # Troubleshooting
//!
//! * *No lines:* [`explain`] shows the effective settings and their origin.
//! * *Something harmless is `[REDACTED]`:* [`Handle::stats`] names the rule. `LOG_REDACT=-key`
//!   shows that key.
//! * *A line lacks its context:* the span was not entered on the thread that logged the line. Spawn
//!   tasks with [`task::spawn`](task), or pass the span with `.in_current_span()`. Or the span is
//!   disabled by `LOG_SPANS`, or by a directive of `RUST_LOG` that switches its target `off`.
//!   `RUST_LOG=warn` does not disable spans at INFO.
//! * *A line has the context of another request:* the guard of an entered span was leaked, or held
//!   across an `await`. So later spans of the thread became children of that span. Open the span of
//!   a request as a root, with `parent: None`, [`unit_span!`](crate::unit_span) or the HTTP layer.
//! * *The last lines are missing:* the [`Telemetry`] was dropped too early, or a signal ended the
//!   program. Handle SIGTERM.
//! * *`spanwise: …` on stderr:* logging itself has a fault. [`Handle::stats`] counts faults.

mod builder;
mod choices;
mod code_values;
mod color_choice;
mod conceal;
mod config;
#[cfg(feature = "config")]
pub mod config_file;
mod console;
mod default_sinks;
mod environment;
mod error;
mod explain;
mod field_options;
mod file_options;
mod file_paths;
mod file_sink;
mod format_choice;
mod global_subscriber;
#[cfg(feature = "http")]
mod http_options;
mod leftover_syntax;
mod level_options;
mod level_sources;
#[cfg(feature = "config")]
mod live;
mod named;
mod not_built;
mod output;
mod output_options;
mod outputs;
mod own_crate;
mod panic_backtrace;
mod panic_hook;
mod parent_source;
mod parse;
mod preset;
mod program_name;
mod pseudonym_key;
mod redaction;
#[cfg(feature = "config")]
mod reload;
mod rendering;
mod router;
mod rule_fields;
mod run;
mod service;
mod setting_row;
mod settings;
#[cfg_attr(
    not(feature = "config"),
    expect(dead_code, reason = "only a configuration file has routes and filters")
)]
mod sink_settings;
#[cfg_attr(
    not(any(feature = "otel", feature = "sentry")),
    expect(dead_code, reason = "only optional sinks use all of it")
)]
mod sinks;
mod stack;
mod start;
mod start_claim;
mod static_fields;
pub mod task;
mod tee;
mod telemetry;
mod time_zone;
mod verbosity;
mod warning;

pub use builder::Builder;
pub use color_choice::Color;
pub use error::InitError;
pub use explain::Explanation;
pub use output::Output;
pub use panic_backtrace::PanicBacktrace;
pub use preset::Preset;
pub use router::ExplainedEvent;
pub use run::{Outcome, run};
pub use settings::SETTINGS;
pub use spanwise_core::{AsError, ParseError, Problem, Setting, SettingValue, ShutdownReport, err};
#[cfg(feature = "http")]
pub use spanwise_http as http;
pub use spanwise_json::{
    CustomFormat, ErrorLayout, EventView, FieldList, Format, FormatBuilder, FormatError, LineBuf,
    LineFormat, LineValue, OtherFields, ShownPart, as_json,
};
#[cfg(feature = "otel")]
pub use spanwise_otel as otel;
pub use spanwise_recorder as record;
pub use spanwise_sample as sample;
#[cfg(feature = "sentry")]
pub use spanwise_sentry as sentry;
pub use stack::Stack;
pub use telemetry::{Handle, Telemetry};
pub use time_zone::TimeZone;

/// Filters in code: see [`Builder::filter`].
pub mod filter {
    pub use crate::router::{FilterEvent, Verdict};
}

/// The context of a request: the fields that all its lines have, and a function that sets them
/// later. Also the position in a trace, which messages and child processes carry.
pub mod context {
    pub use spanwise_core::{
        CONTEXT_KEYS, Context, ContextLayer, TraceParent, child_env, context::set,
    };
}

/// Layers for your own stack, and their levels.
pub mod layer {
    pub use crate::stack::LineWriter;
    pub use spanwise_core::{
        LayerExt, LevelHandle, LevelLayer, Levels, SinkFilter, TargetLevels, UnsharedFields,
    };
    pub use spanwise_json::{JsonLayer, SpanEvents, Timestamp};
}

/// Files that roll, and background writers.
pub mod file {
    pub use spanwise_appender::*;
}

/// The rules that hide secrets and PII.
pub mod redact {
    pub use spanwise_core::{KeyVerdict, Redact};
    pub use spanwise_redact::*;
}

/// Counters of events, and of faults of logging itself.
pub mod report {
    pub use spanwise_core::{Fault, ReloadStats, SelfReport, ShedCounts, SinkStats, Stats};
}

/// Starts logging with the settings of the environment.
///
/// The macro [`init_from_env!`](macro@init_from_env) also uses the name and the version of your
/// crate. Use this function if you set these in another way.
///
/// # Errors
/// The errors of [`Builder::from_env`] and [`Builder::init`].
pub fn init_from_env() -> Result<Telemetry, InitError> {
    Builder::from_env_alone(settings::PREFIX)?.init()
}

/// Returns the effective settings of [`init_from_env`](fn@init_from_env), with their origin. Starts
/// nothing. [`Builder::explain`] also shows the values from code.
///
/// # Errors
/// [`InitError::Settings`] with every invalid setting.
pub fn explain() -> Result<Explanation, InitError> {
    Ok(Builder::from_env_alone(settings::PREFIX)?.explain())
}

/// Opens the root span of a unit of work that is not a request: a job, a message from a queue, a
/// session.
///
/// The span is at INFO and has no parent. JSON lines inside the span have its fields. Fields that
/// are context keys also belong to the [`Context`](crate::context::Context). Enter the span, or
/// pass it to `.instrument(…)`.
///
/// ```
/// let job = spanwise::unit_span!("job", job_id = "j-7", tenant_id = "acme");
/// job.in_scope(|| tracing::info!("working"));
/// ```
#[macro_export]
macro_rules! unit_span {
    ($name:expr $(, $($fields:tt)*)?) => {
        $crate::__private::tracing::info_span!(parent: None::<$crate::__private::tracing::Id>, $name $(, $($fields)*)?)
    };
}

/// Logs an event that somebody must look at now: more severe than ERROR.
///
/// Accepts the arguments of [`tracing::error!`], except `name:`. `tracing` has five levels, so the
/// event is at ERROR for levels, filters and other layers. Its lines have `"critical":true` in
/// `json`. Formats with a severity above that of errors show it: `CRITICAL` in `gcp`, `fatal` in
/// `ecs`. So do exported records of OpenTelemetry (`FATAL`), and Sentry (`fatal`).
///
/// ```
/// spanwise::critical!(order_id = 42, "no database accepts writes");
/// let span = tracing::info_span!("checkout");
/// spanwise::critical!(target: "shop::db", parent: &span, attempts = 3, "no replica answers");
/// ```
#[macro_export]
macro_rules! critical {
    (target: $target:expr, parent: $parent:expr, $($rest:tt)+) => {
        $crate::__private::tracing::event!(name: "critical", target: $target, parent: $parent, $crate::__private::tracing::Level::ERROR, $($rest)+)
    };
    (target: $target:expr, $($rest:tt)+) => {
        $crate::__private::tracing::event!(name: "critical", target: $target, $crate::__private::tracing::Level::ERROR, $($rest)+)
    };
    (parent: $parent:expr, $($rest:tt)+) => {
        $crate::__private::tracing::event!(name: "critical", parent: $parent, $crate::__private::tracing::Level::ERROR, $($rest)+)
    };
    ($($rest:tt)+) => {
        $crate::__private::tracing::event!(name: "critical", $crate::__private::tracing::Level::ERROR, $($rest)+)
    };
}

#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "config")]
    pub use crate::start::from_file_text_and_vars;
    pub use crate::{
        own_crate::OwnCrate,
        settings::PREFIX,
        start::{from_env_in_crate, init_in_crate, with_clock, without_installing},
    };
    pub use tracing;
}

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/programs.md")]
struct Programs;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/formats.md")]
struct Formats;

#[cfg(all(doctest, feature = "config"))]
#[doc = include_str!("../../../docs/from-django.md")]
struct FromDjango;
