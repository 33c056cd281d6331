//! A panic is one event. The text of std is printed only if no output accepts the event.

use std::{
    fs::File,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use spanwise::{Builder, InitError, Preset};

use crate::{Test, victim};

pub(crate) const TEST: Test = Test {
    name: "panics_once",
    run: || {
        std_is_silent_where_an_output_took_the_event();
        std_prints_what_no_output_took();
        dev_prints_both_to_two_streams();
        dev_prints_one_to_stderr();
        backtraces_are_as_long_as_asked();
        main_thread_s_panic_is_logged_before_the_end();
    },
    victims: &[
        ("panic-on-a-thread", panic_on_a_thread),
        ("panic-in-main", panic_in_main),
    ],
};

const LINE: u32 = line!() + 4;

#[inline(never)]
fn take_stock() {
    panic!("out of {}", "stock")
}

fn panic_on_a_thread() -> Result<(), InitError> {
    let _telemetry = Builder::from_env()?.init()?;
    let _ = std::thread::spawn(take_stock).join();
    Ok(())
}

fn panic_in_main() -> Result<(), InitError> {
    let _telemetry = Builder::new(Preset::Prod).init()?;
    take_stock();
    Ok(())
}

struct Run {
    events: Vec<Value>,
    stdout: String,
    stderr: String,
    code: Option<i32>,
}

impl Run {
    fn new(vars: &[(&str, &str)]) -> Self {
        let mut program = victim("panic-on-a-thread");
        program.env_clear().envs(vars.iter().copied());
        Self::in_time(&mut program)
    }

    /// Repeats the run until a panic is written in time, which a loaded machine may prevent.
    fn in_time(program: &mut Command) -> Self {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let run = Self::read(&program.output().unwrap());
            if !run.stderr.contains("lines are still held") || Instant::now() >= end {
                return run;
            }
        }
    }

    fn read(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let stdout = text(&output.stdout);
        let events = stdout
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        Self {
            events: events.collect(),
            stderr: text(&output.stderr),
            stdout,
            code: output.status.code(),
        }
    }

    fn backtrace(&self) -> &str {
        let backtrace = &self.events[0]["panic.backtrace"];
        backtrace
            .as_str()
            .unwrap_or_else(|| panic!("{}", self.stdout))
    }

    fn is_printed_by_std(&self) -> bool {
        self.stderr.contains("panicked at") && self.stderr.contains("out of stock")
    }
}

const PROD: (&str, &str) = ("LOG_PRESET", "prod");

fn std_is_silent_where_an_output_took_the_event() {
    for vars in [
        &[PROD][..],
        &[PROD, ("LOG_FORMAT", "compact")],
        &[PROD, ("LOG_RECORDER", "debug")],
        &[PROD, ("RUST_BACKTRACE", "1")],
        &[PROD, ("LOG_PANIC_BACKTRACE", "off")],
    ] {
        let run = Run::new(vars);
        assert_eq!(
            run.stdout.matches("out of stock").count(),
            1,
            "{}",
            run.stdout
        );
        assert_eq!(run.stderr, "", "{vars:?}");
    }
    let run = Run::new(&[PROD]);
    let event = &run.events[0];
    assert_eq!(event["message"], "out of stock");
    let place = event["panic.location"].as_str().unwrap();
    assert!(
        place.contains(&format!("panics_once.rs:{LINE}:")),
        "{place}"
    );

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shop.log");
    let vars = [
        PROD,
        ("LOG_OUTPUT", "none"),
        ("LOG_FILE", file.to_str().unwrap()),
    ];
    let run = Run::new(&vars);
    assert_eq!(run.stderr, "");
    let text = std::fs::read_to_string(file).unwrap();
    assert_eq!(text.matches("out of stock").count(), 1, "{text}");
}

