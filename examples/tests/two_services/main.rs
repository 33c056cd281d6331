//! Two services in two processes export to one collector: their spans, log records and lines have
//! the same ids.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that is its own program"
)]

mod exported;
mod requests;
mod running_program;
mod same_ids;
mod same_samples;
mod services;

#[path = "../../../crates/spanwise-otel/tests/it/support/receiver.rs"]
mod receiver;

use std::{
    env,
    error::Error,
    panic::catch_unwind,
    process::{Command, ExitCode},
    time::Duration,
};

use receiver::Receiver;

/// Nothing that the tests wait for takes this long, on whatever machine.
const GUARD: Duration = Duration::from_secs(120);

/// The first argument of a program that a test starts.
const PROGRAM: &str = "--program";

/// The ratio of traces, for lines.
const RATIO: (&str, &str) = ("LOG_SAMPLE", "info=0.25");

const TAIL: (&str, &str) = ("LOG_RECORDER", "debug,tail=0.25");

const TESTS: [(&str, fn()); 5] = [
    ("ids_agree_on_many_threads", || {
        same_ids::check("multi_thread");
    }),
    ("ids_agree_on_one_thread", || {
        same_ids::check("current_thread");
    }),
    ("ratio_keeps_lines_of_exported_traces", || {
        same_samples::check(&[RATIO]);
    }),
    ("tail_keeps_lines_of_exported_traces", || {
        same_samples::check(&[TAIL]);
    }),
    ("ratio_and_tail_keep_the_same_lines", || {
        same_samples::check(&[RATIO, TAIL]);
    }),
];

/// Returns this binary as the program of that name, without the environment of the test.
fn program(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.env_clear().args([PROGRAM, name]).args(args);
    command
}

/// Makes a program export to `receiver`, as this service. Queues have room for everything, and no
/// request is repeated because the collector is slow.
fn export_to(command: &mut Command, receiver: &Receiver, service: &str) {
    command.envs([
        ("LOG_PRESET", "prod"),
        ("SERVICE_NAME", service),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "120000"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "120000"),
        ("OTEL_BLRP_EXPORT_TIMEOUT", "120000"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100000"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "100000"),
    ]);
}

fn run(name: &str, args: &[&str]) -> Result<(), Box<dyn Error>> {
    match (name, args) {
        ("back", [runtime]) => services::run_back(runtime),
        ("front", [runtime, back]) => services::run_front(runtime, back),
        ("sampled", []) => same_samples::run(),
        other => panic!("no such program: {other:?}"),
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    if let [PROGRAM, name, args @ ..] = &args[..] {
        return run(name, args).map(|()| ExitCode::SUCCESS);
    }
    if args.contains(&"--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return Ok(ExitCode::SUCCESS);
    }
    let parts: Vec<&&str> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let mut code = ExitCode::SUCCESS;
    for (name, test) in TESTS {
        if !parts.is_empty() && !parts.iter().any(|part| name.contains(**part)) {
            continue;
        }
        let has_passed = catch_unwind(test).is_ok();
        println!(
            "test {name} ... {}",
            if has_passed { "ok" } else { "FAILED" }
        );
        if !has_passed {
            code = ExitCode::from(101);
        }
    }
    Ok(code)
}
