//! File operations on Unix, relative to open directories.

use std::{
    ffi::{OsStr, OsString},
    fs::{DirBuilder, File},
    io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::{
            ffi::OsStringExt as _,
            fs::{DirBuilderExt as _, FileExt as _},
        },
    },
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, Stat},
    io::{Errno, retry_on_intr},
    process::geteuid,
};

use super::Create;

/// The metadata of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meta(Stat);

/// The identity of a file, independent of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

#[allow(
    clippy::unnecessary_cast,
    clippy::cast_lossless,
    clippy::useless_conversion,
    reason = "the types differ between systems"
)]
impl Meta {
    pub(crate) fn from_file(file: &File) -> io::Result<Self> {
        Ok(Self(rustix::fs::fstat(file)?))
    }

    /// Reads the metadata of the file at a path. Does not follow a symbolic link.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::lstat(path)?))
    }

    pub(crate) fn identity(&self) -> Option<Identity> {
        Some(Identity {
            device: self.0.st_dev as u64,
            inode: self.0.st_ino as u64,
        })
    }

    pub(crate) fn len(&self) -> u64 {
        u64::try_from(self.0.st_size).unwrap_or(0)
    }

    /// Returns the number of hard links; 0 if the file was deleted.
    pub(crate) fn links(&self) -> u64 {
        self.0.st_nlink as u64
    }

    /// Returns the id of the owner.
    pub(crate) fn owner(&self) -> u32 {
        self.0.st_uid as u32
    }

    /// Returns the permissions.
    pub(crate) fn mode(&self) -> u32 {
        self.0.st_mode as u32 & 0o7777
    }

    /// Returns the number of bytes that the file occupies on the disk.
    pub(crate) fn bytes_on_disk(&self) -> u64 {
        u64::try_from(self.0.st_blocks)
            .unwrap_or(0)
            .saturating_mul(512)
    }

    pub(crate) fn modified(&self) -> Option<SystemTime> {
        let seconds = u64::try_from(self.0.st_mtime as i64).ok()?;
        let nanos = u32::try_from(self.0.st_mtime_nsec).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
    }

    fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.0.st_mode)
    }

    /// Returns the kind of the file, such as "a directory", if it is not a regular file.
    pub(crate) fn non_file_kind(&self) -> Option<&'static str> {
        match self.kind() {
            FileType::RegularFile => None,
            FileType::Directory => Some("a directory"),
            FileType::Symlink => Some("a symbolic link"),
            FileType::Fifo => Some("a named pipe"),
            FileType::Socket => Some("a socket"),
            _ => Some("a device"),
        }
    }
}

/// Returns the effective user id of this process.
pub(crate) fn current_user() -> u32 {
    geteuid().as_raw()
}

/// A directory that is kept open.
#[derive(Debug)]
pub(crate) struct Dir {
    path: PathBuf,
    /// The path without symbolic links, as it was when the directory was opened.
    resolved: PathBuf,
    fd: OwnedFd,
}

/// The flags to open a directory and list its files.
const LIST_DIR_FLAGS: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

// The flags to open a directory and access files in it. With `O_PATH` or `O_SEARCH`, this works
// even if the process may not list the directory.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const OPEN_DIR_FLAGS: OFlags = LIST_DIR_FLAGS.union(OFlags::PATH);
#[cfg(target_vendor = "apple")]
const OPEN_DIR_FLAGS: OFlags =
    LIST_DIR_FLAGS.union(OFlags::from_bits_retain(libc::O_SEARCH.cast_unsigned()));
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_vendor = "apple"
)))]
const OPEN_DIR_FLAGS: OFlags = LIST_DIR_FLAGS;

