//! The sink of `Builder::record_sink` receives every line, is flushed and finished, and its losses
//! are in the report of the shutdown.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crate::support::Lines;
use spanwise::{
    Builder, Handle, Output, Preset,
    file::{RecordSink, Records, StopFlag, WriteOutcome},
    report::SinkStats,
};
use tracing::info;

const TIMEOUT: Duration = Duration::from_secs(60);

/// Writes each record to `lines`, unless `fails` makes it fail.
#[derive(Clone)]
struct Queue {
    lines: Lines,
    records: Arc<AtomicU64>,
    is_finished: Arc<AtomicBool>,
    fails: Failure,
}

#[derive(Clone, Copy, PartialEq)]
enum Failure {
    Never,
    /// Refuses the first record.
    First,
    /// Accepts no record before the shutdown.
    Stalled,
}

impl Queue {
    fn new(fails: Failure) -> Self {
        Self {
            lines: Lines::default(),
            records: Arc::default(),
            is_finished: Arc::default(),
            fails,
        }
    }

    fn take(&mut self, record: &[u8]) {
        io::Write::write_all(&mut self.lines, record).unwrap();
        self.records.fetch_add(1, Ordering::Relaxed);
    }
}

impl RecordSink for Queue {
    fn write(&mut self, records: Records<'_>, stop: &StopFlag) -> WriteOutcome {
        match self.fails {
            Failure::Never => records.iter().for_each(|record| self.take(record)),
            Failure::First => {
                self.fails = Failure::Never;
                let error = io::ErrorKind::Other.into();
                let mut outcome = WriteOutcome::refused(records, 0, error);
                outcome.refused = 1;
                return outcome;
            }
            Failure::Stalled => {
                while !stop.is_set() {
                    thread::sleep(stop.timeout(Duration::from_millis(1)));
                }
                return WriteOutcome::stopped_at(records, 0, io::ErrorKind::TimedOut.into());
            }
        }
        WriteOutcome::all(records)
    }

    fn finish(&mut self) {
        assert!(!self.is_finished.swap(true, Ordering::Relaxed));
    }
}

fn builder(queue: &Queue) -> Builder {
    Builder::new(Preset::Prod)
        .output(Output::None)
        .record_sink("queue", queue.clone())
}

fn stats_of_queue(handle: &Handle) -> SinkStats {
    let sinks = handle.stats().sinks.into_iter();
    let mut queues = sinks.filter(|sink| sink.name == "queue");
    let queue = queues.next().unwrap();
    assert_eq!(queues.next(), None);
    queue
}

#[test]
fn record_sink_gets_every_line() {
    alone!();
    let queue = Queue::new(Failure::Never);
    let telemetry = builder(&queue).init().unwrap();
    for n in 0..1_000 {
        info!(n, password = "hunter2", "taken");
    }
    let handle = telemetry.handle();
    assert!(handle.flush(TIMEOUT));
    assert_eq!(queue.lines.objects().len(), 1_000);
    assert!(!queue.is_finished.load(Ordering::Relaxed));

    info!("after the flush");
    let report = telemetry.shutdown(TIMEOUT);
    assert_eq!((report.delivered, report.lost), (1_001, 0));
    assert!(queue.is_finished.load(Ordering::Relaxed));
    // Each record is a line.
    assert_eq!(queue.records.load(Ordering::Relaxed), 1_001);
    let lines = queue.lines.objects();
    for (n, line) in lines[..1_000].iter().enumerate() {
        assert_eq!((&line["n"], &line["message"]), (&n.into(), &"taken".into()));
    }
    assert!(!queue.lines.text().contains("hunter2"));
    assert_eq!(stats_of_queue(&handle).delivered, 1_001);
}

/// Logs three lines, and checks how many of them the report of the shutdown counts as lost.
fn lose(fails: Failure, timeout: Duration, lost: u64) -> SinkStats {
    let queue = Queue::new(fails);
    let telemetry = builder(&queue).init().unwrap();
    for n in 0..3 {
        info!(n, "lost or not");
    }
    let handle = telemetry.handle();
    let report = telemetry.shutdown(timeout);
    let lines = queue.lines.objects();
    let arrived = lines.iter().filter(|line| line["message"] == "lost or not");
    assert_eq!(arrived.count() as u64, 3 - lost);
    // If there is time, the queue also receives the event about the loss.
    assert_eq!((report.delivered, report.lost), (lines.len() as u64, lost));
    let sink = stats_of_queue(&handle);
    assert_eq!((sink.delivered, sink.lost()), (report.delivered, lost));
    sink
}

#[test]
fn refused_records_are_in_the_report() {
    alone!();
    let sink = lose(Failure::First, TIMEOUT, 1);
    assert_eq!((sink.write_failed, sink.lost_at_shutdown), (1, 0));
}

#[test]
fn records_of_a_stalled_sink_are_in_the_report() {
    alone!();
    lose(Failure::Stalled, Duration::from_millis(200), 3);
}

#[cfg(feature = "config")]
#[test]
fn record_sink_has_the_options_of_its_table() {
    use spanwise::__private::{from_file_text_and_vars, without_installing};

    let file = |level: &str| {
        let table = "[sink.queue]\nkind = 'none'\nformat = 'logfmt'\nredact = '+employee_no'\n";
        format!("{table}level = '{level}'\n")
    };
    for (level, expected) in [("info", 2), ("warn", 1)] {
        let queue = Queue::new(Failure::Never);
        let builder = from_file_text_and_vars(&file(level), &[("LOG_PRESET", "prod")]);
        let builder = builder.unwrap().record_sink("queue", queue.clone());
        let (dispatch, telemetry) = without_installing(builder).unwrap();
        tracing::dispatcher::with_default(&dispatch, || {
            info!(employee_no = "E-4711", "hired");
            tracing::warn!(employee_no = "E-4711", "fired");
        });
        telemetry.shutdown(TIMEOUT);
        let text = queue.lines.text();
        assert_eq!(text.lines().count(), expected, "{text}");
        assert!(
            text.contains("msg=fired") && text.contains("[REDACTED]"),
            "{text}"
        );
        assert!(!text.contains("E-4711"), "{text}");
    }
}
