//! `std::process::exit` before the shutdown: what a sampler held back is told all the same.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that is its own program"
)]

use std::process::Command;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("--exit") => exit(false),
        Some("--shutdown") => exit(true),
        _ => {
            a_summary_is_told_once();
            println!("test result: ok. 1 passed; 0 failed");
        }
    }
}

fn exit(after_shutdown: bool) {
    let vars = [("LOG_PRESET", "prod"), ("LOG_SAMPLE", "info=2/h")];
    let telemetry = spanwise::Builder::from_vars(vars).unwrap().init().unwrap();
    (0..5).for_each(|n| tracing::info!(n, "a line"));
    if after_shutdown {
        telemetry.shutdown(std::time::Duration::from_secs(5));
    }
    std::process::exit(7);
}

fn a_summary_is_told_once() {
    if cfg!(not(unix)) {
        return;
    }
    for end in ["--exit", "--shutdown"] {
        let mut program = Command::new(std::env::current_exe().unwrap());
        let output = program.arg(end).output().unwrap();
        let (stdout, stderr) = (output.stdout, String::from_utf8_lossy(&output.stderr));
        let stdout = String::from_utf8(stdout).unwrap();
        assert_eq!(output.status.code(), Some(7), "{stderr}");
        assert_eq!(stdout.lines().count(), 3, "{end}: {stdout}{stderr}");
        let last = stdout.lines().last().unwrap();
        assert!(last.contains(r#""suppressed":3"#), "{end}: {stdout}");
        assert_eq!(stderr, "", "{end}");
    }
}
