//! The preset cli writes short lines on stderr, and nothing on stdout. `-v` and `-q` set the level.

use std::panic::catch_unwind;

use spanwise::{InitError, Preset};
use tracing::{debug, error, info, info_span, trace, warn};

use crate::{Test, victim};

pub(crate) const TEST: Test = Test {
    name: "command_line",
    run,
    victims: &[
        ("cli-2q", || tool(-2)),
        ("cli-q", || tool(-1)),
        ("cli", || tool(0)),
        ("cli-v", || tool(1)),
        ("cli-2v", || tool(2)),
        ("cli-3v", || tool(3)),
        ("cli-127v", || tool(127)),
        ("cli-128q", || tool(-128)),
        ("cli-after-the-guard", after_the_guard),
        ("cli-panics", panics),
        ("cli-fails", fails),
        ("cli-changes-levels", changes_levels),
    ],
};

fn tool(verbosity: i8) -> Result<(), InitError> {
    let builder = spanwise::builder!()?.preset(Preset::Cli);
    let _telemetry = builder.verbosity(verbosity).init()?;
    let _import = info_span!("import", file = "a.csv").entered();
    error!(row = 7, "cannot read");
    warn!("skipped");
    info!("read");
    debug!("parsed");
    trace!("seen");
    debug!(target: "hyper", "connected");
    Ok(())
}

fn after_the_guard() -> Result<(), InitError> {
    drop(spanwise::builder!()?.preset(Preset::Cli).init()?);
    warn!("late");
    Ok(())
}

fn panics() -> Result<(), InitError> {
    let telemetry = spanwise::builder!()?.preset(Preset::Cli).init()?;
    let _ = catch_unwind(|| panic!("no file"));
    drop(telemetry);
    let _ = catch_unwind(|| panic!("no file after the guard"));
    Ok(())
}

fn changes_levels() -> Result<(), InitError> {
    let telemetry = spanwise::builder!()?.preset(Preset::Cli).init()?;
    warn!("before");
    telemetry.handle().set_levels("shop=debug").unwrap();
    warn!("during");
    telemetry.handle().set_levels("info").unwrap();
    warn!("after");
    Ok(())
}

fn fails() -> Result<(), InitError> {
    let _telemetry = spanwise::builder!()?.preset(Preset::Cli).init()?;
    let error = anyhow::anyhow!("connection refused").context("no mail");
    error!(error = spanwise::err(&error), n = 1, "charge failed");
    Ok(())
}

/// Returns the text on stderr, and asserts that stdout is empty.
fn stderr_of(name: &str, vars: &[(&str, &str)]) -> String {
    let mut program = victim(name);
    let output = program.env_clear().envs(vars.iter().copied()).output();
    let output = output.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{name}: {stderr}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "", "{name}");
    stderr
}

/// The first line also has the fields of its span.
const LINES: [&str; 6] = [
    "ERROR cannot read row=7 | import file=a.csv",
    "WARN  skipped | import",
    "INFO  read | import",
    "DEBUG parsed | import",
    "TRACE seen | import",
    "DEBUG connected | import",
];

/// Returns whether the line has a time, and the line without it.
fn split_time(line: &str) -> (bool, &str) {
    match line.split_once(' ') {
        Some((time, rest)) if time.starts_with(|c: char| c.is_ascii_digit()) => (true, rest),
        _ => (false, line),
    }
}

fn run() {
    verbosity_moves_the_level();
    verbosity_beats_the_bare_level_of_rust_log();
    nothing_is_on_stdout();
    time_follows_the_levels();
    file_has_the_time();
    backtraces_are_lines_of_their_own();
}

/// The text of an error is the same with a backtrace and without.
fn backtraces_are_lines_of_their_own() {
    let with_backtrace = [("RUST_BACKTRACE", "1")];
    let alone = stderr_of("cli-fails", &[]);
    let begin = "ERROR charge failed error=\"no mail: connection refused\"";
    assert_eq!(alone, format!("{begin} n=1\n"));
    for (name, begin, lines) in [
        ("cli-fails", format!("{begin} n=1\n      | "), 1),
        ("cli-panics", ": no file".to_owned(), 2),
    ] {
        let stderr = stderr_of(name, &with_backtrace);
        assert_eq!(stderr.matches(&begin).count(), lines, "{stderr}");
        let frames = || {
            stderr
                .lines()
                .filter_map(|line| line.strip_prefix("      | "))
        };
        assert!(frames().count() > lines, "{stderr}");
        assert!(frames().all(|frame| !frame.is_empty()), "{stderr}");
    }
}

