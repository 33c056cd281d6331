//! A server that exports to a collector, while the collector answers, hangs and refuses.
//!
//! ```text
//! cargo bench -p benches --bench otel_load                                 a minute per collector
//! cargo bench -p benches --bench otel_load -- --seconds 10 --rounds 3      medians of interleaved rounds
//! cargo bench -p benches --bench otel_load -- --rate 2000                  requests per second
//! ```
//!
//! Needs `/proc`. An axum server with the layers of the facade under the preset prod runs in a
//! process of its own and writes its lines to `/dev/null`. Sixteen connections send requests at a
//! steady rate. Each request has a span and two log records. If a request is slow, the next request
//! of its connection is sent at once, and later requests are delayed by the same time.
//!
//! The hanging collector reads requests and does not answer. After the measurement, it answers
//! until traces and logs are delivered again, and hangs once more for the shutdown. The bench fails
//! if an item is in no count or in two.
//!
//! The last table is about processes that log 1,000 events, each in a span, and then shut down.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use axum::routing::get;
use spanwise::{
    Builder, Preset, Telemetry,
    otel::{OtelStats, Protocol, SignalStats},
};
use tokio::runtime::{self, Runtime};
use tracing::{info, info_span};

use crate::{
    collector::Collector,
    load::{self, Server},
    options::{named, number},
    rounds::{median, rotated},
    table,
};

/// The behaviour of the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scenario {
    /// OpenTelemetry is not set up.
    Without,
    Healthy,
    Hanging,
    Refusing,
}

/// Where a process calls `shutdown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    NoRuntime,
    /// The only thread of a runtime.
    CurrentThread,
    /// A worker of a runtime.
    MultiThread,
}

const SCENARIOS: [Scenario; 4] = [
    Scenario::Without,
    Scenario::Healthy,
    Scenario::Hanging,
    Scenario::Refusing,
];
const CALLERS: [Caller; 3] = [
    Caller::NoRuntime,
    Caller::CurrentThread,
    Caller::MultiThread,
];
const PROTOCOLS: [Protocol; 2] = [Protocol::HttpProtobuf, Protocol::Grpc];

const SECONDS: u64 = 60;
const RATE: u64 = 5_000;
const CONNECTIONS: u64 = 16;
const WARM_UP: Duration = Duration::from_secs(1);
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);
/// More than the longest back-off of the exporter.
const RESUME_TIMEOUT: Duration = Duration::from_secs(90);

/// The limits for a server with a failing collector.
const MAX_RSS_MIB: f64 = 64.0;
const MAX_P99_RATIO: f64 = 1.1;
const MAX_SHUTDOWN_MILLIS: f64 = 600.0;

impl Scenario {
    fn name(self) -> &'static str {
        match self {
            Self::Without => "without",
            Self::Healthy => "healthy",
            Self::Hanging => "hanging",
            Self::Refusing => "refusing",
        }
    }
}

impl Caller {
    fn name(self) -> &'static str {
        match self {
            Self::NoRuntime => "no-runtime",
            Self::CurrentThread => "current-thread",
            Self::MultiThread => "multi-thread",
        }
    }
}

fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Grpc => "grpc",
        _ => "http",
    }
}

/// The counts of one signal.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    accepted: u64,
    delivered: u64,
    shed: u64,
    write_failed: u64,
    lost: u64,
}

impl From<&SignalStats> for Counts {
    fn from(stats: &SignalStats) -> Self {
        Self {
            accepted: stats.accepted,
            delivered: stats.outcomes.delivered,
            shed: stats.outcomes.shed.total(),
            write_failed: stats.outcomes.write_failed,
            lost: stats.outcomes.lost_at_shutdown,
        }
    }
}

impl From<[u64; 5]> for Counts {
    fn from([accepted, delivered, shed, write_failed, lost]: [u64; 5]) -> Self {
        Self {
            accepted,
            delivered,
            shed,
            write_failed,
            lost,
        }
    }
}

