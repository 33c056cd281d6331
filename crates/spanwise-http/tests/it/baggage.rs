//! Baggage: the client sends only declared keys, and only to allowed hosts, also after redirects.

use std::sync::Arc;

use crate::support::client::*;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::Request;
use spanwise_core::ContextLayer;
use spanwise_http::{ClientLayer, client};
use spanwise_redact::Policy;
use tower::{ServiceBuilder, ServiceExt as _};
use tower_http::follow_redirect::FollowRedirectLayer;
use tracing::Instrument;
use tracing_subscriber::prelude::*;

fn to_localhost() -> ClientLayer {
    client()
        .baggage(["tenant_id", "order_id"])
        .baggage_to("localhost".parse().unwrap())
}

fn order() -> tracing::Span {
    tracing::info_span!("order", tenant_id = "Käse & Co", user_id = 7, order_id = 42)
}

/// Starts a service that redirects to the URL in the query.
async fn redirecting() -> Service {
    Service::start(|uri| match uri.query() {
        Some(to) => Redirect::temporary(to).into_response(),
        None => Response::default(),
    })
    .await
}

const ALL: &str = "tenant_id=K%C3%A4se%20&%20Co,order_id=42";

#[tokio::test]
async fn baggage_goes_to_allowed_hosts_only() {
    let stack = tracing_subscriber::registry().with(ContextLayer::default().key("order_id"));
    let _default = stack.set_default();
    let (one, other) = (Service::ok().await, Service::ok().await);
    let client = over_the_network(to_localhost());
    for (service, host, expected) in [
        (&one, "localhost", Some(ALL)),
        (&other, "127.0.0.1", None),
        (&one, "127.0.0.1", None),
        (&other, "LOCALHOST", Some(ALL)),
    ] {
        let call = client.clone().oneshot(get(&service.url(host, "/")));
        call.instrument(order()).await.unwrap();
        assert_eq!(text(&service.one(), "baggage"), expected, "{host}");
    }
}

#[tokio::test]
async fn no_baggage_without_allowed_hosts() {
    let stack = tracing_subscriber::registry().with(ContextLayer::default());
    let _default = stack.set_default();
    let service = Service::ok().await;
    let call = over_the_network(client().baggage(["tenant_id"]))
        .oneshot(get(&service.url("localhost", "/")));
    call.instrument(order()).await.unwrap();
    assert_eq!(text(&service.one(), "baggage"), None);
}

#[tokio::test]
async fn redacted_value_is_not_sent() {
    let policy = Policy::secrets().hide("tenant_id").unwrap();
    let context = ContextLayer::default()
        .key("order_id")
        .redact(Arc::new(policy));
    let _default = tracing_subscriber::registry().with(context).set_default();
    let service = Service::ok().await;
    let call = over_the_network(to_localhost()).oneshot(get(&service.url("localhost", "/")));
    call.instrument(order()).await.unwrap();
    assert_eq!(text(&service.one(), "baggage"), Some("order_id=42"));
}

#[tokio::test]
async fn redacted_request_id_is_not_sent() {
    let policy = Policy::secrets().hide("request_id").unwrap();
    let context = ContextLayer::default().redact(Arc::new(policy));
    let _default = tracing_subscriber::registry().with(context).set_default();
    let service = Service::ok().await;
    let span = tracing::info_span!("job", request_id = "r-1");
    let call = over_the_network(client()).oneshot(get(&service.url("localhost", "/")));
    call.instrument(span).await.unwrap();
    assert_eq!(text(&service.one(), "x-request-id"), None);
}

#[tokio::test]
async fn host_header_does_not_choose_the_host() {
    let stack = tracing_subscriber::registry().with(ContextLayer::default().key("order_id"));
    let _default = stack.set_default();
    let network = tower::service_fn(async |request: Request<()>| {
        Ok::<_, std::io::Error>(http::Response::new(request))
    });
    for (uri, host, expected) in [
        ("http://localhost/", None, Some(ALL)),
        ("http://localhost/", Some("elsewhere"), Some(ALL)),
        ("/stock", Some("localhost:80"), None),
        ("/stock", None, None),
        ("http://localhost@elsewhere/", None, None),
        ("http://localhost.elsewhere/", None, None),
        // The URI decides about the connection, not the header.
        ("http://elsewhere/", Some("localhost"), None),
    ] {
        let mut request = Request::get(uri).body(()).unwrap();
        let host = host.map(|host| (http::header::HOST, host.parse().unwrap()));
        request.headers_mut().extend(host.clone());
        let client = ServiceBuilder::new().layer(to_localhost()).service(network);
        let sent = client.oneshot(request).instrument(order()).await.unwrap();
        assert_eq!(
            text(sent.into_body().headers(), "baggage"),
            expected,
            "{uri} {host:?}"
        );
    }
}

