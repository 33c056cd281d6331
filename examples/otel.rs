//! Traces, logs and metrics in OpenTelemetry, with the ids that are on the lines.
//!
//! ```text
//! cargo run --example otel
//! OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 cargo run --example otel
//! ```
//!
//! The first run exports nothing, and prints a hint. The second one needs a collector, and prints
//! how much was delivered and lost. A whole service with two processes in one trace:
//! `OTEL_EXPORTER_OTLP_ENDPOINT=… cargo run --example shop`.

#![expect(clippy::print_stderr, reason = "it explains the output")]

use std::{error::Error, sync::mpsc, thread, time::Duration};

use spanwise::{
    Preset,
    context::TraceParent,
    otel::{
        SignalStats,
        opentelemetry::{KeyValue, global},
    },
    unit_span,
};
use tracing::{error, info, info_span};

/// A message with the position of its sender in the trace.
struct Shipment {
    order_id: u64,
    parent: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let builder = spanwise::builder!()?.default_preset(Preset::Prod);
    let telemetry = builder.init()?;

    let (shipments, received) = mpsc::channel();
    let warehouse = thread::spawn(move || received.into_iter().for_each(ship));
    for order_id in [17, 42] {
        place(order_id, &shipments)?;
    }
    drop(shipments);
    warehouse.join().map_err(|_| "the warehouse panicked")?;

    let handle = telemetry.handle();
    telemetry.shutdown(Duration::from_secs(5));
    let stats = handle.otel_stats();
    if stats == Default::default() {
        eprintln!("# nothing was exported: set OTEL_EXPORTER_OTLP_ENDPOINT");
    }
    // One write, because a report of an exporter may come at the same time.
    let mut lines = String::new();
    for (name, SignalStats { outcomes, .. }) in [
        ("spans", &stats.traces),
        ("log records", &stats.logs),
        ("data points", &stats.metrics),
    ] {
        let (delivered, lost) = (outcomes.delivered, outcomes.lost());
        lines += &format!("# {name}: {delivered} delivered, {lost} lost\n");
    }
    eprint!("{lines}");
    Ok(())
}

/// A unit of work: its span is the root of a trace.
fn place(order_id: u64, shipments: &mpsc::Sender<Shipment>) -> Result<(), Box<dyn Error>> {
    let _unit = unit_span!("place order", otel.kind = "server", order_id).entered();
    info!(card = "4111 1111 1111 1111", "order placed"); // the number is not exported
    let is_paid = info_span!("charge", otel.kind = "client").in_scope(|| order_id != 17);
    let orders = global::meter("shop").u64_counter("shop.orders").build();
    orders.add(1, &[KeyValue::new("paid", is_paid)]);
    if is_paid {
        let parent = TraceParent::current().map(|current| current.to_string());
        shipments.send(Shipment { order_id, parent })?;
    } else {
        error!("payment declined"); // marks the span as failed
    }
    Ok(())
}

/// Continues the trace of the message, in another thread or process.
fn ship(Shipment { order_id, parent }: Shipment) {
    let open = || unit_span!("ship", otel.kind = "consumer", order_id);
    let parent = parent.and_then(|text| text.parse::<TraceParent>().ok());
    let unit = match parent {
        Some(parent) => parent.unit(open),
        None => open(),
    };
    unit.in_scope(|| info!("shipped"));
}
