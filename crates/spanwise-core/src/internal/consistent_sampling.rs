//! Consistent probability sampling: compares a 56-bit randomness value with a threshold.
//!
//! All parts that sample traces use this module, so that they keep the same traces.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use super::thread_state::{self, ThreadState};
use crate::{Context, REDACTED};

/// The threshold of a sampling ratio, as in OpenTelemetry's [consistent probability sampling].
///
/// A trace is dropped if its randomness is below the threshold. A larger ratio has a lower
/// threshold, so it keeps every trace that a smaller ratio keeps.
///
/// [consistent probability sampling]: https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    ratio: f64,
    min_randomness: u64,
}

/// The number of bits of a randomness value.
const BITS: u32 = 56;

/// One more than the largest randomness value. As a threshold, it keeps nothing.
const RANDOMNESS_END: u64 = 1 << BITS;

/// The number of significant hexadecimal digits of a threshold, in addition to leading `f`s. The
/// effective ratio differs from the configured ratio by less than one part in 65,000.
const SIGNIFICANT_DIGITS: u32 = 5;

impl Threshold {
    /// Creates the threshold of a ratio from 0 to 1. Returns `None` for other numbers.
    #[must_use]
    pub fn from_ratio(ratio: f64) -> Option<Self> {
        // NaN is in no range.
        (0.0..=1.0).contains(&ratio).then(|| Self {
            ratio,
            min_randomness: round(((1.0 - ratio) * RANDOMNESS_END as f64).round() as u64),
        })
    }

    /// Returns the ratio.
    #[must_use]
    pub fn ratio(self) -> f64 {
        self.ratio
    }

    /// Returns the threshold in the form of the sub-key `th` of `tracestate`: 14 hexadecimal digits
    /// without the trailing zeros. Returns `None` if no trace is kept, because the threshold 2⁵⁶
    /// has 15 digits.
    #[must_use]
    pub fn digits(self) -> Option<String> {
        let digits = format!("{:014x}", self.min_randomness);
        match digits.trim_end_matches('0') {
            _ if self.keeps_none() => None,
            "" => Some("0".to_owned()),
            significant => Some(significant.to_owned()),
        }
    }

    /// Returns whether every trace is kept.
    #[must_use]
    pub fn keeps_all(self) -> bool {
        self.min_randomness == 0
    }

    /// Returns whether no trace is kept.
    #[must_use]
    pub fn keeps_none(self) -> bool {
        self.min_randomness == RANDOMNESS_END
    }

    /// Returns whether a trace with this randomness is kept.
    #[inline]
    #[must_use]
    pub fn keeps(self, randomness: u64) -> bool {
        randomness >= self.min_randomness
    }
}

/// Rounds a threshold to [`SIGNIFICANT_DIGITS`] after the leading `f`s. The digits that are
/// propagated are then the exact threshold, so other services make the same decision.
fn round(min_randomness: u64) -> u64 {
    if min_randomness >= RANDOMNESS_END {
        return RANDOMNESS_END;
    }
    let leading_fs = (!(min_randomness << (u64::BITS - BITS))).leading_zeros() / 4;
    let digits = (SIGNIFICANT_DIGITS + leading_fs).min(BITS / 4);
    let unit = 1 << (BITS - 4 * digits);
    (min_randomness + unit / 2) & !(unit - 1)
}

/// Returns the randomness of a trace id: its low 56 bits, which W3C Trace Context requires to be
/// random.
#[must_use]
pub fn randomness_from_trace_id(trace_id: [u8; 16]) -> u64 {
    low_bits(u128::from_be_bytes(trace_id) as u64)
}

/// Returns the randomness of the trace in `context`, or else that of the request.
#[must_use]
pub fn randomness_from_context(context: &Context) -> Option<u64> {
    match context.identity() {
        Some(identity) => Some(randomness_from_trace_id(identity.trace_id())),
        None => {
            let recorded = context.recorded();
            randomness_from_entries(recorded.map(|entry| (entry.key, entry.value)))
        }
    }
}

/// Like [`randomness_from_context`], from pairs of a context key and its value. The last value of a
/// key wins.
#[must_use]
pub fn randomness_from_entries<'k, 'v>(
    entries: impl Iterator<Item = (&'k str, &'v str)>,
) -> Option<u64> {
    let (mut trace, mut request) = (None, None);
    for (key, value) in entries {
        match key {
            _ if value.is_empty() || value == REDACTED => {}
            // All zeros is the invalid trace id of W3C Trace Context.
            "trace_id" if value.bytes().all(|byte| byte == b'0') => {}
            "trace_id" => trace = Some(value),
            "request_id" => request = Some(value),
            _ => {}
        }
    }
    trace
        .map(trace_randomness)
        .or_else(|| request.map(text_randomness))
}

/// Returns the low 56 bits of a W3C trace id, which must be random. Hashes any other id as text.
fn trace_randomness(id: &str) -> u64 {
    let is_w3c = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let last_14_digits = is_w3c.then(|| u64::from_str_radix(&id[18..], 16));
    match last_14_digits {
        Some(Ok(randomness)) => randomness,
        _ => text_randomness(id),
    }
}

/// Returns 56 bits of a hash that is the same in each process and version: FNV-1a, then [`mix`].
fn text_randomness(text: &str) -> u64 {
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    low_bits(mix(text.bytes().fold(0xCBF2_9CE4_8422_2325, fnv)))
}

/// A generator of randomness values for events without a trace or a request.
///
/// The default generator has a state per thread, with a random seed.
#[derive(Debug, Default)]
pub struct SampleRng {
    /// The state of a seeded generator. All threads share it.
    seeded: Option<AtomicU64>,
}

impl SampleRng {
    /// Creates a generator for tests.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            seeded: Some(AtomicU64::new(seed)),
        }
    }

    /// Returns the next value.
    #[inline]
    #[must_use]
    pub fn next(&self) -> u64 {
        let state = match &self.seeded {
            None => thread_state::with(|ThreadState { sample_random, .. }| {
                let state = match sample_random.get() {
                    0 => random_state(),
                    state => state.wrapping_add(GAMMA),
                };
                sample_random.set(state);
                state
            }),
            Some(seeded) => seeded.fetch_add(GAMMA, Ordering::Relaxed),
        };
        low_bits(mix(state))
    }
}

#[cold]
fn random_state() -> u64 {
    RandomState::new().hash_one(0)
}

/// Returns the low 56 bits.
fn low_bits(hash: u64) -> u64 {
    hash & (RANDOMNESS_END - 1)
}

/// The increment of SplitMix64.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finalizer of SplitMix64.
fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ (hash >> 31)
}
