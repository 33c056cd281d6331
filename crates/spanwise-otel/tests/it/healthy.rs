//! A collector that takes everything.

#[cfg(feature = "grpc")]
use spanwise_otel::Protocol;
#[cfg(feature = "gzip")]
use spanwise_otel::RequestCompression;
use spanwise_otel::{ExportOptions, OtelBuilder};

use crate::support::{
    GUARD, assert_settled, builder,
    receiver::{Receiver, attribute, body},
    record,
    tls::{self, CA, CLIENT, CLIENT_KEY, Clients},
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;

const COUNT: usize = 10_000;

/// Logs 10,000 events and opens as many spans, and checks that all arrive once.
#[track_caller]
fn check(receiver: &Receiver, builder: OtelBuilder) {
    let builder = builder
        .metrics(ExportOptions::off)
        .all_signals(|signal| signal.max_queue_len(2 * COUNT).max_batch_len(512));
    let (otel, guard) = builder.build().unwrap();
    record(&otel, COUNT);
    let stats = guard.shutdown(GUARD);
    for signal in [&stats.traces, &stats.logs] {
        assert_eq!(signal.outcomes.lost(), 0, "{stats:?}");
        assert_eq!(signal.outcomes.delivered, COUNT as u64, "{stats:?}");
        assert_settled(signal);
    }
    let (spans, logs) = (receiver.spans(), receiver.logs());
    assert_eq!((spans.len(), logs.len()), (COUNT, COUNT));
    for (number, (span, log)) in spans.iter().zip(&logs).enumerate() {
        assert_eq!(span.item.name, "a span");
        assert_eq!(body(&log.item.body), "an event");
        for attributes in [&span.item.attributes, &log.item.attributes] {
            let value = attribute(attributes, "number");
            assert_eq!(value, Some(&Value::IntValue(number as i64)));
        }
        assert_eq!(span.item.span_id, log.item.span_id);
    }
}

#[test]
fn everything_arrives_over_http() {
    let receiver = Receiver::start();
    check(&receiver, builder(&receiver));
    // One for each signal.
    assert_eq!(receiver.connections(), 2);
    let user_agent = format!("spanwise-otel/{}", env!("CARGO_PKG_VERSION"));
    for request in receiver.requests() {
        assert!(matches!(&*request.path, "/v1/traces" | "/v1/logs"));
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
        assert_eq!(receiver.connections(), 2);
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
