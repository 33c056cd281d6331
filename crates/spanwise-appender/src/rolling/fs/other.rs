//! File operations on systems other than Unix, with the standard library.
//!
//! Some operations check a name before they use it, so another process can change the file in
//! between.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::Create;

/// The metadata of a file.
#[derive(Debug, Clone)]
pub(crate) struct Meta(Metadata);

/// The identity of a file. Never created, because `std` cannot distinguish files on these systems.
/// So the file at a path always counts as the file that was opened there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity;

impl Meta {
    pub(crate) fn from_file(file: &File) -> io::Result<Self> {
        file.metadata().map(Self)
    }

    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        path.symlink_metadata().map(Self)
    }

    pub(crate) fn identity(&self) -> Option<Identity> {
        None
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn links(&self) -> u64 {
        1
    }

    pub(crate) fn bytes_on_disk(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn modified(&self) -> Option<SystemTime> {
        self.0.modified().ok()
    }

    pub(crate) fn non_file_kind(&self) -> Option<&'static str> {
        let kind = self.0.file_type();
        match () {
            () if kind.is_symlink() => Some("a symbolic link"),
            () if kind.is_dir() => Some("a directory"),
            () if kind.is_file() => None,
            () => Some("a device"),
        }
    }
}

/// A directory, by its path.
#[derive(Debug)]
pub(crate) struct Dir {
    path: PathBuf,
}

impl Dir {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        path.metadata().map(|_| Self {
            path: path.to_owned(),
        })
    }

    pub(crate) fn is_in_place(&self) -> bool {
        self.path.is_dir()
    }

    pub(crate) fn open_replacement(&self) -> io::Result<Self> {
        create_dirs(&self.path)?;
        Self::open(&self.path)
    }

    fn at(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a file for appending and reading. Opens a symbolic link itself, which is then rejected
    /// because it is not a file.
    pub(crate) fn open_to_append(&self, name: &OsStr, _: u32, create: Create) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.append(true).read(true);
        match create {
            Create::IfMissing => options.create(true),
            Create::New => options.create_new(true),
        };
        not_following(&mut options).open(self.at(name))
    }

    pub(crate) fn open_lock(&self, name: &OsStr) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        not_following(&mut options).open(self.at(name))
    }

    pub(crate) fn create_private(&self, name: &OsStr) -> io::Result<File> {
        File::create_new(self.at(name))
    }

    pub(crate) fn open_to_read(&self, name: &OsStr) -> io::Result<File> {
        not_following(OpenOptions::new().read(true)).open(self.at(name))
    }

    pub(crate) fn meta(&self, name: &OsStr) -> io::Result<Meta> {
        Meta::at(&self.at(name))
    }

    pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_file(self.at(name))
    }

    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    pub(crate) fn rename_to_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        if self.meta(to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.rename(from, to)
    }

    pub(crate) fn symlink(&self, _: &OsStr, _: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn names(&self) -> io::Result<impl Iterator<Item = io::Result<(OsString, bool)>>> {
        Ok(fs::read_dir(&self.path)?.map(|entry| {
            let entry = entry?;
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            Ok((entry.file_name(), is_file))
        }))
    }

    pub(crate) fn sync(&self) {}

    pub(crate) fn free_space(&self) -> Option<u64> {
        None
    }

    /// Returns the maximum lengths of a name and of a path, in bytes. Windows counts UTF-16 units
    /// instead. A text never has more of these units than bytes, so these limits are safe.
    pub(crate) fn max_lengths(_: &Path) -> (usize, usize) {
        (255, 32_000)
    }
}

/// Opens a symbolic link itself instead of its target, if the system can.
fn not_following(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt as _;
        const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
        options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
    }
    options
}

pub(crate) fn make_private(_: &File) {}

/// The reason why an existing file must not be used. These systems have none, so it has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distrust {}

pub(crate) fn distrust(
    _: &Meta,
    _: u32,
    _: impl FnOnce() -> u64,
    _: impl FnOnce() -> Option<Meta>,
) -> Option<Distrust> {
    None
}

pub(crate) fn read_at(mut file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek(SeekFrom::Start(offset))?;
    file.read(buffer)
}

pub(crate) fn write_at(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

pub(crate) fn create_dirs(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

pub(crate) fn may_write(_: &Path) -> io::Result<()> {
    Ok(())
}

pub(crate) fn may_create_in(_: &Path) -> io::Result<()> {
    Ok(())
}