impl Dir {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let fd = retry_on_intr(|| rustix::fs::open(path, OPEN_DIR_FLAGS, Mode::empty()))?;
        Ok(Self {
            path: path.to_owned(),
            resolved: path.canonicalize()?,
            fd,
        })
    }

    fn own_meta(&self) -> io::Result<Meta> {
        Ok(Meta(rustix::fs::fstat(&self.fd)?))
    }

    /// Returns whether the directory is still at its path.
    pub(crate) fn is_in_place(&self) -> bool {
        match (self.own_meta(), rustix::fs::stat(&self.path)) {
            (Ok(own), Ok(at_path)) => super::is_same(&own, &Meta(at_path)),
            _ => false,
        }
    }

    /// Opens the directory that replaced this one. Creates it if there is none.
    ///
    /// # Errors
    /// * If a symbolic link took the place of the old directory, or of one of its parents.
    /// * If a symbolic link in the path was changed or removed, so that the path leads elsewhere.
    /// * If the owner of the new directory is not this user, root or the owner of the old
    ///   directory.
    /// * If every user may write to the new directory, and could not write to the old one.
    pub(crate) fn open_replacement(&self) -> io::Result<Self> {
        const LINK: &str = "a symbolic link leads to it";
        let path = self.path.display();
        let refuse = |why: &str| {
            Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("another directory took the place of {path}, and {why}"),
            ))
        };
        let old = self.own_meta()?;
        // If the path now leads elsewhere, fails before it creates a directory at the old place.
        let target = resolve(&self.path)?;
        if target != self.resolved {
            let (resolved, target) = (self.resolved.display(), target.display());
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "{path} leads to {target} instead of {resolved}, because a symbolic link was \
                     added, changed or removed"
                ),
            ));
        }
        let fd = match open_or_create_without_links(&self.resolved) {
            Err(Errno::LOOP) => return refuse(LINK),
            opened => opened?,
        };
        let replacement = Self {
            path: self.path.clone(),
            resolved: self.resolved.clone(),
            fd,
        };
        let new = replacement.own_meta()?;
        if !replacement.is_in_place() {
            return refuse(LINK);
        }
        if ![current_user(), ROOT, old.owner()].contains(&new.owner()) {
            return refuse("it belongs to another user");
        }
        // With the sticky bit (0o1000), as on `/tmp`, other users cannot remove or rename the
        // files.
        let is_world_writable = |meta: &Meta| meta.mode() & 0o1002 == 0o0002;
        if is_world_writable(&new) && !is_world_writable(&old) {
            return refuse("every user may write to it");
        }
        Ok(replacement)
    }

    fn open_at(&self, name: &OsStr, flags: OFlags, mode: u32) -> io::Result<File> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let fd = retry_on_intr(|| rustix::fs::openat(&self.fd, name, flags, permissions(mode)))?;
        Ok(File::from(fd))
    }

    /// Opens a file for appending, and for reading if that is permitted. Does not follow a link,
    /// and does not wait for the reader of a pipe.
    pub(crate) fn open_to_append(
        &self,
        name: &OsStr,
        mode: u32,
        create: Create,
    ) -> io::Result<File> {
        let new = match create {
            Create::IfMissing => OFlags::empty(),
            Create::New => OFlags::EXCL,
        };
        let flags = OFlags::APPEND | OFlags::CREATE | new;
        match self.open_at(name, flags | OFlags::RDWR, mode) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.open_at(name, flags | OFlags::WRONLY, mode)
            }
            opened => opened,
        }
    }

    /// Opens or creates a lock file.
    pub(crate) fn open_lock(&self, name: &OsStr) -> io::Result<File> {
        self.open_at(name, OFlags::RDWR | OFlags::CREATE, PRIVATE_MODE)
    }

    /// Creates a file that no other user may read.
    pub(crate) fn create_private(&self, name: &OsStr) -> io::Result<File> {
        self.open_at(
            name,
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL,
            PRIVATE_MODE,
        )
    }

    /// Opens a file for reading. Does not follow a link, and does not wait for the writer of a
    /// pipe.
    pub(crate) fn open_to_read(&self, name: &OsStr) -> io::Result<File> {
        self.open_at(name, OFlags::RDONLY, 0)
    }

    pub(crate) fn meta(&self, name: &OsStr) -> io::Result<Meta> {
        let stat = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Meta(stat))
    }

    pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Renames a file. Replaces an existing file with the new name.
    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Renames a file. Fails if a file with the new name exists.
    pub(crate) fn rename_to_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
        {
            use rustix::fs::RenameFlags;
            match rustix::fs::renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(()),
                Err(error)
                    if [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP]
                        .contains(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.link_then_remove(from, to)
    }

    /// Renames a file: creates a hard link with the new name, then removes the old name. For
    /// systems that cannot refuse to replace a file by a rename.
    fn link_then_remove(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        match rustix::fs::linkat(&self.fd, from, &self.fd, to, AtFlags::empty()) {
            Ok(()) => self.remove(from).inspect_err(|_| {
                let _ = self.remove(to);
            }),
            Err(Errno::EXIST) => Err(Errno::EXIST.into()),
            // The file system has no hard links. Another program could create the file after this
            // check, but should not use such a name.
            Err(_) if self.meta(to).is_ok() => Err(Errno::EXIST.into()),
            Err(_) => self.rename(from, to),
        }
    }

    pub(crate) fn symlink(&self, target: &OsStr, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, &self.fd, name)?)
    }

    /// Lists the names in the directory, each with whether it is a regular file.
    pub(crate) fn names(&self) -> io::Result<impl Iterator<Item = io::Result<(OsString, bool)>>> {
        let open = || rustix::fs::openat(&self.fd, c".", LIST_DIR_FLAGS, Mode::empty());
        let entries = rustix::fs::Dir::new(retry_on_intr(open)?)?;
        Ok(entries.map(|entry| {
            let entry = entry?;
            let name = OsString::from_vec(entry.file_name().to_bytes().to_vec());
            let is_file = match entry.file_type() {
                FileType::Unknown => self.meta(&name).is_ok_and(|meta| meta.is_file()),
                kind => kind == FileType::RegularFile,
            };
            Ok((name, is_file))
        }))
    }

    /// Makes a rename survive a power failure, if the system supports it.
    pub(crate) fn sync(&self) {
        if let Ok(dir) = rustix::fs::openat(&self.fd, c".", LIST_DIR_FLAGS, Mode::empty()) {
            let _ = rustix::fs::fsync(dir);
        }
    }

    /// Returns the number of free bytes on the disk that this process may use, if it is known.
    pub(crate) fn free_space(&self) -> Option<u64> {
        let disk = rustix::fs::fstatvfs(&self.fd).ok()?;
        disk.f_bavail.checked_mul(disk.f_frsize)
    }

    /// Returns the maximum lengths of a name and of a path, in bytes.
    pub(crate) fn max_lengths(path: &Path) -> (usize, usize) {
        let name = rustix::fs::statvfs(path).ok().map(|disk| disk.f_namemax);
        let name = name.and_then(|max| usize::try_from(max).ok());
        let path = if cfg!(target_os = "linux") {
            4095
        } else {
            1023
        };
        (name.filter(|max| *max > 0).unwrap_or(255), path)
    }
}

