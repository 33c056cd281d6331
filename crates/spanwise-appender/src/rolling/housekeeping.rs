//! What is done with rolled files: a thread compresses them, and deletes what retention does not keep.

use std::{
    ffi::{OsStr, OsString},
    fs::{self as std_fs, File, FileTimes},
    io,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
};

use spanwise_core::Fault;

use super::{
    Settings,
    compression::Compression,
    error::DisplayIoError,
    file_names::{Form, RolledFile},
    file_numbers::ScannedNumbers,
    fs::{self, Dir, Meta},
    retention::{FileInfo, Retention},
};
use crate::process_hooks;

/// A thread that looks at the directory whenever it is told to. It ends when this is dropped, and what it does with it.
#[derive(Debug)]
pub(super) struct Housekeeper {
    /// With the generation of the process whose thread it is: a fork has none. It is told in which directory to look.
    thread: Option<(u32, SyncSender<Arc<Dir>>)>,
    found: Arc<ScannedNumbers>,
}

impl Housekeeper {
    pub(super) fn new() -> Self {
        process_hooks::install_once();
        Self {
            thread: None,
            found: Arc::default(),
        }
    }

    /// The numbers that the thread meets.
    pub(super) fn found(&self) -> &ScannedNumbers {
        &self.found
    }

    /// Tells the thread to look, and starts it if there is none. False if there is none to be had.
    pub(super) fn wake(&mut self, settings: &Arc<Settings>, dir: &Arc<Dir>) -> bool {
        let generation = process_hooks::generation();
        if let Some((of, _)) = &self.thread
            && *of != generation
            && let Some((_, parents)) = self.thread.take()
        {
            // Their locks may have been held at the fork, by a thread that is not in this process.
            #[expect(
                clippy::mem_forget,
                reason = "to drop it could wait for ever; it is a few bytes, once a fork"
            )]
            std::mem::forget((parents, std::mem::take(&mut self.found)));
        }
        if let Some((_, thread)) = &self.thread
            // Full: it will look anyway.
            && matches!(thread.try_send(Arc::clone(dir)), Ok(()) | Err(TrySendError::Full(_)))
        {
            return true;
        }
        let (sender, woken) = sync_channel(1);
        let _ = sender.try_send(Arc::clone(dir));
        let (for_thread, found) = (Arc::clone(settings), Arc::clone(&self.found));
        let thread = std::thread::Builder::new().name("spanwise-files".to_owned());
        match thread.spawn(move || run(&for_thread, &found, &woken)) {
            Ok(_) => {
                self.thread = Some((generation, sender));
                true
            }
            Err(error) => {
                settings.report.fault(
                    Fault::Setup,
                    &format_args!(
                        "cannot start the thread that compresses and deletes rolled files: {}",
                        DisplayIoError(&error)
                    ),
                );
                false
            }
        }
    }
}

fn run(settings: &Settings, found: &ScannedNumbers, woken: &Receiver<Arc<Dir>>) {
    while let Ok(dir) = woken.recv() {
        if let Err(error) = settings.sweep(found, &dir)
            // A directory that was removed holds nothing to look after.
            && !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        {
            let dir = settings.names.dir().display();
            settings.report_fault(&format_args!(
                "cannot look for rolled files in {dir}: {}",
                DisplayIoError(&error)
            ));
        }
    }
}

impl Settings {
    fn report_fault(&self, what: &dyn std::fmt::Display) {
        self.report.fault(Fault::Setup, what);
    }

    fn sweep(&self, found: &ScannedNumbers, dir: &Dir) -> io::Result<()> {
        found.scan(&self.names, dir)?;
        for unfinished in self
            .names
            .list(dir)?
            .into_iter()
            .filter(|entry| entry.form.is_unfinished())
        {
            self.remove_abandoned(unfinished, dir);
        }
        // What goes whatever its size need not be packed first.
        self.delete(&self.retention.without_sizes(), dir)?;
        let mut entries = self.names.list(dir)?;
        entries.sort_unstable();
        for same in entries.chunk_by(|one, other| one.rolled == other.rolled) {
            let Err(error) = self.compress(same, dir) else {
                continue;
            };
            match error.kind() {
                // Deleted meanwhile.
                io::ErrorKind::NotFound => continue,
                kind => {
                    let name = self.names.rolled(same[0].rolled, Form::Plain);
                    self.report_fault(&format_args!(
                        "cannot compress rolled log file {}: {}",
                        self.names.path(&name).display(),
                        DisplayIoError(&error)
                    ));
                    if kind == io::ErrorKind::StorageFull {
                        break;
                    }
                }
            }
        }
        self.delete(&self.retention, dir)
    }

    /// Removes what a process left that was ended while it packed. One that still packs has it locked.
    fn remove_abandoned(&self, unfinished: RolledFile, dir: &Dir) {
        let name = self.names.rolled(unfinished.rolled, unfinished.form);
        let Ok(file) = dir.open_to_read(&name) else {
            return;
        };
        if !matches!(file.try_lock(), Err(std_fs::TryLockError::WouldBlock)) {
            let _ = dir.remove(&name);
        }
    }

