//! Random numbers for ids.
//!
//! No two threads get the same numbers, nor do a process and its fork. They are available even
//! while a thread ends and its thread-locals are destroyed.

use std::{
    cell::RefCell,
    hash::{BuildHasher, RandomState},
    process,
    time::UNIX_EPOCH,
};

use crate::{Clock, internal::forks};

/// Returns 64 random bits.
///
/// They are the SipHash of a counter, with a key that the system gives each thread. The next value
/// cannot be predicted from earlier ones.
#[must_use]
pub fn random_bits() -> u64 {
    thread_local! {
        // Without a destructor, so it is available while the thread ends.
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
    // On platforms where every thread-local is destroyed.
    let drawn = drawn.ok().flatten();
    drawn.unwrap_or_else(|| Stream::new(forks::generation()).next())
}

/// Returns the number of a new UUID of version 7. The numbers sort by time, to a quarter of a
/// microsecond, and their low 62 bits are random, as those of a trace id should be.
#[must_use]
pub fn time_ordered_bits() -> u128 {
    let now = Clock::system().now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let millis = now.as_secs() * 1000 + u64::from(now.subsec_millis());
    let fraction = u64::from(now.subsec_nanos() % 1_000_000) * 4096 / 1_000_000;
    let high = millis << 16 | 7 << 12 | fraction;
    let low = 0b10 << 62 | random_bits() >> 2;
    u128::from(high) << 64 | u128::from(low)
}

/// Returns a new id for a span, which is never zero: such an id is invalid in W3C Trace Context.
#[must_use]
pub fn new_span_id() -> [u8; 8] {
    random_bits().max(1).to_be_bytes()
}

/// The random stream of one thread in one process.
struct Stream {
    /// The generation of the process: see [`forks`].
    generation: u32,
    key: RandomState,
    count: u64,
}

/// Odd and large, so that the counts of two processes are far apart.
const PROCESS_STRIDE: u64 = 0x9E37_79B9_7F4A_7C15;

impl Stream {
    #[cold]
    fn new(generation: u32) -> Self {
        let began = Clock::system().now().duration_since(UNIX_EPOCH);
        let began = began.unwrap_or_default();
        let began = began.as_nanos() as u64;
        Self {
            generation,
            // A child may get the same key as its parent, so each process starts at another count.
            // It depends on the process id, and on the time in case that an id is reused: no
            // process draws more than one number per nanosecond.
            key: RandomState::new(),
            count: began.wrapping_add(PROCESS_STRIDE.wrapping_mul(process::id().into())),
        }
    }

    fn next(&mut self) -> u64 {
        self.count = self.count.wrapping_add(1);
        self.key.hash_one(self.count)
    }
}