const ROOT: u32 = 0;
const PRIVATE_MODE: u32 = 0o600;
/// The mode of new directories.
const DIRECTORY_MODE: u32 = 0o750;

#[allow(
    clippy::useless_conversion,
    reason = "the type differs between systems"
)]
fn permissions(mode: u32) -> Mode {
    Mode::from_raw_mode((mode & 0o7777) as _)
}

/// Removes the permissions of other users for a file that belongs to this user.
pub(crate) fn make_private(file: &File) {
    if let Ok(meta) = Meta::from_file(file)
        && meta.owner() == current_user()
        && meta.mode() & 0o077 != 0
    {
        // On a file system without permissions, this has no effect.
        let _ = rustix::fs::fchmod(file, Mode::RUSR | Mode::WUSR);
    }
}

/// The reason why an existing file must not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distrust {
    /// The file belongs to this other user.
    Owner(u32),
    /// Every user may write to the file. The number is its mode.
    Writable(u32),
    /// The file has this many hard links that this log did not create.
    Links(u64),
}

/// Returns the reason why an existing file must not be used: it belongs to another user, every user
/// may write to it, or it has hard links that this log did not create.
///
/// `mode` is the mode of new files of this log; if it lets every user write, the existing file may,
/// too. `own_links` returns the number of hard links that this log created. `probe` returns the
/// metadata of a new file in the same directory, because some file systems give all files the same
/// owner and mode. Both are called only if the file looks untrusted.
pub(crate) fn distrust(
    file: &Meta,
    mode: u32,
    own_links: impl FnOnce() -> u64,
    probe: impl FnOnce() -> Option<Meta>,
) -> Option<Distrust> {
    const OTHERS_WRITE: u32 = 0o002;
    if file.links() > 1 {
        let foreign_links = file.links().saturating_sub(1 + own_links());
        if foreign_links > 0 {
            return Some(Distrust::Links(foreign_links));
        }
    }
    let is_foreign = ![current_user(), ROOT].contains(&file.owner());
    let is_world_writable = file.mode() & OTHERS_WRITE & !mode != 0;
    if !is_foreign && !is_world_writable {
        return None;
    }
    let new_file = probe();
    if is_foreign && new_file.is_none_or(|new| new.owner() != file.owner()) {
        return Some(Distrust::Owner(file.owner()));
    }
    let all_are_writable = new_file.is_some_and(|new| new.mode() & OTHERS_WRITE != 0);
    (is_world_writable && !all_are_writable).then(|| Distrust::Writable(file.mode()))
}

pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Creates the directory and its parents, as far as they are missing.
pub(crate) fn create_dirs(dir: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(DIRECTORY_MODE).create(dir)
}

/// Returns the path without symbolic links, even if the file or some of its parents do not exist.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let missing = match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => error,
        resolved => return resolved,
    };
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(missing);
    };
    let parent = resolve(parent)?;
    match path.read_link() {
        // The target of the link does not exist.
        Ok(target) => resolve(&parent.join(target)),
        Err(_) => Ok(parent.join(name)),
    }
}

/// Opens a directory by its absolute path. Creates it and its parents if they are missing. Opens
/// each directory relative to its parent, so that no other user can replace one by a link in
/// between.
///
/// # Errors
/// * [`Errno::LOOP`] if a part of the path is a symbolic link.
/// * [`Errno::EXIST`] if a part of the path is another kind of file.
fn open_or_create_without_links(path: &Path) -> Result<OwnedFd, Errno> {
    let open = |parent: BorrowedFd<'_>, name: &OsStr| {
        let flags = OPEN_DIR_FLAGS | OFlags::NOFOLLOW;
        retry_on_intr(|| rustix::fs::openat(parent, name, flags, Mode::empty()))
    };
    let mut dir = open(CWD, OsStr::new("/"))?;
    for part in path.components() {
        let Component::Normal(name) = part else {
            continue;
        };
        let mut opened = open(dir.as_fd(), name);
        if let Err(Errno::NOENT) = opened {
            match rustix::fs::mkdirat(&dir, name, permissions(DIRECTORY_MODE)) {
                // Another process may have created the directory.
                Ok(()) | Err(Errno::EXIST) => opened = open(dir.as_fd(), name),
                Err(error) => return Err(error),
            }
        }
        dir = opened.map_err(|error| {
            // The error for a link differs between systems.
            match rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if Meta(stat).is_symlink() => Errno::LOOP,
                // Another kind of file has this name, so the directory cannot be created.
                Ok(_) if error == Errno::NOTDIR => Errno::EXIST,
                _ => error,
            }
        })?;
    }
    Ok(dir)
}

/// Checks that this process may write to a file.
pub(crate) fn may_write(path: &Path) -> io::Result<()> {
    may_access(path, Access::WRITE_OK)
}

/// Checks that this process may create files in a directory.
pub(crate) fn may_create_in(dir: &Path) -> io::Result<()> {
    may_access(dir, Access::WRITE_OK | Access::EXEC_OK)
}

fn may_access(path: &Path, access: Access) -> io::Result<()> {
    Ok(rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS)?)
}
