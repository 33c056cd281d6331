//! Answers of a collector that does not take everything.

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use spanwise_core::Flush as _;
use spanwise_otel::{ExportOptions, OtelBuilder, OtelStats};

use crate::support::{
    GUARD, assert_settled, builder,
    receiver::{Behaviour, Receiver, body},
    record,
};

/// Returns a builder that exports only logs, and sends a batch when it has 10.
fn logs_in_tens(receiver: &Receiver) -> OtelBuilder {
    builder(receiver)
        .traces(ExportOptions::off)
        .metrics(ExportOptions::off)
        .logs(|logs| logs.delay(Duration::from_secs(3600)).max_batch_len(10))
}

/// Sends a batch of 10 log records to a collector that behaves like this once.
fn send_ten(receiver: &Receiver, behaviour: Behaviour) -> OtelStats {
    receiver.behave_once(behaviour);
    let (otel, guard) = logs_in_tens(receiver).build().unwrap();
    record(&otel, 10);
    let stats = guard.shutdown(GUARD);
    assert_settled(&stats.logs);
    stats
}

fn counts(stats: &OtelStats) -> (u64, u64, u64) {
    let sent = &stats.logs.outcomes;
    (sent.delivered, sent.write_failed, sent.lost_at_shutdown)
}

fn failure(stats: &OtelStats) -> &str {
    stats.logs.last_failure.as_ref().map_or("", |it| &it.reason)
}

#[test]
fn partial_success_counts_rejected_records() {
    let receiver = Receiver::start();
    let stats = send_ten(&receiver, Behaviour::Partial(3, "too old"));
    assert_eq!(counts(&stats), (7, 3, 0));
    assert_eq!(receiver.requests().len(), 1);
    let reason = failure(&stats);
    assert!(reason.contains("3 log records: too old"), "{reason}");
}

#[test]
fn hints_of_the_collector_fail_nothing() {
    let receiver = Receiver::start();
    let stats = send_ten(&receiver, Behaviour::Partial(0, "use gzip"));
    assert_eq!(counts(&stats), (10, 0, 0));
    let stats = send_ten(&receiver, Behaviour::Partial(-5, "odd"));
    assert_eq!(counts(&stats), (10, 0, 0));
    let stats = send_ten(&receiver, Behaviour::Partial(99, "odd"));
    assert_eq!(counts(&stats), (0, 10, 0));
}

#[test]
fn refused_requests_are_not_sent_again() {
    for status in [300, 301, 400, 401, 403, 404, 408, 500, 501] {
        let receiver = Receiver::start();
        let answer = b"no such tenant".to_vec();
        let stats = send_ten(&receiver, Behaviour::Answer(status, &[], answer));
        assert_eq!(counts(&stats), (0, 10, 0), "{status}");
        assert_eq!(receiver.requests().len(), 1, "{status}");
        let reason = failure(&stats);
        let expected = format!("answers {status}: no such tenant");
        assert!(reason.ends_with(&expected), "{reason}");
    }
}

#[test]
fn redirects_are_not_followed() {
    let receiver = Receiver::start();
    let elsewhere: &[(&str, &str)] = &[("location", "/v1/elsewhere")];
    send_ten(&receiver, Behaviour::Answer(307, elsewhere, Vec::new()));
    assert_eq!(receiver.requests().len(), 1);
}

#[test]
fn busy_collectors_are_asked_again() {
    for busy in [
        Behaviour::status(429),
        Behaviour::status(502),
        Behaviour::status(503),
        Behaviour::status(504),
        Behaviour::Close,
        Behaviour::Reset,
        Behaviour::Garbage,
    ] {
        let receiver = Receiver::start();
        let stats = send_ten(&receiver, busy.clone());
        // The shutdown asks once more: the first request came before it, or is its own.
        let (delivered, write_failed, lost) = counts(&stats);
        assert_eq!((delivered + lost, write_failed), (10, 0), "{busy:?}");
    }
}

#[test]
fn retries_deliver_everything_once() {
    for busy in [Behaviour::status(503), Behaviour::Close, Behaviour::Reset] {
        let receiver = Receiver::start();
        receiver.behave_once(busy.clone());
        let (otel, guard) = logs_in_tens(&receiver).build().unwrap();
        record(&otel, 10);
        receiver.wait_for_requests(2);
        let stats = guard.shutdown(GUARD);
        assert_eq!(counts(&stats), (10, 0, 0), "{busy:?}");
        assert_settled(&stats.logs);
        let requests = receiver.requests();
        assert_eq!(requests[0].body, requests[1].body, "{busy:?}");
    }
}

