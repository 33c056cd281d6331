//! Writes one line to several outputs, so that a layer encodes the line only once.

use std::io::{self, Write};

use spanwise_appender::Background;
use spanwise_core::internal::SinkMask;
use tracing_core::{Level, LevelFilter, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// The level of a line without metadata. WARN, because a full buffer sheds such lines last.
pub(crate) const UNKNOWN_LEVEL: Level = Level::WARN;

/// Forwards a line to each output whose sink is in the [`SinkMask`] that the router has set for the
/// event. An output is the open file or stream of a sink. Without a router, or with an empty mask,
/// the levels of the outputs decide: see [`write_routed`].
///
/// A write never fails, because the writer of a [`Background`] always returns `Ok`. `Background`
/// itself counts the lines that it loses.
#[derive(Debug, Clone)]
pub(crate) struct Tee {
    outputs: Vec<TeeOutput>,
    has_router: bool,
}

/// An open output.
#[derive(Debug, Clone)]
pub(crate) struct TeeOutput {
    /// The [router bit](crate::router) of the sink.
    pub(crate) bit: u64,
    /// The most verbose level of the sink. [`write_routed`] applies it only if the mask is empty,
    /// because otherwise the router has already applied the levels of the sink.
    pub(crate) level: LevelFilter,
    pub(crate) background: Background,
}

impl Tee {
    pub(crate) fn new(outputs: Vec<TeeOutput>, has_router: bool) -> Self {
        Self {
            outputs,
            has_router,
        }
    }

    /// Returns the most verbose level of the outputs. Lines that are more verbose need not be
    /// encoded.
    pub(crate) fn level(&self) -> LevelFilter {
        let levels = self.outputs.iter().map(|output| output.level);
        levels.max().unwrap_or(LevelFilter::OFF)
    }

    /// Returns the router bits of all outputs. 0 without a router.
    pub(crate) fn bits(&self) -> u64 {
        match self.has_router {
            true => self
                .outputs
                .iter()
                .fold(0, |bits, output| bits | output.bit),
            false => 0,
        }
    }

    #[inline]
    fn writer(&self, level: Level) -> TeeWriter<'_> {
        TeeWriter {
            tee: self,
            level,
            sinks: match self.has_router {
                true => SinkMask::current(),
                false => SinkMask::default(),
            },
        }
    }
}

/// The writer of one line, with the sinks to which the router sends the event of this line.
#[derive(Debug)]
pub(crate) struct TeeWriter<'a> {
    tee: &'a Tee,
    level: Level,
    sinks: SinkMask,
}

impl<'a> MakeWriter<'a> for Tee {
    type Writer = TeeWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        self.writer(UNKNOWN_LEVEL)
    }

    #[inline]
    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        self.writer(*metadata.level())
    }
}

impl Write for TeeWriter<'_> {
    #[inline]
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _is_written = write_routed(&self.tee.outputs, self.level, self.sinks, line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a line to each output whose sink is in `sinks`. If this mask is empty, no router handled
/// the event of the line: the line is written to each output whose level admits it. Returns whether
/// the line was written to at least one output.
#[inline]
pub(crate) fn write_routed(
    outputs: &[TeeOutput],
    level: Level,
    sinks: SinkMask,
    line: &[u8],
) -> io::Result<bool> {
    let mut is_written = false;
    for output in outputs {
        let is_sent = match sinks.is_empty() {
            true => level <= output.level,
            false => sinks.bits() & output.bit != 0,
        };
        if is_sent {
            output.background.writer(level).write_all(line)?;
            is_written = true;
        }
    }
    Ok(is_written)
}
