//! Callbacks that panic or hang.

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

use super::{collector, hourly, in_time, metric, setup, values};
use crate::metrics::{Metrics, MetricsSetup, Snapshot};

#[test]
fn panicking_callback_costs_only_its_own_values() {
    let collector = collector(&hourly());
    let meter = collector.metrics.meter_provider().meter("test");
    let panics = Arc::new(AtomicBool::new(false));
    let panicking = Arc::clone(&panics);
    let observed = move |value: &dyn opentelemetry::metrics::AsyncInstrument<i64>| {
        value.observe(1, &[]);
        assert!(!panicking.load(Ordering::Relaxed), "planted");
    };
    meter
        .i64_observable_gauge("a")
        .with_callback(observed)
        .build();
    meter
        .i64_observable_gauge("b")
        .with_callback(|value| value.observe(2, &[]))
        .build();
    assert_eq!(values(&collector.exported(), "a"), [1.0]);
    panics.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let exported = collector.exported();
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
    panics.store(false, Ordering::Relaxed);
    let exported = collector.exported();
    assert_eq!(
        (values(&exported, "a"), values(&exported, "c")),
        (vec![1.0], vec![3.0])
    );
}

#[test]
fn hanging_callback_blocks_no_other_thread() {
    let collector = collector(&hourly());
    let meter = collector.metrics.meter_provider().meter("test");
    let (release, hang) = mpsc::channel::<()>();
    let (entered, has_entered) = mpsc::channel();
    let hang = Mutex::new((entered, hang));
    meter
        .i64_observable_gauge("hanging")
        .with_callback(move |_| {
            let hang = hang.lock().unwrap();
            let _ = hang.0.send(());
            // Until the test ends.
            let _ = hang.1.recv();
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
    has_entered.recv_timeout(super::IN_TIME).unwrap();
    // None of this waits until the callback returns.
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
        .shutdown_by(collector.metrics.hurry(), in_time());
    let exported = collector.received.try_iter().last().unwrap();
    assert_eq!(values(&exported, "late"), [7.0]);
    let stats = collector.stats();
    assert!(stats.delivered > 0);
    assert_eq!(stats.lost(), 0);
    // A later text has the values of counters, and does not wait.
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
    let (release, hang) = mpsc::channel::<()>();
    let (entered, has_entered) = mpsc::channel();
    let hang = Mutex::new((entered, hang));
    let hangs = Arc::new(AtomicBool::new(false));
    let is_hanging = Arc::clone(&hangs);
    meter
        .i64_observable_gauge("hanging")
        .with_callback(move |value| {
            value.observe(1, &[]);
            if is_hanging.load(Ordering::Relaxed) {
                let hang = hang.lock().unwrap();
                let _ = hang.0.send(());
                // Until the test ends.
                let _ = hang.1.recv();
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
    hangs.store(true, Ordering::Relaxed);
    metrics.shared.schedule.observe(Instant::now());
    has_entered.recv_timeout(super::IN_TIME).unwrap();
    // Not by a scrape, which would wait for the callback.
    let collected = metrics.shared.readers.text.as_ref().unwrap().collected();
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
    let first = collector.received.recv_timeout(super::IN_TIME).unwrap();
    assert_eq!(values(&first, "counted"), [1.0]);
    counter.add(1, &[]);
    assert_eq!(values(&collector.exported(), "counted"), [2.0]);
}
