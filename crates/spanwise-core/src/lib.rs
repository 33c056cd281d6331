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
//!     .with(tracing_subscriber::fmt::layer().with_writer(std::io::sink).leveled("warn".parse()?))
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
//! | data of a span that its children inherit, late records included | [`Node`], [`Inherit`] |
//! | what a layer keeps for each open span | [`SpanTable`] |
//! | the spans that a thread is in, without asking the registry | [`EnteredSpans`] |
//! | `request_id`, `tenant_id` and the like | [`ContextLayer`], [`Context`] |
//! | context that becomes known late, such as who is logged in | [`context::set`] |
//! | levels of the whole program, changeable while it runs | [`LevelLayer`], [`LevelHandle`] |
//! | levels of spans, which carry context | [`LevelLayer::span_levels`], [`LevelLayer::spans_follow_events`] |
//! | levels of one sink | [`LayerExt::leveled`] |
//! | what is shown, where more than that is let through | [`LevelLayer::capture`], [`LayerExt::emitted`], [`Emission`] |
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

mod annotations;
pub mod backtrace;
mod callsite;
pub mod chance;
mod clock;
pub mod context;
mod emission;
mod emitted;
mod entered_spans;
mod error_chain;
pub mod errors;
mod ext;
mod flush;
pub mod forks;
mod forward;
pub mod guarded;
mod inherit;
mod layers;
mod level_layer;
mod leveled;
mod levels;
#[cfg(feature = "log")]
pub mod log_bridge;
pub mod log_record;
pub mod logged_panic;
pub mod nearest;
mod neighbours;
pub mod nested_json;
mod per_second;
mod random_bits;
mod redact;
mod redacted;
pub mod reentry;
mod report;
pub mod runtime_callsite;
mod setting;
mod setting_value;
mod span_table;
pub mod streams;
mod tally;

pub use annotations::Annotations;
pub use callsite::CallsitePlans;
pub use clock::Clock;
pub use context::{CONTEXT_KEYS, Context, ContextLayer, MAX_CONTEXT_VALUE};
pub use emission::{Emission, EmissionCache, Verdict};
pub use emitted::Emitted;
pub use entered_spans::{CurrentSpan, EnteredSpans, SpanValue};
pub use error_chain::error_chain;
pub use errors::{AsError, err};
pub use ext::LayerExt;
pub use flush::Flush;
pub use inherit::{Inherit, LayerId, Node, NodeCache};
pub use layers::Layers;
pub use level_layer::{LevelHandle, LevelLayer};
pub use leveled::Leveled;
pub use levels::{Levels, LevelsError, TargetLevels, parse_level};
pub use neighbours::Neighbours;
pub use per_second::PerSecond;
pub use random_bits::random_bits;
pub use redact::{KeyVerdict, KeyVerdicts, NoRedaction, REDACTED, Redact};
pub use redacted::{PrivateFields, Redacted};
pub use report::{Fault, SelfReport, ShedCounts, SinkCounters, SinkStats, Stats};
pub use setting::{Setting, Shown};
pub use setting_value::{Grammar, SettingValue};
pub use span_table::SpanTable;
pub use tally::Tally;
