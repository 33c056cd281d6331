//! `std::process::exit` before the shutdown: summaries still report the suppressed events.

use std::{process::exit, time::Duration};

use spanwise::{Builder, InitError};

use crate::{Test, victim};

pub(crate) const TEST: Test = Test {
    name: "exit_summary",
    run,
    victims: &[("exit", || end(false)), ("shutdown-and-exit", || end(true))],
};

fn end(after_shutdown: bool) -> Result<(), InitError> {
    let vars = [("LOG_PRESET", "prod"), ("LOG_SAMPLE", "info=2/h")];
    let telemetry = Builder::from_vars(vars)?.init()?;
    (0..5).for_each(|n| tracing::info!(n, "a line"));
    if after_shutdown {
        telemetry.shutdown(Duration::from_secs(5));
    }
    exit(7)
}

fn run() {
    if cfg!(not(unix)) {
        return;
    }
    for end in ["exit", "shutdown-and-exit"] {
        let output = victim(end).output().unwrap();
        let (stdout, stderr) = (output.stdout, String::from_utf8_lossy(&output.stderr));
        let stdout = String::from_utf8(stdout).unwrap();
        assert_eq!(output.status.code(), Some(7), "{stderr}");
        assert_eq!(stdout.lines().count(), 3, "{end}: {stdout}{stderr}");
        let last = stdout.lines().last().unwrap();
        assert!(last.contains(r#""suppressed":3"#), "{end}: {stdout}");
        assert_eq!(stderr, "", "{end}");
    }
}
