//! One test in this file: no other capture may live meanwhile.

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

    // The rest of an ended test is known not to be ours.
    thread::spawn(move || left_over.in_scope(|| info!("from the past")))
        .join()
        .unwrap();
    logs.none("from the past");

    // No longer alone: the span stays ours, a plain thread belongs to no capture.
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
