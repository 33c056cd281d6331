//! The options of a rolling file, and the steps that open it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use spanwise_core::{
    Clock, Fault, ParseError, SelfReport,
    internal::{forks::PerProcess, sync::Mutex},
};

use super::{
    Inner, RollingFile, Settings,
    active_file::OpenFailure,
    compression::Compression,
    error::{DisplayIoError, OpenError, OpenErrorKind},
    file_names::{FileNames, RolledId},
    file_numbers::FileNumbers,
    file_writer::{FileWriter, open},
    fs::{self, Create, Dir, Meta},
    path_checks::{
        absolute, cannot_create_dir, cannot_open, check_dir, check_length, check_name, check_trust,
        in_use, not_a_file, untrusted,
    },
    path_lock::{LockOutcome, PathLock},
    retention::Retention,
    rotation::Rotation,
};
use crate::{
    ByteSize,
    process_hooks::{self, ProcessHooks},
};

/// Sets up a [`RollingFile`]. Start with [`RollingFile::builder`].
#[derive(Debug, Clone)]
#[must_use = "nothing is opened until `build` is called"]
pub struct RollingFileBuilder {
    path: PathBuf,
    options: Options,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    pub(super) rotation: Rotation,
    pub(super) retention: Retention,
    pub(super) compression: Compression,
    pub(super) mode: u32,
    pub(super) link_latest: bool,
    pub(super) per_process: bool,
    pub(super) fallback_to_stderr: bool,
    #[cfg(all(unix, feature = "sighup"))]
    pub(super) reopen_on_sighup: bool,
    pub(super) clock: Clock,
    pub(super) report: SelfReport,
}

/// The highest `n` of the files `app.n.log` of [`RollingFileBuilder::per_process`].
const MAX_PROCESSES: u32 = 10_000;

impl RollingFile {
    /// Creates a builder for the log at `path`, such as `/var/log/app/app.log`. A relative path is
    /// resolved when the file is opened.
    pub fn builder(path: impl Into<PathBuf>) -> RollingFileBuilder {
        RollingFileBuilder {
            path: path.into(),
            options: Options {
                mode: 0o640,
                ..Options::default()
            },
        }
    }
}

impl RollingFileBuilder {
    /// Sets when a new file starts. Defaults to daily and at 100 MiB, in UTC.
    pub fn rotation(mut self, rotation: Rotation) -> Self {
        self.options.rotation = rotation;
        self
    }