fn verbosity_moves_the_level() {
    for (name, lines, has_time) in [
        ("cli-128q", &[][..], false),
        ("cli-2q", &[], false),
        ("cli-q", &[0], false),
        ("cli", &[0, 1], false),
        ("cli-v", &[0, 1, 2], false),
        ("cli-2v", &[0, 1, 2, 3, 5], true),
        ("cli-3v", &[0, 1, 2, 3, 4, 5], true),
        ("cli-127v", &[0, 1, 2, 3, 4, 5], true),
    ] {
        assert_lines(name, &[], lines, has_time);
    }
}

fn verbosity_beats_the_bare_level_of_rust_log() {
    for (name, rust_log, lines, has_time) in [
        ("cli", "debug", &[0, 1, 2, 3, 5][..], true),
        ("cli-q", "debug", &[0], false),
        ("cli-v", "off", &[0, 1, 2], false),
        ("cli", "hyper=debug", &[0, 1, 5], true),
        ("cli-v", "error,hyper=debug", &[0, 1, 2, 5], true),
        ("cli-2v", "hyper=off", &[0, 1, 2, 3], true),
        ("cli-2v", "[import]=debug", &[0, 1, 2, 3, 5], true),
    ] {
        assert_lines(name, &[("RUST_LOG", rust_log)], lines, has_time);
        assert_lines(name, &[("LOG_LEVEL", rust_log)], lines, has_time);
    }
}

fn assert_lines(name: &str, vars: &[(&str, &str)], lines: &[usize], has_time: bool) {
    let stderr = stderr_of(name, vars);
    let shown: Vec<_> = stderr.lines().map(split_time).collect();
    let expected: Vec<_> = lines.iter().map(|line| (has_time, LINES[*line])).collect();
    assert_eq!(shown, expected, "{name} {vars:?}");
}

fn nothing_is_on_stdout() {
    assert_eq!(stderr_of("cli-after-the-guard", &[]), "WARN  late\n");
    // The pod sets this for its service.
    let vars = [("LOG_OUTPUT", "stdout"), ("APP_ENV", "production")];
    let stderr = stderr_of("cli-after-the-guard", &vars);
    let told =
        "spanwise: setup: LOG_OUTPUT=stdout has no effect: the preset cli writes nothing to stdout";
    assert!(stderr.starts_with(told), "{stderr}");
    assert!(stderr.ends_with("\nWARN  late\n"), "{stderr}");

    let stderr = stderr_of("cli-panics", &[]);
    let lines: Vec<_> = stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    for (line, message) in lines.iter().zip(["no file", "no file after the guard"]) {
        let begin = "ERROR panicked at ";
        let end = format!(": {message}");
        assert!(line.starts_with(begin) && line.ends_with(&end), "{line}");
    }
}

fn time_follows_the_levels() {
    let stderr = stderr_of("cli-changes-levels", &[]);
    let shown: Vec<_> = stderr.lines().map(split_time).collect();
    let expected = [
        (false, "WARN  before"),
        (true, "WARN  during"),
        (false, "WARN  after"),
    ];
    assert_eq!(shown, expected);
    // Lines that are not written to stderr do not need a time there.
    let vars = [("RUST_LOG", "debug"), ("LOG_OUTPUT_LEVEL", "warn")];
    assert_lines("cli", &vars, &[0, 1], false);
}

fn file_has_the_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tool.log");
    let vars = [("LOG_FILE", path.to_str().unwrap())];
    assert_lines("cli", &vars, &[0, 1], false);
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<_> = text.lines().map(split_time).collect();
    assert_eq!(lines, [(true, LINES[0]), (true, LINES[1])]);
}
