//! Compression and deletion of rolled files, on a separate thread.

use std::{
    ffi::{OsStr, OsString},
    fs::{self as std_fs, File, FileTimes},
    io,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use spanwise_core::internal::forks;

use super::{
    Settings,
    compression::Compression,
    error::DisplayIoError,
    file_names::{Form, RolledFile},
    file_numbers::ScannedNumbers,
    fs::{Dir, Meta},
    retention::{FileInfo, Retention},
};
use crate::process_hooks;

/// The handle of the housekeeping thread. The thread sweeps the directory each time it is woken: it
/// compresses and deletes rolled files. After the handle is dropped, the thread completes its work
/// and ends.
#[derive(Debug)]
pub(super) struct Housekeeper {
    /// The [generation](forks::generation) of the process that has the thread, and the channel to
    /// the thread, which wakes it with the directory to sweep. A forked child does not have the
    /// thread.
    thread: Option<(u32, SyncSender<Arc<Dir>>)>,
    scanned: Arc<ScannedNumbers>,
}

impl Housekeeper {
    pub(super) fn new() -> Self {
        process_hooks::install_once();
        Self {
            thread: None,
            scanned: Arc::default(),
        }
    }

    /// Returns the file numbers that the thread has found.
    pub(super) fn scanned_numbers(&self) -> &ScannedNumbers {
        &self.scanned
    }

    /// Makes the thread sweep the directory. Starts the thread if it does not exist. Returns false
    /// if the thread cannot be started.
    pub(super) fn wake(&mut self, settings: &Arc<Settings>, dir: &Arc<Dir>) -> bool {
        let generation = forks::generation();
        let is_inherited = |(owner, _): &mut (u32, _)| *owner != generation;
        if let Some((_, channel)) = self.thread.take_if(is_inherited) {
            // This is a forked child. The channel and the numbers contain locks. A thread of the
            // parent may have held the locks at the fork, and that thread does not exist in the
            // child.
            #[expect(
                clippy::mem_forget,
                reason = "using the locks could wait forever; this leaks a few bytes per fork"
            )]
            std::mem::forget((channel, std::mem::take(&mut self.scanned)));
        }
        if let Some((_, channel)) = &self.thread {
            // If the channel is full, the thread has yet to begin the sweep of an earlier call.
            let sent = channel.try_send(Arc::clone(dir));
            if matches!(sent, Ok(()) | Err(TrySendError::Full(_))) {
                return true;
            }
        }
        let (sender, wakeups) = sync_channel(1);
        let _ = sender.try_send(Arc::clone(dir));
        let (thread_settings, scanned) = (Arc::clone(settings), Arc::clone(&self.scanned));
        let thread = thread::Builder::new().name("spanwise-files".to_owned());
        match thread.spawn(move || run(&thread_settings, &scanned, &wakeups)) {
            Ok(_) => {
                self.thread = Some((generation, sender));
                true
            }
            Err(error) => {
                settings.report_failure(&format_args!(
                    "cannot start the thread that compresses and deletes rolled files: {}",
                    DisplayIoError(&error)
                ));
                false
            }
        }
    }
}

fn run(settings: &Settings, scanned: &ScannedNumbers, wakeups: &Receiver<Arc<Dir>>) {
    use io::ErrorKind::{NotADirectory, NotFound};
    while let Ok(dir) = wakeups.recv() {
        if let Err(error) = settings.sweep(scanned, &dir)
            // A removed directory has no rolled files.
            && ![NotFound, NotADirectory].contains(&error.kind())
        {
            let path = settings.names.dir().display();
            settings.report_failure(&format_args!(
                "cannot look for rolled files in {path}: {}",
                DisplayIoError(&error)
            ));
        }
    }
}

