//! Events that a recorder buffers as values, and that their layer encodes only for a dump.
//!
//! Most buffered events are never written, so encoding and redacting their lines would be wasted
//! work. If a layer can encode lines later, it passes an [`UnencodedEvent`] to the recorder. A dump
//! writes the buffered events of a unit of work after a header. When the header is written, the
//! recorder's writer passes the [`DumpedRecords`] back to the layer. The layer then encodes and
//! writes them one after another.
//!
//! *Invariant:* the values are not redacted. Only their layer reads them, and no `Debug` shows
//! them.

use std::{any::Any, fmt, io, sync::Arc};

use tracing_core::Metadata;

use super::EnteredLine;
use crate::internal::LayerId;

/// An event whose line is not encoded yet.
pub struct UnencodedEvent<'a> {
    /// The values, in a form that only the layer reads.
    pub values: &'a [u8],
    /// The data of the span of the event. `None` if the line will show no span.
    pub span: Option<&'a dyn SpanSnapshot>,
}

/// The data of a span at the time of an event. It never changes.
pub trait SpanSnapshot {
    /// Returns the address of the data in the `Arc` that [`share`](Self::share) returns.
    fn address(&self) -> usize;

    /// Returns a reference to the data, which a buffered record stores.
    fn share(&self) -> Arc<dyn Any + Send + Sync>;

    /// Returns the number of bytes of memory that the result of [`share`](Self::share) keeps
    /// allocated.
    fn memory_len(&self) -> usize;
}

/// A recorder's buffer for a unit of work: a root span and its descendants.
pub trait BufferingUnit: Any + Send + Sync {
    /// Buffers an event. Returns false if the caller must encode its line, which is then written or
    /// buffered. `is_sampled_out` means that a sampler dropped the event.
    fn buffer(self: Arc<Self>, tag: u32, is_sampled_out: bool, event: &UnencodedEvent<'_>) -> bool;
}

/// The units of the spans that the thread has entered.
pub trait EnteredUnits: Sync {
    /// Returns the unit of the entered span at this index.
    fn unit_at(&self, sink: LayerId, index: u32) -> Option<Arc<dyn BufferingUnit>>;

    /// Buffers an event if the unit has room. Returns whether it did.
    fn try_buffer(&self, line: &EnteredLine, event: &UnencodedEvent<'_>) -> bool;
}

/// The records of a dump, which follow its header.
pub trait DumpedRecords {
    /// Removes the next record, and replaces `content` with its line, or with its values if it is
    /// an event. Returns `None` after the last record. Also returns `None` if the previous record
    /// has not been [written](Self::write), because the layer or the output panicked.
    fn next(&mut self, content: &mut Vec<u8>) -> Option<DumpedRecord>;

    /// Writes `line`, the line of the record that [`next`](Self::next) returned last, and counts
    /// the record.
    ///
    /// # Errors
    /// The error of the output.
    fn write(&mut self, line: &[u8]) -> io::Result<()>;
}

/// A record of a dump.
pub enum DumpedRecord {
    /// A line that was encoded before it was buffered.
    Line,
    /// An event that the layer has to encode.
    Event {
        /// The callsite of the event.
        callsite: &'static Metadata<'static>,
        /// The result of [`SpanSnapshot::share`], if the event has a span.
        span: Option<Arc<dyn Any + Send + Sync>>,
    },
}

/// The units of a thread that has entered no span with a unit.
pub(super) struct NoUnits;

impl EnteredUnits for NoUnits {
    fn unit_at(&self, _: LayerId, _: u32) -> Option<Arc<dyn BufferingUnit>> {
        None
    }

    fn try_buffer(&self, _: &EnteredLine, _: &UnencodedEvent<'_>) -> bool {
        false
    }
}

impl fmt::Debug for UnencodedEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnencodedEvent").finish_non_exhaustive()
    }
}

impl fmt::Debug for DumpedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "Line",
            Self::Event { .. } => "Event",
        })
    }
}
