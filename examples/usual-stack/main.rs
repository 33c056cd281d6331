//! Faults injected into the usual logging stack, each beside spanwise in the same situation.
//!
//! ```text
//! cargo run --example usual-stack                 # all of them
//! cargo run --example usual-stack -- full-disk    # one of them
//! ```
//!
//! The usual stack is `tracing_subscriber::fmt`, alone, with `EnvFilter` for levels, or with
//! `tracing_appender` for writing in the background. The example asserts each result, so it fails
//! if a claim is wrong.

#![expect(clippy::print_stdout, reason = "it reports what it found")]

mod writers;

use std::{
    env,
    error::Error,
    fmt,
    io::{self, PipeReader, Read as _},
    panic,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use spanwise::{Builder, Format, Preset, file::Background};
use tracing::{Dispatch, dispatcher::with_default, error, info, level_filters::LevelFilter};
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _};
use writers::{Disk, Lines};

type Outcome = Result<(), Box<dyn Error>>;

/// The number of lines that are logged into a pipe. A pipe of Linux has room for about 500.
const LINES: usize = 10_000;

/// The argument of a child process: the stack that it logs with.
const CHILD: &str = "child-with";

/// The name of a fault, what happens, and the function that shows it.
type Fault = (&'static str, &'static str, fn() -> Outcome);

const FAULTS: [Fault; 6] = [
    (
        "full-disk",
        "the disk is full while 1,000 lines are logged, and has room again",
        full_disk,
    ),
    (
        "stalled-reader",
        "10,000 lines are logged to a pipe that nobody reads",
        stalled_reader,
    ),
    (
        "exit",
        "a process logs 10,000 lines to a pipe that nobody reads, and exits",
        exit,
    ),
    ("typo", "RUST_LOG=inof", typo),
    (
        "forged-line",
        "a user name contains a line break",
        forged_line,
    ),
    (
        "panicking-value",
        "a Debug implementation panics, and the panic is caught",
        panicking_value,
    ),
];

fn main() -> Outcome {
    panic::set_hook(Box::new(|_| {})); // the panic of the last fault is expected
    let wanted = env::args().nth(1);
    if wanted.as_deref() == Some(CHILD) {
        return log_and_exit(&env::args().nth(2).unwrap_or_default());
    }
    for (name, what, show) in FAULTS {
        if wanted.as_deref().is_none_or(|wanted| wanted == name) {
            println!("{name}: {what}");
            show()?;
        }
    }
    Ok(())
}

/// `tracing_appender` drops the lines that the disk refuses, and its counter does not count them.
fn full_disk() -> Outcome {
    let disk = Disk::full();
    let (writer, guard) = tracing_appender::non_blocking(disk.clone());
    let counter = writer.error_counter();
    let log = tracing_subscriber::fmt()
        .json()
        .with_writer(writer)
        .finish();
    with_default(&log.into(), || log_lines(1_000));
    disk.wait_until_refused(1_000);
    disk.make_room();
    drop(guard);
    let lost = 1_000 - disk.lines();
    report(
        "usual stack",
        &format!("{lost} lines lost, {} counted", counter.dropped_lines()),
    );
    assert_eq!((lost, counter.dropped_lines()), (1_000, 0));

    let disk = Disk::full();
    let (writer, guard) = Background::builder(disk.clone()).build()?;
    with_default(&spanwise_json(writer), || log_lines(1_000));
    disk.wait_until_refused(1);
    disk.make_room();
    let shutdown = guard.shutdown(Duration::from_secs(60));
    report(
        "spanwise",
        &format!(
            "{} lines lost, {} counted",
            1_000 - disk.lines(),
            shutdown.lost
        ),
    );
    assert_eq!((disk.lines(), shutdown.lost), (1_000, 0));
    Ok(())
}

