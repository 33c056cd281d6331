//! Random ids of events, traces and spans.
//!
//! Sentry's own types draw ids from a thread-local generator. An exiting thread may have destroyed
//! the generator, and a forked child would start with a copy of the parent's generator.

use sentry_core::{
    protocol::{SpanId, TraceId},
    types::Uuid,
};
use spanwise_core::internal::random_bits;

pub(crate) fn new_event_id() -> Uuid {
    // Version 4: 122 random bits.
    let high = random_bits() & !0xF000 | 0x4000;
    Uuid::from_u64_pair(high, random_bits() >> 2 | 0b10 << 62)
}

pub(crate) fn new_trace_id() -> TraceId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&random_bits().to_be_bytes());
    // An id of all zeros is invalid.
    id[8..].copy_from_slice(&random_bits().max(1).to_be_bytes());
    id.into()
}

pub(crate) fn new_span_id() -> SpanId {
    random_bits().max(1).to_be_bytes().into()
}
