//! Background writers to a file: throughput, wait of the callers, allocations, memory.
//!
//! ```text
//! cargo bench -p benches --bench appender                             all cases; about a quarter of an hour
//! cargo bench -p benches --bench appender -- --contender spanwise --contender tracing-appender --workload lines --producers 2
//! cargo bench -p benches --bench appender -- --rounds 3 --lines 200000
//! cargo bench -p benches --bench appender -- --contender spanwise --workload lines --producers 2 --pass speed   one contender, for a profiler
//! ```
//!
//! The files are in the directory for temporary files (`TMPDIR`). No contender may lose a line:
//! each run counts the lines in the files, including compressed ones, and the bench fails if one is
//! missing.
//!
//! # Measurement
//! Each run is a process of its own, and the contenders take turns. A *producer* is a thread that
//! logs. There are three kinds of runs, because each measurement would distort the others:
//!
//! - **speed**: the time from the first call until the guard is dropped, when all lines have been
//!   passed to the kernel. Also the processor time of all threads per line, and the peak of the
//!   resident memory.
//! - **latency**: the time of each call, from a clock that is read before and after it. The results
//!   include the cost of these reads, which is printed with them. A producer makes its next call
//!   when the last one has returned, as threads that log do.
//! - **allocations**: those of all threads, after the first fifth of the lines.
//!
//! # Producers at full speed on few cores
//! Producers that only log, and the thread that writes, need more than two cores. On two cores, the
//! high percentiles depend on the scheduler as much as on the contender, because it takes the core
//! from a caller for some milliseconds. So use this load to compare throughput. In the `paced`
//! workloads, each producer logs twenty lines in a row every millisecond, like a busy service.
//! Cores are idle in between, so the contender causes the waits.
//!
//! Compression of a rolled file needs a core of its own for seconds. So `paced-rotating` is the
//! relevant workload with compression. It begins with 97 % of a file, so that the file rolls soon
//! and is compressed while lines are measured. In `lines-rotating` a million lines are written long
//! before the first file is compressed, so it shows only the cost of the rolls.
//!
//! # The contenders
//! Each contender writes into a directory of its own, as its documentation recommends, with one
//! file per day. None loses a line. Callers of `flexi-async` never wait, because its queue has no
//! bound, and its memory grows. In `flexi-buffered`, callers write. With `flat` and `request`, a
//! layer is in front of the contender: `JsonLayer` and `LevelLayer`, or
//! `tracing_subscriber::fmt().json()`. In front of `limit`, code writes the line by hand.

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
