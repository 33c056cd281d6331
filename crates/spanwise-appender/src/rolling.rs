//! A log file that rolls.

mod active_file;
mod backoff;
mod builder;
mod compression;
mod deleted_file;
mod error;
mod file_names;
mod file_numbers;
mod file_writer;
mod forked;
mod fs;
mod housekeeping;
mod latest_link;
mod path_checks;
mod path_lock;
mod period;
mod reopen;
mod retention;
mod roll;
mod rotation;
#[cfg(all(unix, feature = "sighup"))]
mod sighup;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use spanwise_core::{Clock, SelfReport};
use tracing_subscriber::fmt::MakeWriter;

pub use builder::RollingFileBuilder;
pub use compression::Compression;
pub use error::{OpenError, OpenErrorKind, SettingError};
pub use retention::Retention;
pub use rotation::{Interval, Rotation};

use file_names::FileNames;
use forked::ForkSafeWriter;
use fs::Dir;

use crate::{
    process_hooks::ProcessHooks,
    record_sink::{Records, Retry, WriteOutcome},
};

/// A log file that rolls: when it is time, `app.log` becomes `app.2026-11-20.3.log` and a new `app.log` starts.
///
/// It is an [`io::Write`] and a [`MakeWriter`]. **One call of `write` is one record**: it is never split over two files, and either
/// the file has all of it or the call is an error. (So do not put a [`BufWriter`](io::BufWriter) around it, which would glue
/// records together.) Each call is one system call; threads may share it.
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
/// A rolled file has the date of its first record, and a number from 1 that is never given again. Nothing is ever overwritten, and
/// no file is touched whose name is not exactly such a name. `.app.log.lock` keeps other processes from writing the same file.
///
/// # What it does not write to
///
/// It does not write to a symbolic link, nor to a file that belongs to another user than this one or root, that every user may write to,
/// or that has further hard links. Such a file stops the start. One that takes the place of the file later is reported, and the old
/// file is written on. The directory is kept open: a link or another user's directory in its place is not written to.
///
/// # When something goes wrong
///
/// * A record that the file does not take is an error. The file is tried again at most every half second; until then every call
///   returns the error at once.
/// * Of a record that was written in part, the part is taken out again; if others wrote behind it, the next starts on a new line.
/// * A file that cannot be rolled is written on, above its size if need be, and rolled later. So is one in a directory of more than
///   4,096 names, until a thread has read it.
/// * A file that was moved or deleted is missed within a second; a new one is started at the path, with what was written to a
///   deleted one since it was last seen. To drop the last handle, to flush and the end of the process look too. A file that was cut to nothing is written on from its start.
///
/// What goes wrong besides the error is told by [`SelfReport`].
///
/// A process that exceeds its file size limit is ended by `SIGXFSZ` unless it ignores that signal.
#[derive(Clone)]
pub struct RollingFile(Arc<Inner>);

struct Inner {
    settings: Arc<Settings>,
    state: ForkSafeWriter,
    #[cfg(all(unix, feature = "sighup"))]
    _hangup: Option<sighup::SighupFlag>,
}

/// What does not change once a file is opened.
#[derive(Debug)]
struct Settings {
    names: FileNames,
    /// As it was at the start.
    dir: Arc<Dir>,
    rotation: Rotation,
    retention: Retention,
    compression: Compression,
    mode: u32,
    link_latest: bool,
    fallback_to_stderr: bool,
    clock: Clock,
    report: SelfReport,
}

impl ProcessHooks for Inner {
    /// A record that was written in the last second may be in a file that was deleted.
    fn finish(&self, deadline: Instant) {
        self.state.finish(deadline);
    }
}

impl RollingFile {
    /// Opens the path anew now, for programs that are told when their files were moved. Records go to the file that the path names
    /// from then on.
    ///
    /// # Errors
    /// What the system says; the old file is written on then.
    pub fn reopen(&self) -> io::Result<()> {
        self.0.state.lock()?.reopen_now()
    }

    /// The file that is written: the path given to [`builder`](Self::builder), made absolute, or one beside it with
    /// [`per_process`](RollingFileBuilder::per_process).
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.settings.names.current()
    }

    /// The rolled files that retention would delete now. Nothing is deleted.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn retention_dry_run(&self) -> io::Result<Vec<PathBuf>> {
        self.0.settings.dry_run()
    }

    /// Writes as many of the records as the file takes, each run of them with one call. With [`Retry::Now`]
    /// it is tried even though it failed a moment ago.
    pub(crate) fn write_records(&self, records: Records<'_>, retry: Retry) -> WriteOutcome {
        match self.0.state.lock() {
            Ok(mut state) => state.write(records, retry),
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

    /// Nothing is held back; sees that the file was not deleted in the last second.
    fn flush(&mut self) -> io::Result<()> {
        self.0.state.lock()?.flush()
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
            .field("path", &settings.names.current())
            .field("rotation", &settings.rotation)
            .field("retention", &settings.retention)
            .field("compression", &settings.compression)
            .finish_non_exhaustive()
    }
}
