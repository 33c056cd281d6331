//! Reads the responses of a collector: partial success and errors.

use std::time::Duration;

use crate::wire::{WireValue, fields};

/// The part of an accepted request that the collector refused.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PartialSuccess {
    /// The number of spans, log records or data points.
    pub(crate) rejected: u64,
    pub(crate) message: String,
}

/// An error response: a `google.rpc.Status`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RpcStatus {
    pub(crate) message: String,
    /// The delay before the next attempt, if there is a `google.rpc.RetryInfo`.
    pub(crate) retry_after: Option<Duration>,
}

impl PartialSuccess {
    /// Reads an `ExportTraceServiceResponse`, or the response for another signal, which has the
    /// same field numbers. Returns `None` if the collector accepted everything and sends no
    /// message.
    pub(crate) fn read(response: &[u8]) -> Option<Self> {
        const PARTIAL_SUCCESS: u32 = 1;
        const REJECTED: u32 = 1;
        const MESSAGE: u32 = 2;

        let mut partial = Self::default();
        for partial_success in field_bytes(response, PARTIAL_SUCCESS) {
            for (field, value) in fields(partial_success) {
                match (field, value) {
                    // A negative number is invalid and counts as 0.
                    (REJECTED, WireValue::Uint(rejected)) => {
                        partial.rejected = u64::try_from(rejected as i64).unwrap_or_default();
                    }
                    (MESSAGE, WireValue::Bytes(text)) => partial.message = lossy_text(text),
                    _ => {}
                }
            }
        }
        (partial != Self::default()).then_some(partial)
    }
}

impl RpcStatus {
    pub(crate) fn read(status: &[u8]) -> Self {
        const MESSAGE: u32 = 2;
        const DETAILS: u32 = 3;
        const TYPE: u32 = 1;
        const VALUE: u32 = 2;
        const RETRY_DELAY: u32 = 1;

        let mut read = Self::default();
        if let Some(message) = field_bytes(status, MESSAGE).last() {
            read.message = lossy_text(message);
        }
        for detail in field_bytes(status, DETAILS) {
            let is_retry_info =
                field_bytes(detail, TYPE).any(|name| name.ends_with(b"/google.rpc.RetryInfo"));
            if is_retry_info {
                let values = field_bytes(detail, VALUE);
                let delays = values.flat_map(|value| field_bytes(value, RETRY_DELAY));
                read.retry_after = Some(delays.last().map(read_duration).unwrap_or_default());
            }
        }
        read
    }
}

/// Reads a `google.protobuf.Duration`. Negative numbers count as 0.
fn read_duration(message: &[u8]) -> Duration {
    const SECONDS: u32 = 1;
    const NANOS: u32 = 2;

    let integer = |field_number| {
        let values = fields(message).filter_map(|(field, value)| match value {
            WireValue::Uint(value) if field == field_number => Some(value as i64),
            _ => None,
        });
        values.last().unwrap_or_default()
    };
    let seconds = u64::try_from(integer(SECONDS)).unwrap_or_default();
    let nanos = u32::try_from(integer(NANOS)).unwrap_or_default();
    Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into()))
}

/// Returns the value of each length-delimited field with this number.
fn field_bytes(message: &[u8], field_number: u32) -> impl Iterator<Item = &[u8]> {
    fields(message).filter_map(move |(field, value)| match value {
        WireValue::Bytes(bytes) if field == field_number => Some(bytes),
        _ => None,
    })
}

fn lossy_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::WireWriter as _;

    fn partial(rejected: i64, text: &str) -> Vec<u8> {
        let mut response = Vec::new();
        response.message(1, |partial| {
            if rejected != 0 {
                partial.uint(1, rejected as u64);
            }
            partial.bytes(2, text.as_bytes());
        });
        response
    }

    #[test]
    fn partial_success_has_a_number_and_a_reason() {
        let read =
            |response: &[u8]| PartialSuccess::read(response).map(|it| (it.rejected, it.message));
        assert_eq!(read(&[]), None);
        assert_eq!(read(&partial(0, "")), None);
        assert_eq!(read(&partial(3, "late")), Some((3, "late".to_owned())));
        assert_eq!(read(&partial(-1, "odd")), Some((0, "odd".to_owned())));
        assert_eq!(read(&partial(0, "a hint")), Some((0, "a hint".to_owned())));
        assert_eq!(read(b"{}"), None);
        assert_eq!(read(b"<html>"), None);
    }

    #[test]
    fn status_has_a_message_and_a_delay() {
        let mut status = Vec::new();
        status.uint(1, 8);
        status.bytes(2, b"slow down");
        status.message(3, |any| {
            any.bytes(1, b"type.googleapis.com/google.rpc.RetryInfo");
            any.message(2, |info| {
                info.message(1, |delay| {
                    delay.uint(1, 2);
                    delay.uint(2, 500_000_000);
                });
            });
        });
        let read = RpcStatus::read(&status);
        assert_eq!(read.message, "slow down");
        assert_eq!(read.retry_after, Some(Duration::from_millis(2500)));

        assert_eq!(RpcStatus::read(b"not a status"), RpcStatus::default());
    }
}
