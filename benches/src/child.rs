//! The measurement of one contender and one workload, in a child process.

use std::{
    error::Error,
    io::{self, Write as _},
    process::Command,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tracing::dispatcher;

use crate::{
    Contender, Workload, allocations,
    limit::Limit,
    options::Options,
    writers::{Captured, NullWriter},
};

/// The cost of one unit, as a child prints it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) nanos: f64,
    pub(crate) allocations: f64,
}

/// Runs this many iterations of a unit after the warm-up, and prints the cost of one unit.
pub(crate) fn measure(options: &Options, iterations: u64) -> Result<(), Box<dyn Error>> {
    let (&[contender], &[workload]) = (options.contenders(), options.workloads()) else {
        return Err("--iterations needs one --contender and one --workload".into());
    };
    let data = workload.data();
    let warm_up = workload.runs().warm_up;
    let (time, allocations) = match contender.dispatch(NullWriter) {
        Some(dispatch) => {
            dispatcher::set_global_default(dispatch)?;
            let _spans = workload.enter_spans(&data);
            workload.repeat(&data, warm_up);
            watched(|| workload.repeat(&data, iterations))
        }
        None => {
            let mut limit = Limit::new(NullWriter, workload, &data);
            limit.take_turns(workload, &data, 0..warm_up)?;
            let mut result = Ok(());
            let (time, allocations) =
                watched(|| result = limit.take_turns(workload, &data, 0..iterations));
            result?;
            (time, allocations)
        }
    };
    let per_unit = |total: f64| total / iterations.max(1) as f64;
    writeln!(
        io::stdout(),
        "{} {}",
        per_unit(time.as_nanos() as f64),
        per_unit(allocations as f64)
    )?;
    Ok(())
}

/// Returns the processor time that this thread spends in `work`, and the number of its allocations
/// in the meantime.
pub(crate) fn watched(work: impl FnOnce()) -> (Duration, u64) {
    let before = allocations::count();
    let start = thread_time();
    work();
    let time = thread_time().saturating_sub(start);
    (time, allocations::count() - before)
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Returns the arguments that make a child run this many units.
pub(crate) fn arguments(contender: Contender, workload: Workload, iterations: u64) -> [String; 6] {
    [
        "--contender".to_owned(),
        contender.name().to_owned(),
        "--workload".to_owned(),
        workload.name().to_owned(),
        "--iterations".to_owned(),
        iterations.to_string(),
    ]
}

/// Runs a child and reads what it printed.
pub(crate) fn run(
    contender: Contender,
    workload: Workload,
    iterations: u64,
) -> Result<Cost, Box<dyn Error>> {
    let [nanos, allocations] = numbers(&arguments(contender, workload, iterations))?;
    Ok(Cost { nanos, allocations })
}

/// Runs this program with these arguments and reads the numbers that it prints.
pub(crate) fn numbers<const COUNT: usize>(
    arguments: &[String],
) -> Result<[f64; COUNT], Box<dyn Error>> {
    let output = Command::new(std::env::current_exe()?)
        .args(arguments)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
    match numbers.map(<[f64; COUNT]>::try_from) {
        Ok(Ok(numbers)) if output.status.success() => Ok(numbers),
        _ => Err(format!(
            "{}: {text}{}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        )
        .into()),
    }
}

/// Returns the lines of one unit.
///
/// # Panics
///
/// If the hand-written contender fails to write to memory.
#[must_use]
pub fn show(contender: Contender, workload: Workload) -> String {
    let data = workload.data();
    let captured = Captured::default();
    match contender.dispatch(captured.clone()) {
        Some(dispatch) => dispatcher::with_default(&dispatch, || {
            let _spans = workload.enter_spans(&data);
            workload.repeat(&data, 1);
        }),
        None => {
            let written = {
                let mut limit = Limit::new(captured.clone(), workload, &data);
                limit.take_turns(workload, &data, 0..1)
            };
            assert!(written.is_ok(), "memory takes every line");
        }
    }
    captured.text()
}

/// Prints the lines of every contender.
pub(crate) fn show_all(options: &Options) -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout();
    for workload in options.workloads() {
        writeln!(out, "## {}\n", workload.name())?;
        for contender in options.contenders() {
            let lines = show(*contender, *workload);
            writeln!(out, "{}\n{lines}", contender.name())?;
        }
    }
    Ok(())
}
