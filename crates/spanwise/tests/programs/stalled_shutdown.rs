//! Nobody reads stdout, and the logging threads write it themselves. A thread that does not log can
//! still end logging in time.

use std::{
    process::{Stdio, exit},
    sync::mpsc,
    thread,
    time::Duration,
};

use spanwise::{Builder, InitError, Output, Preset};

use crate::{Test, victim};

pub(crate) const TEST: Test = Test {
    name: "stalled_shutdown",
    run,
    victims: &[("stalled-shutdown", serve)],
};

fn run() {
    let mut program = victim("stalled-shutdown")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The test neither reads nor closes the pipe before the program has ended.
    let stdout = program.stdout.take();
    let status = program.wait().unwrap();
    drop(stdout);
    assert_eq!(status.code(), Some(7));
}

fn serve() -> Result<(), InitError> {
    let telemetry = Builder::new(Preset::Dev)
        .output(Output::Stdout)
        // A summary is pending at the shutdown.
        .sampler("owed=first:1")
        .init()?;
    for n in 0..3 {
        tracing::info!(target: "owed", n, "suppressed but for the first");
    }
    fill_stdout();
    thread::spawn(|| tracing::info!("waits for the reader"));
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        telemetry.shutdown(Duration::from_millis(100));
        done.send(())
    });
    let ended = is_done.recv_timeout(Duration::from_secs(60));
    exit(if ended.is_ok() { 7 } else { 1 })
}

/// Fills the pipe until a write would block.
#[cfg(target_os = "linux")]
fn fill_stdout() {
    use std::{fs::File, io::Write as _, os::fd::AsFd as _};

    let stdout =
        spanwise_core::internal::stdio::reopen_nonblocking(std::io::stdout().as_fd()).unwrap();
    let mut stdout = File::from(stdout);
    // Writes smaller pieces, down to a byte.
    for size in [4096, 1] {
        while stdout.write_all(&vec![b'x'; size]).is_ok() {}
    }
}

#[cfg(not(target_os = "linux"))]
fn fill_stdout() {}
