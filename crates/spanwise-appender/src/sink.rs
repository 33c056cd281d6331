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

/// What became of [`Records`], from the first on: `delivered`, then `failed`, then those that are still to be written: at once, if there
/// was no error.
#[derive(Debug)]
pub(crate) struct Written {
    /// Records that the kernel, or whoever is behind the writer, has whole.
    pub(crate) delivered: usize,
    /// Records after those that are lost, or went to the fallback: not to be tried again.
    pub(crate) failed: usize,
    /// Why not all of them were delivered, unless more would be.
    pub(crate) error: Option<io::Error>,
}

impl Written {
    /// All were delivered.
    pub(crate) fn all(records: Records<'_>) -> Self {
        Self {
            delivered: records.ends.len(),
            failed: 0,
            error: None,
        }
    }

    /// No more than `delivered` were. The rest is to be tried again, unless nobody will ever take it.
    pub(crate) fn stopped(records: Records<'_>, delivered: usize, error: io::Error) -> Self {
        let failed = if is_for_good(&error) {
            records.ends.len() - delivered
        } else {
            0
        };
        Self {
            delivered,
            failed,
            error: Some(error),
        }
    }
}

/// Whether whoever reads is gone, and does not come back.
fn is_for_good(error: &io::Error) -> bool {
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
    pub(crate) fn at(deadline: Instant) -> Self {
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

    /// The time until it is set, as far as that is known, but no more than `most`.
    pub(crate) fn timeout(&self, most: Duration) -> Duration {
        if self.stopped.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let left = self
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        left.map_or(most, |left| left.min(most))
    }
}

/// Where a [`Background`](crate::Background) writes to.
pub(crate) trait Sink: Send {
    /// Writes from the first record on. One that waits for its reader gives up with `TimedOut` soon after `stop` is set.
    fn write(&mut self, records: Records<'_>, stop: &StopFlag) -> Written;

    /// There is nothing more to write.
    fn finish(&mut self) {}
}

impl Sink for RollingFile {
    fn write(&mut self, records: Records<'_>, _: &StopFlag) -> Written {
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
pub(crate) enum Tail {
    /// After a whole record, or before the first.
    #[default]
    Whole,
    /// With these bytes of a record that was not written to its end.
    Torn(Vec<u8>),
    /// A newline is to come before anything else: it is all that the last record lacks, or nobody knows.
    Open,
}

impl Tail {
    /// How many bytes of these records are written already: of the first one, if it is the one that was torn. None if a newline must
    /// come first.
    pub(crate) fn resume(&self, records: Records<'_>) -> Option<usize> {
        let first = &records.bytes[..records.ends.first().copied().unwrap_or_default()];
        match self {
            Self::Whole => Some(0),
            Self::Torn(start) if first.starts_with(start) => Some(start.len()),
            Self::Torn(_) | Self::Open => None,
        }
    }

    /// The first `written` bytes of the records are written, and more may be.
    pub(crate) fn went_on(&mut self, records: Records<'_>, written: usize) -> Written {
        let delivered = records.ends.partition_point(|end| *end <= written);
        let start = &records.bytes[records.start_of(delivered)..written];
        *self = if start.is_empty() {
            Self::Whole
        } else {
            Self::Torn(start.to_vec())
        };
        Written {
            delivered,
            failed: 0,
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
    ) -> Written {
        let mut delivered = self.went_on(records, written).delivered;
        if matches!(self, Self::Torn(_))
            && records.ends[delivered] == written + 1
            && records.bytes[written] == b'\n'
        {
            delivered += 1;
            *self = Self::Open;
        }
        Written::stopped(records, delivered, error)
    }
}

/// Any writer.
#[derive(Debug)]
pub(crate) struct Plain<W> {
    writer: W,
    tail: Tail,
}

impl<W> Plain<W> {
    pub(crate) fn new(writer: W) -> Self {
        Self {
            writer,
            tail: Tail::default(),
        }
    }
}

impl<W: Write + Send> Sink for Plain<W> {
    fn write(&mut self, records: Records<'_>, _: &StopFlag) -> Written {
        let mut written = match self.tail.resume(records) {
            Some(written) => written,
            None => {
                if let Err(error) = self.writer.write_all(b"\n") {
                    return Written::stopped(records, 0, error);
                }
                self.tail = Tail::Whole;
                0
            }
        };
        loop {
            match self.writer.write(&records.bytes[written..]) {
                Ok(0) => {
                    let error = io::ErrorKind::WriteZero.into();
                    return self.tail.stopped(records, written, error);
                }
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return self.tail.stopped(records, written, error),
            }
            if written == records.bytes.len() {
                break;
            }
            // What it took is told before it is called again, which may take for ever, or panic.
            return self.tail.went_on(records, written);
        }
        self.tail = Tail::Whole;
        match self.writer.flush() {
            Ok(()) => Written::all(records),
            // It took them, and may still have them: to write them again could double them.
            Err(error) => Written {
                delivered: 0,
                failed: records.ends.len(),
                error: Some(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_there_once_only_its_newline_is_missing() {
        let records = Records {
            bytes: b"ab\n\ncd",
            ends: &[3, 4, 6],
        };
        let delivered = (0..6).map(|written| {
            let error = io::ErrorKind::StorageFull.into();
            Tail::default().stopped(records, written, error).delivered
        });
        assert_eq!(delivered.collect::<Vec<_>>(), [0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn what_was_torn_is_resumed_and_nothing_else() {
        let records = Records {
            bytes: b"abc\nabd\n",
            ends: &[4, 8],
        };
        assert_eq!(Tail::Whole.resume(records), Some(0));
        assert_eq!(Tail::Torn(b"ab".to_vec()).resume(records), Some(2));
        assert_eq!(Tail::Torn(b"b".to_vec()).resume(records), None);
        assert_eq!(Tail::Open.resume(records), None);
    }
}
