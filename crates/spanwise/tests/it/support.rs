//! Shared code of the tests.

#![allow(unreachable_pub, reason = "a module of a test")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    any, env,
    process::{self, Command},
    sync::atomic::{AtomicIsize, Ordering},
    thread,
    time::Duration,
};

pub use spanwise_testing::support::{Lines, bounded};

/// The variable with the name of the test that a process runs alone.
const ALONE: &str = "SPANWISE_TEST_ALONE";

/// The maximum time of any wait in a test, on any machine.
const GUARD: Duration = Duration::from_secs(120);

/// The time zone of separate processes, which is far from UTC.
const LOCAL_ZONE: &str = "TST-5:45";

/// The offset of this zone, in minutes east of Greenwich.
pub const LOCAL_OFFSET: i64 = 5 * 60 + 45;

/// Runs the test that contains `here` in a separate process, and returns true. Returns false in the
/// separate process.
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

/// Installs the whole stack with JSON and a console. It uses a global dispatcher, so that
/// re-entrant events are not dropped.
pub fn install() -> (Lines, Lines, spanwise::Telemetry) {
    let (json, console) = (Lines::default(), Lines::default());
    let beside = spanwise::layer::JsonLayer::new().with_writer(json.clone());
    let telemetry = spanwise::Builder::new(spanwise::Preset::Test)
        .levels("trace")
        .with_writer(console.clone())
        .layer(beside)
        .init()
        .unwrap();
    (json, console, telemetry)
}

/// Installs a console with events from DEBUG and the context key `job_id`.
pub fn install_console(format: spanwise::Format) -> (Lines, spanwise::Telemetry) {
    let lines = Lines::default();
    let telemetry = spanwise::Builder::new(spanwise::Preset::Test)
        .levels("debug")
        .format(format)
        .with_writer(lines.clone())
        .context_key("job_id")
        .init()
        .unwrap();
    (lines, telemetry)
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
// SAFETY: every call is forwarded unchanged to the system's allocator.
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
