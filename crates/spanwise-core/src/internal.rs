//! Code that only the crates of this workspace may use. It is not a stable API: any release
//! may change or remove it.

pub mod announced_span;
mod backoff;
pub mod backtrace;
mod callsite;
pub mod consistent_sampling;
mod counter;
mod critical;
mod decision_cache;
mod duration;
mod entered_spans;
pub(crate) mod error_chain;
pub(crate) mod error_name;
pub(crate) mod error_query;
pub mod errors;
pub mod forks;
mod hex_digits;
pub mod inherited_context;
pub(crate) mod interest_rebuild;
mod layer_id;
pub(crate) mod layer_values;
mod limiter_clock;
mod linked_slots;
#[cfg(feature = "log")]
pub mod log_bridge;
pub mod log_record;
pub mod logged_panic;
mod machine;
pub mod nested_json;
pub mod panic_safe;
pub(crate) mod per_layer_filters;
mod per_second;
mod percent_encoding;
mod percentage;
pub mod propagators;
mod random_bits;
pub mod reentrancy;
pub mod request_observer;
pub mod rfc3339;
pub mod runtime_callsite;
mod sharded_arc;
mod sharded_counter;
mod span_data;
pub mod span_identity;
mod span_subscriber;
mod span_table;
pub(crate) mod span_tree;
pub mod stdio;
pub mod suggest;
pub mod sync;
pub(crate) mod thread_state;
mod token_bucket;
mod trace_cache;
mod tracestate_header;

pub use self::{
    backoff::Backoff,
    callsite::CallsitePlans,
    counter::Counter,
    critical::{CRITICAL, is_critical},
    decision_cache::SampleDecision,
    duration::{DurationUnits, MAX_TIMEOUT, deadline_after, parse_duration},
    entered_spans::{CurrentSpan, EnteredSpans, SpanValue},
    error_chain::error_chain,
    hex_digits::{HexDigits, parse_hex},
    layer_id::LayerId,
    limiter_clock::{LimiterClock, Precision},
    linked_slots::{LinkedSlots, SlotId, SlotList},
    machine::host_name,
    per_layer_filters::FilterInterop,
    per_second::PerSecond,
    percent_encoding::{percent_decode, percent_decode_strictly},
    percentage::parse_percentage,
    random_bits::{new_span_id, new_trace_id, random_bits, time_ordered_bits},
    sharded_arc::{ShardedArc, SharedValue, WeakValue},
    sharded_counter::{ShardedCounter, thread_number},
    span_data::{Inherit, SpanData, SpanDataCache, SpanVersion, read_shared},
    span_identity::SpanIdentity,
    span_subscriber::SpanSubscriber,
    span_table::SpanTable,
    token_bucket::TokenBucket,
    trace_cache::TraceCache,
    tracestate_header::parse_tracestate,
};

/// Returns the time of a clock in nanoseconds since 1970, or 0 if the time is before 1970.
#[inline]
#[must_use]
pub fn unix_nanos(clock: &crate::Clock) -> u64 {
    clock.unix_nanos()
}

/// Returns [`Clock::monotonic`](crate::Clock::monotonic) in nanoseconds.
#[inline]
#[must_use]
pub fn monotonic_nanos(clock: &crate::Clock) -> u64 {
    clock.monotonic_nanos()
}

pub use crate::{
    child_env::{BAGGAGE, CarriedContext, TRACEPARENT, TRACESTATE, carry_otel_context},
    context_callsites::{
        custom_key_declared, may_pin_custom_keys, pins_context, recorded_callsite,
    },
    error_view::{Concrete, Dynamic, Pointer},
    event_context::{
        BufferingUnit, DispatchedSummary, DumpedRecord, DumpedRecords, EnteredLine, EnteredUnits,
        LineDisposition, MustSeeAllEvents, SampleRate, SinkMask, SpanSnapshot, UnencodedEvent,
    },
    export::{sender::Step, stepped::SteppedSender},
    levels::parse_level,
    redact::KeyVerdicts,
    redacted::with_level,
    self_report::SinkCounters,
    setting_value::TextSetting,
    span_context::MAX_CONTEXT_VALUE_LEN,
    visibility::{Visibility, VisibilityCache},
};
