//! Reopening on `SIGHUP`. `logrotate` and operators send this signal after they have moved the log
//! file.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

use signal_hook::{SigId, consts::SIGHUP, flag, low_level};

/// The registration of a flag that each `SIGHUP` sets.
///
/// Once the registration is dropped, the signal does not set the flag. It still does not end the
/// process, because `signal_hook` does not restore the default action.
#[derive(Debug)]
pub(super) struct SighupFlag(SigId);

impl SighupFlag {
    pub(super) fn register(requested: &Arc<AtomicBool>) -> io::Result<Self> {
        flag::register(SIGHUP, Arc::clone(requested)).map(Self)
    }
}

impl Drop for SighupFlag {
    fn drop(&mut self) {
        low_level::unregister(self.0);
    }
}
