//! A reader that goes away: the program runs on, counts what is lost, and says so once on stderr.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that is its own program"
)]

use std::process::{Command, Stdio};

fn main() {
    if std::env::args().any(|arg| arg == "--serve") {
        serve();
    } else {
        lines_are_counted_as_lost_and_the_program_ends_by_itself();
        println!("test result: ok. 1 passed; 0 failed");
    }
}

/// Logs until the pipe says that nobody reads.
fn serve() {
    let telemetry = spanwise::Builder::prod().init().unwrap();
    for n in 0.. {
        tracing::info!(n, "a line");
        if telemetry.handle().stats().sinks[0].write_failed >= 100 {
            break;
        }
    }
    let report = telemetry.shutdown(std::time::Duration::from_secs(1));
    std::process::exit(if report.lost >= 100 { 7 } else { 1 });
}

fn lines_are_counted_as_lost_and_the_program_ends_by_itself() {
    let mut program = Command::new(std::env::current_exe().unwrap())
        .arg("--serve")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(program.stdout.take());
    let output = program.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{stderr}");
    assert_eq!(
        stderr.matches("spanwise: write failed: stdout: ").count(),
        1,
        "{stderr}"
    );
}