    /// Packs a rolled file, given the forms that it lies there in.
    fn compress(&self, forms: &[RolledFile], dir: &Dir) -> io::Result<()> {
        let rolled = forms[0].rolled;
        if forms[0].form != Form::Plain {
            return Ok(());
        }
        let plain_name = self.names.rolled(rolled, Form::Plain);
        let packed = forms[1..].iter().find(|entry| !entry.form.is_unfinished());
        if let Some(packed) = packed {
            return self.remove_duplicate(&plain_name, *packed, dir);
        }
        let Some((unfinished, whole)) = Form::packed(self.compression) else {
            return Ok(());
        };
        let mut plain = dir.open_to_read(&plain_name)?;
        let before = plain.metadata()?;
        if Meta::from_file(&plain)?.non_file_kind().is_some() {
            return Ok(());
        }
        let name = self.names.rolled(rolled, unfinished);
        let mut fresh = match dir.create_private(&name) {
            // Somebody else is at it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            fresh => fresh?,
        };
        let packed = (|| {
            // Best effort: on a file system without locks nobody else should be here either.
            let _ = fresh.try_lock();
            let bytes = self.compression.pack(&mut plain, &mut fresh)?;
            fresh.set_permissions(before.permissions())?;
            let times = before
                .modified()
                .map(|modified| FileTimes::new().set_modified(modified));
            times.and_then(|times| fresh.set_times(times))?;
            fresh.sync_all()?;
            // Written to meanwhile, by a fork or a program that kept it open: the next time, then.
            let unchanged = plain.metadata()?.len() == bytes
                && is_at(&plain, &plain_name, dir)
                && is_at(&fresh, &name, dir);
            if unchanged {
                dir.rename_to_new(&name, &self.names.rolled(rolled, whole))?;
            }
            Ok(unchanged)
        })();
        if !matches!(packed, Ok(true)) {
            if is_at(&fresh, &name, dir) {
                let _ = dir.remove(&name);
            }
            return packed.map(|_| ());
        }
        dir.sync();
        dir.remove(&plain_name)
    }

    /// Removes a plain file whose packed one is whole: a process was ended between making the one and removing the other.
    fn remove_duplicate(
        &self,
        plain_name: &OsStr,
        packed: RolledFile,
        dir: &Dir,
    ) -> io::Result<()> {
        let packed_name = self.names.rolled(packed.rolled, packed.form);
        let by = packed.form.compression().unwrap_or(Compression::None);
        if by.check().is_err() {
            return Ok(());
        }
        if by.holds(
            dir.open_to_read(&packed_name)?,
            &mut dir.open_to_read(plain_name)?,
        )? {
            return dir.remove(plain_name);
        }
        Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!(
                "{} is there and holds something else; both stay",
                self.names.path(&packed_name).display()
            ),
        ))
    }

    fn delete(&self, retention: &Retention, dir: &Dir) -> io::Result<()> {
        for name in self.to_delete(retention, dir)? {
            match dir.remove(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    self.report_fault(&format_args!(
                        "cannot delete old log file {}: {}",
                        self.names.path(&name).display(),
                        DisplayIoError(&error)
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The files that a retention does not keep.
    fn to_delete(&self, retention: &Retention, dir: &Dir) -> io::Result<Vec<OsString>> {
        if retention.keeps_all() {
            return Ok(Vec::new());
        }
        let mut entries = self.names.list(dir)?;
        entries.retain(|entry| !entry.form.is_unfinished());
        entries.sort_unstable_by(|one, other| other.cmp(one));
        let same: Vec<&[RolledFile]> = entries
            .chunk_by(|one, other| one.rolled == other.rolled)
            .collect();
        let kept: Vec<FileInfo> = match retention.only_counts() {
            true => vec![FileInfo::default(); same.len()],
            false => same.iter().map(|forms| self.kept(forms, dir)).collect(),
        };
        let free = retention
            .asks_for_free_space()
            .then(|| dir.free_space())
            .flatten();
        let to_delete = retention.to_delete(&kept, self.clock.now(), free);
        let to_delete = same
            .iter()
            .zip(to_delete)
            .filter(|(_, to_delete)| *to_delete);
        let to_delete = to_delete.flat_map(|(forms, _)| forms.iter());
        Ok(to_delete
            .map(|entry| self.names.rolled(entry.rolled, entry.form))
            .collect())
    }

    /// The paths of the files that retention would delete now.
    pub(super) fn dry_run(&self) -> io::Result<Vec<PathBuf>> {
        let to_delete = self.to_delete(&self.retention, &Dir::open(self.names.dir())?)?;
        Ok(to_delete.iter().map(|name| self.names.path(name)).collect())
    }

    fn kept(&self, forms: &[RolledFile], dir: &Dir) -> FileInfo {
        let metas = forms
            .iter()
            .map(|entry| dir.meta(&self.names.rolled(entry.rolled, entry.form)));
        metas
            .flatten()
            .fold(FileInfo::default(), |kept, meta| FileInfo {
                bytes: kept.bytes.saturating_add(meta.len()),
                on_disk: kept.on_disk.saturating_add(meta.on_disk()),
                modified: kept.modified.max(meta.modified()),
            })
    }
}

fn is_at(file: &File, name: &OsStr, dir: &Dir) -> bool {
    match (Meta::from_file(file), dir.meta(name)) {
        (Ok(file), Ok(there)) => fs::is_same(&file, &there),
        _ => false,
    }
}
