//! Each forked process sends its own events, and waits for no other process.

#![cfg(unix)]

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use spanwise_core::{Flush as _, SinkControl as _};
use tracing::error;
use tracing_subscriber::prelude::*;

use crate::support::{ACCEPT, Behaviour, Receiver, alone, builder};

const IN_TIME: Duration = Duration::from_secs(60);

fn fail(what: &str) {
    error!("failed {what}");
}

#[test]
fn child_sends_its_own_events() {
    if alone("forks::child_sends_its_own_events") {
        return;
    }
    let receiver = Receiver::behaving(Behaviour::Answer(503, &[]));
    let logs = "warn".parse::<spanwise_core::TargetLevels>().unwrap();
    let (layer, guard) = builder(&receiver).logs(logs).build().unwrap();
    tracing_subscriber::registry().with(layer).init();
    let sentry = guard.sentry();
    // An event that waits for the server, a repetition, and logs that wait in their batch.
    fail("in the parent");
    fail("in the parent");
    receiver.wait_for(1);
    assert_eq!(sentry.stats().repeated, 1);
    receiver.behave(ACCEPT);

    in_child(|| {
        let stats = sentry.stats();
        let sent = stats.sent.delivered + stats.sent.lost();
        assert_eq!((stats.repeated, sent), (0, 0), "{stats:?}");
        // The child has nothing to wait for.
        sentry.flush_by(Instant::now() + IN_TIME).unwrap();
        fail("in the child");
        fail("in the child");
        sentry.flush_by(Instant::now() + IN_TIME).unwrap();
        in_child(|| {
            fail("in the grandchild");
            sentry.flush_by(Instant::now() + IN_TIME).unwrap();
            assert_eq!(sentry.stats().sent.delivered, 1 + 1);
        });
        // The event, the report on the second, and a batch of two logs.
        let stats = sentry.stats();
        assert_eq!(
            (stats.sent.delivered, stats.sent.lost()),
            (1 + 1 + 2, 0),
            "{stats:?}"
        );
        sentry.shutdown_by(Instant::now() + IN_TIME);
        fail("after the end");
        assert!(sentry.stats().sent.lost_at_shutdown >= 1);
    });

    let stats = guard.shutdown(IN_TIME);
    assert_eq!(
        (stats.sent.delivered, stats.sent.lost()),
        (1 + 1 + 2, 0),
        "{stats:?}"
    );
    let events = receiver.events();
    let ids: HashSet<_> = events
        .iter()
        .map(|event| event["event_id"].to_string())
        .collect();
    // The parent and the child each send an event and a report, and the grandchild sends an event.
    assert_eq!(ids.len(), 2 + 2 + 1);
    for what in ["in the parent", "in the child", "in the grandchild"] {
        let message = format!("failed {what}");
        assert!(
            events.iter().any(|event| event["message"] == *message),
            "{what}"
        );
    }
}

#[test]
fn child_after_shutdown_sends_nothing() {
    if alone("forks::child_after_shutdown_sends_nothing") {
        return;
    }
    let receiver = Receiver::start();
    let (layer, guard) = builder(&receiver).build().unwrap();
    tracing_subscriber::registry().with(layer).init();
    let sentry = guard.sentry();
    guard.shutdown(IN_TIME);
    in_child(|| {
        fail("after the end");
        let stats = sentry.stats();
        assert_eq!((stats.sent.delivered, stats.sent.lost_at_shutdown), (0, 1));
    });
    assert!(receiver.bodies().is_empty());
}

/// Another thread may hold a lock at the fork.
#[test]
fn fork_while_another_thread_logs_does_not_hang() {
    if alone("forks::fork_while_another_thread_logs_does_not_hang") {
        return;
    }
    let receiver = Receiver::start();
    let (layer, guard) = builder(&receiver).build().unwrap();
    tracing_subscriber::registry().with(layer).init();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                tracing::info!(number, "busy");
                number += 1;
            }
        });
        for _ in 0..20 {
            in_child(|| {
                for number in 0..50 {
                    tracing::info!(number, "a breadcrumb");
                }
            });
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    guard.shutdown(IN_TIME);
}

#[expect(unsafe_code, reason = "nothing safe forks")]
fn in_child(work: impl FnOnce()) {
    // SAFETY: the child runs `work` and exits. The code under test supports forked children of
    // processes with threads.
    unsafe {
        match libc::fork() {
            -1 => panic!("cannot fork"),
            0 => {
                // A child that hangs ends, with a status that is not 0.
                libc::alarm(60);
                let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
                libc::_exit(i32::from(worked.is_err()));
            }
            child => {
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
                assert_eq!(status, 0, "the child failed");
            }
        }
    }
}
