//! The writer of all layers that the facade creates for lines.

use std::io::{self, Write};

use tracing_core::Metadata;
use tracing_subscriber::fmt::{MakeWriter, writer::BoxMakeWriter};

#[cfg(feature = "config")]
use crate::live::{LiveTee, LiveTeeWriter};
use crate::tee::{Tee, TeeWriter};

/// Where a layer writes its lines. One type for all of them, because the compiler generates the
/// code of a layer again for each type of writer.
#[derive(Debug)]
pub(crate) enum LineOutput {
    Tee(Tee),
    #[cfg(feature = "config")]
    Live(LiveTee),
    /// A writer set in code, or the output of tests.
    Other(BoxMakeWriter),
}

/// The writer of one line.
pub(crate) enum LineOutputWriter<'a> {
    Tee(TeeWriter<'a>),
    #[cfg(feature = "config")]
    Live(LiveTeeWriter<'a>),
    Other(Box<dyn Write + 'a>),
}

impl<'a> MakeWriter<'a> for LineOutput {
    type Writer = LineOutputWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        match self {
            Self::Tee(tee) => LineOutputWriter::Tee(tee.make_writer()),
            #[cfg(feature = "config")]
            Self::Live(tee) => LineOutputWriter::Live(tee.make_writer()),
            Self::Other(writer) => LineOutputWriter::Other(writer.make_writer()),
        }
    }

    #[inline]
    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        match self {
            Self::Tee(tee) => LineOutputWriter::Tee(tee.make_writer_for(metadata)),
            #[cfg(feature = "config")]
            Self::Live(tee) => LineOutputWriter::Live(tee.make_writer_for(metadata)),
            Self::Other(writer) => LineOutputWriter::Other(writer.make_writer_for(metadata)),
        }
    }
}

impl Write for LineOutputWriter<'_> {
    #[inline]
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tee(writer) => writer.write(line),
            #[cfg(feature = "config")]
            Self::Live(writer) => writer.write(line),
            Self::Other(writer) => writer.write(line),
        }
    }

    /// Forwards the call, because a writer gets one `write_all` per line. Some writers, such as
    /// stdout, keep a line whole only in their own implementation.
    #[inline]
    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Tee(writer) => writer.write_all(line),
            #[cfg(feature = "config")]
            Self::Live(writer) => writer.write_all(line),
            Self::Other(writer) => writer.write_all(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tee(writer) => writer.flush(),
            #[cfg(feature = "config")]
            Self::Live(writer) => writer.flush(),
            Self::Other(writer) => writer.flush(),
        }
    }
}
