//! The background writer.

use std::{
    io::{self, Write},
    panic,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crate::support::{Does, Steered, alone};
use spanwise_appender::{Background, BackgroundBuilder, FlushGuard, WhenFull};
use spanwise_core::{Fault, SelfReport};
use spanwise_testing::support::wait_until;
use tracing::Level;

const END_TIMEOUT: Duration = Duration::from_secs(20);

fn builder(writer: &Steered) -> BackgroundBuilder {
    Background::builder(writer.clone()).report(&SelfReport::silent())
}

fn start(writer: &Steered) -> (Background, FlushGuard) {
    builder(writer).build().unwrap()
}

fn write(background: &Background, level: Level, line: &str) {
    let line = format!("{line}\n");
    background.writer(level).write_all(line.as_bytes()).unwrap();
}

#[test]
fn flush_writes_every_earlier_line() {
    let writer = Steered::new(Does::Take);
    let (mut background, _guard) = start(&writer);
    background.write_all(b"one\n").unwrap();
    background.write_all(b"two\n").unwrap();
    background.flush(END_TIMEOUT).unwrap();
    assert_eq!(writer.lines(), ["one", "two"]);
}

#[test]
fn gathered_lines_are_written_in_one_call() {
    let writer = Steered::new(Does::Stall);
    let (mut background, guard) = start(&writer);
    background.write_all(b"first\n").unwrap();
    writer.wait_until_stalled();
    for n in 0..1000 {
        background.write_all(format!("{n}\n").as_bytes()).unwrap();
    }
    writer.set(Does::Take);
    assert_eq!(guard.shutdown(END_TIMEOUT).delivered, 1001);
    assert_eq!(writer.lines().len(), 1001);
    assert_eq!(writer.writes(), 2);
}

#[test]
fn line_longer_than_the_buffer_stays_whole() {
    let writer = Steered::new(Does::Take);
    let (mut background, guard) = builder(&writer)
        .capacity(4096)
        .when_full(WhenFull::Block(END_TIMEOUT))
        .build()
        .unwrap();
    let long = "x".repeat(10 * 1024 * 1024);
    background
        .write_all(format!("{long}\n").as_bytes())
        .unwrap();
    background.write_all(b"next\n").unwrap();
    assert_eq!(guard.shutdown(END_TIMEOUT).lost, 0);
    assert_eq!(writer.lines(), [long.as_str(), "next"]);
}

#[test]
fn low_levels_are_shed_first_and_return_at_half() {
    let writer = Steered::new(Does::Stall);
    let (background, guard) = builder(&writer)
        .capacity(10_000)
        .when_full(WhenFull::ShedByLevel(Duration::ZERO))
        .build()
        .unwrap();
    let line = "x".repeat(99);
    write(&background, Level::ERROR, &line);
    writer.wait_until_stalled();
    let fill = |to: usize| {
        for _ in 0..to {
            write(&background, Level::WARN, &line);
        }
    };
    let shed = || background.stats().shed;

    fill(49);
    write(&background, Level::TRACE, &line);
    assert_eq!(shed().total(), 0, "half of it is not more than half");
    write(&background, Level::TRACE, &line);
    write(&background, Level::DEBUG, &line);
    write(&background, Level::INFO, &line);
    assert_eq!((shed().trace, shed().debug, shed().info), (1, 1, 0));
    fill(29);
    write(&background, Level::INFO, &line);
    assert_eq!((shed().info, shed().warn), (1, 0));
    fill(19);
    assert_eq!(shed().warn, 0);
    fill(1);
    write(&background, Level::ERROR, &line);
    assert_eq!((shed().warn, shed().error), (1, 1));

    writer.set(Does::Take);
    background.flush(END_TIMEOUT).unwrap();
    let before = shed();
    write(&background, Level::TRACE, &line);
    write(&background, Level::INFO, &line);
    assert_eq!(shed(), before);
    let report = guard.shutdown(END_TIMEOUT);
    assert_eq!(report.lost, 5);
    assert_eq!(report.delivered as usize, writer.lines().len());
}

#[test]
fn warning_waits_for_room() {
    let writer = Steered::new(Does::Stall);
    let (background, guard) = builder(&writer)
        .capacity(4096)
        .when_full(WhenFull::ShedByLevel(END_TIMEOUT))
        .build()
        .unwrap();
    write(&background, Level::WARN, &"x".repeat(5000));
    writer.wait_until_stalled();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| write(&background, Level::WARN, "it waited"));
        assert!(!waiting.is_finished());
        writer.set(Does::Take);
    });
    assert_eq!(guard.shutdown(END_TIMEOUT).lost, 0);
    assert_eq!(writer.lines()[1], "it waited");
}

