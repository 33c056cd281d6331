//! The end of a process by `exit`.

use std::{
    io::{self, Write},
    mem,
    process::Stdio,
    thread,
};

use spanwise_appender::Background;
use spanwise_testing::support::wait_until;

use crate::support::{part, start};

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

#[test]
fn stalled_outputs_share_one_deadline() {
    if part().is_some() {
        // If they waited one after the other, the test would time out.
        for _ in 0..20 {
            let (mut background, guard) = Background::builder(Stalls).build().unwrap();
            background.write_all(b"a line\n").unwrap();
            mem::forget(guard);
        }
        std::process::exit(0);
    }
    let mut command = start(module_path!(), "stalled_outputs_share_one_deadline");
    let mut process = command.stderr(Stdio::null()).spawn().unwrap();
    wait_until("the process ends", || process.try_wait().unwrap().is_some());
    assert!(process.wait().unwrap().success());
}
