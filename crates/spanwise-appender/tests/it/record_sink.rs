//! Outputs that implement `RecordSink`.

use std::{
    io::{self, Write as _},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::Duration,
};

use spanwise_appender::{Background, RecordSink, Records, StopFlag, WriteOutcome};
use spanwise_core::{Fault, SelfReport};

const LONG: Duration = Duration::from_secs(60);

/// A call of a [`Scripted`] sink.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    Write(Vec<String>),
    Finish,
}

/// Returns the outcomes of a script, and then writes all records.
struct Scripted {
    script: Box<Script>,
    calls: Sender<Call>,
}

type Script = dyn FnMut(Records<'_>, &StopFlag) -> Option<WriteOutcome> + Send;

impl RecordSink for Scripted {
    fn write(&mut self, records: Records<'_>, stop: &StopFlag) -> WriteOutcome {
        let texts = records
            .iter()
            .map(|record| String::from_utf8_lossy(record).into_owned());
        let _ = self.calls.send(Call::Write(texts.collect()));
        (self.script)(records, stop).unwrap_or_else(|| WriteOutcome::all(records))
    }

    fn finish(&mut self) {
        let _ = self.calls.send(Call::Finish);
    }
}

fn scripted(
    script: impl FnMut(Records<'_>, &StopFlag) -> Option<WriteOutcome> + Send + 'static,
) -> (Scripted, Receiver<Call>) {
    let (calls, seen) = mpsc::channel();
    let script = Box::new(script);
    (Scripted { script, calls }, seen)
}

fn start(sink: impl RecordSink + 'static) -> (Background, spanwise_appender::FlushGuard) {
    Background::for_sink(sink)
        .report(&SelfReport::silent())
        .build()
        .unwrap()
}

#[test]
fn own_sink_gets_whole_records_and_then_finish() {
    let (sink, calls) = scripted(|_, _| None);
    let (mut background, guard) = start(sink);
    for line in ["first\n", "second\n"] {
        background.write_all(line.as_bytes()).unwrap();
    }
    let report = guard.shutdown(LONG);
    assert_eq!((report.delivered, report.lost), (2, 0));
    let mut calls: Vec<Call> = calls.try_iter().collect();
    assert_eq!(calls.pop(), Some(Call::Finish));
    let records = calls.into_iter().flat_map(|call| match call {
        Call::Write(records) => records,
        Call::Finish => panic!("it finishes once"),
    });
    assert_eq!(records.collect::<Vec<_>>(), ["first\n", "second\n"]);
}

#[test]
fn panic_in_finish_is_reported() {
    struct Panics;

    impl RecordSink for Panics {
        fn write(&mut self, records: Records<'_>, _: &StopFlag) -> WriteOutcome {
            WriteOutcome::all(records)
        }

        fn finish(&mut self) {
            panic!("in finish");
        }
    }

    let report = SelfReport::silent();
    let (mut background, guard) = Background::for_sink(Panics)
        .report(&report)
        .build()
        .unwrap();
    background.write_all(b"line\n").unwrap();
    assert_eq!(guard.shutdown(LONG).delivered, 1);
    assert_eq!(report.stats().faults, [(Fault::FlushFailed, 1)]);
}

#[test]
fn rest_of_a_partial_write_comes_at_once() {
    let mut is_first = true;
    let (sink, calls) =
        scripted(move |_, _| std::mem::take(&mut is_first).then(|| WriteOutcome::partial(0)));
    let (mut background, guard) = start(sink);
    background.write_all(b"line\n").unwrap();
    assert_eq!(guard.shutdown(LONG).delivered, 1);
    assert_eq!(calls.try_iter().count(), 3);
}

#[test]
fn permanent_errors_refuse_and_others_are_retried() {
    for (kind, lost) in [
        (io::ErrorKind::BrokenPipe, 1),
        (io::ErrorKind::StorageFull, 0),
    ] {
        let mut error = Some(kind);
        let (sink, _calls) = scripted(move |records, _| {
            let kind = error.take()?;
            Some(WriteOutcome::stopped_at(records, 0, kind.into()))
        });
        let (mut background, guard) = start(sink);
        background.write_all(b"line\n").unwrap();
        let report = guard.shutdown(LONG);
        assert_eq!((report.delivered, report.lost), (1 - lost, lost), "{kind}");
    }
}

#[test]
fn wrong_counts_of_a_sink_keep_the_totals_right() {
    let outcomes: [fn(Records<'_>) -> WriteOutcome; 3] = [
        |_| WriteOutcome::partial(usize::MAX),
        |records| WriteOutcome::refused(records, 7, io::ErrorKind::Other.into()),
        |records| {
            let mut outcome = WriteOutcome::refused(records, 0, io::ErrorKind::Other.into());
            outcome.refused = usize::MAX;
            outcome
        },
    ];
    for outcome in outcomes {
        let (sink, _calls) = scripted(move |records, _| Some(outcome(records)));
        let (mut background, guard) = start(sink);
        background.write_all(b"line\n").unwrap();
        let report = guard.shutdown(LONG);
        assert_eq!(report.delivered + report.lost, 1);
    }
}

#[test]
fn stop_flag_ends_a_waiting_sink() {
    let (sink, _calls) = scripted(|records, stop| {
        while !stop.is_set() {
            thread::park_timeout(stop.timeout(Duration::from_millis(20)));
        }
        Some(WriteOutcome::stopped_at(
            records,
            0,
            io::ErrorKind::TimedOut.into(),
        ))
    });
    let (mut background, guard) = start(sink);
    background.write_all(b"line\n").unwrap();
    let report = guard.shutdown(Duration::from_millis(10));
    assert_eq!((report.delivered, report.lost), (0, 1));
    assert_eq!(background.stats().lost_at_shutdown, 1);
}
