//! A collector that takes everything.

#[cfg(feature = "grpc")]
use spanwise_otel::Protocol;
use spanwise_otel::{OtelBuilder, RequestCompression};
use tracing_subscriber::prelude::*;

use crate::support::{
    GUARD, builder,
    receiver::{Receiver, attribute, body},
    tls::{self, CA, CLIENT, CLIENT_KEY, Clients},
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;

const COUNT: usize = 10_000;

/// Logs 10,000 events, and checks that all arrive once.
#[track_caller]
fn check(receiver: &Receiver, builder: OtelBuilder) {
    let builder = builder.all_signals(|signal| signal.max_queue_len(2 * COUNT));
    let (otel, guard) = builder.build().unwrap();
    let subscriber = tracing_subscriber::registry().with(otel.logs());
    tracing::subscriber::with_default(subscriber, || {
        for number in 0..COUNT {
            tracing::info!(number, "an event");
        }
    });
    let stats = guard.shutdown(GUARD);
    assert_eq!(stats.logs.sent.lost(), 0, "{stats:?}");
    assert_eq!(stats.logs.sent.delivered, COUNT as u64, "{stats:?}");
    assert_eq!(stats.logs.accepted, COUNT as u64);
    let logs = receiver.logs();
    assert_eq!(logs.len(), COUNT);
    for (number, log) in logs.iter().enumerate() {
        assert_eq!(body(&log.item.body), "an event");
        let value = attribute(&log.item.attributes, "number");
        assert_eq!(value, Some(&Value::IntValue(number as i64)));
    }
}

#[test]
fn everything_arrives_over_http() {
    let receiver = Receiver::start();
    check(&receiver, builder(&receiver));
    assert_eq!(receiver.connections(), 1);
    let user_agent = format!("spanwise-otel/{}", env!("CARGO_PKG_VERSION"));
    for request in receiver.requests() {
        assert_eq!(request.path, "/v1/logs");
        assert_eq!(request.header("user-agent"), Some(&*user_agent));
        assert_eq!(request.header("content-encoding"), None);
    }
}

#[cfg(feature = "gzip")]
#[test]
fn everything_arrives_with_gzip() {
    let receiver = Receiver::start();
    let gzip =
        builder(&receiver).all_signals(|signal| signal.compression(RequestCompression::Gzip));
    check(&receiver, gzip);
    let requests = receiver.requests();
    let is_gzip = |encoding: Option<&str>| encoding == Some("gzip");
    assert!(
        requests
            .iter()
            .all(|request| is_gzip(request.header("content-encoding")))
    );
}

#[test]
fn everything_arrives_over_tls() {
    let receiver = tls::start(Clients::All);
    let tls = builder(&receiver).all_signals(|signal| signal.root_certificates(CA));
    check(&receiver, tls);
}

#[test]
fn everything_arrives_with_a_client_certificate() {
    let receiver = tls::start(Clients::Known);
    check(
        &receiver,
        builder(&receiver).all_signals(|signal| {
            signal
                .root_certificates(CA)
                .client_certificate(CLIENT)
                .client_key(CLIENT_KEY)
        }),
    );
}

#[cfg(feature = "grpc")]
mod grpc {
    use super::*;
    use crate::support::grpc;

    #[test]
    fn everything_arrives() {
        let receiver = grpc::start();
        check(
            &receiver,
            builder(&receiver).all_signals(|signal| signal.protocol(Protocol::Grpc)),
        );
        assert_eq!(receiver.connections(), 1);
        for request in receiver.requests() {
            let user_agent = request.header("user-agent").unwrap();
            assert!(user_agent.starts_with("spanwise-otel/"), "{user_agent}");
        }
    }

    #[cfg(feature = "gzip")]
    #[test]
    fn everything_arrives_with_gzip() {
        let receiver = grpc::start();
        check(
            &receiver,
            builder(&receiver).all_signals(|signal| {
                signal
                    .protocol(Protocol::Grpc)
                    .compression(RequestCompression::Gzip)
            }),
        );
        let requests = receiver.requests();
        let is_gzip = |encoding: Option<&str>| encoding == Some("gzip");
        assert!(
            requests
                .iter()
                .all(|request| is_gzip(request.header("grpc-encoding")))
        );
    }

    #[test]
    fn everything_arrives_over_tls() {
        let receiver = grpc::start_tls(Clients::All);
        check(
            &receiver,
            builder(&receiver)
                .all_signals(|signal| signal.protocol(Protocol::Grpc).root_certificates(CA)),
        );
    }

    #[test]
    fn everything_arrives_with_a_client_certificate() {
        let receiver = grpc::start_tls(Clients::Known);
        check(
            &receiver,
            builder(&receiver).all_signals(|signal| {
                signal
                    .protocol(Protocol::Grpc)
                    .root_certificates(CA)
                    .client_certificate(CLIENT)
                    .client_key(CLIENT_KEY)
            }),
        );
    }
}
