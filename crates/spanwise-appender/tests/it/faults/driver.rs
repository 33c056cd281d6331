//! Starts victims, sends them commands, and observes how they end.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    os::{
        fd::AsRawFd,
        unix::{
            fs::{FileExt, PermissionsExt},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    judge::{Verdict, judge},
    record::{self, CHILD, SLOTS, THREADS},
};

/// The maximum time of a wait.
pub const FOREVER: Duration = Duration::from_secs(60);

/// How a victim is started.
pub struct Setup {
    arguments: Vec<String>,
    wrapper: Vec<String>,
    environment: Vec<(String, String)>,
    size: usize,
    base: u64,
    dir: TempDir,
}

impl Setup {
    /// Creates a victim with two threads that log lines of 120 bytes at INFO to stdout, and wait
    /// while the buffer is full.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // The victim may run as another user.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        Self {
            arguments: Vec::new(),
            wrapper: Vec::new(),
            environment: Vec::new(),
            size: 120,
            base: 0,
            dir,
        }
    }

    /// Sets an argument of the victim.
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        let value = value.to_string();
        match key {
            "size" => self.size = value.parse().unwrap(),
            "base" => self.base = value.parse().unwrap(),
            _ => {}
        }
        self.arguments.push(format!("{key}={value}"));
        self
    }

    /// Runs the victim under another program.
    pub fn under(mut self, wrapper: &[&str]) -> Self {
        self.wrapper.extend(wrapper.iter().map(ToString::to_string));
        self
    }

    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.environment.push((key.to_owned(), value.to_owned()));
        self
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts it without a reader of its output.
    pub fn start(self) -> Victim {
        self.start_with(Stdio::piped(), Stdio::piped())
    }

    pub fn start_with(self, stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Victim {
        let path = |name: &str| self.dir.path().join(name);
        let tally = path("tally");
        fs::write(&tally, [0; SLOTS * 8]).unwrap();
        fs::set_permissions(&tally, fs::Permissions::from_mode(0o666)).unwrap();
        let listener = UnixListener::bind(path("control")).unwrap();
        fs::set_permissions(path("control"), fs::Permissions::from_mode(0o777)).unwrap();
        let mut words = self.wrapper.clone();
        words.push(program().to_str().unwrap().to_owned());
        let child = Command::new(&words[0])
            .args(&words[1..])
            .args(&self.arguments)
            .arg(format!("tally={}", tally.display()))
            .arg(format!("control={}", path("control").display()))
            .envs(self.environment)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", words[0]));
        let mut victim = Victim {
            child,
            pid: 0,
            control: None,
            tally,
            size: self.size,
            base: self.base,
            _dir: self.dir,
        };
        if let Some(control) = victim.accept(&listener) {
            control.set_read_timeout(Some(FOREVER)).unwrap();
            victim.control = Some(BufReader::new(control));
            let hello = victim.answer();
            victim.pid = hello.strip_prefix("pid ").unwrap().parse().unwrap();
        }
        victim
    }
}

/// A program that logs.
pub struct Victim {
    child: Child,
    /// The id of the victim itself, not of the program it runs under. `None` if it did not start.
    pid: i32,
    control: Option<BufReader<UnixStream>>,
    tally: PathBuf,
    size: usize,
    base: u64,
    _dir: TempDir,
}

impl Victim {
    /// `None` if it ends before it logs.
    fn accept(&mut self, listener: &UnixListener) -> Option<UnixStream> {
        listener.set_nonblocking(true).unwrap();
        let connected = until("the victim connects", || match listener.accept() {
            Ok((control, _)) => Some(Some(control)),
            Err(_) => self.child.try_wait().unwrap().map(|_| None),
        });
        let control = connected?;
        control.set_nonblocking(false).unwrap();
        Some(control)
    }

    /// Sends a command, and does not wait for the answer.
    pub fn tell(&mut self, command: &str) {
        let control = self.control.as_mut().expect("it did not start");
        writeln!(control.get_mut(), "{command}").unwrap();
    }

    pub fn answer(&mut self) -> String {
        let mut answer = String::new();
        let control = self.control.as_mut().expect("it did not start");
        control
            .read_line(&mut answer)
            .expect("the victim hangs, or got too much to do");
        answer.trim_end().to_owned()
    }

    /// Sends a command, and returns the answer.
    pub fn ask(&mut self, command: &str) -> String {
        self.tell(command);
        self.answer()
    }

    /// Makes the victim log this many records per thread, with a pause in microseconds after each.
    pub fn log(&mut self, records: u64, pause: u64) {
        assert_eq!(self.ask(&format!("log {records} {pause}")), "logged");
    }

