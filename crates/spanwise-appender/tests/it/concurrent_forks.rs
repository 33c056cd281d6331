//! Two threads that fork at once.

use std::{
    io::{self, Write as _},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::support::{Does, Steered, alone};
use spanwise_appender::Background;
use spanwise_core::SelfReport;
use spanwise_testing::support::wait_until;

const END_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest pause of a fork. Some C libraries run one fork at a time, so the other fork never
/// ends during the pause.
const MAX_PAUSE: Duration = Duration::from_secs(5);

static IS_PAUSED: AtomicBool = AtomicBool::new(false);
static IS_RESUMED: AtomicBool = AtomicBool::new(false);

/// Pauses the first fork, after everything else that runs before a fork.
extern "C" fn pause_first_fork() {
    if IS_PAUSED.swap(true, Ordering::SeqCst) {
        return;
    }
    let begin = Instant::now();
    while !IS_RESUMED.load(Ordering::SeqCst) && begin.elapsed() < MAX_PAUSE {
        thread::yield_now();
    }
    IS_RESUMED.store(true, Ordering::SeqCst);
}

/// Starts a child that ends at once.
#[expect(unsafe_code, reason = "nothing safe forks")]
fn fork() {
    // SAFETY: The child only ends. The parent waits for it, and the status may be null.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(0),
            child => assert_eq!(libc::waitpid(child, std::ptr::null_mut(), 0), child),
        }
    }
}

#[test]
fn no_write_begins_before_the_last_of_two_forks() {
    alone(
        module_path!(),
        "no_write_begins_before_the_last_of_two_forks",
        || {
            // Registered first, so that it runs last.
            // SAFETY: The function exists as long as the program, and does not unwind.
            #[expect(unsafe_code, reason = "nothing safe wraps this function of libc")]
            let registered = unsafe { libc::pthread_atfork(Some(pause_first_fork), None, None) };
            assert_eq!(registered, 0);
            let writer = Steered::new(Does::Take);
            let (mut background, guard) = Background::builder(writer.clone())
                .report(&SelfReport::silent())
                .build()
                .unwrap();
            let paused = thread::spawn(fork);
            wait_until("a fork pauses", || IS_PAUSED.load(Ordering::SeqCst));
            fork();
            background.write_all(b"line\n").unwrap();
            let flushed = Background::flush(&background, Duration::from_millis(20));
            let lines = writer.lines();
            if !IS_RESUMED.swap(true, Ordering::SeqCst) {
                assert_eq!(flushed.unwrap_err().kind(), io::ErrorKind::TimedOut);
                assert_eq!(lines, [""; 0]);
            }
            paused.join().unwrap();
            assert_eq!(guard.shutdown(END_TIMEOUT).delivered, 1);
            assert_eq!(writer.lines(), ["line"]);
        },
    );
}