impl Counts {
    fn is_complete(self) -> bool {
        self.accepted == self.delivered + self.shed + self.write_failed + self.lost
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            accepted,
            delivered,
            shed,
            write_failed,
            lost,
        } = self;
        write!(f, "{accepted} {delivered} {shed} {write_failed} {lost}")
    }
}

/// Returns the counts of traces, logs and metrics as a line for [`signals`].
fn line(stats: &OtelStats) -> String {
    let signals = [&stats.traces, &stats.logs, &stats.metrics];
    signals
        .map(|signal| Counts::from(signal).to_string())
        .join(" ")
}

/// Reads a [`line()`].
fn signals(line: &str) -> Result<[Counts; 3], Box<dyn Error>> {
    let numbers: Result<Vec<u64>, _> = line.split_whitespace().map(str::parse).collect();
    let numbers = numbers?;
    let (fives, rest) = numbers.as_chunks::<5>();
    match (<[[u64; 5]; 3]>::try_from(fives), rest) {
        (Ok(fives), []) => Ok(fives.map(Counts::from)),
        _ => Err(format!("not 15 counts: {line}").into()),
    }
}

/// Runs the bench, or with `--serve` or `--shutdown` a process that is measured.
///
/// # Errors
///
/// If an argument is unknown, a process does not start, or the counts of the exporter are wrong.
pub fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let (mut is_bench, mut is_server) = (false, false);
    let (mut seconds, mut rounds, mut rate) = (SECONDS, 1, RATE);
    let (mut collector, mut caller, mut protocol) = (None, None, Protocol::HttpProtobuf);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--bench" => is_bench = true,
            "--seconds" => seconds = number(&argument, &value()?)?,
            "--rounds" => rounds = number(&argument, &value()?)?,
            "--rate" => rate = number(&argument, &value()?)?,
            "--serve" => is_server = true,
            "--collector" => collector = Some(value()?),
            "--shutdown" => caller = Some(named(&value()?, &CALLERS, Caller::name)?),
            "--protocol" => protocol = named(&value()?, &PROTOCOLS, protocol_name)?,
            _ => return Err(format!("{argument} is unknown").into()),
        }
    }
    let collector = collector.as_deref().filter(|address| *address != "none");
    if is_server {
        return Runtime::new()?.block_on(serve(start(collector, protocol)?));
    }
    if let Some(caller) = caller {
        return end_in(caller, start(collector, protocol)?);
    }
    // `cargo test` also runs benches, only to check that they start.
    if !is_bench {
        return Ok(());
    }
    let load = Load {
        duration: Duration::from_secs(seconds),
        rate,
    };
    compare(load, rounds)?;
    print_shutdowns()
}

fn start(collector: Option<&str>, protocol: Protocol) -> Result<Telemetry, Box<dyn Error>> {
    let mut builder = Builder::new(Preset::Prod);
    if let Some(collector) = collector {
        builder = builder
            .otlp_endpoint(format!("http://{collector}"))
            .otel(move |otel| otel.all_signals(|options| options.protocol(protocol)));
    }
    Ok(builder.init()?)
}

/// Serves. Then writes the duration of the shutdown and the counts of the exporter to stderr.
async fn serve(telemetry: Telemetry) -> Result<(), Box<dyn Error>> {
    let handle = telemetry.handle();
    let of_route = handle.clone();
    let read_counts = move || async move { line(&of_route.otel_stats()) };
    let app = load::routes().route("/counts", get(read_counts));
    load::serve_logged(load::listen().await?, app, &telemetry).await?;
    let micros = timed_shutdown(telemetry);
    let counts = line(&handle.otel_stats());
    writeln!(io::stderr(), "\nended {micros} {counts}")?;
    Ok(())
}

/// Shuts down, and returns the duration in microseconds.
fn timed_shutdown(telemetry: Telemetry) -> u128 {
    let began = Instant::now();
    telemetry.shutdown(SHUTDOWN_TIMEOUT);
    began.elapsed().as_micros()
}

