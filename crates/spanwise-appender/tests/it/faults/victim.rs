//! A program that logs on command, and counts. The tests of faults use it as their victim.
//!
//! Arguments are `key=value`, see `Setup`. Commands are lines from a socket. The program answers
//! each command with a line, so that a test need not sleep to wait for a state of its victim.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a program for tests"
)]

#[cfg(unix)]
mod record;

#[cfg(unix)]
fn main() {
    unix::main();
}

#[cfg(not(unix))]
fn main() {}

#[cfg(unix)]
mod unix {
    use std::{
        collections::HashMap,
        fmt::{self, Write as _},
        fs::OpenOptions,
        io::{BufRead, BufReader, Write},
        os::{
            fd::AsRawFd,
            unix::{net::UnixStream, process::CommandExt},
        },
        process::Command,
        str::FromStr,
        sync::{
            Arc, OnceLock,
            atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        },
        thread::{self, JoinHandle},
        time::Duration,
    };

    use spanwise_appender::{Background, FlushGuard, RollingFile, WhenFull};
    use tracing::{Level, Metadata, Subscriber, field, metadata};
    use tracing_subscriber::{Layer, fmt::MakeWriter, layer::Context, prelude::*};

    use crate::record::{self, record};

    /// The arguments it was started with.
    struct Setup(HashMap<String, String>);

    impl Setup {
        fn from_args() -> Self {
            let pairs = std::env::args().skip(1).map(|argument| {
                let (key, value) = argument.split_once('=').expect("key=value");
                (key.to_owned(), value.to_owned())
            });
            Self(pairs.collect())
        }

        fn text(&self, key: &str, default: &'static str) -> &str {
            self.0.get(key).map_or(default, String::as_str)
        }

        fn number<N: FromStr<Err: fmt::Debug>>(&self, key: &str, default: N) -> N {
            self.0
                .get(key)
                .map_or(default, |value| value.parse().expect(key))
        }

        fn when_full(&self) -> WhenFull {
            let text = self.text("when_full", "block:60000");
            let (name, millis) = text.split_once(':').unwrap_or((text, "100"));
            let at_most = Duration::from_millis(millis.parse().expect("milliseconds"));
            match name {
                "block" => WhenFull::Block(at_most),
                "ladder" => WhenFull::ShedByLevel(at_most),
                "shed" => WhenFull::Shed,
                other => panic!("when_full={other}"),
            }
        }
    }

