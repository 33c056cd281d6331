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

use spanwise_core::stdio;

use crate::sink::{Records, Sink, StopFlag, Tail, Written};

/// One of the two. Written to directly, past what `std` buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// What a pipe that is ready takes without waiting, and without lines of other processes in between: `PIPE_BUF`.
const AT_ONCE: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// A wait for the reader is interrupted this often: to see whether it is time to stop, and to tell what was written before it.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

impl Stream {
    fn fd(self) -> BorrowedFd<'static> {
        match self {
            Self::Stdout => rustix_stdio::stdout(),
            Self::Stderr => rustix_stdio::stderr(),
        }
    }
}

/// What is behind a stream. It can change: a daemon points its streams elsewhere.
#[derive(Debug)]
struct Behind {
    stream: Stream,
    /// Device and number of the file; none if the stream is closed.
    identity: Option<(u64, u64)>,
    nonblocking: Option<OwnedFd>,
    /// A file takes everything at once, and never makes anybody wait for a reader.
    at_once: usize,
}

impl Behind {
    fn of(stream: Stream) -> Self {
        let stat = fstat(stream.fd());
        let is_file = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        Self {
            stream,
            identity: stat.as_ref().ok().map(identity),
            nonblocking: stdio::reopen_nonblocking(stream.fd()),
            at_once: match &stat {
                Ok(stat) if !is_file(stat) => AT_ONCE,
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
    fn wait(&self, stop: &StopFlag) -> io::Result<Waited> {
        let mut ready = [PollFd::from_borrowed_fd(self.fd(), PollFlags::OUT)];
        let timeout = stop.timeout(POLL_INTERVAL);
        let timespec = Timespec {
            tv_sec: 0,
            tv_nsec: timeout.subsec_nanos().into(),
        };
        match poll(&mut ready, Some(&timespec)) {
            Ok(0) if timeout.is_zero() => Ok(Waited::Stopped),
            Ok(0) | Err(Errno::INTR) => Ok(Waited::InVain),
            Ok(_) => Ok(Waited::Ready),
            Err(error) => Err(error.into()),
        }
    }

    /// How many bytes were written: all of them unless there is an error, it is time to stop, or the reader keeps it waiting and it may
    /// pause.
    fn write_all(&self, bytes: &[u8], stop: &StopFlag, may_pause: bool) -> (usize, io::Result<()>) {
        let mut written = 0;
        while written < bytes.len() {
            if self.at_once < usize::MAX {
                match self.wait(stop) {
                    Ok(Waited::Ready) => {}
                    Ok(Waited::InVain) if may_pause => return (written, Ok(())),
                    Ok(Waited::InVain) => continue,
                    Ok(Waited::Stopped) => {
                        return (written, Err(io::ErrorKind::TimedOut.into()));
                    }
                    Err(error) => return (written, Err(error)),
                }
            }
            let end = bytes.len().min(written.saturating_add(self.at_once));
            match rustix::io::write(self.fd(), &bytes[written..end]) {
                Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
                Err(Errno::INTR) => {}
                // Others were quicker.
                Err(Errno::AGAIN) if self.at_once < usize::MAX => {}
                Err(error) => return (written, Err(error.into())),
            }
        }
        (written, Ok(()))
    }
}

/// What came of a wait for the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waited {
    Ready,
    InVain,
    Stopped,
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the types are others on other systems"
)]
fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// A [`Stream`] as an output.
#[derive(Debug)]
pub(crate) struct StreamSink {
    behind: Behind,
    tail: Tail,
}

impl StreamSink {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            behind: Behind::of(stream),
            tail: Tail::default(),
        }
    }
}

impl Sink for StreamSink {
    fn write(&mut self, records: Records<'_>, stop: &StopFlag) -> Written {
        if !self.behind.is_current() {
            self.behind = Behind::of(self.behind.stream);
        }
        let Self { behind, tail } = self;
        let mut written = match tail.resume(records) {
            Some(written) => written,
            None => {
                let (_, ended) = behind.write_all(b"\n", stop, false);
                if let Err(error) = ended {
                    return Written::stopped(records, 0, error);
                }
                0
            }
        };
        while written < records.bytes.len() {
            let whole = records.ends.partition_point(|end| *end <= written);
            let rest = &records.ends[whole..];
            // As many whole records as go at once, or one that is longer.
            let fits = |end: &usize| end - written <= behind.at_once;
            let fitting = rest.partition_point(fits).max(1);
            let bytes = &records.bytes[written..rest[fitting - 1]];
            let (more, result) = behind.write_all(bytes, stop, whole > 0);
            written += more;
            if let Err(error) = result {
                return tail.stopped(records, written, error);
            }
            if more < bytes.len() {
                // What it took is told before it is waited for again.
                return tail.went_on(records, written);
            }
        }
        *tail = Tail::Whole;
        Written::all(records)
    }
}
