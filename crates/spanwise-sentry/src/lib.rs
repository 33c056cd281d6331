//! Errors of a `tracing` service in Sentry: each with its request, and without its secrets.
//!
//! ```
//! use spanwise_sentry::Sentry;
//! use tracing_subscriber::prelude::*;
//!
//! # let server = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let dsn = format!("http://public@{}/1", server.local_addr()?);
//! # drop(server);
//! let (layer, guard) = Sentry::builder(dsn.parse()?).release("shop@1.4.0").build()?;
//! # let subscriber =
//! tracing_subscriber::registry().with(layer);
//! # tracing::subscriber::with_default(subscriber, || {
//!
//! let request = tracing::info_span!("POST /pay", request_id = "r-1", tenant_id = "acme", user_id = "ann");
//! request.in_scope(|| {
//!     tracing::info!("asking the gateway");
//!     tracing::error!("payment failed"); // an event: tags request_id and tenant_id, user ann, one breadcrumb
//! });
//! # });
//!
//! // In `main`, at the end: nobody listens at this address, so the event is lost, and counted.
//! let stats = guard.shutdown(std::time::Duration::from_secs(2));
//! assert_eq!((stats.sent.delivered, stats.sent.lost()), (0, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A service uses it through the `spanwise` facade: its feature `sentry`, and `SENTRY_DSN`.
//!
//! # What arrives
//!
//! Events at ERROR, with the chain of their errors, the fields of their spans, `request_id` and `tenant_id` as tags, `user_id` as the
//! user, `trace_id` as the trace, and up to 100 events of the same request as breadcrumbs. Panics with their stack, if a hook logs them as
//! spanwise does. Transactions and logs, where asked for.
//!
//! What belongs to a request hangs on its spans, not on a thread: requests do not mix.
//!
//! # What does not
//!
//! What the policy of [`SentryBuilder::redact`] hides, whoever puts it in. The same error again within a minute, which one event tells of with
//! a count. What the server refuses, or what waits for it beyond the [queue](SentryBuilder::queue): [`Sentry::stats`] counts it, and stderr
//! tells it.
//!
//! Nobody waits for Sentry. One thread sends, with a timeout for everything; at the deadline of the shutdown it is left behind.
//!
//! # Beside sentry's own crates
//!
//! It is built on the client and the protocol of [`sentry_core`] 0.49, with a transport of its own. [`Sentry::bind`] binds that client to a hub,
//! so that `sentry::capture_message` and the like go the same way; integrations go into [`SentryBuilder::options`]. The layers of `sentry-tracing`
//! are not used, and not needed beside it.
//!
//! # Troubleshooting
//!
//! `docs/sentry.md` of the repository has a page of it.

mod breadcrumbs;
mod builder;
mod dedup;
mod dsn;
mod envelope_redaction;
mod event_builder;
mod event_scope;
mod exiting_threads;
mod fields;
mod grouping;
mod ids;
mod ignore_rules;
mod layer;
mod log_batch;
mod open_spans;
mod outbox;
mod pipeline;
mod process_state;
mod rate_limits;
mod sender;
mod stacktrace;
mod tags;
mod transactions;

pub use builder::{InvalidLevels, Sentry, SentryBuilder, SentryError, SentryGuard, SentryStats};
pub use dsn::{Dsn, DsnError};
pub use layer::SentryLayer;
pub use sentry_core;
pub use tags::is_valid_tag_name;
