//! `SIGHUP` as the trigger of a reload. Operators send it, and `logrotate` sends it after it has
//! moved files.

use std::{
    io::{self, Read as _},
    os::unix::net::UnixStream,
};

use signal_hook::{
    SigId,
    consts::SIGHUP,
    low_level::{pipe, unregister},
};

/// The handler of `SIGHUP`. Dropping it removes the handler and closes its [`Signals`]. Afterwards,
/// the signal has no effect.
#[derive(Debug)]
pub(super) struct SighupHandler(SigId);

/// The receiver of the signals that a [`SighupHandler`] handles.
#[derive(Debug)]
pub(super) struct Signals(UnixStream);

/// Installs a handler of `SIGHUP`, so that the signal no longer ends the process.
pub(super) fn install_handler() -> io::Result<(SighupHandler, Signals)> {
    let (signals, sender) = UnixStream::pair()?;
    // The handler only writes a byte, because it may interrupt code that holds any lock.
    let id = pipe::register(SIGHUP, sender)?;
    Ok((SighupHandler(id), Signals(signals)))
}

impl Signals {
    /// Waits for a signal. Several signals since the last call may count as one. Returns `false` if
    /// the handler was dropped, or after an error.
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