/// Logs, shuts down, and writes the duration of the shutdown to stderr.
fn end_in(caller: Caller, telemetry: Telemetry) -> Result<(), Box<dyn Error>> {
    for order in 0..1_000 {
        let _entered = info_span!("order", order).entered();
        info!("order read");
    }
    let micros = match caller {
        Caller::NoRuntime => timed_shutdown(telemetry),
        Caller::CurrentThread => runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(async { timed_shutdown(telemetry) }),
        Caller::MultiThread => {
            let runtime = Runtime::new()?;
            runtime.block_on(runtime.spawn(async { timed_shutdown(telemetry) }))?
        }
    };
    writeln!(io::stderr(), "\nended {micros}")?;
    Ok(())
}

/// Returns the rest of the line that begins with `ended`. Other lines are reports of faults.
fn ended(stderr: &str) -> Result<&str, String> {
    stderr
        .lines()
        .find_map(|line| line.strip_prefix("ended "))
        .ok_or_else(|| format!("no report of the shutdown: {stderr}"))
}

/// The requests of one measurement.
#[derive(Debug, Clone, Copy)]
struct Load {
    duration: Duration,
    /// Requests per second.
    rate: u64,
}

impl Load {
    /// Sends the requests. Returns their latencies in microseconds, in order of size.
    fn send(self, server: SocketAddr) -> Result<Vec<f64>, Box<dyn Error>> {
        let began = Instant::now();
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|connection| thread::spawn(move || self.send_over(connection, server, began)))
            .collect();
        let mut latencies = Vec::new();
        for sender in senders {
            latencies.extend(sender.join().map_err(|_| "a connection panicked")??);
        }
        latencies.sort_by(f64::total_cmp);
        Ok(latencies)
    }

    fn send_over(
        self,
        connection: u64,
        server: SocketAddr,
        began: Instant,
    ) -> io::Result<Vec<f64>> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        let interval = Duration::from_secs(CONNECTIONS) / self.rate as u32;
        let mut due = began + interval * connection as u32 / CONNECTIONS as u32;
        let mut latencies = Vec::new();
        while due.duration_since(began) < self.duration {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let sent = Instant::now();
            request(&mut stream, "/orders/42", |answer| {
                answer.ends_with(b"order 42\n")
            })?;
            latencies.push(sent.elapsed().as_nanos() as f64 / 1e3);
            due = (due + interval).max(Instant::now());
        }
        Ok(latencies)
    }
}

/// Sends a request and reads until the answer is whole.
fn request(
    stream: &mut TcpStream,
    path: &str,
    is_whole: impl Fn(&[u8]) -> bool,
) -> io::Result<String> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n")?;
    let mut answer = Vec::with_capacity(512);
    let mut bytes = [0; 512];
    while !is_whole(&answer) {
        match stream.read(&mut bytes)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => answer.extend_from_slice(&bytes[..len]),
        }
    }
    String::from_utf8(answer).map_err(io::Error::other)
}

/// The result of one measurement. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    rate: f64,
    p50: f64,
    p99: f64,
    rss_mib: f64,
    peak_mib: f64,
    shutdown: f64,
    /// The totals of all signals.
    counts: Counts,
    /// The time from the end of the hang to the first delivery of both signals.
    resumed: Option<f64>,
}

