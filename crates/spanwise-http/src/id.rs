//! Ids that came from outside, and ids of our own.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
    time::UNIX_EPOCH,
};

use http::HeaderValue;
use spanwise_core::Clock;
use uuid::Uuid;

/// The longest id that is taken over, in bytes.
const LONGEST: usize = 128;

/// The id that a header holds, if it looks like one. What does not is nobody's business to log.
pub(crate) fn accepted(header: &HeaderValue) -> Option<&str> {
    accepted_text(str::from_utf8(header.as_bytes()).ok()?)
}

/// `text`, if it looks like an id: `^[A-Za-z0-9_-]{1,128}$`.
pub(crate) fn accepted_text(text: &str) -> Option<&str> {
    let of_an_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let looks_like_one = (1..=LONGEST).contains(&text.len()) && text.bytes().all(of_an_id);
    looks_like_one.then_some(text)
}

/// Whether `text`, which the program has found, may stand in every line for an id.
pub(crate) fn is_presentable(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// A new id: a UUID of version 7. It orders by time, to a quarter of a microsecond, and its low 62 bits are random: SipHash of a counter, by a
/// key that the system gives once a thread. Whoever sees ids cannot tell the next.
pub(crate) fn fresh() -> Uuid {
    thread_local! {
        static STATE: (RandomState, Cell<u64>) = (RandomState::new(), Cell::new(0));
    }
    let random = STATE.with(|(key, count)| {
        count.set(count.get() + 1);
        key.hash_one(count.get())
    });
    let now = Clock::system().now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let millis = now.as_secs() * 1000 + u64::from(now.subsec_millis());
    let fraction = u64::from(now.subsec_nanos() % 1_000_000) * 4096 / 1_000_000;
    Uuid::from_u64_pair(millis << 16 | 7 << 12 | fraction, 0b10 << 62 | random >> 2)
}

/// A new span id of W3C Trace Context. It has to be unique in its trace, not to be guarded; the system is asked for randomness once a thread.
pub(crate) fn fresh_span_id() -> [u8; 8] {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(()));
    }
    let next = STATE.with(|state| {
        // SplitMix64, whose every number comes once in a period of 2^64.
        let seed = state.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        state.set(seed);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    });
    // All zeros is the specification's id of no span.
    next.max(1).to_be_bytes()
}
