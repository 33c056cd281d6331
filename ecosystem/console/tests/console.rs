//! tokio-console is served what it needs, and lines are what they are without it.
#![cfg(all(tokio_unstable, target_os = "linux"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is wrong"
)]

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::{self, Child, Command, Stdio},
    time::{Duration, Instant},
};

use console_api::instrument::{InstrumentRequest, instrument_client::InstrumentClient};
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn tasks_are_seen_and_lines_stay() {
    let address = own_address();
    let mut program: Child = Command::new(env!("CARGO_BIN_EXE_ecosystem-console"))
        .env_clear()
        .env("TOKIO_CONSOLE_BIND", address.to_string())
        .env("RUST_LOG", "info,tokio=trace,runtime=trace")
        .env("LOG_OUTPUT_LEVEL", "info")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let url = format!("http://{address}");
    let seen = tokio::time::timeout(TIMEOUT, sees_task(&url));
    let seen = seen.await.expect("the task in time");
    assert!(seen, "the console ended");

    drop(program.stdin.take());
    let output = program.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let said: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["message"].as_str().unwrap(),
                line["request_id"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(said, [("mail sent", "r-1"), ("job done", "r-2")]);
}

/// Returns an address that no other process uses. The server does not report the port that it gets
/// for port 0, and a free port may be taken before the server binds it. On Linux each address of
/// 127.0.0.0/8 is local, and a process id has at most 22 bits.
fn own_address() -> SocketAddr {
    let [_, bytes @ ..] = process::id().to_be_bytes();
    // Above 127.64, where no usual address is.
    let ip = Ipv4Addr::new(127, bytes[0] | 0x40, bytes[1], bytes[2]);
    SocketAddr::from((ip, 6669))
}

/// Queries like tokio-console, until the named task is there.
async fn sees_task(url: &str) -> bool {
    let deadline = Instant::now() + TIMEOUT;
    let mut tries = tokio::time::interval(Duration::from_millis(10));
    let mut client = loop {
        tries.tick().await;
        match InstrumentClient::connect(url.to_owned()).await {
            Ok(client) => break client,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    let updates = client.watch_updates(InstrumentRequest {}).await.unwrap();
    let mut updates = updates.into_inner();
    while let Some(update) = updates.message().await.unwrap() {
        let tasks = update.task_update.map(|update| update.new_tasks);
        if format!("{tasks:?}").contains("mailer") {
            return true;
        }
    }
    false
}
