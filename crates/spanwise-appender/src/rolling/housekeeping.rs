//! What is done with rolled files: a thread compresses them, and deletes what retention does not keep.

use std::{
    fs::{self as std_fs, File, FileTimes},
    io,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
};

use spanwise_core::Fault;

use super::{
    Settings,
    compression::Compression,
    error::Why,
    fs,
    name::{Entry, Form},
    number::Highest,
    retention::{Kept, Retention},
};
use crate::process;

/// A thread that looks at the directory whenever it is told to. It ends when this is dropped, and what it does with it.
#[derive(Debug)]
pub(super) struct Housekeeper {
    /// With the generation of the process whose thread it is: a fork has none.
    thread: Option<(u32, SyncSender<()>)>,
    found: Arc<OnceLock<Highest>>,
}

impl Housekeeper {
    /// `found` will hold the numbers that it meets when it first looks.
    pub(super) fn new(found: Arc<OnceLock<Highest>>) -> Self {
        process::begin_to_watch();
        Self {
            thread: None,
            found,
        }
    }

    /// Tells the thread to look, and starts it if there is none.
    pub(super) fn wake(&mut self, settings: &Arc<Settings>) {
        let generation = process::generation();
        if let Some((of, _)) = &self.thread
            && *of != generation
            && let Some((_, parents)) = self.thread.take()
        {
            // Its locks may have been held at the fork, by a thread that is not in this process.
            #[expect(
                clippy::mem_forget,
                reason = "to drop it could wait for ever; it is a few bytes, once a fork"
            )]
            std::mem::forget(parents);
        }
        if let Some((_, thread)) = &self.thread
            // Full: it will look anyway.
            && matches!(thread.try_send(()), Ok(()) | Err(TrySendError::Full(())))
        {
            return;
        }
        let (sender, woken) = sync_channel(1);
        let _ = sender.try_send(());
        let (for_thread, found) = (Arc::clone(settings), Arc::clone(&self.found));
        let thread = std::thread::Builder::new().name("spanwise-files".to_owned());
        match thread.spawn(move || run(&for_thread, &found, &woken)) {
            Ok(_) => self.thread = Some((generation, sender)),
            Err(error) => settings.report.fault(
                Fault::Setup,
                &format_args!(
                    "cannot start the thread that compresses and deletes rolled files: {}",
                    Why(&error)
                ),
            ),
        }
    }
}

fn run(settings: &Settings, found: &OnceLock<Highest>, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        if let Err(error) = settings.sweep(found)
            // A directory that was removed holds nothing to look after.
            && !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        {
            let dir = settings.names.dir().display();
            settings.complain(&format_args!(
                "cannot look for rolled files in {dir}: {}",
                Why(&error)
            ));
        }
    }
}

impl Settings {
    fn complain(&self, what: &dyn std::fmt::Display) {
        self.report.fault(Fault::Setup, what);
    }

    fn sweep(&self, found: &OnceLock<Highest>) -> io::Result<()> {
        if found.get().is_none() {
            // Not computed within the cell: whoever asks must never wait for this.
            let _ = found.set(self.names.numbers()?);
        }
        for unfinished in self
            .names
            .list()?
            .into_iter()
            .filter(|entry| entry.form.is_unfinished())
        {
            self.remove_abandoned(unfinished);
        }
        // What goes whatever its size need not be packed first.
        self.delete(&self.retention.without_sizes())?;
        let mut entries = self.names.list()?;
        entries.sort_unstable();
        for same in entries.chunk_by(|one, other| one.rolled == other.rolled) {
            let Err(error) = self.pack(same) else {
                continue;
            };
            match error.kind() {
                // Deleted meanwhile.
                io::ErrorKind::NotFound => continue,
                kind => {
                    let path = self.names.rolled(same[0].rolled, Form::Plain);
                    let path = path.display();
                    self.complain(&format_args!(
                        "cannot compress rolled log file {path}: {}",
                        Why(&error)
                    ));
                    if kind == io::ErrorKind::StorageFull {
                        break;
                    }
                }
            }
        }
        self.delete(&self.retention)
    }

    /// Removes what a process left that was ended while it packed. One that still packs has it locked.
    fn remove_abandoned(&self, unfinished: Entry) {
        let path = self.names.rolled(unfinished.rolled, unfinished.form);
        let Ok(file) = fs::open_to_read(&path) else {
            return;
        };
        if !matches!(file.try_lock(), Err(std_fs::TryLockError::WouldBlock)) {
            let _ = std_fs::remove_file(path);
        }
    }

