//! `SIGHUP` as the trigger of a reload. Operators send it, and `logrotate` after it moved files.

use std::{
    io::{self, Read as _},
    os::unix::net::UnixStream,
};

use signal_hook::{
    SigId,
    consts::SIGHUP,
    low_level::{pipe, unregister},
};

/// The handler of `SIGHUP`. Dropping it removes the handler and closes its [`Signals`]. From then
/// on, the signal has no effect.
#[derive(Debug)]
pub(super) struct SighupHandler(SigId);

/// The signals that a [`SighupHandler`] has received.
#[derive(Debug)]
pub(super) struct Signals(UnixStream);

/// Handles `SIGHUP`, which no longer ends the process.
pub(super) fn handle() -> io::Result<(SighupHandler, Signals)> {
    let (signals, sender) = UnixStream::pair()?;
    // The handler only writes a byte, because it may interrupt code that holds any lock.
    let id = pipe::register(SIGHUP, sender)?;
    Ok((SighupHandler(id), Signals(signals)))
}

impl Signals {
    /// Waits for a signal. Several signals since the last call count as one. Returns false if the
    /// handler was dropped, or after an error.
    pub(super) fn wait(&mut self) -> bool {
        loop {
            match self.0.read(&mut [0; 64]) {
                Ok(len) => return len > 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }
}

impl Drop for SighupHandler {
    fn drop(&mut self) {
        unregister(self.0);
    }
}
