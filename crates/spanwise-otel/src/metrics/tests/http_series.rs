//! The metrics of HTTP requests.

use std::{borrow::Cow, time::Duration};

use opentelemetry_proto::tonic::{
    common::v1::any_value,
    metrics::v1::{HistogramDataPoint, metric::Data},
};
use spanwise_core::internal::request_observer::{
    ObservedRequest, RequestEnd, RequestObserver, RequestSide,
};
use tracing::Span;

use super::{collector, hourly, metric, values};

fn request(side: RequestSide, path: &str) -> ObservedRequest {
    ObservedRequest {
        side,
        method: "GET",
        scheme: Some("http"),
        route: None,
        path: path.into(),
        protocol_version: Some("1.1"),
        server_address: None,
        server_port: None,
        body_size: None,
        span: Span::none(),
    }
}

fn end(status: u16, error_type: Option<&'static str>) -> RequestEnd<'static> {
    RequestEnd {
        status: Some(status),
        outcome: "ok",
        error_type: error_type.map(Cow::Borrowed),
        protocol_version: None,
        duration: Duration::from_millis(7),
        body_size: None,
    }
}

/// Returns the points of a histogram, each with its attributes as text.
fn points(
    request: &super::ExportMetricsServiceRequest,
    name: &str,
) -> Vec<(String, HistogramDataPoint)> {
    let Some(Data::Histogram(histogram)) = &metric(request, name).unwrap().data else {
        panic!("{name}");
    };
    let text = |point: &HistogramDataPoint| -> String {
        let attributes = point.attributes.iter().map(|attribute| {
            let value = match attribute.value.clone().unwrap().value.unwrap() {
                any_value::Value::StringValue(text) => text,
                any_value::Value::IntValue(value) => format!("int {value}"),
                other => panic!("{other:?}"),
            };
            format!("{}={value}", attribute.key)
        });
        attributes.collect::<Vec<_>>().join(" ")
    };
    let points = histogram.data_points.iter();
    points.map(|point| (text(point), point.clone())).collect()
}

#[test]
fn requests_without_a_route_are_one_series() {
    let collector = collector(&hourly());
    let http = collector.metrics.http();
    for number in 0..10_000 {
        let request = request(RequestSide::Server, &format!("/{number}/{}", number * 7));
        http.begin(&request);
        http.end(&request, &end(404, None));
    }
    let exported = collector.export_now();
    let points = points(&exported, "http.server.request.duration");
    let [(attributes, point)] = &points[..] else {
        panic!("{points:?}");
    };
    assert_eq!(
        attributes,
        "http.request.method=GET http.response.status_code=int 404 \
         network.protocol.version=1.1 url.scheme=http"
    );
    assert_eq!(point.count, 10_000);
    assert!((point.sum.unwrap() - 70.0).abs() < 1e-6);
    assert_eq!(point.explicit_bounds[0], 0.005);
    assert_eq!(point.explicit_bounds.len(), 14);
    assert_eq!(values(&exported, "http.server.active_requests"), [0.0]);
}

#[test]
fn calls_have_addresses_and_known_sizes() {
    let collector = collector(&hourly());
    let http = collector.metrics.http();
    let request = ObservedRequest {
        server_address: Some("warehouse".into()),
        server_port: Some(8080),
        body_size: Some(3000),
        ..request(RequestSide::Client, "/")
    };
    http.begin(&request);
    assert_eq!(
        values(&collector.export_now(), "http.client.active_requests"),
        [1.0]
    );
    let failed = RequestEnd {
        body_size: Some(70),
        ..end(503, Some("503"))
    };
    http.end(&request, &failed);
    let exported = collector.export_now();
    let attributes = "error.type=503 http.request.method=GET http.response.status_code=int 503 \
                      network.protocol.version=1.1 server.address=warehouse \
                      server.port=int 8080 url.scheme=http";
    for (name, sum) in [
        ("http.client.request.duration", 0.007),
        ("http.client.request.body.size", 3000.0),
        ("http.client.response.body.size", 70.0),
    ] {
        let points = points(&exported, name);
        let [(point_attributes, point)] = &points[..] else {
            panic!("{points:?}");
        };
        assert_eq!((&**point_attributes, point.sum), (attributes, Some(sum)));
    }
}

/// The SDK's limit of 2,000 series includes those with bound instruments.
#[test]
fn series_beyond_the_limit_are_counted_as_one() {
    let collector = collector(&hourly());
    let http = collector.metrics.http();
    for number in 0..3000 {
        let request = ObservedRequest {
            server_address: Some(format!("host-{number}").into()),
            ..request(RequestSide::Client, "/")
        };
        for _ in 0..2 {
            http.begin(&request);
            http.end(&request, &end(200, None));
        }
    }
    let exported = collector.export_now();
    let Some(Data::Histogram(histogram)) = &metric(&exported, "http.client.request.duration")
        .unwrap()
        .data
    else {
        panic!("{exported:?}");
    };
    // The last one counts all series beyond the limit.
    assert_eq!(histogram.data_points.len(), 2001);
    let counts: Vec<u64> = histogram
        .data_points
        .iter()
        .map(|point| point.count)
        .collect();
    assert_eq!(counts.iter().sum::<u64>(), 6000);
    assert_eq!(counts.iter().filter(|count| **count == 2).count(), 2000);
    let faults = collector.report.stats().faults;
    // One fault for the durations, and one for the active requests.
    assert_eq!(
        faults.iter().map(|(_, count)| count).sum::<u64>(),
        2,
        "{faults:?}"
    );
    // A later export does not report them again.
    collector.export_now();
    assert_eq!(collector.report.stats().faults, faults);
}
