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
/// The file contains the id of the process, for error messages. It also contains the date and
/// number of the last rolled file, so that the number is not reused after that file was deleted.
#[derive(Debug)]
pub(super) struct PathLock {
    file: File,
}

/// The result of an attempt to lock.
#[derive(Debug)]
pub(super) enum LockOutcome {
    /// This process now has the lock. The [`RolledId`] is that of the last rolled file, if the lock
    /// file contains it.
    Taken(PathLock, Option<RolledId>),
    /// Another process has the lock. The number is its process id, if the lock file contains it.
    InUse(Option<u32>),
    /// The log works without a lock, because the file system has no locks, or because the lock file
    /// cannot be created and the log never rolls.
    Unsupported(io::Error),
}

impl PathLock {
    /// Tries to lock the file, and creates the file if it is missing. Waits up to [`MAX_TRIES`]
    /// milliseconds while it is unclear whether another process has the lock.
    pub(super) fn try_take(names: &FileNames, dir: &Dir) -> io::Result<LockOutcome> {
        let file = dir.open_lock(&names.lock_name())?;
        check_lock_file(&Meta::from_file(&file)?)?;
        // Any user who may open the file could lock it, so only this user may open it.
        fs::make_private(&file);
        let mut tries = 0;
        while let Err(error) = file.try_lock() {
            let holder = match error {
                TryLockError::WouldBlock => {
                    let (pid, _) = read_lock_file(&file);
                    pid
                }
                TryLockError::Error(error) => return Ok(LockOutcome::Unsupported(error)),
            };
            // Retries in two cases. The file has the id of this process: a child of it, between
            // `fork` and `exec`, may still have a lock that this process has dropped. Or the file
            // has no id: a process may just have locked it, and not have written its id yet.
            if holder.is_some_and(|holder| holder != process::id()) || tries == MAX_TRIES {
                return Ok(LockOutcome::InUse(holder));
            }
            thread::sleep(Duration::from_millis(1));
            tries += 1;
        }
        let (_, last_used) = read_lock_file(&file);
        let lock = Self { file };
        lock.store_last_used(last_used);
        Ok(LockOutcome::Taken(lock, last_used))
    }

    /// Writes the id of this process and the identity of the last rolled file to the lock file. If
    /// the write fails, the names of the existing rolled files still show the number.
    pub(super) fn store_last_used(&self, last_used: Option<RolledId>) {
        let pid = process::id();
        let (date, number) = match last_used {
            Some(RolledId { date, number }) => (date.to_string(), number),
            None => ("-".to_owned(), 0),
        };
        // The length is constant, so that the new line replaces all of the old one.
        let line = format!("{pid:>10} {date:>10} {number:>20}\n");
        let _ = fs::write_at(&self.file, line.as_bytes(), 0);
    }

    /// Returns whether the lock file is still at its path.
    pub(super) fn is_in_place(&self, names: &FileNames, dir: &Dir) -> bool {
        dir.has(&self.file, &names.lock_name())
    }
}

/// Checks that the file can be a lock file, so that a file with other content is not overwritten.
fn check_lock_file(file: &Meta) -> io::Result<()> {
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

/// The length of a lock file in bytes: three columns, two spaces and a newline. A longer file is
/// not a lock file.
const LOCK_LINE_LEN: u64 = 10 + 1 + 10 + 1 + 20 + 1;

/// The maximum number of further attempts to lock, one per millisecond.
const MAX_TRIES: u32 = 50;

/// Reads the process id and the identity of the last rolled file, if the file contains them.
fn read_lock_file(file: &File) -> (Option<u32>, Option<RolledId>) {
    let mut line = [0; 64];
    let len = fs::read_at(file, &mut line, 0).unwrap_or(0);
    let mut words = str::from_utf8(&line[..len])
        .unwrap_or_default()
        .split_whitespace();
    let pid = words.next().and_then(|pid| pid.parse().ok());
    let last_used = words
        .next()
        .and_then(parse_date)
        .zip(words.next().and_then(parse_number));
    (
        pid,
        last_used.map(|(date, number)| RolledId { date, number }),
    )
}
