//! Standard output and standard error, which others share, and whose readers may stall or go away.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::BorrowedFd,
    fs::{FileType, fstat},
    io::Errno,
    stdio,
};

use crate::sink::{Records, Sink, Tail, Written};

/// One of the two. Written to directly, past what `std` buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// What a pipe that is ready takes without waiting, and without lines of other processes in between: `PIPE_BUF`.
const AT_ONCE: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// How long to wait for a reader before looking whether to stop.
const PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// After the stop, when each line comes from somebody who must not wait.
const NO_PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

impl Stream {
    fn fd(self) -> BorrowedFd<'static> {
        match self {
            Self::Stdout => stdio::stdout(),
            Self::Stderr => stdio::stderr(),
        }
    }

    /// A file takes everything at once, and never makes anybody wait for a reader.
    fn is_file(self) -> bool {
        fstat(self.fd()).is_ok_and(|stat| {
            FileType::from_raw_mode(stat.st_mode as rustix::fs::RawMode) == FileType::RegularFile
        })
    }

    /// Waits until the reader takes more. False if it is time to stop.
    fn wait(self, stop: &AtomicBool) -> io::Result<bool> {
        loop {
            let mut ready = [PollFd::from_borrowed_fd(self.fd(), PollFlags::OUT)];
            let stopped = stop.load(Ordering::Relaxed);
            let patience = if stopped { &NO_PATIENCE } else { &PATIENCE };
            match poll(&mut ready, Some(patience)) {
                Ok(0) if stopped => return Ok(false),
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// How many bytes were written, all of them unless there is an error or it is time to stop.
    fn write_all(self, bytes: &[u8], at_once: usize, stop: &AtomicBool) -> (usize, io::Result<()>) {
        let mut written = 0;
        while written < bytes.len() {
            if at_once < usize::MAX {
                match self.wait(stop) {
                    Ok(true) => {}
                    Ok(false) => return (written, Err(io::ErrorKind::TimedOut.into())),
                    Err(error) => return (written, Err(error)),
                }
            }
            let end = bytes.len().min(written.saturating_add(at_once));
            match rustix::io::write(self.fd(), &bytes[written..end]) {
                Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
                Err(Errno::INTR) => {}
                // Somebody made it non-blocking; it is waited for all the same.
                Err(Errno::AGAIN) if at_once < usize::MAX => {}
                Err(error) => return (written, Err(error.into())),
            }
        }
        (written, Ok(()))
    }
}

/// A [`Stream`] as an output.
#[derive(Debug)]
pub(crate) struct StreamSink {
    stream: Stream,
    tail: Tail,
}

impl StreamSink {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            tail: Tail::default(),
        }
    }
}

impl Sink for StreamSink {
    fn write(&mut self, records: Records<'_>, stop: &AtomicBool) -> Written {
        let at_once = if self.stream.is_file() {
            usize::MAX
        } else {
            AT_ONCE
        };
        let mut written = match self.tail.resume(records) {
            Some(written) => written,
            None => {
                let (_, ended) = self.stream.write_all(b"\n", at_once, stop);
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
            let fitting = rest.partition_point(|end| end - written <= at_once).max(1);
            let bytes = &records.bytes[written..rest[fitting - 1]];
            let (more, result) = self.stream.write_all(bytes, at_once, stop);
            written += more;
            if let Err(error) = result {
                return self.tail.stopped(records, written, error);
            }
        }
        self.tail = Tail::Whole;
        Written::all(records)
    }
}
