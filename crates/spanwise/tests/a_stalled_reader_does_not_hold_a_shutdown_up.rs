//! Nobody reads stdout, which is written by the threads that log: a thread that does not log can still end logging in time.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that is its own program"
)]

use std::{
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

fn main() {
    if std::env::args().any(|arg| arg == "--serve") {
        serve();
    }
    let mut program = Command::new(std::env::current_exe().unwrap())
        .arg("--serve")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Not read, and not closed, until the program has ended.
    let stdout = program.stdout.take();
    let status = program.wait().unwrap();
    drop(stdout);
    assert_eq!(status.code(), Some(7));
    println!("test result: ok. 1 passed; 0 failed");
}

fn serve() -> ! {
    let telemetry = spanwise::Builder::dev()
        .output(spanwise::Output::Stdout)
        // There is something left to tell at the end.
        .sample("owed=first:1".parse().unwrap())
        .init()
        .unwrap();
    for n in 0..3 {
        tracing::info!(target: "owed", n, "left out but for the first");
    }
    thread::spawn(|| {
        loop {
            tracing::info!("{}", "x".repeat(1000));
        }
    });
    // By then the pipe is full.
    thread::sleep(Duration::from_secs(1));
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        telemetry.shutdown(Duration::from_millis(100));
        done.send(())
    });
    let ended = is_done.recv_timeout(Duration::from_secs(5));
    std::process::exit(if ended.is_ok() { 7 } else { 1 });
}
