//! Fewer lines of what is logged too often, and a true count of what is not shown; all lines of what failed, by the [`recorder`].
//!
//! ```
//! use spanwise_sample::{SampleExt, Sampler};
//! use tracing_subscriber::prelude::*;
//! # use std::{io, sync::{Arc, Mutex}};
//! # #[derive(Clone, Default)]
//! # struct Lines(Arc<Mutex<Vec<u8>>>);
//! # impl io::Write for Lines {
//! #     fn write(&mut self, line: &[u8]) -> io::Result<usize> { self.0.lock().unwrap().write(line) }
//! #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
//! # }
//! # let lines = Lines::default();
//! # let writer = lines.clone();
//! # let layer = spanwise_json::JsonLayer::new().with_writer(move || writer.clone());
//! let sampler: Sampler = "info=0.1,shop::cache=first:1/100,sqlx=5/s".parse()?;
//! let stack = tracing_subscriber::registry()
//!     .with(layer.sampled(sampler.clone()));
//!
//! tracing::subscriber::with_default(stack, || {
//!     for order in 1..=101 {
//!         tracing::info!(target: "shop::cache", order, "cache miss");
//!     }
//!     for attempt in 0..8 {
//!         tracing::info!(target: "sqlx::query", attempt, "slow");
//!     }
//!     sampler.emit_summaries(); // at the end of the program, before the outputs are flushed
//! });
//! # let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
//! # let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
//! // {…,"message":"cache miss","order":1}
//! // {…,"message":"cache miss","order":101,"sample_rate":0.01}
//! // … and then five of the eight queries, and
//! // {…,"level":"INFO","target":"sqlx::query","message":"events suppressed","suppressed":3,"callsite":"src/main.rs:22","first":"2026-…
//! assert_eq!((&lines[0]["order"], &lines[1]["order"]), (&1.into(), &101.into()));
//! assert_eq!(lines[1]["sample_rate"], 0.01);
//! assert_eq!(lines[7]["message"], "events suppressed");
//! assert_eq!(lines[7]["suppressed"], 3);
//! # assert_eq!(lines.len(), 8);
//! # Ok::<(), spanwise_sample::SampleError>(())
//! ```
//!
//! In code, rules can look at values too, and sinks can share a sampler:
//!
//! ```
//! use spanwise_core::{ContextLayer, LayerExt};
//! use spanwise_sample::{EventMatcher, Limit, Rate, SampleExt, Sampler};
//! use tracing_subscriber::prelude::*;
//!
//! let sampler = Sampler::builder()
//!     .rule(EventMatcher::field("tenant_id", "acme"), Limit::keep())
//!     .rule(EventMatcher::target("shop::api"), Rate::per_second(100).burst(500).per_value_of("tenant_id"))
//!     .rule(EventMatcher::any(), Limit::ratio(0.25)?)
//!     .build();
//! # let (stdout, file) = (spanwise_json::JsonLayer::new().with_writer(std::io::sink), spanwise_json::JsonLayer::new().with_writer(std::io::sink));
//! let stack = tracing_subscriber::registry()
//!     .with(ContextLayer::default())
//!     .with(stdout.sampled(sampler.clone()))
//!     .with(file.sampled(sampler.clone()));
//!
//! tracing::subscriber::with_default(stack, || {
//!     let _request = tracing::info_span!("request", tenant_id = "acme").entered();
//!     tracing::info!("of a tenant whose events are all kept");
//! });
//! assert_eq!(sampler.stats().to_string(), "2 kept, 0 sampled out, 0 suppressed");
//! # Ok::<(), spanwise_sample::SampleError>(())
//! ```
//!
//! # EventMatcher to use it
//!
//! Where a sink costs by the line, and the tenth line says what the others do. The choice is made when an event is seen, and is not revised ([head
//! sampling]): whether the request will fail is not known then.
//! For the lines of the requests that fail there is the [`recorder`].
//!
//! It does **not** drop spans, sample traces, or decide for other sinks: whatever is not wrapped gets everything.
//!
//! # Behaviour
//!
//! * **ERROR and WARN are exempt**, unless a rule names their level.
//! * **The first rule that is about an event decides.** In the text of a setting, the most specific word is the first.
//! * **A request is kept whole or not at all** by a [`ratio`]: the choice follows its trace id as OpenTelemetry's consistent sampling does, else its
//!   request id, so that other processes make the same one. Only events outside of both are random.
//! * **Limits are per callsite**, and count at the callsite itself; so do records of the `log` crate, which share one callsite a level only behind `tracing-log`, for each rule. With
//!   [`Rate::per`] they are per value too, of at most 10,000 pairs of callsite and value a rule.
//! * **Nothing is lost in silence**: see [`Sampled`] for how what is shown counts what was logged, and [`SamplerStats`].
//! * **A summary waits for an event.** It is told when its period is over and the next event reaches the sink, or by [`Sampler::emit_summaries`]: call that at the
//!   end. A layer that is dropped before complains on stderr.
//! * **SinkRegistry that share a sampler agree**: an event that reaches several is decided about, and counted against a limit, once. What `sample_rate` and
//!   `suppressed` say is of the sink's own events, where a filter keeps some of them from it.
//! * **Cost**: about 10 ns for an event that is kept by a ratio, in a request or not, and 15 ns with a limit. Nothing is allocated.
//! * **Limits are exact by the clock they go by**, which is some milliseconds late if what they measure takes a tenth of a second or more.
//!
//! # Settings
//!
//! [`Sampler`] reads what `LOG_SAMPLE` says, and has the table of its words.
//!
//! # Troubleshooting
//!
//! *Lines of one request are there in part*: its id is recorded after its first events, or no [`ContextLayer`](spanwise_core::ContextLayer) is installed. *A
//! setting has no effect on warnings*: they are exempt; name them, `warn=0.5`. *A layer is not sampled, says a complaint on stderr*: write
//! `layer.sampled(…).with_filter(…)`, the filter last.
//!
//! [head sampling]: https://opentelemetry.io/docs/concepts/sampling/#head-sampling

mod decision_cache;
mod error;
mod event_matcher;
mod field_text;
mod keys;
mod limit;
mod limiter;
mod limiter_clock;
mod lru_buckets;
mod owner;
mod parse;
mod plan;
pub mod recorder;
mod sampled;
mod sampler;
mod share;
mod sink_registry;
mod summary;
mod suppression;
mod trace_cache;

use spanwise_core::consistent_sampling;

pub use error::SampleError;
pub use event_matcher::EventMatcher;
pub use limit::{First, Limit, Rate};
pub use recorder::{
    CancellationGuard, Recorded, Recorder, RecorderBuilder, RecorderLine, RecorderStats,
    RecorderWriter, detect_cancellation, dump_current_unit,
};
pub use sampled::{SampleExt, Sampled};
pub use sampler::{Sampler, SamplerBuilder};
pub use suppression::SamplerStats;
