//! The cost of a sampler in front of a layer.
//!
//! ```text
//! cargo bench -p benches --bench sampling                     half a minute
//! cargo bench -p benches --bench sampling -- --instructions  under callgrind
//! cargo bench -p benches --bench sampling -- --rounds 300
//! cargo bench -p benches --bench sampling -- --contender ratio-kept --sink json --workload flat --iterations 1000000     one contender, for a profiler
//! ```
//!
//! In front of `JsonLayer` a kept event costs more and a dropped one costs less. The line of a kept
//! event that represents dropped events is longer by its `sample_rate`. In front of a layer that
//! does nothing, the cost is that of the sampler alone. The event of `nested` is inside three
//! spans. One has a `request_id`, which decides about a ratio.

use std::{
    collections::BTreeMap,
    error::Error,
    io::{self, Write as _},
};

use spanwise_core::ContextLayer;
use spanwise_json::JsonLayer;
use spanwise_sample::{EventMatcher, First, Limit, Rate, SampleExt, Sampler};
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::{Layer, Registry, layer::Layered, prelude::*};

use crate::{
    Workload,
    child::{self, Cost},
    data::Data,
    figures, instructions,
    options::{named, number},
    rounds::{median, rotated},
    table,
    writers::NullWriter,
};

/// The wrapper around the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Contender {
    Nothing,
    /// A sampler whose rules are about other events.
    Exempt,
    /// A ratio near 1, which keeps most events.
    RatioKept,
    /// A ratio near 0, which drops most events.
    RatioDropped,
    /// A rate that no event exceeds.
    RateKept,
    /// A rate of 0, which suppresses all events.
    RateSuppressed,
    /// The first events, without an effective limit.
    FirstKept,
    /// A rate for each value of a field, which no event exceeds.
    ValueKept,
}

impl Contender {
    const ALL: [Self; 8] = [
        Self::Nothing,
        Self::Exempt,
        Self::RatioKept,
        Self::RatioDropped,
        Self::RateKept,
        Self::RateSuppressed,
        Self::FirstKept,
        Self::ValueKept,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "unsampled",
            Self::Exempt => "exempt",
            Self::RatioKept => "ratio-kept",
            Self::RatioDropped => "ratio-left-out",
            Self::RateKept => "rate-kept",
            Self::RateSuppressed => "rate-held-back",
            Self::FirstKept => "first-kept",
            Self::ValueKept => "value-kept",
        }
    }

    fn sampler(self) -> Option<Result<Sampler, Box<dyn Error>>> {
        let few = 1e-3;
        let limit: Result<Limit, _> = match self {
            Self::Nothing => return None,
            Self::Exempt => return Some("debug=0.5,sqlx=5/s".parse().map_err(Into::into)),
            Self::RatioKept => Limit::ratio(1.0 - few),
            Self::RatioDropped => Limit::ratio(few),
            Self::RateKept => Ok(Rate::per_second(u32::MAX).into()),
            Self::RateSuppressed => Ok(Rate::per_second(0).into()),
            Self::FirstKept => Ok(First::new(u32::MAX).into()),
            Self::ValueKept => Ok(Rate::per_second(u32::MAX).per_value_of("customer").into()),
        };
        let sampler =
            limit.map(|limit| Sampler::builder().rule(EventMatcher::any(), limit).build());
        Some(sampler.map_err(Into::into))
    }
}

/// The layer behind the sampler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sink {
    Json,
    Nothing,
}

impl Sink {
    const ALL: [Self; 2] = [Self::Json, Self::Nothing];

    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Nothing => "nothing",
        }
    }

    fn dispatch(self, sampler: Option<Sampler>) -> Dispatch {
        match self {
            Self::Json => stack(JsonLayer::new().with_writer(NullWriter), sampler),
            Self::Nothing => stack(DoesNothing, sampler),
        }
    }
}

type Base = Layered<ContextLayer, Registry>;

fn stack(layer: impl Layer<Base> + Send + Sync, sampler: Option<Sampler>) -> Dispatch {
    let base = tracing_subscriber::registry().with(ContextLayer::default());
    match sampler {
        Some(sampler) => base.with(layer.sampled(sampler)).into(),
        None => base.with(layer).into(),
    }
}

struct DoesNothing;

impl<S: tracing::Subscriber> Layer<S> for DoesNothing {}

const WORKLOADS: [Workload; 2] = [Workload::Flat, Workload::Nested];

/// How often each case is measured.
const ROUNDS: usize = 100;
/// Few, so that all runs of a round are close in time, and the load of the machine is similar.
const ITERATIONS: u64 = 20_000;

/// Runs the bench as the arguments of the process request.
///
/// # Errors
///
/// If an argument is unknown, or a child process could not be started or failed.
pub fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let (mut rounds, mut iterations, mut by_instructions) = (0, 0, false);
    let (mut contender, mut sink, mut workload) = (Contender::Nothing, Sink::Json, Workload::Flat);
    while let Some(argument) = arguments.next() {
        if argument == "--bench" {
            rounds = rounds.max(ROUNDS);
            continue;
        }
        if argument == "--instructions" {
            by_instructions = true;
            continue;
        }
        let value = arguments
            .next()
            .ok_or_else(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--rounds" => rounds = number(&argument, &value)?,
            "--iterations" => iterations = number(&argument, &value)?,
            "--contender" => contender = named(&value, &Contender::ALL, Contender::name)?,
            "--sink" => sink = named(&value, &Sink::ALL, Sink::name)?,
            "--workload" => workload = named(&value, &WORKLOADS, Workload::name)?,
            _ => return Err(format!("{argument} is unknown").into()),
        }
    }
    match (iterations, rounds) {
        (0, _) if by_instructions => count_instructions(),
        // `cargo test` also runs benches, only to check that they start.
        (0, 0) => Ok(()),
        (0, rounds) => compare(rounds),
        (iterations, _) => measure(contender, sink, workload, iterations),
    }
}

