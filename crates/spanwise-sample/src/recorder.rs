//! The flight recorder: the DEBUG lines of the requests that fail, and of no other.
//!
//! ```
//! use spanwise_core::LevelLayer;
//! use spanwise_json::JsonLayer;
//! use spanwise_sample::Recorder;
//! use tracing_subscriber::prelude::*;
//!
//! # #[allow(dead_code)] mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorder_support/mod.rs")); }
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
//! let messages = ["what was kept of a unit of work follows", "looked up", "no such order"];
//! assert_eq!(lines.messages(), messages);
//! let stats = "2 kept, 1 written, 1 forgotten, 0 evicted, 0 too long, 0 suppressed, 0 refused, 0 held in 0 bytes";
//! assert_eq!(recorder.stats().to_string(), stats); // forgotten: of the order that was there
//! # Ok::<(), spanwise_core::LevelsError>(())
//! ```
//!
//! prints (without the targets)
//!
//! ```json
//! {"timestamp":"…12.000310Z","level":"INFO","message":"what was kept of a unit of work follows","reason":"error","records":1,"evicted":0,"order":41,"span":"request"}
//! {"timestamp":"…12.000101Z","level":"DEBUG","message":"looked up","rows":0,"order":41,"span":"request","buffered":true}
//! {"timestamp":"…12.000305Z","level":"ERROR","message":"no such order","order":41,"span":"request"}
//! ```
//!
//! Use it where an error without its DEBUG lines is a riddle, and DEBUG lines of everything are too many. It stands before one layer that
//! writes lines: `JsonLayer`, `fmt`, a console. It is not for layers that send events elsewhere, and decides nothing for them: wrap
//! them with [`LayerExt::without_captured`](spanwise_core::LayerExt::without_captured), so that they see what they would see without a recorder.
//!
//! # A unit of work
//!
//! A root span and all under it, on whatever thread: a task that was spawned with the span belongs to it. A span whose callsite has a field
//! `spanwise.unit` is a unit of its own also inside another, such as a message inside the loop that consumes them; the value is not
//! looked at, and `Empty` keeps it out of the lines:
//!
//! ```
//! # #[allow(dead_code)] mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorder_support/mod.rs")); }
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
//! assert_eq!(lines.all("n"), ["1", "1", "1"]); // the header, "parsed", "refused"
//! ```
//!
//! # What is kept, and when it is written
//!
//! An event that the sink does not show, but that is of a [captured](RecorderBuilder::capture) level, is handed to the layer all the same: it
//! encodes the line as ever, redacted and with its own time and span, and marked `"buffered":true` if the layer is one of spanwise's. The
//! line goes into the unit's memory instead of the output. From there it is written, behind a header that says why, when
//!
//! | `reason` | |
//! | --- | --- |
//! | `error` | an event at ERROR is in the unit: before that event |
//! | `status` | a span of the unit has, or gets, `http.response.status_code`, `http.status_code`, `status` or `status_code` from 500 to 599, or `otel.status_code` `ERROR` |
//! | `slow` | it takes as long as [`slow`](RecorderBuilder::slow): with the next event in it, or when it ends |
//! | `panic` | a panic is logged by a panic hook at ERROR, or leaves a span of the unit |
//! | `cancelled` | its future is dropped before it is done: of one that is [watched](detect_cancellation), has a [`CancellationGuard`], or records `spanwise.cancelled = true` |
//! | `asked` | code [asks for it](dump_current_unit) |
//! | `old` | it is held for [tail sampling](#tail-sampling), and 30 s old |
//!
//! From then to its end the unit writes through: its events of captured levels are shown at once. A unit that ends quietly is forgotten.
//! A unit of which nothing was kept has no header.
//!
//! Events in no unit are kept, too, in one place for all; it is written when a panic is logged, wherever that is.
//!
//! Lines of one unit are in order, also where several threads log in it: what one logs while another writes what was kept comes after it,
//! unless that is thousands of lines more than the output takes meanwhile. An event that is shown at its level may come between them.
//!
//! # Tail sampling
//!
//! With [`tail`](RecorderBuilder::tail) the sinks' own events at INFO and below are held, too, and shown only of units that fail or are slow, and
//! of a share of the others: the lines that tell something, and a sample of those that tell that all is well.
//!
//! ```
//! # #[allow(dead_code)] mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorder_support/mod.rs")); }
//! use spanwise_sample::Recorder;
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
//! // Of 42 there is a line in one case of a hundred.
//! assert_eq!(lines.messages(), ["what was kept of a unit of work follows", "received", "no such order"]);
//! # Ok::<(), spanwise_sample::SampleError>(())
//! ```
//!
//! * Events at WARN and above, and events in no unit, are shown at once, as ever.
//! * Which units are chosen follows the trace id, or else the request id, as with [`ratio`](crate::Limit::ratio): each process, and each
//!   sampler of that share, chooses the same traces. Without either it is random. It is decided at the first event that depends
//!   on it. The events of a chosen unit are shown at once; what is below the sink's level is kept as in any unit.
//! * A unit that is 30 s old waits no longer: it is written, with the next event in it or when it ends, and from then on what is shown at its
//!   level is shown at once. So a program with a span around all of it does not go silent; mark the units within by `spanwise.unit`.
//! * A line that is shown because its unit was chosen has `sample_rate`; none has it after the unit failed or was 30 s old. To count events, count
//!   each line 1 / `sample_rate` times, and none that is `buffered`: those are counted by the units that were chosen.
//! * What is held is subject to the [limits](#limits), and lost with a process that ends while its unit is open, other than by a panic.
//! * The clock is read at each event of a unit of which something is held, or that is chosen.
//!
//! # With a sampler
//!
//! A [sampler](crate::Sampler) belongs inside of the recorder, around the layer that [`Recorder::sink`] is given. It leaves out of what is shown,
//! and nothing of what is kept; an event at ERROR that it leaves out is a reason all the same. With tail sampling it also leaves nothing out of a
//! unit that fails: what it would have left out at INFO and below is held as the rest is, and from the failure on it is not asked. Where both
//! follow the same id their shares are not multiplied: of `tail(0.2)` and `Limit::ratio(0.05)` the smaller one is shown, and `sample_rate` says so.
//! A limit counts the events of all units, of which those of the chosen are shown.
//!
//! ```
//! # #[allow(dead_code)] mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorder_support/mod.rs")); }
//! use spanwise_core::{ContextLayer, LayerExt, LevelLayer};
//! use spanwise_json::JsonLayer;
//! use spanwise_sample::{Recorder, SampleExt, Sampler};
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
//!     .with(other_layer.without_captured(levels.handle())) // sees what it would see without them
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
//! sampler.emit_summaries(); // at the end of the program, before the outputs are flushed
//! let of_42 = ["what was kept of a unit of work follows", "received", "miss", "looked up", "no such order"];
//! assert_eq!(lines.messages()[..5], of_42);
//! # assert_eq!(others.messages(), ["received", "miss", "received", "miss", "no such order"]);
//! assert_eq!(lines.all("suppressed"), ["1"]); // the second miss: it is kept, and shown, and counted here
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Limits
//!
//! Of a unit, the newest 64 KiB and 1,000 lines are kept, of all units 64 MiB. When that is full,
//! the unit that holds most memory loses its lines; of several that hold as much, the one that has
//! held it for the longest time. A line of more than 16 KiB is not kept. The header says how many
//! lines are missing (`evicted`), [`Recorder::stats`] of all units, and stderr if units took memory
//! from each other.
//!
//! Each sink writes at most 10,000 lines of units in a second, so that a flood of failures, or of
//! requests that clients reset, does not become a flood of lines. A unit counts as 20 lines at
//! least. Units that were cancelled, slow or old leave half of what may be written at once to the
//! others. Above the limit, a unit is treated as if nothing had happened in it: its lines stay
//! buffered, the next reason tries again, and at its end they are dropped, counted (`suppressed`)
//! and reported on stderr. The events that its sink shows are shown in any case. See
//! [`RecorderBuilder::max_lines_per_second`].
//!
//! A line that was kept counts as delivered to the recorder with the layer that made it; what became of it then is in the recorder's
//! [counters](RecorderStats).
//!
//! # Cost
//!
//! Nothing for an event below the captured levels, and a tenth of its cost for one that is shown. One that is kept costs what its line costs
//! to encode, and three tenths of that to keep, with no allocation. It is encoded whether or not it is written: capture
//! DEBUG, not TRACE. The figures are those of `cargo bench -p benches --bench recorder`.
//!
//! # Troubleshooting
//!
//! * *Nothing is kept.* The events are not enabled: give [`Recorder::levels`] to [`LevelLayer::capture`](spanwise_core::LevelLayer::capture).
//!   A target that is `off` is not kept either.
//! * *Another output shows the DEBUG lines.* It needs [`LayerExt::without_captured`](spanwise_core::LayerExt::without_captured).
//! * *A unit that failed shows none.* A filter inside of the recorder keeps the header from the layer: wrap what [`Recorder::sink`]
//!   returns, not what it is given. And a future is watched inside of its span: `detect_cancellation(future).instrument(span)`.
//! * *Nothing is sampled.* A sampler belongs [inside](#with-a-sampler).
//! * *The layer shows them itself.* It does not write to the writer that [`Recorder::sink`] gave it.

