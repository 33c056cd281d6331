//! Writers and errors that log, block and panic, in each method and in each state of an output.
//!
//! The subscriber is global, because a scoped one drops events that its own layers log. While a
//! writer blocks, threads that log must continue, and each line must be in one counter.

use std::{
    cell::Cell,
    fmt,
    io::{self, Write},
    sync::{
        Arc, Condvar, Mutex, RwLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use spanwise_appender::{Background, FlushGuard, WhenFull};
use spanwise_core::SelfReport;
use spanwise_testing::support::wait_until;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::alone;

const GUARD: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Log,
    Block,
    Panic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Write,
    Flush,
    DropWriter,
    ErrorDisplay,
    ErrorDebug,
    DropError,
}

/// The state of the output at the hostile act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The writer thread writes.
    Running,
    /// The writer has refused lines.
    Failing,
    /// The shutdown is in progress.
    Closing,
    /// The guard was dropped, so callers write.
    Direct,
}

/// The hostile act, and whether it has happened.
struct Script {
    act: Act,
    place: Place,
    armed: AtomicBool,
    refuses: AtomicBool,
    acted: AtomicUsize,
    open: Mutex<bool>,
    opened: Condvar,
}

thread_local! {
    static ACTING: Cell<bool> = const { Cell::new(false) };
}

impl Script {
    fn act(&self, place: Place) {
        if place != self.place || !self.armed.load(Ordering::SeqCst) || ACTING.get() {
            return;
        }
        self.acted.fetch_add(1, Ordering::SeqCst);
        match self.act {
            Act::Log => {
                ACTING.set(true);
                tracing::error!("logged by the writer");
                ACTING.set(false);
            }
            Act::Block => {
                let open = self.open.lock().unwrap();
                drop(self.opened.wait_while(open, |open| !*open).unwrap());
            }
            // A destructor that panics during an unwind would abort the program.
            Act::Panic if thread::panicking() => {}
            Act::Panic => panic!("on command"),
        }
    }

    fn let_go(&self) {
        self.armed.store(false, Ordering::SeqCst);
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

struct Hostile(Arc<Script>);

impl Write for Hostile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.act(Place::Write);
        if self.0.refuses.load(Ordering::SeqCst) {
            return Err(io::Error::other(HostileError(Arc::clone(&self.0))));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.act(Place::Flush);
        Ok(())
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.0.act(Place::DropWriter);
    }
}

struct HostileError(Arc<Script>);

impl fmt::Display for HostileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.act(Place::ErrorDisplay);
        f.write_str("it refuses")
    }
}

impl fmt::Debug for HostileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.act(Place::ErrorDebug);
        f.write_str("it refuses")
    }
}

impl std::error::Error for HostileError {}

impl Drop for HostileError {
    fn drop(&mut self) {
        self.0.act(Place::DropError);
    }
}

/// The output that the global subscriber writes to at present.
static OUTPUT: RwLock<Option<Background>> = RwLock::new(None);

/// The number of lines that the output received, including lines in progress.
static GIVEN: AtomicU64 = AtomicU64::new(0);
static WRITING: AtomicU64 = AtomicU64::new(0);

struct ToOutput;

/// Writes one line to the current output.
struct Line(Option<Background>, Level);

