//! The recorder, and the statistics of its records.

use std::{fmt, sync::Arc};

use spanwise_core::{Levels, SinkFilter, TargetLevels};

use crate::{
    Recorded, RecorderBuilder, RecorderFinder, RecorderWriter,
    recorder_state::{RecorderState, SinkState},
};

/// Buffers the events that its sinks do not show, per unit of work. Cheap to clone: clones share
/// their state. See the [crate docs](crate).
#[derive(Debug, Clone)]
pub struct Recorder {
    pub(crate) state: Arc<RecorderState>,
}

impl Recorder {
    /// Creates a builder with the defaults.
    pub fn builder() -> RecorderBuilder {
        RecorderBuilder::default()
    }

    /// Returns the levels of the buffered events, for
    /// [`LevelLayer::capture`](spanwise_core::LevelLayer::capture).
    #[must_use]
    pub fn levels(&self) -> TargetLevels {
        self.state.options.capture.clone()
    }

    /// Returns whether the recorder can buffer an event if its sinks show `levels`. It can if it
    /// captures events that are more verbose than `levels`, or if it uses [tail
    /// sampling](crate#tail-sampling).
    #[must_use]
    pub fn captures_beyond(&self, levels: &Levels) -> bool {
        self.state.options.tail.is_some() || self.state.options.capture.exceed(levels)
    }

    /// Creates a sink. The function `layer` receives a writer, and returns a layer that writes its
    /// lines to this writer. The recorder wraps the layer. The sink shows the events that
    /// `sink_filter` selects, usually the [`LevelHandle`](spanwise_core::LevelHandle) of the stack.
    /// Shown lines go to the output of `make_writer` at once. Buffered lines go there if their unit
    /// is dumped.
    ///
    /// Each sink has its own buffers and its own limit of dumped lines. It dumps a unit when its
    /// layer receives the trigger. All sinks share the limit of memory.
    ///
    /// The layer must write only to this writer. Another writer would receive lines that should be
    /// buffered, or miss lines of a dump. The function may wrap its layer, as in `|writer|
    /// fmt.with_writer(writer).redacted(policy).sampled(sampler)`. It must not add a filter:
    /// express the levels of the sink with the [`SinkFilter`], and put other filters around the
    /// returned layer.
    pub fn sink<W, L>(
        &self,
        make_writer: W,
        sink_filter: impl Into<SinkFilter>,
        layer: impl FnOnce(RecorderWriter<W>) -> L,
    ) -> Recorded<L> {
        let sink = SinkState::new(&self.state);
        let inner = layer(RecorderWriter::new(Arc::clone(&sink), make_writer));
        Recorded::new(inner, sink, sink_filter.into())
    }

    /// Returns a layer by which [`dump_current_unit`](crate::dump_current_unit) and
    /// [`CancellationGuard`](crate::CancellationGuard) find the recorder. Only for a stack whose
    /// `downcast_raw` does not reach the layers of the sinks.
    #[doc(hidden)]
    #[must_use]
    pub fn finder(&self) -> RecorderFinder {
        RecorderFinder(Arc::clone(&self.state))
    }

    /// Returns the counts of the records so far.
    #[must_use]
    pub fn stats(&self) -> RecorderStats {
        self.state.counters.stats(&self.state.pool)
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::builder().build()
    }
}

/// Counts of the records of a recorder. Each captured record is still [held](Self::held), or was
/// written, forgotten, evicted, oversize, suppressed or failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecorderStats {
    /// Events that a sink had to buffer. An event that two sinks buffer counts twice.
    pub captured: u64,
    /// Written with a dump of their unit.
    pub written: u64,
    /// Dropped when their unit ended without a trigger.
    pub forgotten: u64,
    /// Dropped because their unit was full, or because all units together had filled their memory.
    pub evicted: u64,
    /// Too long to be buffered.
    pub oversize: u64,
    /// Dropped because dumps exceeded
    /// [`max_lines_per_second`](RecorderBuilder::max_lines_per_second).
    pub suppressed: u64,
    /// Not written, because the output refused them, or because the writer or the layer panicked.
    pub failed: u64,
    /// Bytes of memory that the buffers of units occupy.
    pub memory: usize,
}

impl RecorderStats {
    /// Returns the number of records that are still buffered.
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

/// Writes `648 buffered, 12 written, 630 forgotten, 6 evicted, 0 too long, 0 suppressed, 0 failed,
/// 0 held in 0 bytes`.
impl fmt::Display for RecorderStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} buffered, {} written, {} forgotten, {} evicted, {} too long, {} suppressed, {} \
             failed, {} held in {} bytes",
            self.captured,
            self.written,
            self.forgotten,
            self.evicted,
            self.oversize,
            self.suppressed,
            self.failed,
            self.held(),
            self.memory,
        )
    }
}