mod builder;
mod cancellation;
mod chunk_pool;
mod dump_limit;
mod header;
mod layer;
mod line;
mod local;
mod parse;
mod record_ring;
mod recorder_state;
mod size_ranking;
mod trigger;
mod unit;
mod writer;

use std::{fmt, sync::Arc};

use spanwise_core::{Levels, SinkFilter, TargetLevels};

pub use builder::RecorderBuilder;
pub use cancellation::{CancellationGuard, detect_cancellation, dump_current_unit};
pub use layer::Recorded;
pub(crate) use line::{keep_instead, plainly};
pub(crate) use recorder_state::RecorderState;
use recorder_state::SinkState;
pub use writer::{RecorderLine, RecorderWriter};

/// Keeps what is below the level of its sinks, unit by unit. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    shared: Arc<RecorderState>,
}

impl Recorder {
    /// Chooses what is kept, and how much of it.
    pub fn builder() -> RecorderBuilder {
        RecorderBuilder::default()
    }

    /// The levels of what is kept: for [`LevelLayer::capture`](spanwise_core::LevelLayer::capture).
    #[must_use]
    pub fn levels(&self) -> TargetLevels {
        self.shared.options.capture.clone()
    }

    /// Whether it may keep anything that `levels` do not show: by the levels of what it keeps, or by [tail](RecorderBuilder::tail) sampling.
    #[must_use]
    pub fn captures_beyond(&self, levels: &Levels) -> bool {
        self.shared.options.tail.is_some() || self.shared.options.capture.exceed(levels)
    }

