//! An output for any writer, and the state of the end of an output after a partial write.

use std::io::{self, Write};

use crate::record_sink::{RecordSink, Records, StopFlag, WriteOutcome};

/// The state of the end of an output, after writes that may have been partial.
#[derive(Debug, Default)]
pub(crate) enum LineEnd {
    /// The output ends with a whole record, or is empty.
    #[default]
    Complete,
    /// The output ends with these first bytes of a record.
    Partial(Vec<u8>),
    /// The last record may lack its newline. A newline must be written before the next record.
    MissingNewline,
}

impl LineEnd {
    /// Returns the offset in `records` at which to continue. It is greater than 0 if a previous
    /// write already wrote a part of the first record. Returns `None` if a newline must be written
    /// first.
    pub(crate) fn resume_offset(&self, records: Records<'_>) -> Option<usize> {
        let first_record = &records.as_bytes()[..records.start_of(records.len().min(1))];
        match self {
            Self::Complete => Some(0),
            Self::Partial(prefix) if first_record.starts_with(prefix) => Some(prefix.len()),
            Self::Partial(_) | Self::MissingNewline => None,
        }
    }

    /// Updates the state after the first `written` bytes of the records were written.
    pub(crate) fn advance(&mut self, records: Records<'_>, written: usize) -> WriteOutcome {
        let delivered = records.count_within(written);
        let prefix = &records.as_bytes()[records.start_of(delivered)..written];
        *self = match prefix.is_empty() {
            true => Self::Complete,
            false => Self::Partial(prefix.to_vec()),
        };
        WriteOutcome::partial(delivered)
    }

    /// Updates the state after an error that followed the first `written` bytes of the records. A
    /// record that lacks only its newline counts as delivered, because the newline is written
    /// before the next record.
    pub(crate) fn stopped_at(
        &mut self,
        records: Records<'_>,
        written: usize,
        error: io::Error,
    ) -> WriteOutcome {
        let mut delivered = self.advance(records, written).delivered;
        if matches!(self, Self::Partial(_))
            && records.start_of(delivered + 1) == written + 1
            && records.as_bytes()[written] == b'\n'
        {
            delivered += 1;
            *self = Self::MissingNewline;
        }
        WriteOutcome::stopped_at(records, delivered, error)
    }
}

/// An output for any writer.
#[derive(Debug)]
pub(crate) struct WriterSink<W> {
    writer: W,
    line_end: LineEnd,
}

impl<W> WriterSink<W> {
    pub(crate) fn new(writer: W) -> Self {
        Self {
            writer,
            line_end: LineEnd::default(),
        }
    }
}

impl<W: Write + Send> RecordSink for WriterSink<W> {
    /// Calls the writer's `write` only once. A second call could block forever or panic, so the
    /// records that the first call wrote are counted before it.
    fn write(&mut self, records: Records<'_>, _: &StopFlag) -> WriteOutcome {
        let start = match self.line_end.resume_offset(records) {
            Some(start) => start,
            None => {
                if let Err(error) = self.writer.write_all(b"\n") {
                    return WriteOutcome::stopped_at(records, 0, error);
                }
                self.line_end = LineEnd::Complete;
                0
            }
        };
        let unwritten = &records.as_bytes()[start..];
        let written = loop {
            let error = match self.writer.write(unwritten) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(count) => break start + count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            return self.line_end.stopped_at(records, start, error);
        };
        if written < records.as_bytes().len() {
            return self.line_end.advance(records, written);
        }
        self.line_end = LineEnd::Complete;
        match self.writer.flush() {
            Ok(()) => WriteOutcome::all(records),
            // The writer accepted the records and may still write them, so a second write could
            // repeat them.
            Err(error) => WriteOutcome::refused(records, 0, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_without_its_newline_counts_as_delivered() {
        let records = Records::new(b"ab\n\ncd", &[3, 4, 6]);
        let delivered = (0..6).map(|written| {
            let error = io::ErrorKind::StorageFull.into();
            let mut line_end = LineEnd::default();
            line_end.stopped_at(records, written, error).delivered
        });
        assert_eq!(delivered.collect::<Vec<_>>(), [0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn only_the_partial_record_is_resumed() {
        let records = Records::new(b"abc\nabd\n", &[4, 8]);
        assert_eq!(LineEnd::Complete.resume_offset(records), Some(0));
        assert_eq!(
            LineEnd::Partial(b"ab".to_vec()).resume_offset(records),
            Some(2)
        );
        assert_eq!(LineEnd::Partial(b"b".to_vec()).resume_offset(records), None);
        assert_eq!(LineEnd::MissingNewline.resume_offset(records), None);
    }
}