#[test]
fn collector_with_retry_after_is_asked_again() {
    let receiver = Receiver::start();
    let later: &[(&str, &str)] = &[("retry-after", "1")];
    receiver.behave_once(Behaviour::Answer(503, later, Vec::new()));
    let (otel, guard) = logs_in_tens(&receiver).build().unwrap();
    record(&otel, 10);
    receiver.wait_for_requests(2);
    assert_eq!(counts(&guard.shutdown(GUARD)), (10, 0, 0));
    assert_eq!(receiver.requests().len(), 2);
}

#[test]
fn flush_does_not_wait_for_retry_after() {
    let receiver = Receiver::start();
    let later: &[(&str, &str)] = &[("retry-after", "3600")];
    receiver.behave_once(Behaviour::Answer(503, later, Vec::new()));
    let (otel, guard) = logs_in_tens(&receiver).build().unwrap();
    record(&otel, 10);
    receiver.wait_for_requests(1);
    // The answer may still be on its way: then the first flush has that failure.
    let flush = || otel.flush_by(Instant::now() + GUARD);
    assert!(flush().is_ok() || flush().is_ok());
    assert_eq!(counts(&guard.shutdown(GUARD)), (10, 0, 0));
}

/// A server or a load balancer closes connections that are idle.
#[test]
fn connections_closed_while_idle_lose_nothing() {
    let receiver = Receiver::start();
    check_idle_connections(&receiver, logs_in_tens(&receiver));
}

#[track_caller]
fn check_idle_connections(receiver: &Receiver, builder: OtelBuilder) {
    let (otel, guard) = builder.build().unwrap();
    for _ in 0..3 {
        record(&otel, 1);
        let flushed = otel.flush_by(Instant::now() + GUARD);
        assert!(flushed.is_ok(), "{:?}", otel.stats());
        receiver.close_connections();
    }
    record(&otel, 1);
    let stats = guard.shutdown(GUARD);
    assert_eq!(counts(&stats), (4, 0, 0), "{stats:?}");
    assert_eq!(failure(&stats), "");
    assert_eq!(receiver.logs().len(), 4);
}

#[test]
fn large_requests_are_split() {
    let receiver = Receiver::behaving(Behaviour::MaxItems(3));
    let (otel, guard) = logs_in_tens(&receiver).build().unwrap();
    record(&otel, 10);
    let stats = guard.shutdown(GUARD);
    assert_eq!(counts(&stats), (10, 0, 0));
    let logs = receiver.logs();
    let numbers = |log: &LogRecord| format!("{:?}", log.attributes);
    assert_eq!(logs.len(), 10);
    assert!(logs.iter().all(|log| body(&log.item.body) == "an event"));
    let mut distinct: Vec<String> = logs.iter().map(|log| numbers(&log.item)).collect();
    distinct.dedup();
    assert_eq!(distinct.len(), 10, "in order, each once");
}

#[test]
fn records_too_large_alone_are_refused() {
    let receiver = Receiver::behaving(Behaviour::MaxItems(0));
    let (otel, guard) = logs_in_tens(&receiver).build().unwrap();
    record(&otel, 4);
    let stats = guard.shutdown(GUARD);
    assert_eq!(counts(&stats), (0, 4, 0));
    // 4, 2, 1, 1, 2, 1, 1
    assert_eq!(receiver.requests().len(), 7);
}

#[test]
fn reasons_have_no_headers_and_few_characters() {
    let receiver = Receiver::start();
    // The name of the scheme is not secret.
    let mut answer = b"Bearer token with unknown key: very-secret-key ".to_vec();
    answer.extend(std::iter::repeat_n(b'x', 100_000));
    receiver.behave_once(Behaviour::Answer(401, &[], answer));
    let builder = logs_in_tens(&receiver)
        .all_signals(|signal| signal.header("authorization", "Bearer very-secret-key"));
    assert!(!format!("{builder:?}").contains("secret"), "{builder:?}");
    let (otel, guard) = builder.build().unwrap();
    record(&otel, 10);
    let stats = guard.shutdown(GUARD);
    let reason = failure(&stats);
    assert!(
        reason.contains("Bearer token with unknown key: [REDACTED] xxx"),
        "{reason}"
    );
    assert!(!reason.contains("secret") && reason.len() < 300, "{reason}");
    assert!(!format!("{otel:?}").contains("secret"), "{otel:?}");
    let requests = receiver.requests();
    let sent = requests[0].header("authorization");
    assert_eq!(sent, Some("Bearer very-secret-key"));
}

#[cfg(feature = "grpc")]
mod grpc {
    use std::{
        io::{self, Read as _, Write as _},
        net::{TcpListener, TcpStream},
        thread,
    };

    use spanwise_core::SelfReport;
    use spanwise_otel::{Otel, Protocol};