    /// Makes the victim log a few records repeatedly, until the condition is true.
    #[track_caller]
    pub fn log_until(&mut self, what: &str, mut condition: impl FnMut() -> bool) {
        until(what, || {
            self.log(5, 1_000);
            condition().then_some(())
        });
    }

    pub fn flush(&mut self) {
        assert_eq!(self.ask("flush 20000"), "flushed");
    }

    /// Returns its counters while it runs.
    pub fn counts(&mut self) -> Counts {
        self.ask("stats");
        Counts::read(&self.tally, 0)
    }

    /// Returns a reader of its stdout, a pipe, from now on.
    pub fn read_stdout(&mut self) -> Reading {
        Reading::start(self.child.stdout.take().unwrap())
    }

    /// Returns its stdout, a pipe.
    pub fn take_stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().unwrap()
    }

    /// Returns its stdout, a pipe with room for one page, so that each write waits for the reader.
    pub fn read_small_stdout(&mut self) -> Reading {
        let stdout = self.take_stdout();
        // SAFETY: The descriptor belongs to a pipe that this value owns.
        #[expect(unsafe_code, reason = "nothing safe sets it")]
        let size = unsafe { libc::fcntl(stdout.as_raw_fd(), libc::F_SETPIPE_SZ, 4096) };
        assert_eq!(size, 4096);
        Reading::start(stdout)
    }

    /// Returns a reader of its stderr, a pipe, from now on.
    pub fn read_stderr(&mut self) -> Reading {
        Reading::start(self.child.stderr.take().unwrap())
    }

    /// Closes the unread end of the pipe.
    pub fn close_stdout(&mut self) {
        drop(self.child.stdout.take());
    }

    pub fn close_stderr(&mut self) {
        drop(self.child.stderr.take());
    }

    pub fn pid(&self) -> i32 {
        self.pid
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: The child was not waited for yet, so its id is not reused.
        #[expect(unsafe_code, reason = "std only kills, and only what it started")]
        let sent = unsafe { libc::kill(self.pid, signal) };
        assert_eq!(sent, 0);
    }

    /// Returns a line of `/proc/…/status`, in KiB.
    pub fn memory(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Returns how a victim ended that could not start.
    pub fn refused(mut self) -> String {
        assert!(self.control.is_none(), "it started");
        let stderr = self.read_stderr();
        let ended = self.ended();
        assert_eq!(ended.status.code(), Some(3), "{}", ended.status);
        stderr.text()
    }

    /// Sends the command to end, and returns how the victim ended.
    pub fn ended(mut self) -> Ended {
        let status = until("the victim ends", || self.child.try_wait().unwrap());
        Ended {
            status,
            counts: Counts::read(&self.tally, 0),
            child: Counts::read(&self.tally, CHILD),
            size: self.size,
            base: self.base,
        }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Reads everything, on a separate thread.
pub struct Reading(thread::JoinHandle<Vec<u8>>);

impl Reading {
    pub fn start(mut from: impl Read + Send + 'static) -> Self {
        Self(thread::spawn(move || {
            let mut all = Vec::new();
            from.read_to_end(&mut all).unwrap();
            all
        }))
    }

    /// Waits until every writer is closed.
    pub fn all(self) -> Vec<u8> {
        self.0.join().unwrap()
    }

    pub fn text(self) -> String {
        String::from_utf8(self.all()).unwrap()
    }
}

/// The remains of a victim.
pub struct Ended {
    pub status: ExitStatus,
    pub counts: Counts,
    /// The counters of its child, if it forked.
    pub child: Counts,
    size: usize,
    base: u64,
}

impl Ended {
    /// Judges an output that no other victim writes to.
    pub fn judge(&self, output: &[u8]) -> Verdict {
        judge(output, self.size, &self.accepted())
    }

    /// Asserts that it reported exactly the records that are missing.
    #[track_caller]
    pub fn assert_it_says_so(&self, verdict: &Verdict) {
        // A line about the log itself may be lost, too.
        let notices = self.counts.notices - verdict.notices.len() as u64;
        let counted = self.counts.lost();
        assert_eq!(
            verdict.lost + notices,
            counted,
            "{verdict}, {:?}",
            self.counts
        );
    }

    /// Returns how many calls of each thread returned.
    pub fn accepted(&self) -> Vec<(u64, u64)> {
        let child = self.child.accepted.iter();
        let child = child.map(|(thread, count)| (thread + CHILD as u64, *count));
        let all = self.counts.accepted.iter().copied().chain(child);
        all.filter(|(_, count)| *count > 0)
            .map(|(thread, count)| (self.base + thread, count))
            .collect()
    }
}

/// The counters of a victim.
#[derive(Debug, Clone)]
pub struct Counts {
    pub knows: bool,
    pub delivered: u64,
    pub write_failed: u64,
    pub shed: u64,
    pub shed_severe: u64,
    pub shed_info: u64,
    pub lost_at_shutdown: u64,
    pub notices: u64,
    /// How many calls of each thread returned.
    pub accepted: Vec<(u64, u64)>,
}

impl Counts {
    fn read(tally: &Path, base: usize) -> Self {
        let file = fs::File::open(tally).unwrap();
        let number = |slot: usize| {
            let mut bytes = [0; 8];
            file.read_exact_at(&mut bytes, ((base + slot) * 8) as u64)
                .unwrap();
            u64::from_ne_bytes(bytes)
        };
        Self {
            knows: number(record::ENDED_WELL) == 1,
            delivered: number(record::DELIVERED),
            write_failed: number(record::WRITE_FAILED),
            shed: number(record::SHED),
            shed_severe: number(record::SHED_SEVERE),
            shed_info: number(record::SHED_INFO),
            lost_at_shutdown: number(record::LOST_AT_SHUTDOWN),
            notices: number(record::NOTICES),
            accepted: (THREADS..CHILD)
                .map(|slot| ((slot - THREADS) as u64, number(slot)))
                .collect(),
        }
    }

    /// How many calls returned, including those for events about the log itself.
    pub fn taken(&self) -> u64 {
        let accepted: u64 = self.accepted.iter().map(|(_, count)| count).sum();
        accepted + self.notices
    }

    pub fn lost(&self) -> u64 {
        self.write_failed + self.shed + self.lost_at_shutdown
    }

    /// Asserts that each line is in one counter.
    #[track_caller]
    pub fn assert_they_add_up(&self) {
        assert_eq!(self.taken(), self.delivered + self.lost(), "{self:?}");
    }
}

/// Calls `done` repeatedly until it returns something.
#[track_caller]
pub fn until<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(done) = done() {
            return done;
        }
        assert!(
            begin.elapsed() < FOREVER,
            "it does not come to pass: {what}"
        );
        thread::sleep(Duration::from_millis(1));
    }
}