#[tokio::test]
async fn redirect_to_another_host_drops_baggage() {
    let stack = tracing_subscriber::registry().with(ContextLayer::default().key("order_id"));
    let _default = stack.set_default();
    let (shop, elsewhere) = (redirecting().await, Service::ok().await);
    let to = elsewhere.url("127.0.0.1", "/");
    let via = shop.url("localhost", &format!("/?{to}"));
    let client = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(to_localhost())
        .service(network());
    client.oneshot(get(&via)).instrument(order()).await.unwrap();

    assert_eq!(text(&shop.one(), "baggage"), Some(ALL));
    let headers = elsewhere.one();
    assert_eq!(text(&headers, "baggage"), None);
    trace(&headers);
}

#[cfg(feature = "reqwest-middleware")]
mod reqwest_ {
    use super::*;

    fn with(layer: ClientLayer) -> reqwest_middleware::ClientWithMiddleware {
        layer.reqwest(reqwest::Client::builder()).build().unwrap()
    }

    #[tokio::test]
    async fn request_ids_are_sent() {
        let logs = crate::support::capture();
        let service = Service::ok().await;
        let span = tracing::info_span!("job", request_id = "r-1", tenant_id = "acme");
        let url = service.url("localhost", "/stock?sku=book");
        let call = with(client()).post(&url).send();
        call.instrument(span).await.unwrap();

        let headers = service.one();
        assert_eq!(text(&headers, "x-request-id"), Some("r-1"));
        let (trace_id, span_id) = trace(&headers);
        logs.one_span("http.client.request")
            .assert_field("http.request.method", "POST")
            .assert_field("server.address", "localhost")
            .assert_field("server.port", service.port)
            .assert_field("url.path", "/stock")
            .assert_field("http.response.status_code", 200)
            .assert_field("trace_id", trace_id)
            .assert_field("span_id", span_id);
        logs.assert_never_logged("sku=book");
    }

    #[tokio::test]
    async fn failed_call_shows_no_query() {
        let logs = crate::support::capture();
        let url = format!("{REFUSING}/?sku=book");
        with(client()).get(&url).send().await.unwrap_err();
        let span = logs.one_span("http.client.request");
        span.assert_field("otel.status_code", "ERROR");
        let error = span.field("error").unwrap().to_string();
        assert!(error.contains("no connection"), "{error}");
        assert!(error.to_lowercase().contains("refused"), "{error}");
        logs.assert_never_logged("sku=book");
    }

    #[tokio::test]
    async fn baggage_goes_to_allowed_hosts_only() {
        let stack = tracing_subscriber::registry().with(ContextLayer::default().key("order_id"));
        let _default = stack.set_default();
        let service = Service::ok().await;
        let client = with(to_localhost());
        for (host, expected) in [("localhost", Some(ALL)), ("127.0.0.1", None)] {
            let call = client.get(service.url(host, "/")).send();
            call.instrument(order()).await.unwrap();
            assert_eq!(text(&service.one(), "baggage"), expected, "{host}");
        }
    }

    #[tokio::test]
    async fn redirect_that_leaks_baggage_fails_the_call() {
        let stack = tracing_subscriber::registry().with(ContextLayer::default().key("order_id"));
        let _default = stack.set_default();
        let (shop, elsewhere) = (redirecting().await, Service::ok().await);
        let to = elsewhere.url("127.0.0.1", "/");
        // Through an allowed host.
        let between = shop.url("localhost", &format!("/?{to}"));
        for path in [format!("/?{to}"), format!("/?{between}")] {
            let call = with(to_localhost())
                .get(shop.url("localhost", &path))
                .send();
            let error = call.instrument(order()).await.unwrap_err();
            let why = std::error::Error::source(&error).unwrap().to_string();
            assert!(why.contains("`127.0.0.1`, which must not receive"), "{why}");
        }
        assert_eq!(elsewhere.received().len(), 0);
        assert_eq!(shop.received().len(), 3);
    }

