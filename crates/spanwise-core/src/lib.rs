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
//! # Ok::<(), spanwise_core::LevelsError>(())
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
//! | time that tests can set | [`Clock`] |
//! | which traces are kept, where not all are | [`chance`] |
//! | ids that no other thread or process has | [`random_bits`] |
//! | forks of the process | [`forks`] |
//! | a value formatted without trusting it | [`guarded`] |
//! | events whose origin is known only at run time | [`runtime_callsite`] |
//! | records of the `log` crate, with the feature `log` | `log_bridge` |
//!
//! [`spanwise`]: https://docs.rs/spanwise

pub mod backtrace;
mod callsite;
mod clock;
pub mod consistent_sampling;
pub mod context;
mod entered_spans;
mod error_chain;
pub mod errors;
mod event_context;
mod flush;
pub mod forks;
mod forward;
mod layer_ext;
mod layers;
mod level_filtered;
mod level_layer;
mod levels;
#[cfg(feature = "log")]
pub mod log_bridge;
pub mod log_record;
pub mod logged_panic;
pub mod nested_json;
pub mod panic_safe;
mod parse_error;
mod per_layer_filters;
mod per_second;
mod random_bits;
mod redact;
mod redacted;
pub mod reentrancy;
pub mod runtime_callsite;
mod self_report;
mod setting;
mod setting_value;
mod sharded_counter;
mod span_data;
mod span_table;
pub mod stdio;
pub mod suggest;
mod visibility;
mod without_captured;

pub use callsite::CallsitePlans;
pub use clock::Clock;
pub use context::{CONTEXT_KEYS, Context, ContextLayer, MAX_CONTEXT_VALUE};
pub use entered_spans::{CurrentSpan, EnteredSpans, SpanValue};
pub use error_chain::error_chain;
pub use errors::{AsError, err};
pub use event_context::{
    EnteredLine, EventContext, LineDisposition, MustSeeAllEvents, SampleRate, SummaryAddress,
};
pub use parse_error::ParseError;
#[doc(hidden)]
pub mod internal;
pub use flush::Flush;
pub use layer_ext::LayerExt;
pub use layers::Layers;
pub use level_filtered::LevelFiltered;
pub use level_layer::{LevelHandle, LevelLayer};
pub use levels::{Levels, LevelsError, TargetLevels, parse_level};
pub use per_layer_filters::FilterInterop;
pub use per_second::PerSecond;
pub use random_bits::random_bits;
pub use redact::{KeyVerdict, KeyVerdicts, NoRedaction, REDACTED, Redact};
pub use redacted::{PrivateFields, Redacted};
pub use self_report::{Fault, SelfReport, ShedCounts, SinkCounters, SinkStats, Stats};
pub use setting::{Sensitivity, Setting};
pub use setting_value::{Grammar, SettingValue};
pub use sharded_counter::ShardedCounter;
pub use span_data::{Inherit, LayerId, SpanData, SpanDataCache};
pub use span_table::SpanTable;
pub use visibility::{SinkFilter, Visibility, VisibilityCache};
pub use without_captured::WithoutCaptured;