#[test]
fn shed_policy_makes_nobody_wait() {
    let writer = Steered::new(Does::Stall);
    let (mut background, guard) = builder(&writer)
        .capacity(4096)
        .when_full(WhenFull::Shed)
        .build()
        .unwrap();
    for _ in 0..1000 {
        background.write_all(&[b'x'; 100]).unwrap();
    }
    assert_eq!(background.stats().shed.total(), 1000 - 41);
    writer.set(Does::Take);
    let report = guard.shutdown(END_TIMEOUT);
    assert_eq!((report.delivered, report.lost), (41, 959));
}

#[test]
fn failing_writer_loses_nothing_while_there_is_room() {
    let writer = Steered::new(Does::TakeThenFail(0));
    let (mut background, guard) = start(&writer);
    for n in 0..100 {
        background.write_all(format!("{n}\n").as_bytes()).unwrap();
    }
    writer.wait_until_failed();
    assert_eq!(
        background.flush(END_TIMEOUT).unwrap_err().kind(),
        io::ErrorKind::StorageFull
    );
    writer.set(Does::Take);
    assert_eq!(guard.shutdown(END_TIMEOUT).lost, 0);
    assert_eq!(
        writer.lines(),
        (0..100).map(|n| n.to_string()).collect::<Vec<_>>()
    );
}

#[test]
fn partial_line_is_completed_by_the_next_write() {
    let writer = Steered::new(Does::TakeThenFail(3));
    let (mut background, guard) = start(&writer);
    background.write_all(b"hello\nworld\n").unwrap();
    writer.wait_until_failed();
    writer.set(Does::Take);
    assert_eq!(guard.shutdown(END_TIMEOUT).lost, 0);
    assert_eq!(writer.lines(), ["hello", "world"]);
}

#[test]
fn lost_partial_line_is_ended_before_the_next() {
    let writer = Steered::new(Does::TakeThenFail(3));
    let (mut background, guard) = start(&writer);
    background.write_all(b"hello\n").unwrap();
    writer.wait_until_failed();
    writer.set(Does::Close);
    wait_until("it is lost", || background.stats().write_failed == 1);
    writer.set(Does::Take);
    background.write_all(b"world\n").unwrap();
    assert_eq!(guard.shutdown(END_TIMEOUT).lost, 1);
    assert_eq!(writer.lines(), ["hel", "world"]);
}

#[test]
fn short_writes_are_finished() {
    let writer = Steered::new(Does::TakeAtMost(3));
    let (mut background, guard) = start(&writer);
    background.write_all(b"a line of some length\n").unwrap();
    assert_eq!(guard.shutdown(END_TIMEOUT).lost, 0);
    assert_eq!(writer.text(), "a line of some length\n");
}

#[test]
fn lines_for_a_closed_pipe_are_counted_at_once() {
    let writer = Steered::new(Does::Close);
    let (mut background, guard) = start(&writer);
    for _ in 0..10 {
        background.write_all(b"x\n").unwrap();
    }
    wait_until("all are counted", || background.stats().write_failed == 10);
    let report = guard.shutdown(END_TIMEOUT);
    assert_eq!((report.delivered, report.lost), (0, 10));
}

#[test]
fn shutdown_keeps_its_timeout_and_counts_the_rest() {
    let writer = Steered::new(Does::Stall);
    let (mut background, guard) = start(&writer);
    for _ in 0..10 {
        background.write_all(b"x\n").unwrap();
    }
    writer.wait_until_stalled();
    let report = guard.shutdown(Duration::from_millis(200));
    assert_eq!((report.delivered, report.lost), (0, 10));
    assert_eq!(background.stats().lost_at_shutdown, 10);
}

#[test]
fn callers_write_after_the_shutdown() {
    let writer = Steered::new(Does::Take);
    let (mut background, guard) = start(&writer);
    background.write_all(b"before\n").unwrap();
    guard.shutdown(END_TIMEOUT);
    background.write_all(b"after\n").unwrap();
    assert_eq!(writer.lines(), ["before", "after"]);
    assert_eq!(background.stats().delivered, 2);
}

