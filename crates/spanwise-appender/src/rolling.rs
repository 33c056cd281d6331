//! A log file that rolls: the handle, and the state that the submodules share.

mod active_file;
mod builder;
mod compression;
mod deleted_file;
mod error;
mod file_names;
mod file_numbers;
mod file_writer;
mod fs;
mod housekeeping;
mod latest_link;
mod path_checks;
mod path_lock;
mod period;
mod reopen;
mod retention;
mod retry_timer;
mod roll;
mod rotation;
#[cfg(all(unix, feature = "sighup"))]
mod sighup;

use std::{
    fmt,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use spanwise_core::{
    Fault,
    internal::{
        forks::{Inheritance, PerProcess},
        sync::{Mutex, MutexGuard},
    },
};
use tracing_subscriber::fmt::MakeWriter;

pub use builder::RollingFileBuilder;
pub use compression::Compression;
pub use error::{OpenError, OpenErrorKind};
pub use retention::Retention;
pub use rotation::{Interval, Rotation};

use builder::Options;
use file_names::FileNames;
use file_writer::FileWriter;
use fs::Dir;

use crate::{
    process_hooks::ProcessHooks,
    record_sink::{Records, Retry, WriteOutcome},
};

/// A log file that rolls: at the limits of its [`Rotation`], `app.log` is renamed to
/// `app.2026-11-20.3.log`, and a new `app.log` starts.
///
/// It is an [`io::Write`] and a [`MakeWriter`]. **One call of `write` is one record.** A record is
/// never split over two files. A call that does not write the whole record returns an error. (A
/// [`BufWriter`](io::BufWriter) around the file would join records.) A call usually is one system
/// call. Threads may share the file.
///
/// ```
/// use spanwise_appender::{RollingFile, Rotation};
/// use std::io::Write as _;
///
/// let dir = tempfile::tempdir()?;
/// let mut file = RollingFile::builder(dir.path().join("app.log")).rotation("hourly,1MiB".parse()?).build()?;
/// file.write_all(b"order created\n")?;
/// assert_eq!(std::fs::read_to_string(file.path())?, "order created\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Names
///
/// The name of a rolled file has the date of its first record, and a number. The numbers of a date
/// start at 1, and are not reused. No file is overwritten, and files with any other name are not
/// changed. `.app.log.lock` prevents other processes from writing to the same file.
///
/// # Untrusted files
///
/// `RollingFile` does not write to an untrusted file: a symbolic link, a file of another user
/// (except root), a file that every user may write to, or a file with other hard links. At the
/// start, such a file is an error. If an untrusted file replaces the log file later, `RollingFile`
/// reports this and keeps using the old file.
///
/// On Unix, `RollingFile` keeps the directory open. It does not use a link or another user's
/// directory that replaces the directory, or a link that replaces a parent. It creates a deleted
/// directory again. Except on Linux, Android, FreeBSD and the systems of Apple, it needs the
/// permission to list the parents to do so.
///
/// On systems other than Unix, it follows links in the path of the directory, and the only
/// untrusted file that it recognizes is a link.
///
/// # Failures
///
/// * If a record cannot be written, the call returns an error. For up to half a second, each
///   further call returns the same error without an attempt. Then the next call tries again.
/// * If a record is written in part, the part is removed. If another process has appended to the
///   part, it stays, and the next record starts on a new line.
/// * If a file cannot be rolled, it stays in use until a later roll succeeds, and may exceed its
///   maximum size. This can also happen in a directory with more than 4,096 names, until a thread
///   has scanned the directory for the next number.
/// * If the file is moved or deleted, a new file starts at the path with the next check. The path
///   is checked before a record, at most once per second, and at each flush. If the file was
///   deleted, the new file begins with the records that were written since the previous check. The
///   path is also checked when the last handle is dropped, and at the end of the process.
/// * If the file is truncated, the next record is written at its start.
///
/// Other failures go to [`SelfReport`](spanwise_core::SelfReport).
///
/// If a write exceeds the file size limit of the process, `SIGXFSZ` kills the process, unless it
/// ignores this signal.
#[derive(Clone)]
pub struct RollingFile(Arc<Inner>);

struct Inner {
    settings: Arc<Settings>,
    writer: PerProcess<Mutex<FileWriter>>,
    #[cfg(all(unix, feature = "sighup"))]
    _sighup: Option<sighup::SighupFlag>,
}

/// The settings of an open log. Only the flags `falls_back` and `reopen_requested` change after the
/// start.
#[derive(Debug)]
struct Settings {
    names: FileNames,
    /// The directory that was opened at the start.
    dir: Arc<Dir>,
    options: Options,
    /// Whether records go to stderr if the file fails.
    falls_back: AtomicBool,
    /// Set by `SIGHUP`, in each process: see [`RollingFile::reopen`].
    reopen_requested: Arc<AtomicBool>,
}

impl Settings {
    fn falls_back(&self) -> bool {
        self.falls_back.load(Ordering::Relaxed)
    }

    /// Reports a failure that loses no record.
    fn report_failure(&self, what: &dyn fmt::Display) {
        self.options.report.fault(Fault::Setup, what);
    }
}

impl Inner {
    /// Locks the writer of this process.
    ///
    /// After a fork, the child keeps using its parent's writer and open file, because it may lack
    /// the permission to open the file. If a thread of the parent had the lock at the fork, the
    /// child opens its own writer.
    ///
    /// # Errors
    /// If the child cannot open the file.
    fn lock(&self) -> io::Result<MutexGuard<'_, FileWriter>> {
        let writer = self.writer.try_for_this_process(|parent| {
            if parent.try_lock().is_some() {
                return Ok(Inheritance::Adopt);
            }
            let writer = FileWriter::for_child(&self.settings)?;
            Ok::<_, io::Error>(Inheritance::Replace(Mutex::new(writer)))
        })?;
        Ok(writer.lock())
    }
}

