//! What it costs to log the requests of a server, against `tower-http`.
//!
//! ```text
//! cargo bench -p benches --bench http                       nanoseconds and allocations, in interleaved rounds
//! cargo bench -p benches --bench http -- --instructions     instructions under callgrind
//! cargo bench -p benches --bench http -- --contender spanwise --workload served --iterations 1000000    one, for a profiler
//! cargo bench -p benches --bench http -- --show             the lines of one request
//! ```
//!
//! A service answers at once with ten bytes, which are read to their end; lines go to a writer that
//! does nothing. `tower-http` is set up to log as one would: its `TraceLayer` with a span at INFO,
//! of the fields of `DefaultMakeSpan` and the request's id, and its event of each response at INFO,
//! inside of `SetRequestIdLayer` with UUIDs and `PropagateRequestIdLayer`, to `fmt().json()`. It
//! does not know when a request ends. `bare` is the service alone, and part of all figures.
//!
//! `quiet` is a request at INFO without its event, and `warn` one at WARN: of `tower-http`, whose
//! span is at INFO, nothing is left there. With spanwise the span stays, so `warn` should cost no
//! more than `quiet`.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    error::Error,
    hint::black_box,
    io,
    io::Write as _,
    pin::pin,
    process::Command,
    task::{Context, Poll, Waker},
    time::Instant,
};

use http::{HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::{Empty, Full};
use spanwise_core::{ContextLayer, LevelLayer, Levels};
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
    allocations, child,
    options::{named, number},
    rounds::{median, rotated},
    table,
    writers::{Captured, NullWriter},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Contender {
    Bare,
    TowerHttp,
    Spanwise,
    /// With the context, as the facade has it.
    Stack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Workload {
    Served,
    /// At INFO, without the event of the request.
    Quiet,
    /// At WARN, which leaves the span and no event.
    Warn,
    /// At a level that disables all of it.
    Disabled,
}

const CONTENDERS: [Contender; 4] = [
    Contender::Bare,
    Contender::TowerHttp,
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
/// Times of measured runs, in nanoseconds.
const TIME: f64 = 60e6;

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::TowerHttp => "tower-http",
            Self::Spanwise => "spanwise",
            Self::Stack => "spanwise-stack",
        }
    }

    fn dispatch<W>(self, workload: Workload, writer: W) -> Dispatch
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        let level = match workload {
            Workload::Served | Workload::Quiet => LevelFilter::INFO,
            Workload::Warn => LevelFilter::WARN,
            Workload::Disabled => LevelFilter::OFF,
        };
        let levels = LevelLayer::new(Levels::from(level));
        match self {
            Self::Bare => Dispatch::none(),
            Self::TowerHttp => tracing_subscriber::fmt()
                .json()
                .with_max_level(level)
                .with_writer(writer)
                .into(),
            Self::Spanwise => registry()
                .with(JsonLayer::new().with_writer(writer))
                .with(levels)
                .into(),
            Self::Stack => registry()
                .with(ContextLayer::default())
                .with(JsonLayer::new().with_writer(writer))
                .with(levels)
                .into(),
        }
    }

    fn serve(self, workload: Workload, requests: u64) {
        match self {
            Self::Bare => each(requests, service_fn(answer)),
            Self::TowerHttp => {
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
            Self::Spanwise | Self::Stack => {
                let layer = match workload {
                    Workload::Quiet => spanwise_http::server().quiet("/orders/*"),
                    Workload::Served | Workload::Warn | Workload::Disabled => {
                        spanwise_http::server()
                    }
                };
                each(requests, layer.layer(service_fn(answer)));
            }
        }
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

/// The span of a request, as one would have it of `tower-http`.
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

/// Makes its ids.
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

/// Does what a server does, without its sockets.
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
        // `cargo test` runs benches too, to see whether they start.
        (None, ..) => Ok(()),
    }
}

fn show() -> Result<(), Box<dyn Error>> {
    for contender in CONTENDERS {
        let lines = Captured::default();
        let dispatch = contender.dispatch(Workload::Served, lines.clone());
        dispatcher::with_default(&dispatch, || contender.serve(Workload::Served, 1));
        writeln!(io::stdout(), "{}\n{}", contender.name(), lines.text())?;
    }
    Ok(())
}

fn measure(contender: Contender, workload: Workload, count: u64) -> Result<(), Box<dyn Error>> {
    dispatcher::set_global_default(contender.dispatch(workload, NullWriter))?;
    contender.serve(workload, WARM_UP);
    let allocations = allocations::count();
    let start = Instant::now();
    contender.serve(workload, count);
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
    let mut samples = BTreeMap::<_, [Vec<f64>; 2]>::new();
    for round in 0..ROUNDS {
        for workload in WORKLOADS {
            for contender in rotated(&CONTENDERS, round) {
                let [trial, _] = child::numbers(&arguments(contender, workload, 500))?;
                let count = (TIME / trial.max(0.1)) as u64;
                let numbers = child::numbers::<2>(&arguments(contender, workload, count))?;
                let sample = samples.entry((contender, workload)).or_default();
                sample
                    .iter_mut()
                    .zip(numbers)
                    .for_each(|(all, one)| all.push(one));
            }
        }
    }
    let of = |index: usize| -> Results {
        let medians = samples.iter();
        medians
            .map(|(key, values)| (*key, median(values[index].clone())))
            .collect()
    };
    let title = format!("Nanoseconds per request, medians of {ROUNDS} rounds");
    print(&title, &of(0))?;
    print_ratios(&of(0))?;
    print("Allocations per request", &of(1))
}

fn by_instructions() -> Result<(), Box<dyn Error>> {
    const SHORT_RUN: u64 = 500;
    const LONG_RUN: u64 = 2_500;
    let mut results = Results::new();
    for contender in CONTENDERS {
        for workload in WORKLOADS {
            let few = total(contender, workload, SHORT_RUN)?;
            let many = total(contender, workload, LONG_RUN)?;
            let per_request = many.saturating_sub(few) as f64 / (LONG_RUN - SHORT_RUN) as f64;
            results.insert((contender, workload), per_request);
        }
    }
    print("Instructions per request", &results)?;
    print_ratios(&results)
}

/// Returns the instructions of the whole process.
fn total(contender: Contender, workload: Workload, count: u64) -> Result<u64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(arguments(contender, workload, count))
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse().ok());
    collected.ok_or_else(|| format!("valgrind: {report}").into())
}

/// What logging adds, of what it adds with `tower-http`.
fn print_ratios(results: &Results) -> Result<(), Box<dyn Error>> {
    let rows = CONTENDERS.map(|contender| {
        let ratio = |workload| {
            let added = |contender| {
                let cost = |contender| results.get(&(contender, workload));
                Some(cost(contender)? - cost(Contender::Bare)?)
            };
            Some(format!(
                "{:.3}",
                added(contender)? / added(Contender::TowerHttp)?
            ))
        };
        (contender.name(), WORKLOADS.map(ratio).to_vec())
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
