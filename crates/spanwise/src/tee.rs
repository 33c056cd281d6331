//! One line, several outputs.

use std::io::{self, Write};

use spanwise_appender::Background;
use tracing_core::{Level, LevelFilter, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Hands a line to each of its outputs that wants lines of its level. A line that none of them wants need not be made:
/// [`level`](Self::level) is the most that any of them wants.
///
/// Each output counts for itself what became of the line, so that a write never fails here.
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

/// Takes one line.
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
