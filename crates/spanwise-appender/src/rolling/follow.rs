//! Staying with the path, whatever others do to the file.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use spanwise_core::Fault;

use super::{
    error::Why,
    fs::{self, Create, Dir, Meta},
    lock::{Attempt, Lock},
    salvage::Salvage,
    state::{State, open},
};
use crate::sink::Records;

impl State {
    /// Sees whether the path still names our file, at most once a second unless `now`; if not, opens what it names. False if our file
    /// is written on although it is not there.
    pub(super) fn look_at_path(&mut self, now: bool) -> io::Result<bool> {
        let asked = self.reopen_asked.load(Ordering::Relaxed)
            && self.reopen_asked.swap(false, Ordering::Relaxed);
        let instant = self.settings.clock.instant();
        if !asked && !now && instant.saturating_duration_since(self.looked) < LOOKS_EVERY {
            return Ok(true);
        }
        self.looked = instant;
        let ours = Meta::of(&self.current.file);
        if !self.writing.is_failing()
            && self.dir.is_in_place()
            && let (Ok(ours), Ok(there)) =
                (&ours, self.dir.meta(self.settings.names.current_name()))
            && fs::is_same(ours, &there)
            && there.is_file()
        {
            self.current.seen(&there);
            return Ok(true);
        }
        match self.reopen() {
            Err(error) if ours.is_ok_and(|ours| ours.is_deleted()) => Err(error),
            Err(error) => {
                // Moved away, it still holds all that is written to it.
                let path = self.settings.names.current().display();
                self.settings.report.fault(
                    Fault::Setup,
                    &format_args!(
                        "cannot reopen log file {path}: {}; the old one is written on",
                        Why(&error)
                    ),
                );
                Ok(false)
            }
            Ok(()) => Ok(true),
        }
    }

    /// Opens what is at the path, and tries that at once whatever failed before.
    pub(super) fn reopen_now(&mut self) -> io::Result<()> {
        self.reopen()?;
        self.writing.worked();
        self.rolling.worked();
        Ok(())
    }

    /// Sees to it that what was written is in a file that has a name.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if let Some(error) = self.writing.refusal(|| self.settings.clock.instant()) {
            return Err(error);
        }
        self.look_at_path(true)?;
        self.write_salvage()
    }

    /// Writes again what was written in the last second to a file that was deleted, unless its directory went with it.
    pub(super) fn finish(&mut self) {
        let is_deleted = Meta::of(&self.current.file).is_ok_and(|ours| ours.is_deleted());
        let unsafe_bytes = match is_deleted {
            true => self.current.length.saturating_sub(self.current.safe),
            false => 0,
        };
        if unsafe_bytes == 0 && self.salvage.is_empty() {
            return;
        }
        let flushed = match self.settings.names.dir().is_dir() {
            true => self.flush(),
            false => Err(io::ErrorKind::NotFound.into()),
        };
        if let Err(error) = flushed {
            let left = self.salvage.iter().map(Salvage::left).sum::<u64>();
            let what = self.loss(Some(left.max(unsafe_bytes)), &error);
            // There is no later time to tell it.
            self.settings
                .report
                .fault_unthrottled(Fault::WriteFailed, &what);
            self.salvage.clear();
        }
    }

    /// Opens what is at the path, and goes on there.
    fn reopen(&mut self) -> io::Result<()> {
        let settings = Arc::clone(&self.settings);
        let dir = Dir::in_place(&self.dir)?;
        let fresh = open(&settings, &dir, Create::IfMissing)?;
        self.dir = dir;
        let is_same = match (Meta::of(&self.current.file), Meta::of(&fresh.file)) {
            (Ok(ours), Ok(there)) => fs::is_same(&ours, &there),
            _ => false,
        };
        let period = self.current.period;
        let old = std::mem::replace(&mut self.current, fresh);
        if is_same {
            self.current.period = period.filter(|_| self.current.length > 0);
            return Ok(());
        }
        self.roll_at_start = false;
        if Meta::of(&old.file).is_ok_and(|old| old.is_deleted()) {
            match Salvage::of(old) {
                Ok(salvage) => salvage
                    .into_iter()
                    .for_each(|salvage| self.salvage.push_front(salvage)),
                Err(error) => self.lost(None, &error),
            }
        }
        self.settle();
        Ok(())
    }

    /// Makes again what belongs beside the file.
    fn settle(&mut self) {
        let settings = &self.settings;
        if !self
            .lock
            .as_ref()
            .is_none_or(|lock| lock.is_in_place(&settings.names, &self.dir))
        {
            match Lock::try_take(&settings.names, &self.dir) {
                Ok(Attempt::Taken(lock, _)) => self.lock = Some(lock),
                Ok(Attempt::InUse(_) | Attempt::Unsupported(_)) | Err(_) => settings.report.fault(
                    Fault::Setup,
                    &format_args!(
                        "cannot lock {} again; another process may use the log file",
                        settings.names.path(&settings.names.lock()).display()
                    ),
                ),
            }
        }
        settings.keep_latest(&self.dir);
    }

    /// Writes what was in a deleted file again.
    pub(super) fn write_salvage(&mut self) -> io::Result<()> {
        while let Some(mut salvage) = self.salvage.pop_front() {
            loop {
                let (bytes, ends) = match salvage.lines() {
                    Ok(lines) => lines,
                    Err(error) => {
                        self.lost(Some(salvage.left()), &error);
                        break;
                    }
                };
                if ends.is_empty() {
                    break;
                }
                let records = Records {
                    bytes: &bytes[..ends[ends.len() - 1]],
                    ends: &ends,
                };
                let (delivered, error) = self.put(records);
                let written = records.start_of(delivered);
                salvage.written(written);
                if let Some(error) = error {
                    self.salvage.push_front(salvage);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn lost(&self, bytes: Option<u64>, error: &io::Error) {
        let what = self.loss(bytes, error);
        self.settings.report.fault(Fault::WriteFailed, &what);
    }

    fn loss(&self, bytes: Option<u64>, error: &io::Error) -> String {
        let path = self.settings.names.current().display();
        let bytes = bytes.map_or_else(
            || "what was written in the last second".to_owned(),
            |bytes| format!("{bytes} bytes"),
        );
        format!(
            "log file {path} was deleted, and {bytes} with it: {}",
            Why(error)
        )
    }
}

const LOOKS_EVERY: Duration = Duration::from_secs(1);