#[test]
fn writer_that_panics_once_goes_on() {
    let writer = Steered::new(Does::Panic);
    let (mut background, guard) = start(&writer);
    background.write_all(b"lost\n").unwrap();
    assert!(background.flush(END_TIMEOUT).is_err());
    writer.set(Does::Take);
    background.write_all(b"written\n").unwrap();
    let report = guard.shutdown(END_TIMEOUT);
    assert_eq!((report.delivered, report.lost), (1, 1));
    assert_eq!(writer.lines(), ["written"]);
}

#[test]
fn sync_on_writes_before_the_caller_returns() {
    let writer = Steered::new(Does::Take);
    let (background, _guard) = builder(&writer).sync_on(Level::ERROR).build().unwrap();
    for n in 0..100 {
        write(&background, Level::INFO, "on its way");
        write(&background, Level::ERROR, "there");
        assert_eq!(writer.lines().len(), 2 * (n + 1));
    }
}

#[test]
fn fmt_layer_writes_through_it() {
    let writer = Steered::new(Does::Take);
    let (background, guard) = start(&writer);
    let log = tracing_subscriber::fmt().with_writer(background).finish();
    tracing::subscriber::with_default(log, || tracing::info!("from fmt"));
    assert_eq!(guard.shutdown(END_TIMEOUT).delivered, 1);
    assert!(writer.text().ends_with("from fmt\n"));
}

#[test]
fn sync_on_works_for_a_line_that_fills_the_buffer() {
    let writer = Steered::new(Does::Stall);
    let (background, _guard) = builder(&writer)
        .capacity(4096)
        .sync_on(Level::ERROR)
        .build()
        .unwrap();
    thread::scope(|threads| {
        threads.spawn(|| {
            writer.wait_until_stalled();
            writer.set(Does::Take);
        });
        write(&background, Level::ERROR, &"x".repeat(3000));
    });
    assert_eq!(background.stats().delivered, 1);
}

#[test]
fn writer_that_panics_on_drop_is_replaced() {
    struct Bad;
    impl Write for Bad {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            panic!("in write")
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("in drop")
        }
    }
    let (background, guard) = Background::builder(Bad)
        .report(&SelfReport::silent())
        .build()
        .unwrap();
    for n in 0..3 {
        write(&background, Level::INFO, &format!("{n}"));
        let _ = background.flush(Duration::from_secs(1));
    }
    let report = guard.shutdown(END_TIMEOUT);
    assert_eq!(
        (report.delivered, report.lost),
        (1, 2),
        "{:?}",
        background.stats()
    );
}

