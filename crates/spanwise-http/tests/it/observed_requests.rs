//! The observer receives each request, also if the request is not logged. In a separate process.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::support::alone;
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use spanwise_core::{
    Clock,
    internal::request_observer::{
        ObservedRequest, RequestEnd, RequestObserver, RequestSide, observe_requests,
    },
};
use spanwise_http::{Trust, client, server};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tracing_subscriber::{filter::LevelFilter, prelude::*};

type Body = Full<&'static [u8]>;

/// Writes a line for each start and each end.
#[derive(Debug, Default)]
struct Observer {
    seen: Mutex<Vec<String>>,
}

impl Observer {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    fn push(&self, text: String) {
        self.seen.lock().unwrap().push(text);
    }
}

impl RequestObserver for Observer {
    fn begin(&self, request: &ObservedRequest) {
        let ObservedRequest {
            side,
            method,
            scheme,
            route,
            path,
            protocol_version,
            server_address,
            server_port,
            body_size,
            span,
        } = request;
        let span = if span.is_disabled() { "off" } else { "on" };
        let mut text = format!("{side:?} {method} {} {path} {span}", scheme.unwrap_or("?"));
        for (key, value) in [
            ("route", route.as_deref().map(str::to_owned)),
            ("version", protocol_version.map(str::to_owned)),
            ("address", server_address.as_deref().map(str::to_owned)),
            ("port", server_port.map(|port| port.to_string())),
            ("body", body_size.map(|size| size.to_string())),
        ] {
            if let Some(value) = value {
                text += &format!(" {key}={value}");
            }
        }
        self.push(text);
        assert_ne!(&**path, "/panic", "an observer may panic");
    }

    fn end(&self, request: &ObservedRequest, end: &RequestEnd<'_>) {
        let RequestEnd {
            status,
            outcome,
            error_type,
            protocol_version,
            duration,
            body_size,
        } = end;
        let mut text = format!("end {} {outcome}", request.path);
        for (key, value) in [
            ("status", status.map(|status| status.to_string())),
            ("error", error_type.as_deref().map(str::to_owned)),
            ("version", protocol_version.map(str::to_owned)),
            ("body", body_size.map(|size| size.to_string())),
        ] {
            if let Some(value) = value {
                text += &format!(" {key}={value}");
            }
        }
        if request.side == RequestSide::Server {
            text += &format!(" {}ms", duration.as_millis());
        }
        self.push(text);
    }
}

/// Serves a request and reads the response to its end.
async fn serve(request: Request<Body>) {
    let clock = Clock::manual(std::time::SystemTime::UNIX_EPOCH);
    let service = service_fn(|request: Request<Body>| {
        let clock = clock.clone();
        async move {
            clock.advance(Duration::from_millis(20));
            let mut response = Response::new(Full::new(&b"hello"[..]));
            match request.uri().path() {
                "/missing" => *response.status_mut() = StatusCode::NOT_FOUND,
                "/broken" => *response.status_mut() = StatusCode::BAD_GATEWAY,
                "/error" => return Err(io::Error::other("no")),
                "/panics" => panic!("in the handler"),
                "/failed" => spanwise_http::fail(&io::Error::other("no")),
                "/pending" => std::future::pending().await,
                _ => {}
            }
            Ok(response)
        }
    });
    let layer = server()
        .trust(Trust::Always)
        .clock(clock.clone())
        .quiet("/quiet")
        .answer_panics();
    let polled = layer.layer(service).oneshot(request);
    tokio::select! {
        biased;
        response = polled => {
            if let Ok(response) = response {
                response.into_body().collect().await.unwrap();
            }
        }
        () = tokio::task::yield_now() => {} // dropped
    }
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Full::default()).unwrap()
}

/// Makes a call that is answered with `status`, fails, or is dropped.
async fn call(request: Request<Body>, answer: Result<u16, &'static str>) {
    let network = service_fn(async |_: Request<Body>| match answer {
        Ok(0) => std::future::pending().await,
        Ok(status) => {
            let response = Response::builder().status(status).version(Version::HTTP_2);
            let response = response.header("content-length", "7");
            Ok(response.body(()).unwrap())
        }
        Err(error) => Err(io::Error::other(error)),
    });
    let polled = client().layer(network).oneshot(request);
    tokio::select! {
        biased;
        _ = polled => {}
        () = tokio::task::yield_now() => {} // dropped
    }
}

#[tokio::test]
async fn every_request_is_observed_once() {
    if alone("observed_requests::every_request_is_observed_once") {
        return;
    }
    serve(get("/before")).await;
    let observer = Arc::new(Observer::default());
    observe_requests(observer.clone());
    let second = Arc::new(Observer::default());
    observe_requests(second.clone());

    for level in [LevelFilter::OFF, LevelFilter::TRACE] {
        let _default = tracing_subscriber::registry().with(level).set_default();
        let span = if level == LevelFilter::OFF {
            "off"
        } else {
            "on"
        };
        let cases = [
            ("/quiet", "ok status=200 body=5"),
            ("/missing", "client_error status=404 body=5"),
            ("/broken", "server_error status=502 error=502 body=5"),
            ("/error", "server_error error=server_error"),
            ("/panics", "panicked status=500 error=panicked body=0"),
            (
                "/failed",
                "server_error status=200 error=server_error body=5",
            ),
            ("/pending", "cancelled"),
            ("/panic", "ok status=200 body=5"),
        ];
        for (path, end) in cases {
            serve(get(path)).await;
            let expected = [
                format!("Server GET http {path} {span} version=1.1"),
                format!("end {path} {end} 20ms"),
            ];
            assert_eq!(observer.take(), expected);
            assert_eq!(second.take(), expected);
        }
        let cases = [
            (Ok(200), "ok status=200 version=2 body=7"),
            (
                Ok(404),
                "client_error status=404 error=404 version=2 body=7",
            ),
            (
                Ok(503),
                "server_error status=503 error=503 version=2 body=7",
            ),
            (Err("reset"), "no_response error=no_response"),
            (Ok(0), "cancelled"),
        ];
        for (answer, end) in cases {
            let request = Request::post("https://[::1]/stock?sku=book");
            let request = request.header("content-length", "3");
            call(request.body(Full::default()).unwrap(), answer).await;
            let expected = [
                format!("Client POST https /stock {span} address=::1 port=443 body=3"),
                format!("end /stock {end}"),
            ];
            assert_eq!(observer.take(), expected);
            assert_eq!(second.take(), expected);
        }
    }
}

#[tokio::test]
async fn scheme_is_that_of_the_trusted_proxy() {
    if alone("observed_requests::scheme_is_that_of_the_trusted_proxy") {
        return;
    }
    let observer = Arc::new(Observer::default());
    observe_requests(observer.clone());
    for (uri, forwarded, scheme) in [
        ("/", None, "http"),
        ("/", Some("https"), "https"),
        ("/", Some("http, HTTPS"), "https"),
        ("/", Some("gopher"), "http"),
        ("https://shop/", None, "https"),
        ("ftp://shop/", None, "http"),
        ("http://shop/", Some("https"), "https"),
    ] {
        let mut request = get(uri);
        *request.version_mut() = Version::HTTP_2;
        if let Some(forwarded) = forwarded {
            let value = forwarded.parse().unwrap();
            request.headers_mut().insert("x-forwarded-proto", value);
        }
        serve(request).await;
        let expected = format!("Server GET {scheme} / off version=2");
        assert_eq!(observer.take()[0], expected, "{uri} {forwarded:?}");
    }
}
