//! Benches: the cost of a line, with spanwise and the peers.
//!
//! ```text
//! cargo bench -p benches --bench peers                       nanoseconds and allocations, in interleaved rounds
//! cargo bench -p benches --bench peers -- --instructions     instructions under callgrind: repeatable on a busy machine
//! cargo bench -p benches --bench peers -- --show             the lines themselves
//! cargo bench -p benches --bench peers -- --contender spanwise-prod --contender limit --workload flat
//! ```
//!
//! A *contender* is a configuration of spanwise or of a peer, and a *workload* is the work that
//! each contender does in repeated units.
//!
//! Other benches: the formats of receivers ([`run_formats`]), growth ([`growth`]), writing to a
//! file ([`appender`]), policies ([`redaction`]), samplers ([`sampling`]), the flight recorder
//! ([`recorder`]), routes to sinks ([`routes`]), reloads of the configuration ([`reloads`]),
//! requests of a server ([`http`]), calls of a client ([`http_client`]), OpenTelemetry ([`otel`]),
//! a server under load ([`load`]), and a server with a failing collector ([`otel_load`]).
//! `scripts/performance` runs the benches whose figures are in `docs/performance.md`.
//!
//! Each pair of contender and workload runs in a process of its own. The contender is the global
//! default subscriber, as in a service. A scoped one would add the same cost to all contenders. The
//! parent starts the processes in turns, so that a slow minute of the machine affects all of them.

mod allocations;
pub mod appender;
mod child;
mod collector;
mod contender;
mod data;
mod figures;
pub mod growth;
pub mod http;
pub mod http_client;
mod instructions;
mod limit;
pub mod load;
mod options;
pub mod otel;
pub mod otel_load;
mod own_formats;
mod prod;
pub mod recorder;
pub mod redaction;
pub mod reloads;
mod rounds;
pub mod routes;
pub mod sampling;
mod suite;
mod table;
mod workload;
mod writers;

pub use allocations::Counting;
pub use child::show;
pub use contender::{Contender, ReceiverFormat};
pub use workload::Workload;

/// Runs the bench as the arguments of the process request.
///
/// # Errors
///
/// If an argument is unknown, or a child process could not be started or failed.
pub fn run(arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn std::error::Error>> {
    options::Options::parse(&suite::PEERS, arguments)?.run()
}

/// Runs the formats of receivers against `json`, as the arguments of the process request.
///
/// # Errors
///
/// Those of [`run`].
pub fn run_formats(
    arguments: impl Iterator<Item = String>,
) -> Result<(), Box<dyn std::error::Error>> {
    options::Options::parse(&suite::FORMATS, arguments)?.run()
}
