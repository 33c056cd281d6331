//! The listener for Prometheus, over real connections.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use opentelemetry::{KeyValue, metrics::MeterProvider as _};
use spanwise_core::SelfReport;

use super::{hourly, setup, text_parser::parse};
use crate::metrics::{
    MAX_SERIES, Metrics,
    scrape_listener::{ScrapeListener, read_request},
};

fn served_metrics() -> Metrics {
    let options = hourly().prometheus("127.0.0.1", 0);
    let metrics = Metrics::start(&options, setup(&SelfReport::silent())).unwrap();
    let meter = metrics.meter_provider().meter("test");
    meter.u64_counter("served").build().add(7, &[]);
    metrics
}

/// Sends a request and returns the head and the body of the response.
fn send(metrics: &Metrics, request: &[u8]) -> (String, String) {
    send_to(metrics.address().unwrap(), request)
}

fn send_to(address: SocketAddr, request: &[u8]) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(super::TEST_TIMEOUT)).unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request);
    let mut response = Vec::new();
    let _ = stream.read_to_end(&mut response);
    let response = String::from_utf8(response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or_default();
    (head.to_owned(), body.to_owned())
}

#[test]
fn metrics_are_served_in_the_accepted_format() {
    let metrics = served_metrics();
    let (head, body) = send(&metrics, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(
        head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8"),
        "{head}"
    );
    assert!(
        head.contains(&format!("Content-Length: {}\r\n", body.len())),
        "{head}"
    );
    assert!(parse(&body, false).contains_key("served_total"));

    let request = b"GET /metrics?x=1 HTTP/1.0\r\naccept: application/openmetrics-text\r\n\r\n";
    let (head, body) = send(&metrics, request);
    assert!(
        head.contains("Content-Type: application/openmetrics-text; version=1.0.0"),
        "{head}"
    );
    assert!(parse(&body, true).contains_key("served"));
}

#[test]
fn each_fault_of_a_metric_is_reported_once() {
    let report = SelfReport::silent();
    let metrics = Metrics::start(&hourly().prometheus("127.0.0.1", 0), setup(&report)).unwrap();
    let meter = metrics.meter_provider().meter("test");
    let counter = meter.u64_counter("a").build();
    for user in 0..MAX_SERIES as i64 + 1 {
        counter.add(1, &[KeyValue::new("user", user)]);
    }
    // Prometheus cannot see two metrics of one name.
    meter.i64_gauge("a").build().record(2, &[]);
    for _ in 0..2 {
        metrics.text(None);
    }
    let faults = report.stats().faults;
    assert_eq!(
        faults.iter().map(|(_, count)| count).sum::<u64>(),
        2,
        "{faults:?}"
    );
}

#[test]
fn other_requests_are_refused() {
    let metrics = served_metrics();
    let long_head = vec![b'a'; 70_000];
    for (request, status) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", "405"),
        (b"GET /metrics\r\n\r\n", "400"),
        (b"\xff\xfe\r\n\r\n", "400"),
        (&long_head, "431"),
    ] {
        let (head, body) = send(&metrics, request);
        // If the listener has not read the whole request, the connection may be reset before the
        // client reads the answer.
        let is_reset = status == "431" && head.is_empty();
        let is_refused = head.starts_with(&format!("HTTP/1.1 {status} "));
        assert!(is_refused || is_reset, "{head}");
        assert!(!body.contains("served"), "{body}");
    }
}

/// The end of the head may be spread over reads.
#[test]
fn end_of_a_request_is_found_in_short_reads() {
    let request = b"GET /metrics HTTP/1.1\r\n\r\n";
    for read_len in 1..=request.len() {
        let mut unread = &request[..];
        let read = read_request(|buffer| unread.read(&mut buffer[..read_len])).unwrap();
        assert_eq!(read.as_deref(), Some(&request[..]), "{read_len}");
    }
}

#[test]
fn silent_client_does_not_stop_the_listener() {
    let metrics = served_metrics();
    let silent = TcpStream::connect(metrics.address().unwrap()).unwrap();
    silent.shutdown(Shutdown::Write).unwrap();
    let mut slow = TcpStream::connect(metrics.address().unwrap()).unwrap();
    slow.write_all(b"GET /met").unwrap();
    // The response comes when the listener has given up waiting for the slow client.
    let (head, _) = send(&metrics, b"GET /metrics HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
}

#[test]
fn listener_ends_at_the_shutdown() {
    let metrics = served_metrics();
    let address = metrics.address().unwrap();
    metrics.shutdown_by(metrics.hurry(), super::test_deadline());
    assert_eq!(metrics.address(), None);
    // Connections are refused as soon as the thread has ended.
    let refused = || TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err();
    let deadline = super::test_deadline();
    while !refused() {
        assert!(std::time::Instant::now() < deadline, "it still listens");
        std::thread::yield_now();
    }
}

#[test]
fn taken_port_is_an_error() {
    let metrics = served_metrics();
    let taken = hourly().prometheus("127.0.0.1", metrics.address().unwrap().port());
    assert!(Metrics::start(&taken, setup(&SelfReport::silent())).is_err());
}

#[test]
fn panic_fails_only_this_scrape() {
    let listener = ScrapeListener::start("127.0.0.1", 0, Box::new(|_| panic!("planted"))).unwrap();
    for _ in 0..2 {
        let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
        let (head, _) = send_to(listener.address(), request);
        assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
    }
}
