//! Routing. These tests run in parallel in one process, so each test logs during the others.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests may fail as a test does"
)]

use std::{
    sync::{Arc, Barrier, mpsc},
    thread,
    time::Duration,
};

use spanwise_testing::{Capture, Event, capture};
use tracing::{Instrument as _, Span, info, info_span};

const TIMEOUT: Duration = Duration::from_secs(20);

fn messages(logs: &Capture) -> Vec<String> {
    let message = |event: &Event| event.message().to_owned();
    logs.events().iter().map(message).collect()
}

#[test]
fn captures_on_many_threads_do_not_mix() {
    let together = Arc::new(Barrier::new(8));
    let run = |test: u64| {
        let together = Arc::clone(&together);
        thread::spawn(move || {
            let logs = capture();
            together.wait();
            for round in 0..200_u64 {
                // One callsite for all threads, because its interest is cached per process.
                info!(test, round, "counted");
            }
            together.wait();
            let events = logs.events();
            assert_eq!(events.len(), 200);
            for (round, event) in events.iter().enumerate() {
                event
                    .assert_field("test", test)
                    .assert_field("round", round);
            }
        })
    };
    let threads: Vec<_> = (0..8).map(run).collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

#[test]
fn span_carries_the_capture_to_another_thread() {
    let logs = capture();
    let _other_test = start_another_capture();
    let work = info_span!("work");
    thread::spawn(move || {
        let _entered = work.entered();
        info!("directly inside");
        info_span!("deeper").in_scope(|| info!("in a child"));
        info_span!(parent: None, "detached").in_scope(|| info!("in a root span opened inside"));
        info!(parent: None, "at the root");
    })
    .join()
    .unwrap();

    assert_eq!(
        messages(&logs),
        [
            "directly inside",
            "in a child",
            "in a root span opened inside",
            "at the root"
        ]
    );
    logs.one("in a child").assert_in_span("work");
    let names: Vec<_> = logs.spans().iter().map(|span| span.name()).collect();
    assert_eq!(names, ["work", "deeper", "detached"]);
}

#[test]
fn explicit_parent_outranks_the_thread() {
    let logs = capture();
    let ours = info_span!("ours", tenant_id = "acme");
    let theirs = thread::spawn(move || {
        let logs = capture();
        info!(parent: &ours, "for the parent");
        let child = info_span!(parent: &ours, "child");
        info!(parent: child.id(), "for the child");
        info!("for the thread");
        messages(&logs)
    });

    assert_eq!(theirs.join().unwrap(), ["for the thread"]);
    assert_eq!(messages(&logs), ["for the parent", "for the child"]);
    logs.one("for the child")
        .assert_in_span("ours")
        .assert_context("tenant_id", "acme");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_carry_the_capture_across_await_points() {
    let logs = capture();
    let tasks = (0..50_u64).map(|task| {
        let span = info_span!("task", task);
        tokio::spawn(
            async move {
                for _ in 0..4 {
                    tokio::task::yield_now().await;
                    info!(task, "resumed");
                }
            }
            .instrument(span),
        )
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }

    let events = logs.events();
    assert_eq!(events.len(), 200);
    for event in &events {
        let around = event.spans()[0].field("task").cloned();
        event.assert_field("task", around.expect("each task has a number"));
    }
}

#[test]
fn two_runtimes_of_two_tests_do_not_mix() {
    let run = |tenant: &'static str| {
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .build()
                .unwrap();
            let logs = capture();
            runtime.block_on(async {
                let handle = |id: u64| {
                    let request = info_span!("request", tenant_id = tenant, id);
                    tokio::spawn(async { info!("handled") }.instrument(request))
                };
                for task in (0..100).map(handle).collect::<Vec<_>>() {
                    task.await.unwrap();
                }
            });
            assert_eq!(logs.events().len(), 100);
            for event in logs.events() {
                event.assert_context("tenant_id", tenant);
            }
        })
    };
    let threads = ["acme", "globex"].map(run);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

#[test]
fn handle_adopts_a_thread_until_guard_drops() {
    let logs = capture();
    let _other_test = start_another_capture();
    let handle = logs.handle();
    thread::spawn(move || {
        let entered = handle.enter();
        info!("adopted");
        drop(entered);
        info!("released");
    })
    .join()
    .unwrap();

    assert_eq!(messages(&logs), ["adopted"]);
}

#[test]
fn wait_for_sees_another_thread() {
    let logs = capture();
    let (start, started) = mpsc::channel();
    let worker = info_span!("worker");
    let thread = thread::spawn(move || {
        started.recv().unwrap();
        worker.in_scope(|| info!(jobs = 3, "done"));
    });
    logs.none("done");
    start.send(()).unwrap();

    logs.wait_for("done", TIMEOUT).assert_field("jobs", 3);
    // The event has arrived, so the test need not wait.
    logs.wait_for("done", Duration::ZERO);
    thread.join().unwrap();
}

#[test]
fn latest_capture_of_a_thread_takes_its_events() {
    let outer = capture();
    info!("one");
    let inner = capture();
    info!("two");
    assert_eq!(messages(&inner), ["two"]);
    drop(inner);
    info!("three");
    assert_eq!(messages(&outer), ["one", "three"]);
}

#[test]
fn capture_may_end_on_another_thread() {
    let logs = capture();
    thread::spawn(move || drop(logs)).join().unwrap();
    let logs = capture();
    info!("anew");
    assert_eq!(messages(&logs), ["anew"]);
}

#[test]
fn span_of_ended_capture_follows_the_thread() {
    let first = capture();
    let shared = info_span!("shared");
    drop(first);
    let second = capture();
    shared.in_scope(|| info!("reused"));
    second.one("reused").assert_in_span("shared");
}

#[test]
fn task_outliving_its_test_stays_out_of_the_next() {
    let first = capture();
    let straggler = info_span!("straggler");
    drop(first);
    let second = capture();
    thread::spawn(move || straggler.in_scope(|| info!("too late")))
        .join()
        .unwrap();
    second.none("too late");
}

#[test]
fn later_events_see_late_records() {
    let logs = capture();
    let request = info_span!("request", user_id = tracing::field::Empty, attempt = 1);
    let _entered = request.enter();
    info!("before");
    request.record("user_id", "u-7");
    Span::current().record("attempt", 2);
    info!("after");

    let before = logs.one("before");
    assert_eq!(before.spans()[0].field("user_id"), None);
    before.spans()[0].assert_field("attempt", 1);
    logs.one("after").assert_context("user_id", "u-7").spans()[0]
        .assert_field("user_id", "u-7")
        .assert_field("attempt", 2);
    logs.one_span("request").assert_field("user_id", "u-7");
}

#[test]
fn open_and_closed_spans_are_listed() {
    let logs = capture();
    drop(info_span!("closed", id = 1));
    let _open = info_span!("open", id = 2);
    logs.one_span("closed").assert_field("id", 1);
    logs.one_span("open").assert_field("id", 2);
}

/// Starts a capture on another thread, so that the capture of the test is not the only one.
fn start_another_capture() -> Capture {
    thread::spawn(capture).join().unwrap()
}
