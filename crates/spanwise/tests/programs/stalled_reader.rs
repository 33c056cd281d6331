//! Nobody reads the pipe. The program continues, ends in time, and reports the lines that it could
//! not write.

use std::{
    io::{self, BufRead as _, BufReader},
    panic::catch_unwind,
    process::{Stdio, exit},
    thread,
    time::Duration,
};

use spanwise::{Builder, InitError, Preset, file::WhenFull};
use spanwise_core::Fault;

use crate::{Test, victim};

pub(crate) const TEST: Test = Test {
    name: "stalled_reader",
    run,
    victims: &[
        ("stalled-reader", serve),
        ("stalled-reader-panic", panic_twice),
    ],
};

const LINES: u64 = 20_000;

/// Logs more than the pipe and the buffer can hold.
fn serve() -> Result<(), InitError> {
    let telemetry = Builder::new(Preset::Prod)
        .when_full(WhenFull::Shed)
        .init()?;
    for n in 0..LINES {
        tracing::info!(n, padding = "x".repeat(1000), "a line");
    }
    let report = telemetry.shutdown(Duration::from_secs(1));
    let accounted = report.delivered + report.lost == LINES;
    exit(if accounted && report.lost > 0 { 7 } else { 1 })
}

/// Panics once without a reader, and once with a reader.
fn panic_twice() -> Result<(), InitError> {
    let telemetry = Builder::new(Preset::Prod).init()?;
    let handle = telemetry.handle();
    let panic = || assert!(catch_unwind(|| panic!("out of stock")).is_err());
    let in_vain = || {
        let faults = handle.stats().faults.into_iter();
        let in_vain = faults.filter(|(fault, _)| *fault == Fault::FlushFailed);
        in_vain.map(|(_, count)| count).sum::<u64>()
    };
    // More than a pipe holds.
    for n in 0..1_000 {
        tracing::info!(n, padding = "x".repeat(1000), "a line");
    }
    panic();
    assert_eq!(in_vain(), 1);
    // The other side reads from now on.
    eprintln!("stalled");
    assert!(handle.flush(Duration::from_secs(60)));
    // A loaded machine may be too slow for some panics.
    let is_waited_for = (0..10).any(|_| {
        let before = in_vain();
        panic();
        in_vain() == before
    });
    exit(if is_waited_for { 7 } else { 1 })
}

fn run() {
    unread_lines_are_reported();
    panic_after_a_stalled_one_is_waited_for();
}

fn panic_after_a_stalled_one_is_waited_for() {
    let mut program = victim("stalled-reader-panic")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(program.stderr.take().unwrap()).lines();
    let mut told = Vec::new();
    for line in stderr.by_ref() {
        told.push(line.unwrap());
        if told.last().is_some_and(|line| line == "stalled") {
            break;
        }
    }
    let mut stdout = program.stdout.take().unwrap();
    let reader = thread::spawn(move || io::copy(&mut stdout, &mut io::sink()));
    told.extend(stderr.map(Result::unwrap));
    assert_eq!(program.wait().unwrap().code(), Some(7), "{told:#?}");
    reader.join().unwrap().unwrap();
}

fn unread_lines_are_reported() {
    let mut program = victim("stalled-reader")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The test neither reads nor closes the pipe before the program has ended.
    let stdout = program.stdout.take();
    let output = program.wait_with_output().unwrap();
    drop(stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{stderr}");
    for told in ["spanwise: shed: stdout: ", "spanwise: lines lost: stdout: "] {
        assert_eq!(stderr.matches(told).count(), 1, "{stderr}");
    }
}
