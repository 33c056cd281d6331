//! Outputs for stdout and stderr. Other processes may write to the same stream, and the reader of
//! the stream may stall or exit.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FileType, Stat, fstat},
    io::Errno,
    stdio as rustix_stdio,
};
use spanwise_core::internal::stdio;

use crate::{
    record_sink::{RecordSink, Records, StopFlag, WriteOutcome},
    writer_sink::LineEnd,
};

/// A standard output stream of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StdStream {
    Stdout,
    Stderr,
}

/// `PIPE_BUF`: a pipe that is ready accepts a write of this many bytes without waiting, and without
/// bytes of other processes in between. 4096 on Linux, at least 512 elsewhere.
const MAX_ATOMIC_WRITE_LEN: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// The longest wait for the reader. After it, the sink checks the stop flag, or returns so that the
/// records that it has written are counted.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

impl StdStream {
    fn fd(self) -> BorrowedFd<'static> {
        match self {
            Self::Stdout => rustix_stdio::stdout(),
            Self::Stderr => rustix_stdio::stderr(),
        }
    }
}

/// The file, pipe or terminal that a stream leads to. The process may redirect the stream later, as
/// daemons do.
#[derive(Debug)]
struct StreamTarget {
    stream: StdStream,
    /// The device and inode of the file. `None` if the stream is closed.
    identity: Option<(u64, u64)>,
    /// The same pipe or terminal, opened again in non-blocking mode. `None` for other files, and if
    /// the system does not support it.
    nonblocking: Option<OwnedFd>,
    /// The maximum length of a write in bytes. `usize::MAX` for a regular file, which has no reader
    /// to wait for, and for a closed stream, which refuses every write.
    max_write_len: usize,
}

/// The result of a wait for the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readiness {
    Ready,
    NotReady,
    /// The stop flag is set.
    Stopped,
}

impl StreamTarget {
    fn open(stream: StdStream) -> Self {
        let stat = fstat(stream.fd());
        let is_file = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        Self {
            stream,
            identity: stat.as_ref().ok().map(identity),
            nonblocking: stdio::reopen_nonblocking(stream.fd()),
            max_write_len: match &stat {
                Ok(stat) if !is_file(stat) => MAX_ATOMIC_WRITE_LEN,
                _ => usize::MAX,
            },
        }
    }

    /// Returns whether the stream still leads to this target.
    fn is_current(&self) -> bool {
        self.identity == fstat(self.stream.fd()).as_ref().ok().map(identity)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match &self.nonblocking {
            Some(fd) => fd.as_fd(),
            None => self.stream.fd(),
        }
    }

    /// Waits until the reader has made room for a write, for at most [`POLL_INTERVAL`].
    fn wait(&self, stop: &StopFlag) -> io::Result<Readiness> {
        let mut ready = [PollFd::from_borrowed_fd(self.fd(), PollFlags::OUT)];
        let timeout = stop.timeout(POLL_INTERVAL);
        let timespec = Timespec {
            tv_sec: 0,
            tv_nsec: timeout.subsec_nanos().into(),
        };
        match poll(&mut ready, Some(&timespec)) {
            Ok(0) if timeout.is_zero() => Ok(Readiness::Stopped),
            Ok(0) | Err(Errno::INTR) => Ok(Readiness::NotReady),
            Ok(_) => Ok(Readiness::Ready),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the bytes, and returns the number of written bytes. Stops early at an error, or if
    /// the reader is not ready and the stop flag is set. With `may_pause`, also stops if the reader
    /// is not ready for [`POLL_INTERVAL`], which is not an error.
    fn write_all(&self, bytes: &[u8], stop: &StopFlag, may_pause: bool) -> (usize, io::Result<()>) {
        let has_reader = self.max_write_len < usize::MAX;
        let mut written = 0;
        while written < bytes.len() {
            if has_reader {
                match self.wait(stop) {
                    Ok(Readiness::Ready) => {}
                    Ok(Readiness::NotReady) if may_pause => return (written, Ok(())),
                    Ok(Readiness::NotReady) => continue,
                    Ok(Readiness::Stopped) => {
                        return (written, Err(io::ErrorKind::TimedOut.into()));
                    }
                    Err(error) => return (written, Err(error)),
                }
            }
            let end = bytes.len().min(written.saturating_add(self.max_write_len));
            match rustix::io::write(self.fd(), &bytes[written..end]) {
                Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(Errno::INTR) => {}
                // Another process has just filled the pipe, so wait again.
                Err(Errno::AGAIN) if has_reader => {}
                Err(error) => return (written, Err(error.into())),
            }
        }
        (written, Ok(()))
    }
}

#[allow(clippy::unnecessary_cast, reason = "the types differ between systems")]
fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// The output for a [`StdStream`]. Writes without the buffer of `std`.
#[derive(Debug)]
pub(crate) struct StdioSink {
    target: StreamTarget,
    line_end: LineEnd,
}

impl StdioSink {
    pub(crate) fn new(stream: StdStream) -> Self {
        Self {
            target: StreamTarget::open(stream),
            line_end: LineEnd::default(),
        }
    }
}

impl RecordSink for StdioSink {
    fn write(&mut self, records: Records<'_>, stop: &StopFlag) -> WriteOutcome {
        if !self.target.is_current() {
            self.target = StreamTarget::open(self.target.stream);
            // If a part of a record is in the old target, the new target gets the whole record.
            self.line_end = LineEnd::Complete;
        }
        let Self { target, line_end } = self;
        let mut written = match line_end.resume_offset(records) {
            Some(written) => written,
            None => {
                let may_pause = false;
                if let (_, Err(error)) = target.write_all(b"\n", stop, may_pause) {
                    return WriteOutcome::stopped_at(records, 0, error);
                }
                0
            }
        };
        while written < records.as_bytes().len() {
            let delivered = records.count_within(written);
            let remaining_ends = &records.ends()[delivered..];
            // Writes as many whole records as fit into one atomic write, or one record if it is
            // longer.
            let fits = |end: &usize| end - written <= target.max_write_len;
            let fitting_records = remaining_ends.partition_point(fits).max(1);
            let bytes = &records.as_bytes()[written..remaining_ends[fitting_records - 1]];
            let may_pause = delivered > 0;
            let (count, result) = target.write_all(bytes, stop, may_pause);
            written += count;
            if let Err(error) = result {
                return line_end.stopped_at(records, written, error);
            }
            if count < bytes.len() {
                // Returns early, so that the delivered records are counted before the next wait.
                return line_end.advance(records, written);
            }
        }
        *line_end = LineEnd::Complete;
        WriteOutcome::all(records)
    }
}
