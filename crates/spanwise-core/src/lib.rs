//! Shared parts of every spanwise layer: levels, context, redaction and counters.
//!
//! ```
//! use spanwise_core::{Context, ContextLayer, LayerExt, LevelLayer, Levels};
//! use tracing_subscriber::{fmt, prelude::*};
//!
//! let levels: Levels = "info,sqlx=warn".parse()?;
//! let layer = LevelLayer::new(levels);
//! let handle = layer.handle();
//!
//! let stack = tracing_subscriber::registry()
//!     .with(ContextLayer::default())
//!     .with(fmt::layer().with_writer(std::io::sink).with_levels("warn".parse()?))
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
//! # When to use it
//!
//! Services use the [`spanwise`] facade, which re-exports the items that services need. Use this
//! crate directly to build a stack without the facade, to write a redaction policy, or to write a
//! sink: a layer with an output.
//!
//! # Parts
//!
//! | for | item |
//! | --- | --- |
//! | `request_id`, `tenant_id` and the like on every line | [`ContextLayer`], [`Context`] |
//! | context that becomes known later, such as the user | [`context::set`] |
//! | the position in a trace, for queues and jobs | [`TraceParent`] |
//! | the trace of a child process | [`child_env`] |
//! | levels of the application, which can change at run time | [`LevelLayer`], [`LevelHandle`] |
//! | levels of spans | [`LevelLayer::span_levels`], [`LevelLayer::spans_follow_events`] |
//! | levels of one sink | [`LayerExt::with_levels`], [`TargetLevels`] |
//! | events that are enabled only for a recorder | [`LevelLayer::capture`], [`LayerExt::without_captured`], [`SinkFilter`] |
//! | patterns for targets | [`TargetPattern`] |
//! | a list of layers that is built at run time | [`Layers`] |
//! | redaction policies | [`Redact`], [`KeyVerdict`] |
//! | redaction for any layer | [`LayerExt::redacted`], [`UnsharedFields`] |
//! | errors as fields, such as those of anyhow | [`err`] |
//! | counts of written and lost events, faults of logging itself | [`SelfReport`], [`Stats`] |
//! | outputs that can be flushed | [`Flush`] |
//! | sinks that send over the network, from a thread of their own | [`export`] |
//! | settings, parsed from text | [`Setting`], [`SettingValue`], [`ParseError`], [`words`] |
//! | a clock that tests can set | [`Clock`] |
//!
//! # Behaviour and limits
//!
//! * A wrapper of [`LayerExt`] affects only the layer inside it, never the layers beside it.
//! * Work that depends only on a callsite is done once per callsite. Reading the result takes no
//!   lock.
//! * If a value panics while it is formatted, only its own text is lost. A value may log while it
//!   is formatted.
//! * A context value is cut at 1,024 bytes. A policy scans 64 KiB of a text, and the rest is
//!   hidden.
//! * Layers with a per-layer filter (`with_filter`) work at any position in the stack.
//!
//! # Features
//!
//! `log` contains the bridge that turns records of the `log` crate into events, with the key-values
//! of the records as fields. The facade enables this feature and installs the bridge.
//!
//! # Troubleshooting
//!
//! Faults of logging itself appear on stderr as `spanwise: …`, and are counted in [`Stats`].
//!
//! [`spanwise`]: https://docs.rs/spanwise

mod child_env;
mod clock;
mod context_callsites;
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
mod span_context;
mod target_pattern;
mod trace_parent;
mod visibility;
mod without_captured;
pub mod words;

pub use child_env::child_env;
pub use clock::Clock;
pub use context_layer::ContextLayer;
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
pub use redacted::{Redacted, UnsharedFields};
pub use self_report::{
    Fault, ReloadStats, SelfReport, ShedCounts, ShutdownReport, SinkStats, Stats,
};
pub use setting::{Sensitivity, Setting};
pub use setting_value::SettingValue;
pub use span_context::{CONTEXT_KEYS, Context};
pub use target_pattern::TargetPattern;
pub use trace_parent::TraceParent;
pub use visibility::SinkFilter;
pub use without_captured::WithoutCaptured;

/// Context values that become known while a unit of work runs.
pub mod context {
    pub use crate::context_set::set;
}
