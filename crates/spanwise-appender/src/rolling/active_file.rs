//! The active file: the open file that records are appended to.

use std::{
    ffi::OsStr,
    fs::{File, Metadata},
    io::{self, Write as _},
    time::SystemTime,
};

use super::{
    error::DisplayDistrust,
    fs::{self, Create, Dir, Distrust, Meta},
    period::Period,
};

/// An open file, with its last known state.
#[derive(Debug)]
pub(super) struct ActiveFile {
    pub(super) file: File,
    /// The length of the file in bytes, as far as this process knows. Another process may have
    /// changed it.
    pub(super) len: u64,
    /// The length at the last successful check of the path. If the file is deleted, the bytes after
    /// this offset must be rewritten.
    pub(super) verified_len: u64,
    /// The period of the first record. `None` while the file is empty, or if the file system does
    /// not store the time of the file.
    pub(super) period: Option<Period>,
    /// Whether the file ends with a partial line, so that the next record needs a newline before
    /// it.
    ends_mid_line: bool,
}

/// The maximum number of attempts to read the end of a file while other processes append to it.
const MAX_CHECKS: u32 = 10;

/// The reason why a file was not opened.
#[derive(Debug)]
pub(super) enum OpenFailure {
    /// The path does not name a regular file. The text is the kind of file, such as "a named pipe".
    NotAFile(&'static str),
    /// The file belongs to another user, every user may write to it, or it has other hard links.
    Untrusted(Distrust),
    Io(io::Error),
}

impl ActiveFile {
    /// Opens or creates the file. `distrust` returns the reason why the file must not be used, if
    /// there is one. `period_at` returns the period of a time.
    pub(super) fn open(
        dir: &Dir,
        name: &OsStr,
        mode: u32,
        create: Create,
        distrust: impl FnOnce(&Meta) -> Option<Distrust>,
        period_at: impl FnOnce(SystemTime) -> Period,
    ) -> Result<Self, OpenFailure> {
        let file = dir.open_to_append(name, mode, create).map_err(|error| {
            match dir.meta(name).ok().and_then(|meta| meta.non_file_kind()) {
                Some(kind) => OpenFailure::NotAFile(kind),
                None => OpenFailure::Io(error),
            }
        })?;
        let meta = Meta::from_file(&file).map_err(OpenFailure::Io)?;
        if let Some(kind) = meta.non_file_kind() {
            return Err(OpenFailure::NotAFile(kind));
        }
        if let Some(distrust) = distrust(&meta) {
            return Err(OpenFailure::Untrusted(distrust));
        }
        let metadata = file.metadata().map_err(OpenFailure::Io)?;
        let len = metadata.len();
        let first_record = (len > 0).then(|| first_record_time(&metadata)).flatten();
        let mut active = Self {
            file,
            len,
            verified_len: len,
            period: first_record.map(period_at),
            ends_mid_line: false,
        };
        active.ends_mid_line = active.is_mid_line_at(len);
        Ok(active)
    }

