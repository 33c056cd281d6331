//! Metrics of the requests that `spanwise-http` serves and sends.

use std::{convert::Infallible, time::Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    metrics::v1::{HistogramDataPoint, metric::Data},
};
use spanwise_core::Flush as _;
use spanwise_otel::{ExportOptions, Otel};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::support::{
    GUARD, builder, output_alone,
    receiver::{Receiver, text},
};

/// Exports what was measured so far.
fn exported(otel: &Otel, receiver: &Receiver) -> ExportMetricsServiceRequest {
    otel.flush_by(Instant::now() + GUARD).unwrap();
    receiver.metrics().pop().unwrap()
}

fn points(request: &ExportMetricsServiceRequest, name: &str) -> Vec<HistogramDataPoint> {
    let scopes = &request.resource_metrics[0].scope_metrics;
    let mut metrics = scopes.iter().flat_map(|scope| &scope.metrics);
    match metrics
        .find(|metric| metric.name == name)
        .and_then(|it| it.data.clone())
    {
        Some(Data::Histogram(histogram)) => histogram.data_points,
        other => panic!("{name} is {other:?}"),
    }
}

async fn answer(_: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"12345"))))
}

/// Nothing is logged: there is no subscriber. The path is quiet.
#[test]
fn quiet_requests_are_measured_without_a_level() {
    if output_alone("http_requests::quiet_requests_are_measured_without_a_level").is_some() {
        return;
    }
    let receiver = Receiver::start();
    let off = ExportOptions::off;
    let (otel, guard) = builder(&receiver).traces(off).logs(off).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = spanwise_http::server()
            .quiet("/quiet/*")
            .layer(service_fn(answer));
        for number in 0..10_000_u32 {
            let directory = if number % 2 == 0 { "quiet" } else { "logged" };
            let path = format!(
                "/{directory}/{:x}?q={number}",
                number.wrapping_mul(0x9E37_79B9)
            );
            let request = Request::get(path).body(Full::default()).unwrap();
            let response = server.clone().oneshot(request).await.unwrap();
            assert_eq!(
                response.into_body().collect().await.unwrap().to_bytes(),
                "12345"
            );
        }
        let client = spanwise_http::client().layer(service_fn(answer));
        let call = Request::get("http://warehouse:8080/stock/7")
            .body(Full::default())
            .unwrap();
        client.oneshot(call).await.unwrap();
    });

    let exported = exported(&otel, &receiver);
    let served = points(&exported, "http.server.request.duration");
    assert_eq!(served.len(), 1, "{served:#?}");
    assert_eq!(served[0].count, 10_000);
    let keys = served[0].attributes.iter().map(|attribute| &*attribute.key);
    assert_eq!(
        keys.collect::<Vec<_>>(),
        [
            "http.request.method",
            "http.response.status_code",
            "network.protocol.version",
            "url.scheme",
        ]
    );
    let bodies = points(&exported, "http.server.response.body.size");
    assert_eq!((bodies[0].count, bodies[0].sum), (10_000, Some(50_000.0)));

    let sent = points(&exported, "http.client.request.duration");
    assert_eq!((sent.len(), sent[0].count), (1, 1));
    assert_eq!(
        text(&sent[0].attributes, "server.address"),
        Some("warehouse")
    );
    guard.shutdown(GUARD);
}
