//! How many requests a second a server answers, over real connections, with and without what logs
//! them.
//!
//! ```text
//! cargo bench -p benches --bench load                 medians of 5 interleaved rounds
//! cargo bench -p benches --bench load -- --rounds 3
//! ```
//!
//! Needs `wrk`, which loads an axum server in a process of its own over 32 connections for three
//! seconds a round. The handler logs one event, and each hundredth request an error. All write to
//! `/dev/null` in the background, as a service writes to a file: `tower-http` by
//! `tracing_appender::non_blocking` and `fmt().json()`, `spanwise` by its facade under the preset
//! prod; `spanwise-sentry` has a Sentry besides that takes connections and never answers. All share
//! two processors with `wrk`, so a ratio is of the whole, not of the server alone.

use std::{
    collections::BTreeMap,
    error::Error,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::SocketAddr,
    process::{Child, ChildStderr, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use axum::{Router, body::Body, routing::get};
use spanwise::{Builder, Preset, Telemetry};
use tokio::{net::TcpListener, runtime::Runtime, task::spawn_blocking};
use tower::ServiceBuilder;
use tower_http::{
    ServiceBuilderExt,
    trace::{DefaultOnResponse, TraceLayer},
};
use tracing::{Level, error, info};

use crate::{
    http::{Uuids, peer_span},
    rounds::{median, rotated},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Contender {
    /// No layer, no subscriber.
    Bare,
    TowerHttp,
    Spanwise,
    /// With a Sentry that hangs.
    Sentry,
}

const CONTENDERS: [Contender; 4] = [
    Contender::Bare,
    Contender::TowerHttp,
    Contender::Spanwise,
    Contender::Sentry,
];
const ROUNDS: usize = 5;

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::TowerHttp => "tower-http",
            Self::Spanwise => "spanwise",
            Self::Sentry => "spanwise-sentry",
        }
    }
}

/// What `wrk` says of a round.
#[derive(Debug, Clone, Copy)]
struct Load {
    requests: f64,
    p99_micros: f64,
}

/// Measures, or is the server that is measured.
///
/// # Errors
/// If `wrk` is not there, or a server does not start.
pub fn run(arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = arguments.collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)
    };
    if let Some(name) = value("--serve") {
        let contender = CONTENDERS.into_iter().find(|one| one.name() == name);
        let contender = contender.ok_or("no such contender")?;
        return Runtime::new()?.block_on(serve(contender));
    }
    let rounds = match value("--rounds") {
        Some(rounds) => rounds.parse()?,
        None => ROUNDS,
    };
    let mut loads = BTreeMap::<_, Vec<Load>>::new();
    for round in 0..rounds {
        for contender in rotated(&CONTENDERS, round) {
            loads.entry(contender).or_default().push(load(contender)?);
        }
    }
    let median_of = |contender, of: fn(&Load) -> f64| {
        let loads: &Vec<Load> = &loads[&contender];
        median(loads.iter().map(of).collect())
    };
    let bare = median_of(Contender::Bare, |load| load.requests);
    let mut out = io::stdout();
    writeln!(
        out,
        "| medians of {rounds} rounds | requests/s | of bare | p99, ms |\n| --- | --- | --- | --- |"
    )?;
    for contender in CONTENDERS {
        let requests = median_of(contender, |load| load.requests);
        let p99 = median_of(contender, |load| load.p99_micros) / 1e3;
        let name = contender.name();
        writeln!(
            out,
            "| {name} | {requests:.0} | {:.2} | {p99:.2} |",
            requests / bare
        )?;
    }
    Ok(())
}

fn load(contender: Contender) -> Result<Load, Box<dyn Error>> {
    let server = Server::start(["--serve", contender.name()])?;
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
    let said = String::from_utf8(wrk("3s")?.stdout)?;
    let number = |name: &str| -> Result<f64, Box<dyn Error>> {
        let line = said.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.ok_or_else(|| said.clone())?.trim().parse()?)
    };
    if number("errors")? > 0.0 {
        return Err(said.into());
    }
    Ok(Load {
        requests: number("rate")?,
        p99_micros: number("p99")?,
    })
}

/// What is to be read, in a form that is easily read.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/load.lua");

/// A server in a process of its own, until it is dropped.
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

/// Serves with the layer of the facade, until [`Server`] ends it.
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

async fn serve(contender: Contender) -> Result<(), Box<dyn Error>> {
    let app = routes();
    let listener = listen().await?;
    match contender {
        Contender::Bare => {
            axum::serve(listener, app)
                .with_graceful_shutdown(stdin_closed())
                .await?
        }
        Contender::TowerHttp => {
            let (writer, _guard) = tracing_appender::non_blocking(io::stdout());
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
        Contender::Spanwise | Contender::Sentry => {
            // Connections stay in its backlog.
            let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
            let mut builder = Builder::new(Preset::Prod);
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

async fn read_order() -> &'static str {
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    let request = REQUESTS.fetch_add(1, Ordering::Relaxed);
    if request.is_multiple_of(100) {
        error!(order_id = 42, request, "order lost");
    } else {
        info!(order_id = 42, rows = 3, "order read");
    }
    "order 42\n"
}
