//! The state of a file in this process. After a fork, the lock of the parent's may be held by a thread that is not here.

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use spanwise_core::internal::sync::{Mutex, MutexGuard};

use super::{
    Settings,
    file_numbers::FileNumbers,
    file_writer::FileWriter,
    file_writer::open,
    fs::{Create, Dir},
    housekeeping::Housekeeper,
};
use crate::process_hooks;

/// A [`FileWriter`] for whichever thread has it locked.
pub(super) struct ForkSafeWriter {
    settings: Arc<Settings>,
    state: Mutex<FileWriter>,
    /// The process in which nobody holds the lock who is not there.
    generation: AtomicU32,
    /// That of a child that cannot have ours.
    forked: OnceLock<Box<Self>>,
}

impl ForkSafeWriter {
    pub(super) fn new(settings: Arc<Settings>, state: FileWriter) -> Self {
        Self {
            settings,
            state: Mutex::new(state),
            generation: AtomicU32::new(process_hooks::generation()),
            forked: OnceLock::new(),
        }
    }

    /// The one place that locks.
    ///
    /// # Errors
    /// A child, which cannot have the file of its parent, cannot open it either.
    pub(super) fn lock(&self) -> io::Result<MutexGuard<'_, FileWriter>> {
        let generation = process_hooks::generation();
        if self.generation.load(Ordering::Relaxed) == generation {
            return Ok(self.state.lock());
        }
        self.lock_in_child(generation)
    }

    /// The parent's if it is free, with the open file, since the child may be allowed less; else one of the child's own.
    #[cold]
    fn lock_in_child(&self, generation: u32) -> io::Result<MutexGuard<'_, FileWriter>> {
        if let Some(state) = self.state.try_lock() {
            self.generation.store(generation, Ordering::Relaxed);
            return Ok(state);
        }
        if let Some(forked) = self.forked.get() {
            return forked.lock();
        }
        let state = FileWriter::in_child(&self.settings)?;
        let fresh = Box::new(Self::new(Arc::clone(&self.settings), state));
        self.forked.get_or_init(|| fresh).lock()
    }
}

impl ForkSafeWriter {
    /// At the end of the process: sees that what was written is in a file that has a name, unless another thread writes all the while.
    pub(super) fn finish(&self, deadline: Instant) {
        if self.generation.load(Ordering::Relaxed) != process_hooks::generation() {
            return;
        }
        loop {
            match self.state.try_lock() {
                Some(mut state) => return state.finish(),
                None if Instant::now() >= deadline => return,
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

impl Drop for ForkSafeWriter {
    fn drop(&mut self) {
        if *self.generation.get_mut() == process_hooks::generation() {
            let state = self.state.get_mut();
            state.finish();
        }
    }
}

impl FileWriter {
    /// One that knows nothing of its parent's but where the file is, which the parent has locked for both.
    fn in_child(settings: &Arc<Settings>) -> io::Result<Self> {
        let dir = Dir::current(&settings.dir)?;
        let mut current = open(settings, &dir, Create::IfMissing)?;
        // Half a line there is one that the parent is about to write.
        current.assume_complete_line();
        let numbers = FileNumbers::new(None);
        let housekeeper = Housekeeper::new();
        let settings = Arc::clone(settings);
        let mut state = Self::new(
            settings,
            dir,
            current,
            numbers,
            None,
            housekeeper,
            Arc::default(),
        );
        state.roll_at_start = false;
        Ok(state)
    }
}
