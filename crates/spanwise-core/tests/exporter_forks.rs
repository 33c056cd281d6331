//! A forked process has its own queue and sender thread. The test forks, so it is the only one in
//! its process.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

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

/// Runs `child` in a forked process. Panics if `child` panics.
fn in_child(child: impl FnOnce()) {
    // SAFETY: the child process runs only `child`, whose code works after a fork, and ends.
    #[expect(unsafe_code, reason = "nothing safe forks")]
    unsafe {
        match libc::fork() {
            0 => {
                // A child that hangs ends, with a status that is not 0.
                libc::alarm(60);
                let failed = catch_unwind(AssertUnwindSafe(child)).is_err();
                libc::_exit(failed.into());
            }
            pid => {
                let mut status = -1;
                assert_eq!(libc::waitpid(pid, &mut status, 0), pid);
                assert_eq!(status, 0, "the child failed");
            }
        }
    }
}

#[test]
fn each_process_sends_its_own_items() {
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
