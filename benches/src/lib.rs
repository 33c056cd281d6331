//! The cost of a line, here and with the peers.
//!
//! ```text
//! cargo bench -p benches                       nanoseconds and allocations, in interleaved rounds
//! cargo bench -p benches -- --instructions     instructions under callgrind: repeatable on a busy machine
//! cargo bench -p benches -- --show             the lines themselves
//! cargo bench -p benches -- --contender spanwise --contender limit --workload flat
//! ```
//!
//! Other benches measure background writers ([`appender`]), redaction ([`redaction`]), samplers
//! ([`sampling`]), the flight recorder ([`recorder`]), a server's requests ([`http`]), a client's calls
//! ([`http_client`]) and the throughput of a server ([`load`]).
//!
//! Each pair of contender and workload runs in a process of its own, with the contender as the global
//! default, as in services: a scoped dispatcher would cost every contender the same extra. The parent
//! starts the processes in turns, so that a slow minute of the machine affects all of them.

mod allocations;
pub mod appender;
mod child;
mod contender;
mod data;
pub mod http;
pub mod http_client;
mod instructions;
mod limit;
pub mod load;
mod options;
pub mod recorder;
pub mod redaction;
mod rounds;
pub mod sampling;
mod suite;
mod table;
mod workload;
mod writers;

pub use allocations::Counting;
pub use child::show;
pub use contender::Contender;
pub use workload::Workload;

/// Runs the bench that the arguments of the process request.
///
/// # Errors
///
/// If an argument is unknown, or a child process could not be started or failed.
pub fn run(arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn std::error::Error>> {
    options::Options::parse(&suite::PEERS, arguments)?.run()
}