    /// Numbers in a file, which survive a SIGKILL.
    fn tally(slot: usize) -> &'static AtomicU64 {
        &TALLY.get().expect("mapped")[CHILD.load(Ordering::Relaxed) + slot]
    }

    static TALLY: OnceLock<&'static [AtomicU64]> = OnceLock::new();
    /// The first index of the counters of this process.
    static CHILD: AtomicUsize = AtomicUsize::new(0);
    static BACKGROUND: OnceLock<Background> = OnceLock::new();

    #[expect(unsafe_code, reason = "memory that outlives its process")]
    fn map_tally(path: &str) {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .expect(path);
        let bytes = record::SLOTS * size_of::<AtomicU64>();
        // SAFETY: The file is as long as the mapping, which is never unmapped. Atomics may be
        // shared with the reader.
        let slots = unsafe {
            let start = libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            );
            assert_ne!(start, libc::MAP_FAILED, "mmap");
            std::slice::from_raw_parts(start.cast::<AtomicU64>(), record::SLOTS)
        };
        TALLY.set(slots).expect("once");
    }

    fn store_counters() {
        let Some(stats) = BACKGROUND.get().map(Background::stats) else {
            return;
        };
        let store = |slot, number| tally(slot).store(number, Ordering::Relaxed);
        store(record::DELIVERED, stats.delivered);
        store(record::WRITE_FAILED, stats.write_failed);
        store(record::SHED, stats.shed.total());
        store(record::SHED_SEVERE, stats.shed.error + stats.shed.warn);
        store(record::SHED_INFO, stats.shed.info);
        store(record::LOST_AT_SHUTDOWN, stats.lost_at_shutdown);
    }

    /// Runs last, because it is registered first.
    extern "C" fn at_exit() {
        store_counters();
        tally(record::ENDED_WELL).store(1, Ordering::Relaxed);
    }

    pub fn main() {
        let setup = Setup::from_args();
        map_tally(setup.text("tally", "tally"));
        // SAFETY: The function lives as long as the program, and does not unwind.
        #[expect(unsafe_code, reason = "what it is about")]
        unsafe {
            libc::atexit(at_exit);
        }
        let (background, guard, file) = match build(&setup) {
            Ok(built) => built,
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "cannot start: {error}");
                std::process::exit(3);
            }
        };
        BACKGROUND.set(background.clone()).expect("once");
        tracing_subscriber::registry().with(Notices).init();
        let control = UnixStream::connect(setup.text("control", "control")).expect("control");
        let mut victim = Victim {
            control: control.try_clone().expect("control"),
            output: Output {
                background,
                direct: file
                    .clone()
                    .filter(|_| setup.text("output", "").starts_with("direct:")),
            },
            guard: Some(guard),
            file,
            base: setup.number("base", 0),
            threads: setup.number("threads", 2),
            size: setup.number("size", 120),
            all_levels: setup.text("levels", "info") == "all",
            going: None,
        };
        let mut answers = control.try_clone().expect("control");
        writeln!(answers, "pid {}", std::process::id()).expect("control");
        for command in BufReader::new(control).lines() {
            let Ok(command) = command else { break };
            let words: Vec<_> = command.split(' ').collect();
            if words[0] == "return" {
                // The end of a program without any special measures.
                return;
            }
            let answer = victim.obey(&words);
            if writeln!(answers, "{answer}").is_err() {
                break;
            }
        }
    }

    type Built = (Background, FlushGuard, Option<RollingFile>);

    fn build(setup: &Setup) -> Result<Built, Box<dyn std::error::Error>> {
        let output = setup.text("output", "stdout");
        let mut rolling = None;
        let builder = match output.split_once(':') {
            None if output == "stderr" => Background::builder(std::io::stderr()),
            None => Background::builder(std::io::stdout()),
            Some(("plain", path)) => {
                let file = OpenOptions::new().append(true).create(true).open(path)?;
                Background::builder(file)
            }
            Some(("rolling" | "direct", path)) => {
                let mut builder = RollingFile::builder(path)
                    .rotation(setup.text("rotation", "never").parse()?)
                    .retention(setup.text("retention", "all").parse()?)
                    .compression(setup.text("compression", "none").parse()?);
                if setup.number("per_process", false) {
                    builder = builder.per_process();
                }
                let file = builder.build()?;
                rolling = Some(file.clone());
                Background::builder(file)
            }
            Some(other) => panic!("output={other:?}"),
        };
        let builder = builder
            .capacity(setup.number("capacity", 8 * 1024 * 1024))
            .when_full(setup.when_full());
        let builder = match setup.number("direct", false) {
            true => builder.direct(),
            false => builder,
        };
        let builder = match setup.number("flush_on_panic", false) {
            true => {
                // The effect of `panic = "abort"` after the hook.
                std::panic::set_hook(Box::new(|_| std::process::abort()));
                builder.flush_on_panic()
            }
            false => builder,
        };
        let builder = match setup.text("sync_on", "none") {
            "none" => builder,
            level => builder.sync_on(level.parse()?),
        };
        let (background, guard) = builder.build()?;
        Ok((background, guard, rolling))
    }

    /// The destination of records.
    #[derive(Clone)]
    struct Output {
        background: Background,
        /// The file itself, without a background writer.
        direct: Option<RollingFile>,
    }

    struct Victim {
        output: Output,
        guard: Option<FlushGuard>,
        file: Option<RollingFile>,
        /// The number of its first thread, among all victims with the same output.
        base: u64,
        threads: usize,
        size: usize,
        all_levels: bool,
        going: Option<Going>,
        control: UnixStream,
    }

    /// The threads that log.
    struct Going {
        stop: Arc<AtomicBool>,
        threads: Vec<JoinHandle<()>>,
    }

    impl Victim {
        fn obey(&mut self, words: &[&str]) -> String {
            let number = |at: usize| {
                words
                    .get(at)
                    .map_or(0, |word| word.parse().expect("number"))
            };
            match words[0] {
                // This many records per thread, with a pause in microseconds after each.
                "log" => {
                    self.go(number(1), number(2));
                    self.join()
                }
                "go" => {
                    self.go(u64::MAX, number(1));
                    "going".to_owned()
                }
                "stop" => {
                    if let Some(going) = &self.going {
                        going.stop.store(true, Ordering::Relaxed);
                    }
                    self.join()
                }
                "stats" => {
                    store_counters();
                    "stored".to_owned()
                }
                "flush" => match self
                    .output
                    .background
                    .flush(Duration::from_millis(number(1)))
                {
                    Ok(()) => "flushed".to_owned(),
                    Err(error) => format!("{:?}: {error}", error.kind()),
                },
                "reopen" => match self.file.as_ref().expect("a file").reopen() {
                    Ok(()) => "reopened".to_owned(),
                    Err(error) => error.to_string(),
                },
                "redirect_stdout" => {
                    let file = OpenOptions::new().append(true).create(true).open(words[1]);
                    rustix::stdio::dup2_stdout(file.expect("a path")).expect("redirected");
                    "redirected".to_owned()
                }
                "fork" => self.fork(number(1), words.get(2).copied().unwrap_or("exit")),
                "daemon" => self.daemon(number(1)),
                "shutdown" => {
                    let deadline = Duration::from_millis(number(1));
                    let report = self.guard.take().expect("a guard").shutdown(deadline);
                    store_counters();
                    format!("{} {}", report.delivered, report.lost)
                }
                "shutdown_and_exit" => {
                    let guard = self.guard.take().expect("a guard");
                    let ending = AtomicBool::new(false);
                    thread::scope(|scope| {
                        scope.spawn(|| {
                            ending.store(true, Ordering::Relaxed);
                            guard.shutdown(Duration::from_secs(5));
                        });
                        while !ending.load(Ordering::Relaxed) {
                            thread::yield_now();
                        }
                        let mut control = self.control.try_clone().expect("control");
                        writeln!(control, "exiting").expect("control");
                        std::process::exit(0)
                    })
                }
                "drop" => {
                    drop(self.guard.take());
                    "dropped".to_owned()
                }
                "leak" => {
                    #[expect(clippy::mem_forget, reason = "what it is about")]
                    std::mem::forget(self.guard.take());
                    "leaked".to_owned()
                }
                "exit" => std::process::exit(0),
                // SAFETY: It ends the process at once, as intended.
                #[expect(unsafe_code, reason = "nothing safe ends so")]
                "_exit" => unsafe { libc::_exit(0) },
                "exec" => {
                    let error = Command::new("true").exec();
                    panic!("{error}")
                }
                "flush_and_exec" => {
                    let flushed = self.output.background.flush(Duration::from_secs(20));
                    flushed.expect("flushed");
                    self.obey(&["exec"])
                }
                "terminate" => {
                    // SAFETY: A signal to this process.
                    #[expect(unsafe_code, reason = "nothing safe sends it")]
                    unsafe {
                        libc::raise(libc::SIGTERM);
                    }
                    unreachable!()
                }
                "panic" => panic!("on command"),
                "abort" => {
                    let background = self.output.background.clone();
                    let deadline = Duration::from_millis(number(1));
                    std::panic::set_hook(Box::new(move |_| {
                        let _ = background.flush(deadline);
                        store_counters();
                        tally(record::ENDED_WELL).store(1, Ordering::Relaxed);
                        // The effect of `panic = "abort"` after the hook.
                        std::process::abort();
                    }));
                    panic!("on command");
                }
                other => panic!("{other}"),
            }
        }

        fn go(&mut self, records: u64, pause: u64) {
            let stop = Arc::new(AtomicBool::new(false));
            let threads = (0..self.threads).map(|thread| {
                let output = self.output.clone();
                let (base, size, all_levels) = (self.base, self.size, self.all_levels);
                let stop = Arc::clone(&stop);
                let pause = Duration::from_micros(pause);
                thread::spawn(move || {
                    for _ in 0..records {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        log(&output, base, thread, size, all_levels);
                        if !pause.is_zero() {
                            thread::sleep(pause);
                        }
                    }
                })
            });
            let threads = threads.collect();
            self.going = Some(Going { stop, threads });
        }

        fn join(&mut self) -> String {
            let going = self.going.take().expect("started before");
            for thread in going.threads {
                thread.join().expect("no panic");
            }
            "logged".to_owned()
        }

        /// The child logs as the first thread of its own counters, and ends on command.
        fn fork(&mut self, records: u64, end: &str) -> String {
            // SAFETY: The child logs, and so allocates, like real programs that fork. The test is
            // about this.
            #[expect(unsafe_code, reason = "what it is about")]
            let child = unsafe { libc::fork() };
            if child == 0 {
                CHILD.store(record::CHILD, Ordering::Relaxed);
                for _ in 0..records {
                    log(&self.output, self.base, 0, self.size, self.all_levels);
                }
                self.obey(&[end, "20000"]);
                std::process::exit(0);
            }
            let mut status = 0;
            // SAFETY: The status is a local variable.
            #[expect(unsafe_code, reason = "nothing safe waits for a child of `fork`")]
            unsafe {
                libc::waitpid(child, &raw mut status, 0);
            }
            format!("child {status}")
        }

        /// Forks like `daemon(3)`: the parent ends at once, and the child continues. Records are
        /// logged before.
        fn daemon(&mut self, records: u64) -> String {
            for _ in 0..records {
                log(&self.output, self.base, 0, self.size, self.all_levels);
            }
            // SAFETY: As above; the parent does nothing after it.
            #[expect(unsafe_code, reason = "what it is about")]
            unsafe {
                if libc::fork() != 0 {
                    libc::_exit(0);
                }
            }
            "child".to_owned()
        }
    }

    /// Logs one record.
    fn log(output: &Output, base: u64, thread: usize, size: usize, all_levels: bool) {
        let count = tally(record::THREADS + thread);
        let number = count.load(Ordering::Relaxed);
        let child = CHILD.load(Ordering::Relaxed);
        let line = record(base + (child + thread) as u64, number, size);
        let metadata = if all_levels {
            of_level(number)
        } else {
            &METADATA[2]
        };
        let written = match &output.direct {
            Some(file) => (&*file).write(line.as_bytes()),
            None => {
                let mut writer = output.background.make_writer_for(metadata);
                writer.write(line.as_bytes())
            }
        }
        .expect("never fails");
        assert_eq!(written, line.len());
        count.store(number + 1, Ordering::Relaxed);
    }

    fn of_level(number: u64) -> &'static Metadata<'static> {
        &METADATA[usize::try_from(number % 5).expect("small")]
    }

    macro_rules! metadata_of {
        ($($level:ident),*) => {
            [$({
                static CALLSITE: Site = Site;
                Metadata::new(
                    "record", "victim", Level::$level, None, None, None,
                    field::FieldSet::new(&[], tracing::callsite::Identifier(&CALLSITE)),
                    metadata::Kind::EVENT,
                )
            }),*]
        };
    }

    struct Site;

    impl tracing::Callsite for Site {
        fn set_interest(&self, _: tracing::subscriber::Interest) {}

        fn metadata(&self) -> &Metadata<'_> {
            &METADATA[0]
        }
    }

    static METADATA: [Metadata<'static>; 5] = metadata_of!(ERROR, WARN, INFO, DEBUG, TRACE);

    /// Writes the events about the log itself into the log.
    struct Notices;

    impl<S: Subscriber> Layer<S> for Notices {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            let mut line = record::NOTICE.to_owned();
            event.record(&mut Text(&mut line));
            line.push_str("\"}\n");
            let background = BACKGROUND.get().expect("built");
            let _ = background
                .make_writer_for(event.metadata())
                .write(line.as_bytes());
            tally(record::NOTICES).fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Text<'a>(&'a mut String);

    impl field::Visit for Text<'_> {
        fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
            let value = format!("{value:?}").replace(['"', '\\'], "'");
            let _ = write!(self.0, "{}={value} ", field.name());
        }
    }
}
