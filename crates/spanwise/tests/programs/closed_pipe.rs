//! The reader closes the pipe. The program continues, counts the lost lines, and reports them once
//! on stderr.

use std::{
    process::{Stdio, exit},
    time::Duration,
};

use spanwise::{Builder, InitError, Preset};

use crate::{Test, victim};

pub(crate) const TEST: Test = Test {
    name: "closed_pipe",
    run,
    victims: &[("closed-pipe", serve)],
};

/// Logs until the pipe is closed.
fn serve() -> Result<(), InitError> {
    let telemetry = Builder::new(Preset::Prod).init()?;
    for n in 0.. {
        tracing::info!(n, "a line");
        if telemetry.handle().stats().sinks[0].write_failed >= 100 {
            break;
        }
    }
    let report = telemetry.shutdown(Duration::from_secs(1));
    exit(if report.lost >= 100 { 7 } else { 1 })
}

fn run() {
    let mut program = victim("closed-pipe")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(program.stdout.take());
    let output = program.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{stderr}");
    let told = stderr.matches("spanwise: write failed: stdout: ").count();
    assert_eq!(told, 1, "{stderr}");
}
