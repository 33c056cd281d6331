//! How the cost of an event grows with what surrounds it.
//!
//! ```text
//! cargo bench -p benches --bench growth -- --instructions     under callgrind
//! cargo bench -p benches --bench growth                       nanoseconds, in interleaved rounds
//! cargo bench -p benches --bench growth -- --axis depth --instructions
//! cargo bench -p benches --bench growth -- --contender spanwise-prod --axis depth --at 16 --iterations 1000000    one contender, for a profiler
//! ```
//!
//! An *axis* is a quantity that grows, such as the number of spans around an event. Its *points*
//! are the measured values. The figures are per event. If an axis counts what surrounds an event,
//! such as its spans or the callsites of the process, the cost should be the same at all points. If
//! an axis counts what is in the event, the cost should be linear.
//!
//! Times are the processor times of the threads that log. They are measured only where instructions
//! do not show the cost: of cache misses, and of threads that slow each other down.

mod axis;
mod site;

use std::{
    collections::BTreeMap,
    error::Error,
    io::{self, Write as _},
    thread,
};

use tracing::dispatcher;

use crate::{
    Contender, child, figures, instructions,
    options::{Selection, number},
    rounds::{median, rotated},
    table,
};
use axis::Axis;

static CONTENDERS: [Contender; 4] = [
    Contender::SpanwiseProd,
    Contender::Spanwise,
    Contender::FmtJson,
    Contender::Microjson,
];

const ROUNDS: usize = 7;
/// The target time of a measured run, in nanoseconds.
const RUN_NANOS: f64 = 60e6;

/// Runs the bench as the arguments of the process request.
///
/// # Errors
///
/// If an argument is unknown, or a child process could not be started or failed.
pub fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let (mut rounds, mut by_instructions, mut iterations) = (None, false, None);
    let mut contenders = Selection::from_all(&CONTENDERS, Contender::name);
    let mut axes = Selection::from_all(&Axis::ALL, Axis::name);
    let mut at = None;
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--bench" => rounds = rounds.or(Some(ROUNDS)),
            "--instructions" => by_instructions = true,
            "--rounds" => rounds = Some(number(&argument, &value()?)?),
            "--iterations" => iterations = Some(number::<u64>(&argument, &value()?)?),
            "--at" => at = Some(number::<u64>(&argument, &value()?)?),
            "--contender" => contenders.add(&value()?)?,
            "--axis" => axes.add(&value()?)?,
            _ => return Err(format!("{argument} is unknown").into()),
        }
    }
    match (iterations, contenders.get(), axes.get(), at) {
        (Some(count), &[contender], &[axis], Some(at)) => measure(contender, axis, at, count),
        (Some(_), ..) => Err("--iterations needs a --contender, an --axis and --at".into()),
        (None, contenders, axes, _) if by_instructions => count_instructions(contenders, axes),
        (None, contenders, axes, _) => match rounds {
            Some(rounds) => compare(contenders, axes, rounds),
            // `cargo test` also runs benches, only to check that they start.
            None => Ok(()),
        },
    }
}

/// Prints the cost of a unit. Runs in a child process.
fn measure(
    contender: Contender,
    axis: Axis,
    at: u64,
    iterations: u64,
) -> Result<(), Box<dyn Error>> {
    if let Some(dispatch) = axis.dispatch(contender, at) {
        dispatcher::set_global_default(dispatch)?;
    }
    let warm_up = axis.runs(at).warm_up;
    let run = || {
        let mut unit = axis.prepare(at);
        (0..warm_up).for_each(&mut unit);
        let (time, allocations) = child::watched(|| (0..iterations).for_each(&mut unit));
        (time.as_nanos() as f64, allocations as f64)
    };
    let threads = if axis.is_threaded() { at } else { 1 };
    // The first thread is this one, so that a run that counts instructions has no other.
    let (nanos, allocations) = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let (mut nanos, mut allocations) = run();
        for other in others {
            let other = other.join().map_err(|_| "a thread has panicked")?;
            nanos += other.0;
            allocations += other.1;
        }
        Ok::<_, Box<dyn Error>>((nanos, allocations))
    })?;
    let units = (iterations.max(1) * threads) as f64;
    writeln!(io::stdout(), "{} {}", nanos / units, allocations / units)?;
    Ok(())
}

