//! With the standard library alone: names are looked at before they are given.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
};

use super::Create;

/// Not known: what is at the path is taken for the file that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Identity;

pub(in super::super) fn identity(_: &Metadata) -> Option<Identity> {
    None
}

pub(in super::super) fn is_deleted(_: &Metadata) -> bool {
    false
}

pub(in super::super) fn has_other_names(_: &Metadata) -> bool {
    false
}

pub(in super::super) fn on_disk(file: &Metadata) -> u64 {
    file.len()
}

pub(in super::super) fn other_kind(file: &Metadata) -> Option<&'static str> {
    let kind = file.file_type();
    match () {
        () if kind.is_symlink() => Some("a symbolic link"),
        () if kind.is_dir() => Some("a directory"),
        () if kind.is_file() => None,
        () => Some("a device"),
    }
}

pub(in super::super) fn open(path: &Path, _: u32, create: Create) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).read(true);
    match create {
        Create::IfMissing => options.create(true),
        Create::New => options.create_new(true),
    };
    options.open(path)
}

pub(in super::super) fn open_own(path: &Path, _: u32) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

pub(in super::super) fn create_private(path: &Path) -> io::Result<File> {
    File::create_new(path)
}

pub(in super::super) fn open_to_read(path: &Path) -> io::Result<File> {
    File::open(path)
}

pub(in super::super) fn read_at(
    mut file: &File,
    buffer: &mut [u8],
    offset: u64,
) -> io::Result<usize> {
    file.seek(SeekFrom::Start(offset))?;
    file.read(buffer)
}

pub(in super::super) fn write_at(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

pub(in super::super) fn create_dirs(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

pub(in super::super) fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    if to.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to)
}

pub(in super::super) fn may_write(_: &Path, _: bool) -> io::Result<()> {
    Ok(())
}

pub(in super::super) fn free_space(_: &Path) -> Option<u64> {
    None
}

pub(in super::super) fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
