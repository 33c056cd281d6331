//! Outputs still write after the guard was dropped. They write whole lines to a non-blocking pipe.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test ends where something is wrong"
)]

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use rustix::fs::OFlags;

/// Runs this test again in a separate process with these variables. Returns the lines that it logs
/// to stderr.
fn stderr_of(test: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env("PART_OF_A_TEST", "1")
        .env("LOG_OUTPUT", "stderr")
        .env("LOG_FORMAT", "json")
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let stderr = process.stderr.take().unwrap();
    let lines = BufReader::new(stderr).lines().map(Result::unwrap).collect();
    assert!(process.wait().unwrap().success());
    lines
}

fn is_part() -> bool {
    std::env::var_os("PART_OF_A_TEST").is_some()
}

fn assert_numbered(lines: &[String], count: usize) {
    let is_line = |line: &&String| line.starts_with('{') && line.ends_with('}');
    let torn: Vec<_> = lines.iter().filter(|line| !is_line(line)).collect();
    assert!(torn.is_empty(), "{torn:?}");
    let numbers = lines.iter().filter(|line| line.contains("\"n\":"));
    for (n, line) in numbers.clone().enumerate() {
        assert!(line.contains(&format!("\"n\":{n},")), "{n}: {line}");
    }
    assert_eq!(numbers.count(), count);
}

#[test]
fn guard_dropped_early_loses_no_line() {
    if is_part() {
        fn set_up() {
            let _telemetry = spanwise::init_from_env().unwrap();
        }
        set_up();
        for n in 0..20_000 {
            tracing::info!(n, end = true, "a line");
        }
        return;
    }
    for preset in ["prod", "dev"] {
        let lines = stderr_of(
            "guard_dropped_early_loses_no_line",
            &[("LOG_PRESET", preset)],
        );
        assert_numbered(&lines, 20_000);
    }
}

#[test]
fn nonblocking_pipe_gets_whole_lines() {
    const LINES: usize = 200;
    if is_part() {
        rustix::fs::fcntl_setfl(std::io::stderr(), OFlags::NONBLOCK).unwrap();
        let _telemetry = spanwise::init_from_env().unwrap();
        for n in 0..LINES {
            tracing::info!(n, text = "x".repeat(8_000), "a line");
        }
        return;
    }
    let lines = stderr_of(
        "nonblocking_pipe_gets_whole_lines",
        &[("LOG_PRESET", "dev")],
    );
    assert_numbered(&lines, LINES);
}
