//! The queue and the loop of the sender thread. The transport answers from a script, and the test
//! moves the clock.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use proptest::prelude::*;
use tracing_core::Level;

use spanwise_core::{
    Clock, Fault, SelfReport, SinkStats,
    export::{
        Deliver, Delivery, ExportItem, ExportQueue, ExporterOptions, PeriodicTasks, QueueLimits,
        is_delivering, is_sender_thread,
    },
    internal::{Step, SteppedSender},
};
use spanwise_testing::support::bounded;

const SECOND: Duration = Duration::from_secs(1);

/// Much longer than any wait, for a loaded machine.
const IN_TIME: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    name: &'static str,
    level: Level,
    events: u64,
    bytes: usize,
}

fn item(name: &'static str, level: Level) -> Item {
    Item {
        name,
        level,
        events: 1,
        bytes: 1,
    }
}

fn info(name: &'static str) -> Item {
    item(name, Level::INFO)
}

fn error(name: &'static str) -> Item {
    item(name, Level::ERROR)
}

impl ExportItem for Item {
    fn events(&self) -> u64 {
        self.events
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn level(&self) -> Level {
        self.level
    }

    fn split(mut self) -> Result<(Self, Self), Self> {
        if self.events < 2 {
            return Err(self);
        }
        let mut second = self.clone();
        second.events = self.events / 2;
        second.bytes = self.bytes / 2;
        self.events -= second.events;
        self.bytes -= second.bytes;
        Ok((self, second))
    }
}

/// Answers from a script; an empty script delivers.
#[derive(Debug, Clone, Default)]
struct Script(Arc<Mutex<ScriptState>>);

#[derive(Debug, Default)]
struct ScriptState {
    answers: VecDeque<Answer>,
    received: Vec<&'static str>,
}

#[derive(Debug, Clone)]
enum Answer {
    Deliver(Delivery),
    Panic,
}

impl Deliver<Item> for Script {
    fn deliver(&mut self, item: &Item) -> Delivery {
        let mut script = self.0.lock().unwrap();
        script.received.push(item.name);
        let answer = script.answers.pop_front();
        drop(script);
        match answer {
            None => Delivery::Delivered,
            Some(Answer::Deliver(delivery)) => delivery,
            Some(Answer::Panic) => panic!("in the transport"),
        }
    }
}

impl Script {
    fn answer(&self, delivery: Delivery) {
        let answer = Answer::Deliver(delivery);
        self.0.lock().unwrap().answers.push_back(answer);
    }

    fn fail(&self, times: usize) {
        for _ in 0..times {
            self.answer(failed(None));
        }
    }

    fn received(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap().received)
    }
}

fn failed(retry_after: Option<Duration>) -> Delivery {
    Delivery::Failed {
        reason: "away".to_owned(),
        retry_after,
    }
}

fn partial(refused: u64) -> Delivery {
    Delivery::Partial {
        refused,
        reason: "some are invalid".to_owned(),
    }
}

fn too_large() -> Delivery {
    Delivery::TooLarge("413".to_owned())
}

fn refused() -> Delivery {
    Delivery::Refused("invalid".to_owned())
}

/// A queue whose sender is driven by the test.
struct Setup {
    queue: Arc<ExportQueue<Item>>,
    sender: SteppedSender<Item>,
    script: Script,
    clock: Clock,
    report: SelfReport,
}

fn setup(limits: QueueLimits) -> Setup {
    setup_with_tasks(limits, None)
}

fn setup_with_tasks(limits: QueueLimits, tasks: Option<Weak<dyn PeriodicTasks>>) -> Setup {
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let report = SelfReport::silent();
    let mut options = ExporterOptions::new("test", "the test");
    options.limits = limits;
    options.clock = clock.clone();
    options.report = report.clone();
    let script = Script::default();
    let sender = SteppedSender::new(&options, |_| Box::new(script.clone()), tasks);
    Setup {
        queue: Arc::clone(sender.queue()),
        sender,
        script,
        clock,
        report,
    }
}

fn limits(items: usize, bytes: usize) -> QueueLimits {
    QueueLimits {
        items,
        bytes,
        ..QueueLimits::default()
    }
}

