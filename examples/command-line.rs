//! A command-line tool: results are on stdout, and warnings and errors on stderr.
//!
//! ```text
//! cargo run --example command-line -- LICENSE-MIT          # 21 LICENSE-MIT
//! cargo run --example command-line -- -v LICENSE-MIT       # INFO  counted files=1
//! cargo run --example command-line -- -vv LICENSE-MIT      # DEBUG, with the time
//! cargo run --example command-line -- no-such-file; echo $?    # ERROR program failed …; 1
//! ```
//!
//! `batch-job.rs` is a job in a cluster, and `cron.rs` one that cron starts.

#![expect(clippy::print_stdout, reason = "the result of the tool")]

use std::{env, error::Error, fmt, fs, io, process::ExitCode};

use spanwise::Preset;
use tracing::{debug, info, warn};

fn main() -> ExitCode {
    // A parser such as clap counts for you: `#[arg(short, action = ArgAction::Count)]`.
    let (options, mut files): (Vec<_>, Vec<_>) =
        env::args().skip(1).partition(|arg| arg.starts_with('-'));
    let count = |letter| options.iter().map(|arg| arg.matches(letter).count()).sum();
    let (verbose, quiet): (usize, usize) = (count('v'), count('q'));
    if files.is_empty() {
        files.push(concat!(env!("CARGO_MANIFEST_DIR"), "/command-line.rs").to_owned());
    }

    // In code, so that the variables of a service do not change the tool.
    let telemetry = spanwise::builder!().and_then(|builder| {
        builder
            .preset(Preset::Cli)
            .verbosity(verbose as i8 - quiet as i8)
            .init()
    });
    spanwise::run(telemetry, |_| count_lines(&files))
}

fn count_lines(files: &[String]) -> Result<(), CannotRead> {
    for file in files {
        let text = fs::read_to_string(file).map_err(|cause| CannotRead {
            file: file.clone(),
            cause,
        })?;
        debug!(file, bytes = text.len(), "read");
        if text.is_empty() {
            warn!(file, "the file is empty");
        }
        println!("{} {file}", text.lines().count());
    }
    info!(files = files.len(), "counted");
    Ok(())
}

/// The error of the tool, which is its last line on stderr.
#[derive(Debug)]
struct CannotRead {
    file: String,
    cause: io::Error,
}

impl fmt::Display for CannotRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read {}", self.file)
    }
}

impl Error for CannotRead {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}
