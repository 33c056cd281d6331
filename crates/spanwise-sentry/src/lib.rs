//! Errors of a `tracing` service in Sentry.
//!
//! docs to come

mod around;
mod builder;
mod dsn;
mod event;
mod fields;
mod ignore;
mod last_word;
mod layer;
mod limits;
mod logs;
mod outbox;
mod panics;
mod repeats;
mod sender;
mod sink;
mod traces;
mod trail;
mod unit;

pub use builder::{Builder, Sentry, SentryError, SentryGuard, SentryStats};
pub use dsn::{Dsn, DsnError};
pub use layer::SentryLayer;
pub use sentry_core;
