// Shared by the tests and by the examples of the documentation, which include this file.

use serde_json::Value;
use spanwise_core::{LevelHandle, LevelLayer};
use spanwise_json::JsonLayer;
use spanwise_recorder::{Recorder, RecorderBuilder};
pub use spanwise_testing::support::Lines;
use tracing::{Dispatch, subscriber::DefaultGuard};
use tracing_subscriber::{fmt::MakeWriter, prelude::*};

/// Returns the header of the dump, if there is one.
pub fn header(lines: &Lines) -> Option<Value> {
    let mut headers = lines.objects();
    headers.retain(|line| line["target"] == "spanwise::recorder");
    assert!(headers.len() <= 1, "{}", lines.text());
    headers.pop()
}

/// Returns the `reason` of the header.
pub fn reason(lines: &Lines) -> Option<String> {
    Some(header(lines)?["reason"].as_str().unwrap().to_owned())
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
