//! The message, the place and a backtrace of a panic, on the line of its request; then the hook that was there before.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::Lines;

#[test]
fn with_its_message_its_place_and_its_request() {
    alone!();
    static PREVIOUS: AtomicBool = AtomicBool::new(false);
    std::panic::set_hook(Box::new(|_| PREVIOUS.store(true, Ordering::Relaxed)));

    let lines = Lines::default();
    let _telemetry = spanwise::Builder::prod()
        .with_writer(lines.clone())
        .init()
        .unwrap();
    let worker = std::thread::Builder::new().name("worker".into());
    let panicking = worker.spawn(|| {
        let _request = tracing::info_span!("request", request_id = "r-1").entered();
        panic!("out of {}", "stock");
    });
    assert!(panicking.unwrap().join().is_err());

    let line = lines.with_message("out of stock");
    assert_eq!(
        (&line["level"], &line["target"], &line["request_id"]),
        (&"ERROR".into(), &"panic".into(), &"r-1".into())
    );
    let place = line["panic.location"].as_str().unwrap();
    assert!(place.contains("it/panics.rs:"), "{place}");
    assert_eq!(line["panic.thread"], "worker");
    assert!(
        line["panic.backtrace"]
            .as_str()
            .unwrap()
            .contains("it::panics")
    );
    assert!(PREVIOUS.load(Ordering::Relaxed));
}
