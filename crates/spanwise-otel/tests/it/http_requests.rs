//! Metrics of the requests that `spanwise-http` serves and sends.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    metrics::v1::{HistogramDataPoint, metric::Data, number_data_point},
};
use spanwise_core::{
    Flush as _,
    internal::request_observer::{ObservedRequest, RequestEnd, RequestObservation, RequestSide},
};
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

/// Also those that were built after the first one, but not those that are gone.
#[test]
fn each_exporter_measures_requests() {
    if output_alone("http_requests::each_exporter_measures_requests").is_some() {
        return;
    }
    let request = || {
        RequestObservation::begin(|| ObservedRequest {
            side: RequestSide::Server,
            method: "GET",
            scheme: Some("http"),
            route: None,
            path: "/".into(),
            protocol_version: None,
            server_address: None,
            server_port: None,
            body_size: None,
            span: tracing::Span::none(),
        })
    };
    let end = |request: Option<RequestObservation>| {
        request.unwrap().end(&RequestEnd {
            status: Some(200),
            outcome: "ok",
            error_type: None,
            protocol_version: None,
            duration: Duration::from_millis(1),
            body_size: None,
        });
    };
    assert!(request().is_none());
    let off = ExportOptions::off;
    let (first, second) = (Receiver::start(), Receiver::start());
    let build = |receiver| builder(receiver).traces(off).logs(off).build().unwrap();
    let (otel, guard) = build(&first);
    // It began before the second exporter, whose number of active requests it must not lower.
    let early = request();
    let (second_otel, second_guard) = build(&second);
    end(early);
    end(request());
    let count = |exported: &ExportMetricsServiceRequest| {
        let points = points(exported, "http.server.request.duration");
        points.iter().map(|point| point.count).sum::<u64>()
    };
    assert_eq!(count(&exported(&otel, &first)), 2);
    let of_second = exported(&second_otel, &second);
    assert_eq!(count(&of_second), 1);
    let active = of_second.resource_metrics[0].scope_metrics[0]
        .metrics
        .iter()
        .find(|metric| metric.name == "http.server.active_requests");
    let Some(Data::Sum(active)) = active.and_then(|metric| metric.data.clone()) else {
        panic!("{of_second:#?}");
    };
    let zero = Some(number_data_point::Value::AsInt(0));
    assert_eq!(active.data_points[0].value, zero);
    guard.shutdown(GUARD);
    drop(otel);
    end(request());
    assert_eq!(count(&exported(&second_otel, &second)), 2);
    second_guard.shutdown(GUARD);
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
