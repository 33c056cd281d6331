//! A program that a test has started, and the lines that it writes.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread::{self, JoinHandle},
};

use serde_json::Value;

use crate::GUARD;

/// A running program. Dropping it ends it.
pub(crate) struct RunningProgram {
    child: Child,
    next_lines: Receiver<String>,
    lines: Vec<Value>,
    stderr: JoinHandle<String>,
}

impl RunningProgram {
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped());
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        Self {
            next_lines: read_lines(child.stdout.take().unwrap()),
            stderr: read_text(child.stderr.take().unwrap()),
            lines: Vec::new(),
            child,
        }
    }

    /// Waits for the address of a listener.
    pub(crate) fn address(&mut self, listener: &str) -> String {
        let port = |line: &Value| (line["listener"] == listener).then(|| line["port"].as_u64());
        loop {
            if let Some(port) = self.lines.iter().find_map(port) {
                return format!("127.0.0.1:{}", port.unwrap());
            }
            assert!(self.has_next_line(), "no {listener}: {:#?}", self.lines);
        }
    }

    /// Closes stdin, and waits for the end. Returns all lines.
    pub(crate) fn finish(mut self) -> Vec<Value> {
        drop(self.child.stdin.take());
        while self.has_next_line() {}
        let status = self.child.wait().unwrap();
        let stderr = std::mem::replace(&mut self.stderr, thread::spawn(String::new));
        assert_eq!(stderr.join().unwrap(), "");
        assert!(status.success(), "{status}");
        std::mem::take(&mut self.lines)
    }

    /// Waits for a line. Returns false after the last one.
    fn has_next_line(&mut self) -> bool {
        match self.next_lines.recv_timeout(GUARD) {
            Ok(line) => {
                let parsed = serde_json::from_str(&line);
                self.lines
                    .push(parsed.unwrap_or_else(|error| panic!("{error}: {line}")));
                true
            }
            Err(RecvTimeoutError::Disconnected) => false,
            Err(RecvTimeoutError::Timeout) => panic!("the program hangs: {:?}", self.lines.last()),
        }
    }
}

fn read_lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            let _ = sender.send(line.unwrap());
        }
    });
    lines
}

fn read_text(mut stderr: ChildStderr) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    })
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
