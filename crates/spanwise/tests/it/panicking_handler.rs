//! A handler panics in a real server. One event has the panic, and the access event refers to this
//! event.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, routing::get};
use serde_json::Value;
use spanwise::{Builder, Preset, Telemetry};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::support::Lines;

const LINE: u32 = line!() + 4;

#[inline(never)]
fn price(order_id: u32) -> u32 {
    panic!("no price for order {order_id}")
}

async fn pay() -> String {
    price(42).to_string()
}

async fn serve(telemetry: &Telemetry) -> SocketAddr {
    let app = Router::new()
        .route("/pay", get(pay))
        .layer(telemetry.http_server());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Requests the price of an order. The connection ends without a response.
async fn ask(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET /pay HTTP/1.1\r\nHost: shop\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(answer, b"");
}

fn with_target<'a>(lines: &'a [Value], target: &str) -> Vec<&'a Value> {
    lines
        .iter()
        .filter(|line| line["target"] == target)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panic_is_one_event_with_a_short_backtrace() {
    alone!();
    let lines = Lines::default();
    let telemetry = Builder::new(Preset::Prod)
        .with_writer(lines.clone())
        .init()
        .unwrap();
    ask(serve(&telemetry).await).await;

    let all = lines.objects();
    let panics = with_target(&all, "panic");
    let [panic] = panics[..] else {
        panic!("{all:#?}")
    };
    let location = panic["panic.location"].as_str().unwrap();
    assert!(
        location.ends_with(&format!("it/panicking_handler.rs:{LINE}:5")),
        "{location}"
    );
    assert_eq!(lines.text().matches("no price for order").count(), 1);

    let backtrace = panic["panic.backtrace"].as_str().unwrap();
    let frames: Vec<_> = backtrace
        .lines()
        .filter(|line| !line.contains(" at "))
        .collect();
    assert!(
        frames[0].ends_with("panicking_handler::price"),
        "{backtrace}"
    );
    assert!(frames[1].contains("panicking_handler::pay"), "{backtrace}");
    assert!(
        backtrace.contains("… ") && backtrace.contains(" of tokio"),
        "{backtrace}"
    );
    for absent in [
        "/rustc/",
        "registry",
        "axum-",
        "at /",
        "rust_begin",
        "panicking::",
    ] {
        assert!(!backtrace.contains(absent), "{absent}: {backtrace}");
    }
    assert!(frames.len() <= 12, "{backtrace}");

    let requests = with_target(&all, "spanwise_http::server");
    let [request] = requests[..] else {
        panic!("{all:#?}")
    };
    assert_eq!(request["outcome"], "panicked");
    assert_eq!(request["error"], format!("panicked at {location}"));
    assert_eq!(request["request_id"], panic["request_id"]);
    drop(telemetry);
}

/// The issue of the panic, with its frame.
#[cfg(feature = "sentry")]
async fn issue(backtrace: &str) -> (Value, Option<Value>) {
    let receiver = crate::receiver::Receiver::start();
    let dsn = receiver.dsn();
    let vars = [
        ("LOG_PRESET", "prod"),
        ("SENTRY_DSN", &dsn),
        ("LOG_PANIC_BACKTRACE", backtrace),
    ];
    let telemetry = Builder::from_vars(vars)
        .unwrap()
        .with_writer(std::io::sink)
        .init()
        .unwrap();
    ask(serve(&telemetry).await).await;
    telemetry.shutdown(Duration::from_secs(60));
    let mut events = receiver.events();
    assert_eq!(events.len(), 1, "{events:#?}");
    let event = events.remove(0);
    let culprit = event["culprit"].as_str().unwrap();
    assert!(
        culprit.ends_with(&format!("it/panicking_handler.rs:{LINE}")),
        "{culprit}"
    );
    let exception = &event["exception"]["values"][0];
    assert_eq!(exception["type"], "panic");
    assert_eq!(exception["value"], "no price for order 42");
    let frames = exception["stacktrace"]["frames"].as_array();
    let own = frames.map(|frames| frames.last().unwrap().clone());
    (event, own)
}

#[cfg(feature = "sentry")]
#[track_caller]
fn assert_own_frame(own: Option<Value>) {
    let own = own.unwrap();
    let function = own["function"].as_str().unwrap();
    assert!(function.ends_with("panicking_handler::price"), "{function}");
    assert_eq!(
        (&own["lineno"], &own["in_app"]),
        (&LINE.into(), &true.into())
    );
}

#[cfg(feature = "sentry")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panic_is_one_issue_at_its_own_place() {
    alone!();
    assert_own_frame(issue("short").await.1);
}

#[cfg(feature = "sentry")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panic_with_full_backtrace_is_one_issue() {
    alone!();
    assert_own_frame(issue("full").await.1);
}

#[cfg(feature = "sentry")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panic_without_backtrace_is_one_issue() {
    alone!();
    let (event, own) = issue("off").await;
    assert_eq!(own, None, "{event:#}");
}
