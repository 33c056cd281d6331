//! The level of the output, colours, and files per process.

use std::{
    fs,
    io::{self, Write},
    sync::{Arc, Mutex},
};

use spanwise::{Builder, Format, InitError, Preset};
use tracing::{debug, error, info, level_filters::LevelFilter, warn};

use crate::support::Lines;

fn log() {
    error!("an error");
    warn!("a warning");
    info!("an info");
    debug!("a debug");
}

fn messages(lines: &Lines) -> Vec<String> {
    let text = |line: &serde_json::Value| line["message"].as_str().unwrap().to_owned();
    lines.objects().iter().map(text).collect()
}

#[test]
fn output_has_a_level_of_its_own() {
    alone!();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.log");
    let (output, added) = (Lines::default(), Lines::default());
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_OUTPUT_LEVEL", "WARNING"),
        ("LOG_FILE", path.to_str().unwrap()),
    ];
    let telemetry = Builder::from_vars(vars)
        .unwrap()
        .with_writer(output.clone())
        .layer(spanwise::layer::JsonLayer::new().with_writer(added.clone()))
        .init()
        .unwrap();
    log();
    drop(telemetry);
    assert_eq!(messages(&output), ["an error", "a warning"]);
    let all = ["an error", "a warning", "an info"];
    assert_eq!(messages(&added), all);
    let file = fs::read_to_string(path).unwrap();
    assert_eq!(file.lines().count(), all.len(), "{file}");
}

#[test]
fn code_beats_the_variable_for_the_level() {
    alone!();
    let output = Lines::default();
    let builder = Builder::from_vars([("LOG_PRESET", "prod"), ("LOG_OUTPUT_LEVEL", "error")]);
    let builder = builder.unwrap().output_level(LevelFilter::INFO);
    let explained = builder.explain().to_string();
    assert!(
        explained.contains("LOG_OUTPUT_LEVEL = info (code)"),
        "{explained}"
    );
    let _telemetry = builder.with_writer(output.clone()).init().unwrap();
    log();
    assert_eq!(messages(&output), ["an error", "a warning", "an info"]);
}

/// Keeps lines whole only in `write_all`, like `Stdout`.
#[derive(Debug, Clone, Default)]
struct WholeLines(Arc<Mutex<Vec<Vec<u8>>>>);

impl Write for WholeLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(&bytes[..1])?;
        Ok(1)
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().push(line.to_vec());
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn own_writer_gets_one_write_all_per_line() {
    alone!();
    let output = WholeLines::default();
    let made = output.clone();
    let builder = Builder::new(Preset::Prod).with_writer(move || made.clone());
    let _telemetry = builder.init().unwrap();
    log();
    // A copy, because a panic here is logged, too.
    let written = output.0.lock().unwrap().clone();
    assert_eq!(written.len(), 3, "{written:?}");
    assert!(
        written.iter().all(|line| line.ends_with(b"}\n")),
        "{written:?}"
    );
}

#[test]
fn level_without_an_output_is_refused() {
    alone!();
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_OUTPUT", "none"),
        ("LOG_OUTPUT_LEVEL", "warn"),
    ];
    match Builder::from_vars(vars).unwrap().init() {
        Err(InitError::Settings(problems)) => assert_eq!(
            problems,
            [
                "LOG_OUTPUT_LEVEL is set, and LOG_OUTPUT is none: set another output, or remove the level"
            ]
        ),
        other => panic!("{other:?}"),
    }
}

/// Sets each variable, and checks whether lines of a writer that is not a terminal have colours.
#[test]
fn first_source_of_colours_wins() {
    for (vars, expected) in [
        (&[][..], "auto (default)"),
        (&[("NO_COLOR", "1")], "never (NO_COLOR)"),
        (&[("NO_COLOR", "")], "auto (default)"),
        (&[("FORCE_COLOR", "1")], "always (FORCE_COLOR)"),
        (&[("FORCE_COLOR", "0")], "auto (default)"),
        (&[("FORCE_COLOR", "false")], "auto (default)"),
        (&[("FORCE_COLOR", "\"yes\"")], "always (FORCE_COLOR)"),
        (&[("CLICOLOR_FORCE", "1")], "always (CLICOLOR_FORCE)"),
        (&[("CLICOLOR_FORCE", "0")], "auto (default)"),
        (&[("TERM", "dumb")], "never (TERM)"),
        (&[("TERM", "xterm")], "auto (default)"),
        (
            &[("TERM", "dumb"), ("FORCE_COLOR", "1")],
            "always (FORCE_COLOR)",
        ),
        (
            &[("NO_COLOR", "1"), ("FORCE_COLOR", "1")],
            "never (NO_COLOR)",
        ),
        (
            &[("LOG_COLOR", "always"), ("NO_COLOR", "1")],
            "always (LOG_COLOR)",
        ),
        (
            &[("LOG_COLOR", "never"), ("FORCE_COLOR", "1")],
            "never (LOG_COLOR)",
        ),
        (
            &[("LOG_COLOR", "auto"), ("FORCE_COLOR", "1")],
            "always (FORCE_COLOR)",
        ),
        (
            &[("LOG_COLOR", "auto"), ("CLICOLOR_FORCE", "1")],
            "always (CLICOLOR_FORCE)",
        ),
        (
            &[("LOG_COLOR", "auto"), ("NO_COLOR", "1")],
            "never (NO_COLOR)",
        ),
        (&[("LOG_COLOR", "auto"), ("TERM", "dumb")], "never (TERM)"),
        (
            &[("LOG_COLOR", "auto"), ("TERM", "xterm")],
            "auto (LOG_COLOR)",
        ),
        (
            &[("LOG_COLOR", "true"), ("NO_COLOR", "1")],
            "never (NO_COLOR)",
        ),
    ] {
        let explained = Builder::from_vars(vars.iter().copied()).unwrap().explain();
        let explained = explained.to_string();
        let line = format!("LOG_COLOR = {expected}");
        assert!(
            explained.lines().any(|other| other == line),
            "{vars:?}: {explained}"
        );
    }
    let code = Builder::from_vars([("LOG_COLOR", "always")]).unwrap();
    let explained = code.color("never").explain().to_string();
    assert!(
        explained.contains("LOG_COLOR = never (code)"),
        "{explained}"
    );
    // With `auto` in code, the shared variables such as NO_COLOR still decide, but LOG_COLOR does
    // not.
    for (name, value, expected) in [
        ("NO_COLOR", "1", "never (NO_COLOR)"),
        ("LOG_COLOR", "always", "auto (code)"),
    ] {
        let builder = Builder::from_vars([(name, value)]).unwrap();
        let explained = builder.color("auto").explain().to_string();
        let line = format!("LOG_COLOR = {expected}");
        assert!(explained.contains(&line), "{explained}");
    }
}

