//! The records of the victim and its counters, for the program and its judge.

use std::fmt::Write as _;

/// The padding of a record.
const PADDING: &str = "spanwise ";

/// Returns one line of `size` bytes including its end, or more if its contents need that.
pub fn record(thread: u64, number: u64, size: usize) -> String {
    let mut line = String::with_capacity(size.max(64));
    let _ = write!(line, r#"{{"t":{thread},"n":{number},"pad":""#);
    const END: &str = "\"}\n";
    while line.len() + END.len() < size {
        let left = size - END.len() - line.len();
        line.push_str(&PADDING[..left.min(PADDING.len())]);
    }
    line + END
}

/// The start of a line about the log itself.
pub const NOTICE: &str = r#"{"notice":""#;

/// The distance of a child's counters from the counters of its parent. The counters are in a file
/// that outlives the victim, and the constants below are their indexes.
pub const CHILD: usize = 64;
pub const SLOTS: usize = 2 * CHILD;

/// Whether the victim ended with complete counters.
pub const ENDED_WELL: usize = 0;
pub const DELIVERED: usize = 1;
pub const WRITE_FAILED: usize = 2;
pub const SHED: usize = 3;
pub const LOST_AT_SHUTDOWN: usize = 4;
/// Lines about the log itself.
pub const NOTICES: usize = 5;
/// Shed lines at WARN and ERROR.
pub const SHED_SEVERE: usize = 9;
/// Shed lines at INFO.
pub const SHED_INFO: usize = 10;
/// The first index of the number of calls of each thread that returned.
pub const THREADS: usize = 16;
