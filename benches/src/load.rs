//! The requests per second that a server answers over real connections, with and without logging.
//!
//! ```text
//! cargo bench -p benches --bench load                 medians of 5 interleaved rounds
//! cargo bench -p benches --bench load -- --rounds 3
//! ```
//!
//! Needs `wrk`, which sends requests over 32 connections for three seconds per round. The axum
//! server runs in a process of its own. Its handler logs one event, an ERROR for each hundredth
//! request. All contenders write in the background, to `/dev/null` or to a file. `tower-http` uses
//! `tracing_appender::non_blocking` and `fmt().json()`, and `spanwise-prod` the facade under the
//! preset prod. `spanwise-sentry` also exports to a Sentry that accepts connections and never
//! answers.
//!
//! The processor time is that of the server alone, with its threads that write. The server shares
//! the processors with `wrk`, so the requests per second also depend on the cost of `wrk`.

use std::{
    collections::BTreeMap,
    error::Error,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStderr, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use axum::{Router, body::Body, routing::get};
use rustix::time::{ClockId, clock_gettime};
use spanwise::{Output, Telemetry};
use tokio::{net::TcpListener, runtime::Runtime, task::spawn_blocking};
use tower::ServiceBuilder;
use tower_http::{
    ServiceBuilderExt,
    trace::{DefaultOnResponse, TraceLayer},
};
use tracing::{Level, error, info};

use crate::{
    figures,
    http::{Uuids, peer_span},
    options::{named, number},
    prod,
    rounds::{median, rotated},
    table,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Contender {
    /// No layer, no subscriber.
    Bare,
    TowerHttp,
    /// The facade under the preset `prod`, with its layer for servers.
    Prod,
    /// [`Prod`](Self::Prod) with a Sentry that hangs.
    Sentry,
}

const CONTENDERS: [Contender; 4] = [
    Contender::Bare,
    Contender::TowerHttp,
    Contender::Prod,
    Contender::Sentry,
];
const ROUNDS: usize = 5;

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::TowerHttp => "tower-http",
            Self::Prod => "spanwise-prod",
            Self::Sentry => "spanwise-sentry",
        }
    }
}

/// The output of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sink {
    DevNull,
    File,
}

const SINKS: [Sink; 2] = [Sink::DevNull, Sink::File];

impl Sink {
    fn name(self) -> &'static str {
        match self {
            Self::DevNull => "devnull",
            Self::File => "file",
        }
    }
}

/// The result of a round, from `wrk` and from the server itself.
#[derive(Debug, Clone, Copy)]
struct Load {
    requests: f64,
    p99_micros: f64,
    /// The processor time of the server per request.
    cpu_micros: f64,
}

/// Runs the bench, or with `--serve` the server that is measured.
///
/// # Errors
/// If `wrk` is not installed, or a server does not start.
pub fn run(arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = arguments.collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)
    };
    if let Some(name) = value("--serve") {
        let contender = named(name, &CONTENDERS, Contender::name)?;
        let file = value("--file").map(PathBuf::from);
        Runtime::new()?.block_on(serve(contender, file))?;
        // The runtime and the writers have ended.
        let requests = REQUESTS.load(Ordering::Relaxed).max(1) as f64;
        let micros = process_time().as_nanos() as f64 / 1e3 / requests;
        writeln!(io::stderr(), "cpu {micros}")?;
        return Ok(());
    }
    let rounds = match value("--rounds") {
        Some(rounds) => number("--rounds", rounds)?,
        None if arguments.iter().any(|argument| argument == "--bench") => ROUNDS,
        // `cargo test` also runs benches, only to check that they start.
        None => return Ok(()),
    };
    for sink in SINKS {
        compare(sink, rounds)?;
    }
    Ok(())
}

fn compare(sink: Sink, rounds: usize) -> Result<(), Box<dyn Error>> {
    let mut samples = Vec::new();
    for round in 0..rounds {
        let mut loads = BTreeMap::new();
        for contender in rotated(&CONTENDERS, round) {
            loads.insert(contender, load(contender, sink)?);
        }
        samples.push(loads);
    }
    let medians = |value: &dyn Fn(&BTreeMap<Contender, Load>, Load) -> f64| {
        CONTENDERS.map(|contender| {
            let values = samples.iter().filter_map(|loads| {
                let own = *loads.get(&contender)?;
                Some(value(loads, own))
            });
            median(values.collect())
        })
    };
    // A ratio compares contenders in the same round, so that a slow minute of the machine affects
    // both.
    let columns = [
        ("requests", medians(&|_, own| own.requests)),
        (
            "requests-of-bare",
            medians(&|loads, own| own.requests / loads[&Contender::Bare].requests),
        ),
        ("p99-ms", medians(&|_, own| own.p99_micros / 1e3)),
        ("cpu-us", medians(&|_, own| own.cpu_micros)),
        (
            "cpu-added",
            medians(&|loads, own| {
                let added = |load: Load| load.cpu_micros - loads[&Contender::Bare].cpu_micros;
                added(own) / added(loads[&Contender::TowerHttp])
            }),
        ),
    ];
    for (measure, values) in &columns {
        figures::record(CONTENDERS.iter().zip(values).map(|(contender, value)| {
            let id = format!("load/{measure}/{}/{}", contender.name(), sink.name());
            (id, *value)
        }))?;
    }
    let rows = CONTENDERS.iter().enumerate().map(|(row, contender)| {
        let cells = columns
            .iter()
            .map(|(_, values)| Some(table::number(values[row])));
        (contender.name(), cells.collect())
    });
    let titles = [
        "requests/s",
        "of bare",
        "p99, ms",
        "CPU of the server, µs a request",
        "CPU more than bare, of tower-http's",
    ];
    let title = format!("To {}, medians of {rounds} rounds", sink.name());
    table::print(&title, "contender", &titles, rows)
}

