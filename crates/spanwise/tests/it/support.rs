//! What the tests share.

#![allow(unreachable_pub, reason = "a module of a test")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    any, env,
    io::{self, Write},
    process::{self, Command},
    sync::{
        Arc, Mutex,
        atomic::{AtomicIsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

/// Keeps what is written.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).expect("output is UTF-8")
    }

    pub fn objects(&self) -> Vec<Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        };
        self.text().lines().map(parse).collect()
    }

    /// The only line with this message.
    pub fn with_message(&self, message: &str) -> Value {
        let all: Vec<Value> = self
            .objects()
            .into_iter()
            .filter(|line| line["message"] == message)
            .collect();
        assert_eq!(all.len(), 1, "{message:?} in:\n{}", self.text());
        all[0].clone()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Names the test that a process is to run alone.
const ALONE: &str = "SPANWISE_TEST_ALONE";

/// Nothing that a test waits for takes this long, on whatever machine.
const GUARD: Duration = Duration::from_secs(120);

/// The local time of a process of its own is far from UTC.
const LOCAL_ZONE: &str = "TST-5:45";

/// How far, in minutes east of Greenwich.
pub const LOCAL_OFFSET: i64 = 5 * 60 + 45;

/// Runs the test in which `here` is written in a process of its own, and returns true; false in
/// that process.
#[expect(
    clippy::disallowed_methods,
    reason = "between a test and itself, not a setting"
)]
#[expect(clippy::print_stderr, reason = "the output of a test")]
pub fn is_run_alone<F: Fn()>(_here: F) -> bool {
    // `it::panics::with_its_message::{{closure}}`
    let (_, path) = any::type_name::<F>().split_once("::").expect("a module");
    let test = path.split("::{{closure}}").next().expect("its beginning");
    if env::var(ALONE).is_ok_and(|alone| alone == test) {
        thread::spawn(|| {
            thread::sleep(GUARD);
            eprintln!("the test hangs");
            process::abort();
        });
        return false;
    }
    let output = Command::new(env::current_exe().expect("this program"))
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ALONE, test)
        .env("TZ", LOCAL_ZONE)
        .output()
        .expect("it starts");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{test}, in a process of its own, ends with {}:\n{stdout}{stderr}",
        output.status
    );
    true
}

/// Runs `test` on a thread of its own, so that a deadlock is a failure and not a test that never
/// ends.
pub fn bounded(test: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    match finished.recv_timeout(GUARD) {
        Ok(()) => {}
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test hangs: a deadlock"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            thread.join().expect("the test failed above");
        }
    }
}

/// The whole stack under a global dispatcher, where re-entrant events are not dropped: JSON, with a
/// console beside it.
pub fn install() -> (Lines, Lines, spanwise::Telemetry) {
    let (json, console) = (Lines::default(), Lines::default());
    let beside = spanwise::JsonLayer::new().with_writer(json.clone());
    let telemetry = spanwise::Builder::test()
        .levels("trace")
        .with_writer(console.clone())
        .with(beside)
        .init()
        .unwrap();
    (json, console, telemetry)
}

/// Counts the bytes that are allocated.
struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);
static ALLOCATED: AtomicIsize = AtomicIsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that are allocated and not freed, by all threads.
pub fn live_bytes() -> isize {
    LIVE.load(Ordering::Relaxed)
}

/// Bytes that were ever allocated, by all threads.
pub fn allocated_bytes() -> isize {
    ALLOCATED.load(Ordering::Relaxed)
}

#[expect(unsafe_code, reason = "an allocator can be counted in no other way")]
// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size().cast_signed(), Ordering::Relaxed);
        ALLOCATED.fetch_add(layout.size().cast_signed(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size().cast_signed(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}