impl Setup {
    /// Lets the sender work until it waits. Returns how long it will wait.
    #[track_caller]
    fn run(&mut self) -> Option<Duration> {
        for _ in 0..10_000 {
            match self.sender.step() {
                Step::Worked => {}
                Step::Wait(until) => {
                    return until.map(|until| until - self.clock.instant());
                }
                Step::Ended => panic!("the queue was shut down"),
            }
        }
        panic!("the sender never waits");
    }

    /// Lets the sender work until it waits for a back-off of `delay`. Returns the end of the wait.
    #[track_caller]
    fn run_until_backoff(&mut self, delay: Duration) -> Duration {
        let until = self.run().expect("a back-off");
        let with_jitter = delay * 3 / 4..=delay;
        assert!(
            with_jitter.contains(&until),
            "{until:?} instead of {delay:?}"
        );
        until
    }

    /// Lets the sender work until it waits, and lets the time of the wait pass.
    #[track_caller]
    fn run_and_wait(&mut self, delay: Duration) {
        let until = self.run_until_backoff(delay);
        self.clock.advance(until);
    }

    fn stats(&self) -> SinkStats {
        self.queue.counters().stats()
    }

    fn has_reported(&self, fault: Fault) -> bool {
        let faults = self.report.stats().faults;
        faults.iter().any(|(reported, _)| *reported == fault)
    }
}

#[test]
fn errors_are_sent_first_and_in_order() {
    let mut setup = setup(limits(10, 100));
    for item in [info("a"), error("b"), info("c"), error("d")] {
        setup.queue.push(item);
    }
    assert_eq!(setup.run(), None);
    assert_eq!(setup.script.received(), ["b", "d", "a", "c"]);
    assert_eq!(setup.stats().delivered, 4);
}

#[test]
fn error_displaces_the_newest_other_items() {
    let mut setup = setup(limits(4, 100));
    for item in [info("a"), info("b"), error("c"), error("d"), error("e")] {
        setup.queue.push(item);
    }
    assert_eq!((setup.stats().shed.info, setup.stats().shed.error), (1, 0));
    setup.queue.push(error("f"));
    // Only errors are left.
    setup.queue.push(error("g"));
    assert_eq!((setup.stats().shed.info, setup.stats().shed.error), (2, 1));
    assert!(setup.has_reported(Fault::Shed));
    setup.run();
    assert_eq!(setup.script.received(), ["c", "d", "e", "f"]);
}

#[test]
fn other_items_take_half_of_the_queue() {
    let setup = setup(limits(4, 100));
    for name in ["a", "b", "c"] {
        setup.queue.push(item(name, Level::WARN));
    }
    assert_eq!(setup.stats().shed.warn, 1);

    let bytes = |bytes| Item {
        bytes,
        ..info("big")
    };
    let setup = self::setup(limits(100, 10));
    setup.queue.push(bytes(3));
    setup.queue.push(bytes(3));
    setup.queue.push(bytes(2));
    assert_eq!(setup.stats().shed.info, 1);
}

#[test]
fn newest_item_displaces_the_oldest_one() {
    let mut setup = setup(limits(10, 100));
    for name in ["a", "b", "c"] {
        setup.queue.push_newest(info(name), 2);
    }
    assert_eq!(setup.stats().shed.info, 1);
    setup.run();
    assert_eq!(setup.script.received(), ["b", "c"]);
}

#[test]
fn item_beyond_the_limit_in_bytes_is_dropped() {
    let setup = setup(limits(10, 10));
    let big = Item {
        bytes: 11,
        events: 7,
        ..error("big")
    };
    setup.queue.push(big);
    assert_eq!(setup.stats().shed.error, 7);
}

#[test]
fn error_without_room_displaces_nothing() {
    let too_large = Item {
        bytes: 11,
        ..error("too large")
    };
    let too_many = Item {
        events: 6,
        ..error("too many")
    };
    for dropped in [too_large, too_many] {
        let mut setup = setup(QueueLimits {
            events: 5,
            ..limits(10, 10)
        });
        setup.queue.push(info("a"));
        setup.queue.push(info("b"));
        setup.queue.push(dropped);
        assert_eq!(setup.stats().shed.info, 0);
        setup.run();
        assert_eq!(setup.script.received(), ["a", "b"]);
    }
}

