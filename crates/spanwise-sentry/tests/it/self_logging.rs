//! Events of the HTTP client on the sender thread, which must not be sent themselves.

use std::time::{Duration, Instant, SystemTime};

use crate::support::{Behaviour, Receiver, alone, builder, output_alone};
use spanwise_core::{Clock, Flush as _, TargetLevels};
use spanwise_sentry::Sentry;
use tracing::{error, level_filters::LevelFilter};
use tracing_subscriber::prelude::*;

#[test]
fn http_client_logs_do_not_feed_back() {
    if alone("self_logging::http_client_logs_do_not_feed_back") {
        return;
    }
    let receiver = Receiver::behaving(Behaviour::Answer(503, &[]));
    let all = || TargetLevels::from(LevelFilter::TRACE);
    let builder = builder(&receiver)
        .event_levels(all())
        .breadcrumb_levels(all())
        .logs(all());
    let (layer, guard) = builder.build().unwrap();
    let (seen, other) = Seen::new();
    tracing_subscriber::registry()
        .with(layer)
        .with(other)
        .init();
    let _ = tracing_log::LogTracer::init();
    error!("failed");
    receiver.wait_for(1);
    let sentry = guard.sentry();
    assert!(
        sentry
            .flush_by(Instant::now() + Duration::from_secs(60))
            .is_err()
    );
    receiver.behave(crate::support::ACCEPT);
    assert!(
        sentry
            .flush_by(Instant::now() + Duration::from_secs(60))
            .is_ok()
    );
    let stats = guard.shutdown(Duration::from_secs(60));
    // One event and one log.
    assert_eq!((stats.sent.delivered, stats.sent.lost()), (2, 0));
    // Another layer receives events of the HTTP client only from other threads.
    log::info!(target: "ureq", "on the thread of the test");
    let seen = seen.lock().unwrap();
    let of_ureq: Vec<_> = seen.iter().filter(|(root, _)| root == "ureq").collect();
    let own = std::thread::current();
    assert_eq!(
        of_ureq,
        [&("ureq".to_owned(), own.name().map(str::to_owned))]
    );
}

/// A hook is code of the application, so other layers receive its events.
#[test]
fn hook_events_on_the_sender_thread_are_seen() {
    if alone("self_logging::hook_events_on_the_sender_thread_are_seen") {
        return;
    }
    let receiver = Receiver::start();
    let hook = |event| {
        tracing::info!(target: "hook", "asked");
        Some(event)
    };
    let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let builder = builder(&receiver).before_send(hook);
    let (layer, guard) = builder.clock(clock.clone()).build().unwrap();
    let (seen, other) = Seen::new();
    tracing_subscriber::registry()
        .with(layer)
        .with(other)
        .init();
    (0..2).for_each(|_| error!("failed"));
    clock.advance(Duration::from_secs(60));
    // Wakes the sender thread, which then reports the repeated error.
    error!("failed otherwise");
    let sender = ("hook".to_owned(), Some("spanwise-sentry".to_owned()));
    let until = Instant::now() + Duration::from_secs(60);
    while !seen.lock().unwrap().contains(&sender) {
        assert!(
            Instant::now() < until,
            "the sender thread has called no hook"
        );
        std::thread::yield_now();
    }
    guard.shutdown(Duration::from_secs(60));
}

/// The logs of the HTTP client and the response of the server do not reveal the key of the DSN.
#[test]
fn dsn_key_is_never_logged() {
    if let Some(output) = output_alone("self_logging::dsn_key_is_never_logged") {
        let texts = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        let [stdout, stderr] = &texts;
        assert!(stderr.contains("[REDACTED]"), "{stderr}");
        assert!(!stderr.contains(KEY), "{stderr}");
        // Nor is a part of the key at the end of a report.
        assert!(!stderr.contains(&KEY[..8]), "{stderr}");
        assert!(!stdout.contains(KEY), "{stdout}");
        // Part of a hex dump with 16 bytes a row.
        assert!(!stdout.contains("entry_key="), "{stdout}");
        assert!(!stdout.contains("X-Sentry-Auth"), "{stdout}");
        return;
    }
    let receiver = Receiver::behaving(Behaviour::Echo);
    let (layer, guard) = Sentry::builder(receiver.dsn().parse().unwrap())
        .build()
        .unwrap();
    tracing_subscriber::registry()
        .with(layer)
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stdout))
        .init();
    let _ = tracing_log::LogTracer::init();
    error!("failed");
    receiver.wait_for(1);
    // When this event is received, the refusal of the first event was reported.
    error!("failed again");
    receiver.wait_for(2);
    let stats = guard.shutdown(Duration::from_secs(60));
    assert_eq!(stats.sent.write_failed, 2);
}

const KEY: &str = "0123456789abcdef";

/// The first part of the target and the name of the thread, for each event.
type Targets = std::sync::Arc<std::sync::Mutex<Vec<(String, Option<String>)>>>;

/// Another layer, which stores the events that it receives.
struct Seen(Targets);

impl Seen {
    fn new() -> (Targets, Self) {
        let seen = Targets::default();
        (seen.clone(), Self(seen))
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Seen {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let target = spanwise_core::internal::log_record::LogRecord::from_event(event).target;
        let target = target.unwrap_or_else(|| event.metadata().target().to_owned());
        let root = target.split("::").next().unwrap_or_default().to_owned();
        let thread = std::thread::current().name().map(str::to_owned);
        self.0.lock().unwrap().push((root, thread));
    }
}
