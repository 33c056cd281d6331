//! The least that a buffer with a writer of its own can cost: what no contender can go below by
//! much.
//!
//! Lines are appended to one vector under a lock. A thread looks every millisecond, takes the
//! vector, leaves an empty one there and writes what it took. No levels, no counters, nobody is
//! woken, no error is survived; bounded it is.

use std::{
    fs::File,
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

/// Callers wait sooner than `Background` has them wait, but all of it stays in the caches of the
/// processors.
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
            // It has panicked: the lines will be missed.
            let _ = thread.join();
        }
    }
}
