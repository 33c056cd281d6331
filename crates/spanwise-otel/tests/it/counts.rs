//! Each record is in exactly one count, whatever happens.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use spanwise_core::{Flush as _, KeyVerdict, Redact};
use spanwise_otel::{ExportOptions, Otel, OtelStats};
use tracing::{error, info, info_span, warn};

use crate::support::{
    GUARD, assert_settled, builder,
    receiver::{Behaviour, Receiver},
    subscriber,
};

/// Panics if a value asks for it.
#[derive(Debug)]
struct Fragile;

impl Redact for Fragile {
    fn key(&self, _: &str) -> KeyVerdict {
        KeyVerdict::Pass
    }

    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        assert!(!text.contains("panic"), "a panic of the policy");
        Cow::Borrowed(text)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Info(u8),
    Warn(u8),
    Error(u8),
    PanicInPolicy,
    Behave(Fault),
    BehaveOnce(Fault),
    Flush,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    Partial(i64),
    Status(u16),
    MaxItems(usize),
    Hang,
    Close,
    Reset,
    Garbage,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Shutdown,
    ShutdownAtOnce,
    ShutdownByTwo,
    Drop,
}

impl Fault {
    fn behaviour(self) -> Behaviour {
        match self {
            Self::None => Behaviour::Accept,
            Self::Partial(rejected) => Behaviour::Partial(rejected, "a reason"),
            Self::Status(status) => Behaviour::status(status),
            Self::MaxItems(max) => Behaviour::MaxItems(max),
            Self::Hang => Behaviour::Hang,
            Self::Close => Behaviour::Close,
            Self::Reset => Behaviour::Reset,
            Self::Garbage => Behaviour::Garbage,
        }
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::None),
        (-1..10_i64).prop_map(Fault::Partial),
        prop_oneof![Just(400), Just(413), Just(429), Just(500), Just(503)].prop_map(Fault::Status),
        (0..6_usize).prop_map(Fault::MaxItems),
        Just(Fault::Hang),
        Just(Fault::Close),
        Just(Fault::Reset),
        Just(Fault::Garbage),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..30_u8).prop_map(Step::Info),
        2 => (1..10_u8).prop_map(Step::Warn),
        2 => (1..10_u8).prop_map(Step::Error),
        1 => Just(Step::PanicInPolicy),
        2 => fault().prop_map(Step::Behave),
        2 => fault().prop_map(Step::BehaveOnce),
        2 => Just(Step::Flush),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Shutdown),
        Just(End::ShutdownAtOnce),
        Just(End::ShutdownByTwo),
        Just(End::Drop),
    ]
}

/// Takes the steps. Returns the number of spans, which is that of log records, too.
fn take(steps: &[Step], receiver: &Receiver, otel: &Otel) -> u64 {
    let mut recorded = 0;
    for step in steps {
        match step {
            Step::Info(count) => (0..*count).for_each(|_| {
                info_span!("a span").in_scope(|| info!("an event"));
                recorded += 1;
            }),
            Step::Warn(count) => (0..*count).for_each(|_| {
                info_span!("a span").in_scope(|| warn!("an event"));
                recorded += 1;
            }),
            Step::Error(count) => (0..*count).for_each(|_| {
                info_span!("a span").in_scope(|| error!("an event"));
                recorded += 1;
            }),
            Step::PanicInPolicy => {
                let span = info_span!("a span", text = "a panic");
                span.in_scope(|| info!(text = "a panic", "an event"));
                recorded += 1;
            }
            Step::Behave(fault) => receiver.behave(fault.behaviour()),
            Step::BehaveOnce(fault) => receiver.behave_once(fault.behaviour()),
            Step::Flush => drop(otel.flush_by(Instant::now() + Duration::from_millis(50))),
        }
    }
    recorded
}

