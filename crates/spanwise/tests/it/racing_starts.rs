//! Several threads start logging at the same time.

use std::{
    sync::{Arc, Barrier},
    thread,
};

use spanwise::{Builder, InitError, Output, Preset};

#[test]
fn one_of_many_racing_starts_wins() {
    alone!();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.log");
    let barrier = Arc::new(Barrier::new(8));
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let (path, barrier) = (path.clone(), Arc::clone(&barrier));
            thread::spawn(move || {
                let builder = Builder::new(Preset::Prod).output(Output::None).file(path);
                barrier.wait();
                builder.init()
            })
        })
        .collect();
    let outcomes: Vec<_> = starts
        .into_iter()
        .map(|start| start.join().unwrap())
        .collect();
    let errors: Vec<_> = outcomes
        .iter()
        .filter_map(|start| start.as_ref().err())
        .collect();
    assert_eq!(errors, [&InitError::AlreadyInitialized; 7]);
}

/// After a failed start, the next start may succeed.
#[test]
fn wrong_start_is_followed_by_a_right_one() {
    alone!();
    let wrong = Builder::new(Preset::Prod).file("/dev/null/shop.log").init();
    assert!(matches!(wrong, Err(InitError::Settings(_))), "{wrong:?}");
    let lines = crate::support::Lines::default();
    let _telemetry = Builder::new(Preset::Prod)
        .with_writer(lines.clone())
        .init()
        .unwrap();
    tracing::info!("started");
    lines.with_message("started");
}

/// Code that a start calls may also start logging. The inner start returns an error instead of a
/// deadlock.
#[test]
fn start_inside_a_start_is_an_error() {
    alone!();
    struct Starts;
    impl tracing_subscriber::Layer<tracing_subscriber::Registry> for Starts {
        fn on_register_dispatch(&self, _: &tracing::Dispatch) {
            let inner = Builder::new(Preset::Test).init();
            assert_eq!(inner.err(), Some(InitError::AlreadyInitialized));
        }
    }
    let _telemetry = Builder::new(Preset::Test).layer(Starts).init().unwrap();
}