#[test]
fn refused_item_is_counted_and_not_retried() {
    let mut setup = setup(QueueLimits::default());
    setup.script.answer(refused());
    setup.queue.push(info("a"));
    setup.queue.push(info("b"));
    assert_eq!(setup.run(), None);
    assert_eq!(setup.script.received(), ["a", "b"]);
    let stats = setup.stats();
    assert_eq!((stats.delivered, stats.write_failed), (1, 1));
    assert!(setup.has_reported(Fault::WriteFailed));
}

#[test]
fn refused_part_of_an_item_is_counted_alone() {
    // More than the item has, because a server may be wrong.
    for (answer, delivered, write_failed) in [(3, 7, 3), (0, 10, 0), (99, 0, 10)] {
        let mut setup = setup(QueueLimits::default());
        setup.script.answer(partial(answer));
        setup.queue.push(Item {
            events: 10,
            ..info("a")
        });
        assert_eq!(setup.run(), None);
        assert_eq!(setup.script.received(), ["a"]);
        let stats = setup.stats();
        assert_eq!(
            (stats.delivered, stats.write_failed),
            (delivered, write_failed)
        );
        assert_eq!(setup.has_reported(Fault::WriteFailed), write_failed > 0);
    }
}

#[test]
fn item_that_is_too_large_is_sent_in_halves() {
    let mut setup = setup(QueueLimits::default());
    // First the whole item, then its first half, then the first half of this half, which is one
    // event.
    for _ in 0..3 {
        setup.script.answer(too_large());
    }
    setup.queue.push(Item {
        events: 4,
        bytes: 8,
        ..info("a")
    });
    setup.queue.push(info("b"));
    assert_eq!(setup.run(), None);
    assert_eq!(setup.script.received(), ["a", "a", "a", "a", "a", "b"]);
    let stats = setup.stats();
    assert_eq!((stats.delivered, stats.write_failed), (4, 1));
    assert!(setup.has_reported(Fault::WriteFailed));
    assert_eq!(setup.sender.held(), (0, 0, 0));
}

#[test]
fn limit_of_events_counts_all_items() {
    let mut setup = setup(QueueLimits {
        events: 10,
        ..QueueLimits::default()
    });
    let five = |name, level| Item {
        events: 5,
        ..item(name, level)
    };
    setup.queue.push(five("a", Level::INFO));
    setup.queue.push(five("b", Level::INFO));
    setup.queue.push(info("c"));
    assert_eq!(setup.stats().shed.info, 1);
    // An error displaces the newest item.
    setup.queue.push(five("d", Level::ERROR));
    assert_eq!(setup.stats().shed.info, 6);
    setup.run();
    assert_eq!(setup.script.received(), ["d", "a"]);
}

#[test]
fn failed_item_is_retried_after_a_growing_delay() {
    let mut setup = setup(limits(10, 100));
    setup.script.fail(9);
    setup.queue.push(error("a"));
    for delay in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        let delay = delay * SECOND;
        let until = setup.run_until_backoff(delay);
        // The sender sends nothing earlier.
        assert_eq!(setup.script.received(), ["a"]);
        setup.clock.advance(until - Duration::from_millis(1));
        assert_eq!(setup.run(), Some(Duration::from_millis(1)));
        assert!(setup.script.received().is_empty());
        setup.clock.advance(Duration::from_millis(1));
    }
    assert_eq!(setup.run(), None);
    assert_eq!(setup.stats().delivered, 1);
    assert!(setup.has_reported(Fault::FlushFailed));
}

#[test]
fn delivery_and_refusal_reset_the_back_off() {
    for answer in [Delivery::Delivered, refused()] {
        let mut setup = setup(QueueLimits::default());
        setup.script.fail(3);
        setup.script.answer(answer);
        setup.script.fail(1);
        setup.queue.push(error("a"));
        setup.queue.push(error("b"));
        for delay in [1, 2, 4, 1] {
            setup.run_and_wait(delay * SECOND);
        }
        assert_eq!(setup.run(), None);
    }
}