fn run(steps: &[Step], end: End) -> (u64, OtelStats) {
    let receiver = Receiver::start();
    let builder = builder(&receiver)
        .metrics(ExportOptions::off)
        .redact(Arc::new(Fragile))
        .all_signals(|signal| {
            signal
                .timeout(Duration::from_millis(100))
                .delay(Duration::from_millis(5))
                .max_queue_len(20)
                .max_batch_len(5)
        });
    let (otel, guard) = builder.build().unwrap();
    let dispatch = subscriber(&otel);
    let mut recorded =
        tracing::dispatcher::with_default(&dispatch, || take(steps, &receiver, &otel));
    let soon = Duration::from_millis(200);
    match end {
        End::Shutdown => drop(guard.shutdown(soon)),
        End::ShutdownAtOnce => drop(guard.shutdown(Duration::ZERO)),
        End::ShutdownByTwo => {
            let other = otel.clone();
            let thread = std::thread::spawn(move || {
                spanwise_core::SinkControl::shutdown_by(&other, Instant::now() + soon);
            });
            guard.shutdown(soon);
            thread.join().unwrap();
        }
        End::Drop => {
            receiver.behave(Behaviour::Accept);
            drop(guard);
        }
    }
    // What comes too late is lost, and counted.
    recorded +=
        tracing::dispatcher::with_default(&dispatch, || take(&[Step::Info(3)], &receiver, &otel));
    (recorded, otel.stats())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn each_record_is_counted_once(
        steps in prop::collection::vec(step(), 1..16),
        end in end(),
    ) {
        let (recorded, stats) = run(&steps, end);
        for signal in [&stats.traces, &stats.logs] {
            prop_assert_eq!(signal.accepted, recorded, "{:?}", stats);
            assert_settled(signal);
        }
    }
}

#[test]
fn full_queues_shed_info_before_warn() {
    let receiver = Receiver::behaving(Behaviour::Hang);
    let builder = builder(&receiver)
        .metrics(ExportOptions::off)
        .traces(ExportOptions::off)
        .logs(|logs| {
            let logs = logs.timeout(10 * GUARD).delay(Duration::from_secs(3600));
            logs.max_queue_len(100).max_batch_len(10)
        });
    let (otel, guard) = builder.build().unwrap();
    tracing::dispatcher::with_default(&subscriber(&otel), || {
        (0..1000).for_each(|_| info!("an event"));
        (0..40).for_each(|_| warn!("an event"));
        (0..40).for_each(|_| error!("an event"));
    });
    let shed = otel.stats().logs.outcomes.shed;
    assert_eq!((shed.warn, shed.error), (0, 0), "{shed:?}");
    assert_eq!(shed.info, 1000 - 20, "{shed:?}");
    let stats = guard.shutdown(Duration::ZERO);
    assert_settled(&stats.logs);
    assert_eq!(stats.logs.outcomes.lost_at_shutdown, 100);
}

#[test]
fn full_queues_shed_the_newest_spans() {
    let receiver = Receiver::behaving(Behaviour::Hang);
    let builder = builder(&receiver)
        .metrics(ExportOptions::off)
        .logs(ExportOptions::off)
        .traces(|traces| {
            let traces = traces.timeout(10 * GUARD).delay(Duration::from_secs(3600));
            traces.max_queue_len(100).max_batch_len(10)
        });
    let (otel, guard) = builder.build().unwrap();
    tracing::dispatcher::with_default(&subscriber(&otel), || {
        (0..1000).for_each(|_| drop(info_span!("a span")));
    });
    let stats = otel.stats().traces;
    assert_eq!(stats.outcomes.shed.info, 900, "{stats:?}");
    assert!(stats.waiting_bytes > 0);
    let stats = guard.shutdown(Duration::ZERO);
    assert_settled(&stats.traces);
}

/// A batch that does not fit into the queue would be shed as a whole, even if nothing else waits.
#[test]
fn batches_fit_into_small_queues() {
    let receiver = Receiver::start();
    let builder = builder(&receiver)
        .metrics(ExportOptions::off)
        .all_signals(|signal| {
            let signal = signal.delay(Duration::from_secs(3600));
            signal.queue_bytes(64 * 1024)
        });
    let (otel, guard) = builder.build().unwrap();
    let text = "x".repeat(1024);
    tracing::dispatcher::with_default(&subscriber(&otel), || {
        (0..200).for_each(|_| info_span!("a span", text).in_scope(|| info!(text, "an event")));
    });
    otel.flush_by(Instant::now() + GUARD).unwrap();
    let stats = guard.shutdown(GUARD);
    for signal in [&stats.traces, &stats.logs] {
        assert_settled(signal);
        // Some of the other batches may find the queue full.
        assert!(signal.outcomes.delivered > 0, "{signal:?}");
    }
}
