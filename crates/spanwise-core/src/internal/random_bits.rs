//! Random numbers for ids.
//!
//! Two threads, or a process and its fork, draw different sequences of numbers. Numbers are
//! available even while a thread ends and its thread-locals are destroyed.

use std::{
    cell::Cell,
    hash::{BuildHasher as _, RandomState},
    process,
};

use crate::{Clock, internal::forks};

/// Returns 64 random bits.
///
/// The bits are the SipHash of a counter, with a random key per thread. The next value cannot be
/// predicted from earlier values.
#[must_use]
pub fn random_bits() -> u64 {
    draw(Stream::next)
}

/// Returns 64 random bits for an id that need not be secret. Faster than [`random_bits`], because
/// it computes no hash, but many values together may reveal the next one.
#[inline]
fn id_bits() -> u64 {
    draw(Stream::next_id)
}

/// Calls `next` with the stream of this thread, which is seeded once per thread and process.
#[inline]
fn draw(next: impl Fn(&Stream) -> u64) -> u64 {
    thread_local! {
        // The stream has no destructor, so it is available while the thread ends.
        static STREAM: Stream = const { Stream::unseeded() };
    }
    let generation = forks::generation();
    let drawn = STREAM.try_with(|stream| {
        if stream.generation.get() != Some(generation) {
            stream.seed(generation);
        }
        next(stream)
    });
    // Fallback for platforms that destroy thread-locals even without a destructor.
    drawn.unwrap_or_else(|_| {
        let stream = Stream::unseeded();
        stream.seed(generation);
        next(&stream)
    })
}

/// Returns a new UUID of version 7 as a number. The numbers sort by time, with a precision of a
/// quarter of a microsecond. Their low 62 bits are random, as a trace id requires, and cannot be
/// predicted.
#[must_use]
pub fn time_ordered_bits() -> u128 {
    time_ordered(Clock::system().unix_nanos(), random_bits())
}

/// Returns a new id for a trace that begins at `unix_nanos`. It has the form of
/// [`time_ordered_bits`], but is faster to create and may be predictable.
#[inline]
#[must_use]
pub fn new_trace_id(unix_nanos: u64) -> [u8; 16] {
    time_ordered(unix_nanos, id_bits()).to_be_bytes()
}

#[inline]
fn time_ordered(unix_nanos: u64, random: u64) -> u128 {
    let millis = unix_nanos / 1_000_000;
    let fraction = unix_nanos % 1_000_000 * 4096 / 1_000_000;
    let high = millis << 16 | 7 << 12 | fraction;
    let low = 0b10 << 62 | random >> 2;
    u128::from(high) << 64 | u128::from(low)
}

/// Returns a new id for a span. The id is never zero, because zero is invalid in W3C Trace Context.
#[inline]
#[must_use]
pub fn new_span_id() -> [u8; 8] {
    id_bits().max(1).to_be_bytes()
}

/// The random stream of one thread in one process.
struct Stream {
    /// The [generation](forks::generation) of the process that has seeded the stream.
    generation: Cell<Option<u32>>,
    /// The key and the counter of [`random_bits`].
    key: Cell<[u64; 2]>,
    count: Cell<u64>,
    /// The key and the counter of [`id_bits`]. They reveal nothing about `key` and `count`.
    id_key: Cell<u64>,
    id_count: Cell<u64>,
}

/// The distance between the first counts of two adjacent process ids. Odd and large, so that the
/// counts of any two processes are far apart.
const PROCESS_STRIDE: u64 = 0x9E37_79B9_7F4A_7C15;

/// The increment of the counter for ids, from the generator wyrand.
const ID_STRIDE: u64 = 0xA076_1D64_78BD_642F;

impl Stream {
    const fn unseeded() -> Self {
        Self {
            generation: Cell::new(None),
            key: Cell::new([0; 2]),
            count: Cell::new(0),
            id_key: Cell::new(0),
            id_count: Cell::new(0),
        }
    }

    #[cold]
    fn seed(&self, generation: u32) {
        let now = Clock::system().unix_nanos();
        let key = RandomState::new();
        self.generation.set(Some(generation));
        // A forked child may have the same key as its parent, so each process starts at a different
        // count. The count depends on the process id. If a process id is reused, the time makes the
        // difference, because no process draws more than one number per nanosecond.
        self.key.set([0, 1].map(|half: u64| key.hash_one(half)));
        self.count
            .set(now.wrapping_add(PROCESS_STRIDE.wrapping_mul(process::id().into())));
        self.id_key.set(self.next());
        self.id_count.set(self.next());
    }

    fn next(&self) -> u64 {
        self.count.set(self.count.get().wrapping_add(1));
        sip_hash(self.key.get(), self.count.get())
    }

    /// Returns the next value of wyrand, with the key of the thread in place of its constant.
    #[inline]
    fn next_id(&self) -> u64 {
        let count = self.id_count.get().wrapping_add(ID_STRIDE);
        self.id_count.set(count);
        let product = u128::from(count) * u128::from(count ^ self.id_key.get());
        (product >> 64) as u64 ^ product as u64
    }
}

/// Returns the SipHash-1-3 of a number. The hasher of the standard library needs three times as
/// many steps, because it accepts messages of any length.
#[inline]
fn sip_hash(key: [u64; 2], number: u64) -> u64 {
    const MESSAGE_LEN: u64 = size_of::<u64>() as u64;
    let mut state = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    for block in [number, MESSAGE_LEN << 56] {
        state[3] ^= block;
        sip_round(&mut state);
        state[0] ^= block;
    }
    state[2] ^= 0xff;
    for _ in 0..3 {
        sip_round(&mut state);
    }
    state.into_iter().fold(0, |hash, part| hash ^ part)
}

#[inline]
fn sip_round([v0, v1, v2, v3]: &mut [u64; 4]) {
    *v0 = v0.wrapping_add(*v1);
    *v1 = v1.rotate_left(13) ^ *v0;
    *v0 = v0.rotate_left(32);
    *v2 = v2.wrapping_add(*v3);
    *v3 = v3.rotate_left(16) ^ *v2;
    *v0 = v0.wrapping_add(*v3);
    *v3 = v3.rotate_left(21) ^ *v0;
    *v2 = v2.wrapping_add(*v1);
    *v1 = v1.rotate_left(17) ^ *v2;
    *v2 = v2.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher as _;

    use super::*;

    #[test]
    fn numbers_are_the_siphash_of_a_count() {
        for number in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
            // `DefaultHasher` is SipHash-1-3 with the key 0.
            let mut expected = std::hash::DefaultHasher::new();
            expected.write_u64(number);
            assert_eq!(sip_hash([0, 0], number), expected.finish());
        }
    }
}