#[test]
fn lines_after_one_torn_by_a_panic_are_whole() {
    #[derive(Clone, Default)]
    struct Tears(Arc<Mutex<Vec<u8>>>, Arc<AtomicUsize>);
    impl Write for Tears {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.1.fetch_add(1, Ordering::Relaxed) {
                0 => {
                    self.0.lock().unwrap().extend(&bytes[..3]);
                    Ok(3)
                }
                1 => panic!("second half"),
                _ => {
                    self.0.lock().unwrap().extend(bytes);
                    Ok(bytes.len())
                }
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let tears = Tears::default();
    let (background, guard) = Background::builder(tears.clone())
        .report(&SelfReport::silent())
        .build()
        .unwrap();
    write(&background, Level::INFO, "first");
    let _ = background.flush(END_TIMEOUT);
    write(&background, Level::INFO, "second");
    guard.shutdown(END_TIMEOUT);
    let text = String::from_utf8(tears.0.lock().unwrap().clone()).unwrap();
    assert!(text.lines().any(|l| l == "second"), "{text:?}");
}

#[test]
fn only_one_line_waits_for_a_stalled_writer() {
    let writer = Steered::new(Does::Stall);
    let (background, guard) = builder(&writer)
        .capacity(4096)
        .when_full(WhenFull::ShedByLevel(Duration::from_secs(1)))
        .build()
        .unwrap();
    write(&background, Level::WARN, "first");
    writer.wait_until_stalled();
    write(&background, Level::WARN, &"x".repeat(5000));
    let logging = background.clone();
    let logs = thread::spawn(move || {
        (0..100).for_each(|_| write(&logging, Level::ERROR, "there is no room"));
    });
    // If each thread waited, the test would time out.
    wait_until("all are logged", || logs.is_finished());
    assert_eq!(background.stats().shed.error, 100);
    writer.set(Does::Take);
    guard.shutdown(END_TIMEOUT);
}

#[test]
fn filling_buffer_reports_no_loss_before_one() {
    let writer = Steered::new(Does::Stall);
    let report = SelfReport::silent();
    let (background, guard) = Background::builder(writer.clone())
        .capacity(10_000)
        .when_full(WhenFull::ShedByLevel(Duration::ZERO))
        .report(&report)
        .build()
        .unwrap();
    for _ in 0..90 {
        write(&background, Level::WARN, &"x".repeat(99));
    }
    assert_eq!(background.stats().shed.total(), 0);
    assert_eq!(report.stats().faults, []);
    write(&background, Level::DEBUG, "shed");
    write(&background, Level::DEBUG, "shed");
    assert_eq!(report.stats().faults, [(Fault::Shed, 1)]);
    writer.set(Does::Take);
    assert_eq!(guard.shutdown(END_TIMEOUT).lost, 2);
}

#[test]
fn callers_complete_a_partial_line() {
    let writer = Steered::new(Does::Take);
    let (mut background, guard) = builder(&writer).direct().build().unwrap();
    writer.set(Does::TakeThenFail(3));
    background.write_all(b"hello\n").unwrap();
    assert_eq!(writer.text(), "hel");
    assert_eq!(background.stats().lost(), 0);
    writer.set(Does::TakeAtMost(2));
    background.write_all(b"world\n").unwrap();
    background.flush(END_TIMEOUT).unwrap();
    assert_eq!(writer.lines(), ["hello", "world"]);
    let report = guard.shutdown(END_TIMEOUT);
    assert_eq!((report.delivered, report.lost), (2, 0));
}

#[test]
fn dropping_the_last_handle_writes_held_lines() {
    let writer = Steered::new(Does::Take);
    let (mut background, guard) = builder(&writer).direct().build().unwrap();
    writer.set(Does::TakeThenFail(0));
    background.write_all(b"held\n").unwrap();
    assert_eq!(guard.shutdown(Duration::ZERO).lost, 1);
    background.write_all(b"held again\n").unwrap();
    writer.set(Does::Take);
    drop(background);
    wait_until("it is written", || writer.lines() == ["held again"]);
}

/// Creates a writer that blocks its thread past the shutdown, with lines of callers behind it.
fn stalled_past_the_shutdown(report: &SelfReport) -> (Steered, Background) {
    let writer = Steered::new(Does::Stall);
    let (background, guard) = builder(&writer)
        .when_full(WhenFull::Shed)
        .report(report)
        .build()
        .unwrap();
    write(&background, Level::INFO, "x");
    writer.wait_until_stalled();
    assert_eq!(guard.shutdown(Duration::ZERO).lost, 1);
    for line in HELD {
        write(&background, Level::INFO, line);
    }
    (writer, background)
}

const HELD: [&str; 3] = ["line 1", "line 2", "line 3"];

#[test]
fn writer_recovered_after_shutdown_gets_held_lines() {
    let (writer, background) = stalled_past_the_shutdown(&SelfReport::silent());
    writer.set(Does::TakeAtMost(3));
    wait_until("all is written", || background.stats().delivered == 3);
    assert_eq!(writer.lines()[1..], HELD);
    assert_eq!(background.stats().lost(), 1);
}

#[test]
fn refusal_after_shutdown_is_reported_and_held() {
    let report = SelfReport::silent();
    let (writer, background) = stalled_past_the_shutdown(&report);
    // The abandoned line is written, but the later lines are not.
    writer.set(Does::TakeThenFail(4));
    writer.wait_until_failed();
    wait_until("it is reported", || {
        count_of(&report, Fault::WriteFailed) > 0
    });
    assert_eq!(background.stats().lost(), 1);
    writer.set(Does::Take);
    background.flush(END_TIMEOUT).unwrap();
    assert_eq!(writer.lines()[1..], HELD);
    assert_eq!(background.stats().delivered, 3);
}

#[test]
fn only_one_line_waits_behind_a_stuck_writer() {
    let writer = Steered::new(Does::Stall);
    let (background, guard) = start(&writer);
    write(&background, Level::WARN, "abandoned");
    writer.wait_until_stalled();
    assert_eq!(guard.shutdown(Duration::ZERO).lost, 1);
    let logging = background.clone();
    let logs = thread::spawn(move || {
        (0..1000).for_each(|_| write(&logging, Level::WARN, "held"));
    });
    // If each thread waited, the test would time out.
    wait_until("all are logged", || logs.is_finished());
    writer.set(Does::Take);
    background.flush(END_TIMEOUT).unwrap();
    assert_eq!(background.stats().delivered, 1000);
}

/// Sets up a flush whenever a thread panics. The returned function panics, and returns whether the
/// flush succeeded.
fn flushed_on_panic(writer: &Steered) -> (Background, FlushGuard, impl Fn() -> bool + use<>) {
    let report = SelfReport::silent();
    let builder = builder(writer).report(&report).flush_on_panic();
    let (background, guard) = builder.build().unwrap();
    let panics = move || {
        let failed = count_of(&report, Fault::FlushFailed);
        assert!(panic::catch_unwind(|| panic!("on purpose")).is_err());
        count_of(&report, Fault::FlushFailed) == failed
    };
    (background, guard, panics)
}

fn count_of(report: &SelfReport, fault: Fault) -> u64 {
    let faults = report.stats().faults;
    let known = faults.iter().find(|(known, _)| *known == fault);
    known.map_or(0, |(_, count)| *count)
}

/// Asserts that a slow line is written before a panic continues. On a busy machine 500 ms may not
/// be enough, so it is tried a few times.
fn assert_is_flushed(writer: &Steered, background: &Background, panics: impl Fn() -> bool) {
    let before = background.stats().delivered;
    writer.set(Does::TakeAtMost(1));
    let is_flushed = |n| {
        write(background, Level::INFO, &"x".repeat(500));
        let is_flushed = panics();
        let stats = || background.stats();
        wait_until("it is written", || stats().delivered == before + n);
        is_flushed
    };
    assert!((1..6).any(is_flushed));
}

#[test]
fn panic_flush_waits_again_after_recovery() {
    let name = "panic_flush_waits_again_after_recovery";
    alone(module_path!(), name, || {
        let writer = Steered::new(Does::Stall);
        let (background, _guard, panics) = flushed_on_panic(&writer);
        write(&background, Level::INFO, "held");
        assert!(!panics());
        writer.set(Does::Take);
        wait_until("it recovers", || background.stats().delivered == 1);
        assert_is_flushed(&writer, &background, panics);
    });
}

#[test]
fn panic_flush_without_time_does_not_disable_it() {
    let writer = Steered::new(Does::Stall);
    let (background, _guard) = start(&writer);
    write(&background, Level::INFO, "held");
    writer.wait_until_stalled();
    // Another output was flushed first, and used all the time.
    assert!(background.flush_in_panic(Duration::ZERO).is_err());
    let panicking = background.clone();
    let flushing = thread::spawn(move || panicking.flush_in_panic(Duration::from_secs(60)));
    writer.set(Does::Take);
    flushing.join().unwrap().unwrap();
}

#[test]
fn panicking_writer_does_not_disable_panic_flush() {
    let name = "panicking_writer_does_not_disable_panic_flush";
    alone(module_path!(), name, || {
        let writer = Steered::new(Does::Panic);
        let (background, _guard, panics) = flushed_on_panic(&writer);
        write(&background, Level::INFO, "lost");
        wait_until("it panics", || background.stats().write_failed == 1);
        writer.set(Does::Take);
        assert_is_flushed(&writer, &background, panics);
    });
}

#[test]
fn only_one_panic_waits_for_a_stalled_writer() {
    let name = "only_one_panic_waits_for_a_stalled_writer";
    alone(module_path!(), name, || {
        let writer = Steered::new(Does::Stall);
        let (background, _guard, panics) = flushed_on_panic(&writer);
        write(&background, Level::INFO, "held");
        let panicking = thread::spawn(move || (0..300).for_each(|_| assert!(!panics())));
        // If each thread waited, the test would time out.
        wait_until("all have panicked", || panicking.is_finished());
        panicking.join().unwrap();
        writer.set(Does::Take);
    });
}
