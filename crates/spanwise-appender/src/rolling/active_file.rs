//! The file that is written.

use std::{
    ffi::OsStr,
    fs::{File, Metadata},
    io::{self, Write as _},
    time::SystemTime,
};

use super::{
    error::Untrusted,
    fs::{self, Create, Dir, Distrust, Meta},
    period::Period,
};

/// An open file, and what is known of it.
#[derive(Debug)]
pub(super) struct ActiveFile {
    pub(super) file: File,
    /// As far as we know: others may cut it.
    pub(super) length: u64,
    /// How long it was when it was last seen at its path: what came after is nowhere else if it is deleted.
    pub(super) verified_len: u64,
    /// Of its first record; none if it is empty.
    pub(super) period: Option<Period>,
    /// It ends within a line.
    ends_mid_line: bool,
}

/// Why a file at a path was not opened.
#[derive(Debug)]
pub(super) enum OpenFailure {
    /// It is not a regular file but, say, a named pipe.
    Kind(&'static str),
    /// Others put it there, or can change it.
    Untrusted(Distrust),
    Io(io::Error),
}

impl ActiveFile {
    /// Opens the file of a name, or makes it. `distrust` says what is wrong with one that was there.
    pub(super) fn open(
        dir: &Dir,
        name: &OsStr,
        mode: u32,
        create: Create,
        distrust: impl FnOnce(&Meta) -> Option<Distrust>,
        period_of: impl FnOnce(SystemTime) -> Period,
    ) -> Result<Self, OpenFailure> {
        let file = dir.open_to_append(name, mode, create).map_err(|error| {
            match dir.meta(name).ok().and_then(|meta| meta.non_file_kind()) {
                Some(kind) => OpenFailure::Kind(kind),
                None => OpenFailure::Io(error),
            }
        })?;
        let meta = Meta::from_file(&file).map_err(OpenFailure::Io)?;
        if let Some(kind) = meta.non_file_kind() {
            return Err(OpenFailure::Kind(kind));
        }
        if let Some(distrust) = distrust(&meta) {
            return Err(OpenFailure::Untrusted(distrust));
        }
        let metadata = file.metadata().map_err(OpenFailure::Io)?;
        let mut current = Self {
            file,
            length: metadata.len(),
            verified_len: metadata.len(),
            period: (metadata.len() > 0)
                .then(|| first_record_time(&metadata))
                .flatten()
                .map(period_of),
            ends_mid_line: false,
        };
        current.ends_mid_line = current.ends_within_a_line();
        Ok(current)
    }

    /// Writes all of it, each part as far as the system takes it; how many bytes it took, if not all.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        if self.ends_mid_line {
            self.write_all(b"\n").map_err(|(_, error)| (0, error))?;
            self.ends_mid_line = false;
        }
        self.write_all(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while written < bytes.len() {
            match self.file.write(&bytes[written..]) {
                Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
                Ok(some) => {
                    written += some;
                    self.length += some as u64;
                    if written < bytes.len() && !self.is_as_long_as_we_think() {
                        // The rest would not follow what was written.
                        return Err((
                            written,
                            io::Error::other("another process wrote within a record"),
                        ));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((written, error)),
            }
        }
        Ok(())
    }

    fn is_as_long_as_we_think(&self) -> bool {
        self.file
            .metadata()
            .is_ok_and(|metadata| metadata.len() == self.length)
    }

    /// How long it is once `bytes` more are in it.
    pub(super) fn length_with(&self, bytes: u64) -> u64 {
        self.length
            .saturating_add(u64::from(self.ends_mid_line))
            .saturating_add(bytes)
    }

    /// Takes the first `bytes` of a record that did not fit out again; if others wrote meanwhile, the record stays torn.
    pub(super) fn truncate_partial(&mut self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let whole = self.length - bytes;
        match self.file.metadata().map(|metadata| metadata.len()) {
            Ok(length) if length == self.length => {
                if self.file.set_len(whole).is_ok() {
                    self.length = whole;
                    return;
                }
            }
            // The system said that it wrote, and did not.
            Ok(length) if length == whole => {
                self.length = whole;
                return;
            }
            Ok(length) => self.length = length,
            Err(_) => {}
        }
        self.ends_mid_line = self.ends_within_a_line();
    }

    /// Whoever else writes to it writes whole lines.
    pub(super) fn assume_complete_line(&mut self) {
        self.ends_mid_line = false;
    }

    /// It was seen at its path.
    pub(super) fn mark_verified(&mut self, meta: &Meta) {
        let length = meta.len();
        if length < self.length {
            // Somebody cut it, as `logrotate` does with `copytruncate`.
            self.ends_mid_line = length > 0 && self.ends_within_a_line_at(length);
        }
        if length == 0 {
            self.period = None;
        }
        self.length = length;
        self.verified_len = length;
    }

    fn ends_within_a_line(&self) -> bool {
        self.length > 0 && self.ends_within_a_line_at(self.length)
    }

    fn ends_within_a_line_at(&self, length: u64) -> bool {
        let mut last = [0];
        // Of a file that may not be read an empty line is the smaller harm.
        !matches!(fs::read_at(&self.file, &mut last, length - 1), Ok(1) if last == *b"\n")
    }
}

/// When the first record was written, as well as the file tells.
fn first_record_time(metadata: &Metadata) -> Option<SystemTime> {
    let modified = metadata.modified().ok()?;
    // A copy is younger than what it says.
    let created = metadata
        .created()
        .ok()
        .filter(|created| *created <= modified);
    Some(created.unwrap_or(modified))
}

impl From<OpenFailure> for io::Error {
    fn from(error: OpenFailure) -> Self {
        match error {
            OpenFailure::Kind(kind) => {
                Self::new(io::ErrorKind::InvalidInput, format!("it is {kind}"))
            }
            OpenFailure::Untrusted(distrust) => Self::new(
                io::ErrorKind::PermissionDenied,
                Untrusted(distrust).to_string(),
            ),
            OpenFailure::Io(error) => error,
        }
    }
}
