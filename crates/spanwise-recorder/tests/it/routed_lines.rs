//! A buffered line keeps the sinks of its event, and the header goes to all sinks of the dump.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use spanwise_core::{LevelLayer, internal::SinkMask};
use spanwise_json::JsonLayer;
use spanwise_recorder::{Recorder, RecorderBuilder};
use tracing::{debug, error, info, info_span};
use tracing_subscriber::{fmt::MakeWriter, prelude::*};

/// The bits of the sinks of each line, and its message.
#[derive(Debug, Clone, Default)]
struct Routed(Arc<Mutex<Vec<(u64, String)>>>);

struct RoutedLine<'a>(&'a Routed, u64);

impl<'a> MakeWriter<'a> for Routed {
    type Writer = RoutedLine<'a>;

    fn make_writer(&'a self) -> RoutedLine<'a> {
        RoutedLine(self, SinkMask::current().bits())
    }
}

impl Write for RoutedLine<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let object: serde_json::Value = serde_json::from_slice(line).unwrap();
        let message = object["message"].as_str().unwrap().to_owned();
        let mut lines = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push((self.1, message));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Routed {
    fn lines(&self) -> Vec<(u64, String)> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.clone()
    }
}

fn to(sinks: u64, log: impl FnOnce()) {
    SinkMask::from_bits(sinks).scope(log);
}

fn run(recorder: RecorderBuilder, log: impl FnOnce()) -> Vec<(u64, String)> {
    let recorder = recorder.build();
    let lines = Routed::default();
    let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
    let json = recorder.sink(lines.clone(), levels.handle(), |writer| {
        JsonLayer::new().with_writer(writer)
    });
    let _default = tracing_subscriber::registry()
        .with(json)
        .with(levels)
        .set_default();
    log();
    lines.lines()
}

#[test]
fn dump_writes_each_line_to_the_sinks_of_its_event() {
    let lines = run(Recorder::builder(), || {
        let _request = info_span!("request").entered();
        to(0b001, || debug!("first"));
        to(0b110, || debug!("second"));
        debug!("without routes");
        to(1 << 63, || info!("shown"));
        to(0b001, || error!("failed"));
    });
    let header = "flight recorder: buffered events of this request follow";
    let expected = [
        (1 << 63, "shown"),
        (0b111, header),
        (0b001, "first"),
        (0b110, "second"),
        (0, "without routes"),
        (0b001, "failed"),
    ];
    let lines: Vec<_> = lines.iter().map(|(at, text)| (*at, &**text)).collect();
    assert_eq!(lines, expected);
}

#[test]
fn sinks_survive_chunks_and_eviction() {
    let recorder = Recorder::builder().max_unit_records(200);
    let lines = run(recorder, || {
        let _request = info_span!("request").entered();
        for number in 0..300_u64 {
            to(number + 1, || debug!("{number} {}", "x".repeat(90)));
        }
        error!("failed");
    });
    let buffered: Vec<_> = lines
        .iter()
        .filter(|(_, text)| text.contains("xxx"))
        .collect();
    assert_eq!(buffered.len(), 200);
    for (sinks, text) in buffered {
        let number: u64 = text.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(*sinks, number + 1);
    }
}
