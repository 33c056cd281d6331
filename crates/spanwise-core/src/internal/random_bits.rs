//! Random numbers for ids.
//!
//! No two threads draw the same, nor does a process draw what the one that it forked from draws.
//! They can be drawn while a thread ends, when its thread-locals are gone.

use std::{
    cell::RefCell,
    hash::{BuildHasher, RandomState},
    process,
    time::UNIX_EPOCH,
};

use crate::{Clock, internal::forks};

/// Returns 64 random bits.
///
/// They are SipHash of a counter, with a key that the system gives each thread. Who sees some
/// cannot tell the next.
#[must_use]
pub fn random_bits() -> u64 {
    thread_local! {
        // Without a destructor, so that it stays while the thread ends.
        static STREAM: RefCell<Option<Stream>> = const { RefCell::new(None) };
    }
    let drawn = STREAM.try_with(|stream| {
        let generation = forks::generation();
        let mut stream = stream.try_borrow_mut().ok()?;
        let stream = match &mut *stream {
            Some(stream) if stream.generation == generation => stream,
            stream => stream.insert(Stream::new(generation)),
        };
        Some(stream.next())
    });
    // Where thread-locals of every kind have an end.
    let drawn = drawn.ok().flatten();
    drawn.unwrap_or_else(|| Stream::new(forks::generation()).next())
}

/// The numbers of one thread in one process.
struct Stream {
    /// That of the process: see [`forks`].
    generation: u32,
    key: RandomState,
    count: u64,
}

/// Odd, and near no multiple of a time.
const PROCESS_STRIDE: u64 = 0x9E37_79B9_7F4A_7C15;

impl Stream {
    #[cold]
    fn new(generation: u32) -> Self {
        let began = Clock::system().now().duration_since(UNIX_EPOCH);
        let began = began.unwrap_or_default();
        let began = began.as_nanos() as u64;
        Self {
            generation,
            // In a child, the key is one that the parent may draw, too. So each process counts
            // elsewhere: by its number, and one that has the number of another that ended by the
            // time, of which no count uses up as much as passes.
            key: RandomState::new(),
            count: began.wrapping_add(PROCESS_STRIDE.wrapping_mul(process::id().into())),
        }
    }

    fn next(&mut self) -> u64 {
        self.count = self.count.wrapping_add(1);
        self.key.hash_one(self.count)
    }
}
