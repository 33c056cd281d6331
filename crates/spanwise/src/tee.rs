//! Writes one line to several outputs.

use std::io::{self, Write};

use spanwise_appender::Background;
use spanwise_core::internal::SinkMask;
use tracing_core::{Level, LevelFilter, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Forwards a line to each output that accepts its level. [`level`](Self::level) returns the most
/// verbose of these levels, so that other lines need not be encoded.
///
/// A write never fails here, because each output counts its own lines.
#[derive(Debug, Clone)]
pub(crate) struct Tee(Vec<(LevelFilter, Background)>);

impl Tee {
    pub(crate) fn new(outputs: Vec<(LevelFilter, Background)>) -> Self {
        Self(outputs)
    }

    pub(crate) fn level(&self) -> LevelFilter {
        let levels = self.0.iter().map(|(level, _)| *level);
        levels.max().unwrap_or(LevelFilter::OFF)
    }
}

/// The writer of one line.
#[derive(Debug)]
pub(crate) struct TeeWriter<'a> {
    tee: &'a Tee,
    level: Level,
}

impl<'a> MakeWriter<'a> for Tee {
    type Writer = TeeWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        TeeWriter {
            tee: self,
            level: Level::WARN,
        }
    }

    #[inline]
    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        TeeWriter {
            tee: self,
            level: *metadata.level(),
        }
    }
}

impl Write for TeeWriter<'_> {
    #[inline]
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        for (most, background) in &self.tee.0 {
            if self.level <= *most {
                background.writer(self.level).write_all(line)?;
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Forwards a line to each output to which its routes lead, as the [`SinkMask`] says.
#[derive(Debug, Clone)]
pub(crate) struct RoutedTee(Vec<RoutedOutput>);

/// An output to which routes lead.
#[derive(Debug, Clone)]
pub(crate) struct RoutedOutput {
    /// The router bit of its sink.
    pub(crate) bit: u64,
    /// The level for lines without routes, such as those about spans.
    pub(crate) level: LevelFilter,
    pub(crate) background: Background,
}

impl RoutedTee {
    pub(crate) fn new(outputs: Vec<RoutedOutput>) -> Self {
        Self(outputs)
    }

    pub(crate) fn level(&self) -> LevelFilter {
        let levels = self.0.iter().map(|output| output.level);
        levels.max().unwrap_or(LevelFilter::OFF)
    }

    /// Returns the bits of all sinks.
    pub(crate) fn bits(&self) -> u64 {
        self.0.iter().fold(0, |bits, output| bits | output.bit)
    }
}

/// The writer of one line with routes.
#[derive(Debug)]
pub(crate) struct RoutedTeeWriter<'a> {
    tee: &'a RoutedTee,
    level: Level,
    sinks: SinkMask,
}

impl<'a> MakeWriter<'a> for RoutedTee {
    type Writer = RoutedTeeWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        RoutedTeeWriter {
            tee: self,
            level: Level::WARN,
            sinks: SinkMask::current(),
        }
    }

    #[inline]
    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        RoutedTeeWriter {
            tee: self,
            level: *metadata.level(),
            sinks: SinkMask::current(),
        }
    }
}

impl Write for RoutedTeeWriter<'_> {
    #[inline]
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        write_routed(&self.tee.0, self.level, self.sinks, line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a line to each of the outputs whose sink is in the mask. A line without a mask goes to
/// each output of its level.
#[inline]
pub(crate) fn write_routed(
    outputs: &[RoutedOutput],
    level: Level,
    sinks: SinkMask,
    line: &[u8],
) -> io::Result<()> {
    for output in outputs {
        let is_sent = match sinks.is_empty() {
            true => level <= output.level,
            false => sinks.bits() & output.bit != 0,
        };
        if is_sent {
            output.background.writer(level).write_all(line)?;
        }
    }
    Ok(())
}
