//! A forked process reports faults, whatever the threads of its parent did at the fork. The test
//! forks, so it is the only one in its process.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

#[path = "support/forks.rs"]
mod forks;

use std::{
    fs::File,
    io::{Read as _, pipe},
    os::fd::AsRawFd,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use forks::in_child;
use spanwise_core::{Fault, SelfReport};

const FORKS: usize = 50;

/// Makes `file` the stderr of this process.
fn redirect_stderr(file: &impl AsRawFd) {
    // SAFETY: both descriptors are open.
    #[expect(unsafe_code, reason = "nothing safe replaces stderr")]
    let replaced = unsafe { libc::dup2(file.as_raw_fd(), libc::STDERR_FILENO) };
    assert_eq!(replaced, libc::STDERR_FILENO);
}

/// Sets the flag when it is dropped.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn child_prints_faults_that_the_parent_was_printing() {
    redirect_stderr(&File::options().write(true).open("/dev/null").unwrap());
    let report = SelfReport::new();
    let is_done = AtomicBool::new(false);
    let print = || report.fault_unthrottled(Fault::Shed, &"of the parent");
    print();
    thread::scope(|scope| {
        // A panic below also ends the thread. Otherwise the scope would wait for it forever.
        let _end = SetOnDrop(&is_done);
        scope.spawn(|| {
            while !is_done.load(Ordering::SeqCst) {
                print();
            }
        });
        let mut printed = Vec::new();
        for _ in 0..FORKS {
            let (mut reader, writer) = pipe().unwrap();
            in_child(|| {
                redirect_stderr(&writer);
                report.fault_unthrottled(Fault::Shed, &"of the child");
            });
            drop(writer);
            let mut line = String::new();
            reader.read_to_string(&mut line).unwrap();
            printed.push(line.contains("spanwise: shed: of the child"));
        }
        assert_eq!(printed, [true; FORKS]);
    });
}
