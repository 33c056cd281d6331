//! Alone in its process: the whole stack under load, as a service runs it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{Arc, Mutex},
};

use axum::{Router, extract::Path, http::StatusCode, routing::get as on_get};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use spanwise_core::{ContextLayer, LevelLayer, Levels};
use spanwise_http::{record, server};
use spanwise_json::JsonLayer;
use support::{eventually, get, serve};
use tokio::net::TcpStream;
use tracing::{Instrument, Span};
use tracing_subscriber::prelude::*;

const CONNECTIONS: usize = 20;
const EACH: usize = 500;

async fn order(Path(number): Path<usize>) -> StatusCode {
    record("order.number", number);
    tracing::info!(number, "order asked for");
    tokio::task::yield_now().await;
    let load = async move { tracing::info!(number, "order loaded") };
    tokio::spawn(load.instrument(Span::current()))
        .await
        .unwrap();
    match number % 10 {
        0 => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::OK,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_with_an_id_of_its_own() {
    let lines = Lines::default();
    tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(JsonLayer::new().with_writer(lines.clone()))
        .with(LevelLayer::new("info".parse::<Levels>().unwrap()))
        .init();
    let app = Router::new().route("/orders/{number}", on_get(order));
    let address = serve(app.layer(server())).await;

    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|connection| {
            tokio::spawn(async move {
                let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
                let (mut sender, driver) =
                    hyper::client::conn::http1::handshake(stream).await.unwrap();
                tokio::spawn(driver);
                let mut ids = Vec::new();
                for number in connection * EACH..(connection + 1) * EACH {
                    let request = get(&format!("/orders/{number}"));
                    let response = sender.send_request(request).await.unwrap();
                    let id = response.headers()["x-request-id"].to_str().unwrap();
                    ids.push((number, id.to_owned()));
                    response.into_body().collect().await.unwrap();
                }
                ids
            })
        })
        .collect();
    let mut ids = HashMap::new();
    for connection in connections {
        ids.extend(connection.await.unwrap());
    }
    let all = CONNECTIONS * EACH;
    assert_eq!(ids.len(), all);
    let distinct: HashSet<_> = ids.values().collect();
    assert_eq!(distinct.len(), all);

    eventually("a line for each", || lines.count("\"outcome\"") >= all).await;
    let lines = lines.all();
    assert_eq!(lines.len(), 3 * all);
    let mut served = HashSet::new();
    for line in &lines {
        let number = match line["message"].as_str().unwrap() {
            "request served" => {
                let number = line["order.number"].as_u64().unwrap();
                assert!(served.insert(number), "{number} was told twice");
                let status = if number % 10 == 0 { 500 } else { 200 };
                assert_eq!(line["http.response.status_code"], status);
                number
            }
            _ => line["number"].as_u64().unwrap(),
        };
        let id = &ids[&(number as usize)];
        assert_eq!(line["request_id"], id.as_str());
        assert_eq!(line["trace_id"], id.replace('-', "").as_str());
        assert_eq!(line["http.route"], "/orders/{number}");
    }
    assert_eq!(served.len(), all);
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn count(&self, what: &str) -> usize {
        let bytes = self.0.lock().unwrap();
        str::from_utf8(&bytes).unwrap().matches(what).count()
    }

    /// Each of them, in which no key stands twice.
    fn all(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap();
        let text = str::from_utf8(&bytes).unwrap();
        let once = |line: &str| {
            let keys = line.matches("\"http.response.status_code\":").count();
            assert!(keys <= 1, "{line}");
            serde_json::from_str(line).unwrap()
        };
        text.lines().map(once).collect()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> tracing_subscriber::fmt::MakeWriter<'w> for Lines {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}