/// Prints the cost of one event. Runs in a child process.
fn measure(
    contender: Contender,
    sink: Sink,
    workload: Workload,
    iterations: u64,
) -> Result<(), Box<dyn Error>> {
    let sampler = contender.sampler().transpose()?;
    dispatcher::set_global_default(sink.dispatch(sampler))?;
    let data = Data::new();
    let _spans = workload.enter_spans(&data);
    workload.repeat(&data, workload.runs().warm_up);
    let (time, allocations) = child::watched(|| workload.repeat(&data, iterations));
    let per_event = |total: f64| total / iterations as f64;
    writeln!(
        io::stdout(),
        "{} {}",
        per_event(time.as_nanos() as f64),
        per_event(allocations as f64)
    )?;
    Ok(())
}

type Case = (Contender, Sink, Workload);

fn arguments((contender, sink, workload): Case, iterations: u64) -> [String; 8] {
    [
        "--contender",
        contender.name(),
        "--sink",
        sink.name(),
        "--workload",
        workload.name(),
        "--iterations",
        &iterations.to_string(),
    ]
    .map(str::to_owned)
}

fn count_instructions() -> Result<(), Box<dyn Error>> {
    let mut samples = BTreeMap::<Case, Vec<Cost>>::new();
    for contender in Contender::ALL {
        for sink in Sink::ALL {
            for workload in WORKLOADS {
                let case = (contender, sink, workload);
                let per_unit = instructions::per_unit(500, 2_500, |units| arguments(case, units))?;
                let cost = Cost {
                    nanos: per_unit,
                    allocations: 0.0,
                };
                samples.insert(case, vec![cost]);
            }
        }
    }
    record("instructions", &samples, |cost, _| cost.nanos)?;
    print("Instructions per event", &samples, |cost, _| cost.nanos)
}

fn record(
    measure: &str,
    samples: &BTreeMap<Case, Vec<Cost>>,
    value: fn(&Cost, unsampled: &Cost) -> f64,
) -> Result<(), Box<dyn Error>> {
    let figures = samples.iter().filter_map(|(case, costs)| {
        let (contender, sink, workload) = *case;
        let unsampled = samples.get(&(Contender::Nothing, sink, workload))?;
        let values = costs.iter().zip(unsampled);
        let values = values.map(|(cost, unsampled)| value(cost, unsampled));
        let id = format!(
            "sampling/{measure}/{}/{}-{}",
            contender.name(),
            sink.name(),
            workload.name()
        );
        Some((id, median(values.collect())))
    });
    figures::record(figures)
}

fn compare(rounds: usize) -> Result<(), Box<dyn Error>> {
    let mut samples = BTreeMap::<Case, Vec<Cost>>::new();
    for round in 0..rounds {
        for sink in Sink::ALL {
            for workload in WORKLOADS {
                for contender in rotated(&Contender::ALL, round) {
                    let case = (contender, sink, workload);
                    let [nanos, allocations] = child::numbers(&arguments(case, ITERATIONS))?;
                    let samples = samples.entry(case).or_default();
                    samples.push(Cost { nanos, allocations });
                }
            }
        }
    }
    record("more-ns", &samples, |cost, unsampled| {
        cost.nanos - unsampled.nanos
    })?;
    record("times-cheaper", &samples, |cost, unsampled| {
        unsampled.nanos / cost.nanos
    })?;
    let cost = |cost: &Cost, _: &Cost| cost.nanos;
    print("Nanoseconds per event, medians", &samples, cost)?;
    let more = |cost: &Cost, unsampled: &Cost| cost.nanos - unsampled.nanos;
    print(
        "Nanoseconds more than unsampled, in the same round",
        &samples,
        more,
    )?;
    let cheaper = |cost: &Cost, unsampled: &Cost| unsampled.nanos / cost.nanos;
    print(
        "How many times cheaper than unsampled, in the same round",
        &samples,
        cheaper,
    )?;
    print("Allocations per event", &samples, |cost, _| {
        cost.allocations
    })
}

fn print(
    title: &str,
    samples: &BTreeMap<Case, Vec<Cost>>,
    value: fn(&Cost, unsampled: &Cost) -> f64,
) -> Result<(), Box<dyn Error>> {
    let cases = Sink::ALL.map(|sink| WORKLOADS.map(|workload| (sink, workload)));
    let columns: Vec<_> = cases.iter().flatten().collect();
    let names: Vec<_> = columns
        .iter()
        .map(|(sink, workload)| format!("{} {}", sink.name(), workload.name()))
        .collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let rows = Contender::ALL.into_iter().map(|contender| {
        let cells = columns.iter().map(|(sink, workload)| {
            let costs = samples.get(&(contender, *sink, *workload))?;
            let unsampled = samples.get(&(Contender::Nothing, *sink, *workload))?;
            let values = costs.iter().zip(unsampled);
            let values = values.map(|(cost, unsampled)| value(cost, unsampled));
            Some(table::number(median(values.collect())))
        });
        (contender.name(), cells.collect())
    });
    table::print(title, "case", &names, rows)
}
