//! Non-blocking access to stdout and stderr, and the width of a terminal.

use std::io;

#[cfg(unix)]
use std::os::fd::{BorrowedFd, OwnedFd};

/// Opens the pipe or terminal behind `stream` again, in non-blocking mode. A write that would block
/// returns [`WouldBlock`](io::ErrorKind::WouldBlock). Other users of the stream are not affected.
///
/// Returns `None` for other kinds of files, and if the system does not allow this. Only Linux
/// allows it, and not for streams of another user.
#[cfg(unix)]
#[must_use]
pub fn reopen_nonblocking(stream: BorrowedFd<'_>) -> Option<OwnedFd> {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{FileType, Mode, OFlags, fstat, open};

    if !cfg!(target_os = "linux") {
        return None;
    }
    let file_type = FileType::from_raw_mode(fstat(stream).ok()?.st_mode);
    if !matches!(file_type, FileType::Fifo | FileType::CharacterDevice) {
        return None;
    }
    let path = format!("/proc/self/fd/{}", stream.as_raw_fd());
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty()).ok()
}

/// Returns the number of columns of the terminal behind `stream`. Returns `None` if there is no
/// terminal, or if the terminal has no size, as in containers.
#[cfg(unix)]
#[must_use]
pub fn columns(stream: &impl std::os::fd::AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// Returns `None`, because the number of columns is known only on Unix.
#[cfg(not(unix))]
#[must_use]
pub fn columns<T>(_: &T) -> Option<usize> {
    None
}

/// Writes all of `bytes` to stderr, unless the write would block.
///
/// The write is not buffered. It does not lock `std::io::stderr`, because another thread may hold
/// this lock while it waits for the reader of the pipe. The function polls stderr before each
/// write. If [`reopen_nonblocking`] is not possible, a write still blocks if other writers fill the
/// pipe after the poll.
///
/// # Errors
/// * [`WouldBlock`](io::ErrorKind::WouldBlock) if the pipe is full. Part of `bytes` may have been
///   written.
/// * The system's error if stderr is closed.
#[cfg(unix)]
pub fn write_to_stderr(mut bytes: &[u8]) -> io::Result<()> {
    use std::os::fd::AsFd as _;

    use rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        io::{Errno, write},
        stdio::stderr,
    };

    /// `PIPE_BUF`: a pipe that is ready accepts this many bytes. 4096 on Linux, at least 512
    /// elsewhere.
    const MAX_WRITE_LEN: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

    let reopened = reopen_nonblocking(stderr());
    let stream = reopened.as_ref().map_or(stderr(), |file| file.as_fd());
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
/// The system's error if stderr is closed.
#[cfg(not(unix))]
pub fn write_to_stderr(bytes: &[u8]) -> io::Result<()> {
    io::Write::write_all(&mut io::stderr(), bytes)
}
