//! Events that an exiting thread logs from the destructors of its thread-locals, after the
//! thread-locals of the client were dropped.

use std::{
    cell::RefCell,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use sentry_core::Hub;
use spanwise_redact::Policy;
use spanwise_sentry::{Sentry, SentryGuard};
use tracing::{Span, error, info, info_span};
use tracing_subscriber::prelude::*;

use crate::support::{Receiver, alone, builder};

/// The value of a thread-local, which logs when it is dropped.
struct OnExit {
    span: Span,
    sentry: Sentry,
    guard: Option<SentryGuard>,
}

impl Drop for OnExit {
    fn drop(&mut self) {
        info!("a breadcrumb at the end");
        self.span.record("late", "of the end");
        error!(
            password = "hunter2hunter2",
            tags.place = "end",
            "at the end"
        );
        error!(parent: &self.span, "in the span");
        error!("at the end again");
        self.sentry.bind();
        let _ = self.sentry.stats();
        let _ = spanwise_core::Flush::flush_by(&self.sentry, std::time::Instant::now());
        // Closing the span creates a transaction.
        self.span = Span::none();
        if let Some(guard) = self.guard.take() {
            guard.shutdown(Duration::from_secs(60));
        }
    }
}

thread_local! {
    static ON_EXIT: RefCell<Option<OnExit>> = const { RefCell::new(None) };
}

#[test]
fn events_of_destructors_are_sent() {
    if alone("exiting_thread::events_of_destructors_are_sent") {
        return;
    }
    let receiver = Receiver::start();
    let (layer, guard) = builder(&receiver)
        .redact(Arc::new(Policy::secrets_and_pii()))
        .before_send(|mut event| {
            event.extra.insert("token".into(), "hunter2hunter2".into());
            Some(event)
        })
        .logs("info".parse::<spanwise_core::TargetLevels>().unwrap())
        .traces_sample_rate(1.0)
        .build()
        .unwrap();
    tracing_subscriber::registry().with(layer).init();
    let sentry = guard.sentry();
    let thread = std::thread::spawn(move || {
        // The first thread-local of the thread is dropped last.
        ON_EXIT.set(None);
        let span = info_span!("job", late = tracing::field::Empty);
        ON_EXIT.set(Some(OnExit {
            span: span.clone(),
            sentry,
            guard: Some(guard),
        }));
        let _entered = span.enter();
        // From here on, all thread-locals of the layer and the client exist.
        info!("a breadcrumb");
        error!("before the end");
        let _ = Hub::current();
    });
    thread.join().unwrap();
    let messages: Vec<_> = receiver
        .events()
        .iter()
        .map(|event| event["message"].as_str().unwrap().to_owned())
        .collect();
    for message in [
        "before the end",
        "at the end",
        "in the span",
        "at the end again",
    ] {
        assert!(
            messages.iter().any(|sent| sent == message),
            "{message}: {messages:?}"
        );
    }
    assert_eq!(messages.len(), 4, "{messages:?}");
    assert_eq!(receiver.items("transaction").len(), 1);
    for body in receiver.bodies() {
        let text = String::from_utf8(body).unwrap();
        assert!(!text.contains("hunter2hunter2"), "{text}");
    }
}

/// The sample rate decides for each error whether it is sent or counted.
#[test]
fn sample_rate_applies_and_is_counted() {
    if alone("exiting_thread::sample_rate_applies_and_is_counted") {
        return;
    }
    struct Logs;
    impl Drop for Logs {
        fn drop(&mut self) {
            for number in 0..20 {
                error!("at the end {number}");
            }
        }
    }
    thread_local! {
        static LOGS: RefCell<Option<Logs>> = const { RefCell::new(None) };
    }
    let receiver = Receiver::start();
    let (layer, guard) = builder(&receiver).sample_rate(0.5).build().unwrap();
    tracing_subscriber::registry().with(layer).init();
    let thread = std::thread::spawn(|| {
        LOGS.set(None);
        LOGS.set(Some(Logs));
        error!("before the end");
    });
    thread.join().unwrap();
    let stats = guard.shutdown(Duration::from_secs(60));
    let sent = &stats.sent;
    assert_eq!(
        sent.delivered + sent.lost() + stats.discarded,
        21,
        "{stats:?}"
    );
}

/// A hook that blocks delays the sender thread, but not the exiting thread.
#[test]
fn hook_that_blocks_does_not_delay_it() {
    if alone("exiting_thread::hook_that_blocks_does_not_delay_it") {
        return;
    }
    struct Logs(mpsc::Sender<()>);
    impl Drop for Logs {
        fn drop(&mut self) {
            error!("at the end");
            self.0.send(()).unwrap();
        }
    }
    thread_local! {
        static LOGS: RefCell<Option<Logs>> = const { RefCell::new(None) };
    }
    let receiver = Receiver::start();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let (layer, guard) = builder(&receiver)
        .before_send(move |event| {
            if event.message.as_deref() == Some("at the end") {
                // Blocks until the test drops the other end.
                let _ = released.lock().unwrap().recv();
            }
            Some(event)
        })
        .build()
        .unwrap();
    tracing_subscriber::registry().with(layer).init();
    let (has_ended, ended) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        LOGS.set(None);
        LOGS.set(Some(Logs(has_ended)));
        error!("before the end");
    });
    ended.recv_timeout(Duration::from_secs(60)).unwrap();
    thread.join().unwrap();
    drop(release);
    let stats = guard.shutdown(Duration::from_secs(60));
    assert_eq!(
        (stats.sent.delivered, stats.sent.lost()),
        (2, 0),
        "{stats:?}"
    );
}

#[test]
fn events_after_shutdown_are_counted() {
    if alone("exiting_thread::events_after_shutdown_are_counted") {
        return;
    }
    struct Logs(Option<SentryGuard>);
    impl Drop for Logs {
        fn drop(&mut self) {
            let guard = self.0.take().unwrap();
            let sentry = guard.sentry();
            guard.shutdown(Duration::from_secs(60));
            error!("after the end");
            assert_eq!(sentry.stats().sent.lost(), 1, "{:?}", sentry.stats());
        }
    }
    thread_local! {
        static LOGS: RefCell<Option<Logs>> = const { RefCell::new(None) };
    }
    let receiver = Receiver::start();
    let (layer, guard) = builder(&receiver).build().unwrap();
    tracing_subscriber::registry().with(layer).init();
    let thread = std::thread::spawn(|| {
        LOGS.set(None);
        LOGS.set(Some(Logs(Some(guard))));
        error!("before the end");
    });
    thread.join().unwrap();
    assert_eq!(receiver.events().len(), 1);
}
