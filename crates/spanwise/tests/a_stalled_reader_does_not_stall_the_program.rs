//! Nobody reads the pipe: the program runs on, ends in time, and says what it could not write.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that is its own program"
)]

use std::{
    process::{Command, Stdio},
    time::Duration,
};

const LINES: u64 = 20_000;

fn main() {
    if std::env::args().any(|arg| arg == "--serve") {
        serve();
    } else {
        the_program_ends_in_time_and_every_line_is_accounted_for();
        println!("test result: ok. 1 passed; 0 failed");
    }
}

/// Logs more than a pipe and the buffer hold.
fn serve() {
    let telemetry = spanwise::Builder::prod()
        .when_full(spanwise::WhenFull::Shed)
        .init()
        .unwrap();
    for n in 0..LINES {
        tracing::info!(n, padding = "x".repeat(1000), "a line");
    }
    let report = telemetry.shutdown(Duration::from_secs(1));
    let accounted = report.delivered + report.lost == LINES;
    std::process::exit(if accounted && report.lost > 0 { 7 } else { 1 });
}

fn the_program_ends_in_time_and_every_line_is_accounted_for() {
    let program = Command::new(std::env::current_exe().unwrap())
        .arg("--serve")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut program = program;
    // Not read, and not closed, until the program has ended.
    let stdout = program.stdout.take();
    let output = program.wait_with_output().unwrap();
    drop(stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{stderr}");
    assert_eq!(
        stderr.matches("spanwise: shed: stdout: ").count(),
        1,
        "{stderr}"
    );
    assert_eq!(
        stderr.matches("spanwise: lines lost: stdout: ").count(),
        1,
        "{stderr}"
    );
}
