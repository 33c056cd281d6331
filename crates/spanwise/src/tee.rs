//! Writes one line to several outputs.

use std::io::{self, Write};

use spanwise_appender::Background;
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
