//! A disk that is full on request, and lines in memory.

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use tracing_subscriber::fmt::MakeWriter;

/// A value that threads change and wait for.
struct Watched<T>(Arc<(Mutex<T>, Condvar)>);

impl<T> Watched<T> {
    fn new(value: T) -> Self {
        Self(Arc::new((Mutex::new(value), Condvar::new())))
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.lock());
        self.0.1.notify_all();
    }

    fn wait_while(&self, condition: impl FnMut(&mut T) -> bool) {
        let waited = self.0.1.wait_while(self.lock(), condition);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl<T> Clone for Watched<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// A file on a disk that is full until [`make_room`](Self::make_room).
#[derive(Clone)]
pub(crate) struct Disk(Watched<DiskState>);

struct DiskState {
    is_full: bool,
    refused: usize,
    lines: usize,
}

impl Disk {
    pub(crate) fn full() -> Self {
        Self(Watched::new(DiskState {
            is_full: true,
            refused: 0,
            lines: 0,
        }))
    }

    pub(crate) fn make_room(&self) {
        self.0.change(|disk| disk.is_full = false);
    }

    pub(crate) fn wait_until_refused(&self, writes: usize) {
        self.0.wait_while(|disk| disk.refused < writes);
    }

    pub(crate) fn lines(&self) -> usize {
        self.0.lock().lines
    }
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut result = Ok(bytes.len());
        self.0.change(|disk| {
            if disk.is_full {
                disk.refused += 1;
                result = Err(io::ErrorKind::StorageFull.into());
            } else {
                disk.lines += bytes.iter().filter(|byte| **byte == b'\n').count();
            }
        });
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines in memory.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn count(&self) -> usize {
        self.text().lines().count()
    }

    #[expect(clippy::print_stdout, reason = "it shows what was logged")]
    pub(crate) fn print(&self) {
        for line in self.text().lines() {
            println!("    {line}");
        }
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
