//! The cost to log the requests of a server, compared with `tower-http`.
//!
//! ```text
//! cargo bench -p benches --bench http                       nanoseconds and allocations, in interleaved rounds
//! cargo bench -p benches --bench http -- --instructions     instructions under callgrind
//! cargo bench -p benches --bench http -- --contender spanwise --workload served --iterations 1000000    one contender, for a profiler
//! cargo bench -p benches --bench http -- --show             the lines of one request
//! ```
//!
//! A service answers at once with ten bytes, which the bench reads. The writer of lines does
//! nothing. `tower-http` is set up as in a service that logs each request. Its `TraceLayer` has a
//! span at INFO, with the fields of `DefaultMakeSpan` and the request's id. It logs an event at
//! INFO when the headers of a response are ready, because it does not know when the request ends.
//! The layer is between `SetRequestIdLayer` with UUIDs and `PropagateRequestIdLayer`, and
//! `fmt().json()` writes the lines. `bare` is the service alone. All figures include its cost.
//!
//! `quiet` is a request at INFO without its event, and `warn` a request at WARN. At WARN, the span
//! of `tower-http` is disabled, because it is at INFO. Spanwise keeps its span, so `warn` should
//! cost no more than `quiet`.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    error::Error,
    hint::black_box,
    io,
    io::Write as _,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Instant,
};

use http::{HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::{Empty, Full};
use spanwise_core::{ContextLayer, LevelLayer, Levels};
use spanwise_http::ServerLayer;
use spanwise_json::JsonLayer;
use tower::{Layer, Service, ServiceBuilder, service_fn};
use tower_http::{
    ServiceBuilderExt,
    request_id::{MakeRequestId, RequestId},
    trace::{DefaultOnResponse, TraceLayer},
};
use tracing::{Dispatch, Level, Span, dispatcher, level_filters::LevelFilter};
use tracing_subscriber::{fmt::MakeWriter, prelude::*, registry};
use uuid::Uuid;

use crate::{
    allocations, child, figures, instructions,
    options::{named, number},
    prod,
    rounds::{median, rotated},
    table,
    writers::{Captured, NullWriter},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Contender {
    Bare,
    TowerHttp,
    /// The facade under the preset `prod`, with its layer for servers.
    Prod,
    Spanwise,
    /// [`Spanwise`](Self::Spanwise) with the context.
    Stack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Workload {
    Served,
    /// At INFO, without the event of the request.
    Quiet,
    /// At WARN: with the span of spanwise, and without an event.
    Warn,
    /// At a level that disables spans and events.
    Disabled,
}

const CONTENDERS: [Contender; 5] = [
    Contender::Bare,
    Contender::TowerHttp,
    Contender::Prod,
    Contender::Spanwise,
    Contender::Stack,
];
const WORKLOADS: [Workload; 4] = [
    Workload::Served,
    Workload::Quiet,
    Workload::Warn,
    Workload::Disabled,
];

const ROUNDS: usize = 15;
const WARM_UP: u64 = 500;
/// The target time of a measured run, in nanoseconds.
const RUN_NANOS: f64 = 60e6;

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::TowerHttp => "tower-http",
            Self::Prod => "spanwise-prod",
            Self::Spanwise => "spanwise",
            Self::Stack => "spanwise-stack",
        }
    }

    /// Returns the subscriber, and the layer for servers if the contender has one.
    fn stack<W>(self, workload: Workload, writer: W) -> (Dispatch, Option<ServerLayer>)
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        let level = match workload {
            Workload::Served | Workload::Quiet => LevelFilter::INFO,
            Workload::Warn => LevelFilter::WARN,
            Workload::Disabled => LevelFilter::OFF,
        };
        let levels = LevelLayer::new(Levels::from(level));
        let server = || match workload {
            Workload::Quiet => spanwise_http::server().quiet("/orders/*"),
            Workload::Served | Workload::Warn | Workload::Disabled => spanwise_http::server(),
        };
        match self {
            Self::Bare => (Dispatch::none(), None),
            Self::TowerHttp => {
                let subscriber = tracing_subscriber::fmt()
                    .json()
                    .with_max_level(level)
                    .with_writer(writer);
                (subscriber.into(), None)
            }
            Self::Prod => {
                let builder = prod::builder().levels(Levels::from(level));
                let (dispatch, telemetry) = prod::start(builder.with_writer(writer));
                let server = match workload {
                    Workload::Quiet => telemetry.http_server().quiet("/orders/*"),
                    Workload::Served | Workload::Warn | Workload::Disabled => {
                        telemetry.http_server()
                    }
                };
                (dispatch, Some(server))
            }
            Self::Spanwise => {
                let subscriber = registry()
                    .with(JsonLayer::new().with_writer(writer))
                    .with(levels);
                (subscriber.into(), Some(server()))
            }
            Self::Stack => {
                let subscriber = registry()
                    .with(ContextLayer::default())
                    .with(JsonLayer::new().with_writer(writer))
                    .with(levels);
                (subscriber.into(), Some(server()))
            }
        }
    }

    fn serve(self, workload: Workload, layer: Option<&ServerLayer>, requests: u64) {
        if let Some(layer) = layer {
            return each(requests, layer.clone().layer(service_fn(answer)));
        }
        if self == Self::Bare {
            return each(requests, service_fn(answer));
        }
        let level = match workload {
            Workload::Quiet => Level::DEBUG,
            Workload::Served | Workload::Warn | Workload::Disabled => Level::INFO,
        };
        let trace = TraceLayer::new_for_http()
            .make_span_with(peer_span::<Nothing>)
            .on_response(DefaultOnResponse::new().level(level));
        let service = ServiceBuilder::new()
            .set_x_request_id(Uuids)
            .layer(trace)
            .propagate_x_request_id()
            .service(service_fn(answer));
        each(requests, service);
    }
}

