//! Standard output and standard error, for threads that must not wait for a reader.

use std::io;

#[cfg(unix)]
use std::os::fd::{BorrowedFd, OwnedFd};

/// Another way to write to the pipe or the terminal behind `stream`, by which no write waits: what is not taken at once is
/// [`WouldBlock`](io::ErrorKind::WouldBlock). Others who have the stream open are not affected.
///
/// None for what is neither, and where the system gives none: only Linux does, and not across users.
#[cfg(unix)]
#[must_use]
pub fn reopen_nonblocking(stream: BorrowedFd<'_>) -> Option<OwnedFd> {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{FileType, Mode, OFlags, fstat, open};

    if !cfg!(target_os = "linux") {
        return None;
    }
    let kind = FileType::from_raw_mode(fstat(stream).ok()?.st_mode);
    if !matches!(kind, FileType::Fifo | FileType::CharacterDevice) {
        return None;
    }
    let path = format!("/proc/self/fd/{}", stream.as_raw_fd());
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty()).ok()
}

/// Writes all of `bytes` to stderr, unless that would have to wait for a reader.
///
/// Not buffered, and not behind the lock of `std::io::stderr`, whose holder may be waiting for the reader. Where
/// [`reopen_nonblocking`] is of no help, it looks whether stderr takes more, and can wait only if others fill it at that moment.
///
/// # Errors
/// [`WouldBlock`](io::ErrorKind::WouldBlock) if a reader is behind; part of `bytes` may have been written. What the system says, if
/// stderr is closed.
#[cfg(unix)]
pub fn write_to_stderr(mut bytes: &[u8]) -> io::Result<()> {
    use std::os::fd::AsFd as _;

    use rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        io::{Errno, write},
        stdio::stderr,
    };

    /// A pipe that is ready takes this much in one go: `PIPE_BUF`, which is 512 at the least and 4096 on Linux.
    const MAX_WRITE_LEN: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

    let reopened = reopen_nonblocking(stderr());
    let stream = reopened.as_ref().map_or(stderr(), |own| own.as_fd());
    while !bytes.is_empty() {
        let mut ready = [PollFd::from_borrowed_fd(stream, PollFlags::OUT)];
        match poll(&mut ready, Some(&Timespec::default())) {
            Ok(0) => return Err(io::ErrorKind::WouldBlock.into()),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match write(stream, &bytes[..bytes.len().min(MAX_WRITE_LEN)]) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes all of `bytes` to stderr.
///
/// # Errors
/// What the system says, if stderr is closed.
#[cfg(not(unix))]
pub fn write_to_stderr(bytes: &[u8]) -> io::Result<()> {
    io::Write::write_all(&mut io::stderr(), bytes)
}
