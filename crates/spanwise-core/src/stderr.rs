//! Standard error, for a thread that must not wait.

use std::io;

/// Writes all of `bytes` to stderr, unless that would have to wait for a reader.
///
/// Not buffered, and not behind the lock of `std::io::stderr`, whose holder may be waiting for the reader.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] if a reader is behind; part of `bytes` may have been written. What the system says, if stderr is
/// closed.
#[cfg(unix)]
pub fn write_if_ready(mut bytes: &[u8]) -> io::Result<()> {
    use rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        io::{Errno, write},
        stdio::stderr,
    };

    /// A pipe that is ready takes this much in one go: `PIPE_BUF`, which is 512 at the least and 4096 on Linux.
    const AT_ONCE: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

    while !bytes.is_empty() {
        let mut stderr_ready = [PollFd::from_borrowed_fd(stderr(), PollFlags::OUT)];
        match poll(&mut stderr_ready, Some(&Timespec::default())) {
            Ok(0) => return Err(io::ErrorKind::WouldBlock.into()),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match write(stderr(), &bytes[..bytes.len().min(AT_ONCE)]) {
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
pub fn write_if_ready(bytes: &[u8]) -> io::Result<()> {
    io::Write::write_all(&mut io::stderr(), bytes)
}
