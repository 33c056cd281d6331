//! The writer that a recorder passes to its inner layer. It writes a line to the output, buffers it
//! in a unit of work, or writes it as the header of a dump and then the buffered lines. The
//! recorder sets this *disposition* of a line before it forwards the event.

use std::{any::Any, fmt, io, sync::Arc};

use spanwise_core::internal::{
    DumpedRecord, DumpedRecords, EnteredLine, LineDisposition, SinkMask,
};
use tracing_core::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    entered_units,
    record_ring::{Content, RecordKey, RemovedRecord},
    recorder_state::{Counters, SinkState},
    unit::{BufferOutcome, Dump, RecordTag, Unit},
};

/// The writer of a layer inside a recorder. [`Recorder::sink`](crate::Recorder::sink) passes it to
/// the function that makes the layer.
///
/// The layer must write each line with one call of `write` or `write_all`, as `JsonLayer` and `fmt`
/// do.
pub struct RecorderWriter<W>(Arc<Output<W>>);

/// The output of a sink.
struct Output<W> {
    sink: Arc<SinkState>,
    make_writer: W,
}

/// Writes or buffers one line. Created by a [`RecorderWriter`].
pub struct RecorderLine<'a, W: MakeWriter<'a>> {
    output: &'a Arc<Output<W>>,
    destination: Destination<W::Writer>,
}

enum Destination<W> {
    /// The line is written now.
    Output(W),
    /// The line is buffered in the unit of a span that the thread has entered: see [`EnteredLine`].
    EnteredUnit,
    /// The line is buffered in this unit.
    Unit(Arc<Unit>, RecordTag),
    /// The line is the header of this dump, and `W` is the writer for the header. `None` after the
    /// header was written.
    Header(Option<(W, Box<Dump>)>),
}

impl<W> Destination<W> {
    /// Takes the disposition of the next line, and returns where the line goes.
    #[inline]
    fn for_next_line<'a, M>(
        sink: &SinkState,
        make_writer: &'a M,
        new_writer: impl FnOnce(&'a M) -> W,
    ) -> Self
    where
        M: MakeWriter<'a, Writer = W>,
    {
        match LineDisposition::take(sink.id) {
            None => Self::Output(new_writer(make_writer)),
            Some((disposition, is_sampled_out)) => {
                Self::from_disposition(sink, make_writer, new_writer, disposition, is_sampled_out)
            }
        }
    }

    fn from_disposition<'a, M>(
        sink: &SinkState,
        make_writer: &'a M,
        new_writer: impl FnOnce(&'a M) -> W,
        disposition: LineDisposition,
        is_sampled_out: bool,
    ) -> Self
    where
        M: MakeWriter<'a, Writer = W>,
    {
        match disposition {
            LineDisposition::Buffer { unit, tag } => {
                let tag = RecordTag::from_bits(tag);
                let unit: Arc<dyn Any + Send + Sync> = unit;
                match unit.downcast::<Unit>() {
                    Ok(unit) if !tag.is_buffered_only_if_sampled_out() || is_sampled_out => {
                        Self::Unit(unit, tag)
                    }
                    _ => Self::Output(new_writer(make_writer)),
                }
            }
            LineDisposition::Header(dump) => {
                let Ok(dump) = dump.downcast::<Dump>() else {
                    return Self::Output(new_writer(make_writer));
                };
                // The header goes to the output of the most severe line. So `make_writer` can
                // choose an output by level, and an output without any of the lines gets no header.
                let callsites = dump.callsites.iter();
                let callsites = callsites.filter_map(|number| sink.callsite(*number));
                let severest = callsites.min_by_key(|callsite| *callsite.level());
                let writer = dump.sinks.scope(|| match severest {
                    Some(severest) => make_writer.make_writer_for(severest),
                    None => new_writer(make_writer),
                });
                Self::Header(Some((writer, dump)))
            }
            // Not expected, because the layer takes a `Dump` before it writes the next line.
            LineDisposition::Dump(_) => Self::Output(new_writer(make_writer)),
        }
    }
}

impl<W> RecorderWriter<W> {
    pub(crate) fn new(sink: Arc<SinkState>, make_writer: W) -> Self {
        Self(Arc::new(Output { sink, make_writer }))
    }