    use super::*;
    use crate::support::grpc;

    fn send_ten(receiver: &Receiver, behaviour: Behaviour) -> OtelStats {
        receiver.behave_once(behaviour);
        let builder = logs_in_tens(receiver);
        let builder = builder.all_signals(|signal| signal.protocol(Protocol::Grpc));
        let (otel, guard) = builder.build().unwrap();
        record(&otel, 10);
        let stats = guard.shutdown(GUARD);
        assert_settled(&stats.logs);
        stats
    }

    #[test]
    fn partial_success_counts_rejected_records() {
        let receiver = grpc::start();
        let stats = send_ten(&receiver, Behaviour::Partial(3, "too old"));
        assert_eq!(counts(&stats), (7, 3, 0));
        let reason = failure(&stats);
        assert!(reason.contains("3 log records: too old"), "{reason}");
    }

    #[test]
    fn refused_calls_are_not_made_again() {
        // INVALID_ARGUMENT, PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, UNAUTHENTICATED.
        for code in [3, 7, 8, 12, 16] {
            let receiver = grpc::start();
            let message: &[(&str, &str)] = &[("grpc-message", "no such tenant")];
            let stats = send_ten(&receiver, Behaviour::Answer(code, message, Vec::new()));
            assert_eq!(counts(&stats), (0, 10, 0), "{code}");
            assert_eq!(receiver.requests().len(), 1, "{code}");
            let reason = failure(&stats);
            assert!(reason.ends_with(": no such tenant"), "{reason}");
        }
    }

    #[test]
    fn busy_collectors_are_asked_again() {
        // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS; and
        // RESOURCE_EXHAUSTED with a RetryInfo of one second.
        let retry_info = "CAgaMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIECgIIAQ";
        let details: &'static [(&str, &str)] =
            Box::leak(Box::new([("grpc-status-details-bin", retry_info)]));
        let plain = [1, 4, 10, 11, 14, 15].map(Behaviour::status);
        let with_details = Behaviour::Answer(8, details, Vec::new());
        let others = [with_details, Behaviour::Reset];
        for busy in plain.into_iter().chain(others) {
            let receiver = grpc::start();
            receiver.behave_once(busy.clone());
            let builder = logs_in_tens(&receiver);
            let builder = builder.all_signals(|signal| signal.protocol(Protocol::Grpc));
            let (otel, guard) = builder.build().unwrap();
            record(&otel, 10);
            receiver.wait_for_requests(1);
            let flush = || otel.flush_by(Instant::now() + GUARD);
            assert!(flush().is_ok() || flush().is_ok(), "{busy:?}");
            assert_eq!(counts(&guard.shutdown(GUARD)), (10, 0, 0), "{busy:?}");
            assert_eq!(receiver.requests().len(), 2, "{busy:?}");
        }
    }

    #[test]
    fn connections_closed_while_idle_lose_nothing() {
        let receiver = grpc::start();
        let builder = logs_in_tens(&receiver);
        let builder = builder.all_signals(|signal| signal.protocol(Protocol::Grpc));
        check_idle_connections(&receiver, builder);
    }

    #[test]
    fn calls_with_long_answers_are_not_made_again() {
        let receiver = grpc::start();
        let long = Box::leak("x".repeat(1_000_000).into_boxed_str());
        let stats = send_ten(&receiver, Behaviour::Partial(0, long));
        assert_eq!(counts(&stats), (10, 0, 0));
        assert_eq!(receiver.requests().len(), 1);
        assert_eq!(failure(&stats), "");
    }

