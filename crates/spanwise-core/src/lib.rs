//! What every spanwise layer shares.
//!
//! A service uses the [`spanwise`] facade and meets this crate only through its re-exports. Depend on it to write a layer of
//! your own that decides once per callsite, inherits span data in O(1), or wraps somebody else's layer.
//!
//! ```
//! use spanwise_core::{Context, ContextLayer, LayerExt, LevelLayer, Levels};
//! use tracing_subscriber::prelude::*;
//!
//! let levels: Levels = "info,sqlx=warn".parse()?;
//! let layer = LevelLayer::new(levels);
//! let handle = layer.handle();
//!
//! let stack = tracing_subscriber::registry()
//!     .with(ContextLayer::default())
//!     .with(tracing_subscriber::fmt::layer().with_writer(std::io::sink).with_levels("warn".parse()?))
//!     .with(layer);
//!
//! tracing::subscriber::with_default(stack, || {
//!     let request = tracing::info_span!("request", request_id = "r-1", tenant_id = "acme");
//!     let _entered = request.enter();
//!     assert_eq!(Context::current().get("tenant_id"), Some("acme"));
//! });
//! assert_eq!(handle.levels().to_string(), "info,sqlx=warn");
//! # Ok::<(), spanwise_core::ParseError>(())
//! ```
//!
//! # Parts
//!
//! | for | item |
//! | --- | --- |
//! | one plan per callsite and layer, lock-free to read | [`CallsitePlans`] |
//! | data of a span that its children inherit, late records included | [`SpanData`], [`Inherit`] |
//! | what a layer keeps for each open span | [`SpanTable`] |
//! | the spans that a thread is in, without asking the registry | [`EnteredSpans`] |
//! | `request_id`, `tenant_id` and the like | [`ContextLayer`], [`Context`] |
//! | context that becomes known late, such as who is logged in | [`context::set`] |
//! | levels of the whole program, changeable while it runs | [`LevelLayer`], [`LevelHandle`] |
//! | levels of spans, which carry context | [`LevelLayer::span_levels`], [`LevelLayer::spans_follow_events`] |
//! | levels of one sink | [`LayerExt::with_levels`] |
//! | what is shown, where more than that is let through | [`LevelLayer::capture`], [`LayerExt::without_captured`], [`SinkFilter`] |
//! | a list of layers whose length is known at run time | [`Layers`] |
//! | what must not be logged | [`Redact`] |
//! | what one sink must not show | [`LayerExt::redacted`] |
//! | counters and complaints about logging itself | [`SelfReport`] |
//! | an output that can be flushed | [`Flush`] |
//! | an output that is shut down with the process | [`SinkControl`] |
//! | a sink that sends to a server over the network | [`export`] |
//! | time that tests can set | [`Clock`] |
//! | which traces are kept, where not all are | [`chance`] |
//! | ids that no other thread or process has | [`random_bits`] |
//! | forks of the process | [`forks`] |
//! | a value formatted without trusting it | [`guarded`] |
//! | events whose origin is known only at run time | [`runtime_callsite`] |
//! | records of the `log` crate, with the feature `log` | `log_bridge` |
//!
//! [`spanwise`]: https://docs.rs/spanwise

mod clock;
mod context_layer;
mod context_set;
mod error_view;
mod event_context;
pub mod export;
mod flush;
mod forward;
#[doc(hidden)]
pub mod internal;
mod layer_ext;
mod layers;
mod level_filtered;
mod level_layer;
mod levels;
mod parse_error;
mod redact;
mod redacted;
mod self_report;
mod setting;
mod setting_value;
mod target_pattern;
mod visibility;
mod without_captured;
pub mod words;

pub use clock::Clock;
pub use context_layer::{CONTEXT_KEYS, Context, ContextLayer};
pub use error_view::{AsError, err};
pub use event_context::EventContext;
pub use flush::{Flush, SinkControl};
pub use layer_ext::LayerExt;
pub use layers::Layers;
pub use level_filtered::LevelFiltered;
pub use level_layer::{LevelHandle, LevelLayer};
pub use levels::{Levels, TargetLevels};
pub use parse_error::{ParseError, Problem};
pub use redact::{KeyVerdict, NoRedaction, REDACTED, Redact, Redaction};
pub use redacted::{PrivateFields, Redacted};
pub use self_report::{Fault, SelfReport, ShedCounts, SinkStats, Stats};
pub use setting::{Sensitivity, Setting};
pub use setting_value::SettingValue;
pub use target_pattern::TargetPattern;
pub use visibility::SinkFilter;
pub use without_captured::WithoutCaptured;

/// Context values that are set while a unit of work runs.
pub mod context {
    pub use crate::context_set::set;
}
