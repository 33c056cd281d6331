//! Tests of whole programs. Each test runs this program again as its victim, which has its own
//! stdout and stderr.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that is its own program"
)]

mod closed_pipe;
mod command_line;
mod exit_summary;
mod failed_main;
mod own_crate;
mod panic_secrets;
mod panics_once;
#[cfg(unix)]
mod pseudo_terminal;
mod stalled_reader;
mod stalled_shutdown;
#[cfg(unix)]
mod terminal;
mod wrong_start;

use std::{
    env,
    panic::catch_unwind,
    process::{Command, ExitCode, exit},
};

use spanwise::InitError;

/// A test, and the programs that are its victims.
struct Test {
    name: &'static str,
    run: fn(),
    victims: &'static [(&'static str, Victim)],
}

/// The `main` of a victim.
type Victim = fn() -> Result<(), InitError>;

const TESTS: &[Test] = &[
    closed_pipe::TEST,
    command_line::TEST,
    exit_summary::TEST,
    failed_main::TEST,
    own_crate::TEST,
    panic_secrets::TEST,
    panics_once::TEST,
    stalled_reader::TEST,
    stalled_shutdown::TEST,
    #[cfg(unix)]
    terminal::TEST,
    wrong_start::TEST,
];

const VICTIM: &str = "--victim";

/// Returns a command that runs this program as the victim with this name.
fn victim(name: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([VICTIM, name]);
    command
}

fn main() -> Result<ExitCode, InitError> {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [VICTIM, name] = args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        let is_named = |other: &str| name.strip_prefix("main-") == Some(other);
        let mut programs = failed_main::PROGRAMS.iter();
        if let Some((_, be)) = programs.find(|(other, _)| is_named(other)) {
            return Ok(be());
        }
        let mut victims = TESTS.iter().flat_map(|test| test.victims);
        let (_, be) = victims.find(|(other, _)| *other == name).unwrap();
        return be().map(|()| ExitCode::SUCCESS);
    }
    if args.iter().any(|arg| arg == "--list") {
        TESTS
            .iter()
            .for_each(|test| println!("{}: test", test.name));
        return Ok(ExitCode::SUCCESS);
    }
    let wanted: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted =
        |test: &&Test| wanted.is_empty() || wanted.iter().any(|part| test.name.contains(*part));
    let (mut passed, mut failed) = (0, 0);
    for test in TESTS.iter().filter(is_wanted) {
        let ok = catch_unwind(test.run).is_ok();
        println!(
            "test {} ... {}",
            test.name,
            if ok { "ok" } else { "FAILED" }
        );
        *(if ok { &mut passed } else { &mut failed }) += 1;
    }
    println!("\ntest result: {passed} passed; {failed} failed");
    if failed > 0 {
        exit(101);
    }
    Ok(ExitCode::SUCCESS)
}
