//! The code of the guides: each block of Rust on these pages is a part of this file.

use std::{fs, path::Path};

const PAGES: [&str; 5] = [
    "configuration.md",
    "http.md",
    "opentelemetry.md",
    "sampling.md",
    "sentry.md",
];

/// Code without indentation, and without lines that a page may omit.
fn plain(code: &str) -> String {
    let lines = code.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn each_block_of_the_guides_is_compiled() {
    let docs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"));
    let code = plain(include_str!("guides.rs"));
    let mut count = 0;
    for page in PAGES {
        let text = fs::read_to_string(docs.join(page)).unwrap();
        for block in text.split("```rust\n").skip(1) {
            let block = block.split("```").next().unwrap();
            assert!(
                code.contains(&plain(block)),
                "{page}: not in guides.rs:\n{block}"
            );
            count += 1;
        }
    }
    assert!(count > 15, "{count}");
}

/// As on the pages: wide lines, and comments in columns.
#[rustfmt::skip]
#[expect(dead_code, unreachable_pub, unused_must_use, unused_qualifications, unused_variables, reason = "it is compiled, and not run")]
mod blocks {
    use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

    use axum::{
        Router,
        body::Body,
        extract::Request,
        http::{self, HeaderMap, StatusCode},
        middleware::{self, Next},
        response::{IntoResponse, Response},
        routing::get,
    };
    use hyper_util::{client::legacy, rt::TokioExecutor};
    use spanwise::{Builder, Telemetry, redact::Policy};
    use tokio::net::TcpListener;
    use tonic::transport::{Server, server::TcpConnectInfo};
    use tower::{ServiceBuilder, util::MapRequestLayer};
    use tracing::{Instrument, level_filters::LevelFilter};
    use tracing_subscriber::prelude::*;

    type Outcome = Result<(), Box<dyn Error>>;

    async fn order() {}

    fn configuration() -> Outcome {
        let telemetry = Builder::from_env()?
            .levels("info,sqlx=warn")
            .file("/var/log/shop/shop.log")
            .file_rotation("hourly,100MiB")
            .sampler("cache=first:10/100")
            .http_trust("10.0.0.0/8")
            .field("region", "eu")
            .init()?;
        let handle = telemetry.handle();
        handle.set_levels("info,shop::db=trace")?;                             // permanently
        handle.set_levels_for(Duration::from_secs(300), "debug")?;             // for five minutes
        Ok(())
    }

    mod server {
        use super::*;

        async fn serve(listener: TcpListener) -> Outcome {
            let telemetry = spanwise::init_from_env()?;
            let app = Router::new()
                .route("/orders/{id}", get(order))
                .layer(
                    telemetry
                        .http_server() // follows LOG_HTTP_TRUST and LOG_HTTP_CLIENT_ADDRESS
                        .tenant_header("x-tenant-id")
                        .quiet("/health")
                        .slow(Duration::from_secs(1)),
                );
            axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
            Ok(())
        }

        #[derive(Clone)]
        pub struct AppState;

        pub fn app(state: AppState, http: spanwise::http::ServerLayer) -> Router {
            Router::new().route("/orders/{id}", get(order)).layer(http).with_state(state)
        }
    }

    fn ratio_of_a_route() -> Outcome {
        use spanwise::sample::{EventMatcher, Limit, Sampler};

        let probes = Sampler::builder().rule(EventMatcher::field("http.route", "/health"), Limit::ratio(0.01)?).build();
        let telemetry = Builder::from_env()?.context_key("http.route").sampler(probes).init()?;
        Ok(())
    }

    mod errors {
        use super::*;

        #[derive(Debug)]
        struct ShopError;

        impl std::fmt::Display for ShopError {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("no stock")
            }
        }

        impl Error for ShopError {}

        impl ShopError {
            fn status(&self) -> StatusCode {
                StatusCode::CONFLICT
            }
        }

        impl IntoResponse for ShopError {
            fn into_response(self) -> Response {
                spanwise::http::fail(&self);
                (self.status(), self.to_string()).into_response()
            }
        }

        struct AppError(anyhow::Error);

        impl IntoResponse for AppError {
            fn into_response(self) -> Response {
                spanwise::http::fail(&self.0);
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    async fn peer_of_tonic() {
        let peer = MapRequestLayer::new(|mut request: http::Request<_>| {
            let info = request.extensions().get::<TcpConnectInfo>();
            if let Some(address) = info.and_then(TcpConnectInfo::remote_addr) {
                request.extensions_mut().insert(spanwise_http::Peer(address));
            }
            request
        });
        Server::builder().layer(peer).layer(spanwise_http::server()).add_service(tonic_health::server::health_reporter().1).serve(([127, 0, 0, 1], 0).into()).await;
    }

    mod login {
        use super::*;

        struct User {
            id: String,
        }

        async fn authenticate(headers: &HeaderMap) -> Option<User> {
            None
        }

        fn app(telemetry: &Telemetry) {
            async fn log_in(request: Request, next: Next) -> Response {
                if let Some(user) = authenticate(request.headers()).await {
                    spanwise::context::set("user_id", &user.id);
                }
                next.run(request).await
            }

            let app = Router::new()
                .route("/orders/{id}", get(order))
                .layer(middleware::from_fn(log_in))
                .layer(telemetry.http_server());
            let _: Router = app;
        }
    }

    mod tasks {
        use super::*;

        async fn send_mail(order: u32) {}

        #[expect(clippy::needless_pass_by_value, reason = "a task owns its argument")]
        fn hash(password: String) -> u64 {
            0
        }

        async fn look_up(sku: u32) {}

        #[expect(clippy::needless_pass_by_value, reason = "a task owns its argument")]
        fn compress(report: String) {}

        async fn export(order: u32) {}

        fn spawn(order: u32, password: String, skus: Vec<u32>, report: String) {
            use spanwise::task::{self, JoinSet};

            let mail = task::spawn(send_mail(order));            // in place of tokio::spawn
            let hash = task::spawn_blocking(|| hash(password));  // in place of tokio::task::spawn_blocking

            let mut lookups = JoinSet::new();                    // in place of tokio::task::JoinSet
            for sku in skus {
                lookups.spawn(look_up(sku));
            }

            std::thread::spawn(task::in_current(|| compress(report)));  // any thread or pool; needs no feature
            drop((mail, hash));
        }

        fn unit(order: u32) {
            let context = spanwise::context::Context::current();
            let job = spanwise::unit_span!("export", request_id = context.get("request_id"), user_id = context.get("user_id"));
            tokio::spawn(export(order).instrument(job));
        }

        struct Tasks;

        impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Tasks {
            fn execute(&self, future: F) {
                tokio::spawn(future.in_current_span());
            }
        }
    }

    async fn fields(request: Request) {
        async fn load() {}

        spanwise_http::record("order.id", 42);     // a field of the event
        let order = load().await;
        spanwise_http::record_timing("db");        // timing.db_ms: since the last timing, or since the start of the request
        if let Some(query) = request.uri().query() {
            spanwise_http::record("url.query", query);
        }
    }

    fn clients(telemetry: &Telemetry, retries: Retries) -> Outcome {
        {
            let client = ServiceBuilder::new()
                .layer(
                    spanwise_http::client()
                        .baggage(["tenant_id"])
                        .baggage_to("warehouse, *.internal".parse()?),
                )
                .service(legacy::Client::builder(TokioExecutor::new()).build_http::<Body>()); // of hyper_util
            drop(client);
        }
        let client = telemetry
            .http_client()
            .baggage(["tenant_id"])
            .baggage_to("*.internal".parse()?)
            .reqwest(reqwest::Client::builder())
            .with(retries)                        // middleware in front, if there is any
            .build()?;
        Ok(())
    }

    struct Retries;

    // Before async functions in traits, as the crate declares it.
    impl reqwest_middleware::Middleware for Retries {
        fn handle<'life0, 'life1, 'life2, 'async_trait>(
            &'life0 self,
            request: reqwest::Request,
            extensions: &'life1 mut http::Extensions,
            next: reqwest_middleware::Next<'life2>,
        ) -> std::pin::Pin<Box<dyn Future<Output = reqwest_middleware::Result<reqwest::Response>> + Send + 'async_trait>>
        where
            'life0: 'async_trait,
            'life1: 'async_trait,
            'life2: 'async_trait,
            Self: 'async_trait,
        {
            Box::pin(next.run(request, extensions))
        }
    }

    fn sampling() -> Outcome {
        use spanwise::{Builder, sample::{EventMatcher, First, Limit, Sampler}};

        let sampler = Sampler::builder()
            .rule(EventMatcher::field("http.route", "/health"), Limit::ratio(0.001)?)
            .rule(EventMatcher::message("cache miss"), First::new(10).then_every(100))
            .build();
        let telemetry = Builder::from_env()?.context_key("http.route").sampler(sampler).init()?;
        Ok(())
    }

    fn own_stack() -> Outcome {
        use spanwise::{Stack, layer::{JsonLayer, Levels}, sample::Sampler};

        let other_layer = tracing_subscriber::fmt::layer();
        let sampler: Sampler = "info=0.05,sqlx=5/s".parse()?;
        let stack = Stack::new("info".parse::<Levels>()?)
            .sampler(sampler.clone())
            .recorder("debug,slow=1s,tail=0.2".parse()?)
            .json(std::io::stdout, JsonLayer::new())
            .layer(other_layer);                    // sees no event that is only buffered
        stack.build().init();
        // …
        sampler.emit_summaries();                   // at the end, before the outputs are flushed
        Ok(())
    }

    fn sentry_stack(dsn: &str) -> Outcome {
        use spanwise_sentry::Sentry;

        let (layer, guard) = Sentry::builder(dsn.parse()?)
            .release("shop@1.4.0")
            .redact(Arc::new(Policy::secrets_and_pii()))
            .build()?;
        tracing_subscriber::registry().with(LevelFilter::INFO).with(layer).init();
        // …
        guard.shutdown(Duration::from_secs(2));
        Ok(())
    }

    fn sentry_settings() -> Outcome {
        let our_ca = std::fs::read("/etc/ssl/our-ca.pem")?;
        spanwise::Builder::from_env()?
            .sentry(move |sentry| {
                sentry
                    .ignore_target("shop::probe")
                    .ignore_message("connection reset by peer")
                    .ignore_error("ClientGone")
                    .before_send(|mut event| {
                        event.server_name = None;
                        Some(event)
                    })
                    .root_certificates(our_ca)
            })
            .init()?;
        Ok(())
    }

    fn otel_options(key: String) -> Outcome {
        use spanwise::otel::EventsInSpans;

        let telemetry = spanwise::Builder::from_env()?
            .otlp_endpoint("http://collector:4318")
            .otel(|otel| {
                otel.service_instance_id("shop-1")
                    .all_signals(|signal| signal.header("api-key", key))
                    .span_options(|spans| spans.events(EventsInSpans::Errors).source_location())
                    .log_options(|logs| logs.only_sampled_traces())
            })
            .init()?;
        Ok(())
    }

    fn otel_metrics() {
        use spanwise::otel::opentelemetry::{KeyValue, global};

        let orders = global::meter("shop").u64_counter("shop.orders").build();
        orders.add(1, &[KeyValue::new("plan", "basic")]);
    }

    fn otel_spans(context_of_the_message: spanwise::otel::opentelemetry::Context) -> Outcome {
        use spanwise::otel::{SpanExt as _, opentelemetry::trace::Status};

        let span = tracing::info_span!("consume");
        span.set_parent(context_of_the_message)?;
        span.set_attribute("messaging.system", "kafka");
        span.set_status(Status::error("declined"));
        Ok(())
    }

    fn otel_headers() -> Outcome {
        use std::collections::HashMap;

        use spanwise::otel::{SpanExt as _, opentelemetry::global};

        // Sends the context of the current span.
        let mut headers = HashMap::<String, String>::new();
        let context = tracing::Span::current().context();
        global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut headers));

        // Continues the trace of received headers.
        let parent = global::get_text_map_propagator(|propagator| propagator.extract(&headers));
        let span = tracing::info_span!("consume");
        span.set_parent(parent)?;
        Ok(())
    }

    struct Message {
        trace_parent: Option<String>,
    }

    fn messages(message: &mut Message, text: &str, order_id: u64) -> Outcome {
        use spanwise::unit_span;
        use tracing::info;

        use spanwise::context::TraceParent;

        message.trace_parent = TraceParent::current().map(|current| current.to_string());

        let parent: TraceParent = text.parse()?;
        let consume = parent.unit(|| unit_span!("consume", otel.kind = "consumer", order_id));
        consume.in_scope(|| info!("shipped"));
        Ok(())
    }

    fn child() -> Outcome {
        let mut command = std::process::Command::new("resize-images");
        spanwise::context::child_env(&mut command);
        command.spawn()?;
        Ok(())
    }
}
