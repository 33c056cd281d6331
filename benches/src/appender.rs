//! Background writers of files: throughput, the callers' wait, allocations and memory.
//!
//! ```text
//! cargo bench -p benches --bench appender                             all of it; about a quarter of an hour
//! cargo bench -p benches --bench appender -- --contender spanwise --contender tracing-appender --workload lines --producers 2
//! cargo bench -p benches --bench appender -- --rounds 3 --lines 200000
//! cargo bench -p benches --bench appender -- --contender spanwise --workload lines --producers 2 --pass speed   one, for a profiler
//! ```
//!
//! The files are in the directory of temporary files (`TMPDIR`). No contender may lose a line: the
//! bench counts the lines in the files after every run, compressed files included, and fails if one is
//! missing.
//!
//! # How it is measured
//! Each run is a process of its own, and the contenders take turns. There are three passes, because
//! each measure would disturb the others:
//!
//! - **speed**: lines per second from the first call until the guard is dropped, when the kernel must
//!   have everything; processor time per line, over all processors; peak resident memory.
//! - **latency**: reads the clock before and after each call and keeps every wait, unrounded. The cost
//!   of reading the clock is printed with the results, and is part of them. A caller waits for one call
//!   to return before it makes the next, as threads that log do.
//! - **allocations**: counts all threads, after the first fifth of the lines.
//!
//! # Full load on few cores
//! Producers that only log, and the thread that writes, need more than two cores. The high percentiles
//! then show the scheduler, which takes a core from a caller for milliseconds, as much as the
//! contender: this load is for throughput. The `paced` workloads do what a busy service does, twenty
//! lines in a row every millisecond and thread, and leave cores idle. The contender causes the waits
//! that they show.
//!
//! Compression of a rolled file needs a core for seconds, so `paced-rotating` is the workload to
//! compare: it begins with 98 % of a file, which rolls at once and is compressed while the lines are
//! measured. In `lines-rotating` a million lines are written long before the first file is compressed:
//! it shows the cost of the rolls.
//!
//! # The contenders
//! Each writes into a directory of its own, is set up as its documentation says, and begins a file a
//! day. None loses a line, at different prices: callers of `flexi-async` never wait, because its queue
//! has no bound, and its memory grows; `flexi-buffered` has no thread. With `flat` and `request` each
//! has the usual layer in front: `JsonLayer` and `LevelLayer`, or `tracing_subscriber::fmt().json()`;
//! `limit` has code that writes the line by hand.

mod contender;
mod lines;
mod options;
mod pass;
mod rounds;
mod swap;
mod workload;

pub use contender::Contender;
pub use pass::deliver;
pub use workload::Workload;

/// Runs the bench that the arguments of the process request.
///
/// # Errors
///
/// If an argument is unknown, a child process failed, or a contender lost a line.
pub fn run(arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn std::error::Error>> {
    use options::{Mode, Options};

    let options = Options::parse(arguments)?;
    match options.mode {
        Mode::Rounds(count) => rounds::run(&options, count),
        Mode::Pass(pass) => pass::measure(&options, pass),
        Mode::Nothing => Ok(()),
    }
}
