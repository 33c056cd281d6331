//! As Unix has it.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io,
    os::unix::fs::{
        DirBuilderExt as _, FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
    },
    path::Path,
};

use rustix::fs::{Access, AtFlags, CWD};

use super::Create;

pub(in super::super) use std::os::unix::fs::symlink;

/// Which file it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Identity {
    device: u64,
    inode: u64,
}

pub(in super::super) fn identity(file: &Metadata) -> Option<Identity> {
    Some(Identity {
        device: file.dev(),
        inode: file.ino(),
    })
}

/// Whether it has no name any more.
pub(in super::super) fn is_deleted(file: &Metadata) -> bool {
    file.nlink() == 0
}

/// Whether it has more than one name.
pub(in super::super) fn has_other_names(file: &Metadata) -> bool {
    file.nlink() > 1
}

/// What it takes on the disk.
pub(in super::super) fn on_disk(file: &Metadata) -> u64 {
    file.blocks().saturating_mul(512)
}

/// What it is, if not a regular file.
pub(in super::super) fn other_kind(file: &Metadata) -> Option<&'static str> {
    let kind = file.file_type();
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("a directory"),
        () if kind.is_symlink() => Some("a symbolic link"),
        () if kind.is_fifo() => Some("a named pipe"),
        () if kind.is_socket() => Some("a socket"),
        () => Some("a device"),
    }
}

/// Opens for appending, and for reading if that is allowed. Follows no link and waits for nobody.
pub(in super::super) fn open(path: &Path, mode: u32, create: Create) -> io::Result<File> {
    let open = |read| {
        let mut options = OpenOptions::new();
        options
            .append(true)
            .read(read)
            .mode(mode)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        match create {
            Create::IfMissing => options.create(true),
            Create::New => options.create_new(true),
        };
        options.open(path)
    };
    match open(true) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => open(false),
        opened => opened,
    }
}

/// A lock file, or another small file of our own.
pub(in super::super) fn open_own(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(mode);
    options
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
}

/// A new file for packed records, which nobody else may read until it has the mode of the plain one.
pub(in super::super) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

/// Opens for reading; follows no link and waits for nobody.
pub(in super::super) fn open_to_read(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
}

pub(in super::super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

pub(in super::super) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Makes the directory and those above it.
pub(in super::super) fn create_dirs(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o750).create(dir)
}

/// Renames, and fails if there is a file of the other name.
pub(in super::super) fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        use rustix::{fs::RenameFlags, io::Errno};
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            Err(error)
                if [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP]
                    .contains(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    link_then_remove(from, to)
}

/// Renames by making the other name first: fails if there is such a file, for file systems without a better way.
fn link_then_remove(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from).inspect_err(|_| {
            let _ = fs::remove_file(to);
        }),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A file system without links: nobody but us should give such names.
        Err(_) if to.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(from, to),
    }
}

/// Whether this process may write to the file, or make files in the directory.
pub(in super::super) fn may_write(path: &Path, is_dir: bool) -> io::Result<()> {
    let access = if is_dir {
        Access::WRITE_OK | Access::EXEC_OK
    } else {
        Access::WRITE_OK
    };
    Ok(rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS)?)
}

/// What this process may still write to the disk, if the system says so.
pub(in super::super) fn free_space(dir: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}