fn measure(scenario: Scenario, load: Load) -> Result<Outcome, Box<dyn Error>> {
    let collector = Collector::start()?;
    let address = match scenario {
        Scenario::Without => "none".to_owned(),
        Scenario::Healthy | Scenario::Hanging => collector.address.to_string(),
        // The listener is closed at once, so connections are refused.
        Scenario::Refusing => TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string(),
    };
    collector.set_hanging(scenario == Scenario::Hanging);
    let server = Server::start(["--serve", "--collector", &address])?;
    let warm_up = Load {
        duration: WARM_UP,
        ..load
    };
    warm_up.send(server.address)?;
    let latencies = load.send(server.address)?;
    let percentile = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id()))?;
    let resumed = match scenario {
        Scenario::Hanging => {
            collector.set_hanging(false);
            let resumed = time_to_resume(&server)?;
            collector.set_hanging(true);
            warm_up.send(server.address)?;
            Some(resumed)
        }
        _ => None,
    };
    let stderr = server.stop()?;
    let (micros, counts) = ended(&stderr)?.split_once(' ').ok_or("no counts")?;
    let mut total = Counts::default();
    for counts in signals(counts)? {
        if !counts.is_complete() {
            return Err(format!("items are in no count or in two: {counts:?}").into());
        }
        total.accepted += counts.accepted;
        total.delivered += counts.delivered;
        total.shed += counts.shed;
        total.write_failed += counts.write_failed;
        total.lost += counts.lost;
    }
    Ok(Outcome {
        rate: latencies.len() as f64 / load.duration.as_secs_f64(),
        p50: percentile(50),
        p99: percentile(99),
        rss_mib: mib(&status, "VmRSS:")?,
        peak_mib: mib(&status, "VmHWM:")?,
        shutdown: micros.parse()?,
        counts: total,
        resumed,
    })
}