fn std_prints_what_no_output_took() {
    for vars in [
        &[PROD, ("LOG_OUTPUT", "none")][..],
        &[PROD, ("RUST_LOG", "off")],
        &[PROD, ("RUST_LOG", "info,panic=off")],
        &[PROD, ("LOG_SAMPLE", "error=0")],
    ] {
        let run = Run::new(vars);
        assert!(
            run.is_printed_by_std(),
            "{vars:?}: {}{}",
            run.stdout,
            run.stderr
        );
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = victim("panic-on-a-thread")
        .env_clear()
        .envs([PROD])
        .stdout(Stdio::from(full))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output();
    assert!(Run::read(&output.unwrap()).is_printed_by_std());
}

fn dev_prints_both_to_two_streams() {
    let run = Run::new(&[("LOG_PRESET", "dev"), ("LOG_OUTPUT", "stdout")]);
    assert!(run.stdout.contains("out of stock"), "{}", run.stdout);
    assert!(run.is_printed_by_std(), "{}", run.stderr);
}

/// The place, the own frames, and the number of the others, whatever the format for
/// people.
fn dev_prints_one_to_stderr() {
    for (format, indent) in [("pretty", 13), ("compact", 13), ("short", 6)] {
        let vars = |backtrace| {
            [
                ("LOG_PRESET", "dev"),
                ("LOG_FORMAT", format),
                ("LOG_OWN", "programs"),
                ("RUST_BACKTRACE", backtrace),
            ]
        };
        let run = Run::new(&vars("1"));
        let lines: Vec<&str> = run.stderr.lines().collect();
        assert!(
            lines[0].contains(&format!("panics_once.rs:{LINE}:"))
                && lines[0].ends_with(": out of stock thread=unnamed"),
            "{lines:#?}"
        );
        let frames: Vec<&str> = lines[1..]
            .iter()
            .map(|line| line.strip_prefix(&format!("{:indent$}| ", "")).unwrap())
            .collect();
        let (hidden, own) = frames.split_last().unwrap();
        assert!(
            hidden.ends_with(" hidden: RUST_BACKTRACE=full shows all"),
            "{lines:#?}"
        );
        assert!(
            own[0].starts_with("at programs::panics_once::take_stock  "),
            "{lines:#?}"
        );
        assert!(own.len() < 5, "{lines:#?}");

        // If `LOG_PANIC_BACKTRACE` is set, `RUST_BACKTRACE` has no effect.
        let decided = vars("full")
            .into_iter()
            .chain([("LOG_PANIC_BACKTRACE", "short")]);
        let run = Run::new(&decided.collect::<Vec<_>>());
        let hidden = run.stderr.lines().next_back().unwrap();
        assert!(
            hidden.ends_with(" hidden: LOG_PANIC_BACKTRACE=full shows all"),
            "{}",
            run.stderr
        );

        let run = Run::new(&vars("full"));
        assert!(run.stderr.contains("std::panicking") && !run.stderr.contains("hidden"));
        let begun = run.stderr.lines().filter(|line| !line.starts_with(' '));
        assert_eq!(begun.count(), 1, "{}", run.stderr);
    }
}

fn backtraces_are_as_long_as_asked() {
    let short = Run::new(&[PROD]);
    let first = short.backtrace().lines().next().unwrap();
    assert!(first.ends_with("panics_once::take_stock"), "{first}");
    let own = |text: &str| text.matches("tests/programs/panics_once.rs:").count();
    assert_eq!(own(short.backtrace()), 1, "{}", short.backtrace());
    for absent in [
        "/library/",
        "/rustc/",
        "at /",
        "at ./",
        "rust_begin",
        "panicking",
    ] {
        assert!(!short.backtrace().contains(absent), "{}", short.backtrace());
    }

    let full = Run::new(&[PROD, ("LOG_PANIC_BACKTRACE", "full")]);
    assert!(full.backtrace().contains("/library/std/src/panicking.rs"));
    assert!(own(full.backtrace()) >= 1);
    assert!(full.backtrace().len() > 3 * short.backtrace().len());

    let off = Run::new(&[PROD, ("LOG_PANIC_BACKTRACE", "off")]);
    assert_eq!(off.events[0]["panic.backtrace"], Value::Null);
    assert_eq!(off.events[0]["message"], "out of stock");
}

fn main_thread_s_panic_is_logged_before_the_end() {
    let run = Run::in_time(victim("panic-in-main").env_clear());
    assert_eq!(run.code, Some(101));
    assert_eq!(run.events.len(), 1, "{}", run.stdout);
    assert_eq!(run.stderr, "");
}