/// `fmt` alone writes in the thread that logs, so that the thread waits for the reader of a pipe.
fn stalled_reader() -> Outcome {
    let (reader, writer) = io::pipe()?;
    let writer = Arc::new(writer);
    let log = tracing_subscriber::fmt()
        .json()
        .with_writer(writer)
        .finish();
    let logged = Arc::new(AtomicUsize::new(0));
    let count = logged.clone();
    let service = thread::spawn(move || {
        with_default(&Dispatch::new(log), || {
            for n in 0..LINES {
                info!(n, "order created");
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
    });
    let while_stalled = wait_until_steady(&logged);
    let lines = thread::spawn(move || count_lines(reader));
    service.join().map_err(|_| "the service panicked")?;
    report(
        "fmt",
        &format!("{while_stalled} calls return, and the next one waits for the reader"),
    );
    assert!(while_stalled < LINES, "the thread that logs waits");
    assert_eq!(lines.join().map_err(|_| "the reader panicked")??, LINES);

    let (reader, writer) = io::pipe()?;
    let (writer, guard) = tracing_appender::non_blocking(writer);
    let counter = writer.error_counter();
    let log = tracing_subscriber::fmt()
        .json()
        .with_writer(writer)
        .finish();
    with_default(&log.into(), || log_lines(LINES)); // returns, although nobody reads
    let lines = thread::spawn(move || count_lines(reader));
    drop(guard);
    report("with tracing-appender", "all calls return");
    assert_eq!(lines.join().map_err(|_| "the reader panicked")??, LINES);
    assert_eq!(counter.dropped_lines(), 0);

    let (reader, writer) = io::pipe()?;
    let (writer, guard) = Background::builder(writer).build()?;
    with_default(&spanwise_json(writer), || log_lines(LINES)); // returns, although nobody reads
    let lines = thread::spawn(move || count_lines(reader));
    let shutdown = guard.shutdown(Duration::from_secs(60));
    report("spanwise", "all calls return");
    assert_eq!(lines.join().map_err(|_| "the reader panicked")??, LINES);
    assert_eq!((shutdown.delivered, shutdown.lost), (LINES as u64, 0));
    Ok(())
}

/// The guard of `tracing_appender` stops waiting after about a second, and reports nothing.
fn exit() -> Outcome {
    let (received, stderr) = run_child("usual-stack")?;
    let lost = LINES - received;
    report(
        "usual stack",
        &format!("{lost} lines lost, stderr: {stderr:?}"),
    );
    assert!(lost > 0, "the pipe does not hold all lines");
    assert_eq!(stderr, "0 counted\n");

    let (received, stderr) = run_child("spanwise")?;
    let lost = LINES - received;
    report("spanwise", &format!("{lost} lines lost, stderr:"));
    println!("    {}", stderr.trim_end());
    let expected = format!("stdout: {received} lines written, {lost} lost:");
    assert!(lost > 0 && stderr.contains(&expected), "{expected}");
    Ok(())
}

/// Runs a child with a stdout that is not read until it exits. Returns the number of lines that
/// were in the pipe, and the text on stderr.
fn run_child(stack: &str) -> Result<(usize, String), Box<dyn Error>> {
    let (reader, writer) = io::pipe()?;
    let child = Command::new(env::current_exe()?)
        .args([CHILD, stack])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()?;
    let stderr = String::from_utf8(child.wait_with_output()?.stderr)?;
    Ok((count_lines(reader)?, stderr))
}

/// The child process of [`exit`]. Each stack has a second for its last lines.
#[expect(clippy::print_stderr, reason = "the parent reads it")]
fn log_and_exit(stack: &str) -> Outcome {
    if stack == "spanwise" {
        let telemetry = Builder::new(Preset::Prod).init()?;
        log_lines(LINES);
        telemetry.shutdown(Duration::from_secs(1));
    } else {
        let (writer, guard) = tracing_appender::non_blocking(io::stdout());
        let counter = writer.error_counter();
        let log = tracing_subscriber::fmt()
            .json()
            .with_writer(writer)
            .finish();
        with_default(&log.into(), || log_lines(LINES));
        drop(guard);
        eprintln!("{} counted", counter.dropped_lines());
    }
    Ok(())
}

/// Waits until the number has not changed for a while, and returns it.
fn wait_until_steady(number: &AtomicUsize) -> usize {
    let mut last = 0;
    loop {
        thread::sleep(Duration::from_millis(300));
        let now = number.load(Ordering::SeqCst);
        if now > 0 && now == last {
            return now;
        }
        last = now;
    }
}

/// Reads the pipe to its end.
fn count_lines(mut reader: PipeReader) -> io::Result<usize> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    Ok(bytes.iter().filter(|byte| **byte == b'\n').count())
}

/// `EnvFilter` interprets a misspelled level as the name of a crate.
fn typo() -> Outcome {
    let lines = Lines::default();
    // This is what `EnvFilter::from_default_env` does with the text of the variable.
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::ERROR.into())
        .parse_lossy("inof");
    let fmt = tracing_subscriber::fmt::layer().with_writer(lines.clone());
    let log = tracing_subscriber::registry().with(fmt.with_filter(filter));
    with_default(&log.into(), || error!("the database is gone"));
    report(
        "usual stack",
        &format!("{} of 1 errors logged, no warning", lines.count()),
    );
    assert_eq!(lines.count(), 0);

    let started = Builder::from_vars([("RUST_LOG", "inof")]).and_then(Builder::init);
    let error = started.err().ok_or("spanwise starts with a typo")?;
    report("spanwise", &format!("the start fails: {error}"));
    assert!(error.to_string().contains("did you mean `info`?"));
    Ok(())
}

/// `fmt` writes the line breaks of a `Display` value as they are.
fn forged_line() -> Outcome {
    let name = "ada\n2026-11-28T21:00:00.000000Z  INFO shop: payment received order_id=42";
    let log_in = || info!(target: "shop", user = %name, "login failed");

    let lines = Lines::default();
    let log = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish();
    with_default(&log.into(), log_in);
    report("usual stack", &format!("1 event, {} lines:", lines.count()));
    lines.print();
    assert_eq!(lines.count(), 2);

    let lines = Lines::default();
    let telemetry = Builder::new(Preset::Dev)
        .format(Format::Compact)
        .with_writer(lines.clone())
        .init()?;
    log_in();
    drop(telemetry);
    report("spanwise", &format!("1 event, {} line:", lines.count()));
    lines.print();
    assert_eq!(lines.count(), 1);
    Ok(())
}

/// `fmt` leaves half of a line in the buffer of the thread, and the next line continues it.
fn panicking_value() -> Outcome {
    struct Panics;
    impl fmt::Debug for Panics {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("in Debug")
        }
    }
    let log_twice = || {
        let caught = panic::catch_unwind(|| info!(value = ?Panics, "first"));
        info!("second");
        caught.is_err()
    };
    let is_json = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();

    let lines = Lines::default();
    let log = tracing_subscriber::fmt()
        .json()
        .with_writer(lines.clone())
        .finish();
    let panicked = with_default(&log.into(), log_twice);
    let valid = lines.text().lines().filter(|line| is_json(line)).count();
    report(
        "usual stack",
        &format!("the caller panics: {panicked}, valid lines: {valid} of 2"),
    );
    lines.print();
    assert_eq!((panicked, valid), (true, 0));

    let lines = Lines::default();
    let panicked = with_default(&spanwise_json(lines.clone()), log_twice);
    let valid = lines.text().lines().filter(|line| is_json(line)).count();
    report(
        "spanwise",
        &format!("the caller panics: {panicked}, valid lines: {valid} of 2"),
    );
    lines.print();
    assert_eq!((panicked, valid), (false, 2));
    assert!(
        lines
            .text()
            .contains(r#""value":"<panicked while formatting>""#)
    );
    Ok(())
}

fn spanwise_json<W>(writer: W) -> Dispatch
where
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::registry()
        .with(spanwise::layer::JsonLayer::new().with_writer(writer))
        .into()
}

fn log_lines(count: usize) {
    for n in 0..count {
        info!(n, "order created");
    }
}

fn report(stack: &str, what: &str) {
    println!("  {stack:21} {what}");
}