impl Workload {
    fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Quiet => "quiet",
            Self::Warn => "warn",
            Self::Disabled => "disabled",
        }
    }
}

/// Returns the span of a request for `tower-http`.
pub(crate) fn peer_span<B>(request: &Request<B>) -> Span {
    let id = request.extensions().get::<RequestId>();
    let id = id.and_then(|id| id.header_value().to_str().ok());
    tracing::info_span!(
        "request",
        method = %request.method(),
        uri = %request.uri(),
        version = ?request.version(),
        request_id = id
    )
}

/// Makes the request ids for `tower-http`.
#[derive(Clone)]
pub(crate) struct Uuids;

impl MakeRequestId for Uuids {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        let id = HeaderValue::from_str(&Uuid::now_v7().to_string()).ok()?;
        Some(RequestId::new(id))
    }
}

type Nothing = Empty<&'static [u8]>;

async fn answer<B>(_: Request<B>) -> Result<Response<Full<&'static [u8]>>, Infallible> {
    Ok(Response::new(Full::new(b"ten bytes.")))
}

/// Calls the service like a server, but without sockets.
fn each<S, R>(requests: u64, mut service: S)
where
    S: Service<Request<Nothing>, Response = Response<R>>,
    R: Body,
{
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..requests {
        let request = Request::get("/orders/42?page=7")
            .header("host", "shop.example.com")
            .header("user-agent", "curl/8.5.0")
            .body(Nothing::new());
        let Ok(request) = request else { return };
        if service.poll_ready(&mut cx).is_pending() {
            return;
        }
        let future = pin!(service.call(request));
        let Poll::Ready(Ok(response)) = future.poll(&mut cx) else {
            return;
        };
        let (head, body) = response.into_parts();
        black_box(head);
        let mut body = pin!(body);
        while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut cx) {
            black_box(frame.is_ok());
            if body.is_end_stream() {
                break;
            }
        }
    }
}

/// Runs the bench as the arguments of the process request.
///
/// # Errors
///
/// If an argument is unknown, or a child process could not be started or failed.
pub fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let (mut is_bench, mut instructions, mut iterations) = (false, false, None);
    let (mut contender, mut workload) = (None, None);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--bench" => is_bench = true,
            "--instructions" => instructions = true,
            "--show" => return show(),
            "--iterations" => iterations = Some(number::<u64>(&argument, &value()?)?),
            "--contender" => contender = Some(named(&value()?, &CONTENDERS, Contender::name)?),
            "--workload" => workload = Some(named(&value()?, &WORKLOADS, Workload::name)?),
            _ => return Err(format!("{argument} is unknown").into()),
        }
    }
    match (iterations, contender, workload) {
        (Some(count), Some(contender), Some(workload)) => measure(contender, workload, count),
        (Some(_), ..) => Err("--iterations needs a --contender and a --workload".into()),
        (None, ..) if instructions => by_instructions(),
        (None, ..) if is_bench => by_rounds(),
        // `cargo test` also runs benches, only to check that they start.
        (None, ..) => Ok(()),
    }
}

fn show() -> Result<(), Box<dyn Error>> {
    for contender in CONTENDERS {
        let lines = Captured::default();
        let (dispatch, layer) = contender.stack(Workload::Served, lines.clone());
        dispatcher::with_default(&dispatch, || {
            contender.serve(Workload::Served, layer.as_ref(), 1);
        });
        writeln!(io::stdout(), "{}\n{}", contender.name(), lines.text())?;
    }
    Ok(())
}

fn measure(contender: Contender, workload: Workload, count: u64) -> Result<(), Box<dyn Error>> {
    let (dispatch, layer) = contender.stack(workload, NullWriter);
    dispatcher::set_global_default(dispatch)?;
    let serve = |requests| contender.serve(workload, layer.as_ref(), requests);
    serve(WARM_UP);
    let allocations = allocations::count();
    let start = Instant::now();
    serve(count);
    let nanos = start.elapsed().as_nanos() as f64;
    let allocations = (allocations::count() - allocations) as f64;
    let count = count.max(1) as f64;
    writeln!(io::stdout(), "{} {}", nanos / count, allocations / count)?;
    Ok(())
}