    #[inline]
    fn line<'a>(&'a self, new_writer: impl FnOnce(&'a W) -> W::Writer) -> RecorderLine<'a, W>
    where
        W: MakeWriter<'a>,
    {
        let Output { sink, make_writer } = &*self.0;
        RecorderLine {
            output: &self.0,
            destination: if EnteredLine::current(sink.id).is_some() {
                Destination::EnteredUnit
            } else {
                Destination::for_next_line(sink, make_writer, new_writer)
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

impl<W> Output<W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    /// Writes a line that was buffered, or that its unit no longer buffers, to the output for its
    /// callsite.
    fn write_to_output(&self, callsite: u32, sinks: SinkMask, line: &[u8]) -> io::Result<()> {
        sinks.scope(|| {
            let mut writer = match self.sink.callsite(callsite) {
                Some(metadata) => self.make_writer.make_writer_for(metadata),
                None => self.make_writer.make_writer(),
            };
            io::Write::write_all(&mut writer, line)
        })
    }
}

impl<'a, W> RecorderLine<'a, W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    /// Buffers the line in the unit of an entered span if the unit has room. Returns whether it
    /// did.
    #[inline]
    fn try_buffer_entered(&self, line: &[u8]) -> bool {
        let Some(entered) = EnteredLine::current(self.output.sink.id) else {
            return false;
        };
        let is_buffered = entered_units::try_buffer(&entered, Content::Line(line));
        if is_buffered {
            EnteredLine::line_buffered();
        }
        is_buffered
    }

    #[inline(never)] // Keeps the fast path of `write_all` small.
    fn write_slow(&mut self, line: &[u8]) -> io::Result<()> {
        use io::Write as _;
        match &mut self.destination {
            Destination::Output(writer) => writer.write_all(line),
            // Not reached, because `write_all` replaces this destination first.
            Destination::EnteredUnit => Ok(()),
            Destination::Unit(unit, tag) => match unit.buffer(*tag, Content::Line(line)) {
                BufferOutcome::Taken => Ok(()),
                BufferOutcome::PassThrough => {
                    let callsite = tag.callsite();
                    let sinks = SinkMask::current();
                    self.output.write_to_output(callsite, sinks, line)
                }
            },
            Destination::Header(_) => self.write_dump(line),
        }
    }

    /// Writes the header, and then the lines of the dump up to the first event. Passes the dump
    /// from this event on to the layer, which encodes events. Continues after a line that the
    /// output refuses.
    fn write_dump(&mut self, header: &[u8]) -> io::Result<()> {
        let Destination::Header(pending) = &mut self.destination else {
            return Ok(());
        };
        let Some((mut writer, dump)) = pending.take() else {
            return Ok(());
        };
        let mut result = io::Write::write_all(&mut writer, header);
        // Dropped now, because it may hold a lock that the writer of the next line needs.
        drop(writer);
        let mut dump = DumpWriter {
            output: Arc::clone(self.output),
            dump,
            first_event: None,
            unwritten: None,
        };
        let mut content = Vec::new();
        while let Some(record) = dump.remove_next(&mut content) {
            if record.is_event {
                // `remove_next` sets it again when the layer takes the record.
                dump.unwritten = None;
                dump.first_event = Some((record, content));
                LineDisposition::pass_dump(self.output.sink.id, Box::new(dump));
                break;
            }
            result = result.and(dump.write(&content));
        }
        result
    }
}

/// Writes the records of a dump.
struct DumpWriter<W> {
    output: Arc<Output<W>>,
    dump: Box<Dump>,
    /// The first event of the dump, with its content, until the layer takes it.
    first_event: Option<(RemovedRecord, Vec<u8>)>,
    /// The record that was removed last, until its line was written.
    unwritten: Option<RecordKey>,
}

impl<W> DumpWriter<W> {
    fn counters(&self) -> &Counters {
        &self.output.sink.recorder.counters
    }

    /// Removes the next record, and replaces `content` with its line or its values.
    fn remove_next(&mut self, content: &mut Vec<u8>) -> Option<RemovedRecord> {
        if self.unwritten.is_some() {
            // The previous record was not written, because the writer or the layer panicked. It
            // would probably panic again. So the remaining records are not written, and count as
            // failed when the dump is dropped.
            return None;
        }
        let record = match self.first_event.take() {
            Some((first_event, first_content)) => {
                *content = first_content;
                first_event
            }
            None => self.dump.next(content)?,
        };
        self.unwritten = Some(record.key);
        Some(record)
    }
}

impl<W> DumpedRecords for DumpWriter<W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn next(&mut self, content: &mut Vec<u8>) -> Option<DumpedRecord> {
        let record = self.remove_next(content)?;
        // Always found, because the number in a key is from `SinkState::add_callsite`.
        let callsite = self.output.sink.callsite(record.key.callsite);
        Some(match callsite.filter(|_| record.is_event) {
            Some(callsite) => DumpedRecord::Event {
                callsite,
                span: record.span,
            },
            None => DumpedRecord::Line,
        })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let Some(RecordKey { callsite, sinks }) = self.unwritten else {
            return Ok(());
        };
        let result = self.output.write_to_output(callsite, sinks, line);
        self.unwritten = None;
        let Counters {
            written, failed, ..
        } = self.counters();
        if result.is_ok() { written } else { failed }.add(1);
        result
    }
}

impl<W> Drop for DumpWriter<W> {
    /// Counts a record as failed if it was removed and not written. Either the writer or the layer
    /// panicked, or the layer did not take the dump.
    fn drop(&mut self) {
        if self.unwritten.is_some() || self.first_event.is_some() {
            self.counters().failed.add(1);
        }
    }
}

impl<'a, W> io::Write for RecorderLine<'a, W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Destination::Output(writer) = &mut self.destination {
            return writer.write(line);
        }
        self.write_all(line).map(|()| line.len())
    }

    #[inline]
    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        if let Destination::EnteredUnit = self.destination {
            if self.try_buffer_entered(line) {
                return Ok(());
            }
            // Not buffered: the chunk or the unit is full, the unit is being dumped, or the `Debug`
            // of a value exited the span.
            let Output { sink, make_writer } = &**self.output;
            self.destination = Destination::for_next_line(sink, make_writer, W::make_writer);
        }
        self.write_slow(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.destination {
            Destination::Output(writer) => writer.flush(),
            // Nothing to flush: buffered lines have no writer yet, and each line of a dump was
            // passed whole to a writer of its own.
            Destination::EnteredUnit | Destination::Unit(..) | Destination::Header(_) => Ok(()),
        }
    }
}

impl<W: fmt::Debug> fmt::Debug for RecorderWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecorderWriter")
            .field("make_writer", &self.0.make_writer)
            .finish_non_exhaustive()
    }
}

impl<'a, W: MakeWriter<'a>> fmt::Debug for RecorderLine<'a, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecorderLine").finish_non_exhaustive()
    }
}
