//! A custom writer logs while it writes. The outputs receive the line, or count it as lost.

use std::{
    io::{self, Write},
    time::Duration,
};

/// Logs an event for each line, except for the line of this event.
#[derive(Clone)]
struct Logs;

impl Write for Logs {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !line.windows(9).any(|part| part == b"by itself") {
            tracing::warn!("by itself");
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn each_line_is_written_or_counted() {
    alone!();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.log");
    let telemetry = spanwise::Builder::new(spanwise::Preset::Prod)
        .output(spanwise::Output::None)
        .file(&path)
        .layer(spanwise_json::JsonLayer::new().with_writer(|| Logs))
        .init()
        .unwrap();
    tracing::warn!("outside");
    let handle = telemetry.handle();
    telemetry.shutdown(Duration::from_secs(20));
    let text = std::fs::read_to_string(&path).unwrap();
    let in_file = u64::try_from(text.lines().count()).unwrap();
    let sinks = handle.stats().sinks;
    let file = sinks.iter().find(|sink| sink.name == "file").unwrap();
    // Two events reached the layer of the file.
    assert_eq!(in_file + file.lost(), 2, "{text}{sinks:?}");
}
