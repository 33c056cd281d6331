//! Standard output and standard error, which others share, and whose readers may stall or go away.

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

/// One of the two. Written to directly, past what `std` buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StdStream {
    Stdout,
    Stderr,
}

/// What a pipe that is ready takes without waiting, and without lines of other processes in between: `PIPE_BUF`.
const MAX_ATOMIC_WRITE: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// A wait for the reader is interrupted this often: to see whether it is time to stop, and to tell what was written before it.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

impl StdStream {
    fn fd(self) -> BorrowedFd<'static> {
        match self {
            Self::Stdout => rustix_stdio::stdout(),
            Self::Stderr => rustix_stdio::stderr(),
        }
    }
}

/// What is behind a stream. It can change: a daemon points its streams elsewhere.
#[derive(Debug)]
struct StreamTarget {
    stream: StdStream,
    /// Device and number of the file; none if the stream is closed.
    identity: Option<(u64, u64)>,
    nonblocking: Option<OwnedFd>,
    /// A file takes everything at once, and never makes anybody wait for a reader.
    max_write: usize,
}

impl StreamTarget {
    fn open(stream: StdStream) -> Self {
        let stat = fstat(stream.fd());
        let is_file = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        Self {
            stream,
            identity: stat.as_ref().ok().map(identity),
            nonblocking: stdio::reopen_nonblocking(stream.fd()),
            max_write: match &stat {
                Ok(stat) if !is_file(stat) => MAX_ATOMIC_WRITE,
                _ => usize::MAX,
            },
        }
    }

    fn is_current(&self) -> bool {
        self.identity == fstat(self.stream.fd()).as_ref().ok().map(identity)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match &self.nonblocking {
            Some(own) => own.as_fd(),
            None => self.stream.fd(),
        }
    }

    /// Waits until the reader takes more, or for a while.
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

    /// How many bytes were written: all of them unless there is an error, it is time to stop, or the reader keeps it waiting and it may
    /// pause.
    fn write_all(&self, bytes: &[u8], stop: &StopFlag, may_pause: bool) -> (usize, io::Result<()>) {
        let mut written = 0;
        while written < bytes.len() {
            if self.max_write < usize::MAX {
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
            let end = bytes.len().min(written.saturating_add(self.max_write));
            match rustix::io::write(self.fd(), &bytes[written..end]) {
                Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
                Err(Errno::INTR) => {}
                // Others were quicker.
                Err(Errno::AGAIN) if self.max_write < usize::MAX => {}
                Err(error) => return (written, Err(error.into())),
            }
        }
        (written, Ok(()))
    }
}

/// What came of a wait for the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readiness {
    Ready,
    NotReady,
    Stopped,
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the types are others on other systems"
)]
fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// A [`StdStream`] as an output.
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
        }
        let Self { target, line_end } = self;
        let mut written = match line_end.resume(records) {
            Some(written) => written,
            None => {
                let (_, ended) = target.write_all(b"\n", stop, false);
                if let Err(error) = ended {
                    return WriteOutcome::stopped_at(records, 0, error);
                }
                0
            }
        };
        while written < records.as_bytes().len() {
            let whole = records.count_within(written);
            let rest = &records.ends()[whole..];
            // As many whole records as go at once, or one that is longer.
            let fits = |end: &usize| end - written <= target.max_write;
            let fitting = rest.partition_point(fits).max(1);
            let bytes = &records.as_bytes()[written..rest[fitting - 1]];
            let (more, result) = target.write_all(bytes, stop, whole > 0);
            written += more;
            if let Err(error) = result {
                return line_end.stopped_at(records, written, error);
            }
            if more < bytes.len() {
                // What it took is told before it is waited for again.
                return line_end.advance(records, written);
            }
        }
        *line_end = LineEnd::Complete;
        WriteOutcome::all(records)
    }
}
