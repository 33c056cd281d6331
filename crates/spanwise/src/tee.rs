//! Writes one line to several outputs.

use std::io::{self, Write};

use spanwise_appender::Background;
use tracing_core::{Level, LevelFilter, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Forwards a line to each output that accepts its level. [`level`](Self::level) is the most
/// verbose level of all, so that other lines are never encoded.
///
/// Each output counts its lines, so a write never fails here.
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