/// Returns a size of `/proc/…/status` in MiB. The file has it in KiB.
fn mib(status: &str, name: &str) -> Result<f64, Box<dyn Error>> {
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    let value = value.ok_or_else(|| format!("no {name} in /proc"))?;
    let kib: f64 = value.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

/// Waits until the server delivers traces and logs.
fn time_to_resume(server: &Server) -> Result<f64, Box<dyn Error>> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(server.address)?;
    // The answer is whole when its body has all counts.
    let mut delivered = || -> Result<[u64; 2], Box<dyn Error>> {
        let is_whole = |answer: &[u8]| {
            let text = String::from_utf8_lossy(answer);
            text.split_once("\r\n\r\n")
                .is_some_and(|(_, body)| signals(body).is_ok())
        };
        let answer = request(&mut stream, "/counts", is_whole)?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
        let [traces, logs, _] = signals(body)?;
        Ok([traces.delivered, logs.delivered])
    };
    while delivered()?.contains(&0) {
        if began.elapsed() > RESUME_TIMEOUT {
            return Err("sending does not resume".into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(began.elapsed().as_micros() as f64)
}

fn compare(load: Load, rounds: usize) -> Result<(), Box<dyn Error>> {
    let mut outcomes = BTreeMap::<_, Vec<Outcome>>::new();
    for round in 0..rounds {
        for scenario in rotated(&SCENARIOS, round) {
            let outcome = measure(scenario, load)?;
            outcomes.entry(scenario).or_default().push(outcome);
        }
    }
    let of = |scenario: Scenario, part: fn(&Outcome) -> f64| {
        let outcomes: &Vec<Outcome> = &outcomes[&scenario];
        outcomes.iter().map(part).collect::<Vec<_>>()
    };
    let median_of = |scenario, part: fn(&Outcome) -> f64| median(of(scenario, part));
    let max_of =
        |scenario, part: fn(&Outcome) -> f64| of(scenario, part).into_iter().fold(0.0, f64::max);
    let sum_of = |scenario, part: fn(&Outcome) -> f64| of(scenario, part).into_iter().sum::<f64>();

    let rows = SCENARIOS.map(|scenario| {
        let cells = [
            median_of(scenario, |outcome| outcome.rate),
            median_of(scenario, |outcome| outcome.p50),
            median_of(scenario, |outcome| outcome.p99),
            max_of(scenario, |outcome| outcome.rss_mib),
            max_of(scenario, |outcome| outcome.peak_mib),
            max_of(scenario, |outcome| outcome.shutdown / 1e3),
        ];
        let cells = cells.map(|value| Some(table::number(value)));
        (scenario.name(), cells.to_vec())
    });
    table::print(
        &format!("Medians of {rounds} rounds; the largest of memory and of shutdowns"),
        "collector",
        &[
            "requests/s",
            "p50, µs",
            "p99, µs",
            "RSS, MiB",
            "peak, MiB",
            "shutdown, ms",
        ],
        rows.into_iter(),
    )?;

    let rows = SCENARIOS.map(|scenario| {
        let cells = [
            sum_of(scenario, |outcome| outcome.counts.accepted as f64),
            sum_of(scenario, |outcome| outcome.counts.delivered as f64),
            sum_of(scenario, |outcome| outcome.counts.shed as f64),
            sum_of(scenario, |outcome| outcome.counts.write_failed as f64),
            sum_of(scenario, |outcome| outcome.counts.lost as f64),
        ];
        let cells = cells.map(|value| Some(table::number(value)));
        (scenario.name(), cells.to_vec())
    });
    table::print(
        "Items of all signals and rounds",
        "collector",
        &["accepted", "delivered", "shed", "write failed", "lost"],
        rows.into_iter(),
    )?;

    let peak = |scenario: Scenario| max_of(scenario, |outcome| outcome.peak_mib);
    // Rounds are compared one by one, since the machine differs from round to round.
    let p99_ratio = |scenario: Scenario| {
        let (own, healthy) = (&outcomes[&scenario], &outcomes[&Scenario::Healthy]);
        let pairs = own.iter().zip(healthy);
        median(pairs.map(|(own, healthy)| own.p99 / healthy.p99).collect())
    };
    let rows = [Scenario::Healthy, Scenario::Hanging, Scenario::Refusing].map(|scenario| {
        let values = [
            (peak(scenario) - peak(Scenario::Without), MAX_RSS_MIB),
            (p99_ratio(scenario), MAX_P99_RATIO),
            (
                max_of(scenario, |outcome| outcome.shutdown / 1e3),
                MAX_SHUTDOWN_MILLIS,
            ),
        ];
        let cells = values.map(|(value, bar)| {
            let missed = if value > bar { " missed" } else { "" };
            Some(format!("{value:.2}{missed}"))
        });
        (scenario.name(), cells.to_vec())
    });
    table::print(
        "Against the bars",
        "collector",
        &[
            "peak above without, MiB (64)",
            "p99 of healthy (1.1)",
            "shutdown, ms (600)",
        ],
        rows.into_iter(),
    )?;
    let resumed = max_of(Scenario::Hanging, |outcome| {
        outcome.resumed.unwrap_or_default() / 1e6
    });
    writeln!(
        io::stdout(),
        "\nSending resumed at most {resumed:.2} s after the hang."
    )?;
    Ok(())
}

/// Prints how long `shutdown` takes with a collector that hangs, and with one that refuses.
fn print_shutdowns() -> Result<(), Box<dyn Error>> {
    let hanging = Collector::start()?;
    hanging.set_hanging(true);
    let hanging = hanging.address.to_string();
    let refusing = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let mut rows = Vec::new();
    for caller in CALLERS {
        let mut cells = Vec::new();
        for collector in [&hanging, &refusing] {
            for protocol in PROTOCOLS {
                let output = Command::new(std::env::current_exe()?)
                    .args(["--shutdown", caller.name(), "--collector", collector])
                    .args(["--protocol", protocol_name(protocol)])
                    .output()?;
                let stderr = String::from_utf8_lossy(&output.stderr);
                let micros: f64 = ended(&stderr)?.parse()?;
                cells.push(Some(table::number(micros / 1e3)));
            }
        }
        rows.push((caller.name(), cells));
    }
    table::print(
        "Milliseconds of `shutdown(500 ms)`",
        "called on",
        &[
            "hanging, HTTP",
            "hanging, gRPC",
            "refusing, HTTP",
            "refusing, gRPC",
        ],
        rows.into_iter(),
    )
}
