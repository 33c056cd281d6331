//! `SIGHUP`: `logrotate` and operators send it to have files reopened.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

use signal_hook::{SigId, consts::SIGHUP, flag, low_level};

/// Sets a flag at each `SIGHUP`. Dropping it removes the handler.
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
