//! A flight recorder: it writes DEBUG lines only for requests that fail.
//!
//! ```
//! use spanwise_core::LevelLayer;
//! use spanwise_json::JsonLayer;
//! use spanwise_recorder::Recorder;
//! use tracing_subscriber::prelude::*;
//!
//! # #[allow(dead_code)]
//! # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/mod.rs")); }
//! # let lines = support::Lines::default();
//! # let stdout = lines.clone();
//! let recorder = Recorder::default();
//! let levels = LevelLayer::new("info".parse()?).capture(recorder.levels());
//! let json = recorder.sink(stdout, levels.handle(), |writer| JsonLayer::new().with_writer(writer));
//! let _default = tracing_subscriber::registry().with(json).with(levels).set_default();
//!
//! for order in [41, 42] {
//!     let _request = tracing::info_span!("request", order).entered();
//!     tracing::debug!(rows = order - 41, "looked up");
//!     if order == 41 {
//!         tracing::error!("no such order");
//!     }
//! }
//! # let header = "flight recorder: buffered events of this request follow";
//! # assert_eq!(lines.messages(), [header, "looked up", "no such order"]);
//! // Order 42 exists, so its line is dropped.
//! let stats = recorder.stats();
//! assert_eq!((stats.captured, stats.written, stats.forgotten), (2, 1, 1));
//! # Ok::<(), spanwise_core::ParseError>(())
//! ```
//!
//! prints (without the targets)
//!
//! ```json
//! {"timestamp":"…310Z","level":"INFO","message":"flight recorder: buffered events of this request follow","reason":"error","records":1,"evicted":0,"order":41,"span":"request"}
//! {"timestamp":"…101Z","level":"DEBUG","message":"looked up","rows":0,"order":41,"span":"request","buffered":true}
//! {"timestamp":"…305Z","level":"ERROR","message":"no such order","order":41,"span":"request"}
//! ```
//!
//! # When to use it
//!
//! Use the recorder if you need the DEBUG lines of a failed request, but cannot write the DEBUG
//! lines of all requests. The recorder wraps a layer that writes lines, such as `JsonLayer`, `fmt`
//! or a console. A *sink* is such a layer with its output. The recorder does not work with layers
//! that send events elsewhere. Wrap such a layer in
//! [`LayerExt::without_captured`](spanwise_core::LayerExt::without_captured), so that it receives
//! the same events as without a recorder.
//!
//! # Units of work
//!
//! A unit of work is a root span and its descendants on all threads. So a spawned task belongs to
//! the unit if it is instrumented with one of these spans. A span whose callsite has a field
//! `spanwise.unit` starts a separate unit inside another unit. For example, the span of a message
//! is a unit inside the span of the loop that consumes messages. The recorder does not read the
//! value of the field, and `Empty` keeps the field out of the lines:
//!
//! ```
//! # #[allow(dead_code)]
//! # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/mod.rs")); }
//! # let (_default, lines) = support::start();
//! use tracing::field::Empty;
//!
//! let _consumer = tracing::info_span!("consumer").entered();
//! for n in 0..3 {
//!     let _message = tracing::info_span!("message", n, spanwise.unit = Empty).entered();
//!     tracing::debug!("parsed");
//!     if n == 1 {
//!         tracing::error!("refused");
//!     }
//! }
//! assert_eq!(lines.values_of("n"), ["1", "1", "1"]); // the header, "parsed", "refused"
//! ```
//!
//! # Triggers
//!
//! The wrapped layer also receives events that are below the level of the sink but at a
//! [captured](RecorderBuilder::capture) level. The line of such an event goes to the buffer of the
//! unit instead of the output. Layers of spanwise add `"buffered":true` to such a line. A trigger
//! *dumps* the unit: the sink writes a header, which states the `reason`, and then the buffer:
//!
//! | `reason` | |
//! | --- | --- |
//! | `error` | An event at ERROR in the unit. The buffer is written before that event. |
//! | `status` | A span of the unit has an HTTP status from 500 to 599, in `http.response.status_code`, `http.status_code`, `status` or `status_code`, or `otel.status_code` is `ERROR`. |
//! | `slow` | The unit has the age of [`slow`](RecorderBuilder::slow). It is dumped before its next event, or when it ends. |
//! | `panic` | A panic hook logs a panic at ERROR, or a panic leaves a span of the unit. |
//! | `cancelled` | The future of the unit is dropped early, inside [`detect_cancellation`] or with a [`CancellationGuard`]. Or a span of the unit records `spanwise.cancelled = true`. |
//! | `requested` | Code calls [`dump_current_unit`]. |
//! | `expired` | The unit was buffered for [tail sampling](#tail-sampling), and is 30 s old. |
//!
//! After a trigger other than `expired`, all events of the unit at captured levels are written
//! immediately. If a unit ends without a trigger, its lines are dropped. If a unit had no line to
//! buffer, a trigger writes no header.
//!
//! Events outside of units share one buffer. It is written when a panic is logged anywhere.
//!
//! The lines of one unit are in order, even if several threads log in the unit. While one thread
//! writes the buffer, the lines of other threads wait, and are written after it. If thousands of
//! lines arrive faster than the output accepts them, some may be written earlier. An event at a
//! level that the sink shows may appear between buffered lines.
//!
//! # Buffered values
//!
//! Most layers encode and redact a line before the recorder buffers it. `JsonLayer` encodes and
//! redacts a buffered line only for a dump. Until then, the buffer has the values of the event,
//! which are not redacted: numbers, copies of texts, and the output of each `Debug`, which runs
//! when the event happens. Values under keys that the policy of the layer redacts are not stored.
//! The line is the same as if it had been encoded at once: it has the time of its event, and the
//! fields that its spans had at that time. The `Debug` output of the types of this crate shows no
//! values.
//!
//! # Tail sampling
//!
//! With [`tail`](RecorderBuilder::tail), the recorder also buffers events that the sink shows, if
//! they are at INFO or at a more verbose level. It writes these events if a trigger fires, and for
//! a ratio of the other units:
//!
//! ```
//! # #[allow(dead_code)]
//! # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/mod.rs")); }
//! use spanwise_recorder::Recorder;
//!
//! # let (dispatch, lines, ..) = support::stack(Recorder::builder().tail(0.0)?);
//! # let _default = tracing::dispatcher::set_default(&dispatch);
//! # stringify! {
//! let recorder = Recorder::builder().tail(0.01)?.build();
//! # };
//! for order in [41, 42] {
//!     let _request = tracing::info_span!("request", order).entered();
//!     tracing::info!("received");
//!     if order == 41 {
//!         tracing::error!("no such order");
//!     }
//! }
//! // The lines of order 42 are shown in one of a hundred cases.
//! assert_eq!(lines.messages()[1..], ["received", "no such order"]);
//! # Ok::<(), spanwise_core::ParseError>(())
//! ```
//!
//! * Events at WARN and above, and events outside of units, are written immediately.
//! * The trace id of a unit, or else its request id, decides whether the unit is sampled. The ratio
//!   of a sampler works in the same way. All processes and all samplers with the same ratio choose
//!   the same traces. Without either id, the decision is random. It is made at the first event that
//!   depends on it. Events of a sampled unit are written immediately, but events below the sink's
//!   level are buffered as usual.
//! * A unit expires after 30 s. Its buffer is written at its next event or at its end. Later events
//!   at the sink's level are written immediately. So a program with one span around everything
//!   still writes its lines. Mark the units inside such a span with `spanwise.unit`.
//! * Until a sampled unit fails or expires, its lines have `sample_rate`. To count events, count
//!   each line as 1 / `sample_rate`. Skip `buffered` lines, because the sampled units represent
//!   them.
//! * Buffered events are subject to the [limits](#limits). If the process ends while a unit is
//!   open, the buffered events of the unit are lost, except after a panic.
//! * The recorder reads the clock at each event of a unit.
//!
//! # With a sampler
//!
//! Put a sampler inside the recorder: wrap the layer with it in the closure of [`Recorder::sink`].
//! The sampler can drop events that would be written immediately. It never drops buffered events.
//! If it drops an event at ERROR, the event is still a trigger. With tail sampling, all INFO events
//! of a failed unit are written. Before the failure, the recorder buffers those that the sampler
//! drops. After the failure, the sampler is not consulted. If the sampler and tail sampling decide
//! by the same id, their ratios are not multiplied. For example, with `tail(0.2)` and a sampler
//! ratio of 0.05, the smaller ratio applies, and `sample_rate` is 0.05. The limits of the sampler
//! count the events of all units.
//!
//! ```
//! # #[allow(dead_code)]
//! # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/mod.rs")); }
//! use spanwise_core::{ContextLayer, LayerExt, LevelLayer};
//! use spanwise_json::JsonLayer;
//! use spanwise_recorder::Recorder;
//! use spanwise_sample::{SampleExt, Sampler};
//! use tracing_subscriber::prelude::*;
//!
//! # let lines = support::Lines::default();
//! # let stdout = lines.clone();
//! # let others = support::Lines::default();
//! # let other_layer = JsonLayer::new().with_writer(others.clone());
//! let recorder: Recorder = "debug,slow=1s,tail=0.2".parse()?;
//! let sampler: Sampler = "shop::cache=first:1/100/h,info=0.05".parse()?;
//! let levels = LevelLayer::new("info".parse()?).capture(recorder.levels());
//! let json = recorder.sink(stdout, levels.handle(), |writer| {
//!     JsonLayer::new().with_writer(writer).sampled(sampler.clone())
//! });
//! let _default = tracing_subscriber::registry()
//!     .with(ContextLayer::default())
//!     .with(json)
//!     .with(other_layer.without_captured(levels.handle()))
//!     .with(levels)
//!     .set_default();
//!
//! for (order, request_id) in [(41, "r-41"), (42, "r-42")] {
//!     let _request = tracing::info_span!("request", order, request_id).entered();
//!     tracing::info!("received");
//!     tracing::info!(target: "shop::cache", "miss");
//!     tracing::debug!("looked up");
//!     if order == 42 {
//!         tracing::error!("no such order");
//!     }
//! }
//! # let messages = lines.messages();
//! # let header = "flight recorder: buffered events of this request follow";
//! # assert_eq!(messages, [header, "received", "miss", "looked up", "no such order"]);
//! # let plain = ["received", "miss", "received", "miss", "no such order"];
//! # assert_eq!(others.messages(), plain);
//! // The sampler dropped the second miss, so a summary counts it. The dump wrote it nevertheless.
//! sampler.emit_summaries();
//! assert_eq!(lines.values_of("suppressed"), ["1"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Limits
//!
//! A unit buffers its newest lines, at most 1,000 lines and 64 KiB. If events are buffered as
//! values, the fields of their spans also count. All units together buffer at most 64 MiB. Above
//! 64 MiB, the unit that uses the most memory loses its lines. If several units use the same
//! amount, the unit that reached it first loses its lines. Lines of more than 16 KiB, and events
//! with more than 16 KiB of values, are not buffered. The header has the number of missing lines
//! (`evicted`), and [`Recorder::stats`] counts the missing lines of all units. If a unit loses
//! lines because other units need memory, stderr reports it.
//!
//! Each sink writes at most 10,000 buffered lines per second on average, or in a burst. So a flood
//! of failures, or of requests that clients reset, does not cause a flood of lines. A unit counts
//! as at least 20 lines. Units that were cancelled, slow or expired may use at most half of a
//! burst. Above the limit, a trigger has no effect. The lines stay buffered, and the next trigger
//! tries again. When the unit ends, its lines are dropped, counted (`suppressed`) and reported on
//! stderr. The limit drops no event that is written immediately. See
//! [`RecorderBuilder::max_lines_per_second`].
//!
//! The layer that encodes a buffered line counts the line as delivered. The counters of the
//! recorder are [`RecorderStats`].
//!
//! # Cost
//!
//! An event below the captured levels costs nothing. An event that is written immediately costs
//! 14 % more than without a recorder. Without redaction, a buffered event of a `JsonLayer` costs
//! nearly as much as a written one. With redaction, it costs a quarter less than a written one.
//! Other layers encode a buffered line at once, and the recorder copies it. With a `JsonLayer`, a
//! dump adds the cost of encoding each buffered event. To limit the cost, capture DEBUG instead of
//! TRACE. `cargo bench -p benches --bench recorder` measures these costs for a `JsonLayer`, with
//! and without redaction.
//!
//! # Settings
//!
//! [`Recorder`] and [`RecorderBuilder`] parse the syntax of `LOG_RECORDER`: levels, `slow=1s`,
//! `tail=0.01` and `lines=10000/s`.
//!
//! # Troubleshooting
//!
//! * *Nothing is buffered.* The events are not enabled: pass [`Recorder::levels`] to
//!   [`LevelLayer::capture`](spanwise_core::LevelLayer::capture). Targets that are `off` are not
//!   buffered either.
//! * *Another output shows the DEBUG lines.* Wrap it in
//!   [`LayerExt::without_captured`](spanwise_core::LayerExt::without_captured).
//! * *A unit that failed shows no DEBUG lines.* A filter inside the recorder hides the header from
//!   the layer. Put the filter around the result of [`Recorder::sink`] instead. To detect
//!   cancellation, put the future inside its span: `detect_cancellation(future).instrument(span)`.
//! * *Nothing is sampled.* Put the sampler [inside the recorder](#with-a-sampler).
//! * *The layer writes DEBUG lines of all requests.* The layer does not use the writer that
//!   [`Recorder::sink`] passes to the closure.

mod builder;
mod cancellation;
mod chunk_pool;
mod dump_limit;
mod entered_units;
mod header;
mod layer;
mod parse;
mod record_ring;
mod recorder;
mod recorder_state;
mod size_ranking;
mod trigger;
mod unit;
mod writer;

pub use builder::RecorderBuilder;
#[doc(hidden)]
pub use cancellation::RecorderFinder;
pub use cancellation::{CancellationGuard, detect_cancellation, dump_current_unit};
pub use layer::Recorded;
pub use recorder::{Recorder, RecorderStats};
pub use writer::{RecorderLine, RecorderWriter};
