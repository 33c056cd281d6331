//! Production logging for services that use `tracing`, in one line.
//!
//! ```no_run
//! fn main() -> Result<(), spanwise::InitError> {
//!     let _telemetry = spanwise::init_from_env!()?;
//!     tracing::info!(order.id = 42, "order created");
//!     Ok(())
//! }
//! ```
//!
//! In production that prints, on stdout and on one line:
//!
//! ```json
//! {"timestamp":"2026-11-20T08:46:12.123456Z","level":"INFO","target":"shop","message":"order created","order.id":42,
//!  "service":{"name":"shop","version":"1.4.0"}}
//! ```
//!
//! and at a terminal, on stderr and in colour:
//!
//! ```text
//! 08:46:12.123  INFO order created order.id=42
//!              shop at src/main.rs:3
//! ```
//!
//! # What the line does
//!
//! * Chooses a [`Preset`] and reads the [settings](SETTINGS). A wrong value stops the start:
//!   [`InitError`] lists them all. A name that is nearly a setting, or belongs to another
//!   component, gives a warning: [`Builder::strict`] makes it an error.
//! * Installs a global subscriber: levels as `RUST_LOG` writes them, [`Context`], and one sink for
//!   lines.
//! * Writes in the background under [`Preset::Prod`], and to files: a reader that stalls and a disk
//!   that is full do not stop the program, and no line is lost that is not counted.
//! * Makes events of the records of the `log` crate, with their key-values as fields
//!   ([`log_bridge`](crate::core::log_bridge)). A key that an event has for itself gets the prefix
//!   `kv.`: `message` becomes `kv.message`. Of an error in a key-value the message is shown,
//!   without its causes.
//! * Logs panics at their own place, with a short backtrace, whatever `RUST_BACKTRACE` says. Under
//!   [`Preset::Prod`] std prints a panic only if no output took its event; what a hook of your own
//!   prints still follows.
//! * Returns a [`Telemetry`]: hold it in `main`. Its [`Handle`] reads and changes the levels while
//!   the program runs.
//!
//! # The request and the tenant on every line
//!
//! Open a span for each request and put the ids in it; every line inside has them, also those of
//! tasks that are given the span.
//!
//! ```
//! # use tracing_subscriber::prelude::*;
//! # let _default = tracing_subscriber::registry().with(spanwise::ContextLayer::default()).set_default();
//! use tracing::Instrument;
//!
//! let request = tracing::info_span!("http.request", request_id = "r-1", tenant_id = "acme");
//! let handler = async {
//!     tracing::info!("on the line: request_id, tenant_id");
//!     assert_eq!(spanwise::Context::current().get("tenant_id"), Some("acme"));
//! }
//! .instrument(request);
//! # let mut handler = std::pin::pin!(handler);
//! # let _ = handler.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
//! # use std::future::Future;
//! ```
//!
//! What becomes known later, such as who is logged in, is set from anywhere inside:
//! `spanwise::context::set("user_id", &user.id)`. See [`context`].
//!
//! Tasks and threads do not have the span by themselves. `spanwise::task::spawn(work)` (feature
//! `tokio`) gives it to a task, as `tokio::spawn(work.in_current_span())` does, and
//! `thread::spawn(task::in_current(work))` to a thread: see [`task`]. For work that no request
//! brings there is [`unit_span!`].
//!
//! # Errors
//!
//! `error = err(&e)` logs an error with its type, its message and its causes. [`err`] takes what
//! services have: an error of a type of their own, a `Box<dyn Error + Send + Sync>`, an
//! `anyhow::Error`, an `eyre::Report`. `%e` and `#[instrument(err)]` log the message alone.
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
//! [`Builder`] sets in code what the environment sets. Code beats environment beats preset.
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
//! A setter takes a text as well, as the variable has it: `.levels("warn,shop=debug")`. The error
//! of [`Builder::init`] lists all texts that are wrong.
//!
//! # FileOptions
//!
//! `LOG_FILE=/var/log/shop/shop.log` writes lines to that file as well, [`Builder::file`] does so
//! in code. It rolls daily and at 100 MiB, and the newest 14 rolled files are kept;
//! `LOG_ERROR_FILE` is a second one for ERROR alone.
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
//! What is promised for which fault, with logrotate, containers and signals, is in
//! `docs/operations.md` of the repository.
//!
//! # Secrets
//!
//! Passwords, tokens, keys and cards are hidden in every output, and but for [`Preset::Dev`] what
//! tells of a person too: by the name of a key at any depth, by what a text looks like, and by
//! type.
//!
//! ```
//! use spanwise::{Action, Classified};
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
//! What is covered, what cannot be, and how to add a rule is in `docs/redaction.md` of the
//! repository.
//!
//! # Fewer lines, and more where something failed
//!
//! `LOG_SAMPLE=info=0.1,sqlx=5/s` leaves out what is logged too often, with a count of it;
//! `LOG_RECORDER=debug` keeps the DEBUG lines of each request and writes them if it fails, before
//! the error.
//!
//! ```
//! use spanwise::{Builder, Preset, Recorder};
//!
//! let builder = Builder::new(Preset::Prod)
//!     .recorder(Recorder::default())
//!     .sampler("cache=first:10/100");
//! assert!(builder.explain().to_string().contains("LOG_RECORDER = debug (code)"));
//! ```
//!
//! All of it is in `docs/sampling.md` of the repository.
//!
//! # Requests
//!
//! With the feature `axum` (or `http` for `tonic` and `hyper`), `Telemetry::http_server` is a layer
//! for the server: each request has a span with its id and its tenant, and one event when it truly
//! ends, whatever way. `spanwise::http::fail` puts an error on that event. `Telemetry::http_client`
//! sends the ids on. All of it is in `docs/http.md` of the repository.
//!
//! # The error that ends the program
//!
//! [`run`] holds the guard outside of your `main`, makes an event of the error that it returns, and
//! keeps its exit code. Command-line tools, batch jobs and libraries are in `docs/programs.md` of
//! the repository.
//!
//! # What it does not do
//!
//! It exports no metrics and no OTLP.
//!
//! # Features
//!
//! | feature | |
//! | --- | --- |
//! | `gzip` (default), `zstd` | `LOG_FILE_COMPRESS` can say so |
//! | `pseudonyms` | `LOG_REDACT_KEY_FILE` can be set |
//! | `secrecy` | `Classified<SecretString>` of the crate `secrecy` has `expose_secret` |
//! | `http` | `spanwise::http`: the request's span and event, ids from service to service; `Telemetry::http_server` |
//! | `axum` | `http`, with the route of a request and where it came from as axum knows them |
//! | `reqwest` | `http`, with a middleware for `reqwest-middleware` |
//! | `sentry` | `SENTRY_DSN` can be set: errors in Sentry |
//! | `tokio` | `spanwise::task::spawn`, `spawn_blocking` and `JoinSet`: tasks that keep their request |
//!
//! # Troubleshooting
//!
//! * *No lines:* see [`explain`] for what holds and who said so.
//! * *Something harmless is `[REDACTED]`:* [`Handle::stats`] names the rule; `LOG_REDACT=-key`
//!   shows that key.
//! * *A line is missing its context:* the span was not entered on that thread. Spawn tasks by
//!   [`task::spawn`](task), or give them the span: `.in_current_span()`. Or the span is disabled:
//!   by `LOG_SPANS`, or by a directive of `RUST_LOG` that switches its target `off`.
//!   `RUST_LOG=warn` disables no span at INFO.
//! * *A line has another request's context:* a guard of that request's span was forgotten while the
//!   span is open, so later spans of the thread are its children. Open a request's span as a root,
//!   with `parent: None`, [`unit_span!`](crate::unit_span) or the HTTP layer.
//! * *The last lines are missing:* the [`Telemetry`] was dropped before them, or a signal ended the
//!   program: handle SIGTERM.
//! * *`spanwise: …` on stderr:* logging itself has a fault; [`Handle::stats`] counts them.

