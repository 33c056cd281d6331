//! How long events take while the configuration is reloaded, and without reloads.
//!
//! ```text
//! cargo bench -p benches --bench reloads                  medians of 7 rounds
//! cargo bench -p benches --bench reloads -- --rounds 15 --events 500000
//! ```
//!
//! Four threads log to two files and to stdout, which is `/dev/null`. Meanwhile, another thread
//! reloads the configuration once for each 200 events, with files that add and remove a sink, a
//! filter and a rendering. A round is one run with reloads and one without, each in a process of
//! its own.
//!
//! The threads log in bursts, and the outputs keep pace with them. So the times are those of the
//! event calls, and not those of a full buffer.

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use spanwise::{__private::without_installing, Builder, Handle};
use tracing::{dispatcher, info, info_span};

use crate::{
    figures,
    options::{named, number},
    rounds::{median, rotated},
    table,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Contender {
    /// The configuration can be reloaded, and is not.
    Unchanged,
    /// The configuration is reloaded again and again.
    Reloaded,
}

const CONTENDERS: [Contender; 2] = [Contender::Unchanged, Contender::Reloaded];

const THREADS: u64 = 4;
const ROUNDS: usize = 7;
/// The number of events of all threads in one run.
const EVENTS: u64 = 200_000;
/// The number of events for each reload.
const EVENTS_PER_RELOAD: u64 = 200;
/// The longest wait between two looks at the number of logged events.
const POLL_INTERVAL: Duration = Duration::from_micros(200);
/// The number of events that a thread logs in a row.
const BURST_LEN: u64 = 20;
/// The time between the starts of two bursts of a thread.
const BURST_INTERVAL: Duration = Duration::from_millis(2);

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Reloaded => "reloaded",
        }
    }
}

/// The arguments of the process.
struct Options {
    rounds: usize,
    events: u64,
    /// The contender to measure, in a child process. `None` for all.
    contender: Option<Contender>,
    /// False without `--bench`: `cargo test` also runs benches, only to check that they start.
    is_bench: bool,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            rounds: ROUNDS,
            events: EVENTS,
            contender: None,
            is_bench: false,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--bench" => options.is_bench = true,
                "--rounds" => options.rounds = number(&argument, &value()?)?,
                "--events" => options.events = number(&argument, &value()?)?,
                "--contender" => {
                    options.contender = Some(named(&value()?, &CONTENDERS, Contender::name)?);
                }
                _ => return Err(format!("{argument} is unknown")),
            }
        }
        Ok(options)
    }
}

/// The result of a run.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Percentiles of the times of event calls, in nanoseconds.
    half: f64,
    hundredth: f64,
    thousandth: f64,
    reloads: f64,
}

/// Runs the bench as the arguments of the process request.
///
/// # Errors
///
/// If an argument is unknown, or a child process could not be started or failed.
pub fn run(arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let options = Options::parse(arguments)?;
    match options.contender {
        Some(contender) => measure(contender, options.events),
        None if options.is_bench => compare(&options),
        None => Ok(()),
    }
}

