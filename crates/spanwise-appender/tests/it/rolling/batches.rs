//! Many records that a background writer passes to a file in one call.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use super::support::{clock, names, read};
use spanwise_appender::{
    Background, ByteSize, RecordSink, Records, Retention, RollingFile, RollingFileBuilder,
    Rotation, StopFlag, WriteOutcome,
};
use spanwise_core::SelfReport;
use tempfile::tempdir;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A call of a sink, with the numbers of all, delivered and refused records, and the error.
type Call = (usize, usize, usize, Option<io::ErrorKind>);

/// Forwards to a file, and stores each call. The first call waits until the gate is opened.
struct Observed {
    file: RollingFile,
    gate: Option<mpsc::Receiver<()>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl RecordSink for Observed {
    fn write(&mut self, records: Records<'_>, stop: &StopFlag) -> WriteOutcome {
        if let Some(gate) = self.gate.take() {
            gate.recv().unwrap();
        }
        let outcome = RecordSink::write(&mut self.file, records, stop);
        let error = outcome.error.as_ref().map(io::Error::kind);
        let call = (records.len(), outcome.delivered, outcome.refused, error);
        self.calls.lock().unwrap().push(call);
        outcome
    }
}

fn at_size(dir: &Path, size: u64) -> RollingFileBuilder {
    RollingFile::builder(dir.join("app.log"))
        .rotation(Rotation::never().at_size(ByteSize(size)))
        .retention(Retention::all())
        .clock(clock())
        .report(&SelfReport::silent())
}

/// Returns the content of each file, oldest first.
fn contents(dir: &Path) -> Vec<String> {
    let names = names(dir);
    names.iter().map(|name| read(dir.join(name))).collect()
}

#[test]
fn batch_is_split_between_records_only() {
    let dir = tempdir().unwrap();
    let (opened, gate) = mpsc::channel();
    let sink = Observed {
        file: at_size(dir.path(), 6).build().unwrap(),
        gate: Some(gate),
        calls: Arc::default(),
    };
    let calls = Arc::clone(&sink.calls);
    let (mut background, guard) = Background::for_sink(sink).build().unwrap();
    background.write_all(b"first\n").unwrap();
    // The second call has the rest, or the first call if it began late.
    let batch = ["a", "b", "c", "d", "longer than that", "e", "f"];
    for line in batch {
        background
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
    }
    opened.send(()).unwrap();
    let report = guard.shutdown(TIMEOUT);
    assert_eq!((report.delivered, report.lost), (8, 0));
    let calls = calls.lock().unwrap();
    assert!(calls.len() <= 2, "{calls:?}");
    assert!(calls.iter().all(|call| call.0 == call.1), "{calls:?}");
    assert_eq!(
        contents(dir.path()),
        [
            "first\n",
            "a\nb\nc\n",
            "d\n",
            "longer than that\n",
            "e\nf\n"
        ]
    );
}

#[test]
fn refused_records_are_retried_without_a_fallback() {
    for (falls_back, refused) in [(false, 0), (true, 1)] {
        let dir = tempdir().unwrap();
        let logs = dir.path().join("logs");
        let clock = clock();
        let mut builder = at_size(&logs, 1000).clock(clock.clone());
        if falls_back {
            builder = builder.fallback_to_stderr();
        }
        let sink = Observed {
            file: builder.build().unwrap(),
            gate: None,
            calls: Arc::default(),
        };
        let calls = Arc::clone(&sink.calls);
        let background = Background::for_sink(sink).direct();
        let background = background.report(&SelfReport::silent()).build();
        let (mut background, _guard) = background.unwrap();
        fs::remove_dir_all(&logs).unwrap();
        fs::write(&logs, "in the way").unwrap();
        clock.advance(Duration::from_secs(1));
        for _ in 0..2 {
            background.write_all(b"to stderr\n").unwrap();
            drop(background.flush(TIMEOUT));
        }
        let failed = calls.lock().unwrap().clone();
        assert!(failed.len() >= 2, "{failed:?}");
        for (records, delivered, lost, error) in failed {
            assert_eq!((delivered, lost), (0, refused * records));
            assert_eq!(error, Some(io::ErrorKind::AlreadyExists));
        }
        fs::remove_file(&logs).unwrap();
        clock.advance(Duration::from_secs(1));
        background.write_all(b"a\n").unwrap();
        background.flush(TIMEOUT).unwrap();
        let expected = match falls_back {
            true => "a\n",
            false => "to stderr\nto stderr\na\n",
        };
        assert_eq!(contents(&logs), [expected]);
    }
}
