//! Events by message, by regular expression and by closure.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::Poll,
    thread,
    time::Duration,
};

use crate::failures::failure;
use spanwise_testing::{Capture, capture, matching, when};
use tracing::{Level, error, info, warn};

fn orders() -> Capture {
    let logs = capture();
    info!(target: "shop", order_id = 41, "order 41 created");
    info!(target: "shop", order_id = 42, "order 42 created");
    warn!(target: "shop", "payment is slow");
    logs
}

#[test]
fn each_kind_is_counted_and_found() {
    let logs = orders();
    assert_eq!(logs.count("order 41 created"), 1);
    assert_eq!(logs.count("order"), 0, "a text is the whole message");
    assert_eq!(logs.count(&format!("order {} created", 42)), 1);
    assert_eq!(logs.count(matching("order")), 2);
    assert_eq!(logs.count(matching(r"^order \d+ created$")), 2);
    assert_eq!(logs.count(when(|event| event.level() == Level::WARN)), 1);
    assert!(logs.contains(matching("SLOW|slow")));
    assert!(!logs.contains("slow"));
    assert!(logs.contains(when(|event| event.target() == "shop")));
    logs.one(matching("42")).assert_field("order_id", 42);
    logs.one(when(|event| event.field("order_id").is_none()))
        .assert_level(Level::WARN);
    logs.none(matching("refused"));
    logs.no_errors();
}

#[test]
fn failures_name_the_pattern() {
    let logs = orders();
    let said = failure(|| logs.one(matching("order")));
    assert!(
        said.starts_with("2 events match /order/, expected one\ncaptured 3 events:"),
        "{said}"
    );
    let said = failure(|| logs.none(matching("slow")));
    assert!(
        said.starts_with("1 event matches /slow/, expected none\ncaptured"),
        "{said}"
    );
    let said = failure(|| logs.one(matching("refused")));
    assert!(
        said.starts_with("no event matches /refused/\ncaptured 3 events:"),
        "{said}"
    );
    let line = line!() + 1;
    let said = failure(|| logs.one(when(|event| event.level() == Level::TRACE)));
    let place = format!("no event meets the condition at {}:{line}:", file!());
    assert!(said.starts_with(&place), "{said}");
    let said = failure(|| matching("order ("));
    assert!(
        said.starts_with("\"order (\" is not a valid regular expression: "),
        "{said}"
    );
}

#[test]
fn errors_are_listed_alone() {
    let logs = orders();
    error!(target: "shop", code = 502, "payment failed");
    error!(target: "shop", "mail failed");
    assert_eq!(
        failure(|| logs.no_errors()),
        "2 events at ERROR, expected none:\n    \
         ERROR shop: payment failed code=502\n    ERROR shop: mail failed"
    );
}

#[test]
fn logging_closure_does_not_deadlock() {
    let logs = orders();
    let logs_itself = || {
        when(|event| {
            info!("asked");
            event.message() == "asked"
        })
    };
    assert!(
        !logs.contains(logs_itself()),
        "it looks at what was there before"
    );
    logs.wait_for(logs_itself(), Duration::from_secs(60));
}

#[test]
fn wait_accepts_any_pattern() {
    let logs = capture();
    let handle = logs.handle();
    let worker = thread::spawn(move || {
        let _entered = handle.enter();
        for n in 0..100 {
            info!(n, "step {n}");
        }
    });
    logs.wait_for(matching(r"^step 9\d$"), Duration::from_secs(60));
    let last = when(|event| event.message().ends_with("99"));
    logs.wait_for(last, Duration::from_secs(60));
    worker.join().unwrap();
    let said = failure(|| logs.wait_for(matching("never"), Duration::ZERO));
    assert!(
        said.starts_with("no event matches /never/\ncaptured 100 events:"),
        "{said}"
    );
}

#[tokio::test]
async fn async_wait_lets_other_tasks_run() {
    let logs = capture();
    let task = tokio::spawn(async {
        for n in 0..10 {
            info!("step {n}");
            tokio::task::yield_now().await;
        }
    });
    let guard = Duration::from_secs(60);
    let (last, first) = tokio::join!(
        logs.wait_for_async("step 9", guard),
        logs.wait_for_async(matching("step 0"), guard)
    );
    assert_eq!([first.message(), last.message()], ["step 0", "step 9"]);
    task.await.unwrap();
    // Present events need no waiting.
    logs.wait_for_async("step 5", Duration::ZERO).await;
}

#[tokio::test]
async fn async_wait_sees_events_of_threads() {
    let logs = capture();
    let handle = logs.handle();
    let worker = thread::spawn(move || {
        let _entered = handle.enter();
        info!("from a thread");
    });
    logs.wait_for_async("from a thread", Duration::from_secs(60))
        .await;
    worker.join().unwrap();
}

#[tokio::test]
async fn longest_async_wait_is_valid() {
    let logs = capture();
    let mut wait = Box::pin(logs.wait_for_async("late", Duration::MAX));
    let is_pending = std::future::poll_fn(|cx| Poll::Ready(wait.as_mut().poll(cx).is_pending()));
    assert!(is_pending.await);
    info!("late");
    assert_eq!(wait.await.message(), "late");
}

#[tokio::test]
async fn async_wait_times_out_and_names_its_caller() {
    let logs = orders();
    let line = line!() + 1;
    let arrival = logs.wait_for_async("order 43 created", Duration::from_millis(1));
    let arrival = AssertUnwindSafe(arrival);
    let mut arrival = Box::pin(arrival);
    let said = std::future::poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| arrival.as_mut().poll(cx)));
        match polled {
            Ok(poll) => poll.map(|event| event.message().to_owned()),
            Err(panic) => Poll::Ready(panic.downcast_ref::<String>().unwrap().clone()),
        }
    });
    let said = said.await;
    let start = format!("{}:{line}:", file!());
    assert!(said.starts_with(&start), "{said}");
    assert!(
        said.contains("no event has the message \"order 43 created\"; did you mean"),
        "{said}"
    );
}
