//! Servers are down or slow, or refuse events. The events are counted, and the shutdown ends in
//! time.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use crate::support::{Behaviour, Receiver, builder, sent};
use spanwise_core::{Flush as _, SelfReport};
use spanwise_sentry::{Sentry, SentryStats};
use tracing::error;
use tracing_subscriber::prelude::*;

/// Much longer than any deadline, for a loaded machine.
const IN_TIME: Duration = Duration::from_secs(60);

/// Logs errors for a server, and shuts down. Returns the duration of the shutdown.
fn log_for(receiver: &Receiver, errors: u64, deadline: Duration) -> (SentryStats, Duration) {
    let builder = builder(receiver).timeout(Duration::from_secs(60));
    let (layer, guard) = builder.build().unwrap();
    let _default = tracing_subscriber::registry().with(layer).set_default();
    for number in 0..errors {
        error!("failed {number}");
    }
    let began = Instant::now();
    let stats = guard.shutdown(deadline);
    (stats, began.elapsed())
}

#[track_caller]
fn assert_all_counted(stats: &SentryStats, errors: u64) {
    let sent = &stats.sent;
    assert_eq!(sent.delivered + sent.lost(), errors, "{sent:?}");
}

#[test]
fn burst_of_a_thousand_errors_arrives() {
    let (receiver, stats) = sent(crate::support::plain, || {
        for number in 0..1000 {
            error!("failed {number}");
        }
    });
    assert_eq!(stats.sent.delivered, 1000, "{stats:?}");
    assert_eq!(receiver.events().len(), 1000);
}

#[test]
fn silent_server_is_left_at_the_deadline() {
    for behaviour in [Behaviour::Hang, Behaviour::Deaf, Behaviour::Drip] {
        let receiver = Receiver::behaving(behaviour.clone());
        let (stats, took) = log_for(&receiver, 100, Duration::from_millis(300));
        assert!(took < IN_TIME, "{behaviour:?}: {took:?}");
        assert_eq!(stats.sent.lost_at_shutdown, 100, "{behaviour:?}: {stats:?}");
    }
}

#[test]
fn unreachable_server_does_not_delay_shutdown() {
    let receiver = Receiver::behaving(Behaviour::Close);
    for dsn in [
        receiver.dsn(),
        // No server listens there any more.
        format!("http://key@{}/42", {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        }),
        "http://key@there-is-no-such-host.invalid/42".to_owned(),
    ] {
        let builder = Sentry::builder(dsn.parse().unwrap()).report(SelfReport::silent());
        let (layer, guard) = builder.build().unwrap();
        let _default = tracing_subscriber::registry().with(layer).set_default();
        for number in 0..100 {
            error!("failed {number}");
        }
        let began = Instant::now();
        let stats = guard.shutdown(Duration::from_secs(3600));
        assert!(began.elapsed() < Duration::from_secs(60), "{dsn}");
        assert_eq!(stats.sent.lost_at_shutdown, 100, "{dsn}: {stats:?}");
    }
}

#[test]
fn untrusted_server_gets_nothing() {
    // The answer is not TLS.
    let receiver = Receiver::behaving(Behaviour::Garbage);
    let dsn = receiver.dsn().replace("http:", "https:");
    let builder = Sentry::builder(dsn.parse().unwrap()).report(SelfReport::silent());
    let (layer, guard) = builder.timeout(Duration::from_secs(1)).build().unwrap();
    let _default = tracing_subscriber::registry().with(layer).set_default();
    error!("failed");
    let stats = guard.shutdown(IN_TIME);
    assert_eq!(stats.sent.lost_at_shutdown, 1, "{stats:?}");
    assert!(receiver.bodies().is_empty());
}

#[test]
fn recovered_server_gets_the_queued_events() {
    let receiver = Receiver::behaving(Behaviour::Answer(503, &[]));
    let (layer, guard) = builder(&receiver).build().unwrap();
    let _default = tracing_subscriber::registry().with(layer).set_default();
    error!("while it was away");
    receiver.wait_for(1);
    let sentry = guard.sentry();
    assert!(sentry.flush_by(Instant::now() + IN_TIME).is_err());
    receiver.behave(crate::support::ACCEPT);
    error!("when it was back");
    assert!(sentry.flush_by(Instant::now() + IN_TIME).is_ok());
    let stats = guard.shutdown(IN_TIME);
    assert_eq!((stats.sent.delivered, stats.sent.lost()), (2, 0));
}

#[test]
fn rate_limit_of_the_server_is_respected() {
    let receiver = Receiver::behaving(Behaviour::Answer(429, &[("retry-after", "0")]));
    let (layer, guard) = builder(&receiver).build().unwrap();
    let _default = tracing_subscriber::registry().with(layer).set_default();
    error!("the first");
    receiver.wait_for(1);
    for number in 0..50 {
        error!("failed {number}");
    }
    assert!(guard.sentry().flush_by(Instant::now() + IN_TIME).is_ok());
    assert_eq!(receiver.bodies().len(), 1);
    // A wait of zero is extended to a second.
    receiver.behave(crate::support::ACCEPT);
    let until = Instant::now() + IN_TIME;
    while guard.sentry().stats().sent.delivered == 0 {
        assert!(Instant::now() < until, "nothing is sent any more");
        // A pause between two polls.
        std::thread::sleep(Duration::from_millis(20));
        error!(at = ?Instant::now(), "after {:?}", until - Instant::now());
        assert!(guard.sentry().flush_by(until).is_ok());
    }
    let stats = guard.shutdown(IN_TIME);
    assert!(stats.sent.write_failed >= 51, "{stats:?}");
}

#[test]
fn refused_event_is_counted_and_not_retried() {
    for status in [301, 400, 403, 413] {
        let receiver = Receiver::behaving(Behaviour::Answer(status, &[("location", "/elsewhere")]));
        let (stats, _) = log_for(&receiver, 3, IN_TIME);
        assert_eq!(stats.sent.write_failed, 3, "{status}: {stats:?}");
        assert_eq!(receiver.bodies().len(), 3, "{status}");
    }
}

#[test]
fn events_beyond_the_queue_are_counted() {
    let receiver = Receiver::behaving(Behaviour::Hang);
    for (envelopes, bytes) in [(10, usize::MAX), (usize::MAX, 20_000)] {
        let builder = builder(&receiver).queue(envelopes, bytes);
        let (layer, guard) = builder.build().unwrap();
        let _default = tracing_subscriber::registry().with(layer).set_default();
        for number in 0..100 {
            error!("failed {number}");
        }
        let stats = guard.shutdown(Duration::ZERO);
        assert!(stats.sent.shed.error >= 60, "{stats:?}");
        assert_all_counted(&stats, 100);
    }
}

#[test]
fn events_after_shutdown_are_counted() {
    let receiver = Receiver::start();
    let (layer, guard) = builder(&receiver).build().unwrap();
    let _default = tracing_subscriber::registry().with(layer).set_default();
    let sentry = guard.sentry();
    guard.shutdown(IN_TIME);
    error!("too late");
    assert_eq!(sentry.stats().sent.lost_at_shutdown, 1);
}

#[test]
fn invalid_proxy_stops_the_start() {
    let receiver = Receiver::start();
    let builder = builder(&receiver).options(|mut options| {
        options.http_proxy = Some("no proxy at all://".into());
        options
    });
    assert!(builder.build().is_err());
}
