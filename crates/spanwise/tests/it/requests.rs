//! The layer for servers, with `LOG_HTTP_TRUST` and `LOG_HTTP_CLIENT_ADDRESS`.

use std::net::SocketAddr;

use crate::support::Lines;
use axum::{Router, body::Body, extract::ConnectInfo, http::Request, routing::get};
use spanwise::Builder;
use tower::ServiceExt as _;
use tracing::info;

#[tokio::test]
async fn ids_are_taken_over_from_networks_that_are_trusted() {
    alone!();
    let output = Lines::default();
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_HTTP_TRUST", "10.0.0.0/8"),
        ("LOG_HTTP_CLIENT_ADDRESS", "network"),
    ];
    let telemetry = Builder::from_vars(vars)
        .unwrap()
        .with_writer(output.clone())
        .init()
        .unwrap();
    let app = Router::new()
        .route("/orders/{id}", get(async || info!("order read")))
        .layer(telemetry.http_server());

    for peer in ["10.1.2.3:4711", "203.0.113.7:4711"] {
        let peer: SocketAddr = peer.parse().unwrap();
        let request = Request::get("/orders/42?token=abcdefgh12345678")
            .header("x-request-id", "gateway-1")
            .extension(ConnectInfo(peer))
            .body(Body::empty())
            .unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let _ = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    }
    let lines = output.objects();
    let of_each = [
        "order read",
        "request served",
        "order read",
        "request served",
    ];
    assert!(
        lines.iter().map(|line| &line["message"]).eq(of_each),
        "{lines:?}"
    );
    for (lines, network) in lines.chunks(2).zip(["10.1.2.0/24", "203.0.113.0/24"]) {
        for line in lines {
            assert_eq!(
                line["client.address"], network,
                "redaction leaves a network as it is"
            );
            assert_eq!(line["http.route"], "/orders/{id}");
            assert_eq!(
                line["request_id"] == "gateway-1",
                network.starts_with("10.")
            );
            assert_eq!(line["request_id"], lines[0]["request_id"]);
        }
        assert_eq!(lines[1]["outcome"], "ok");
    }
    assert!(!format!("{lines:?}").contains("token="));
    drop(telemetry);
}
