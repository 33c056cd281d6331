//! Who is among the chosen: a number of 56 bits, held against a threshold.
//!
//! Every part that keeps some of the traces decides by this, so that they keep the same ones.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{Context, REDACTED};

/// A ratio, as OpenTelemetry's [consistent probability sampling] holds it against a trace id: what is less is left out. So the traces that are kept at
/// a small ratio are among those kept at a larger one.
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
    /// For a ratio between 0 and 1; none for any other number.
    #[must_use]
    pub fn from_ratio(ratio: f64) -> Option<Self> {
        // Not a number is in no range.
        (0.0..=1.0).contains(&ratio).then(|| Self {
            ratio,
            min_randomness: ((1.0 - ratio) * ALL as f64).round() as u64,
        })
    }

    /// The ratio.
    #[must_use]
    pub fn ratio(self) -> f64 {
        self.ratio
    }

    /// True if nothing is left out.
    #[must_use]
    pub fn keeps_all(self) -> bool {
        self.min_randomness == 0
    }

    /// Whether nothing at all is kept.
    #[must_use]
    pub fn keeps_none(self) -> bool {
        self.min_randomness == ALL
    }

    /// Whether what has this number is kept.
    #[inline]
    #[must_use]
    pub fn keeps(self, randomness: u64) -> bool {
        randomness >= self.min_randomness
    }
}

/// The number of the trace, or of the request, that an event with this context is part of.
#[must_use]
pub fn randomness_from_context(context: &Context) -> Option<u64> {
    randomness_from_entries(context.iter())
}

/// [`randomness_from_context`], of keys with their values: of a key given twice the last counts.
#[must_use]
pub fn randomness_from_entries<'k, 'v>(
    entries: impl Iterator<Item = (&'k str, &'v str)>,
) -> Option<u64> {
    let (mut trace, mut request) = (None, None);
    for (key, value) in entries {
        match key {
            _ if value.is_empty() || value == REDACTED => {}
            // The W3C's id of no trace.
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

/// The low 56 bits, which the W3C wants to be random. An id of another form is taken for any text.
fn trace_randomness(id: &str) -> u64 {
    let hex = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let low = hex.then(|| u64::from_str_radix(&id[18..], 16));
    match low {
        Some(Ok(low)) => low,
        _ => text_randomness(id),
    }
}

/// The same in each process and each version: FNV-1a, mixed.
fn text_randomness(text: &str) -> u64 {
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    low_bits(mix(text.bytes().fold(0xCBF2_9CE4_8422_2325, fnv)))
}

/// A number for an event that is part of nothing.
#[derive(Debug, Default)]
pub struct SampleRng {
    /// For tests: one row of numbers for all threads.
    seeded: Option<AtomicU64>,
}

impl SampleRng {
    /// Begins at `seed`.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            seeded: Some(AtomicU64::new(seed)),
        }
    }

    /// The next one.
    #[inline]
    #[must_use]
    pub fn next(&self) -> u64 {
        thread_local! {
            /// 0 before the first number.
            static STATE: Cell<u64> = const { Cell::new(0) };
        }
        let state = match &self.seeded {
            None => {
                let state = match STATE.get() {
                    0 => first_state(),
                    state => state.wrapping_add(GAMMA),
                };
                STATE.set(state);
                state
            }
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

/// The end of SplitMix64.
fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_id_counts_by_its_low_56_bits() {
        let id = "ffffffffffffffffff00000000000001";
        assert_eq!(trace_randomness(id), 1);
        assert_eq!(trace_randomness(&id.replace("01", "ff")), 255);
        assert_eq!(
            trace_randomness("not a trace id"),
            text_randomness("not a trace id")
        );
    }

    #[test]
    fn request_randomness_is_stable() {
        // Processes of different versions must agree: a change here splits requests.
        assert_eq!(text_randomness("r-1"), 0x00E3_57F5_CCC3_5F86);
    }

    #[test]
    fn range_ends_keep_all_and_none() {
        let (all, none) = (
            Threshold::from_ratio(1.0).unwrap(),
            Threshold::from_ratio(0.0).unwrap(),
        );
        assert!(all.keeps_all() && all.keeps(0));
        assert!(!none.keeps(ALL - 1));
        assert_eq!(Threshold::from_ratio(f64::NAN), None);
        assert_eq!(Threshold::from_ratio(-0.1), None);
    }
}
