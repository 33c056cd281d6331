//! Two threads that fork at once.

use std::{
    io::{self, Write as _},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::support::{Does, Steered, alone};
use spanwise_appender::Background;
use spanwise_core::SelfReport;
use spanwise_testing::support::wait_until;

const END_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest pause of a fork. Some C libraries run one fork at a time, so the other fork never
/// begins or ends during the pause.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// The number of forks that reached their pause.
static PAUSED: AtomicUsize = AtomicUsize::new(0);
/// For the first and the second fork: whether it continues.
static IS_RESUMED: [AtomicBool; 2] = [AtomicBool::new(false), AtomicBool::new(false)];

/// Pauses a fork, after everything else that runs before a fork.
extern "C" fn pause_fork() {
    let Some(is_resumed) = IS_RESUMED.get(PAUSED.fetch_add(1, Ordering::SeqCst)) else {
        return;
    };
    let begin = Instant::now();
    while !is_resumed.load(Ordering::SeqCst) && begin.elapsed() < MAX_PAUSE {
        thread::yield_now();
    }
    is_resumed.store(true, Ordering::SeqCst);
}

/// Makes forks pause. Must be called before the first output is opened, because the function that
/// is registered first runs last.
fn pause_forks() {
    // SAFETY: The function exists as long as the program, and does not unwind.
    #[expect(unsafe_code, reason = "nothing safe wraps this function of libc")]
    let registered = unsafe { libc::pthread_atfork(Some(pause_fork), None, None) };
    assert_eq!(registered, 0);
}

fn wait_until_paused(forks: usize) {
    wait_until("a fork pauses", || PAUSED.load(Ordering::SeqCst) >= forks);
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
            pause_forks();
            IS_RESUMED[1].store(true, Ordering::SeqCst);
            let writer = Steered::new(Does::Take);
            let (mut background, guard) = Background::builder(writer.clone())
                .report(&SelfReport::silent())
                .build()
                .unwrap();
            let paused = thread::spawn(fork);
            wait_until_paused(1);
            fork();
            background.write_all(b"line\n").unwrap();
            let flushed = Background::flush(&background, Duration::from_millis(20));
            let lines = writer.lines();
            if !IS_RESUMED[0].swap(true, Ordering::SeqCst) {
                assert_eq!(flushed.unwrap_err().kind(), io::ErrorKind::TimedOut);
                assert_eq!(lines, [""; 0]);
            }
            paused.join().unwrap();
            assert_eq!(guard.shutdown(END_TIMEOUT).delivered, 1);
            assert_eq!(writer.lines(), ["line"]);
        },
    );
}

#[test]
fn fork_without_an_output_does_not_end_another() {
    alone(
        module_path!(),
        "fork_without_an_output_does_not_end_another",
        || {
            pause_forks();
            let open = |writer: &Steered| {
                Background::builder(writer.clone())
                    .report(&SelfReport::silent())
                    .build()
                    .unwrap()
            };
            // The first output makes the process notice forks.
            let _other = open(&Steered::new(Does::Take));
            let first = thread::spawn(fork);
            wait_until_paused(1);
            let writer = Steered::new(Does::Take);
            let (mut background, guard) = open(&writer);
            let second = thread::spawn(fork);
            wait_until_paused(2);
            IS_RESUMED[0].store(true, Ordering::SeqCst);
            first.join().unwrap();
            background.write_all(b"line\n").unwrap();
            let flushed = Background::flush(&background, Duration::from_millis(20));
            let lines = writer.lines();
            if !IS_RESUMED[1].swap(true, Ordering::SeqCst) {
                assert_eq!(flushed.unwrap_err().kind(), io::ErrorKind::TimedOut);
                assert_eq!(lines, [""; 0]);
            }
            second.join().unwrap();
            assert_eq!(guard.shutdown(END_TIMEOUT).delivered, 1);
            assert_eq!(writer.lines(), ["line"]);
        },
    );
}