fn load(contender: Contender, sink: Sink) -> Result<Load, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("service.log");
    let file = file.to_str().ok_or("the path is not text")?;
    let server = match sink {
        Sink::DevNull => Server::start(["--serve", contender.name()])?,
        Sink::File => Server::start(["--serve", contender.name(), "--file", file])?,
    };
    let url = format!("http://{}/orders/42", server.address);
    let wrk = |seconds: &str| {
        Command::new("wrk")
            .args([
                "-t1",
                "-c32",
                "-d",
                seconds,
                "--latency",
                "-s",
                SCRIPT,
                &url,
            ])
            .output()
            .map_err(|error| format!("wrk: {error}; it is a package of most distributions"))
    };
    wrk("1s")?;
    let output = String::from_utf8(wrk("3s")?.stdout)?;
    let number = |name: &str| -> Result<f64, Box<dyn Error>> {
        let line = output.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.ok_or_else(|| output.clone())?.trim().parse()?)
    };
    if number("errors")? > 0.0 {
        return Err(output.into());
    }
    let (requests, p99_micros) = (number("rate")?, number("p99")?);
    let reported = server.stop()?;
    let cpu = reported.lines().find_map(|line| line.strip_prefix("cpu "));
    Ok(Load {
        requests,
        p99_micros,
        cpu_micros: cpu.ok_or_else(|| reported.clone())?.parse()?,
    })
}

/// The script that makes `wrk` print its results in a form that [`load`] parses.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/load.lua");

/// A server in a process of its own. It ends when this is dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
    stderr: BufReader<ChildStderr>,
}

impl Server {
    /// Starts this program with these arguments. Its first line on stderr is its address.
    pub(crate) fn start<const COUNT: usize>(
        arguments: [&str; COUNT],
    ) -> Result<Self, Box<dyn Error>> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = process.stderr.take().ok_or("the server has no stderr")?;
        let mut stderr = BufReader::new(stderr);
        let mut address = String::new();
        stderr.read_line(&mut address)?;
        let address = address.trim().parse().map_err(|_| address)?;
        Ok(Self {
            process,
            address,
            stderr,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends the server. Returns what it wrote to stderr after its address.
    pub(crate) fn stop(mut self) -> io::Result<String> {
        drop(self.process.stdin.take());
        let mut text = String::new();
        self.stderr.read_to_string(&mut text)?;
        Ok(text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Opens a port and writes its address for [`Server::start`].
pub(crate) async fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(io::stderr(), "{}", listener.local_addr()?)?;
    Ok(listener)
}

/// The routes of all contenders.
pub(crate) fn routes() -> Router {
    Router::new().route("/orders/{id}", get(read_order))
}

/// Serves with the layer of the facade, until [`Server`] closes stdin.
pub(crate) async fn serve_logged(
    listener: TcpListener,
    app: Router,
    telemetry: &Telemetry,
) -> io::Result<()> {
    let app = app.layer(telemetry.http_server());
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app)
        .with_graceful_shutdown(stdin_closed())
        .await
}

async fn stdin_closed() {
    let _ = spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new())).await;
}

async fn serve(contender: Contender, file: Option<PathBuf>) -> Result<(), Box<dyn Error>> {
    let app = routes();
    let listener = listen().await?;
    match contender {
        Contender::Bare => {
            axum::serve(listener, app)
                .with_graceful_shutdown(stdin_closed())
                .await?
        }
        Contender::TowerHttp => {
            let (writer, _guard) = match &file {
                Some(path) => {
                    let directory = path.parent().unwrap_or(path);
                    let file = tracing_appender::rolling::daily(directory, "service.log");
                    tracing_appender::non_blocking(file)
                }
                None => tracing_appender::non_blocking(io::stdout()),
            };
            tracing_subscriber::fmt().json().with_writer(writer).init();
            let trace = TraceLayer::new_for_http()
                .make_span_with(peer_span::<Body>)
                .on_response(DefaultOnResponse::new().level(Level::INFO));
            let layers = ServiceBuilder::new()
                .set_x_request_id(Uuids)
                .layer(trace)
                .propagate_x_request_id();
            let app = app.layer(layers);
            axum::serve(listener, app)
                .with_graceful_shutdown(stdin_closed())
                .await?;
        }
        Contender::Prod | Contender::Sentry => {
            // Nothing accepts the connections, so they stay in the backlog without an answer.
            let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
            let mut builder = prod::builder();
            if let Some(path) = file {
                builder = builder.output(Output::None).file(path);
            }
            if contender == Contender::Sentry {
                builder = builder.sentry_dsn(format!("http://key@{}/1", silent.local_addr()?));
            }
            let telemetry = builder.init()?;
            serve_logged(listener, app, &telemetry).await?;
            telemetry.shutdown(Duration::from_secs(1));
        }
    }
    Ok(())
}

/// The number of requests that the handler has served.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

/// Returns the processor time of this process, with all its threads.
fn process_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

async fn read_order() -> &'static str {
    let request = REQUESTS.fetch_add(1, Ordering::Relaxed);
    if request.is_multiple_of(100) {
        error!(order_id = 42, request, "order lost");
    } else {
        info!(order_id = 42, rows = 3, "order read");
    }
    "order 42\n"
}
