//! The server accepts the connection and never responds. The shutdown ends by its deadline, and the
//! report counts the lost events.

use std::time::{Duration, Instant};

use crate::receiver::{Behaviour, Receiver};
use crate::support::Lines;
use spanwise::{Builder, Preset};

#[test]
fn unreachable_sentry_does_not_delay_lines() {
    alone!();
    let receiver = Receiver::behaving(Behaviour::Hang);
    let lines = Lines::default();
    let telemetry = Builder::new(Preset::Prod)
        .with_writer(lines.clone())
        .sentry_dsn(receiver.dsn())
        .sentry(|sentry| sentry.timeout(Duration::from_secs(3600)))
        .init()
        .unwrap();
    for number in 0..10 {
        tracing::error!(number, "failed {number}");
    }
    receiver.wait_for(1);
    // A panic does not wait for the server either.
    let began = Instant::now();
    let panicking = std::thread::spawn(|| panic!("out of stock"));
    assert!(panicking.join().is_err());
    let handle = telemetry.handle();
    let report = telemetry.shutdown(Duration::from_millis(200));
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!((report.delivered, report.lost), (11, 11));
    let sink = handle
        .stats()
        .sinks
        .into_iter()
        .find(|sink| sink.name == "sentry")
        .unwrap();
    assert_eq!(sink.lost_at_shutdown, 11);
    assert_eq!(lines.objects().len(), 11);
}
