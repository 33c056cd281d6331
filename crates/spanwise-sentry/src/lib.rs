//! Sends errors of `tracing` services to Sentry, with the tags and breadcrumbs of their request,
//! and without secrets.
//!
//! ```
//! use std::time::Duration;
//!
//! use spanwise_sentry::Sentry;
//! use tracing_subscriber::prelude::*;
//!
//! # let server = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let dsn = format!("http://public@{}/1", server.local_addr()?);
//! # drop(server);
//! let (layer, guard) = Sentry::builder(dsn.parse()?).release("shop@1.4.0").build()?;
//! let subscriber = tracing_subscriber::registry().with(layer);
//! # tracing::subscriber::with_default(subscriber, || {
//!
//! let request = tracing::info_span!(
//!     "POST /pay",
//!     request_id = "r-1",
//!     tenant_id = "acme",
//!     user_id = "ann"
//! );
//! request.in_scope(|| {
//!     tracing::info!("asking the gateway");
//!     // One event: tags request_id and tenant_id, user ann, one breadcrumb.
//!     tracing::error!("payment failed");
//! });
//! # });
//!
//! // At the end of `main`. No server listens at this address, so the event is lost and counted.
//! let stats = guard.shutdown(Duration::from_secs(2));
//! assert_eq!((stats.sent.delivered, stats.sent.lost()), (0, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # When to use it
//!
//! Most services use it through the `spanwise` facade. Enable its feature `sentry` and set
//! `SENTRY_DSN`. Use this crate directly for your own `tracing` stack.
//!
//! It builds on the client and the protocol of [`sentry_core`] 0.49, and replaces `sentry-tracing`.
//! [`Sentry::bind`] binds the client to a hub, so that `sentry::capture_message` and similar
//! functions use the same exporter. Pass integrations to [`SentryBuilder::options`].
//!
//! # Behaviour
//!
//! * **Errors:** events at ERROR, with the chain of their errors and the fields of their spans.
//!   `request_id` and `tenant_id` are tags, `user_id` is the user, and `trace_id` is the trace.
//! * **Breadcrumbs:** up to 100 events that the request of the error logged before. They belong to
//!   the spans of the request, not to a thread, so concurrent requests do not mix.
//! * **Panics** have a stack trace, if a panic hook logs them as the hook of the facade does.
//! * **Transactions and logs** are off by default.
//! * **Repetitions** of an error within a minute are counted, not sent. One event reports their
//!   number.
//! * **Redaction:** the policy of [`SentryBuilder::redact`] applies to logged data, and to data
//!   that hooks and integrations add. Without a policy, nothing is redacted.
//!
//! # Limits
//!
//! A separate thread sends, with a timeout for each HTTP request. Other threads wait for the
//! network only in a flush or a shutdown. Events are lost if the server refuses them or fails for
//! too long, if the [queue](SentryBuilder::queue) is full, or if the shutdown times out.
//! [`Sentry::stats`] counts these losses, and stderr reports them. See [`spanwise_core::export`]
//! for retries and the order of items.
//!
//! # Troubleshooting
//!
//! See `docs/sentry.md` in the repository.

mod breadcrumbs;
mod builder;
mod capture_layer;
mod capture_scope;
mod connection;
mod dedup;
mod dsn;
mod envelope;
mod envelope_redaction;
mod error;
mod event_builder;
mod event_scope;
mod exiting_threads;
mod fields;
mod grouping;
mod handle;
mod http_transport;
mod ids;
mod ignore_rules;
mod layer;
mod log_batch;
mod open_spans;
mod pipeline;
mod process_state;
mod rate_limits;
mod routing;
mod stacktrace;
mod tags;
mod transactions;

pub use builder::SentryBuilder;
pub use dsn::Dsn;
pub use error::{InvalidLevels, SentryError};
pub use handle::{Sentry, SentryGuard, SentryStats};
pub use layer::SentryLayer;
pub use sentry_core;
pub use tags::is_valid_tag_name;

/// The name of the sink, used in counters and in the thread name.
const NAME: &str = "sentry";