/// If the server requests a wait, the items are not too old after the wait.
#[test]
fn age_counts_from_the_end_of_a_requested_wait() {
    let hour = 3600 * SECOND;
    let mut setup = setup(QueueLimits::default());
    setup.script.answer(failed(Some(2 * hour)));
    setup.script.fail(1);
    setup.queue.push(error("a"));
    setup.queue.push(info("b"));
    assert_eq!(setup.run(), Some(hour));
    setup.clock.advance(hour);
    // The server fails again, and the sender tries again.
    setup.run_and_wait(2 * SECOND);
    assert_eq!(setup.run(), None);
    assert_eq!(setup.script.received(), ["a", "a", "a", "b"]);
    assert_eq!((setup.stats().delivered, setup.stats().lost()), (2, 0));
}

/// A server that repeatedly requests waits cannot delay an item forever.
#[test]
fn requested_waits_keep_an_item_for_an_hour() {
    let wait = 1000 * SECOND;
    let mut setup = setup(QueueLimits::default());
    for _ in 0..6 {
        setup.script.answer(failed(Some(wait)));
    }
    setup.queue.push(error("a"));
    // The age counts from 3,600 s on: at 4,000 s it is below ten minutes, at 5,000 s it is not.
    for _ in 0..5 {
        assert_eq!(setup.run(), Some(wait));
        setup.clock.advance(wait);
    }
    setup.run();
    assert_eq!(setup.script.received().len(), 6);
    assert_eq!(
        (setup.stats().delivered, setup.stats().write_failed),
        (0, 1)
    );
}

#[test]
fn retry_after_extends_the_back_off() {
    let mut setup = setup(QueueLimits::default());
    setup.script.answer(failed(Some(90 * SECOND)));
    // First a wait below the back-off, then a wait above the maximum.
    setup.script.answer(failed(Some(SECOND)));
    setup.script.answer(failed(Some(Duration::MAX)));
    setup.queue.push(error("a"));
    assert_eq!(setup.run(), Some(90 * SECOND), "without jitter");
    setup.clock.advance(90 * SECOND);
    setup.run_and_wait(2 * SECOND);
    assert_eq!(setup.run(), Some(3600 * SECOND), "without jitter");
    setup.clock.advance(3600 * SECOND);
    assert_eq!(setup.run(), None);
    assert_eq!(setup.stats().delivered, 1);
}

#[test]
fn rate_limit_does_not_reset_the_back_off() {
    let mut setup = setup(QueueLimits::default());
    setup.script.fail(1);
    setup
        .script
        .answer(Delivery::RateLimited("slow down".to_owned()));
    setup.script.fail(1);
    setup.queue.push(error("a"));
    setup.queue.push(error("b"));
    for delay in [1, 2] {
        setup.run_and_wait(delay * SECOND);
    }
    assert_eq!(setup.run(), None);
    let stats = setup.stats();
    assert_eq!((stats.delivered, stats.write_failed), (1, 1));
}

#[test]
fn old_item_is_given_up_after_another_failure() {
    let mut setup = setup(QueueLimits {
        max_age: 10 * SECOND,
        ..QueueLimits::default()
    });
    setup.script.fail(2);
    setup.queue.push(error("old"));
    setup.run();
    setup.clock.advance(11 * SECOND);
    setup.queue.push(error("new"));
    setup.run_and_wait(2 * SECOND);
    assert_eq!(setup.stats().write_failed, 1);
    setup.run();
    assert_eq!(setup.script.received(), ["old", "old", "new"]);
    assert_eq!(setup.stats().delivered, 1);
}

#[test]
fn panicking_transport_counts_as_a_failure() {
    let mut setup = setup(QueueLimits::default());
    setup
        .script
        .0
        .lock()
        .unwrap()
        .answers
        .push_back(Answer::Panic);
    setup.queue.push(error("a"));
    setup.run_and_wait(SECOND);
    assert_eq!(setup.run(), None);
    assert_eq!(setup.stats().delivered, 1);
}

