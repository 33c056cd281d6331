//! A minimal buffer with a writer thread: about the lower bound for a contender.
//!
//! Callers append lines to one vector under a lock. Every millisecond a thread swaps the vector for an
//! empty one and writes it. It has a bound, but no levels, no counters, no wake-ups and no handling of
//! errors.

use std::{
    fs::File,
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

/// Smaller than the buffer of `Background`, so callers wait sooner, but it stays in the processor's
/// caches.
const CAPACITY: usize = 256 * 1024;
const EVERY: Duration = Duration::from_millis(1);

/// Appends lines.
#[derive(Clone)]
pub(crate) struct Swapped(Arc<Shared>);

/// Writes the rest when it is dropped.
pub(crate) struct SwapGuard {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    room: Condvar,
    closing: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn swapped(mut file: File) -> (Swapped, SwapGuard) {
    let shared = Arc::new(Shared::default());
    let of_thread = Arc::clone(&shared);
    let thread = thread::spawn(move || {
        let mut taken = Vec::new();
        loop {
            let mut state = of_thread.lock();
            if state.lines.is_empty() {
                if state.closed {
                    return;
                }
                let waited = of_thread.closing.wait_timeout(state, EVERY);
                (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            }
            mem::swap(&mut state.lines, &mut taken);
            drop(state);
            of_thread.room.notify_all();
            if file.write_all(&taken).is_err() {
                return; // The lines will be missed.
            }
            taken.clear();
        }
    });
    let guard = SwapGuard {
        shared: Arc::clone(&shared),
        thread: Some(thread),
    };
    (Swapped(shared), guard)
}

impl Write for Swapped {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        while state.lines.len() >= CAPACITY {
            let waited = self.0.room.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.lines.extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for SwapGuard {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.closing.notify_all();
        if let Some(thread) = self.thread.take() {
            // The writer has panicked: the count of lines will show it.
            let _ = thread.join();
        }
    }
}
