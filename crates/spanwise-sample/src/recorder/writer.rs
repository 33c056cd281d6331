//! The destination of a line: to the output, into a unit, or before the lines of one.

use std::{fmt, io, sync::Arc};

use tracing_core::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use super::{
    line::{self, Line},
    recorder_state::{Counters, SinkState},
    unit::{BufferOutcome, Dump, RecordTag, Unit},
};

/// The writer of a recorded layer: [`Recorder::sink`](super::Recorder::sink) hands it to whoever makes the layer.
///
/// The layer has to write each line by one call of `write` or `write_all`, as `JsonLayer` and `fmt` do.
#[derive(Debug)]
pub struct RecorderWriter<W> {
    sink: Arc<SinkState>,
    make_writer: W,
}

/// Takes one line. Made by a [`RecorderWriter`].
pub struct RecorderLine<'a, W: MakeWriter<'a>> {
    sink: &'a SinkState,
    make_writer: &'a W,
    destination: Destination<W::Writer>,
}

enum Destination<W> {
    Output(W),
    /// Into the unit of a span that the thread is in.
    EnteredUnit,
    Unit(Arc<Unit>, RecordTag),
    /// Until it is written.
    Header(Option<(W, Box<Dump>)>),
}

impl<W> Destination<W> {
    /// What is said of the line that is written now.
    #[inline]
    fn taken<'a, M>(sink: &SinkState, make_writer: &'a M, writer: impl FnOnce(&'a M) -> W) -> Self
    where
        M: MakeWriter<'a, Writer = W>,
    {
        match line::take(sink.id) {
            None | Some(Line::Chosen(..)) => Self::Output(writer(make_writer)),
            Some(Line::Kept(unit, what)) => Self::Unit(unit, what),
            Some(Line::Header(batch)) => {
                // The header goes where the most severe of the lines goes: an output for severe lines that gets none of them gets no header either.
                let callsites = batch.callsites.iter();
                let callsites = callsites.filter_map(|number| sink.callsite(*number));
                let writer = match callsites.min_by_key(|callsite| *callsite.level()) {
                    Some(severest) => make_writer.make_writer_for(severest),
                    None => writer(make_writer),
                };
                Self::Header(Some((writer, batch)))
            }
        }
    }
}

impl<W> RecorderWriter<W> {
    pub(crate) fn new(sink: Arc<SinkState>, make_writer: W) -> Self {
        Self { sink, make_writer }
    }

    #[inline]
    fn line<'a>(&'a self, writer: impl FnOnce(&'a W) -> W::Writer) -> RecorderLine<'a, W>
    where
        W: MakeWriter<'a>,
    {
        let Self { sink, make_writer } = self;
        RecorderLine {
            sink,
            make_writer,
            destination: if line::is_entered(sink.id) {
                Destination::EnteredUnit
            } else {
                Destination::taken(sink, make_writer, writer)
            },
        }
    }
}

impl<'a, W> MakeWriter<'a> for RecorderWriter<W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    type Writer = RecorderLine<'a, W>;

    #[inline]
    fn make_writer(&'a self) -> Self::Writer {
        self.line(|make_writer| make_writer.make_writer())
    }

    #[inline]
    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        self.line(|make_writer| make_writer.make_writer_for(metadata))
    }
}

impl<'a, W: MakeWriter<'a>> RecorderLine<'a, W> {
    /// A line whose unit writes through meanwhile, or was kept before.
    fn write_late(&self, callsite: u32, line: &[u8]) -> io::Result<()> {
        let mut writer = match self.sink.callsite(callsite) {
            Some(metadata) => self.make_writer.make_writer_for(metadata),
            None => self.make_writer.make_writer(),
        };
        io::Write::write_all(&mut writer, line)
    }

    /// The header, and then all lines of the unit. One that is refused does not stop the others.
    fn write_kept(&mut self, header: &[u8]) -> io::Result<()> {
        let Destination::Header(pending) = &mut self.destination else {
            return Ok(());
        };
        let Some((mut writer, mut batch)) = pending.take() else {
            return Ok(());
        };
        let mut result = io::Write::write_all(&mut writer, header);
        // It may hold a lock that the next one takes.
        drop(writer);
        let mut line = Vec::new();
        while let Some(head) = batch.next(&mut line) {
            // If the writer panics, this one failed, with those that are still in the batch.
            let mut settled = Settled {
                counters: &self.sink.shared.counters,
                written: false,
            };
            let written = self.write_late(head.callsite, &line);
            settled.written = written.is_ok();
            result = result.and(written);
        }
        result
    }
}

/// Counts a record when it is dropped.
struct Settled<'a> {
    counters: &'a Counters,
    written: bool,
}

impl Drop for Settled<'_> {
    fn drop(&mut self) {
        let Counters {
            written, failed, ..
        } = self.counters;
        if self.written { written } else { failed }.add(1);
    }
}

impl<'a, W: MakeWriter<'a>> io::Write for RecorderLine<'a, W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Destination::Output(writer) = &mut self.destination {
            return writer.write(line);
        }
        self.write_all(line).map(|()| line.len())
    }

    #[inline]
    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        if let Destination::EnteredUnit = self.destination {
            if line::keep_entered(self.sink.id, line) {
                return Ok(());
            }
            // It is full, written meanwhile, or left by a value of the line.
            self.destination = Destination::taken(self.sink, self.make_writer, W::make_writer);
        }
        self.write_elsewhere(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.destination {
            Destination::Output(writer) => writer.flush(),
            // Each writer was done with its line.
            Destination::EnteredUnit | Destination::Unit(..) | Destination::Header(_) => Ok(()),
        }
    }
}

impl<'a, W: MakeWriter<'a>> RecorderLine<'a, W> {
    #[inline(never)]
    fn write_elsewhere(&mut self, line: &[u8]) -> io::Result<()> {
        use io::Write as _;
        match &mut self.destination {
            Destination::Output(writer) => writer.write_all(line),
            Destination::EnteredUnit => Ok(()),
            Destination::Unit(unit, what) => match unit.keep(*what, line) {
                BufferOutcome::Taken => Ok(()),
                BufferOutcome::PassThrough => {
                    let callsite = what.callsite();
                    self.write_late(callsite, line)
                }
            },
            Destination::Header(..) => self.write_kept(line),
        }
    }
}

impl<'a, W: MakeWriter<'a>> fmt::Debug for RecorderLine<'a, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecorderLine").finish_non_exhaustive()
    }
}
