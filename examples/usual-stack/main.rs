//! Six faults of the usual logging stack, each beside spanwise in the same situation.
//!
//! ```text
//! cargo run --example usual-stack                 # all of them
//! cargo run --example usual-stack -- full-disk    # one of them
//! ```
//!
//! The usual stack is `tracing_subscriber::fmt` with `EnvFilter`, and `tracing_appender` for
//! writing in the background. The example asserts each result, so it fails if a claim is wrong.

#![expect(clippy::print_stdout, reason = "it reports what it found")]

mod writers;

use std::{
    env,
    error::Error,
    fmt, panic,
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
use writers::{Disk, Lines, Pipe};

type Outcome = Result<(), Box<dyn Error>>;

/// The name of a fault, what happens, and the function that shows it.
const FAULTS: [(&str, &str, fn() -> Outcome); 6] = [
    (
        "full-disk",
        "the disk is full while 1,000 lines are logged, and has room again",
        full_disk,
    ),
    (
        "stalled-reader",
        "stdout is a pipe, and its reader stalls",
        stalled_reader,
    ),
    ("exit", "the process exits while the reader stalls", exit),
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

/// `fmt` writes in the thread that logs, so that a request waits for the reader of a pipe.
fn stalled_reader() -> Outcome {
    let pipe = Pipe::stalled();
    let reader = pipe.clone();
    let log = tracing_subscriber::fmt()
        .json()
        .with_writer(move || reader.clone())
        .finish();
    let log = Dispatch::new(log);
    let logged = Arc::new(AtomicUsize::new(0));
    let count = logged.clone();
    let service = thread::spawn(move || {
        with_default(&log, || {
            for n in 0..1_000 {
                info!(n, "order created");
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
    });
    pipe.wait_until_stalled();
    let while_stalled = logged.load(Ordering::SeqCst);
    pipe.go_on();
    service.join().map_err(|_| "the service panicked")?;
    report(
        "usual stack",
        &format!("the service stops: {while_stalled} of 1000 calls return"),
    );
    assert_eq!(while_stalled, 0);

    let pipe = Pipe::stalled();
    let (writer, guard) = Background::builder(pipe.clone()).build()?;
    with_default(&spanwise_json(writer), || log_lines(1_000));
    pipe.wait_until_stalled();
    report("spanwise", "the service goes on: 1000 of 1000 calls return");
    pipe.go_on();
    assert_eq!(guard.shutdown(Duration::from_secs(60)).delivered, 1_000);
    Ok(())
}

/// The guard of `tracing_appender` gives up after about a second, and reports nothing.
fn exit() -> Outcome {
    let pipe = Pipe::stalled();
    let (writer, guard) = tracing_appender::non_blocking(pipe.clone());
    let counter = writer.error_counter();
    let log = tracing_subscriber::fmt()
        .json()
        .with_writer(writer)
        .finish();
    with_default(&log.into(), || log_lines(1_000));
    drop(guard);
    let lost = 1_000 - pipe.lines();
    report(
        "usual stack",
        &format!("{lost} lines lost, {} counted", counter.dropped_lines()),
    );
    assert_eq!((lost, counter.dropped_lines()), (1_000, 0));
    pipe.go_on();

    let pipe = Pipe::stalled();
    let (writer, guard) = Background::builder(pipe.clone()).build()?;
    with_default(&spanwise_json(writer), || log_lines(1_000));
    let shutdown = guard.shutdown(Duration::from_millis(100));
    report(
        "spanwise",
        &format!("1000 lines lost, {} counted", shutdown.lost),
    );
    assert_eq!((pipe.lines(), shutdown.lost), (0, 1_000));
    pipe.go_on();
    Ok(())
}

/// `EnvFilter` takes a level that is spelled wrong for the name of a crate.
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

/// `fmt` leaves the half of a line in the buffer of the thread.
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
    println!("  {stack:12} {what}");
}
