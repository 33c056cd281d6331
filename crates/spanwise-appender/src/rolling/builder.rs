//! How a rolling file is set up.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Weak, atomic::AtomicBool},
};

use spanwise_core::{Clock, Fault, SelfReport};

use super::{
    Inner, RollingFile, Settings,
    active_file::OpenFailure,
    compression::Compression,
    error::{DisplayIoError, OpenError, OpenErrorKind},
    file_names::{FileNames, RolledId},
    file_numbers::FileNumbers,
    file_writer::{FileWriter, open},
    forked::ForkSafeWriter,
    fs::{self, Create, Dir, Meta},
    housekeeping::Housekeeper,
    path_checks::{
        absolute, cannot_make_dir, cannot_open, check_dir, check_length, check_name, check_trust,
        in_use, not_a_file, untrusted,
    },
    path_lock::{LockOutcome, PathLock},
    retention::Retention,
    rotation::Rotation,
};
use crate::{
    ByteSize, SettingError,
    process_hooks::{self, ProcessHooks},
};

/// Sets up a [`RollingFile`]; starts with [`RollingFile::builder`].
#[derive(Debug, Clone)]
#[must_use = "nothing is opened until `build` is called"]
pub struct RollingFileBuilder {
    path: PathBuf,
    options: Options,
}

#[derive(Debug, Clone)]
struct Options {
    rotation: Rotation,
    retention: Retention,
    compression: Compression,
    mode: u32,
    link_latest: bool,
    per_process: bool,
    fallback_to_stderr: bool,
    #[cfg(all(unix, feature = "sighup"))]
    reopen_on_sighup: bool,
    clock: Clock,
    report: SelfReport,
}

impl RollingFile {
    /// Sets up the log that is written to `path`, such as `/var/log/app/app.log`. A relative path is one of the directory in which
    /// the process is when it is opened.
    pub fn builder(path: impl Into<PathBuf>) -> RollingFileBuilder {
        RollingFileBuilder {
            path: path.into(),
            options: Options {
                rotation: Rotation::default(),
                retention: Retention::default(),
                compression: Compression::None,
                mode: 0o640,
                link_latest: false,
                per_process: false,
                fallback_to_stderr: false,
                #[cfg(all(unix, feature = "sighup"))]
                reopen_on_sighup: false,
                clock: Clock::system(),
                report: SelfReport::default(),
            },
        }
    }
}

impl RollingFileBuilder {
    /// When a new file starts. Default: daily and at 100 MiB, in UTC.
    pub fn rotation(mut self, rotation: Rotation) -> Self {
        self.options.rotation = rotation;
        self
    }

