//! The errors that a flush returns.

use std::{
    io::{self, Write as _},
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use crate::support::{Does, Steered};
use spanwise_appender::{Background, RecordSink, Records, StopFlag, WriteOutcome};
use spanwise_core::SelfReport;

const END_TIMEOUT: Duration = Duration::from_secs(20);

#[test]
fn flush_fails_if_a_shutdown_abandons_lines() {
    let writer = Steered::new(Does::Stall);
    let (mut background, guard) = Background::builder(writer.clone())
        .report(&SelfReport::silent())
        .build()
        .unwrap();
    background.write_all(b"a\n").unwrap();
    writer.wait_until_stalled();
    let begins = Arc::new(Barrier::new(2));
    let flushing = {
        let (background, begins) = (background.clone(), Arc::clone(&begins));
        thread::spawn(move || {
            begins.wait();
            Background::flush(&background, END_TIMEOUT)
        })
    };
    begins.wait();
    let report = guard.shutdown(Duration::from_secs(1));
    assert_eq!((report.delivered, report.lost), (0, 1));
    let flushed = flushing.join().unwrap();
    writer.set(Does::Take);
    // On a busy machine, the flush may begin after the shutdown. Then no line is left to wait for.
    if let Err(error) = flushed {
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}

#[test]
fn refusal_without_an_error_has_no_older_reason() {
    /// Refuses all records, and gives a reason for the first ones only.
    struct Refuses(Option<io::ErrorKind>);

    impl RecordSink for Refuses {
        fn write(&mut self, records: Records<'_>, _: &StopFlag) -> WriteOutcome {
            let mut outcome = WriteOutcome::refused(records, 0, io::ErrorKind::Other.into());
            outcome.error = self.0.take().map(io::Error::from);
            outcome
        }
    }

    let (mut background, _guard) = Background::for_sink(Refuses(Some(io::ErrorKind::StorageFull)))
        .report(&SelfReport::silent())
        .build()
        .unwrap();
    for expected in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
        background.write_all(b"line\n").unwrap();
        let flushed = Background::flush(&background, END_TIMEOUT);
        assert_eq!(flushed.unwrap_err().kind(), expected);
    }
}