impl ProcessHooks for Inner {
    /// If the file was deleted, rewrites the records since the last check of the path. Does nothing
    /// if another thread still writes at the deadline.
    fn shutdown(&self, deadline: Instant) {
        let Some(writer) = self.writer.created_for_this_process() else {
            return;
        };
        loop {
            if let Some(mut writer) = writer.try_lock() {
                return writer.finish();
            }
            if Instant::now() >= deadline {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.created_for_this_process() {
            writer.lock().finish();
        }
    }
}

impl RollingFile {
    /// Reopens the path, so that later records are written to the file that is there now. For
    /// programs that are notified when their files were moved.
    ///
    /// # Errors
    /// The I/O error that prevents the reopening. In that case the old file stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        self.0.lock()?.reopen_now()
    }

    /// Changes whether records go to stderr if the file fails: see
    /// [`RollingFileBuilder::fallback_to_stderr`]. For a configuration that changes while the file
    /// is open.
    #[doc(hidden)]
    pub fn set_fallback_to_stderr(&self, falls_back: bool) {
        self.0
            .settings
            .falls_back
            .store(falls_back, Ordering::Relaxed);
    }

    /// Returns the path of the active file: the absolute form of the path passed to
    /// [`builder`](Self::builder). With [`per_process`](RollingFileBuilder::per_process), it is a
    /// file in the same directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.settings.names.active_path()
    }

    /// Returns the rolled files that the retention would delete now. Deletes nothing.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn retention_dry_run(&self) -> io::Result<Vec<PathBuf>> {
        self.0.settings.dry_run()
    }

    /// Writes all records, or those before the first that fails. Adjacent records for the same file
    /// need one system call. With [`Retry::Now`], a file that failed before is tried at once,
    /// unless records that it refuses go to stderr.
    pub(crate) fn write_records(&self, records: Records<'_>, retry: Retry) -> WriteOutcome {
        match self.0.lock() {
            Ok(mut writer) => writer.write(records, retry),
            Err(error) => {
                let settings = &self.0.settings;
                settings.report_write_error(&error);
                settings.write_outcome(records, 0, Some(error))
            }
        }
    }
}

impl Write for RollingFile {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        (&*self).write(record)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

impl Write for &RollingFile {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        if record.is_empty() {
            return Ok(0);
        }
        let ends = [record.len()];
        let records = Records::new(record, &ends);
        match self.write_records(records, Retry::AfterBackoff).error {
            Some(error) => Err(error),
            None => Ok(record.len()),
        }
    }

    /// If the file was deleted, rewrites the records since the last check of the path. Flushes
    /// nothing else, because nothing is buffered.
    fn flush(&mut self) -> io::Result<()> {
        self.0.lock()?.flush()
    }
}

impl<'a> MakeWriter<'a> for RollingFile {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl fmt::Debug for RollingFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.0.settings;
        f.debug_struct("RollingFile")
            .field("path", &settings.names.active_path())
            .field("rotation", &settings.options.rotation)
            .field("retention", &settings.options.retention)
            .field("compression", &settings.options.compression)
            .finish_non_exhaustive()
    }
}
