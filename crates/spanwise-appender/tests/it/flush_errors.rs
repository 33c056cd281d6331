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
    let writer = Steered::new(Does::TakeThenFail(0));
    let (mut background, guard) = Background::builder(writer.clone())
        .report(&SelfReport::silent())
        .build()
        .unwrap();
    // An earlier failure is not the reason.
    background.write_all(b"recovered\n").unwrap();
    writer.wait_until_failed();
    writer.set(Does::Take);
    Background::flush(&background, END_TIMEOUT).unwrap();
    writer.set(Does::Stall);
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
    // The call waits for up to one second, and the shutdown begins in this time.
    let report = guard.shutdown(Duration::from_secs(1));
    assert_eq!((report.delivered, report.lost), (1, 1));
    let flushed = flushing.join().unwrap();
    writer.set(Does::Take);
    assert_eq!(flushed.unwrap_err().kind(), io::ErrorKind::TimedOut);
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