    /// A layer that writes lines, made by `layer` with the writer it is given, and stood behind the recorder. What it shows is what `sink_filter`
    /// says, usually the [`LevelHandle`](spanwise_core::LevelHandle) of the stack; what it keeps goes to the output of `make_writer` too, if
    /// it goes anywhere.
    ///
    /// Each sink keeps lines of its own, and writes them when it sees the reason itself. Their limits are those of the recorder together.
    ///
    /// A layer of which the lines do not go to that writer would show what it should keep. `layer` may wrap it, as in
    /// `|writer| fmt.with_writer(writer).redacted(policy).sampled(sampler)`, but in nothing else that keeps events from it: levels of the
    /// sink's own belong into the [`SinkFilter`], a filter around what is returned.
    pub fn sink<W, L>(
        &self,
        make_writer: W,
        sink_filter: impl Into<SinkFilter>,
        layer: impl FnOnce(RecorderWriter<W>) -> L,
    ) -> Recorded<L> {
        let sink = SinkState::new(&self.shared);
        let inner = layer(RecorderWriter::new(Arc::clone(&sink), make_writer));
        Recorded::new(inner, sink, sink_filter.into())
    }

    /// What became of what was kept so far.
    #[must_use]
    pub fn stats(&self) -> RecorderStats {
        self.shared.counters.stats(&self.shared.memory)
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::builder().build()
    }
}

/// Records at one moment: what was captured was written, forgotten, evicted, too long, suppressed,
/// or failed, or is still [held](Self::held).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecorderStats {
    /// Events that were not shown when they happened, but encoded.
    pub captured: u64,
    /// Of units in which something happened.
    pub written: u64,
    /// Of units that ended quietly.
    pub forgotten: u64,
    /// That left for newer ones, of their unit or of all.
    pub evicted: u64,
    /// Too long to be kept.
    pub oversize: u64,
    /// Of units that failed when [as many lines as may be](RecorderBuilder::max_lines_per_second)
    /// had been written in that second.
    pub suppressed: u64,
    /// Refused by the output.
    pub failed: u64,
    /// Bytes of memory that units hold.
    pub memory: usize,
}

impl RecorderStats {
    /// Records that wait for what becomes of their unit.
    #[must_use]
    pub fn held(&self) -> u64 {
        let settled = self.written
            + self.forgotten
            + self.evicted
            + self.oversize
            + self.suppressed
            + self.failed;
        self.captured.saturating_sub(settled)
    }
}

impl fmt::Display for RecorderStats {
    /// `648 kept, 12 written, 630 forgotten, 6 evicted, 0 too long, 0 suppressed, 0 refused, 0 held in 0 bytes`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            captured,
            written,
            forgotten,
            evicted,
            oversize,
            suppressed,
            failed,
            memory,
        } = self;
        write!(
            f,
            "{captured} kept, {written} written, {forgotten} forgotten, {evicted} evicted, {oversize} too long, {suppressed} suppressed, {failed} refused, {} held in {memory} bytes",
            self.held()
        )
    }
}