impl Settings {
    /// Compresses and deletes rolled files, and removes unfinished files that a process left when
    /// it was killed.
    fn sweep(&self, scanned: &ScannedNumbers, dir: &Dir) -> io::Result<()> {
        scanned.scan(&self.names, dir)?;
        for file in self.names.list_rolled(dir)? {
            if file.form.is_unfinished() {
                self.remove_abandoned(file, dir);
            }
        }
        // First applies the limits that do not depend on sizes, because the files that they delete
        // need not be compressed. Compression changes sizes, so the other limits come last.
        self.delete(&self.options.retention.without_sizes(), dir)?;
        let mut files = self.names.list_rolled(dir)?;
        files.sort_unstable();
        for forms in files.chunk_by(|one, other| one.id == other.id) {
            let Err(error) = self.compress(forms, dir) else {
                continue;
            };
            if error.kind() == io::ErrorKind::NotFound {
                // The file was deleted during the sweep.
                continue;
            }
            let name = self.names.rolled_name(forms[0].id, Form::Plain);
            self.report_failure(&format_args!(
                "cannot compress rolled log file {}: {}",
                self.names.path(&name).display(),
                DisplayIoError(&error)
            ));
            if error.kind() == io::ErrorKind::StorageFull {
                break;
            }
        }
        self.delete(&self.options.retention, dir)
    }

    /// Removes an unfinished file, unless it is locked, because then a process is still
    /// compressing.
    fn remove_abandoned(&self, unfinished: RolledFile, dir: &Dir) {
        let name = self.names.rolled_name(unfinished.id, unfinished.form);
        let Ok(file) = dir.open_to_read(&name) else {
            return;
        };
        if !matches!(file.try_lock(), Err(std_fs::TryLockError::WouldBlock)) {
            let _ = dir.remove(&name);
        }
    }

    /// Compresses the plain form of a rolled file, if the file has one and a compression is set.
    /// `forms` are all forms in which the file exists, in order. If one of them is completely
    /// compressed, only [removes the plain form](Self::remove_duplicate).
    fn compress(&self, forms: &[RolledFile], dir: &Dir) -> io::Result<()> {
        let id = forms[0].id;
        if forms[0].form != Form::Plain {
            return Ok(());
        }
        let plain_name = self.names.rolled_name(id, Form::Plain);
        if let Some(compressed) = forms[1..].iter().find(|file| !file.form.is_unfinished()) {
            return self.remove_duplicate(&plain_name, *compressed, dir);
        }
        let Some((unfinished, complete)) = Form::compressed_forms(self.options.compression) else {
            return Ok(());
        };
        let plain = dir.open_to_read(&plain_name)?;
        if Meta::from_file(&plain)?.non_file_kind().is_some() {
            return Ok(());
        }
        let name = self.names.rolled_name(id, unfinished);
        let compressed = match dir.create_private(&name) {
            // Another process is compressing the file.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            created => created?,
        };
        let is_complete = self
            .write_compressed(&plain, &compressed)
            .and_then(|is_complete| {
                let is_complete =
                    is_complete && dir.has(&plain, &plain_name) && dir.has(&compressed, &name);
                if is_complete {
                    dir.rename_to_new(&name, &self.names.rolled_name(id, complete))?;
                }
                Ok(is_complete)
            });
        if !matches!(is_complete, Ok(true)) {
            if dir.has(&compressed, &name) {
                let _ = dir.remove(&name);
            }
            return is_complete.map(|_| ());
        }
        dir.sync();
        dir.remove(&plain_name)
    }

    /// Writes the compressed content of `plain` to `compressed`. Returns whether the content is
    /// complete. It is not if the length of `plain` changed meanwhile, because a child process or
    /// another program still writes to the file. In that case a later sweep compresses the file.
    fn write_compressed(&self, mut plain: &File, mut compressed: &File) -> io::Result<bool> {
        let metadata = plain.metadata()?;
        // The lock prevents `remove_abandoned` of another process from removing the file. If the
        // file system has no locks, no other process should log here anyway.
        let _ = compressed.try_lock();
        let plain_len = self
            .options
            .compression
            .compress(&mut plain, &mut compressed)?;
        compressed.set_permissions(metadata.permissions())?;
        compressed.set_times(FileTimes::new().set_modified(metadata.modified()?))?;
        compressed.sync_all()?;
        Ok(plain.metadata()?.len() == plain_len)
    }

