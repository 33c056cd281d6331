//! Nobody reads the pipe: the program runs on, ends in time, and says what it could not write.

use std::{
    process::{Stdio, exit},
    time::Duration,
};

use spanwise::{Builder, InitError, WhenFull};

use crate::{Test, victim};

pub(crate) const TEST: Test = Test {
    name: "stalled_reader",
    run,
    victims: &[("stalled-reader", serve)],
};

const LINES: u64 = 20_000;

/// Logs more than a pipe and the buffer hold.
fn serve() -> Result<(), InitError> {
    let telemetry = Builder::prod().when_full(WhenFull::Shed).init()?;
    for n in 0..LINES {
        tracing::info!(n, padding = "x".repeat(1000), "a line");
    }
    let report = telemetry.shutdown(Duration::from_secs(1));
    let accounted = report.delivered + report.lost == LINES;
    exit(if accounted && report.lost > 0 { 7 } else { 1 })
}

fn run() {
    let mut program = victim("stalled-reader")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Not read, and not closed, until the program has ended.
    let stdout = program.stdout.take();
    let output = program.wait_with_output().unwrap();
    drop(stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{stderr}");
    for told in ["spanwise: shed: stdout: ", "spanwise: lines lost: stdout: "] {
        assert_eq!(stderr.matches(told).count(), 1, "{stderr}");
    }
}