/// Flushes in a thread while the sender works here, and returns the result.
fn flush_while_working(setup: &mut Setup) -> io::Result<()> {
    let queue = Arc::clone(&setup.queue);
    let flush = thread::spawn(move || queue.flush(Instant::now() + IN_TIME));
    while !flush.is_finished() {
        setup.sender.step();
        thread::yield_now();
    }
    flush.join().unwrap()
}

#[test]
fn flush_does_not_wait_for_the_back_off() {
    let mut setup = setup(QueueLimits::default());
    setup.script.fail(1);
    setup.queue.push(error("a"));
    setup.queue.push(info("b"));
    setup.run_until_backoff(SECOND);
    // The clock stands still.
    assert!(flush_while_working(&mut setup).is_ok());
    assert_eq!(setup.stats().delivered, 2);
}

#[test]
fn flush_ends_when_the_server_fails() {
    let mut setup = setup(QueueLimits::default());
    setup.script.fail(2);
    setup.queue.push(error("a"));
    setup.run();
    let error = flush_while_working(&mut setup).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), "not all events were sent to the test");
    // The sender tried once more, and not again for the same flush.
    assert_eq!(setup.script.received(), ["a", "a"]);
    assert_eq!(setup.stats().lost(), 0);
}

#[test]
fn flush_ends_when_an_old_item_fails() {
    let mut setup = setup(QueueLimits {
        max_age: 10 * SECOND,
        ..QueueLimits::default()
    });
    setup.script.fail(4);
    for name in ["a", "b", "c", "d"] {
        setup.queue.push(error(name));
    }
    setup.clock.advance(11 * SECOND);
    setup.run_until_backoff(SECOND);
    let error = flush_while_working(&mut setup).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    // Each attempt gives up one item, and the back-off applies again.
    setup.run_until_backoff(2 * SECOND);
    assert_eq!(setup.script.received(), ["a", "b"]);
    assert_eq!(setup.stats().write_failed, 2);
}

#[test]
fn hurry_asks_a_failing_server_once_more() {
    let mut setup = setup(QueueLimits::default());
    setup.script.fail(2);
    setup.queue.push(error("a"));
    setup.run_until_backoff(SECOND);
    setup.queue.hurry();
    // The server fails again, so the back-off applies from now on.
    setup.run_until_backoff(2 * SECOND);
    assert_eq!(setup.script.received(), ["a", "a"]);
    setup.queue.hurry();
    assert_eq!(setup.run(), None);
    assert_eq!(setup.script.received(), ["a"]);
}

#[test]
fn shutdown_after_hurry_asks_no_failing_server_again() {
    for hurries in [false, true] {
        let mut setup = setup(QueueLimits::default());
        setup.script.fail(3);
        setup.queue.push(error("a"));
        setup.run();
        if hurries {
            setup.queue.hurry();
            setup.run();
        }
        let queue = Arc::clone(&setup.queue);
        let shutdown = thread::spawn(move || queue.shutdown_by(Instant::now() + IN_TIME));
        while !shutdown.is_finished() {
            setup.sender.step();
            thread::yield_now();
        }
        shutdown.join().unwrap();
        assert_eq!(setup.script.received(), ["a", "a"], "{hurries}");
        assert_eq!(setup.stats().lost_at_shutdown, 1);
    }
}

#[test]
fn flush_ends_at_its_deadline() {
    let setup = setup(QueueLimits::default());
    assert!(setup.queue.flush(Instant::now()).is_ok(), "it is empty");
    setup.queue.push(error("a"));
    assert!(setup.queue.flush(Instant::now()).is_err());
}

#[test]
fn shutdown_counts_waiting_items_as_lost() {
    let mut setup = setup(QueueLimits::default());
    setup.queue.push(error("a"));
    setup.run();
    setup.queue.push(Item {
        events: 3,
        ..error("b")
    });
    setup.queue.push(info("c"));
    setup.queue.shutdown_by(Instant::now());
    setup.queue.shutdown_by(Instant::now());
    assert_eq!(setup.sender.step(), Step::Ended);
    setup.queue.push(info("d"));
    let stats = setup.stats();
    assert_eq!((stats.delivered, stats.lost_at_shutdown), (1, 5));
    assert!(setup.has_reported(Fault::Lost));
    assert!(setup.queue.flush(Instant::now() + IN_TIME).is_err());
}

