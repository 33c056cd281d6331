//! A writer that does what a test says, and what the tests share.

#![allow(dead_code, unreachable_pub, reason = "each test uses some of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is wrong"
)]

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

/// What the writer does with the next write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// Takes all of it.
    Take,
    /// Takes that many bytes at most.
    TakeAtMost(usize),
    /// Takes that many bytes, and then says that there is no room.
    TakeThenFail(usize),
    /// Says that nobody reads any more.
    Close,
    /// Keeps the caller waiting.
    Stall,
    /// Panics.
    Panic,
}

/// A writer that a test steers.
#[derive(Clone)]
pub struct Steered(Arc<(Mutex<State>, Condvar)>);

struct State {
    does: Does,
    bytes: Vec<u8>,
    writes: usize,
    stalled: bool,
    failed: bool,
}

impl Steered {
    pub fn new(does: Does) -> Self {
        let state = State {
            does,
            bytes: Vec::new(),
            writes: 0,
            stalled: false,
            failed: false,
        };
        Self(Arc::new((Mutex::new(state), Condvar::new())))
    }

    pub fn set(&self, does: Does) {
        self.0.0.lock().unwrap().does = does;
        self.0.1.notify_all();
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.0.lock().unwrap().bytes.clone()).unwrap()
    }

    pub fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }

    pub fn writes(&self) -> usize {
        self.0.0.lock().unwrap().writes
    }

    /// Until somebody is inside, waiting.
    pub fn wait_until_stalled(&self) {
        wait_for("the writer stalls", || self.0.0.lock().unwrap().stalled);
    }

    /// Until a write was refused.
    pub fn wait_until_failed(&self) {
        wait_for("a write fails", || self.0.0.lock().unwrap().failed);
    }
}

impl Write for Steered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        state.writes += 1;
        while state.does == Does::Stall {
            state.stalled = true;
            state = changed.wait(state).unwrap();
        }
        state.stalled = false;
        match state.does {
            Does::Take | Does::Stall => {
                state.bytes.extend(bytes);
                Ok(bytes.len())
            }
            Does::TakeAtMost(most) => {
                let taken = most.min(bytes.len());
                state.bytes.extend(&bytes[..taken]);
                Ok(taken)
            }
            Does::TakeThenFail(most) => {
                let taken = most.min(bytes.len());
                if taken == 0 {
                    state.failed = true;
                    return Err(io::ErrorKind::StorageFull.into());
                }
                state.bytes.extend(&bytes[..taken]);
                state.does = Does::TakeThenFail(0);
                Ok(taken)
            }
            Does::Close => {
                state.failed = true;
                Err(io::ErrorKind::BrokenPipe.into())
            }
            Does::Panic => {
                drop(state);
                panic!("the writer panics, as it was told to");
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until `condition` holds, and fails if it does not within half a minute.
pub fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
