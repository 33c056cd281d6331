//! Consistent probability sampling: compares a 56-bit randomness value with a threshold.
//!
//! All parts that sample traces use it, so that they keep the same traces.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use super::thread_state::{self, ThreadState};
use crate::{Context, REDACTED};

/// The threshold of a sampling ratio, as in OpenTelemetry's [consistent probability sampling].
/// Traces with less randomness are dropped, so the traces of a small ratio are a subset of a larger
/// one's.
///
/// [consistent probability sampling]: https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    ratio: f64,
    min_randomness: u64,
}

const BITS: u32 = 56;
const ALL: u64 = 1 << BITS;

impl Threshold {
    /// Creates the threshold of a ratio from 0 to 1. Returns `None` for other numbers.
    #[must_use]
    pub fn from_ratio(ratio: f64) -> Option<Self> {
        // NaN is in no range.
        (0.0..=1.0).contains(&ratio).then(|| Self {
            ratio,
            min_randomness: ((1.0 - ratio) * ALL as f64).round() as u64,
        })
    }

    /// Returns the ratio.
    #[must_use]
    pub fn ratio(self) -> f64 {
        self.ratio
    }

    /// Returns whether nothing is dropped.
    #[must_use]
    pub fn keeps_all(self) -> bool {
        self.min_randomness == 0
    }

    /// Returns whether everything is dropped.
    #[must_use]
    pub fn keeps_none(self) -> bool {
        self.min_randomness == ALL
    }

    /// Returns whether a trace with this randomness is kept.
    #[inline]
    #[must_use]
    pub fn keeps(self, randomness: u64) -> bool {
        randomness >= self.min_randomness
    }
}

/// Returns the randomness of the trace, or else of the request, in `context`.
#[must_use]
pub fn randomness_from_context(context: &Context) -> Option<u64> {
    randomness_from_entries(context.iter())
}

/// Returns [`randomness_from_context`] for keys with their values. The last value of a key wins.
#[must_use]
pub fn randomness_from_entries<'k, 'v>(
    entries: impl Iterator<Item = (&'k str, &'v str)>,
) -> Option<u64> {
    let (mut trace, mut request) = (None, None);
    for (key, value) in entries {
        match key {
            _ if value.is_empty() || value == REDACTED => {}
            // The invalid trace id of W3C Trace Context.
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

/// Returns the low 56 bits, which W3C Trace Context requires to be random. Hashes other ids as
/// text.
fn trace_randomness(id: &str) -> u64 {
    let hex = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let low = hex.then(|| u64::from_str_radix(&id[18..], 16));
    match low {
        Some(Ok(low)) => low,
        _ => text_randomness(id),
    }
}

/// Returns a hash that is the same in each process and version: FNV-1a, mixed.
fn text_randomness(text: &str) -> u64 {
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    low_bits(mix(text.bytes().fold(0xCBF2_9CE4_8422_2325, fnv)))
}

/// A generator of randomness for events without a trace or a request.
#[derive(Debug, Default)]
pub struct SampleRng {
    /// The state of a seeded generator, which all threads share.
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
                    0 => first_state(),
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
fn first_state() -> u64 {
    RandomState::new().hash_one(0)
}

fn low_bits(hash: u64) -> u64 {
    hash & (ALL - 1)
}

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finalizer of SplitMix64.
fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ (hash >> 31)
}