    /// Which rolled files stay. Default: the newest 14.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.options.retention = retention;
        self
    }

    /// How rolled files are compressed. Default: not at all.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.options.compression = compression;
        self
    }

    /// The permissions that new files are made with; the process's umask takes from them. Default: `0o640`. Unix only.
    pub fn mode(mut self, mode: u32) -> Self {
        self.options.mode = mode & 0o7777;
        self
    }

    /// Keeps a symbolic link `app.latest.log` to the file that is written; with [`per_process`](Self::per_process), by the process that
    /// started last. Default: none.
    pub fn link_latest(mut self) -> Self {
        self.options.link_latest = true;
        self
    }

    /// Lets further processes that log to this path write `app.2.log`, `app.3.log` and so on, the first that is free. Default: they
    /// get an error.
    pub fn per_process(mut self) -> Self {
        self.options.per_process = true;
        self
    }

    /// Writes to stderr what the file does not take, as far as stderr takes it without waiting. It is counted as failed all the
    /// same. Default: it is not.
    pub fn fallback_to_stderr(mut self) -> Self {
        self.options.fallback_to_stderr = true;
        self
    }

    /// Opens the path anew after a `SIGHUP`, with the next record. The signal does nothing else then: it does not end the process.
    /// Default: only [`RollingFile::reopen`] does, and finding that the file was moved.
    #[cfg(all(unix, feature = "sighup"))]
    pub fn reopen_on_sighup(mut self) -> Self {
        self.options.reopen_on_sighup = true;
        self
    }

    /// Where it takes the time from. Default: the system.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.options.clock = clock;
        self
    }

    /// Where it tells what goes wrong later. Default: the report of the process.
    pub fn report(mut self, report: &SelfReport) -> Self {
        self.options.report = report.clone();
        self
    }

    /// Says whether the file could be opened, and neither opens it nor leaves anything behind.
    ///
    /// Beside a file of another user, or one that every user may write to, it makes an empty file for a moment, such as
    /// `.app.log.probe`: to see whether all files there are like that.
    ///
    /// # Errors
    /// What [`build`](Self::build) would say, as far as that can be seen; not whether another process logs there.
    pub fn check(&self) -> Result<(), OpenError> {
        let wrong = |error: SettingError| {
            let path = &self.path;
            OpenError::new(
                OpenErrorKind::Setting,
                format!("cannot log to {path:?}: {error}"),
            )
        };
        self.options.compression.check().map_err(wrong)?;
        if self.options.rotation.size == Some(ByteSize(0)) {
            return Err(wrong(SettingError::new(
                "a file of at most 0B holds no record; set a size of at least 1B",
            )));
        }
        check_name(&self.path)?;
        let names = FileNames::new(&absolute(&self.path)?, 1);
        self.check_length(&names)?;
        if let Ok(there) = Meta::at(names.current()) {
            if let Some(kind) = there.non_file_kind() {
                return Err(not_a_file(names.current(), kind));
            }
            if let Ok(dir) = Dir::open(names.dir())
                && let Some(distrust) = check_trust(&there, &names, &dir, self.options.mode)
            {
                return Err(untrusted(names.current(), distrust));
            }
            fs::may_write(names.current(), false)
                .map_err(|error| cannot_open(names.current(), error))?;
            if self.options.rotation.is_never() {
                // Nothing else has to be made.
                return Ok(());
            }
        }
        check_dir(names.dir())
    }

    /// No name that is ever given is too long for the disk: of all rolled files, under each form, for each process.
    fn check_length(&self, names: &FileNames) -> Result<(), OpenError> {
        let Options {
            rotation,
            compression,
            link_latest,
            per_process,
            ..
        } = &self.options;
        let longest =
            |names: &FileNames| names.longest(!rotation.is_never(), *compression, *link_latest);
        match per_process {
            true => {
                let last = FileNames::new(names.current(), MAX_PROCESSES);
                check_length(names, longest(&last))
            }
            false => check_length(names, longest(names)),
        }
    }

    /// Opens the file, and makes it and its directory if they are missing.
    ///
    /// # Errors
    /// [`OpenError`] says why that cannot be.
    pub fn build(self) -> Result<RollingFile, OpenError> {
        self.check()?;
        let Options {
            rotation,
            retention,
            compression,
            mode,
            link_latest,
            per_process,
            fallback_to_stderr,
            clock,
            report,
            ..
        } = self.options;
        let path = absolute(&self.path)?;
        let names = FileNames::new(&path, 1);
        fs::create_dirs(names.dir()).map_err(|error| cannot_make_dir(names.dir(), error))?;
        let dir = Dir::open(names.dir()).map_err(|error| cannot_open(names.dir(), error))?;
        let (names, lock, last) = match per_process {
            true => lock_first_free(&path, &dir, &report)?,
            false => lock(names, &dir, &rotation, &report)?,
        };
        let dir = Arc::new(dir);
        let settings = Arc::new(Settings {
            names,
            dir: Arc::clone(&dir),
            rotation,
            retention,
            compression,
            mode,
            link_latest,
            fallback_to_stderr,
            clock,
            report,
        });
        let path = settings.names.current();
        settings.remove_leftover_next(&dir);
        settings.finish_interrupted_roll(&dir);
        let current = open(&settings, &dir, Create::IfMissing).map_err(|error| match error {
            OpenFailure::Kind(kind) => not_a_file(path, kind),
            OpenFailure::Untrusted(distrust) => untrusted(path, distrust),
            OpenFailure::Io(error) => cannot_open(path, error),
        })?;
        settings.update_latest_link(&dir);
        let reopen_requested = Arc::new(AtomicBool::new(false));
        #[cfg(all(unix, feature = "sighup"))]
        let sighup = match self.options.reopen_on_sighup {
            true => Some(
                super::sighup::SighupFlag::watch(&reopen_requested).map_err(|error| {
                    let message = format!(
                        "cannot watch for SIGHUP to reopen {path:?}: {}",
                        DisplayIoError(&error)
                    );
                    OpenError::new(OpenErrorKind::Other, message).caused_by(error)
                })?,
            ),
            false => None,
        };
        let mut housekeeper = Housekeeper::new();
        housekeeper.wake(&settings, &dir);
        let numbers = FileNumbers::new(last);
        let state = FileWriter::new(
            Arc::clone(&settings),
            dir,
            current,
            numbers,
            lock,
            housekeeper,
            reopen_requested,
        );
        let inner = Arc::new(Inner {
            state: ForkSafeWriter::new(Arc::clone(&settings), state),
            settings,
            #[cfg(all(unix, feature = "sighup"))]
            _hangup: sighup,
        });
        let watched: Weak<dyn ProcessHooks> = Arc::<Inner>::downgrade(&inner);
        process_hooks::watch(watched);
        Ok(RollingFile(inner))
    }
}

type Locked = (FileNames, Option<PathLock>, Option<RolledId>);

fn lock(
    names: FileNames,
    dir: &Dir,
    rotation: &Rotation,
    report: &SelfReport,
) -> Result<Locked, OpenError> {
    match PathLock::try_take(&names, dir) {
        Ok(LockOutcome::InUse(pid)) => Err(in_use(&names, pid)),
        Ok(attempt) => Ok(locked(names, attempt, report)),
        // Nothing else needs the directory to be writable.
        Err(error) if rotation.is_never() => {
            Ok(locked(names, LockOutcome::Unsupported(error), report))
        }
        Err(error) => Err(cannot_open(&names.path(&names.lock()), error)),
    }
}

fn lock_first_free(path: &Path, dir: &Dir, report: &SelfReport) -> Result<Locked, OpenError> {
    for slot in 1..=MAX_PROCESSES {
        let names = FileNames::new(path, slot);
        match PathLock::try_take(&names, dir) {
            Ok(LockOutcome::InUse(_)) => {}
            Ok(attempt) => return Ok(locked(names, attempt, report)),
            Err(error) => return Err(cannot_open(&names.path(&names.lock()), error)),
        }
    }
    Err(in_use(&FileNames::new(path, MAX_PROCESSES), None))
}

fn locked(names: FileNames, attempt: LockOutcome, report: &SelfReport) -> Locked {
    match attempt {
        LockOutcome::Taken(lock, last) => (names, Some(lock), last),
        LockOutcome::InUse(_) => (names, None, None),
        LockOutcome::Unsupported(error) => {
            report.fault(
                Fault::Setup,
                &format_args!(
                    "cannot lock {}: {}; see to it that one process logs there",
                    names.path(&names.lock()).display(),
                    DisplayIoError(&error)
                ),
            );
            (names, None, None)
        }
    }
}

const MAX_PROCESSES: u32 = 10_000;
