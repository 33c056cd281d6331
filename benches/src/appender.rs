//! Background writers to a file: throughput, wait of the callers, allocations, memory.
//!
//! ```text
//! cargo bench -p benches --bench appender                             all of it; about a quarter of an hour
//! cargo bench -p benches --bench appender -- --contender spanwise --contender tracing-appender --workload lines --producers 2
//! cargo bench -p benches --bench appender -- --rounds 3 --lines 200000
//! cargo bench -p benches --bench appender -- --contender spanwise --workload lines --producers 2 --pass speed   one contender, for a profiler
//! ```
//!
//! The files are in the directory for temporary files (`TMPDIR`). No contender may lose a line:
//! each run counts the lines in the files, including compressed ones, and the bench fails if one is
//! missing.
//!
//! # How it is measured
//! Each run is a process of its own, and the contenders take turns. There are three kinds of runs,
//! since each measure would spoil another:
//!
//! - **speed**: from the first call until the guard is dropped, when the kernel must have
//!   everything; the time of all processors, per line; the peak of the resident memory.
//! - **latency**: the clock is read before and after each call, and every wait is kept, none
//!   rounded. What reading the clock costs is printed with the results, and is in them. Callers
//!   wait for the call to return before they make the next, as threads that log do.
//! - **allocations**: counted over all threads, after the first fifth of the lines.
//!
//! # What flat out means on few cores
//! Producers that do nothing but log, and the thread that writes, want more than two cores have.
//! The high percentiles are then those of the scheduler, which takes a core from a caller for some
//! milliseconds, as much as of the contender; throughput is what this load is for. The workloads
//! that are `paced` are what a busy service does, twenty lines in a row every millisecond and
//! thread, and leave cores idle: a wait that is seen there was caused by the contender.
//!
//! This holds all the more for compressing a rolled file, which wants a core for itself for
//! seconds. `paced-rotating` is the relevant one: it begins with 98 % of a file, so
//! that it rolls at once, and is compressed while the lines are measured. In `lines-rotating` a
//! million lines are written long before the first file is compressed: it shows what the rolls
//! themselves cost.
//!
//! # The contenders
//! All write into a directory of their own, and are as their documentation has them, with a file a
//! day. All lose nothing, though not for the same price: callers of `flexi-async` never wait, since
//! its queue has no bound, and its memory grows; `flexi-buffered` has no thread at all. With `flat`
//! and `request` each has the layer in front that one would install: `JsonLayer` and `LevelLayer`,
//! or `tracing_subscriber::fmt().json()`; `limit` has code that writes the line by hand.

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

/// Runs the bench as the arguments of the process request.
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
