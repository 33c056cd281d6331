//! What the tests share.

#![allow(dead_code, unreachable_pub, reason = "each test uses some of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is wrong"
)]

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, mpsc},
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

/// Runs `test` on a thread of its own, so that a deadlock is a failure and not a test that never ends.
pub fn bounded(test: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    match finished.recv_timeout(Duration::from_secs(60)) {
        Ok(()) => {}
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test hangs: a deadlock"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            thread.join().expect("the test failed above");
        }
    }
}

/// The whole stack under a global dispatcher, where re-entrant events are not dropped: JSON, with a console beside it.
pub fn install() -> (Lines, Lines, spanwise::Telemetry) {
    let (json, console) = (Lines::default(), Lines::default());
    let beside = spanwise::JsonLayer::new().with_writer(json.clone());
    let telemetry = spanwise::Builder::test()
        .levels("trace".parse().unwrap())
        .with_writer(console.clone())
        .with(beside)
        .init()
        .unwrap();
    (json, console, telemetry)
}
