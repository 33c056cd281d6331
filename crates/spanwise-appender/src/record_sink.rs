//! What takes whole records and says how many it took.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use crate::RollingFile;

/// Whole records, one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Records<'a> {
    /// All of them.
    pub(crate) bytes: &'a [u8],
    /// Where each ends in `bytes`, ascending; the last is the length of `bytes`.
    pub(crate) ends: &'a [usize],
}

impl Records<'_> {
    /// Where the record at `index` begins in `bytes`.
    pub(crate) fn start_of(&self, index: usize) -> usize {
        match index.checked_sub(1) {
            Some(before) => self.ends[before],
            None => 0,
        }
    }
}

/// What became of [`Records`], from the first on: `delivered`, then `refused`, then those that are still to be written: at once, if there
/// was no error.
#[derive(Debug)]
pub(crate) struct WriteOutcome {
    /// Records that the kernel, or whoever is behind the writer, has whole.
    pub(crate) delivered: usize,
    /// Records after those that are lost, or went to the fallback: not to be tried again.
    pub(crate) refused: usize,
    /// Why not all of them were delivered, unless more would be.
    pub(crate) error: Option<io::Error>,
}

impl WriteOutcome {
    /// All were delivered.
    pub(crate) fn all(records: Records<'_>) -> Self {
        Self {
            delivered: records.ends.len(),
            refused: 0,
            error: None,
        }
    }

    /// No more than `delivered` were. The rest is to be tried again, unless nobody will ever take it.
    pub(crate) fn stopped_at(records: Records<'_>, delivered: usize, error: io::Error) -> Self {
        let refused = if is_permanent(&error) {
            records.ends.len() - delivered
        } else {
            0
        };
        Self {
            delivered,
            refused,
            error: Some(error),
        }
    }
}

/// Whether whoever reads is gone, and does not come back.
fn is_permanent(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, WriteZero};
    const EBADF: i32 = 9;
    let gone = [
        BrokenPipe,
        ConnectionAborted,
        ConnectionReset,
        NotConnected,
        WriteZero,
    ];
    gone.contains(&error.kind()) || (cfg!(unix) && error.raw_os_error() == Some(EBADF))
}

/// Tells a sink that waits for its reader when to give up.
#[derive(Debug, Default)]
pub(crate) struct StopFlag {
    stopped: AtomicBool,
    deadline: Option<Instant>,
}

impl StopFlag {
    /// Set by itself at `deadline`.
    pub(crate) fn with_deadline(deadline: Instant) -> Self {
        Self {
            stopped: AtomicBool::new(false),
            deadline: Some(deadline),
        }
    }

    pub(crate) fn set(&self, stopped: bool) {
        self.stopped.store(stopped, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.timeout(Duration::MAX).is_zero()
    }

    /// The time until it is set, as far as that is known, but no more than `max`.
    pub(crate) fn timeout(&self, max: Duration) -> Duration {
        if self.stopped.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let left = self
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        left.map_or(max, |left| left.min(max))
    }
}

/// Where a [`Background`](crate::Background) writes to.
pub(crate) trait RecordSink: Send {
    /// Writes from the first record on. One that waits for its reader gives up with `TimedOut` soon after `stop` is set.
    fn write(&mut self, records: Records<'_>, stop: &StopFlag) -> WriteOutcome;

    /// There is nothing more to write.
    fn finish(&mut self) {}
}

impl RecordSink for RollingFile {
    fn write(&mut self, records: Records<'_>, _: &StopFlag) -> WriteOutcome {
        self.write_records(records, true)
    }

    /// Sees that it was not deleted since it was last looked at.
    fn finish(&mut self) {
        // What went wrong was told.
        let _ = self.flush();
    }
}

/// How the output ends.
#[derive(Debug, Default)]
pub(crate) enum LineEnd {
    /// After a whole record, or before the first.
    #[default]
    Complete,
    /// With these bytes of a record that was not written to its end.
    Partial(Vec<u8>),
    /// A newline is to come before anything else: it is all that the last record lacks, or nobody knows.
    MissingNewline,
}

impl LineEnd {
    /// How many bytes of these records are written already: of the first one, if it is the one that was torn. None if a newline must
    /// come first.
    pub(crate) fn resume(&self, records: Records<'_>) -> Option<usize> {
        let first = &records.bytes[..records.ends.first().copied().unwrap_or_default()];
        match self {
            Self::Complete => Some(0),
            Self::Partial(start) if first.starts_with(start) => Some(start.len()),
            Self::Partial(_) | Self::MissingNewline => None,
        }
    }

    /// The first `written` bytes of the records are written, and more may be.
    pub(crate) fn advance(&mut self, records: Records<'_>, written: usize) -> WriteOutcome {
        let delivered = records.ends.partition_point(|end| *end <= written);
        let start = &records.bytes[records.start_of(delivered)..written];
        *self = if start.is_empty() {
            Self::Complete
        } else {
            Self::Partial(start.to_vec())
        };
        WriteOutcome {
            delivered,
            refused: 0,
            error: None,
        }
    }

    /// The first `written` bytes of the records are written, and then there was an error. A record that lacks only its newline is
    /// delivered: it gets it before the next.
    pub(crate) fn stopped(
        &mut self,
        records: Records<'_>,
        written: usize,
        error: io::Error,
    ) -> WriteOutcome {
        let mut delivered = self.advance(records, written).delivered;
        if matches!(self, Self::Partial(_))
            && records.ends[delivered] == written + 1
            && records.bytes[written] == b'\n'
        {
            delivered += 1;
            *self = Self::MissingNewline;
        }
        WriteOutcome::stopped_at(records, delivered, error)
    }
}

/// Any writer.
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
    fn write(&mut self, records: Records<'_>, _: &StopFlag) -> WriteOutcome {
        let mut written = match self.line_end.resume(records) {
            Some(written) => written,
            None => {
                if let Err(error) = self.writer.write_all(b"\n") {
                    return WriteOutcome::stopped_at(records, 0, error);
                }
                self.line_end = LineEnd::Complete;
                0
            }
        };
        loop {
            match self.writer.write(&records.bytes[written..]) {
                Ok(0) => {
                    let error = io::ErrorKind::WriteZero.into();
                    return self.line_end.stopped(records, written, error);
                }
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return self.line_end.stopped(records, written, error),
            }
            if written == records.bytes.len() {
                break;
            }
            // What it took is told before it is called again, which may take for ever, or panic.
            return self.line_end.advance(records, written);
        }
        self.line_end = LineEnd::Complete;
        match self.writer.flush() {
            Ok(()) => WriteOutcome::all(records),
            // It took them, and may still have them: to write them again could double them.
            Err(error) => WriteOutcome {
                delivered: 0,
                refused: records.ends.len(),
                error: Some(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_without_its_newline_counts_as_delivered() {
        let records = Records {
            bytes: b"ab\n\ncd",
            ends: &[3, 4, 6],
        };
        let delivered = (0..6).map(|written| {
            let error = io::ErrorKind::StorageFull.into();
            LineEnd::default()
                .stopped(records, written, error)
                .delivered
        });
        assert_eq!(delivered.collect::<Vec<_>>(), [0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn only_the_partial_record_is_resumed() {
        let records = Records {
            bytes: b"abc\nabd\n",
            ends: &[4, 8],
        };
        assert_eq!(LineEnd::Complete.resume(records), Some(0));
        assert_eq!(LineEnd::Partial(b"ab".to_vec()).resume(records), Some(2));
        assert_eq!(LineEnd::Partial(b"b".to_vec()).resume(records), None);
        assert_eq!(LineEnd::MissingNewline.resume(records), None);
    }
}
