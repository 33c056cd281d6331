//! The cost of the flight recorder, compared with a layer that writes the same lines at once. The
//! writer of both does nothing.
//!
//! ```text
//! cargo bench -p benches --bench recorder                       nanoseconds and allocations, in interleaved rounds
//! cargo bench -p benches --bench recorder -- --instructions     instructions under callgrind
//! cargo bench -p benches --bench recorder -- --contender recorder --workload kept --iterations 1000000    one contender, for a profiler
//! ```
//!
//! A unit of work is a span of three fields with twenty events. Figures are per event, and include
//! a twentieth of the cost of the span. The events of `disabled` are in no span. The figures of
//! `unit` are per span, without events.

use std::{collections::BTreeMap, error::Error, io, io::Write as _, sync::Arc};

use spanwise_core::{LevelLayer, Levels};
use spanwise_json::JsonLayer;
use spanwise_recorder::Recorder;
use spanwise_redact::Policy;
use tracing::{
    Dispatch, debug, dispatcher, error, info, info_span, level_filters::LevelFilter, trace,
};
use tracing_subscriber::{prelude::*, registry};

use crate::{
    child,
    data::Data,
    figures, instructions,
    options::{named, number},
    rounds::{median, rotated},
    table,
    writers::NullWriter,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Contender {
    /// No recorder: every line is written.
    Written,
    /// With a recorder. Its sink shows INFO.
    Recorder,
    /// [`Written`](Self::Written), with the default policy.
    WrittenRedacted,
    /// [`Recorder`](Self::Recorder), with the default policy.
    RecorderRedacted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Workload {
    /// Events at DEBUG. The recorder buffers and then drops them.
    Kept,
    /// Events at INFO. Both contenders write them at once.
    Shown,
    /// Events at DEBUG, and the last at ERROR, so that the recorder writes the buffered lines.
    Failed,
    /// Events at TRACE, which no layer enables.
    Disabled,
    /// No events.
    Unit,
}

const CONTENDERS: [Contender; 4] = [
    Contender::Written,
    Contender::Recorder,
    Contender::WrittenRedacted,
    Contender::RecorderRedacted,
];
const WORKLOADS: [Workload; 5] = [
    Workload::Kept,
    Workload::Shown,
    Workload::Failed,
    Workload::Disabled,
    Workload::Unit,
];

const EVENTS: u64 = 20;
const ROUNDS: usize = 15;
const WARM_UP: u64 = 200;
/// The target time of a measured run, in nanoseconds.
const RUN_NANOS: f64 = 60e6;

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Recorder => "recorder",
            Self::WrittenRedacted => "written-redacted",
            Self::RecorderRedacted => "recorder-redacted",
        }
    }

    fn dispatch(self) -> Dispatch {
        let levels = |level: LevelFilter| LevelLayer::new(Levels::from(level));
        let json = || match self {
            Self::Written | Self::Recorder => JsonLayer::new(),
            Self::WrittenRedacted | Self::RecorderRedacted => {
                JsonLayer::new().redact(Arc::new(Policy::secrets_and_pii()))
            }
        };
        match self {
            Self::Written | Self::WrittenRedacted => registry()
                .with(json().with_writer(NullWriter))
                .with(levels(LevelFilter::DEBUG))
                .into(),
            Self::Recorder | Self::RecorderRedacted => {
                let recorder = Recorder::default();
                let levels = levels(LevelFilter::INFO).capture(recorder.levels());
                let json = recorder.sink(NullWriter, levels.handle(), |writer| {
                    json().with_writer(writer)
                });
                registry().with(json).with(levels).into()
            }
        }
    }
}

