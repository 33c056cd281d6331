//! The warehouse: a second process, which reserves stock for the shop. Its lines have the ids of
//! the shop's requests.

use std::{
    error::Error,
    io::{self, Write as _},
    net::SocketAddr,
    process::Stdio,
    time::Duration,
};

use axum::{Router, extract::Path, routing::post};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStderr, Command},
};
use tracing::{debug, info};

/// The argument that starts the warehouse.
pub(crate) const ARGUMENT: &str = "--warehouse";

/// Runs the warehouse until the shop closes its stdin.
pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let telemetry = spanwise::Builder::from_env()?
        .default_preset(spanwise::Preset::Prod)
        .service("warehouse", env!("CARGO_PKG_VERSION"))
        .init()?;
    let warehouse = Router::new()
        .route("/stock/{sku}/reserve", post(reserve))
        .layer(
            telemetry
                .http_server()
                .trust("127.0.0.1".parse()?)
                .tenant_baggage(),
        );

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(io::stderr(), "{}", listener.local_addr()?)?;
    let service = warehouse.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service)
        .with_graceful_shutdown(the_shop_closed())
        .await?;
    telemetry.shutdown(Duration::from_secs(5));
    Ok(())
}

async fn reserve(Path(sku): Path<String>) {
    debug!(sku, "stock read");
    info!(sku, left = 7_u64, "stock reserved");
}

async fn the_shop_closed() {
    let mut nothing = Vec::new();
    let _ = tokio::io::stdin().read_to_end(&mut nothing).await;
}

/// The warehouse as the shop sees it: an address, and a process to end.
#[derive(Debug)]
pub(crate) struct Warehouse {
    pub(crate) address: SocketAddr,
    process: Child,
}

impl Warehouse {
    /// Starts this executable as the warehouse, which logs to `stdout`. It prints its address on
    /// stderr.
    pub(crate) async fn start(stdout: Stdio) -> Result<Self, Box<dyn Error>> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stderr = process.stderr.take().ok_or("the warehouse has no stderr")?;
        let mut said = BufReader::new(stderr).lines();
        let address = read_address(&mut said).await?;
        tokio::spawn(async move {
            while let Ok(Some(line)) = said.next_line().await {
                let _ = writeln!(io::stderr(), "{line}");
            }
        });
        Ok(Self { address, process })
    }

    /// Ends the process, and returns the lines that it wrote to a pipe.
    pub(crate) async fn close(mut self) -> io::Result<Vec<u8>> {
        drop(self.process.stdin.take());
        Ok(self.process.wait_with_output().await?.stdout)
    }
}

/// Reads the address of the warehouse. Warnings of its start may precede the address.
async fn read_address(
    said: &mut Lines<BufReader<ChildStderr>>,
) -> Result<SocketAddr, Box<dyn Error>> {
    loop {
        let line = said.next_line().await?;
        let line = line.ok_or("the warehouse did not open")?;
        match line.parse() {
            Ok(address) => return Ok(address),
            Err(_) => writeln!(io::stderr(), "{line}")?,
        }
    }
}
