//! What takes whole records and says how many it took.

use std::{
    io::{self, Write},
    sync::atomic::AtomicBool,
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

/// What became of [`Records`], from the first on: `delivered`, then `failed`, then those that are still to be written.
#[derive(Debug)]
pub(crate) struct Written {
    /// Records that the kernel, or whoever is behind the writer, has whole.
    pub(crate) delivered: usize,
    /// Records after those that are lost, or went to the fallback: not to be tried again.
    pub(crate) failed: usize,
    /// Why not all of them were delivered.
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

/// Where a [`Background`](crate::Background) writes to.
pub(crate) trait Sink: Send {
    /// Writes from the first record on. One that waits for somebody gives up soon after `stop` is set.
    fn write(&mut self, records: Records<'_>, stop: &AtomicBool) -> Written;

    /// There is nothing more to write.
    fn finish(&mut self) {}
}

impl Sink for RollingFile {
    fn write(&mut self, records: Records<'_>, _: &AtomicBool) -> Written {
        self.write_records(records, true)
    }

    /// Sees that it was not deleted since it was last looked at.
    fn finish(&mut self) {
        // What went wrong was told.
        let _ = self.flush();
    }
}

/// Any writer.
#[derive(Debug)]
pub(crate) struct Plain<W> {
    writer: W,
    /// The last bytes written are half a record.
    torn: bool,
}

impl<W> Plain<W> {
    pub(crate) fn new(writer: W) -> Self {
        Self {
            writer,
            torn: false,
        }
    }
}

impl<W: Write + Send> Sink for Plain<W> {
    fn write(&mut self, records: Records<'_>, _: &AtomicBool) -> Written {
        if self.torn {
            if let Err(error) = self.writer.write_all(b"\n") {
                return Written::stopped(records, 0, error);
            }
            self.torn = false;
        }
        let mut written = 0;
        while written < records.bytes.len() {
            let error = match self.writer.write(&records.bytes[written..]) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(more) => {
                    written += more;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let delivered = records.ends.partition_point(|end| *end <= written);
            self.torn = records.start_of(delivered) < written;
            return Written::stopped(records, delivered, error);
        }
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