    /// Packs a rolled file, given the forms that it lies there in.
    fn pack(&self, forms: &[Entry]) -> io::Result<()> {
        let rolled = forms[0].rolled;
        if forms[0].form != Form::Plain {
            return Ok(());
        }
        let plain_path = self.names.rolled(rolled, Form::Plain);
        let packed = forms[1..].iter().find(|entry| !entry.form.is_unfinished());
        if let Some(packed) = packed {
            return self.remove_twin(plain_path, *packed);
        }
        let Some((unfinished, whole)) = Form::packed(self.compression) else {
            return Ok(());
        };
        let mut plain = fs::open_to_read(&plain_path)?;
        let before = plain.metadata()?;
        if fs::other_kind(&before).is_some() {
            return Ok(());
        }
        let path = self.names.rolled(rolled, unfinished);
        let mut fresh = match fs::create_private(&path) {
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
                && is_at(&plain, &plain_path)
                && is_at(&fresh, &path);
            if unchanged {
                fs::rename_to_new(&path, &self.names.rolled(rolled, whole))?;
            }
            Ok(unchanged)
        })();
        if !matches!(packed, Ok(true)) {
            if is_at(&fresh, &path) {
                let _ = std_fs::remove_file(&path);
            }
            return packed.map(|_| ());
        }
        fs::sync_dir(self.names.dir());
        std_fs::remove_file(plain_path)
    }

    /// Removes a plain file whose packed one is whole: a process was ended between making the one and removing the other.
    fn remove_twin(&self, plain_path: PathBuf, packed: Entry) -> io::Result<()> {
        let packed_path = self.names.rolled(packed.rolled, packed.form);
        let by = packed.form.compression().unwrap_or(Compression::None);
        if by.check().is_err() {
            return Ok(());
        }
        if by.holds(
            fs::open_to_read(&packed_path)?,
            &mut fs::open_to_read(&plain_path)?,
        )? {
            return std_fs::remove_file(plain_path);
        }
        Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!(
                "{} is there and holds something else; both stay",
                packed_path.display()
            ),
        ))
    }

    fn delete(&self, retention: &Retention) -> io::Result<()> {
        for path in self.going(retention)? {
            match std_fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    self.complain(&format_args!(
                        "cannot delete old log file {}: {}",
                        path.display(),
                        Why(&error)
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The files that a retention does not keep.
    pub(super) fn going(&self, retention: &Retention) -> io::Result<Vec<PathBuf>> {
        if retention.keeps_all() {
            return Ok(Vec::new());
        }
        let mut entries = self.names.list()?;
        entries.retain(|entry| !entry.form.is_unfinished());
        entries.sort_unstable_by(|one, other| other.cmp(one));
        let same: Vec<&[Entry]> = entries
            .chunk_by(|one, other| one.rolled == other.rolled)
            .collect();
        let kept: Vec<Kept> = match retention.only_counts() {
            true => vec![Kept::default(); same.len()],
            false => same.iter().map(|forms| self.kept(forms)).collect(),
        };
        let free = retention
            .asks_for_free_space()
            .then(|| fs::free_space(self.names.dir()))
            .flatten();
        let goes = retention.goes(&kept, self.clock.now(), free);
        let going = same.iter().zip(goes).filter(|(_, goes)| *goes);
        let going = going.flat_map(|(forms, _)| forms.iter());
        Ok(going
            .map(|entry| self.names.rolled(entry.rolled, entry.form))
            .collect())
    }

    fn kept(&self, forms: &[Entry]) -> Kept {
        let metadata = forms.iter().map(|entry| {
            self.names
                .rolled(entry.rolled, entry.form)
                .symlink_metadata()
        });
        metadata
            .flatten()
            .fold(Kept::default(), |kept, metadata| Kept {
                bytes: kept.bytes.saturating_add(metadata.len()),
                on_disk: kept.on_disk.saturating_add(fs::on_disk(&metadata)),
                modified: kept.modified.max(metadata.modified().ok()),
            })
    }
}

fn is_at(file: &File, path: &std::path::Path) -> bool {
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(file), Ok(there)) => fs::is_same(&file, &there),
        _ => false,
    }
}
