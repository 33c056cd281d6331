//! One process at a path.

use std::{
    fs::{File, TryLockError},
    io, process, thread,
    time::Duration,
};

use super::{
    file_names::{FileNames, RolledId, parse_date, parse_number},
    fs::{self, Dir, Meta},
};

/// The file `.app.log.lock`, locked for as long as this lives. In it stand the process and the last number given, so that a number
/// is not given again after its file was deleted.
#[derive(Debug)]
pub(super) struct PathLock {
    file: File,
}

/// What became of an attempt to lock.
#[derive(Debug)]
pub(super) enum LockOutcome {
    /// The lock is ours; the last number given, if it is known.
    Taken(PathLock, Option<RolledId>),
    /// Somebody else has it: which process, if it says so.
    InUse(Option<u32>),
    /// This file system has no locks.
    Unsupported(io::Error),
}

impl PathLock {
    pub(super) fn try_take(names: &FileNames, dir: &Dir) -> io::Result<LockOutcome> {
        let file = dir.open_own(&names.lock())?;
        check(&Meta::from_file(&file)?)?;
        // Whoever may open it may hold it: in versions before this one the group could.
        fs::make_private(&file);
        let mut tries = 0;
        while let Err(error) = file.try_lock() {
            let holder = match error {
                TryLockError::WouldBlock => read(&file).0,
                TryLockError::Error(error) => return Ok(LockOutcome::Unsupported(error)),
            };
            // A child that is being started has what we have just given up, until it becomes another program. One that has taken it just
            // now has not yet written who it is.
            if holder.is_some_and(|holder| holder != process::id()) || tries == 50 {
                return Ok(LockOutcome::InUse(holder));
            }
            thread::sleep(Duration::from_millis(1));
            tries += 1;
        }
        let last = read(&file).1;
        let lock = Self { file };
        lock.remember(last);
        Ok(LockOutcome::Taken(lock, last))
    }

    /// Writes down the last number given. Should that fail, the names of the files still tell.
    pub(super) fn remember(&self, last: Option<RolledId>) {
        let pid = process::id();
        let (date, number) = match last {
            Some(RolledId { date, number }) => (date.to_string(), number),
            None => ("-".to_owned(), 0),
        };
        // Always as long, so that nothing has to be cut off.
        let line = format!("{pid:>10} {date:>10} {number:>20}\n");
        let _ = fs::write_at(&self.file, line.as_bytes(), 0);
    }

    /// Whether the lock file is still where others look for it.
    pub(super) fn is_in_place(&self, names: &FileNames, dir: &Dir) -> bool {
        match (Meta::from_file(&self.file), dir.meta(&names.lock())) {
            (Ok(ours), Ok(there)) => fs::is_same(&ours, &there),
            _ => false,
        }
    }
}

/// Whether the file is a lock, and nothing that somebody needs.
fn check(file: &Meta) -> io::Result<()> {
    let is_lock = file.is_file() && file.len() <= LOCK_LINE_LEN && file.links() == 1;
    if is_lock {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        "what is there is not a lock of ours, and stays; remove it, or name another path",
    ))
}

/// Of what stands in it. What is longer is somebody else's.
const LOCK_LINE_LEN: u64 = 10 + 1 + 10 + 1 + 20 + 1;

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