/// Returns whether the tools that a test needs exist. If not, prints this, because a skipped test
/// must not look like a passed test.
pub fn have(test: &str, tools: &[&str]) -> bool {
    for tool in tools {
        let there = match *tool {
            // SAFETY: The call cannot fail.
            #[expect(unsafe_code, reason = "nothing safe asks")]
            "root" => unsafe { libc::geteuid() == 0 },
            "the feature gzip" => cfg!(feature = "gzip"),
            // The tool may exist without the permission to trace.
            "strace" => run("strace", &["-o", "/dev/null", "true"]),
            path if path.starts_with('/') => Path::new(path).exists(),
            name => {
                let path = env::var_os("PATH").unwrap_or_default();
                env::split_paths(&path).any(|dir| dir.join(name).exists())
            }
        };
        if !there {
            // The harness does not capture it, unlike `eprintln!`.
            let _ = writeln!(std::io::stderr(), "SKIPPED {test}: it needs {tool}");
            return false;
        }
    }
    true
}

/// Returns whether a program runs successfully.
pub fn run(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    let command = command.args(arguments).stdin(Stdio::null());
    let output = command.output();
    output.is_ok_and(|output| output.status.success())
}

/// Returns the path of the example `victim`, which `cargo test` builds. A binary of this name would
/// be installed with the crate. A test executable that starts itself would bring the harness along,
/// which prints and catches panics.
fn program() -> PathBuf {
    let this = env::current_exe().unwrap();
    let target = this.parent().and_then(Path::parent).unwrap();
    let victim = target.join("examples/victim");
    let built = fs::metadata(&victim).and_then(|victim| victim.modified());
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    assert!(
        built.is_ok_and(|built| built >= newest(&sources)),
        "{} is missing or older than what it tests: run `cargo build -p spanwise-appender --example victim`",
        victim.display()
    );
    victim
}

fn newest(dir: &Path) -> std::time::SystemTime {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let times = entries.map(|entry| match entry.file_type().unwrap() {
        kind if kind.is_dir() => newest(&entry.path()),
        _ => entry.metadata().unwrap().modified().unwrap(),
    });
    times.max().unwrap()
}
