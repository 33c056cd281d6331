//! Many concurrent requests with the full stack. In a separate process.

#![cfg(feature = "axum")]

use std::collections::{HashMap, HashSet};

use crate::support::{alone, eventually, get, serve};
use axum::{Router, extract::Path, http::StatusCode, routing::get as on_get};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use spanwise_core::{ContextLayer, LevelLayer, Levels};
use spanwise_http::{record, server};
use spanwise_json::JsonLayer;
use spanwise_testing::support::Lines;
use tokio::net::TcpStream;
use tracing::{Instrument, Span};
use tracing_subscriber::prelude::*;

const CONNECTIONS: usize = 20;
const EACH: usize = 75;

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
async fn concurrent_requests_have_their_own_ids() {
    if alone("concurrent_requests::concurrent_requests_have_their_own_ids") {
        return;
    }
    let lines = Lines::default();
    tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(JsonLayer::new().with_writer(lines.clone()))
        .with(LevelLayer::new("info".parse::<Levels>().unwrap()))
        .init();
    let app = Router::new().route("/orders/{number}", on_get(order));
    let server_at = serve(app.layer(server())).await;

    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|connection| {
            tokio::spawn(async move {
                let stream = TokioIo::new(TcpStream::connect(server_at).await.unwrap());
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

    eventually("a line for each", || {
        lines.text().matches("\"outcome\"").count() >= all
    })
    .await;
    for line in lines.text().lines() {
        let key = "\"http.response.status_code\":";
        assert!(line.matches(key).count() <= 1, "{line}");
    }
    let lines = lines.objects();
    assert_eq!(lines.len(), 3 * all);
    let mut served = HashSet::new();
    for line in &lines {
        let number = match line["message"].as_str().unwrap() {
            "request served" | "request failed" => {
                let number = line["order.number"].as_u64().unwrap();
                assert!(served.insert(number), "{number} was logged twice");
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
