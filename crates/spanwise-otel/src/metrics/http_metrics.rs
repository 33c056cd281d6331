//! Metrics of the HTTP requests that `spanwise-http` serves and sends.
//!
//! The attributes follow the semantic conventions. No attribute is a path or an id, so the number
//! of series does not grow with the number of requests.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hash, RandomState},
};

use opentelemetry::{
    KeyValue, Value,
    metrics::{BoundHistogram, Histogram, Meter, UpDownCounter},
};
use spanwise_core::internal::{
    forks,
    request_observer::{ObservedRequest, RequestEnd, RequestObserver, RequestSide},
    sync::RwLock,
};

/// The bounds of the buckets for durations, in seconds, as the semantic conventions advise.
const DURATION_BOUNDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// The bounds for body sizes, in bytes. Sizes are floats, so that their sum cannot overflow.
const SIZE_BOUNDS: [f64; 6] = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7];

/// At most this many series of served requests, and of sent ones, have bound instruments, which
/// record without a look-up of the attributes. For other series, the SDK looks up the attributes at
/// each request, and counts series beyond 2,000 as one.
const MAX_BOUND_SERIES: usize = 1000;

/// Measures the requests that this process serves, and those that it sends.
#[derive(Debug)]
pub(crate) struct HttpMetrics {
    server: SideMetrics,
    client: SideMetrics,
    /// The [generation](forks::generation) of the process that exports. A forked child records
    /// nothing, because a lock of the SDK may never be released there.
    generation: u32,
}

impl HttpMetrics {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            server: SideMetrics::new(meter, "server"),
            client: SideMetrics::new(meter, "client"),
            generation: forks::generation(),
        }
    }

    fn side(&self, request: &ObservedRequest) -> &SideMetrics {
        match request.side {
            RequestSide::Server => &self.server,
            RequestSide::Client => &self.client,
        }
    }
}

impl RequestObserver for HttpMetrics {
    fn begin(&self, request: &ObservedRequest) {
        if forks::generation() == self.generation {
            self.side(request).count_active(request, 1);
        }
    }

    fn end(&self, request: &ObservedRequest, end: &RequestEnd<'_>) {
        if forks::generation() != self.generation {
            return;
        }
        let side = self.side(request);
        side.count_active(request, -1);
        side.record(request, end);
    }
}

/// The instruments of served requests, or of sent ones.
#[derive(Debug)]
struct SideMetrics {
    duration: Histogram<f64>,
    request_size: Histogram<f64>,
    response_size: Histogram<f64>,
    active: UpDownCounter<i64>,
    /// The series with bound instruments, by the hash of the series.
    bound_series: RwLock<HashMap<u64, Vec<(OwnedSeries, BoundSeries)>>>,
    hasher: RandomState,
}

/// The bound instruments of one series.
#[derive(Debug, Clone)]
struct BoundSeries {
    duration: BoundHistogram<f64>,
    /// `None` if the sizes of the series are not known. The SDK would export a bound histogram even
    /// if it has no values.
    request_size: Option<BoundHistogram<f64>>,
    response_size: Option<BoundHistogram<f64>>,
}

/// The attributes of a request in its metrics, and which of its body sizes are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Series<'r> {
    method: &'static str,
    scheme: Option<&'static str>,
    route: Option<&'r str>,
    status: Option<u16>,
    error_type: Option<&'r str>,
    protocol_version: Option<&'static str>,
    server_address: Option<&'r str>,
    server_port: Option<u16>,
    has_request_size: bool,
    has_response_size: bool,
}

/// A [`Series`] that owns its texts.
#[derive(Debug)]
struct OwnedSeries {
    /// The series, with `None` for the texts that the other fields own.
    without_texts: Series<'static>,
    route: Option<Box<str>>,
    error_type: Option<Box<str>>,
    server_address: Option<Box<str>>,
}

impl SideMetrics {
    fn new(meter: &Meter, side: &str) -> Self {
        let direction = match side {
            "server" => "that is served here",
            _ => "that is sent from here",
        };
        let size = |part: &str, text: &str| {
            meter
                .f64_histogram(format!("http.{side}.{part}.body.size"))
                .with_unit("By")
                .with_description(format!("The size of the body of {text} {direction}."))
                .with_boundaries(SIZE_BOUNDS.to_vec())
                .build()
        };
        Self {
            duration: meter
                .f64_histogram(format!("http.{side}.request.duration"))
                .with_unit("s")
                .with_description(format!("The duration of a request {direction}."))
                .with_boundaries(DURATION_BOUNDS.to_vec())
                .build(),
            request_size: size("request", "a request"),
            response_size: size("response", "the response to a request"),
            active: meter
                .i64_up_down_counter(format!("http.{side}.active_requests"))
                .with_unit("{request}")
                .with_description(format!("The number of requests in progress {direction}."))
                .build(),
            bound_series: RwLock::default(),
            hasher: RandomState::new(),
        }
    }

