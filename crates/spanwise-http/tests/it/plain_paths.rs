//! A path that programs interpret differently is never quiet.

use std::convert::Infallible;

use http::{Request, Response};
use http_body_util::Empty;
use spanwise_http::server;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::support::{access_events, capture};

type Body = Empty<&'static [u8]>;

/// Returns whether a request to `path` is quiet if every path is quiet.
fn is_quiet(path: &str) -> bool {
    let logs = capture();
    let service =
        service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::new())));
    let request = Request::get(path).body(Body::new()).unwrap();
    let response = server().quiet("/*").layer(service).oneshot(request);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    drop(runtime.unwrap().block_on(response));
    access_events(&logs).is_empty()
}

#[test]
fn ambiguous_paths_are_not_plain() {
    let dots = [
        "..",
        ".",
        "%2e%2e",
        ".%2E",
        "%2e",
        "%252e%252e",
        "..;",
        "..;a=b",
        "%c0%ae%c0%ae",
        "．．",
        "%EF%BC%8E.",
        "..%00",
    ];
    let slashes = [
        "/",
        "%2f",
        "%2F",
        "\\",
        "%5c",
        "%255c",
        "／",
        "%EF%BC%8F",
        "%c0%af",
    ];
    for dots in dots {
        for path in [
            format!("/internal/{dots}/admin"),
            format!("/internal/{dots}"),
            format!("/internal//{dots}//admin"),
            format!("/internal/a;b/{dots}/admin"),
        ] {
            assert!(!is_quiet(&path), "{path}");
        }
        for slash in slashes {
            let path = format!("/internal{slash}{dots}{slash}admin");
            assert!(!is_quiet(&path), "{path}");
        }
    }
    for slash in &slashes[1..] {
        assert!(!is_quiet(&format!("/internal{slash}admin")), "{slash}");
    }
    for path in ["/a%", "/a%2", "/a%zz", "/a%ff", "/a%0d%0aforged", "/a%7f"] {
        assert!(!is_quiet(path), "{path}");
    }
}

#[test]
fn ordinary_paths_are_plain() {
    for path in [
        "/",
        "/health",
        "/internal/a/b",
        "/internal/",
        "/a//b",
        "/file.tar.gz",
        "/.well-known/x",
        "/a..b",
        "/...",
        "/a%20b",
        "/caf%C3%A9",
        "/café",
        "/a;b=c",
        "/a+b",
    ] {
        assert!(is_quiet(path), "{path}");
    }
}
