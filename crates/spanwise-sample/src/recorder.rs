//! The flight recorder: the DEBUG lines of the requests that fail, and of no other.

mod ages;
mod builder;
mod guard;
mod header;
mod layer;
mod line;
mod local;
mod memory;
mod reason;
mod ring;
mod shared;
mod unit;
mod writer;

use std::sync::Arc;

use spanwise_core::{Emission, TargetLevels};

pub use builder::RecorderBuilder;
pub use guard::{UnitGuard, flush_unit, watch};
pub use layer::Recorded;
use shared::{Shared, Sink};
pub use writer::{RecorderLine, RecorderWriter};

/// Keeps what is below the level of its sinks, unit by unit. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
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

    /// A layer that writes lines, made by `layer` with the writer it is given, and stood behind the recorder. What it shows is what `emission`
    /// says, usually the [`LevelHandle`](spanwise_core::LevelHandle) of the stack; what it keeps goes to the output of `make_writer` too, if
    /// it goes anywhere.
    ///
    /// Each sink keeps lines of its own, and writes them when it sees the reason itself. Their limits are those of the recorder together.
    ///
    /// A layer of which the lines do not go to that writer would show what it should keep. `layer` may wrap it:
    /// `|writer| fmt.with_writer(writer).redacted(policy)`; not in a filter, though: what it kept from the layer would be kept by nobody.
    pub fn sink<W, L>(
        &self,
        make_writer: W,
        emission: impl Into<Emission>,
        layer: impl FnOnce(RecorderWriter<W>) -> L,
    ) -> Recorded<L> {
        let sink = Sink::new(&self.shared);
        let inner = layer(RecorderWriter::new(Arc::clone(&sink), make_writer));
        Recorded::new(inner, sink, emission.into())
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

/// Records at one moment: what was captured was written, forgotten, evicted, too long, or failed, or is still [held](Self::held).
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
    /// Refused by the output.
    pub failed: u64,
    /// Bytes of memory that units hold.
    pub memory: usize,
}

impl RecorderStats {
    /// Records that wait for what becomes of their unit.
    #[must_use]
    pub fn held(&self) -> u64 {
        let settled = self.written + self.forgotten + self.evicted + self.oversize + self.failed;
        self.captured.saturating_sub(settled)
    }
}
