//! Random numbers for ids.
//!
//! No two threads draw the same, nor does a process draw what the one that it forked from draws. They can be drawn while a
//! thread ends, when its thread-locals are gone.

use std::{
    cell::RefCell,
    hash::{BuildHasher, RandomState},
    process,
    time::UNIX_EPOCH,
};

use crate::Clock;

/// Returns 64 random bits.
///
/// They are SipHash of a counter, with a key that the system gives each thread. Who sees some cannot tell the next.
#[must_use]
pub fn random_bits() -> u64 {
    thread_local! {
        // Without a destructor, so that it stays while the thread ends.
        static STREAM: RefCell<Option<Stream>> = const { RefCell::new(None) };
    }
    let drawn = STREAM.try_with(|stream| {
        let process = process::id();
        let mut stream = stream.try_borrow_mut().ok()?;
        let stream = match &mut *stream {
            Some(stream) if stream.process == process => stream,
            stream => stream.insert(Stream::new(process)),
        };
        Some(stream.next())
    });
    // Where thread-locals of every kind have an end.
    let drawn = drawn.ok().flatten();
    drawn.unwrap_or_else(|| Stream::new(process::id()).next())
}

/// The numbers of one thread in one process.
struct Stream {
    process: u32,
    /// The time of the first one: a process may have the number of one that ended.
    began: u64,
    key: RandomState,
    count: u64,
}

impl Stream {
    #[cold]
    fn new(process: u32) -> Self {
        let began = Clock::system().now().duration_since(UNIX_EPOCH);
        let began = began.unwrap_or_default();
        Self {
            process,
            // In a child, the key is one that the parent may draw, too. Nobody shares number and time.
            began: began.as_nanos() as u64 ^ u64::from(process) << 32,
            key: RandomState::new(),
            count: 0,
        }
    }

    fn next(&mut self) -> u64 {
        self.count += 1;
        self.key.hash_one((self.began, self.count))
    }
}