    #[tokio::test]
    async fn redirect_that_leaks_ids_fails_the_call() {
        let stack = tracing_subscriber::registry().with(ContextLayer::default());
        let _default = stack.set_default();
        let (shop, elsewhere) = (redirecting().await, Service::ok().await);
        let follow = async |ids_to: &str, from: &str, to: &str| {
            let path = format!("/?{}", elsewhere.url(to, "/"));
            let client = with(client().ids_to(ids_to.parse().unwrap()));
            let call = client.get(shop.url(from, &path)).send();
            call.instrument(order()).await.map(drop)
        };
        let error = follow("localhost", "localhost", "127.0.0.1").await;
        let error = error.unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            why.contains("`127.0.0.1`, which must not receive the ids"),
            "{why}"
        );
        assert_eq!(elsewhere.received().len(), 0);
        // The host may receive everything.
        for (ids_to, from, to, goes) in [
            ("localhost", "localhost", "localhost", true),
            ("localhost", "127.0.0.1", "localhost", false),
            ("localhost,127.0.0.1", "localhost", "127.0.0.1", true),
            ("elsewhere", "localhost", "127.0.0.1", false),
        ] {
            follow(ids_to, from, to).await.unwrap();
            let headers = elsewhere.one();
            assert_eq!(
                headers.contains_key("traceparent"),
                goes,
                "{ids_to} {from} {to}"
            );
        }
    }

    /// An error inside errors of middleware, and inside their texts.
    #[tokio::test]
    async fn no_error_of_a_chain_shows_the_query() {
        #[derive(Debug)]
        struct Wrapped(reqwest::Error, bool);
        impl std::fmt::Display for Wrapped {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                if self.1 {
                    write!(f, "gave up: {}", self.0)
                } else {
                    f.write_str("gave up")
                }
            }
        }
        impl std::error::Error for Wrapped {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        struct Wraps(bool);
        #[async_trait::async_trait]
        impl reqwest_middleware::Middleware for Wraps {
            async fn handle(
                &self,
                request: reqwest::Request,
                extensions: &mut http::Extensions,
                next: reqwest_middleware::Next<'_>,
            ) -> reqwest_middleware::Result<reqwest::Response> {
                let error = match next.run(request, extensions).await {
                    Err(reqwest_middleware::Error::Reqwest(error)) => error,
                    other => return other,
                };
                Err(reqwest_middleware::Error::middleware(Wrapped(
                    error, self.0,
                )))
            }
        }
        let url = format!("{REFUSING}/?ids[]=canary&b=canary)x");
        for in_text in [false, true] {
            let logs = crate::support::capture();
            let client = reqwest_middleware::ClientBuilder::from_client(with(client()))
                .with(Wraps(in_text))
                .build();
            client.get(&url).send().await.unwrap_err();
            let error = logs.one_span("http.client.request");
            let error = error.field("error").unwrap().to_string();
            assert!(
                error.contains("gave up") && error.contains("no connection"),
                "{error}"
            );
            logs.assert_never_logged("canary");
        }
    }

    /// A middleware that sends each request twice.
    struct Repeats;

    #[async_trait::async_trait]
    impl reqwest_middleware::Middleware for Repeats {
        async fn handle(
            &self,
            request: reqwest::Request,
            extensions: &mut http::Extensions,
            next: reqwest_middleware::Next<'_>,
        ) -> reqwest_middleware::Result<reqwest::Response> {
            let again = request.try_clone().unwrap();
            next.clone().run(request, extensions).await?;
            next.run(again, extensions).await
        }
    }

    #[tokio::test]
    async fn each_retried_attempt_has_its_span() {
        let _logs = crate::support::capture();
        let service = Service::ok().await;
        let builder = client().reqwest(reqwest::Client::builder());
        let client = builder.with(Repeats).build().unwrap();
        client
            .get(service.url("localhost", "/"))
            .send()
            .await
            .unwrap();
        let spans: Vec<_> = service
            .received()
            .iter()
            .map(|received| trace(&received.headers).1)
            .collect();
        assert_eq!(spans.len(), 2);
        assert_ne!(spans[0], spans[1]);
    }

    #[tokio::test]
    async fn redirect_policy_of_the_application_applies() {
        // Without this capture, the spans of the calls would belong to the capture of another test.
        let _logs = crate::support::capture();
        let shop = redirecting().await;
        let path = format!("/?{}", shop.url("localhost", "/"));
        let builder = client().reqwest(reqwest::Client::builder());
        let builder = builder.redirect(reqwest::redirect::Policy::none());
        let client = builder.build().unwrap();
        let response = client.get(shop.url("localhost", &path)).send().await;
        assert!(response.unwrap().status().is_redirection());
        assert_eq!(shop.received().len(), 1);
    }

    #[tokio::test]
    async fn other_redirects_are_followed() {
        let stack = tracing_subscriber::registry().with(ContextLayer::default().key("order_id"));
        let _default = stack.set_default();
        let (shop, elsewhere) = (redirecting().await, Service::ok().await);
        let follow = async |client: ClientLayer, from: &str, to: &str| {
            let path = format!("/?{}", elsewhere.url(to, "/"));
            let call = with(client).get(shop.url(from, &path)).send();
            call.instrument(order()).await.unwrap();
            let first = text(&shop.one(), "baggage").map(str::to_owned);
            (first, text(&elsewhere.one(), "baggage").map(str::to_owned))
        };
        let (first, second) = follow(to_localhost(), "localhost", "localhost").await;
        assert_eq!(
            (first.as_deref(), second.as_deref()),
            (Some(ALL), Some(ALL))
        );
        // Nothing was sent that a redirect could leak.
        assert_eq!(
            follow(to_localhost(), "127.0.0.1", "127.0.0.1").await,
            (None, None)
        );
        assert_eq!(
            follow(client(), "localhost", "127.0.0.1").await,
            (None, None)
        );
    }

    #[tokio::test]
    async fn endless_redirect_ends() {
        let _logs = crate::support::capture();
        let shop = Service::start(|uri| Redirect::temporary(uri.path()).into_response()).await;
        let error = with(to_localhost())
            .get(shop.url("localhost", "/"))
            .send()
            .await;
        assert!(error.unwrap_err().is_redirect());
        assert_eq!(shop.received().len(), 11);
    }
}