#[test]
fn colours_where_there_is_no_terminal() {
    alone!();
    let lines = Lines::default();
    let vars = [("LOG_PRESET", "dev"), ("LOG_COLOR", "always")];
    let _telemetry = Builder::from_vars(vars)
        .unwrap()
        .with_writer(lines.clone())
        .init()
        .unwrap();
    info!("coloured");
    let text = lines.text();
    assert!(text.contains("\u{1b}[32m INFO\u{1b}[0m"), "{text:?}");
}

/// The colours of a line end in this line, so they do not affect other lines.
fn colours_end_in_their_line(format: Format, least: usize) {
    let lines = Lines::default();
    let builder = Builder::from_vars([("FORCE_COLOR", "1"), ("LOG_PRESET", "dev")]);
    let builder = builder.unwrap().format(format).with_writer(lines.clone());
    let _telemetry = builder.init().unwrap();
    let request = tracing::info_span!("request", request_id = "r-1", path = "a\nb");
    request.in_scope(|| {
        let cause = io::Error::other("reset\nby peer");
        let cause = &cause as &dyn std::error::Error;
        error!(error = cause, note = "one\ntwo", "first\nsecond\n\nlast\n");
        info!(query = "select *\n  from orders\n", "");
    });
    let text = lines.text();
    assert!(text.lines().count() >= least, "{text:?}");
    for line in text.lines() {
        let codes: Vec<&str> = line.split("\u{1b}[").skip(1).collect();
        let is_reset = |code: &str| code.starts_with("0m");
        assert_eq!(codes.len() % 2, 0, "{line:?}");
        for pair in codes.chunks(2) {
            assert!(!is_reset(pair[0]) && is_reset(pair[1]), "{line:?}");
        }
    }
}

#[test]
fn colours_of_pretty_end_before_each_line_break() {
    alone!();
    colours_end_in_their_line(Format::Pretty, 8);
}

#[test]
fn colours_of_compact_end_before_each_line_break() {
    alone!();
    colours_end_in_their_line(Format::Compact, 2);
}

#[test]
fn json_has_no_colours() {
    alone!();
    let lines = Lines::default();
    let vars = [("LOG_PRESET", "prod"), ("FORCE_COLOR", "1")];
    let _telemetry = Builder::from_vars(vars)
        .unwrap()
        .format(Format::Json)
        .with_writer(lines.clone())
        .init()
        .unwrap();
    info!("plain");
    lines.with_message("plain");
}

#[test]
fn each_process_has_files_of_its_own() {
    alone!();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.log");
    let held = spanwise::file::RollingFile::builder(&path).build().unwrap();
    let vars = || {
        [
            ("LOG_PRESET", "prod"),
            ("LOG_OUTPUT", "none"),
            ("LOG_FILE", path.to_str().unwrap()),
        ]
    };
    match Builder::from_vars(vars()).unwrap().init() {
        Err(InitError::Settings(problems)) => {
            let advice = "give each process a file of its own with LOG_FILE_PER_PROCESS=1, with per_process = true in the sink of a configuration file, or with `Builder::file_per_process()`";
            assert!(
                problems.len() == 1 && problems[0].ends_with(advice),
                "{problems:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    let vars = vars().into_iter().chain([("LOG_FILE_PER_PROCESS", "1")]);
    let builder = Builder::from_vars(vars).unwrap();
    let explained = builder.explain().to_string();
    assert!(
        explained.contains("LOG_FILE_PER_PROCESS = 1 (LOG_FILE_PER_PROCESS)"),
        "{explained}"
    );
    let telemetry = builder.init().unwrap();
    info!("in a file of its own");
    drop(telemetry);
    let own = fs::read_to_string(directory.path().join("shop.2.log")).unwrap();
    assert!(own.contains("in a file of its own"), "{own}");
    drop(held);
    let code = Builder::new(Preset::Prod)
        .file(&path)
        .file_per_process()
        .explain()
        .to_string();
    assert!(code.contains("LOG_FILE_PER_PROCESS = 1 (code)"), "{code}");
}