fn arguments(contender: Contender, axis: Axis, at: u64, iterations: u64) -> [String; 8] {
    [
        "--contender",
        contender.name(),
        "--axis",
        axis.name(),
        "--at",
        &at.to_string(),
        "--iterations",
        &iterations.to_string(),
    ]
    .map(str::to_owned)
}

type Key = (Axis, Contender, u64);

/// Returns the measurements of an axis: each contender at each point.
fn keys(contenders: &[Contender], axis: Axis) -> impl Iterator<Item = Key> {
    let contenders = contenders.iter().filter(move |one| axis.takes(**one));
    contenders.flat_map(move |contender| {
        let points = axis.points().iter();
        points.map(move |at| (axis, *contender, *at))
    })
}

fn count_instructions(contenders: &[Contender], axes: &[Axis]) -> Result<(), Box<dyn Error>> {
    for &axis in axes.iter().filter(|axis| !axis.is_threaded()) {
        let mut costs = BTreeMap::new();
        for key in keys(contenders, axis) {
            let (_, contender, at) = key;
            let runs = axis.runs(at);
            let arguments = |units| arguments(contender, axis, at, units);
            let cost = instructions::per_unit(runs.short, runs.long, arguments)?;
            costs.insert(key, cost);
        }
        record("instructions", &costs)?;
        print("Instructions per event", axis, contenders, &costs)?;
    }
    Ok(())
}

fn compare(contenders: &[Contender], axes: &[Axis], rounds: usize) -> Result<(), Box<dyn Error>> {
    let axes = axes.iter().copied().filter(|axis| axis.is_timed());
    let keys: Vec<Key> = axes
        .clone()
        .flat_map(|axis| keys(contenders, axis))
        .collect();
    let mut iterations = BTreeMap::new();
    for &key in &keys {
        let (axis, contender, at) = key;
        let trial = axis.runs(at).long;
        let [nanos, _] = child::numbers(&arguments(contender, axis, at, trial))?;
        iterations.insert(key, ((RUN_NANOS / nanos.max(0.1)) as u64).max(trial));
    }
    let mut nanos = BTreeMap::<Key, Vec<f64>>::new();
    let mut growth = BTreeMap::<Key, Vec<f64>>::new();
    for round in 0..rounds {
        let mut costs = BTreeMap::new();
        for key in rotated(&keys, round) {
            let (axis, contender, at) = key;
            let count = iterations.get(&key).copied().unwrap_or(1);
            let [cost, _] = child::numbers(&arguments(contender, axis, at, count))?;
            costs.insert(key, cost);
        }
        for (key, cost) in &costs {
            let (axis, contender, _) = *key;
            nanos.entry(*key).or_default().push(*cost);
            // Compares with the first point in the same round, so that a slow minute of the machine
            // affects both.
            if let Some(first) = costs.get(&(axis, contender, axis.points()[0])) {
                growth.entry(*key).or_default().push(cost / first);
            }
        }
    }
    let [nanos, growth] = [nanos, growth].map(|samples| -> BTreeMap<_, _> {
        let samples = samples.into_iter();
        samples.map(|(key, values)| (key, median(values))).collect()
    });
    record("time", &growth)?;
    for axis in axes {
        let title = format!("Nanoseconds per event, medians of {rounds} rounds");
        print(&title, axis, contenders, &nanos)?;
        let title = "The same, divided by the first column in the same round";
        print(title, axis, contenders, &growth)?;
    }
    Ok(())
}

fn record(measure: &str, costs: &BTreeMap<Key, f64>) -> Result<(), Box<dyn Error>> {
    figures::record(costs.iter().map(|((axis, contender, at), cost)| {
        let (axis, contender) = (axis.name(), contender.name());
        (format!("growth/{measure}-{axis}/{contender}/{at}"), *cost)
    }))
}

fn print(
    title: &str,
    axis: Axis,
    contenders: &[Contender],
    costs: &BTreeMap<Key, f64>,
) -> Result<(), Box<dyn Error>> {
    let columns: Vec<_> = axis.points().iter().map(u64::to_string).collect();
    let columns: Vec<_> = columns.iter().map(String::as_str).collect();
    let rows = contenders.iter().filter(|one| axis.takes(**one));
    let rows = rows.map(|contender| {
        let cell = |at: &u64| {
            let cost = costs.get(&(axis, *contender, *at))?;
            Some(table::number(*cost))
        };
        (contender.name(), axis.points().iter().map(cell).collect())
    });
    let title = format!("{}: {title}", axis.name());
    table::print(&title, "contender", &columns, rows)
}
