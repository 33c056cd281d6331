//! Samplers: drop most events of a kind that is logged too often, and count the dropped events.
//!
//! ```
//! use spanwise_sample::{SampleExt, Sampler};
//! use tracing_subscriber::prelude::*;
//! # let lines = spanwise_testing::support::Lines::default();
//! # let layer = spanwise_json::JsonLayer::new().with_writer(lines.clone());
//! let sampler: Sampler = "info=0.1,shop::cache=first:1/100,sqlx=5/s".parse()?;
//! let stack = tracing_subscriber::registry().with(layer.sampled(sampler.clone()));
//!
//! tracing::subscriber::with_default(stack, || {
//!     for order in 1..=101 {
//!         tracing::info!(target: "shop::cache", order, "cache miss");
//!     }
//!     for attempt in 0..8 {
//!         tracing::info!(target: "sqlx::query", attempt, "slow");
//!     }
//!     sampler.emit_summaries(); // at the end, before the outputs are flushed
//! });
//! # let lines = lines.objects();
//! assert_eq!(lines.len(), 8); // 2 cache misses, 5 queries, a summary
//! assert_eq!((&lines[0]["order"], &lines[1]["order"]), (&1.into(), &101.into()));
//! assert_eq!(lines[1]["sample_rate"], 0.01);
//! assert_eq!(lines[7]["message"], "events suppressed");
//! assert_eq!(lines[7]["suppressed"], 3);
//! # Ok::<(), spanwise_core::ParseError>(())
//! ```
//!
//! prints (without the timestamps)
//!
//! ```json
//! {"level":"INFO","target":"shop::cache","message":"cache miss","order":1}
//! {"level":"INFO","target":"shop::cache","message":"cache miss","order":101,"sample_rate":0.01}
//! {"level":"INFO","target":"sqlx::query","message":"slow","attempt":0}
//! {"level":"INFO","target":"spanwise::sampler","message":"events suppressed","suppressed":3,"suppressed_target":"sqlx::query","callsite":"src/main.rs:22","first":"2026-…","last":"2026-…"}
//! ```
//!
//! In code, rules can depend on values, and sinks can share a sampler:
//!
//! ```
//! use spanwise_core::{ContextLayer, LayerExt};
//! use spanwise_sample::{EventMatcher, Limit, Rate, SampleExt, Sampler};
//! use tracing_subscriber::prelude::*;
//!
//! let sampler = Sampler::builder()
//!     .rule(EventMatcher::field("tenant_id", "acme"), Limit::keep())
//!     .rule(
//!         EventMatcher::target("shop::api"),
//!         Rate::per_second(100).burst(500).per_value_of("tenant_id"),
//!     )
//!     .rule(EventMatcher::any(), Limit::ratio(0.25)?)
//!     .build();
//! # let stdout = spanwise_json::JsonLayer::new().with_writer(std::io::sink);
//! # let file = spanwise_json::JsonLayer::new().with_writer(std::io::sink);
//! let stack = tracing_subscriber::registry()
//!     .with(ContextLayer::default())
//!     .with(stdout.sampled(sampler.clone()))
//!     .with(file.sampled(sampler.clone()));
//!
//! tracing::subscriber::with_default(stack, || {
//!     let _request = tracing::info_span!("request", tenant_id = "acme").entered();
//!     tracing::info!("all events of this tenant are kept");
//! });
//! assert_eq!(sampler.stats().to_string(), "2 kept, 0 sampled out, 0 suppressed");
//! # Ok::<(), spanwise_core::ParseError>(())
//! ```
//!
//! # When to use it
//!
//! Use it if the cost of a sink depends on the number of lines, and one line in ten is enough. The
//! sampler decides when it receives the event, before the outcome of the request is known ([head
//! sampling]). The decision is final. For the lines of requests that fail, use the recorder of
//! `spanwise-recorder`.
//!
//! It does **not** drop spans, sample traces, or decide for other sinks. A layer that is not
//! wrapped receives all events.
//!
//! # Behaviour
//!
//! * **ERROR and WARN are exempt**, unless a rule names their level.
//! * **The first rule that matches decides.** In the text of a setting, the order of the rules does
//!   not matter: the most specific rule decides.
//! * **A ratio keeps requests whole.** The decision follows the trace id, as in OpenTelemetry's
//!   consistent sampling, or else the request id. So other processes with the same ratio make the
//!   same decision. For an event with neither id, the decision is random.
//! * **Limits are per callsite and rule.** With the log bridge of the `spanwise` facade, each
//!   callsite of the `log` crate counts separately. With `tracing-log`, all callsites of one level
//!   count as one. With [`Rate::per_value_of`] limits are also per value, for at most 10,000 pairs
//!   of callsite and value per rule.
//! * **No loss is silent**: [`Sampled`] describes how the output accounts for dropped events, and
//!   [`SamplerStats`] counts them.
//! * **A summary waits for an event.** After its period, the next event that the layer receives
//!   emits it, or [`Sampler::emit_summaries`] does. Call this method at the end of the program. A
//!   layer that is dropped with a pending summary reports the loss, by default on stderr.
//! * **Sinks that share a sampler agree.** An event that reaches several sinks is decided once, and
//!   counts once against a limit. Each sink has its own `sample_rate` and `suppressed`, because a
//!   filter may hide events from one sink only.
//! * **Cost**: about 10 ns for an event that a ratio keeps, inside or outside a request, and 15 ns
//!   with a limit. Only the first events of a callsite, a rule or a span allocate memory.
//! * **Limits follow a coarse clock.** For periods of 100 ms or more, the clock may be up to 10 ms
//!   late. The period of a [`Rate`] is here the time in which it regains its burst.
//!
//! # Settings
//!
//! [`Sampler`] parses and documents the syntax of `LOG_SAMPLE`.
//!
//! # Troubleshooting
//!
//! * *Some lines of a request are missing.* The id of the request is recorded after its first
//!   events, or no [`ContextLayer`](spanwise_core::ContextLayer) is installed.
//! * *A rule has no effect on warnings.* Warnings are exempt. To sample them, name the level, as in
//!   `warn=0.5`.
//! * *All values share one limit.* The field of `per_value_of` is misspelled, or it is a span field
//!   that is not a context key. Declare it with `ContextLayer::key`.
//! * *Stderr reports that sampling is off for a layer.* Call `with_filter` last, as in
//!   `layer.sampled(…).with_filter(…)`.
//!
//! [head sampling]: https://opentelemetry.io/docs/concepts/sampling/#head-sampling

mod event_matcher;
mod field_text;
mod limit;
mod limiter;
mod lru_buckets;
mod parse;
mod plan;
mod sampled;
mod sampled_sink;
mod sampler;
mod sink_registry;
mod summary;

pub use event_matcher::EventMatcher;
pub use limit::{First, Limit, Rate};
pub use sampled::{SampleExt, Sampled};
pub use sampled_sink::SamplerStats;
pub use sampler::{Sampler, SamplerBuilder};
