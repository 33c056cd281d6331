//! Callbacks that panic or hang, and collections at a flush or the shutdown.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use opentelemetry::metrics::MeterProvider as _;

use spanwise_core::SelfReport;

use super::{collector, hourly, metric, setup, test_deadline, values};
use crate::metrics::{Metrics, MetricsSetup, Snapshot};

#[test]
fn panicking_callback_costs_only_its_own_values() {
    let collector = collector(&hourly());
    let meter = collector.metrics.meter_provider().meter("test");
    let panics_now = Arc::new(AtomicBool::new(false));
    let should_panic = Arc::clone(&panics_now);
    let callback = move |value: &dyn opentelemetry::metrics::AsyncInstrument<i64>| {
        value.observe(1, &[]);
        assert!(!should_panic.load(Ordering::Relaxed), "planted");
    };
    meter
        .i64_observable_gauge("a")
        .with_callback(callback)
        .build();
    meter
        .i64_observable_gauge("b")
        .with_callback(|value| value.observe(2, &[]))
        .build();
    assert_eq!(values(&collector.export_now(), "a"), [1.0]);
    panics_now.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let exported = collector.export_now();
        assert!(metric(&exported, "a").is_none());
        assert_eq!(values(&exported, "b"), [2.0]);
    }
    let faults = collector.report.stats().faults;
    assert_eq!(
        faults.iter().map(|(_, count)| count).sum::<u64>(),
        1,
        "{faults:?}"
    );
    // Instruments can still be created.
    meter.u64_counter("c").build().add(3, &[]);
    panics_now.store(false, Ordering::Relaxed);
    let exported = collector.export_now();
    assert_eq!(
        (values(&exported, "a"), values(&exported, "c")),
        (vec![1.0], vec![3.0])
    );
}

#[test]
fn hanging_callback_blocks_no_other_thread() {
    let collector = collector(&hourly());
    let meter = collector.metrics.meter_provider().meter("test");
    let (release, released) = mpsc::channel::<()>();
    let (entered, has_entered) = mpsc::channel();
    let channels = Mutex::new((entered, released));
    meter
        .i64_observable_gauge("hanging")
        .with_callback(move |_| {
            let channels = channels.lock().unwrap();
            let (entered, released) = &*channels;
            let _ = entered.send(());
            // Hang until the test drops `release`.
            let _ = released.recv();
        })
        .build();
    assert!(
        collector
            .metrics
            .flush_by(
                collector.metrics.hurry(),
                Instant::now() + Duration::from_millis(1)
            )
            .is_err()
    );
    has_entered.recv_timeout(super::TEST_TIMEOUT).unwrap();
    // None of these calls waits until the callback returns.
    let counter = meter.u64_counter("counted").build();
    counter.add(1, &[]);
    meter
        .i64_observable_gauge("late")
        .with_callback(|value| value.observe(1, &[]))
        .build();
    let (_, text) = collector.metrics.text(None);
    assert!(text.contains("\ncounted_total 1\n"), "{text}");
    collector
        .metrics
        .shutdown_by(None, Instant::now() + Duration::from_millis(1));
    drop(release);
}

#[test]
fn shutdown_collects_once_more() {
    let collector = collector(&hourly());
    let meter = collector.metrics.meter_provider().meter("test");
    meter.u64_counter("late").build().add(7, &[]);
    collector
        .metrics
        .shutdown_by(collector.metrics.hurry(), test_deadline());
    let exported = collector.received.try_iter().last().unwrap();
    assert_eq!(values(&exported, "late"), [7.0]);
    let stats = collector.stats();
    assert!(stats.delivered > 0);
    assert_eq!(stats.lost(), 0);
    // A text after the shutdown still has the values of counters.
    meter.u64_counter("late").build().add(1, &[]);
    assert!(collector.metrics.text(None).1.contains("\nlate_total 8\n"));
}

#[test]
fn values_behind_a_hanging_callback_expire() {
    let setup = MetricsSetup {
        observation_timeout: Duration::ZERO,
        ..setup(&SelfReport::silent())
    };
    let metrics = Metrics::start(&hourly().text(), setup).unwrap();
    let meter = metrics.meter_provider().meter("test");
    let (release, released) = mpsc::channel::<()>();
    let (entered, has_entered) = mpsc::channel();
    let channels = Mutex::new((entered, released));
    let hangs_now = Arc::new(AtomicBool::new(false));
    let should_hang = Arc::clone(&hangs_now);
    meter
        .i64_observable_gauge("hanging")
        .with_callback(move |value| {
            value.observe(1, &[]);
            if should_hang.load(Ordering::Relaxed) {
                let channels = channels.lock().unwrap();
                let (entered, released) = &*channels;
                let _ = entered.send(());
                // Hang until the test drops `release`.
                let _ = released.recv();
            }
        })
        .build();
    meter
        .i64_observable_gauge("behind")
        .with_callback(|value| value.observe(2, &[]))
        .build();
    let (_, text) = metrics.text(None);
    assert!(
        text.contains("\nhanging 1\n") && text.contains("\nbehind 2\n"),
        "{text}"
    );
    hangs_now.store(true, Ordering::Relaxed);
    metrics.shared.schedule.observe(Instant::now());
    has_entered.recv_timeout(super::TEST_TIMEOUT).unwrap();
    // Collect without a scrape, which would wait for the callback.
    let collected = metrics.shared.readers.text.as_ref().unwrap().collect_all();
    let snapshot = Snapshot::new(&collected, None);
    let has_values = |name: &str| {
        let mut metrics = snapshot.metrics();
        metrics.any(|metric| metric.name == name && metric.points.len() > 0)
    };
    assert!(
        !has_values("hanging") && !has_values("behind"),
        "{snapshot:?}"
    );
    drop(release);
}

#[test]
fn flush_does_not_reuse_the_export_of_another_caller() {
    let collector = collector(&hourly());
    let meter = collector.metrics.meter_provider().meter("test");
    let counter = meter.u64_counter("counted").build();
    counter.add(1, &[]);
    collector.metrics.hurry();
    let first = collector
        .received
        .recv_timeout(super::TEST_TIMEOUT)
        .unwrap();
    assert_eq!(values(&first, "counted"), [1.0]);
    counter.add(1, &[]);
    assert_eq!(values(&collector.export_now(), "counted"), [2.0]);
}