    /// Sets which rolled files are kept. Defaults to the newest 14.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.options.retention = retention;
        self
    }

    /// Sets how rolled files are compressed. Defaults to no compression.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.options.compression = compression;
        self
    }

    /// Sets the permissions of new files on Unix. The umask of the process applies. Defaults to
    /// `0o640`.
    pub fn mode(mut self, mode: u32) -> Self {
        self.options.mode = mode & 0o7777;
        self
    }

    /// Maintains a symbolic link `app.latest.log` to the active file. With
    /// [`per_process`](Self::per_process), the link points to the file of the process that started
    /// last. Defaults to no link.
    pub fn link_latest(mut self) -> Self {
        self.options.link_latest = true;
        self
    }

    /// Allows several processes to log to this path. Each further process writes to the first free
    /// file of `app.2.log`, `app.3.log` and so on. By default, further processes get an error.
    pub fn per_process(mut self) -> Self {
        self.options.per_process = true;
        self
    }

    /// Writes records that the file refuses to stderr, if stderr accepts them without waiting.
    /// These records still count as failed. Defaults to no fallback.
    pub fn fallback_to_stderr(mut self) -> Self {
        self.options.fallback_to_stderr = true;
        self
    }

    /// Reopens the path with the first record after a `SIGHUP`. With this setting, the signal does
    /// not end the process, even after the log was dropped. Defaults to no signal handler. A moved
    /// file is also detected without a signal, and [`RollingFile::reopen`] reopens at any time.
    #[cfg(all(unix, feature = "sighup"))]
    pub fn reopen_on_sighup(mut self) -> Self {
        self.options.reopen_on_sighup = true;
        self
    }

    /// Sets the clock. Defaults to the system clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.options.clock = clock;
        self
    }

    /// Sets where failures after the start are reported. Defaults to the process-wide
    /// [`SelfReport`].
    pub fn report(mut self, report: &SelfReport) -> Self {
        self.options.report = report.clone();
        self
    }

    /// Checks whether the file can be opened. Does not open the file.
    ///
    /// If the existing file belongs to another user, or if every user may write to it, the check
    /// creates an empty file such as `.app.log.probe` and removes it. The owner and mode of the new
    /// file show whether the file system gives them to all files.
    ///
    /// # Errors
    /// The errors of [`build`](Self::build), except those that only opening or locking the file can
    /// find. For example, the check does not notice that another process already uses the path.
    pub fn check(&self) -> Result<(), OpenError> {
        let invalid = |error: ParseError| {
            let path = &self.path;
            OpenError::new(
                OpenErrorKind::Setting,
                format!("cannot log to {path:?}: {error}"),
            )
        };
        self.options
            .compression
            .check_compiled_in()
            .map_err(invalid)?;
        if self.options.rotation.size == Some(ByteSize(0)) {
            return Err(invalid(ParseError::new(
                "a file of at most 0B holds no record; set a size of at least 1B",
            )));
        }
        check_name(&self.path)?;
        let names = FileNames::new(&absolute(&self.path)?, 1);
        self.check_length(&names)?;
        if let Ok(existing) = Meta::at(names.active_path()) {
            if let Some(kind) = existing.non_file_kind() {
                return Err(not_a_file(names.active_path(), kind));
            }
            if let Ok(dir) = Dir::open(names.dir())
                && let Some(distrust) = check_trust(&existing, &names, &dir, self.options.mode)
            {
                return Err(untrusted(names.active_path(), distrust));
            }
            fs::may_write(names.active_path())
                .map_err(|error| cannot_open(names.active_path(), error))?;
            if self.options.rotation.is_never() {
                // Without rolls, no other file needs to be created.
                return Ok(());
            }
        }
        check_dir(names.dir())
    }

    /// Checks that no possible name is too long: of the active file, of rolled files in each form,
    /// and of the files of each process.
    fn check_length(&self, names: &FileNames) -> Result<(), OpenError> {
        let Options {
            rotation,
            compression,
            link_latest,
            per_process,
            ..
        } = &self.options;
        let longest = match per_process {
            true => &FileNames::new(names.active_path(), MAX_PROCESSES),
            false => names,
        };
        let max_len = longest.max_name_len(!rotation.is_never(), *compression, *link_latest);
        check_length(names, max_len)
    }

    /// Opens the file. Creates the file and its directory if they are missing.
    ///
    /// # Errors
    /// If the file cannot be opened, is not a regular file, is not trusted, or is in use, or if a
    /// setting is invalid. See [`OpenErrorKind`].
    pub fn build(self) -> Result<RollingFile, OpenError> {
        self.check()?;
        let path = absolute(&self.path)?;
        let names = FileNames::new(&path, 1);
        fs::create_dirs(names.dir()).map_err(|error| cannot_create_dir(names.dir(), error))?;
        let dir = Dir::open(names.dir()).map_err(|error| cannot_open(names.dir(), error))?;
        let options = self.options;
        let locked = match options.per_process {
            true => lock_first_free(&path, &dir, &options.report)?,
            false => lock(names, &dir, &options)?,
        };
        let dir = Arc::new(dir);
        let settings = Arc::new(Settings {
            names: locked.names,
            dir: Arc::clone(&dir),
            falls_back: options.fallback_to_stderr.into(),
            reopen_requested: Arc::default(),
            options,
        });
        let path = settings.names.active_path();
        settings.remove_leftover_next(&dir);
        settings.finish_interrupted_roll(&dir);
        let active = open(&settings, &dir, Create::IfMissing).map_err(|error| match error {
            OpenFailure::NotAFile(kind) => not_a_file(path, kind),
            OpenFailure::Untrusted(distrust) => untrusted(path, distrust),
            OpenFailure::Io(error) => cannot_open(path, error),
        })?;
        settings.update_latest_link(&dir);
        #[cfg(all(unix, feature = "sighup"))]
        let sighup = match settings.options.reopen_on_sighup {
            true => Some(register_sighup(&settings.reopen_requested, path)?),
            false => None,
        };
        let mut writer = FileWriter::new(
            Arc::clone(&settings),
            Arc::clone(&dir),
            active,
            FileNumbers::new(locked.last_used),
            locked.lock,
        );
        writer.housekeeper.wake(&settings, &dir);
        let inner = Arc::new(Inner {
            settings,
            writer: PerProcess::new(Mutex::new(writer)),
            #[cfg(all(unix, feature = "sighup"))]
            _sighup: sighup,
        });
        let hooks: Weak<dyn ProcessHooks> = Arc::<Inner>::downgrade(&inner);
        process_hooks::register(hooks);
        Ok(RollingFile(inner))
    }
}

