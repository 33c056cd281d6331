//! What the victim writes, and what it counts: known to the program and to those who judge it.

use std::fmt::Write as _;

/// What fills a record up.
const PADDING: &str = "spanwise ";

/// One line, `size` bytes long with its end if it has room for what it says.
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

/// How a line about the log itself begins.
pub const NOTICE: &str = r#"{"notice":""#;

/// Where the victim keeps a number, in a file of such, which outlives it however it ends. Counters of a child come this far
/// after those of its parent.
pub const CHILD: usize = 64;
pub const SLOTS: usize = 2 * CHILD;

/// The victim knows what became of its lines.
pub const ENDED_WELL: usize = 0;
pub const DELIVERED: usize = 1;
pub const WRITE_FAILED: usize = 2;
pub const SHED: usize = 3;
pub const LOST_AT_SHUTDOWN: usize = 4;
/// Lines about the log itself.
pub const NOTICES: usize = 5;
/// Of lines shed, those at WARN and ERROR.
pub const SHED_SEVERE: usize = 9;
/// Of lines shed, those at INFO.
pub const SHED_INFO: usize = 10;
/// How many of each thread's calls returned: from here.
pub const THREADS: usize = 16;