    fn count_active(&self, request: &ObservedRequest, change: i64) {
        let mut attributes = vec![KeyValue::new("http.request.method", request.method)];
        let address = request.server_address.as_deref();
        let port = request.server_port;
        attributes.extend(address.map(|host| KeyValue::new("server.address", host.to_owned())));
        attributes.extend(port.map(|port| KeyValue::new("server.port", i64::from(port))));
        attributes.extend(
            request
                .scheme
                .map(|scheme| KeyValue::new("url.scheme", scheme)),
        );
        self.active.add(change, &attributes);
    }

    fn record(&self, request: &ObservedRequest, end: &RequestEnd<'_>) {
        let series = Series::new(request, end);
        let hash = self.hasher.hash_one(series);
        let bound_series = self.bound_series.read();
        if let Some(bound) = find_bound(&bound_series, hash, &series) {
            bound.record(request, end);
            return;
        }
        let is_full = bound_series.len() >= MAX_BOUND_SERIES;
        drop(bound_series);
        if is_full {
            self.record_unbound(&series, request, end);
            return;
        }
        let mut bound_series = self.bound_series.write();
        // Another thread may have bound the series meanwhile.
        if find_bound(&bound_series, hash, &series).is_none() {
            let bound = self.bind(&series);
            bound_series
                .entry(hash)
                .or_default()
                .push((OwnedSeries::new(&series), bound));
        }
        if let Some(bound) = find_bound(&bound_series, hash, &series) {
            bound.record(request, end);
        }
    }

    fn bind(&self, series: &Series<'_>) -> BoundSeries {
        let attributes = series.attributes();
        let size = |histogram: &Histogram<f64>, is_known: bool| {
            is_known.then(|| histogram.bind(&attributes))
        };
        BoundSeries {
            duration: self.duration.bind(&attributes),
            request_size: size(&self.request_size, series.has_request_size),
            response_size: size(&self.response_size, series.has_response_size),
        }
    }

    fn record_unbound(&self, series: &Series<'_>, request: &ObservedRequest, end: &RequestEnd<'_>) {
        let attributes = series.attributes();
        self.duration
            .record(end.duration.as_secs_f64(), &attributes);
        if let Some(size) = request.body_size {
            self.request_size.record(size as f64, &attributes);
        }
        if let Some(size) = end.body_size {
            self.response_size.record(size as f64, &attributes);
        }
    }
}

fn find_bound<'s>(
    bound_series: &'s HashMap<u64, Vec<(OwnedSeries, BoundSeries)>>,
    hash: u64,
    series: &Series<'_>,
) -> Option<&'s BoundSeries> {
    let (_, bound) = bound_series
        .get(&hash)?
        .iter()
        .find(|(owned, _)| owned.series() == *series)?;
    Some(bound)
}

impl BoundSeries {
    fn record(&self, request: &ObservedRequest, end: &RequestEnd<'_>) {
        self.duration.record(end.duration.as_secs_f64());
        if let (Some(histogram), Some(size)) = (&self.request_size, request.body_size) {
            histogram.record(size as f64);
        }
        if let (Some(histogram), Some(size)) = (&self.response_size, end.body_size) {
            histogram.record(size as f64);
        }
    }
}

impl<'r> Series<'r> {
    fn new(request: &'r ObservedRequest, end: &'r RequestEnd<'_>) -> Self {
        Self {
            method: request.method,
            scheme: request.scheme,
            route: request.route.as_deref(),
            status: end.status,
            error_type: end.error_type.as_deref(),
            protocol_version: request.protocol_version.or(end.protocol_version),
            server_address: request.server_address.as_deref(),
            server_port: request.server_port,
            has_request_size: request.body_size.is_some(),
            has_response_size: end.body_size.is_some(),
        }
    }

    /// Returns the attributes, sorted by key, because the SDK looks up sorted ones fastest.
    fn attributes(&self) -> Vec<KeyValue> {
        let text = |text: &str| Value::from(text.to_owned());
        let static_text = |text: &'static str| Value::from(text);
        let number = |number: u16| Value::from(i64::from(number));
        let attributes = [
            ("error.type", self.error_type.map(text)),
            ("http.request.method", Some(static_text(self.method))),
            ("http.response.status_code", self.status.map(number)),
            ("http.route", self.route.map(text)),
            (
                "network.protocol.version",
                self.protocol_version.map(static_text),
            ),
            ("server.address", self.server_address.map(text)),
            ("server.port", self.server_port.map(number)),
            ("url.scheme", self.scheme.map(static_text)),
        ];
        attributes
            .into_iter()
            .filter_map(|(key, value)| Some(KeyValue::new(key, value?)))
            .collect()
    }
}

impl OwnedSeries {
    fn new(series: &Series<'_>) -> Self {
        Self {
            without_texts: Series {
                route: None,
                error_type: None,
                server_address: None,
                ..*series
            },
            route: series.route.map(Box::from),
            error_type: series.error_type.map(Box::from),
            server_address: series.server_address.map(Box::from),
        }
    }

    fn series(&self) -> Series<'_> {
        Series {
            route: self.route.as_deref(),
            error_type: self.error_type.as_deref(),
            server_address: self.server_address.as_deref(),
            ..self.without_texts
        }
    }
}
