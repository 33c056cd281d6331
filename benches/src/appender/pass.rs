//! One run: a contender, a workload and a kind of measurement, in a child process.

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    path::Path,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

use super::{
    Contender, Workload,
    contender::{Install, Opened, Setup, Unit},
    lines::{self, Found},
    options::Options,
    workload::{BURST_INTERVAL, BURST_LEN},
};
use crate::allocations;

/// A kind of measurement, with the columns that it prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pass {
    /// Lines per second, nanoseconds of processor time per line, peak of the resident memory in
    /// MiB.
    Speed,
    /// The waits of the callers in nanoseconds: p50, p99, p99.9 and the maximum.
    Latency,
    /// Allocations per line.
    Allocations,
}

impl Pass {
    pub(crate) const ALL: [Self; 3] = [Self::Speed, Self::Latency, Self::Allocations];

    /// Returns the name in `--pass`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Speed => "speed",
            Self::Latency => "latency",
            Self::Allocations => "allocations",
        }
    }
}

/// The lines of a run, and whether calls are timed.
#[derive(Debug, Clone, Copy)]
struct Plan {
    workload: Workload,
    /// Units of each producer before the measurement.
    warm_up: u64,
    /// Measured units of each producer.
    units: u64,
    /// Whether the duration of each call is stored.
    timed: bool,
}

/// The result of a run.
#[derive(Debug)]
struct Seen {
    /// From the first call until the guard was dropped.
    time: Duration,
    /// The processor time of all threads in that period.
    processor_time: Duration,
    /// The durations of all calls in nanoseconds, the shortest first.
    waits: Vec<u64>,
    allocations: u64,
}

/// How long [`check`] waits for the compression of rolled files, which may outlast the guard.
const COMPRESSION_TIMEOUT: Duration = Duration::from_secs(60);

/// The pause between the warm-up and the measured lines of a paced workload, in which the writer
/// writes all lines of the warm-up.
const PAUSE: Duration = Duration::from_millis(500);

/// Does one run and prints the result.
pub(crate) fn measure(options: &Options, pass: Pass) -> Result<(), Box<dyn Error>> {
    let (&[contender], &[workload]) = (options.contenders(), options.workloads()) else {
        return Err("--pass needs one --contender and one --workload".into());
    };
    let &[producers] = options.producers(workload) else {
        return Err("--pass needs --producers".into());
    };
    if !contender.takes_part_in(workload) {
        let (contender, workload) = (contender.name(), workload.name());
        return Err(format!("{contender} does not take part in {workload}").into());
    }
    let each = options.lines(workload) / workload.lines_per_unit() / producers;
    let mut plan = Plan {
        workload,
        warm_up: 0,
        units: each,
        timed: pass == Pass::Latency,
    };
    match pass {
        Pass::Speed => {}
        _ if workload.is_paced() => {
            // 97 % of a file. A line has about 300 bytes. Two paced producers write the rest of a
            // file of 100 MB in a quarter of a second.
            plan.warm_up = options.rotate_at / (300 * producers) * 97 / 100;
        }
        Pass::Latency => plan.warm_up = each / 10,
        Pass::Allocations => {
            plan.warm_up = each / 5;
            plan.units = each - plan.warm_up;
        }
    }
    if pass == Pass::Allocations {
        allocations::watch();
    }

    let directory = tempfile::tempdir()?;
    let setup = Setup {
        workload,
        producers,
        directory: directory.path(),
        rotate_at: options.rotate_at,
        install: Install::Globally,
    };
    let seen = run(contender.open(setup)?, plan)?;
    let peak = peak_resident()?;
    let lines = (producers * plan.units * workload.lines_per_unit()).max(1) as f64;
    check(setup, plan)?;

    let mut out = io::stdout();
    match pass {
        Pass::Speed => writeln!(
            out,
            "{} {} {peak}",
            lines / seen.time.as_secs_f64(),
            seen.processor_time.as_nanos() as f64 / lines,
        )?,
        Pass::Latency => {
            let [half, hundredth, thousandth, longest] = percentiles(&seen.waits);
            writeln!(out, "{half} {hundredth} {thousandth} {longest}")?;
        }
        Pass::Allocations => writeln!(out, "{}", seen.allocations as f64 / lines)?,
    }
    Ok(())
}

/// Writes lines, and checks that all are in the files.
///
/// # Errors
///
/// If a line is missing or torn, or the contender could not be opened.
pub fn deliver(
    contender: Contender,
    workload: Workload,
    producers: u64,
    lines: u64,
) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let setup = Setup {
        workload,
        producers,
        directory: directory.path(),
        rotate_at: lines * 100, // a third of all bytes
        install: Install::ForEachUnit,
    };
    let plan = Plan {
        workload,
        warm_up: 0,
        units: lines / producers / workload.lines_per_unit(),
        timed: true,
    };
    run(contender.open(setup)?, plan)?;
    check(setup, plan)
}