fn arguments(contender: Contender, workload: Workload, count: u64) -> [String; 6] {
    [
        "--contender".to_owned(),
        contender.name().to_owned(),
        "--workload".to_owned(),
        workload.name().to_owned(),
        "--iterations".to_owned(),
        count.to_string(),
    ]
}

type Results = BTreeMap<(Contender, Workload), f64>;

fn by_rounds() -> Result<(), Box<dyn Error>> {
    let mut samples = BTreeMap::<_, [Vec<f64>; 3]>::new();
    for round in 0..ROUNDS {
        for workload in WORKLOADS {
            let mut costs = Results::new();
            for contender in rotated(&CONTENDERS, round) {
                let [trial, _] = child::numbers(&arguments(contender, workload, 500))?;
                let count = (RUN_NANOS / trial.max(0.1)) as u64;
                let [nanos, allocations] = child::numbers(&arguments(contender, workload, count))?;
                costs.insert((contender, workload), nanos);
                let [all_nanos, all_allocations, _] =
                    samples.entry((contender, workload)).or_default();
                all_nanos.push(nanos);
                all_allocations.push(allocations);
            }
            // A ratio compares costs of the same round, so that a slow minute of the machine
            // affects both.
            for contender in CONTENDERS {
                if let Some(ratio) = added_ratio(&costs, contender, workload) {
                    let [.., ratios] = samples.entry((contender, workload)).or_default();
                    ratios.push(ratio);
                }
            }
        }
    }
    let medians = |index: usize| -> Results {
        let samples = samples.iter();
        samples
            .map(|(key, values)| (*key, median(values[index].clone())))
            .collect()
    };
    let (nanos, allocations, ratios) = (medians(0), medians(1), medians(2));
    record("time", &ratios)?;
    let title = format!("Nanoseconds per request, medians of {ROUNDS} rounds");
    print(&title, &nanos)?;
    print_ratios(|contender, workload| ratios.get(&(contender, workload)).copied())?;
    print("Allocations per request", &allocations)
}

fn by_instructions() -> Result<(), Box<dyn Error>> {
    const SHORT_RUN: u64 = 500;
    const LONG_RUN: u64 = 2_500;
    let (mut results, mut all_allocations) = (Results::new(), Results::new());
    for contender in CONTENDERS {
        for workload in WORKLOADS {
            let arguments = |count| arguments(contender, workload, count);
            let per_request = instructions::per_unit(SHORT_RUN, LONG_RUN, arguments)?;
            results.insert((contender, workload), per_request);
            let [_, allocations] = child::numbers(&arguments(LONG_RUN))?;
            all_allocations.insert((contender, workload), allocations);
        }
    }
    record("instructions", &results)?;
    record("allocations", &all_allocations)?;
    print("Instructions per request", &results)?;
    print_ratios(|contender, workload| added_ratio(&results, contender, workload))?;
    print("Allocations per request", &all_allocations)
}

fn record(measure: &str, results: &Results) -> Result<(), Box<dyn Error>> {
    figures::record(results.iter().map(|((contender, workload), value)| {
        let (contender, workload) = (contender.name(), workload.name());
        (format!("http/{measure}/{contender}/{workload}"), *value)
    }))
}

/// Returns the cost that logging adds to `bare`, divided by the cost that `tower-http` adds.
fn added_ratio(results: &Results, contender: Contender, workload: Workload) -> Option<f64> {
    let cost = |contender| results.get(&(contender, workload));
    let added = |contender| Some(cost(contender)? - cost(Contender::Bare)?);
    Some(added(contender)? / added(Contender::TowerHttp)?)
}

fn print_ratios(ratio: impl Fn(Contender, Workload) -> Option<f64>) -> Result<(), Box<dyn Error>> {
    let rows = CONTENDERS.map(|contender| {
        let cell = |workload| Some(format!("{:.3}", ratio(contender, workload)?));
        (contender.name(), WORKLOADS.map(cell).to_vec())
    });
    table::print(
        "What it adds to bare, of what tower-http adds",
        "contender",
        &WORKLOADS.map(Workload::name),
        rows.into_iter(),
    )
}

fn print(title: &str, results: &Results) -> Result<(), Box<dyn Error>> {
    let rows = CONTENDERS.map(|contender| {
        let cell = |workload| Some(table::number(*results.get(&(contender, workload))?));
        (contender.name(), WORKLOADS.map(cell).to_vec())
    });
    table::print(
        title,
        "contender",
        &WORKLOADS.map(Workload::name),
        rows.into_iter(),
    )
}