impl<'a> MakeWriter<'a> for ToOutput {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(None, Level::ERROR)
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line {
        Line(OUTPUT.read().unwrap().clone(), *metadata.level())
    }
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let Some(output) = &self.0 else {
            return Ok(line.len());
        };
        GIVEN.fetch_add(1, Ordering::SeqCst);
        WRITING.fetch_add(1, Ordering::SeqCst);
        let written = output.writer(self.1).write(line);
        WRITING.fetch_sub(1, Ordering::SeqCst);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a closure on a separate thread, which must end although the writer is hostile.
#[track_caller]
fn ends(what: &str, act: impl FnOnce() + Send + 'static) {
    let thread = thread::spawn(act);
    wait_until(what, || thread.is_finished());
    thread.join().unwrap();
}

fn log_ten() {
    (0..10).for_each(|n| tracing::info!(n, "a line"));
}

fn start(script: &Arc<Script>, report: &SelfReport) -> (Background, FlushGuard) {
    Background::builder(Hostile(Arc::clone(script)))
        .when_full(WhenFull::ShedByLevel(Duration::ZERO))
        .report(report)
        .build()
        .unwrap()
}

fn try_one(act: Act, place: Place, state: State) {
    let what = format!("{act:?} in {place:?} while {state:?}");
    let script = Arc::new(Script {
        act,
        place,
        armed: AtomicBool::new(false),
        refuses: AtomicBool::new(false),
        acted: AtomicUsize::new(0),
        open: Mutex::new(false),
        opened: Condvar::new(),
    });
    let report = SelfReport::silent();
    let (background, guard) = start(&script, &report);
    GIVEN.store(0, Ordering::SeqCst);
    *OUTPUT.write().unwrap() = Some(background.clone());
    let is_error = matches!(
        place,
        Place::ErrorDisplay | Place::ErrorDebug | Place::DropError
    );
    let arm = || {
        script.refuses.store(is_error, Ordering::SeqCst);
        script.armed.store(true, Ordering::SeqCst);
    };
    let mut guard = Some(guard);
    match state {
        State::Running => {
            arm();
            ends(&what, log_ten);
        }
        State::Failing => {
            script.refuses.store(true, Ordering::SeqCst);
            log_ten();
            let _ = background.flush(GUARD);
            arm();
            ends(&what, log_ten);
        }
        State::Closing => {
            log_ten();
            background.flush(GUARD).unwrap();
            log_ten();
            arm();
            let guard = guard.take().unwrap();
            ends(&what, move || {
                guard.shutdown(Duration::from_millis(200));
            });
            ends(&what, log_ten);
        }
        State::Direct => {
            drop(guard.take());
            arm();
            // The caller writes, so it may wait for the writer. No other thread may wait.
            let caller = thread::spawn(log_ten);
            wait_until(&what, || {
                caller.is_finished() || script.acted.load(Ordering::SeqCst) > 0
            });
            ends(&what, log_ten);
            if place != Place::DropWriter {
                script.let_go();
            }
            caller.join().unwrap();
        }
    }
    // Flushing and counting continue, too.
    let flushing = background.clone();
    ends(&what, move || {
        drop(flushing.flush(Duration::from_millis(20)))
    });
    ends(&what, move || drop(report.stats()));
    let let_go_first = place != Place::DropWriter;
    if let_go_first {
        // On a busy machine, the writer may not have been called yet.
        if place != Place::ErrorDebug {
            wait_until(&what, || script.acted.load(Ordering::SeqCst) > 0);
        }
        script.let_go();
        script.refuses.store(false, Ordering::SeqCst);
    }
    if let Some(guard) = guard {
        guard.shutdown(GUARD);
    }
    *OUTPUT.write().unwrap() = None;
    if let_go_first {
        // A flush may still report an attempt that failed before the writer was released.
        wait_until(&what, || background.flush(GUARD).is_ok());
    }
    wait_until(&what, || WRITING.load(Ordering::SeqCst) == 0);
    let stats = background.stats();
    let counted = stats.delivered + stats.lost();
    assert_eq!(counted, GIVEN.load(Ordering::SeqCst), "{what}: {stats:?}");
    let last = thread::spawn(move || drop(background));
    if act == Act::Block && place == Place::DropWriter {
        // The lock belongs to the writer. No thread may wait for this lock while it has another
        // lock.
        wait_until(&what, || {
            script.acted.load(Ordering::SeqCst) > 0 || last.is_finished()
        });
        ends(&what, log_ten);
    }
    if place == Place::DropWriter {
        wait_until(&what, || script.acted.load(Ordering::SeqCst) > 0);
    }
    script.let_go();
    wait_until(&what, || last.is_finished());
    last.join().unwrap();
}

#[test]
fn hostile_writers_do_not_take_down_the_program() {
    alone(
        module_path!(),
        "hostile_writers_do_not_take_down_the_program",
        || {
            let log = tracing_subscriber::fmt().with_writer(ToOutput);
            tracing::subscriber::set_global_default(log.finish()).unwrap();
            // A hook that logs reports panics, like the one of the facade.
            let print = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if !spanwise_core::internal::reentrancy::is_logging() {
                    tracing::error!("a panic");
                }
                print(info);
            }));
            let places = [
                Place::Write,
                Place::Flush,
                Place::DropWriter,
                Place::ErrorDisplay,
                Place::ErrorDebug,
                Place::DropError,
            ];
            for state in [
                State::Running,
                State::Failing,
                State::Closing,
                State::Direct,
            ] {
                for place in places {
                    for act in [Act::Log, Act::Block, Act::Panic] {
                        try_one(act, place, state);
                    }
                }
            }
        },
    );
}
