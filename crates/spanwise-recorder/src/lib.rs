//! A flight recorder: it writes the DEBUG lines of failed requests only.
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
//! // The line of the order that exists is forgotten.
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
//! Use it if an error without its DEBUG lines is a riddle, and the DEBUG lines of all requests are
//! too many. It wraps a layer that writes lines: `JsonLayer`, `fmt`, a console. Do not use it for
//! layers that send events elsewhere. Wrap such layers in
//! [`LayerExt::without_captured`](spanwise_core::LayerExt::without_captured), so that they receive
//! the same events as without a recorder.
//!
//! # Units of work
//!
//! A unit is a root span and its descendants, on any thread: a task that was spawned with the span
//! belongs to it. A span whose callsite has a field `spanwise.unit` starts a unit of its own also
//! inside another one, such as a message inside the loop that consumes messages. The value is not
//! read, and `Empty` keeps it out of the lines:
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
//! An event below the level of the sink, but at a [captured](RecorderBuilder::capture) level, is
//! passed to the layer all the same. The layer encodes the line as usual: redacted, with its own
//! time and span, and with `"buffered":true` if it is a layer of spanwise. The line goes to the
//! buffer of the unit instead of the output. A trigger writes the buffer, with a header that has
//! the `reason`:
//!
//! | `reason` | |
//! | --- | --- |
//! | `error` | An event at ERROR in the unit. The buffer is written before that event. |
//! | `status` | A span of the unit has an HTTP status from 500 to 599, in `http.response.status_code`, `http.status_code`, `status` or `status_code`, or `otel.status_code` is `ERROR`. |
//! | `slow` | The unit is [`slow`](RecorderBuilder::slow): at its next event, or when it ends. |
//! | `panic` | A panic hook logs a panic at ERROR, or a panic leaves a span of the unit. |
//! | `cancelled` | Its future is dropped early: with [`detect_cancellation`], with a [`CancellationGuard`], or if it records `spanwise.cancelled = true`. |
//! | `requested` | Code calls [`dump_current_unit`]. |
//! | `expired` | It was buffered for [tail sampling](#tail-sampling), and is 30 s old. |
//!
//! From then on the events of the unit pass through: those at captured levels are shown at once. A
//! unit that ends without a trigger is forgotten. A unit without buffered lines has no header.
//!
//! Events outside of units are buffered too, in one place for all. It is written when a panic is
//! logged anywhere.
//!
//! Lines of one unit are in order, also if several threads log in it. A line that one thread logs
//! while another one writes the buffer comes after the buffer, unless thousands of lines arrive
//! faster than the output takes them. An event that is shown at its level may come in between.
//!
//! # Tail sampling
//!
//! With [`tail`](RecorderBuilder::tail), events at INFO and below that the sink shows are buffered
//! too. They are shown if a trigger fires, and for a ratio of the other units:
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
//! * Events at WARN and above, and events outside of units, are shown at once.
//! * The sampled units follow the trace id, or else the request id, as the ratio of a sampler does.
//!   All processes, and all samplers with that ratio, choose the same traces. Without an id the
//!   decision is random. It is made at the first event that depends on it. Events of a sampled unit
//!   are shown at once; events below the sink's level are buffered as usual.
//! * A unit that is 30 s old expires: it is written at its next event or when it ends, and later
//!   events at the sink's level are shown at once. So a program with one span around everything
//!   does not go silent. Mark the units inside it with `spanwise.unit`.
//! * A line of a sampled unit has `sample_rate`, until the unit fails or expires. To count events,
//!   count each line as 1 / `sample_rate`, and skip `buffered` lines: the sampled units represent
//!   them.
//! * Buffered events are subject to the [limits](#limits). They are lost if the process ends while
//!   the unit is open, other than by a panic.
//! * The clock is read at each event of a unit.
//!
//! # With a sampler
//!
//! A sampler belongs inside the recorder, around the layer that [`Recorder::sink`] is given. It
//! drops events that would be shown, and never buffered ones. An event at ERROR that it drops is
//! still a trigger. With tail sampling it drops nothing of a unit that fails: INFO events that it
//! drops are buffered like the others, and after the failure it is not consulted. If both follow
//! the same id, their ratios are not multiplied: with `tail(0.2)` and a ratio of 0.05, the smaller
//! one counts, and is the `sample_rate`. Limits count the events of all units.
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
//! let sampler: Sampler = "shop::cache=first:1,info=0.05".parse()?;
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
//! // The second miss was dropped, buffered, shown, and is counted here.
//! sampler.emit_summaries();
//! assert_eq!(lines.values_of("suppressed"), ["1"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Limits
//!
//! The newest 64 KiB and 1,000 lines are buffered per unit, and 64 MiB for all units. Above that,
//! the unit that holds most memory loses its lines; of several equal ones, the one that has held as
//! much for the longest time. Lines of more than 16 KiB are not buffered. The header has the number
//! of missing lines (`evicted`), and [`Recorder::stats`] counts the missing lines of all units. If
//! a unit loses lines because other units need memory, stderr reports it.
//!
//! Each sink writes at most 10,000 buffered lines per second, so that a flood of failures, or of
//! requests that clients reset, does not become a flood of lines. A unit counts as at least 20
//! lines. Units that were cancelled, slow or expired leave half of the lines that may be written at
//! once to the others. Above the limit, a trigger has no effect: the lines stay buffered and the
//! next trigger tries again. When the unit ends they are dropped, counted (`suppressed`) and
//! reported on stderr. Events that the sink shows are shown in any case. See
//! [`RecorderBuilder::max_lines_per_second`].
//!
//! A buffered line counts as delivered in the layer that made it. The recorder has counters of its
//! own: [`RecorderStats`].
//!
//! # Cost
//!
//! An event below the captured levels costs nothing, and one that is shown costs a tenth more. A
//! buffered event costs as much as encoding its line, and three tenths of that for the buffer,
//! without an allocation. It is encoded even if it is never written: capture DEBUG, not TRACE. The
//! figures are those of `cargo bench -p benches --bench recorder`.
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
//!   the layer: wrap the result of [`Recorder::sink`] instead. To detect cancellation, put the
//!   future inside its span: `detect_cancellation(future).instrument(span)`.
//! * *Nothing is sampled.* The sampler belongs [inside the recorder](#with-a-sampler).
//! * *The layer shows DEBUG lines itself.* It does not write to the writer that [`Recorder::sink`]
//!   gave it.

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
pub use cancellation::{CancellationGuard, detect_cancellation, dump_current_unit};
pub use layer::Recorded;
pub use recorder::{Recorder, RecorderStats};
pub use writer::{RecorderLine, RecorderWriter};