mod builder;
mod choices;
mod color_choice;
mod conceal;
mod config;
mod console;
mod environment;
mod error;
mod explain;
mod file_options;
mod file_paths;
mod global_subscriber;
#[cfg(feature = "http")]
mod http_options;
mod level_options;
mod named;
#[cfg(not(all(feature = "http", feature = "sentry")))]
mod not_built;
mod output;
mod output_options;
mod outputs;
mod own_crate;
mod panic_backtrace;
mod panic_hook;
mod parse;
mod preset;
mod program_name;
mod redaction;
mod rule_fields;
mod run;
mod service;
mod settings;
mod sinks;
mod stack;
mod start;
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
pub use run::{Outcome, run};
pub use settings::SETTINGS;
pub use spanwise_appender as appender;
pub use spanwise_appender::{
    Background, ByteSize, Compression, Interval, Retention, RollingFile, Rotation, WhenFull,
};
pub use spanwise_core as core;
pub use spanwise_core::{
    AsError, Context, ContextLayer, KeyVerdict, LayerExt, LevelLayer, Levels, ParseError,
    PrivateFields, Redact, Setting, SettingValue, ShutdownReport, Stats, TargetLevels, err,
};
#[cfg(feature = "http")]
pub use spanwise_http as http;
pub use spanwise_json::{Format, FormatError, JsonLayer, SpanEvents, Timestamp, as_json};
pub use spanwise_recorder as record;
pub use spanwise_recorder::{CancellationGuard, Recorder, detect_cancellation, dump_current_unit};
pub use spanwise_redact as redact;
#[cfg(feature = "pseudonyms")]
pub use spanwise_redact::PseudonymKey;
pub use spanwise_redact::{Action, Classified, Detector, Policy, RuleError, serialize_redacted};
pub use spanwise_sample as sample;
pub use spanwise_sample::Sampler;
#[cfg(feature = "sentry")]
pub use spanwise_sentry as sentry;
pub use stack::{LineWriter, Stack, StackLine};
pub use telemetry::{Handle, Telemetry};
pub use time_zone::TimeZone;

/// Context that becomes known while a unit of work runs, such as who is logged in.
pub mod context {
    pub use spanwise_core::context::set;
}

/// Starts logging as the environment says.
///
/// The macro [`init_from_env!`](macro@init_from_env) beside it also knows the name and the version
/// of your crate. The function is for programs that say these in another way.
///
/// # Errors
/// What [`Builder::from_env`] and [`Builder::init`] say.
pub fn init_from_env() -> Result<Telemetry, InitError> {
    Builder::from_env()?.init()
}

/// What holds for [`init_from_env`](fn@init_from_env), and who said so. Nothing is started. For a
/// [`Builder`], whose code has the last word, there is [`Builder::explain`].
///
/// # Errors
/// [`InitError::Settings`] with every setting that is wrong.
pub fn explain() -> Result<Explanation, InitError> {
    Ok(Builder::from_env()?.explain())
}

/// Opens the root span of a unit of work that no request brings: a job, a message from a queue, a
/// session.
///
/// A span at INFO without a parent; its fields that are context keys are on every line inside.
/// Enter it, or give it to `.instrument(…)`.
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

#[doc(hidden)]
pub mod __private {
    pub use crate::{
        own_crate::{OwnCrate, from_env_in_crate},
        settings::PREFIX,
    };
    pub use tracing;
}

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/programs.md")]
struct Programs;