fn run(opened: Opened, plan: Plan) -> io::Result<Seen> {
    let Opened { units, guard } = opened;
    // Producers pass it three times: when all are ready, after the warm-up, and to begin the
    // measurement.
    let gate = Barrier::new(units.len() + 1);
    let (time_before, allocations_before, produced) = thread::scope(|scope| {
        let producers: Vec<_> = units
            .into_iter()
            .map(|unit| scope.spawn(|| produce(unit, plan, &gate)))
            .collect();
        gate.wait();
        gate.wait();
        if plan.workload.is_paced() && plan.warm_up > 0 {
            thread::sleep(PAUSE);
        }
        let before = (process_time(), allocations::count_of_all());
        gate.wait();
        let produced: Vec<_> = producers
            .into_iter()
            .map(|producer| producer.join())
            .collect();
        (before.0, before.1, produced)
    });
    drop(guard);
    let (end, processor_time, allocations) =
        (Instant::now(), process_time(), allocations::count_of_all());

    let mut begin = end;
    let mut waits = Vec::new();
    for produced in produced {
        let produced = produced.map_err(|_| io::Error::other("a producer panicked"))?;
        let (its_begin, its_waits) = produced?;
        begin = begin.min(its_begin);
        waits.extend(its_waits);
    }
    waits.sort_unstable();
    Ok(Seen {
        time: end - begin,
        processor_time: processor_time.saturating_sub(time_before),
        waits,
        allocations: allocations - allocations_before,
    })
}

/// Runs a producer. Returns the time of its first measured call, and the durations of all measured
/// calls.
fn produce(mut unit: Unit, plan: Plan, gate: &Barrier) -> io::Result<(Instant, Vec<u64>)> {
    // Fills the vector, so that no measured call includes page faults of this memory.
    let mut waits = vec![u64::MAX; if plan.timed { plan.units as usize } else { 0 }];
    gate.wait();
    let warm_up = (0..plan.warm_up).try_for_each(|_| unit());
    gate.wait();
    gate.wait();
    warm_up?;
    let begin = Instant::now();
    if !plan.timed && !plan.workload.is_paced() {
        (0..plan.units).try_for_each(|_| unit())?;
        return Ok((begin, waits));
    }
    let mut next_burst = begin;
    for number in 0..plan.units {
        if plan.workload.is_paced() && number % BURST_LEN == 0 {
            // A late producer does not wait, and does not skip a burst.
            thread::sleep(next_burst.saturating_duration_since(Instant::now()));
            next_burst += BURST_INTERVAL;
        }
        let before = Instant::now();
        unit()?;
        let wait = before.elapsed();
        if let Some(stored) = waits.get_mut(number as usize) {
            *stored = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        }
    }
    Ok((begin, waits))
}

/// Fails if the files do not contain exactly the lines that were written.
fn check(setup: Setup<'_>, plan: Plan) -> Result<(), Box<dyn Error>> {
    let each = (plan.warm_up + plan.units) * setup.workload.lines_per_unit();
    let expected = setup.producers * each;
    let deadline = Instant::now() + COMPRESSION_TIMEOUT;
    loop {
        let found = lines::found(setup.directory);
        match &found {
            Ok(found) if is_all(found, expected, setup, each) => return Ok(()),
            _ if setup.workload.rotates() && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(50));
            }
            _ => {
                let files: Vec<_> = fs::read_dir(setup.directory)?
                    .flatten()
                    .map(|entry| entry.path())
                    .collect();
                return Err(format!(
                    "{expected} lines were written, {found:?} when the guard was dropped, in {files:?}"
                )
                .into());
            }
        }
    }
}

fn is_all(found: &Found, expected: u64, setup: Setup<'_>, each: u64) -> bool {
    let bytes = match setup.workload.events() {
        Some(_) => found.bytes,
        None => super::contender::bytes(setup.producers, each),
    };
    // All files are compressed, except the active file.
    let rolled =
        !setup.workload.rotates() || (found.compressed_files > 0 && found.plain_files == 1);
    found.lines == expected && found.bytes == bytes && rolled
}

/// Returns the cost of two reads of the clock, in nanoseconds.
pub(crate) fn clock_cost() -> u64 {
    let mut costs: Vec<_> = (0..100_000)
        .map(|_| Instant::now().elapsed().as_nanos() as u64)
        .collect();
    costs.sort_unstable();
    costs[costs.len() / 2]
}

/// Returns p50, p99, p99.9 and the maximum of sorted waits.
fn percentiles(waits: &[u64]) -> [u64; 4] {
    let at = |quantile: f64| {
        let index = (waits.len() as f64 * quantile) as usize;
        waits.get(index).or(waits.last()).copied().unwrap_or(0)
    };
    [at(0.5), at(0.99), at(0.999), at(1.0)]
}

/// Returns the processor time of this process, with all its threads.
fn process_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

/// Returns the peak of the resident memory, in MiB. The value of `getrusage` would include the
/// memory of the process before it executed this program.
fn peak_resident() -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string(Path::new("/proc/self/status"))?;
    let peak = status.lines().find_map(|line| {
        let kibibytes = line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?;
        kibibytes.parse::<f64>().ok()
    });
    Ok(peak.ok_or("/proc/self/status has no VmHWM")? / 1024.0)
}
