//! Levels of statuses, quiet paths, slow requests and durations.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use crate::support::{access_events, capture, fed, the_event};
use axum::body::Bytes;
#[cfg(feature = "axum")]
use axum::{Router, routing::get as on_get};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Empty};
use spanwise_core::Clock;
use spanwise_http::{ServerLayer, server};
use tower::{Layer, ServiceExt};
use tracing::Level;

type Body = Empty<&'static [u8]>;

const LIMIT: Duration = Duration::from_secs(1);

async fn serve_one(layer: ServerLayer, path: &str, status: StatusCode, takes: Duration) {
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let service = tower::service_fn(|_: Request<Body>| async {
        clock.advance(takes);
        let mut response = Response::new(Body::new());
        *response.status_mut() = status;
        Ok::<_, Infallible>(response)
    });
    let request = Request::get(path).body(Body::new()).unwrap();
    let layer = layer.clock(clock.clone());
    layer.layer(service).oneshot(request).await.unwrap();
}

#[tokio::test]
async fn slow_request_is_at_least_a_warning() {
    let slow = LIMIT + Duration::from_millis(1);
    let cases = [
        (StatusCode::OK, LIMIT, Level::INFO),
        (StatusCode::OK, slow, Level::WARN),
        (StatusCode::NOT_FOUND, slow, Level::WARN),
        (StatusCode::BAD_GATEWAY, slow, Level::ERROR),
    ];
    for (status, takes, level) in cases {
        let logs = capture();
        let layer = server().slow(LIMIT).expect_status(StatusCode::NOT_FOUND);
        serve_one(layer, "/", status, takes).await;
        let event = the_event(&logs).await;
        event.assert_level(level);
        if takes > LIMIT {
            event.assert_field("slow", true);
        } else {
            event.assert_no_field("slow");
        }
    }
}

#[tokio::test]
async fn status_rules_set_levels() {
    const E: Level = Level::ERROR;
    const W: Level = Level::WARN;
    const I: Level = Level::INFO;
    let statuses = [200, 302, 400, 401, 404, 408, 429, 499, 500, 503];
    let cases: [(ServerLayer, [Level; 10]); 10] = [
        (server(), [I, I, I, I, I, W, W, I, E, E]),
        (server().warn_on(404), [I, I, I, I, W, W, W, I, E, E]),
        (server().warn_on(400..=499), [I, I, W, W, W, W, W, W, E, E]),
        (server().warn_on(400..500), [I, I, W, W, W, W, W, W, E, E]),
        (
            server().warn_on(StatusCode::BAD_REQUEST..=StatusCode::NOT_FOUND),
            [I, I, W, W, W, W, W, I, E, E],
        ),
        (
            server().expect_status(StatusCode::TOO_MANY_REQUESTS),
            [I, I, I, I, I, W, I, I, E, E],
        ),
        // The last rule for a status applies.
        (
            server().warn_on(400..=499).expect_status(404),
            [I, I, W, W, I, W, W, W, E, E],
        ),
        (
            server().expect_status(404).warn_on(400..=499),
            [I, I, W, W, W, W, W, W, E, E],
        ),
        (server().expect_status(503), [I, I, I, I, I, W, W, I, E, I]),
        (server().warn_on(302), [I, W, I, I, I, W, W, I, E, E]),
    ];
    for (layer, levels) in cases {
        for (status, level) in statuses.into_iter().zip(levels) {
            let logs = capture();
            let status = StatusCode::from_u16(status).unwrap();
            serve_one(layer.clone(), "/", status, Duration::ZERO).await;
            the_event(&logs).await.assert_level(level);
        }
    }
}

#[test]
fn impossible_statuses_panic() {
    let refused = |set_up: &dyn Fn() -> ServerLayer| {
        let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(set_up));
        refused
            .unwrap_err()
            .downcast_ref::<String>()
            .unwrap()
            .clone()
    };
    let cases: [(&dyn Fn() -> ServerLayer, &str); 5] = [
        (&|| server().expect_status(0), "0..=0"),
        (&|| server().expect_status(1000), "1000..=1000"),
        #[expect(clippy::reversed_empty_ranges, reason = "it is a mistake of a program")]
        (&|| server().warn_on(499..=400), "499..=400"),
        (&|| server().warn_on(400..400), "400..=399"),
        (&|| server().warn_on(400..=4999), "400..=4999"),
    ];
    for (set_up, range) in cases {
        let message = refused(set_up);
        let expected = format!("`{range}` is not a range of statuses; write `404`, or `400..=499`");
        assert_eq!(message, expected);
    }
    let _ = server().expect_status(100).warn_on(999);
}

