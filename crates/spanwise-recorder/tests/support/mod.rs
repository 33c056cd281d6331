// Shared by the tests and by the examples of the documentation, which include this file.

use std::{
    io,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use spanwise_core::{LevelHandle, LevelLayer};
use spanwise_json::JsonLayer;
use spanwise_recorder::{Recorder, RecorderBuilder};
use tracing::{Dispatch, subscriber::DefaultGuard};
use tracing_subscriber::{fmt::MakeWriter, prelude::*};

/// Collects the written lines.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }

    pub fn objects(&self) -> Vec<Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        };
        self.text().lines().map(parse).collect()
    }

    pub fn messages(&self) -> Vec<String> {
        self.all("message")
    }

    /// Returns the values of `key`, as text, on the lines that have it.
    pub fn all(&self, key: &str) -> Vec<String> {
        let objects = self.objects();
        let values = objects.iter().filter_map(|line| line.get(key));
        values
            .map(|value| {
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
            })
            .collect()
    }

    /// Returns the header of the dump, if there is one.
    pub fn header(&self) -> Option<Value> {
        let mut headers = self
            .objects()
            .into_iter()
            .filter(|line| line["target"] == "spanwise::recorder");
        let header = headers.next();
        assert!(headers.next().is_none(), "{}", self.text());
        header
    }

    /// Returns the `reason` of the header.
    pub fn reason(&self) -> Option<String> {
        Some(self.header()?["reason"].as_str().unwrap().to_owned())
    }
}

impl io::Write for Lines {
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

/// Installs a stack that shows INFO as JSON and buffers DEBUG.
pub fn start() -> (DefaultGuard, Lines) {
    let (dispatch, lines, ..) = stack(Recorder::builder());
    (tracing::dispatcher::set_default(&dispatch), lines)
}

/// Returns the same stack with the given recorder, not installed.
pub fn stack(recorder: RecorderBuilder) -> (Dispatch, Lines, Recorder, LevelHandle) {
    let recorder = recorder.build();
    let lines = Lines::default();
    let (dispatch, levels) = stack_to(&recorder, lines.clone());
    (dispatch, lines, recorder, levels)
}

/// Returns the same stack with any output.
pub fn stack_to<W>(recorder: &Recorder, output: W) -> (Dispatch, LevelHandle)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
    let handle = levels.handle();
    let json = recorder.sink(output, handle.clone(), |writer| {
        JsonLayer::new().with_writer(writer)
    });
    let stack = tracing_subscriber::registry().with(json).with(levels);
    (Dispatch::new(stack), handle)
}
