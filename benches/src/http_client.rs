//! The cost that the layer of a client adds to a call.
//!
//! ```text
//! cargo bench -p benches --bench http_client       instructions under callgrind, allocations
//! cargo bench -p benches --bench http_client -- --contender spanwise --iterations 1000000     one contender, for a profiler
//! ```
//!
//! A service in place of the network answers at once. The calls are made in a span with a
//! `request_id` and a `tenant_id`, with the layers for context and for JSON lines. No event is
//! logged. `bare` is the service alone. All figures include its cost.

use std::{
    convert::Infallible,
    error::Error,
    hint::black_box,
    io::{self, Write as _},
    pin::pin,
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use spanwise_core::{ContextLayer, LevelLayer, Levels};
use spanwise_http::client;
use spanwise_json::JsonLayer;
use tower::{Layer, Service, service_fn};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{prelude::*, registry};

use crate::{child, figures, instructions, options::OneContender, table, writers::NullWriter};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contender {
    Bare,
    /// With the layer, at a level that disables its spans.
    Off,
    Spanwise,
    /// [`Spanwise`](Self::Spanwise) with two keys of baggage.
    Baggage,
}

const CONTENDERS: [Contender; 4] = [
    Contender::Bare,
    Contender::Off,
    Contender::Spanwise,
    Contender::Baggage,
];

const WARM_UP: u64 = 500;

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Off => "off",
            Self::Spanwise => "spanwise",
            Self::Baggage => "baggage",
        }
    }

    fn call(self, calls: u64) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Bare => each(calls, service_fn(answer)),
            Self::Off | Self::Spanwise => each(calls, client().layer(service_fn(answer))),
            Self::Baggage => {
                let layer = client()
                    .baggage(["tenant_id", "user_id"])
                    .baggage_to("warehouse, *.internal".parse()?);
                each(calls, layer.layer(service_fn(answer)))
            }
        }
    }
}

async fn answer(request: Request<()>) -> Result<Response<()>, Infallible> {
    black_box(request);
    Ok(Response::new(()))
}

fn each<S, R>(calls: u64, mut service: S) -> Result<(), Box<dyn Error>>
where
    S: Service<Request<()>, Response = Response<R>, Error = Infallible>,
{
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..calls {
        let request = Request::get("http://stock.internal:8080/stock/42?page=7")
            .header("user-agent", "shop/1.0")
            .body(())?;
        if service.poll_ready(&mut cx).is_pending() {
            return Err("the service is not ready".into());
        }
        let Poll::Ready(Ok(response)) = pin!(service.call(request)).poll(&mut cx) else {
            return Err("the service did not answer at once".into());
        };
        black_box(response.status());
    }
    Ok(())
}

/// Runs the bench as the arguments of the process request.
///
/// # Errors
///
/// If an argument is unknown, or a child process could not be started or failed.
pub fn run(arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    match OneContender::parse(arguments, &CONTENDERS, Contender::name)? {
        OneContender::Measure(contender, count) => measure(contender, count),
        OneContender::Compare => compare(),
        OneContender::Nothing => Ok(()),
    }
}

fn measure(contender: Contender, count: u64) -> Result<(), Box<dyn Error>> {
    let levels = LevelLayer::new(Levels::from(LevelFilter::INFO));
    let levels = match contender {
        Contender::Off => levels.span_levels(LevelFilter::OFF),
        _ => levels,
    };
    registry()
        .with(ContextLayer::default())
        .with(JsonLayer::new().with_writer(NullWriter))
        .with(levels)
        .init();
    let request = tracing::info_span!(
        "http.request",
        request_id = "0192f3a1-7c2e-7d44-8d29-2f1b9c5e6a70",
        tenant_id = "acme",
        user_id = 4242,
    );
    let _entered = request.enter();
    contender.call(WARM_UP)?;
    let mut result = Ok(());
    let (time, allocations) = child::watched(|| result = contender.call(count));
    result?;
    let per_call = |total: f64| total / count.max(1) as f64;
    let nanos = per_call(time.as_nanos() as f64);
    writeln!(io::stdout(), "{nanos} {}", per_call(allocations as f64))?;
    Ok(())
}

fn compare() -> Result<(), Box<dyn Error>> {
    let mut rows = Vec::new();
    for contender in CONTENDERS {
        let arguments = |count: u64| {
            let count = count.to_string();
            ["--contender", contender.name(), "--iterations", &count].map(str::to_owned)
        };
        let instructions = instructions::per_unit(500, 2_500, arguments)?;
        let [_, allocations] = child::numbers(&arguments(2_000))?;
        let name = contender.name();
        figures::record([
            (
                format!("http_client/instructions/{name}/call"),
                instructions,
            ),
            (format!("http_client/allocations/{name}/call"), allocations),
        ])?;
        let cells = [instructions, allocations].map(|value| Some(table::number(value)));
        rows.push((contender.name(), cells.to_vec()));
    }
    table::print(
        "A call",
        "contender",
        &["instructions", "allocations"],
        rows.into_iter(),
    )
}