    /// Removes the plain form of a file if the compressed form has the same content. Both forms
    /// exist if a process was killed before it could remove the plain one. Does nothing if the
    /// feature for the compression is disabled.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the compressed form has other content.
    fn remove_duplicate(
        &self,
        plain_name: &OsStr,
        compressed: RolledFile,
        dir: &Dir,
    ) -> io::Result<()> {
        let name = self.names.rolled_name(compressed.id, compressed.form);
        let compression = compressed.form.compression().unwrap_or(Compression::None);
        if compression.check_compiled_in().is_err() {
            return Ok(());
        }
        let is_same = compression
            .has_content_of(dir.open_to_read(&name)?, &mut dir.open_to_read(plain_name)?)?;
        if is_same {
            return dir.remove(plain_name);
        }
        let path = self.names.path(&name);
        let why = format!(
            "{} exists with other content; both files are kept",
            path.display()
        );
        Err(io::Error::new(io::ErrorKind::AlreadyExists, why))
    }

    fn delete(&self, retention: &Retention, dir: &Dir) -> io::Result<()> {
        for name in self.names_to_delete(retention, dir)? {
            if let Err(error) = dir.remove(&name)
                && error.kind() != io::ErrorKind::NotFound
            {
                self.report_failure(&format_args!(
                    "cannot delete old log file {}: {}",
                    self.names.path(&name).display(),
                    DisplayIoError(&error)
                ));
            }
        }
        Ok(())
    }

    /// Returns the names of the files that exceed the retention.
    fn names_to_delete(&self, retention: &Retention, dir: &Dir) -> io::Result<Vec<OsString>> {
        if retention.keeps_all() {
            return Ok(Vec::new());
        }
        let mut files = self.names.list_rolled(dir)?;
        files.retain(|file| !file.form.is_unfinished());
        files.sort_unstable_by(|one, other| other.cmp(one));
        let by_id: Vec<&[RolledFile]> = files.chunk_by(|one, other| one.id == other.id).collect();
        let infos: Vec<FileInfo> = match retention.only_counts() {
            true => vec![FileInfo::default(); by_id.len()],
            false => by_id
                .iter()
                .map(|forms| self.file_info(forms, dir))
                .collect(),
        };
        let is_deleted = retention.to_delete(&infos, self.options.clock.now(), || dir.free_space());
        let deleted = by_id
            .iter()
            .zip(is_deleted)
            .filter(|(_, is_deleted)| *is_deleted);
        let files = deleted.flat_map(|(forms, _)| forms.iter());
        Ok(files
            .map(|file| self.names.rolled_name(file.id, file.form))
            .collect())
    }

    /// Returns the paths of the files that the retention would delete now.
    pub(super) fn dry_run(&self) -> io::Result<Vec<PathBuf>> {
        let names = self.names_to_delete(&self.options.retention, &Dir::open(self.names.dir())?)?;
        Ok(names.iter().map(|name| self.names.path(name)).collect())
    }

    /// Adds up the facts about all forms of a rolled file.
    fn file_info(&self, forms: &[RolledFile], dir: &Dir) -> FileInfo {
        let metas = forms
            .iter()
            .map(|file| dir.meta(&self.names.rolled_name(file.id, file.form)));
        metas
            .flatten()
            .fold(FileInfo::default(), |info, meta| FileInfo {
                bytes: info.bytes.saturating_add(meta.len()),
                bytes_on_disk: info.bytes_on_disk.saturating_add(meta.bytes_on_disk()),
                modified: info.modified.max(meta.modified()),
            })
    }
}
