//! Ids that came from outside, and ids of our own.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
    time::UNIX_EPOCH,
};

use http::HeaderValue;
use spanwise_core::Clock;
use uuid::Uuid;

/// The longest id that is taken over from a header.
const LONGEST: usize = 128;

/// The id that a header holds, if it looks like one: `^[A-Za-z0-9_-]{1,128}$`. What does not is nobody's business to log.
pub(crate) fn accepted(header: &HeaderValue) -> Option<&str> {
    let id = header.as_bytes();
    let of_an_id = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let looks_like_one = (1..=LONGEST).contains(&id.len()) && id.iter().all(of_an_id);
    looks_like_one.then(|| header.to_str().ok()).flatten()
}

/// A new id: a UUID of version 7. It orders by time, to a quarter of a microsecond, and its low 62 bits are random.
pub(crate) fn fresh() -> Uuid {
    let now = Clock::system().now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let fraction = u64::from(now.subsec_nanos()) % 1_000_000 * 4096 / 1_000_000;
    let high = (now.as_millis() as u64) << 16 | 7 << 12 | fraction;
    let low = 0b10 << 62 | random() >> 2;
    Uuid::from_u64_pair(high, low)
}

/// A new span id of W3C Trace Context.
pub(crate) fn fresh_span_id() -> [u8; 8] {
    // All zeros is the specification's id of no span.
    random().max(1).to_be_bytes()
}

/// SipHash of a counter, by a key that the system gives once a thread: whoever sees ids cannot tell the next.
fn random() -> u64 {
    thread_local! {
        static STATE: (RandomState, Cell<u64>) = (RandomState::new(), Cell::new(0));
    }
    STATE.with(|(key, count)| {
        count.set(count.get() + 1);
        key.hash_one(count.get())
    })
}
