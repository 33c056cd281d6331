//! A forked process has its own queue and sender thread. The tests fork, so they run one at a time.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

#[path = "support/forks.rs"]
mod forks;

use std::{
    process,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use forks::in_child;

use spanwise_core::{
    SelfReport, SinkStats,
    export::{Deliver, Delivery, ExportItem, Exporter, ExporterOptions},
};
use tracing_core::Level;

const IN_TIME: Duration = Duration::from_secs(60);

/// An item with the id of the process that pushed it.
struct Pushed(u32);

impl ExportItem for Pushed {
    fn events(&self) -> u64 {
        1
    }

    fn bytes(&self) -> usize {
        1
    }

    fn level(&self) -> Level {
        Level::INFO
    }
}

/// Locked by the test that runs.
static RUNNING: Mutex<()> = Mutex::new(());
/// Whether the server answers.
static IS_UP: AtomicBool = AtomicBool::new(false);
/// The number of items that this process sent for another process.
static FOREIGN: AtomicU64 = AtomicU64::new(0);

struct Server;

impl Deliver<Pushed> for Server {
    fn deliver(&mut self, item: &Pushed) -> Delivery {
        if !IS_UP.load(Ordering::SeqCst) {
            return Delivery::Failed {
                reason: "away".to_owned(),
                retry_after: None,
            };
        }
        let is_foreign = item.0 != process::id();
        FOREIGN.fetch_add(u64::from(is_foreign), Ordering::SeqCst);
        Delivery::Delivered
    }
}

type TestExporter = Exporter<Pushed, u32>;

fn push(exporter: &TestExporter) {
    exporter.current().queue.push(Pushed(process::id()));
}

fn flush(exporter: &TestExporter) -> bool {
    let deadline = Instant::now() + IN_TIME;
    exporter.current().queue.flush(deadline).is_ok()
}

/// Returns the counts of this process. Asserts that it has sent no item of another process.
fn stats(exporter: &TestExporter) -> SinkStats {
    assert_eq!(FOREIGN.load(Ordering::SeqCst), 0);
    exporter.current().queue.counters().stats()
}

#[test]
fn each_process_sends_its_own_items() {
    let _running = RUNNING.lock().unwrap();
    let mut options = ExporterOptions::new("test", "the test");
    options.report = SelfReport::silent();
    let exporter = TestExporter::new(options, || Box::new(Server), process::id);
    exporter.start(None).unwrap();
    push(&exporter);
    assert!(!flush(&exporter), "the server is away");

    in_child(|| {
        IS_UP.store(true, Ordering::SeqCst);
        assert!(exporter.existing().is_none(), "nothing is used yet");
        assert_eq!(exporter.current().state, process::id());
        assert!(flush(&exporter), "it is empty");
        push(&exporter);
        assert!(flush(&exporter));
        in_child(|| {
            push(&exporter);
            assert!(flush(&exporter));
            assert_eq!(stats(&exporter).delivered, 1);
        });
        let stats = stats(&exporter);
        assert_eq!((stats.delivered, stats.lost()), (1, 0));
        exporter.shutdown_by(Instant::now() + IN_TIME);
    });

    // The item of the parent is still in the queue, and is sent once.
    assert_eq!(stats(&exporter).delivered, 0);
    IS_UP.store(true, Ordering::SeqCst);
    assert!(flush(&exporter));
    assert_eq!(stats(&exporter).delivered, 1);
    exporter.shutdown_by(Instant::now() + IN_TIME);
    in_child(|| {
        push(&exporter);
        let stats = stats(&exporter);
        assert_eq!((stats.delivered, stats.lost_at_shutdown), (0, 1));
    });
    assert_eq!(exporter.current().state, process::id());
}

#[test]
fn first_start_in_a_child_starts_one_thread() {
    let _running = RUNNING.lock().unwrap();
    /// The number of sender threads of this process.
    static THREADS: AtomicU32 = AtomicU32::new(0);
    let new_transport = || -> Box<dyn Deliver<Pushed>> {
        THREADS.fetch_add(1, Ordering::SeqCst);
        Box::new(Server)
    };
    let mut options = ExporterOptions::new("test", "the test");
    options.report = SelfReport::silent();
    let exporter = TestExporter::new(options, new_transport, process::id);
    in_child(|| {
        IS_UP.store(true, Ordering::SeqCst);
        exporter.start(None).unwrap();
        assert_eq!(exporter.current().state, process::id());
        push(&exporter);
        assert!(flush(&exporter));
        assert_eq!(stats(&exporter).delivered, 1);
        assert_eq!(THREADS.load(Ordering::SeqCst), 1);
        in_child(|| {
            push(&exporter);
            assert!(flush(&exporter));
            assert_eq!(THREADS.load(Ordering::SeqCst), 2, "one per process");
        });
    });
}