#[tokio::test]
async fn quiet_path_is_logged_only_on_failure() {
    let layer = || server().quiet("/health").quiet("/internal/*").slow(LIMIT);
    let silent = [
        "/health",
        "/health?deep=1",
        "/health?next=/../a",
        "/internal",
        "/internal/a/b",
        "/internal/caf%C3%A9%20noir",
    ];
    for path in silent {
        let logs = capture();
        serve_one(layer(), path, StatusCode::OK, Duration::ZERO).await;
        assert_eq!(access_events(&logs).len(), 0, "{path}");
        for (status, takes) in [
            (StatusCode::INTERNAL_SERVER_ERROR, Duration::ZERO),
            (StatusCode::FORBIDDEN, Duration::ZERO),
            (StatusCode::OK, LIMIT * 2),
        ] {
            let logs = capture();
            serve_one(layer(), path, status, takes).await;
            the_event(&logs).await;
        }
    }
    let others = ["/", "/healthy", "/health/", "/internals", "/a/internal/b"];
    // Different programs interpret these paths differently, so they may be below the quiet path.
    let odd = [
        "/internal/../admin",
        "/internal/./a",
        "/internal/%2e%2e/admin",
        "/internal/..%2fadmin",
        "/internal/a%5cb",
        "/internal/%252e%252e/admin",
        "/internal/..;/admin",
        "/internal/..",
    ];
    for path in others.into_iter().chain(odd) {
        let logs = capture();
        serve_one(layer(), path, StatusCode::OK, Duration::ZERO).await;
        the_event(&logs).await;
    }
}

#[test]
fn impossible_quiet_path_panics() {
    for path in [
        "",
        "health",
        "*",
        "health/*",
        "/heal*",
        "/*/health",
        "/a/*/*",
        "/a?b=1",
        "/a#b",
        "/a b",
        "/a<b",
        "/a/../b",
        "/a/%2e/*",
    ] {
        let refused = std::panic::catch_unwind(|| server().quiet(path));
        let message = refused.unwrap_err();
        let message = message.downcast_ref::<String>().unwrap();
        assert!(
            message.starts_with(&format!("`{path}` is not a path; ")),
            "{message}"
        );
    }
    let _ = server()
        .quiet("/")
        .quiet("/*")
        .quiet("/health/")
        .quiet("/größe/%7B1%7D");
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn nested_router_matches_the_full_path() {
    // A nested router without a fallback leaves unknown paths to the outer router, which has no
    // layer.
    let nested = Router::new()
        .route("/health", on_get(|| async {}))
        .fallback(|| async { StatusCode::NOT_FOUND });
    let layer = server().quiet("/api/health");
    let app = Router::new().nest("/api", nested.layer(layer));
    for (path, is_told) in [("/api/health", false), ("/api/none", true)] {
        let logs = capture();
        let request = Request::get(path).body(axum::body::Body::empty());
        let response = app.clone().oneshot(request.unwrap()).await.unwrap();
        drop(response);
        assert_eq!(access_events(&logs).len(), usize::from(is_told), "{path}");
        if is_told {
            logs.one_span("http.request").assert_field("url.path", path);
        }
    }
}

#[tokio::test]
async fn duration_includes_the_body() {
    let logs = capture();
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let (feeder, body) = fed::<Infallible>();
    let body = Arc::new(Mutex::new(Some(body)));
    let service = tower::service_fn(|_: Request<Body>| {
        clock.advance(Duration::from_millis(5));
        let body = body.lock().unwrap().take().unwrap();
        async { Ok::<_, Infallible>(Response::new(body)) }
    });
    let layer = server().clock(clock.clone());
    let request = Request::new(Body::new());
    let response = layer.layer(service).oneshot(request).await.unwrap();

    let mut body = response.into_body();
    for _ in 0..3 {
        clock.advance(Duration::from_millis(100));
        let data = Frame::data(Bytes::from_static(b"12345"));
        feeder.send(Ok(data)).unwrap();
        body.frame().await.unwrap().unwrap();
    }
    assert_eq!(access_events(&logs).len(), 0, "it has not ended");
    clock.advance(Duration::from_millis(1000));
    drop(feeder);
    assert!(body.frame().await.is_none());
    the_event(&logs)
        .await
        .assert_field("ttfb_ms", 5.0)
        .assert_field("duration_ms", 1305.0)
        .assert_field("response_bytes", 15);
    drop(body);
    the_event(&logs).await;
}

#[tokio::test]
async fn unknown_method_is_other() {
    let logs = capture();
    let service = tower::service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Body::new()))
    });
    let request = Request::builder()
        .method("HOSTILE")
        .body(Body::new())
        .unwrap();
    server().layer(service).oneshot(request).await.unwrap();
    logs.one_span("http.request")
        .assert_field("http.request.method", "_OTHER");
    logs.assert_never_logged("HOSTILE");
}

#[tokio::test]
async fn request_span_has_no_parent() {
    let logs = capture();
    let connection = tracing::info_span!("connection");
    let served = serve_one(server(), "/", StatusCode::OK, Duration::ZERO);
    tracing::Instrument::instrument(served, connection).await;
    let event = the_event(&logs).await;
    let spans: Vec<_> = event.spans().iter().map(|span| span.name()).collect();
    assert_eq!(spans, ["http.request"]);
}

#[tokio::test]
async fn server_error_status_is_on_the_span() {
    // A status above 599 has no class, but the access event calls it a server error, too.
    for code in [502, 600] {
        let logs = capture();
        let status = StatusCode::from_u16(code).unwrap();
        serve_one(server(), "/", status, Duration::ZERO).await;
        the_event(&logs)
            .await
            .assert_field("outcome", "server_error");
        logs.one_span("http.request")
            .assert_field("http.response.status_code", code);
    }
}