impl Workload {
    fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Shown => "shown",
            Self::Failed => "failed",
            Self::Disabled => "disabled",
            Self::Unit => "unit",
        }
    }

    fn units(self, data: &Data, units: u64) {
        for _ in 0..units {
            let _request = (self != Self::Disabled).then(|| info_span!("request", route = data.route, port = data.port, request_id = %data.request_id).entered());
            for event in 0..self.events() {
                self.event(data, event);
            }
        }
    }

    fn events(self) -> u64 {
        if self == Self::Unit { 0 } else { EVENTS }
    }

    /// Returns the number by which the cost of a unit is divided.
    fn parts(self) -> u64 {
        self.events().max(1)
    }

    fn event(self, data: &Data, event: u64) {
        macro_rules! log {
            ($level:ident) => {
                $level!(
                    order_number = data.order_number,
                    amount = data.amount,
                    express = data.express,
                    customer = data.customer(event),
                    "order placed"
                )
            };
        }
        match self {
            Self::Failed if event == EVENTS - 1 => log!(error),
            Self::Kept | Self::Failed => log!(debug),
            Self::Shown => log!(info),
            Self::Disabled | Self::Unit => log!(trace),
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
            "--iterations" => iterations = Some(number::<u64>(&argument, &value()?)?),
            "--contender" => contender = Some(named(&value()?, &CONTENDERS, Contender::name)?),
            "--workload" => workload = Some(named(&value()?, &WORKLOADS, Workload::name)?),
            _ => return Err(format!("{argument} is unknown").into()),
        }
    }
    match (iterations, contender, workload) {
        (Some(units), Some(contender), Some(workload)) => measure(contender, workload, units),
        (Some(_), ..) => Err("--iterations needs a --contender and a --workload".into()),
        (None, ..) if instructions => by_instructions(),
        (None, ..) if is_bench => by_rounds(),
        // `cargo test` also runs benches, only to check that they start.
        (None, ..) => Ok(()),
    }
}

fn measure(contender: Contender, workload: Workload, units: u64) -> Result<(), Box<dyn Error>> {
    let data = Data::new();
    dispatcher::set_global_default(contender.dispatch())?;
    workload.units(&data, WARM_UP);
    let (time, allocations) = child::watched(|| workload.units(&data, units));
    let events = (units * workload.parts()).max(1) as f64;
    let per_event = |total: f64| total / events;
    writeln!(
        io::stdout(),
        "{} {}",
        per_event(time.as_nanos() as f64),
        per_event(allocations as f64)
    )?;
    Ok(())
}

fn arguments(contender: Contender, workload: Workload, units: u64) -> [String; 6] {
    [
        "--contender".to_owned(),
        contender.name().to_owned(),
        "--workload".to_owned(),
        workload.name().to_owned(),
        "--iterations".to_owned(),
        units.to_string(),
    ]
}

type Results = BTreeMap<(Contender, Workload), f64>;

fn by_rounds() -> Result<(), Box<dyn Error>> {
    let mut samples = BTreeMap::<_, [Vec<f64>; 2]>::new();
    for round in 0..ROUNDS {
        for workload in WORKLOADS {
            for contender in rotated(&CONTENDERS, round) {
                let [trial, _] = child::numbers(&arguments(contender, workload, 100))?;
                let units = (RUN_NANOS / (trial * workload.parts() as f64).max(0.1)) as u64;
                let numbers = child::numbers::<2>(&arguments(contender, workload, units))?;
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
    print(
        &format!("Nanoseconds per event, medians of {ROUNDS} rounds"),
        &of(0),
    )?;
    print_numbers("Allocations per event", &of(1))
}

fn by_instructions() -> Result<(), Box<dyn Error>> {
    const SHORT_RUN: u64 = 50;
    const LONG_RUN: u64 = 250;
    let mut results = Results::new();
    for contender in CONTENDERS {
        for workload in WORKLOADS {
            let arguments = |units| arguments(contender, workload, units);
            let per_unit = instructions::per_unit(SHORT_RUN, LONG_RUN, arguments)?;
            results.insert((contender, workload), per_unit / workload.parts() as f64);
        }
    }
    figures::record(results.iter().map(|((contender, workload), value)| {
        let (contender, workload) = (contender.name(), workload.name());
        (
            format!("recorder/instructions/{contender}/{workload}"),
            *value,
        )
    }))?;
    print("Instructions per event", &results)
}

fn print(title: &str, results: &Results) -> Result<(), Box<dyn Error>> {
    print_numbers(title, results)?;
    let pairs = [
        (
            "recorder / written",
            Contender::Recorder,
            Contender::Written,
        ),
        (
            "both with the policy",
            Contender::RecorderRedacted,
            Contender::WrittenRedacted,
        ),
    ];
    let rows = pairs.map(|(name, recorder, written)| {
        let ratio = |workload| {
            let cost = |contender| results.get(&(contender, workload));
            Some(format!("{:.2}×", cost(recorder)? / cost(written)?))
        };
        (name, WORKLOADS.map(ratio).to_vec())
    });
    table::print(
        "Ratio",
        "contender",
        &WORKLOADS.map(Workload::name),
        rows.into_iter(),
    )
}

fn print_numbers(title: &str, results: &Results) -> Result<(), Box<dyn Error>> {
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
