//! The variables for batches of spans (`OTEL_BSP_…`) and of log records (`OTEL_BLRP_…`).

use spanwise_core::{ParseError, Sensitivity, Setting};

use super::OtelSetting;
use crate::{
    OtelBuilder, SignalKind,
    setting_texts::{parse_count, parse_millis},
};

pub(super) const BATCHES: &[OtelSetting] = rows! {
    "OTEL_BSP_SCHEDULE_DELAY" => (Some(SignalKind::Traces), "delay") {
        default: "5000",
        accepts: "milliseconds, at most `3600000`",
        help: "The time after which spans are sent even if they do not fill a batch.",
        apply: |builder, text| set_delay(builder, SignalKind::Traces, text),
    }
    "OTEL_BSP_EXPORT_TIMEOUT" => (Some(SignalKind::Traces), "export_timeout") {
        default: "30000",
        accepts: "milliseconds, at most `600000`; `0` means `600000`",
        help: "How long an attempt to send spans may take. The shorter of this and the timeout of a request counts.",
        apply: |builder, text| set_export_timeout(builder, SignalKind::Traces, text),
    }
    "OTEL_BSP_MAX_QUEUE_SIZE" => (Some(SignalKind::Traces), "max_queue_len") {
        default: "2048",
        accepts: "a number from `1` to `1000000`",
        help: "How many spans may wait.",
        apply: |builder, text| set_max_queue_len(builder, SignalKind::Traces, text),
    }
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE" => (Some(SignalKind::Traces), "max_batch_len") {
        default: "512",
        accepts: "a number from `1` to the size of the queue",
        help: "How many spans a request has at most.",
        apply: |builder, text| set_max_batch_len(builder, SignalKind::Traces, text),
    }
    "OTEL_BLRP_SCHEDULE_DELAY" => (Some(SignalKind::Logs), "delay") {
        default: "1000",
        accepts: "milliseconds, at most `3600000`",
        help: "The time after which log records are sent even if they do not fill a batch.",
        apply: |builder, text| set_delay(builder, SignalKind::Logs, text),
    }
    "OTEL_BLRP_EXPORT_TIMEOUT" => (Some(SignalKind::Logs), "export_timeout") {
        default: "30000",
        accepts: "milliseconds, at most `600000`; `0` means `600000`",
        help: "How long an attempt to send log records may take. The shorter of this and the timeout of a request counts.",
        apply: |builder, text| set_export_timeout(builder, SignalKind::Logs, text),
    }
    "OTEL_BLRP_MAX_QUEUE_SIZE" => (Some(SignalKind::Logs), "max_queue_len") {
        default: "2048",
        accepts: "a number from `1` to `1000000`",
        help: "How many log records may wait.",
        apply: |builder, text| set_max_queue_len(builder, SignalKind::Logs, text),
    }
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE" => (Some(SignalKind::Logs), "max_batch_len") {
        default: "512",
        accepts: "a number from `1` to the size of the queue",
        help: "How many log records a request has at most.",
        apply: |builder, text| set_max_batch_len(builder, SignalKind::Logs, text),
    }
};

fn set_delay(builder: &mut OtelBuilder, signal: SignalKind, text: &str) -> Result<(), ParseError> {
    let delay = parse_millis(text, 0, 3_600_000)?;
    builder.change_signal(Some(signal), |options| options.delay(delay));
    Ok(())
}

pub(super) fn set_export_timeout(
    builder: &mut OtelBuilder,
    signal: SignalKind,
    text: &str,
) -> Result<(), ParseError> {
    let timeout = parse_millis(text, 0, 600_000)?;
    builder.change_signal(Some(signal), |options| options.export_timeout(timeout));
    Ok(())
}

fn set_max_queue_len(
    builder: &mut OtelBuilder,
    signal: SignalKind,
    text: &str,
) -> Result<(), ParseError> {
    let len = parse_count(text, 1, 1_000_000)?;
    builder.change_signal(Some(signal), |options| options.max_queue_len(len));
    Ok(())
}

fn set_max_batch_len(
    builder: &mut OtelBuilder,
    signal: SignalKind,
    text: &str,
) -> Result<(), ParseError> {
    let len = parse_count(text, 1, 1_000_000)?;
    builder.change_signal(Some(signal), |options| options.max_batch_len(len));
    Ok(())
}
