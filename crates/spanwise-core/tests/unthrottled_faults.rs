//! A fault that must be printed is printed, even if several threads report one at the same time.
//! The test reads the stderr of a process of its own.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

use std::{env, process::Command, sync::Barrier, thread};

use spanwise_core::{Fault, SelfReport};

const THREADS: usize = 8;
const ROUNDS: usize = 50;
const IS_REPORTER: &str = "IS_REPORTER_OF_FAULTS";

#[expect(
    clippy::disallowed_methods,
    reason = "between a test and its runner, not a setting"
)]
#[test]
fn concurrent_unthrottled_faults_are_all_printed() {
    if env::var_os(IS_REPORTER).is_some() {
        return report();
    }
    let output = Command::new(env::current_exe().unwrap())
        .env(IS_REPORTER, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    let printed = stderr
        .lines()
        .filter(|line| line.starts_with("spanwise: lines lost: "));
    assert_eq!(printed.count(), THREADS * ROUNDS, "{stderr}");
    assert!(!stderr.contains("(0 since"), "{stderr}");
}

fn report() {
    let report = SelfReport::new();
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (report, barrier) = (&report, &barrier);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    barrier.wait();
                    let detail = format_args!("{round} of {thread}");
                    report.fault_unthrottled(Fault::Lost, &detail);
                }
            });
        }
    });
}