    /// Reads the preface of HTTP/2, and frames up to the headers of a call.
    fn wait_for_call(stream: &mut TcpStream) -> io::Result<()> {
        const HEADERS: u8 = 1;
        stream.read_exact(&mut [0; 24])?;
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head)?;
            let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            stream.read_exact(&mut vec![0; len as usize])?;
            if head[3] == HEADERS {
                return Ok(());
            }
        }
    }

    /// A server may say more about why it closes a connection, and repeat what it received.
    #[test]
    fn reasons_of_closed_connections_have_no_headers() {
        const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        let text = b"unknown key: very-secret-key";
        // GOAWAY: no stream was processed, with the error ENHANCE_YOUR_CALM.
        let mut close = vec![0, 0, 8 + text.len() as u8, 7, 0, 0, 0, 0, 0];
        close.extend([0, 0, 0, 0, 0, 0, 0, 11]);
        close.extend(text);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                stream.write_all(&SETTINGS).ok();
                // A connection that closes before the call begins has another reason.
                wait_for_call(&mut stream).ok();
                stream.write_all(&close).ok();
                let mut rest = [0; 64];
                while stream.read(&mut rest).is_ok_and(|read| read > 0) {}
            }
        });
        let builder = Otel::builder(endpoint)
            .report(SelfReport::silent())
            .traces(ExportOptions::off)
            .metrics(ExportOptions::off)
            .all_signals(|signal| {
                signal
                    .protocol(Protocol::Grpc)
                    .header("authorization", "Bearer very-secret-key")
            });
        let (otel, guard) = builder.build().unwrap();
        record(&otel, 1);
        let stats = guard.shutdown(GUARD);
        assert_eq!(counts(&stats), (0, 0, 1));
        let reason = failure(&stats);
        assert!(reason.contains("unknown key: [REDACTED]"), "{reason}");
        assert!(!reason.contains("secret"), "{reason}");
    }

    #[test]
    fn large_calls_are_split() {
        let receiver = grpc::start();
        receiver.behave(Behaviour::MaxItems(3));
        let builder = logs_in_tens(&receiver);
        let builder = builder.all_signals(|signal| signal.protocol(Protocol::Grpc));
        let (otel, guard) = builder.build().unwrap();
        record(&otel, 10);
        assert_eq!(counts(&guard.shutdown(GUARD)), (10, 0, 0));
        assert_eq!(receiver.logs().len(), 10);
    }

    #[test]
    fn calls_too_large_for_other_servers_are_split() {
        const JAVA: &str = "gRPC message exceeds maximum size 4194304: 4194999";
        const DOT_NET: &str = "Received message exceeds the maximum configured message size.";
        const ARMERIA: &str =
            "ArmeriaMessageDeframer: Frame size 4194999 exceeds maximum: 4194304.";
        const ARMERIA_GZIP: &str = "ArmeriaMessageDeframer: Compressed frame exceeds maximum frame \
            size: 4194304. Bytes read: 4194999.";
        const ANSWERS: [&[(&str, &str)]; 4] = [
            &[("grpc-message", JAVA)],
            &[("grpc-message", DOT_NET)],
            &[("grpc-message", ARMERIA)],
            &[("grpc-message", ARMERIA_GZIP)],
        ];
        for headers in ANSWERS {
            let receiver = grpc::start();
            let stats = send_ten(&receiver, Behaviour::Answer(8, headers, Vec::new()));
            assert_eq!(counts(&stats), (10, 0, 0), "{headers:?}");
            assert_eq!(receiver.requests().len(), 3, "{headers:?}");
        }
    }

    /// Each half would be refused, too, and cost the server another call.
    #[test]
    fn calls_beyond_a_quota_are_not_split() {
        const QUOTA: &[(&str, &str)] = &[("grpc-message", "this message exceeds the quota")];
        let receiver = grpc::start();
        let stats = send_ten(&receiver, Behaviour::Answer(8, QUOTA, Vec::new()));
        assert_eq!(counts(&stats), (0, 10, 0), "{stats:?}");
        assert_eq!(receiver.requests().len(), 1);
    }

    /// A proxy for gRPC answers with a status of HTTP.
    #[test]
    fn calls_too_large_for_a_proxy_are_split() {
        let receiver = grpc::start();
        let stats = send_ten(&receiver, Behaviour::Http(413));
        assert_eq!(counts(&stats), (10, 0, 0), "{stats:?}");
        assert_eq!(receiver.requests().len(), 3);
    }

    #[test]
    fn connections_without_answers_are_replaced() {
        let receiver = grpc::start();
        receiver.behave_once(Behaviour::Hang);
        let builder = logs_in_tens(&receiver).all_signals(|signal| {
            signal
                .protocol(Protocol::Grpc)
                .timeout(Duration::from_millis(100))
        });
        let (otel, guard) = builder.build().unwrap();
        record(&otel, 10);
        receiver.wait_for_requests(1);
        let flush = || otel.flush_by(Instant::now() + GUARD);
        // Under load, further attempts take longer than the timeout.
        let is_sent = (0..100).any(|_| flush().is_ok());
        assert!(is_sent, "{:?}", otel.stats());
        assert_eq!(counts(&guard.shutdown(GUARD)), (10, 0, 0));
        assert!(receiver.connections() >= 2);
    }

    #[test]
    fn headers_are_sent() {
        let receiver = grpc::start();
        let builder = logs_in_tens(&receiver)
            .all_signals(|signal| signal.protocol(Protocol::Grpc).header("api-key", "abc"));
        let (otel, guard) = builder.build().unwrap();
        record(&otel, 1);
        assert_eq!(counts(&guard.shutdown(GUARD)), (1, 0, 0));
        assert_eq!(receiver.requests()[0].header("api-key"), Some("abc"));
    }
}
