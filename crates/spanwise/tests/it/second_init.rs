//! A second start fails, and does not change the first one.

use crate::support::Lines;
use spanwise::{Builder, InitError, Preset};

#[test]
fn second_init_is_an_error() {
    alone!();
    let (first, second) = (Lines::default(), Lines::default());
    let telemetry = Builder::new(Preset::Prod)
        .with_writer(first.clone())
        .init()
        .unwrap();
    let again = Builder::new(Preset::Prod)
        .with_writer(second.clone())
        .init();
    let error = again.err().unwrap();
    assert_eq!(error, InitError::AlreadyInitialized);
    // The error also names the remedy for tests with a capture.
    let way_out = "in a test before the first `spanwise_testing::capture()`";
    assert!(error.to_string().ends_with(way_out), "{error}");
    tracing::info!("still here");
    assert_eq!((first.text().lines().count(), second.text().len()), (1, 0));
    let report = telemetry.shutdown(std::time::Duration::from_secs(1));
    assert_eq!((report.delivered, report.lost), (1, 0));
    tracing::info!("after the shutdown");
    assert_eq!(first.text().lines().count(), 2);
}

#[test]
fn scoped_subscribers_do_not_stop_the_start() {
    alone!();
    let scoped = || tracing::subscriber::set_default(tracing_subscriber::registry());
    std::thread::spawn(move || drop(scoped())).join().unwrap();
    let _outer = scoped();

    let lines = Lines::default();
    let telemetry = Builder::new(Preset::Prod)
        .with_writer(lines.clone())
        .init()
        .unwrap();
    let logged = std::thread::spawn(|| tracing::info!("from a thread without one"));
    logged.join().unwrap();
    drop(telemetry);
    lines.with_message("from a thread without one");
}