/// Shuts down the queue while it delivers, and then answers.
struct EndsMeanwhile(Arc<ExportQueue<Item>>, Delivery);

impl Deliver<Item> for EndsMeanwhile {
    fn deliver(&mut self, _: &Item) -> Delivery {
        self.0.shutdown_by(Instant::now());
        self.1.clone()
    }
}

#[test]
fn item_in_flight_at_shutdown_is_counted_once() {
    let limited = Delivery::RateLimited(String::new());
    let answers = [
        Delivery::Delivered,
        partial(1),
        refused(),
        too_large(),
        limited,
        failed(None),
    ];
    for answer in answers {
        let mut options = ExporterOptions::new("test", "the test");
        options.report = SelfReport::silent();
        let transport = |queue: &Arc<ExportQueue<Item>>| {
            Box::new(EndsMeanwhile(Arc::clone(queue), answer.clone())) as _
        };
        let mut sender = SteppedSender::new(&options, transport, None);
        sender.queue().push(Item {
            events: 2,
            ..error("a")
        });
        sender.queue().push(error("b"));
        assert_eq!(sender.step(), Step::Worked);
        assert_eq!(sender.step(), Step::Ended);
        let stats = sender.queue().counters().stats();
        assert_eq!((stats.lost_at_shutdown, stats.lost()), (3, 3), "{answer:?}");
        assert_eq!(stats.delivered, 0, "{answer:?}");
    }
}

/// An item whose destructor uses the queue, as that of an item that logs does.
struct UsesQueue(Weak<ExportQueue<Self>>);

impl Drop for UsesQueue {
    fn drop(&mut self) {
        let queue = self.0.upgrade();
        assert_eq!(queue.map(|queue| queue.held_bytes()), Some(0));
    }
}

impl ExportItem for UsesQueue {
    fn events(&self) -> u64 {
        1
    }

    fn bytes(&self) -> usize {
        1
    }

    fn level(&self) -> Level {
        Level::INFO
    }
}

struct DeliversAll;

impl Deliver<UsesQueue> for DeliversAll {
    fn deliver(&mut self, _: &UsesQueue) -> Delivery {
        Delivery::Delivered
    }
}

#[test]
fn item_lost_at_shutdown_may_use_the_queue() {
    bounded(|| {
        let mut options = ExporterOptions::new("test", "the test");
        options.report = SelfReport::silent();
        let sender = SteppedSender::new(&options, |_| Box::new(DeliversAll), None);
        let queue = sender.queue();
        queue.push(UsesQueue(Arc::downgrade(queue)));
        queue.shutdown_by(Instant::now());
        assert_eq!(queue.counters().stats().lost_at_shutdown, 1);
    });
}

/// Tasks whose next run a test sets.
#[derive(Debug, Default)]
struct Tasks {
    next: Mutex<Option<Instant>>,
    runs: AtomicU32,
}

impl PeriodicTasks for Tasks {
    fn next_run(&self) -> Option<Instant> {
        *self.next.lock().unwrap()
    }

