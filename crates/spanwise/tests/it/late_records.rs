//! If a field of a span is recorded many times, the last value is kept, and memory does not grow.

use tracing::{field::Empty, info, info_span};

use crate::support::live_bytes;

#[test]
fn repeated_records_keep_memory_flat() {
    alone!();
    let (json, _, _telemetry) = crate::support::install();
    let span = info_span!("loop", progress = Empty, request_id = Empty, text = Empty);
    let _entered = span.enter();
    let record = |from: u32, to: u32| {
        for n in from..to {
            span.record("progress", n);
            if n % 10 == 0 {
                span.record("request_id", n)
                    .record("text", "some text of a certain length");
            }
        }
    };
    record(0, 1_000);
    let before = live_bytes();
    record(1_000, 100_000);
    let grown = live_bytes() - before;
    assert!(grown < 4_096, "{grown} bytes more after so many records");

    info!("done");
    let line = json.with_message("done");
    assert_eq!(
        (line["progress"].as_u64(), line["request_id"].as_u64()),
        (Some(99_999), Some(99_990))
    );
    assert!(json.text().len() < 1_000);
}
