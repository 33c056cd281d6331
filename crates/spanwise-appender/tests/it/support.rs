//! A scripted writer, and helpers that the tests share.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Condvar, Mutex},
};

use spanwise_testing::support::wait_until;

/// The reaction of the writer to its next write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// Accepts all bytes.
    Take,
    /// Accepts at most this many bytes.
    TakeAtMost(usize),
    /// Accepts this many bytes, and then fails with a full disk.
    TakeThenFail(usize),
    /// Fails with a closed pipe.
    Close,
    /// Blocks.
    Stall,
    /// Panics.
    Panic,
}

/// A writer that a test controls.
#[derive(Clone)]
pub struct Steered(Arc<(Mutex<State>, Condvar)>);

struct State {
    does: Does,
    bytes: Vec<u8>,
    writes: usize,
    stalled: bool,
    failed: bool,
}

impl Steered {
    pub fn new(does: Does) -> Self {
        let state = State {
            does,
            bytes: Vec::new(),
            writes: 0,
            stalled: false,
            failed: false,
        };
        Self(Arc::new((Mutex::new(state), Condvar::new())))
    }

    pub fn set(&self, does: Does) {
        self.0.0.lock().unwrap().does = does;
        self.0.1.notify_all();
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.0.lock().unwrap().bytes.clone()).unwrap()
    }

    pub fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }

    pub fn writes(&self) -> usize {
        self.0.0.lock().unwrap().writes
    }

    /// Waits until a thread is blocked in the writer.
    pub fn wait_until_stalled(&self) {
        wait_until("the writer stalls", || self.0.0.lock().unwrap().stalled);
    }

    /// Waits until a write was refused.
    pub fn wait_until_failed(&self) {
        wait_until("a write fails", || self.0.0.lock().unwrap().failed);
    }
}

impl Write for Steered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        state.writes += 1;
        while state.does == Does::Stall {
            state.stalled = true;
            state = changed.wait(state).unwrap();
        }
        state.stalled = false;
        match state.does {
            Does::Take | Does::Stall => {
                state.bytes.extend(bytes);
                Ok(bytes.len())
            }
            Does::TakeAtMost(most) => {
                let taken = most.min(bytes.len());
                state.bytes.extend(&bytes[..taken]);
                Ok(taken)
            }
            Does::TakeThenFail(most) => {
                let taken = most.min(bytes.len());
                if taken == 0 {
                    state.failed = true;
                    return Err(io::ErrorKind::StorageFull.into());
                }
                state.bytes.extend(&bytes[..taken]);
                state.does = Does::TakeThenFail(0);
                Ok(taken)
            }
            Does::Close => {
                state.failed = true;
                Err(io::ErrorKind::BrokenPipe.into())
            }
            Does::Panic => {
                drop(state);
                panic!("the writer panics, on purpose");
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The part of a test that this process was started for, if any.
const PART: &str = "PART_OF_A_TEST";

/// The directory that [`within`] created, in the process that it started.
pub fn part() -> Option<PathBuf> {
    std::env::var_os(PART).map(PathBuf::from)
}

/// Returns the arguments with which this program runs the test `module_path!()::name` alone.
pub fn only(module: &str, name: &str) -> [String; 3] {
    let (_, module) = module.split_once("::").unwrap();
    [
        "--exact".to_owned(),
        format!("{module}::{name}"),
        "--nocapture".to_owned(),
    ]
}

/// Starts the test `module_path!()::name` in a separate process, in which [`part`] is set.
pub fn start(module: &str, name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(only(module, name)).env(PART, ".");
    command
}

/// Runs `part` of the test `module_path!()::name` in a separate process, which `wrapper` starts.
/// Its working directory is the given one, which every user may write to.
#[cfg(unix)]
#[track_caller]
pub fn within(module: &str, name: &str, wrapper: &[&str], act: impl FnOnce(&Path)) {
    use std::os::unix::fs::PermissionsExt as _;

    if let Some(dir) = part() {
        return act(&dir);
    }
    let anybody = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o777));
    let dir = tempfile::tempdir().unwrap();
    anybody(dir.path()).unwrap();
    // Another user may not have access to the directory of the test programs.
    let program = dir.path().join("test");
    // Another process copies it: a child that another test starts would have the copy open for
    // writing, and it could not be run.
    let mut cp = Command::new("cp");
    cp.arg(std::env::current_exe().unwrap()).arg(&program);
    assert!(cp.status().unwrap().success());
    let work = dir.path().join("work");
    fs::create_dir(&work).unwrap();
    anybody(&work).unwrap();
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(&program);
    command.args(only(module, name)).env(PART, &work);
    passes(command.current_dir(&work));
}

/// Runs `act`, the test `module_path!()::name`, in a separate process.
#[track_caller]
pub fn alone(module: &str, name: &str, act: impl FnOnce()) {
    match part() {
        Some(_) => act(),
        None => passes(&mut start(module, name)),
    }
}

#[track_caller]
fn passes(command: &mut Command) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let passed = output.status.success() && text.contains("1 passed");
    assert!(passed, "{}: {text}", output.status);
}

/// Returns whether this user is root. If not, prints which test is skipped, since a skipped test
/// must not look as if it had passed.
#[cfg(unix)]
pub fn is_root(test: &str) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    let dir = tempfile::tempdir().unwrap();
    let is_root = dir.path().metadata().unwrap().uid() == 0;
    if !is_root {
        // The harness does not capture it, unlike `eprintln!`.
        let _ = writeln!(io::stderr(), "SKIPPED {test}: it needs root");
    }
    is_root
}

/// Returns a directory in memory if there is such a disk, for thousands of files.
pub fn dir_in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}