    /// Appends all bytes, after a newline if the file ends with a partial line. If not all bytes
    /// were written, returns the error and the number of written bytes, not counting that newline.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        if self.ends_mid_line {
            self.end_partial_line().map_err(|(_, error)| (0, error))?;
        }
        self.write_all(bytes)
    }

    /// Appends a newline if the file still ends with a partial line.
    #[cold]
    fn end_partial_line(&mut self) -> Result<(), (usize, io::Error)> {
        if self.is_still_mid_line() {
            self.write_all(b"\n")?;
        }
        self.ends_mid_line = false;
        Ok(())
    }

    /// Returns whether the file ends with a partial line that no process is still writing. When
    /// [`ends_mid_line`](Self::ends_mid_line) was set, the child or the parent of this process may
    /// have been in the middle of a write.
    fn is_still_mid_line(&mut self) -> bool {
        for _ in 0..MAX_CHECKS {
            let Ok(len) = self.actual_len() else {
                return true;
            };
            self.len = len;
            if !self.is_mid_line_at(len) {
                return false;
            }
            // Most file systems lock a file during a write, so that this empty write, or the read
            // above, waits for a write in progress.
            let _ = self.file.write(&[]);
            if self.actual_len().ok() == Some(len) {
                return true;
            }
        }
        true
    }

    /// Appends all bytes. Returns the same as [`append`](Self::append).
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while written < bytes.len() {
            match self.file.write(&bytes[written..]) {
                Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    written += count;
                    self.len += count as u64;
                    let is_partial = written < bytes.len();
                    if is_partial && self.actual_len().ok() != Some(self.len) {
                        // Another process has appended in between, so the rest would not directly
                        // follow the first part.
                        let why = "another process wrote within a record";
                        return Err((written, io::Error::other(why)));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((written, error)),
            }
        }
        Ok(())
    }

    /// Returns the length according to the file system, which includes writes of other processes.
    fn actual_len(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    /// Returns the length that the file would have after an append of this many bytes.
    pub(super) fn len_with(&self, added: u64) -> u64 {
        self.len
            .saturating_add(u64::from(self.ends_mid_line))
            .saturating_add(added)
    }

    /// Removes a partial record of this length from the end of the file. If another process has
    /// appended after it, the record stays as a partial line.
    pub(super) fn truncate_partial(&mut self, partial_len: u64) {
        if partial_len == 0 {
            return;
        }
        let complete_len = self.len - partial_len;
        match self.actual_len() {
            Ok(len) if len == self.len => {
                if self.file.set_len(complete_len).is_ok() {
                    self.len = complete_len;
                    return;
                }
            }
            // The system reported a partial write, but the file does not have these bytes.
            Ok(len) if len == complete_len => {
                self.len = complete_len;
                return;
            }
            Ok(len) => self.len = len,
            Err(_) => {}
        }
        self.ends_mid_line = self.is_mid_line_at(self.len);
    }

    /// Makes the next record start without a newline before it, although the file may end with a
    /// partial line. The parent process is about to write the rest of that line.
    pub(super) const fn assume_complete_line(&mut self) {
        self.ends_mid_line = false;
    }

    /// Updates the state after a check has found the file at its path. `meta` is the metadata from
    /// this check.
    pub(super) fn mark_verified(&mut self, meta: &Meta) {
        let len = meta.len();
        if len < self.len {
            // The file was truncated, for example by `logrotate` with `copytruncate`.
            self.ends_mid_line = self.is_mid_line_at(len);
        }
        if len == 0 {
            self.period = None;
        }
        self.len = len;
        self.verified_len = len;
    }

    /// Returns whether the first `len` bytes of the file end with a partial line.
    fn is_mid_line_at(&self, len: u64) -> bool {
        let Some(last_offset) = len.checked_sub(1) else {
            return false;
        };
        let mut byte = [0];
        // If the byte cannot be read, assumes a partial line. An extra empty line is better than
        // two joined lines.
        !matches!(fs::read_at(&self.file, &mut byte, last_offset), Ok(1) if byte == *b"\n")
    }
}

/// Returns the creation time of the file, which is about the time of its first record. Returns the
/// time of the last change if the creation time is unknown or later.
fn first_record_time(metadata: &Metadata) -> Option<SystemTime> {
    let modified = metadata.modified().ok()?;
    // The creation time of a copied file is after its last record.
    let created = metadata.created().ok();
    Some(
        created
            .filter(|created| *created <= modified)
            .unwrap_or(modified),
    )
}

impl From<OpenFailure> for io::Error {
    fn from(failure: OpenFailure) -> Self {
        match failure {
            OpenFailure::NotAFile(kind) => {
                Self::new(io::ErrorKind::InvalidInput, format!("it is {kind}"))
            }
            OpenFailure::Untrusted(distrust) => {
                let why = DisplayDistrust(distrust).to_string();
                Self::new(io::ErrorKind::PermissionDenied, why)
            }
            OpenFailure::Io(error) => error,
        }
    }
}
