//! A program of `src/programs`, run in a process and a directory of its own.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// No program of these tests takes longer, whatever else the machine does.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// A program before it is started. Nothing of the environment of the tests reaches it.
pub(crate) struct Program {
    command: Command,
    directory: TempDir,
}

/// A program that runs.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    stderr: JoinHandle<String>,
    seen: String,
    directory: TempDir,
}

/// What a program left.
pub(crate) struct Done {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    directory: TempDir,
}

impl Program {
    pub(crate) fn new(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ecosystem"));
        command
            .arg(name)
            .env_clear()
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self { command, directory }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn start(mut self) -> Running {
        let mut child = self.command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        Running {
            child,
            stdout,
            stderr,
            seen: String::new(),
            directory: self.directory,
        }
    }

    /// Runs it to its end, without input.
    pub(crate) fn run(self) -> Done {
        self.start().end()
    }
}

impl Running {
    /// Gives it input, which then ends.
    pub(crate) fn input(mut self, text: &str) -> Self {
        let mut stdin = self.child.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        self
    }

    /// The next line of stdout that has `part`.
    #[track_caller]
    pub(crate) fn line_with(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.stdout.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "no line with {part} in:\n{}", self.seen);
            self.seen.push_str(&line);
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Where the service listens, as its line says.
    #[track_caller]
    pub(crate) fn address(&mut self) -> String {
        let line: Value = serde_json::from_str(&self.line_with("listening")).unwrap();
        let address = [&line["address"], &line["fields"]["address"]]
            .into_iter()
            .find_map(Value::as_str);
        address.unwrap().to_owned()
    }

    /// Has a service end.
    pub(crate) fn terminate(self) -> Done {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(sent.success());
        self.end()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Done {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        let deadline = Instant::now() + TIMEOUT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::yield_now();
        };
        Done {
            status,
            stdout: self.seen + &rest,
            stderr: self.stderr.join().unwrap(),
            directory: self.directory,
        }
    }
}

impl Done {
    /// The lines of stdout.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        objects(&self.stdout)
    }

    /// The only line of stdout with this message.
    #[track_caller]
    pub(crate) fn line(&self, message: &str) -> Value {
        only(&self.lines(), message)
    }

    /// Names of the files in `logs`, in order, without those that are hidden.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path().join("logs")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    pub(crate) fn file(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join("logs").join(name)).unwrap()
    }
}

#[track_caller]
pub(crate) fn objects(text: &str) -> Vec<Value> {
    let parse =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text.lines().map(parse).collect()
}

/// The only one of these lines with this message.
#[track_caller]
pub(crate) fn only(lines: &[Value], message: &str) -> Value {
    let is_it = |line: &&Value| line["message"] == message || line["fields"]["message"] == message;
    let all: Vec<_> = lines.iter().filter(is_it).collect();
    assert_eq!(all.len(), 1, "{message:?} in {lines:#?}");
    all[0].clone()
}

/// What a service answers to a request: its head and its body.
pub(crate) fn ask(address: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{head}\r\nhost: shop\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
