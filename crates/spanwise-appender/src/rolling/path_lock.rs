//! The lock that prevents other processes from writing to the same path.

use std::{
    fs::{File, TryLockError},
    io, process, thread,
    time::Duration,
};

use super::{
    file_names::{FileNames, RolledId, parse_date, parse_number},
    fs::{self, Dir, Meta},
};

/// The lock on the file `.app.log.lock`, held until `PathLock` is dropped.
///
/// The file contains the process id and the last used file number, so that a number is not reused
/// after its rolled file was deleted.
#[derive(Debug)]
pub(super) struct PathLock {
    file: File,
}

/// The result of an attempt to lock.
#[derive(Debug)]
pub(super) enum LockOutcome {
    /// This process now has the lock. The [`RolledId`] is the last used one, if the file contains
    /// it.
    Taken(PathLock, Option<RolledId>),
    /// Another process has the lock. The number is its process id, if the file contains it.
    InUse(Option<u32>),
    /// The file system has no locks. Or the lock file cannot be created, and the log does not roll.
    Unsupported(io::Error),
}

impl PathLock {
    pub(super) fn try_take(names: &FileNames, dir: &Dir) -> io::Result<LockOutcome> {
        let file = dir.open_lock(&names.lock())?;
        check(&Meta::from_file(&file)?)?;
        // Any user who may open the file could lock it, so only this user may open it.
        fs::make_private(&file);
        let mut tries = 0;
        while let Err(error) = file.try_lock() {
            let holder = match error {
                TryLockError::WouldBlock => {
                    let (pid, _) = read(&file);
                    pid
                }
                TryLockError::Error(error) => return Ok(LockOutcome::Unsupported(error)),
            };
            // Retries in two cases. A child process between `fork` and `exec` still has a lock that
            // this process has just dropped. Or a process has just locked the file, and has not
            // written its id yet.
            if holder.is_some_and(|holder| holder != process::id()) || tries == MAX_TRIES {
                return Ok(LockOutcome::InUse(holder));
            }
            thread::sleep(Duration::from_millis(1));
            tries += 1;
        }
        let (_, last) = read(&file);
        let lock = Self { file };
        lock.remember(last);
        Ok(LockOutcome::Taken(lock, last))
    }

    /// Writes the process id and the last used number to the file. If the write fails, the names of
    /// the rolled files still show the number.
    pub(super) fn remember(&self, last: Option<RolledId>) {
        let pid = process::id();
        let (date, number) = match last {
            Some(RolledId { date, number }) => (date.to_string(), number),
            None => ("-".to_owned(), 0),
        };
        // The length is constant, so that the new line replaces the old one.
        let line = format!("{pid:>10} {date:>10} {number:>20}\n");
        let _ = fs::write_at(&self.file, line.as_bytes(), 0);
    }

    /// Returns whether the lock file is still at its path.
    pub(super) fn is_in_place(&self, names: &FileNames, dir: &Dir) -> bool {
        dir.has(&self.file, &names.lock())
    }
}

/// Checks that the file can be a lock file, so that no other content is overwritten.
fn check(file: &Meta) -> io::Result<()> {
    let is_lock = file.is_file() && file.len() <= LOCK_LINE_LEN && file.links() == 1;
    if is_lock {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        "it is not the lock file of a log, so it is not overwritten; delete it, or choose another \
         path",
    ))
}

/// The length of a lock file. A longer file is not a lock file.
const LOCK_LINE_LEN: u64 = 10 + 1 + 10 + 1 + 20 + 1;

/// The maximum number of attempts to lock, one per millisecond.
const MAX_TRIES: u32 = 50;

/// Reads the process id and the last used number, as far as the file contains them.
fn read(file: &File) -> (Option<u32>, Option<RolledId>) {
    let mut line = [0; 64];
    let read = fs::read_at(file, &mut line, 0).unwrap_or(0);
    let mut words = str::from_utf8(&line[..read])
        .unwrap_or_default()
        .split_whitespace();
    let pid = words.next().and_then(|pid| pid.parse().ok());
    let last = words
        .next()
        .and_then(parse_date)
        .zip(words.next().and_then(parse_number));
    (pid, last.map(|(date, number)| RolledId { date, number }))
}
