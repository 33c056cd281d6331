//! A failing test prints the captured events, in the output that its harness shows.

use std::{env, process::Command};

use spanwise_testing::capture;
use tracing::{Instrument as _, info, info_span};

/// Names the test that fails in this process.
const FAILS: &str = "SPANWISE_TESTING_FAILS";

/// Runs `body`, which fails, as the test `name` in a separate process. Returns the harness's
/// output.
#[expect(
    clippy::disallowed_methods,
    reason = "between a test and itself, not a setting"
)]
#[expect(
    clippy::expect_used,
    reason = "a helper of tests may fail as a test does"
)]
fn output_of(name: &str, body: fn()) -> String {
    if env::var(FAILS).is_ok_and(|fails| fails == name) {
        body();
    }
    let output = Command::new(env::current_exe().expect("this program"))
        .args([&format!("printed::{name}"), "--exact"])
        .env(FAILS, name)
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(101), "{name} fails");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        !stderr.contains("captured"),
        "the harness keeps it: {stderr}"
    );
    String::from_utf8(output.stdout).expect("text")
}

const LINE: &str = "INFO request{tenant_id=\"acme\"}: shop: order created order_id=42";

fn log_an_order() {
    info_span!("request", tenant_id = "acme")
        .in_scope(|| info!(target: "shop", order_id = 42, "order created"));
}

#[test]
fn events_of_a_failing_test_are_printed() {
    let output = output_of("events_of_a_failing_test_are_printed", || {
        let _logs = capture();
        log_an_order();
        panic!("for a reason of its own");
    });
    let list = format!("captured 1 event:\n    {LINE}\n");
    assert_eq!(output.matches(&list).count(), 1, "{output}");
}

#[test]
fn events_listed_by_an_assertion_print_once() {
    let output = output_of("events_listed_by_an_assertion_print_once", || {
        let logs = capture();
        log_an_order();
        logs.one("order refused");
    });
    assert_eq!(output.matches(LINE).count(), 1, "{output}");
}

#[test]
fn single_event_assertion_prints_the_list() {
    let output = output_of("single_event_assertion_prints_the_list", || {
        let logs = capture();
        log_an_order();
        info!("more");
        logs.one("order created").assert_field("order_id", 43);
    });
    assert!(output.contains("captured 2 events:"), "{output}");
}

#[test]
fn found_secret_is_not_printed() {
    let output = output_of("found_secret_is_not_printed", || {
        let logs = capture();
        info!(card = "4111111111111111", "paid");
        logs.assert_never_logged("4111111111111111");
    });
    assert!(output.contains("captured 1 event:"), "{output}");
    assert!(output.contains("card=\"[4111…]\""), "{output}");
    assert!(!output.contains("4111111111111111"), "{output}");
}

#[test]
fn failing_test_on_a_runtime_prints_the_list() {
    let output = output_of("failing_test_on_a_runtime_prints_the_list", || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let _logs = capture();
            let task = async { log_an_order() };
            tokio::spawn(task.instrument(info_span!("test")))
                .await
                .unwrap();
            panic!("for a reason of its own");
        });
    });
    assert!(
        output.contains("shop: order created order_id=42"),
        "{output}"
    );
}
