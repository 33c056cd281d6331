//! The only test of this file, because no other capture may exist during the test.

use std::thread;

use spanwise_testing::capture;
use tracing::{info, info_span};

#[test]
fn lone_capture_takes_unclaimed_events() {
    let first = capture();
    let left_over = info_span!("left over");
    drop(first);
    info!("between two captures");

    let logs = capture();
    assert!(logs.events().is_empty());
    let plain = || {
        info!("on a plain thread");
        let span = info_span!("opened on a plain thread");
        span.in_scope(|| info!("in its span"));
        span
    };
    let span = thread::spawn(plain).join().unwrap();
    logs.one("on a plain thread");
    logs.one("in its span")
        .assert_in_span("opened on a plain thread");

    // A span of an ended test does not belong to this capture.
    thread::spawn(move || left_over.in_scope(|| info!("from the past")))
        .join()
        .unwrap();
    logs.none("from the past");

    // The capture is no longer alone. Its span still belongs to it, but a plain thread belongs to
    // no capture.
    let other = thread::spawn(capture).join().unwrap();
    thread::spawn(move || {
        span.in_scope(|| info!("still ours"));
        info!("nobody's");
    })
    .join()
    .unwrap();
    logs.one("still ours");
    logs.none("nobody's");
    assert!(other.events().is_empty());

    // Alone again.
    drop(other);
    thread::spawn(|| info!("ours again")).join().unwrap();
    logs.one("ours again");
}