/// The heading of a column, and its value for a run.
type Column = (&'static str, fn(&Run) -> f64);

fn compare(options: &Options) -> Result<(), Box<dyn Error>> {
    let mut runs: [Vec<Run>; 2] = Default::default();
    for round in 0..options.rounds {
        for contender in rotated(&CONTENDERS, round) {
            runs[contender as usize].push(child(contender, options.events)?);
        }
    }
    let [unchanged, reloaded] = &runs;
    let pairs = unchanged.iter().zip(reloaded);
    let ratios: Vec<f64> = pairs
        .map(|(without, with)| with.hundredth / without.hundredth)
        .collect();
    let ratio = median(ratios);
    let columns: [Column; 4] = [
        ("p50", |run| run.half),
        ("p99", |run| run.hundredth),
        ("p99.9", |run| run.thousandth),
        ("reloads", |run| run.reloads),
    ];
    let value = |contender: Contender, (_, of_run): &Column| {
        median(runs[contender as usize].iter().map(of_run).collect())
    };
    let all = CONTENDERS.into_iter().flat_map(|contender| {
        let name = contender.name();
        let values = columns.iter();
        values.map(move |column| {
            let id = format!("reloads/{}/{name}", column.0);
            (id, value(contender, column))
        })
    });
    let ratio_figure = ("reloads/p99-ratio/reloaded".to_owned(), ratio);
    figures::record(all.chain([ratio_figure]))?;
    let names = ["p50 ns", "p99 ns", "p99.9 ns", "reloads", "p99"];
    let rows = CONTENDERS.into_iter().map(|contender| {
        let values = columns.iter();
        let mut cells: Vec<_> = values
            .map(|column| Some(table::number(value(contender, column))))
            .collect();
        cells.push((contender == Contender::Reloaded).then(|| format!("{ratio:.2}×")));
        (contender.name(), cells)
    });
    let title = format!("Event calls, medians of {} rounds", options.rounds);
    table::print(&title, "configuration", &names, rows)
}

/// Runs a contender in a child process. Its stdout is a sink, so it reports on stderr.
fn child(contender: Contender, events: u64) -> Result<Run, Box<dyn Error>> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--contender", contender.name()])
        .args(["--events", &events.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    let report = String::from_utf8_lossy(&output.stderr);
    let last = report.lines().last().unwrap_or_default();
    let numbers: Vec<f64> = last.split(' ').flat_map(str::parse).collect();
    match numbers[..] {
        [half, hundredth, thousandth, reloads] if output.status.success() => Ok(Run {
            half,
            hundredth,
            thousandth,
            reloads,
        }),
        _ => Err(format!("{}: {report}", contender.name()).into()),
    }
}

/// Measures a contender, and checks that both files have every line.
fn measure(contender: Contender, events: u64) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("log.toml");
    let files = files(directory.path());
    fs::write(&path, &files[0])?;
    let path_text = path.to_str().ok_or("the directory is not UTF-8")?;
    let vars = [("LOG_PRESET", "prod"), ("LOG_CONFIG", path_text)];
    let (dispatch, telemetry) = without_installing(Builder::from_vars(vars)?)?;
    dispatcher::set_global_default(dispatch)?;
    let each = events / THREADS;
    log(each / 10, |_| ());
    let is_done = AtomicBool::new(false);
    let logged = AtomicU64::new(0);
    let (mut times, reloads) = thread::scope(|scope| {
        let reloader = (contender == Contender::Reloaded)
            .then(|| scope.spawn(|| reload(&telemetry.handle(), &path, &files, &logged, &is_done)));
        let timed = || timed(each, &logged);
        let producers: Vec<_> = (0..THREADS).map(|_| scope.spawn(timed)).collect();
        let times: Vec<_> = producers
            .into_iter()
            .map(|producer| producer.join())
            .collect();
        is_done.store(true, Ordering::Relaxed);
        (times, reloader.map(|reloader| reloader.join()))
    });
    let reloads = match reloads {
        Some(reloads) => reloads.map_err(|_| "the reloading thread panicked")??,
        None => 0,
    };
    drop(telemetry);
    let mut all = Vec::new();
    for times in times.drain(..) {
        all.extend(times.map_err(|_| "a producer panicked")?);
    }
    all.sort_unstable();
    let expected = each / 10 + THREADS * each;
    for file in ["app.log", "all.log"] {
        let text = fs::read_to_string(directory.path().join(file))?;
        let found = text.matches("order placed").count() as u64;
        if found != expected {
            return Err(format!("{file} has {found} of {expected} lines").into());
        }
    }
    let at = |quantile: f64| {
        let index = (all.len() as f64 * quantile) as usize;
        all.get(index).or(all.last()).copied().unwrap_or(0)
    };
    writeln!(
        io::stderr(),
        "{} {} {} {reloads}",
        at(0.5),
        at(0.99),
        at(0.999)
    )?;
    Ok(())
}

/// The configuration files, which take turns.
fn files(directory: &Path) -> [String; 2] {
    let directory = directory.display();
    let file = |name: &str, more: &str| {
        format!(
            "[sink.{name}]\nkind = \"file\"\npath = \"{directory}/{name}.log\"\n\
             rotate = \"never\"\nwhen_full = \"block 60s\"\n{more}"
        )
    };
    let always = format!(
        "reload = \"manual\"\n[sink.console]\nkind = \"stdout\"\n{}",
        file("app", "")
    );
    let other = "[filter]\nnone = { drop = { field = \"none\", is = 1 } }\n[root]\n\
                 filters = [\"none\"]\n";
    [
        format!("{always}{}", file("all", "format = \"ecs\"\n")),
        format!("{always}{}{}{other}", file("all", ""), file("extra", "")),
    ]
}

/// Reloads the files in turns, once for each [`EVENTS_PER_RELOAD`] that are `logged`, until all
/// events are. Returns the number of reloads.
fn reload(
    handle: &Handle,
    path: &Path,
    files: &[String; 2],
    logged: &AtomicU64,
    is_done: &AtomicBool,
) -> Result<u64, String> {
    let mut reloads = 0;
    while !is_done.load(Ordering::Relaxed) {
        if logged.load(Ordering::Relaxed) < reloads * EVENTS_PER_RELOAD {
            thread::sleep(POLL_INTERVAL);
            continue;
        }
        reloads += 1;
        let file = &files[reloads as usize % 2];
        fs::write(path, file).map_err(|error| error.to_string())?;
        handle.reload().map_err(|error| error.to_string())?;
    }
    Ok(reloads)
}

/// Logs events in bursts, and returns the time of each call in nanoseconds. Adds the number of the
/// events to `logged`.
fn timed(events: u64, logged: &AtomicU64) -> Vec<u64> {
    // Filled, so that no measured call includes page faults of this memory.
    let mut times = vec![u64::MAX; events as usize];
    let mut next_burst = Instant::now();
    let mut before = next_burst;
    log(events, |number| {
        // The time since the end of the call before, which had no pause behind it.
        if let Some(number) = number {
            times[number as usize] = before.elapsed().as_nanos() as u64;
            if (number + 1).is_multiple_of(BURST_LEN) {
                logged.fetch_add(BURST_LEN, Ordering::Relaxed);
                next_burst += BURST_INTERVAL;
                thread::sleep(next_burst.saturating_duration_since(Instant::now()));
            }
        }
        before = Instant::now();
    });
    times
}

/// Logs events. Calls `after` before the first with `None`, and after each with its number.
fn log(events: u64, mut after: impl FnMut(Option<u64>)) {
    let _request = info_span!("request", request_id = "r-1", port = 8080).entered();
    after(None);
    for number in 0..events {
        info!(number, amount = 129.95, express = true, "order placed");
        after(Some(number));
    }
}
