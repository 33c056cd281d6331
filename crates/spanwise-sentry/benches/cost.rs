//! The cost of Sentry beside sentry-tracing's own layers, in instructions counted by callgrind.
//!
//! ```text
//! cargo bench -p spanwise-sentry        # needs valgrind
//! ```
//!
//! The workloads:
//!
//! * A request is a root span with five fields, a child span with two, a late record, and four
//!   events at INFO with two to four fields. Both spans are closed.
//! * An event is at INFO, with four fields, inside a request.
//! * An error is new and at ERROR, with a cause. All breadcrumbs are errors.
//! * A repeated error was logged before.
//!
//! `spanwise-sentry-traces` samples one trace in a hundred. `sentry-tracing-errors` has the layers
//! for errors and breadcrumbs, and `sentry-tracing-all` all layers.
//!
//! No server listens at the address of the DSN.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it prints a table"
)]

use std::{fs::File, io::Write as _, process::Command, sync::Arc};

use sentry_core::{Client, ClientOptions, Hub};
use spanwise_redact::Policy;
use spanwise_sentry::{Sentry, SentryBuilder};
use tracing::{Dispatch, dispatcher, error, info, info_span, level_filters::LevelFilter};
use tracing_subscriber::{Layer, prelude::*};

const CONTENDERS: [&str; 6] = [
    "floor",
    "spanwise-sentry",
    "spanwise-sentry-policy",
    "spanwise-sentry-traces",
    "sentry-tracing-errors",
    "sentry-tracing-all",
];

/// The difference of two runs excludes the start and the warm-up of a process.
const SHORT_RUN: u64 = 500;
const LONG_RUN: u64 = 2_500;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [contender, workload, count] => {
            dispatcher::set_global_default(stack(contender)).unwrap();
            repeat(workload, count.parse().unwrap());
        }
        // `cargo test` runs benches too, to check that they start.
        [argument] if argument == "--bench" => table(),
        _ => {}
    }
}

fn table() {
    println!(
        "| instructions | an event | a request | an error | the same again |\n| --- | ---: | ---: | ---: | ---: |"
    );
    for contender in CONTENDERS {
        let per_unit = |workload| {
            (total(contender, workload, LONG_RUN) - total(contender, workload, SHORT_RUN))
                / (LONG_RUN - SHORT_RUN)
        };
        let workloads = ["event", "request", "error", "again"];
        let costs = workloads.map(per_unit);
        record(contender, &workloads, &costs);
        println!(
            "| {contender} | {} |",
            costs.map(|cost| cost.to_string()).join(" | ")
        );
    }
}

/// Appends figures to the file that `scripts/performance` sets.
#[allow(
    clippy::disallowed_methods,
    reason = "not a setting of the crate, but of this bench"
)]
fn record(contender: &str, workloads: &[&str], costs: &[u64]) {
    let Some(path) = std::env::var_os("BENCH_FIGURES") else {
        return;
    };
    let file = File::options().create(true).append(true).open(path);
    let mut file = file.unwrap();
    for (workload, cost) in workloads.iter().zip(costs) {
        writeln!(file, "sentry/instructions/{contender}/{workload}\t{cost}").unwrap();
    }
}

fn total(contender: &str, workload: &str, count: u64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args([contender, workload, &count.to_string()])
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report
        .lines()
        .find_map(|line| line.split_once("Collected :"));
    collected.unwrap().1.trim().parse().unwrap()
}

fn stack(contender: &str) -> Dispatch {
    let ours = |change: fn(SentryBuilder) -> SentryBuilder| {
        // No server listens there.
        let builder = Sentry::builder("http://key@127.0.0.1:9/1".parse().unwrap());
        let (layer, guard) = change(builder).build().unwrap();
        // It lives as long as the process.
        Box::leak(Box::new(guard));
        layer
    };
    let base = tracing_subscriber::registry();
    match contender {
        "floor" => base.with(Floor).into(),
        "spanwise-sentry" => base.with(ours(|builder| builder)).into(),
        "spanwise-sentry-policy" => {
            let redacting =
                |builder: SentryBuilder| builder.redact(Arc::new(Policy::secrets_and_pii()));
            base.with(ours(redacting)).into()
        }
        "spanwise-sentry-traces" => base
            .with(ours(|builder| builder.traces_sample_rate(0.01)))
            .into(),
        "sentry-tracing-errors" | "sentry-tracing-all" => {
            let options = ClientOptions::new()
                .dsn("http://key@127.0.0.1:9/1")
                .traces_sample_rate(0.0);
            Hub::main().bind_client(Some(Arc::new(Client::from(options))));
            let base = base
                .with(sentry_tracing::BreadcrumbLayer::new().with_filter(LevelFilter::INFO))
                .with(sentry_tracing::ErrorLayer::new().with_filter(LevelFilter::ERROR));
            match contender {
                "sentry-tracing-errors" => base.into(),
                // Only this layer adds the fields of spans to errors.
                _ => base
                    .with(sentry_tracing::SpanLayer::new().with_filter(LevelFilter::INFO))
                    .into(),
            }
        }
        other => panic!("{other} is unknown"),
    }
}

struct Floor;

impl<S: tracing::Subscriber> Layer<S> for Floor {}

fn repeat(workload: &str, count: u64) {
    if workload == "request" {
        (0..count).for_each(request);
        return;
    }
    let _request = info_span!("http.request", request_id = "r-1").entered();
    for number in 0..count {
        let error = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let error = &error as &dyn std::error::Error;
        match workload {
            "error" => error!(error, "payment {number} failed"),
            "again" => error!(error, number, "payment failed"),
            _ => info!(
                number,
                rows = 3_u64,
                share = 0.25,
                customer = "a customer of 24 bytes",
                "products listed"
            ),
        }
    }
}

fn request(number: u64) {
    let request = info_span!(
        "http.request",
        http.request.method = "POST",
        url.path = "/orders",
        request_id = "01a1ff86-2017-73a6-8e33-d0d23fe903a0",
        tenant_id = "acme",
        http.response.status_code = tracing::field::Empty,
    );
    request.in_scope(|| {
        info!(number, body = 512_u64, "request begins");
        info_span!("create_order", order_id = number, sku = "book").in_scope(|| {
            info!(left = 7_u64, sku = "book", "stock reserved");
            info!(
                total = 19.99,
                currency = "EUR",
                lines = 1_u64,
                "order created"
            );
        });
        request.record("http.response.status_code", 201);
        info!(
            number,
            rows = 3_u64,
            share = 0.25,
            customer = "a customer of 24 bytes",
            "request done"
        );
    });
}
