//! `SIGHUP`, by which `logrotate` and people ask to reopen files.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

use signal_hook::{SigId, consts::SIGHUP, flag, low_level};

/// Sets a flag at every `SIGHUP`, for as long as it lives.
#[derive(Debug)]
pub(super) struct SighupFlag(SigId);

impl SighupFlag {
    pub(super) fn watch(asked: &Arc<AtomicBool>) -> io::Result<Self> {
        flag::register(SIGHUP, Arc::clone(asked)).map(Self)
    }
}

impl Drop for SighupFlag {
    fn drop(&mut self) {
        low_level::unregister(self.0);
    }
}
