//! A minimal buffer with a writer thread: no contender can cost much less.
//!
//! Lines are appended to one vector under a lock. Every millisecond, a thread swaps the vector for
//! an empty one, and writes the lines. There are no levels and no counters. Callers do not wake the
//! thread, and an error ends it. The buffer has a bound, at which callers wait.

use std::{
    fs::File,
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

/// The bound of the buffer, in bytes. Callers wait earlier than with `Background`, but the buffer
/// stays in the caches of the processors.
const CAPACITY: usize = 256 * 1024;
const POLL_INTERVAL: Duration = Duration::from_millis(1);

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
                let waited = of_thread.closing.wait_timeout(state, POLL_INTERVAL);
                (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            }
            mem::swap(&mut state.lines, &mut taken);
            drop(state);
            of_thread.room.notify_all();
            if file.write_all(&taken).is_err() {
                return; // `check` then reports missing lines.
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
            // If the thread has panicked, `check` reports missing lines.
            let _ = thread.join();
        }
    }
}
