//! Three outputs that never come back hold the exit up as long as one.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::mem_forget,
    reason = "a test that is its own program"
)]

use std::{
    io::{self, Write},
    mem,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use spanwise_appender::Background;

struct Stalls;

impl Write for Stalls {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        loop {
            thread::park();
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn main() {
    if std::env::args().any(|arg| arg == "--exit") {
        for _ in 0..3 {
            let (mut background, guard) = Background::builder(Stalls).build().unwrap();
            background.write_all(b"a line\n").unwrap();
            mem::forget(guard);
        }
        std::process::exit(0);
    }
    let since = Instant::now();
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.arg("--exit").output().unwrap();
    let took = since.elapsed();
    assert!(took < Duration::from_secs(7), "it took {took:?}");
    println!("test result: ok. 1 passed; 0 failed");
}