#[cfg(all(unix, feature = "sighup"))]
fn register_sighup(
    requested: &Arc<std::sync::atomic::AtomicBool>,
    path: &Path,
) -> Result<super::sighup::SighupFlag, OpenError> {
    super::sighup::SighupFlag::register(requested).map_err(|error| {
        let why = DisplayIoError(&error);
        let message = format!("cannot watch for SIGHUP to reopen {path:?}: {why}");
        OpenError::new(OpenErrorKind::Other, message).caused_by(error)
    })
}

/// A log that this process has locked, if locks are possible.
struct LockedLog {
    names: FileNames,
    /// `None` if there is no lock file, or the file system has no locks.
    lock: Option<PathLock>,
    /// The number of the last file that an earlier process rolled, if it is known.
    last_used: Option<RolledId>,
}

fn lock(names: FileNames, dir: &Dir, options: &Options) -> Result<LockedLog, OpenError> {
    match PathLock::try_take(&names, dir) {
        Ok(LockOutcome::InUse(pid)) => Err(in_use(&names, pid)),
        Ok(outcome) => Ok(to_locked_log(names, outcome, &options.report)),
        // A log that never rolls creates no file but the lock beside the log file. It works without
        // the lock, so that a process that may not create files in the directory can still log.
        Err(error) if options.rotation.is_never() => {
            let outcome = LockOutcome::Unsupported(error);
            Ok(to_locked_log(names, outcome, &options.report))
        }
        Err(error) => Err(cannot_open(&names.path(&names.lock_name()), error)),
    }
}

fn lock_first_free(path: &Path, dir: &Dir, report: &SelfReport) -> Result<LockedLog, OpenError> {
    for slot in 1..=MAX_PROCESSES {
        let names = FileNames::new(path, slot);
        match PathLock::try_take(&names, dir) {
            Ok(LockOutcome::InUse(_)) => {}
            Ok(outcome) => return Ok(to_locked_log(names, outcome, report)),
            Err(error) => return Err(cannot_open(&names.path(&names.lock_name()), error)),
        }
    }
    Err(in_use(&FileNames::new(path, MAX_PROCESSES), None))
}

fn to_locked_log(names: FileNames, outcome: LockOutcome, report: &SelfReport) -> LockedLog {
    let (lock, last_used) = match outcome {
        LockOutcome::Taken(lock, last_used) => (Some(lock), last_used),
        LockOutcome::InUse(_) => (None, None),
        LockOutcome::Unsupported(error) => {
            let path = names.path(&names.lock_name());
            let message = format_args!(
                "cannot lock {}: {}; make sure that only one process logs there",
                path.display(),
                DisplayIoError(&error)
            );
            report.fault(Fault::Setup, &message);
            (None, None)
        }
    };
    LockedLog {
        names,
        lock,
        last_used,
    }
}
