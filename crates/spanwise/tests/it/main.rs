//! The facade through its public API. Tests that need a separate process begin with `alone!()`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is wrong"
)]

/// Runs the calling test in a separate process. Use it as the first statement of a test that starts
/// logging.
///
/// The binary runs itself again with this test only. If the test fails, its output is shown.
macro_rules! alone {
    () => {
        if $crate::support::is_run_alone(|| {}) {
            return;
        }
    };
}

#[cfg(feature = "config")]
#[path = "../support/config_text.rs"]
mod config_text;
#[cfg(feature = "otel")]
#[path = "../../../spanwise-otel/tests/it/support/receiver.rs"]
mod otlp_receiver;
#[cfg(feature = "sentry")]
#[path = "../../../spanwise-sentry/tests/support/receiver.rs"]
mod receiver;
mod support;
mod switchable_layers;

mod advice;
mod capture_layer;
#[cfg(feature = "config")]
mod config_file;
#[cfg(feature = "config")]
mod config_routes;
mod configuration_event;
mod console;
mod console_pretty;
#[cfg(feature = "axum")]
mod console_requests;
mod console_spans;
mod debug_logs;
mod debug_panics;
mod debug_reads_span;
mod deep_spans;
mod empty_stack;
mod errors;
#[cfg(feature = "sentry")]
mod failed_main;
#[cfg(feature = "axum")]
mod failed_requests;
mod failing_request;
mod field_settings;
mod files;
mod filtered_layers;
#[cfg(feature = "axum")]
mod forged_context;
mod formats;
#[cfg(feature = "axum")]
mod late_context;
mod late_records;
mod layer_panics;
mod local_time;
mod log_records;
#[cfg(feature = "otel")]
mod otel_export;
#[cfg(feature = "otel")]
mod otel_service;
#[cfg(feature = "otel")]
mod otel_settings;
mod outputs;
#[cfg(feature = "axum")]
mod panicking_handler;
mod panics;
mod parent_process;
mod planted_secrets;
mod planting;
mod racing_starts;
mod readme;
mod receiver_formats;
mod record_sinks;
mod recorder_and_layers;
mod recorder_levels;
mod recorder_order;
mod recorder_without_effect;
mod redacted_layers;
#[cfg(feature = "config")]
mod reload;
#[cfg(feature = "axum")]
mod requests;
mod sampled_fields;
mod sampler_and_recorder;
mod sampler_and_tail;
mod second_init;
#[cfg(feature = "sentry")]
mod sentry_errors;
#[cfg(feature = "sentry")]
mod sentry_summaries;
mod setter_texts;
mod settings;
mod span_order;
mod spans_at_every_level;
mod stack;
mod static_fields;
mod suppressed_counts;
#[cfg(all(feature = "axum", feature = "tokio"))]
mod tasks;
#[cfg(feature = "sentry")]
mod unreachable_sentry;
mod writer_fails;
mod writer_logs;