    fn run(&self, now: Instant) {
        assert!(is_sender_thread(), "its events are about sending");
        assert!(!is_delivering(), "the application's code runs");
        let due = self.next.lock().unwrap().take();
        assert!(due.is_some_and(|due| due <= now));
        self.runs.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn due_tasks_run_before_items() {
    let tasks = Arc::new(Tasks::default());
    let weak: Weak<dyn PeriodicTasks> =
        Arc::downgrade(&(Arc::clone(&tasks) as Arc<dyn PeriodicTasks>));
    let mut setup = setup_with_tasks(QueueLimits::default(), Some(weak));
    assert_eq!(setup.run(), None);
    *tasks.next.lock().unwrap() = Some(setup.clock.instant() + 5 * SECOND);
    assert_eq!(setup.run(), Some(5 * SECOND));
    setup.clock.advance(5 * SECOND);
    setup.queue.push(info("a"));
    assert_eq!(setup.sender.step(), Step::Worked);
    assert_eq!(tasks.runs.load(Ordering::Relaxed), 1);
    assert!(setup.script.received().is_empty());
    assert_eq!(setup.run(), None);
    assert_eq!(setup.script.received(), ["a"]);
    assert!(!is_sender_thread());
    // Without their owner, the tasks end.
    *tasks.next.lock().unwrap() = Some(setup.clock.instant());
    drop(tasks);
    assert_eq!(setup.run(), None);
}

#[test]
fn earlier_of_two_times_wakes_the_sender() {
    let tasks = Arc::new(Tasks::default());
    let weak: Weak<dyn PeriodicTasks> =
        Arc::downgrade(&(Arc::clone(&tasks) as Arc<dyn PeriodicTasks>));
    let mut setup = setup_with_tasks(QueueLimits::default(), Some(weak));
    setup.script.fail(1);
    setup.queue.push(error("a"));
    *tasks.next.lock().unwrap() = Some(setup.clock.instant() + 3 * SECOND);
    setup.run_until_backoff(SECOND);
    *tasks.next.lock().unwrap() = Some(setup.clock.instant() + SECOND / 2);
    assert_eq!(setup.run(), Some(SECOND / 2));
}

/// A signal between the last check and the wait is not lost. Otherwise `wait` would never return.
#[test]
fn signal_before_the_wait_is_not_lost() {
    let mut setup = setup(QueueLimits::default());
    assert_eq!(setup.sender.step(), Step::Wait(None));
    setup.queue.wake();
    setup.sender.wait(None);
    assert_eq!(setup.sender.step(), Step::Wait(None));
    setup.queue.push(info("a"));
    setup.sender.wait(None);
    setup.queue.shutdown_by(Instant::now());
    setup.sender.wait(None);
}

#[derive(Debug, Clone)]
enum Action {
    Push(Item),
    Step,
    Advance(u32),
    Answer(Answer),
    Hurry,
}

fn action() -> impl Strategy<Value = Action> {
    let level = prop_oneof![
        Just(Level::ERROR),
        Just(Level::WARN),
        Just(Level::INFO),
        Just(Level::TRACE)
    ];
    let push = (level, 0..4_u64, 0..8_usize).prop_map(|(level, events, bytes)| {
        Action::Push(Item {
            name: "any",
            level,
            events,
            bytes,
        })
    });
    let answer = prop_oneof![
        Just(Answer::Panic),
        Just(Answer::Deliver(refused())),
        (0..6_u64).prop_map(|refused| Answer::Deliver(partial(refused))),
        Just(Answer::Deliver(too_large())),
        Just(Answer::Deliver(Delivery::RateLimited(String::new()))),
        Just(Answer::Deliver(failed(None))),
        Just(Answer::Deliver(failed(Some(700 * SECOND)))),
    ];
    prop_oneof![
        4 => push,
        4 => Just(Action::Step),
        1 => (0..400_u32).prop_map(Action::Advance),
        2 => answer.prop_map(Action::Answer),
        1 => Just(Action::Hurry),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// After any sequence of actions, each event is counted once, and no limit is exceeded.
    #[test]
    fn every_event_is_counted_once(actions in prop::collection::vec(action(), 0..80)) {
        let mut setup = setup(limits(6, 24));
        let (mut pushed, mut splits) = (0, 0);
        for action in actions {
            match action {
                Action::Push(item) => {
                    pushed += item.events;
                    setup.queue.push(item);
                }
                Action::Step => {
                    setup.sender.step();
                }
                Action::Advance(seconds) => setup.clock.advance(seconds * SECOND),
                Action::Hurry => setup.queue.hurry(),
                Action::Answer(answer) => {
                    let is_split = matches!(&answer, Answer::Deliver(Delivery::TooLarge(_)));
                    splits += usize::from(is_split);
                    setup.script.0.lock().unwrap().answers.push_back(answer);
                }
            }
            let (items, bytes, waiting) = setup.sender.held();
            // Each split adds an item.
            prop_assert!(items <= 6 + splits && bytes <= 24, "{items} items of {bytes} bytes");
            let stats = setup.stats();
            prop_assert_eq!(pushed, stats.delivered + stats.lost() + waiting);
        }
        setup.queue.shutdown_by(Instant::now());
        let stats = setup.stats();
        prop_assert_eq!(pushed, stats.delivered + stats.lost());
    }
}
