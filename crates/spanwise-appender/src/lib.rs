//! Log files that roll, and a writer in the background that loses nothing in silence.
//!
//! ```
//! use std::time::Duration;
//! use spanwise_appender::{Background, RollingFile};
//! use tracing_subscriber::prelude::*;
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("shop.log");
//! let file = RollingFile::builder(&path)
//!     .rotation("daily,100MiB".parse()?)
//!     .retention("14,10GiB".parse()?)
//!     .build()?;
//! let (background, guard) = Background::builder(file).build()?;
//! let stack = tracing_subscriber::registry()
//!     .with(tracing_subscriber::fmt::layer().with_ansi(false).with_writer(background));
//!
//! tracing::subscriber::with_default(stack, || tracing::info!(order_id = 42, "order created"));
//!
//! let report = guard.shutdown(Duration::from_secs(5)); // dropping it does the same
//! assert_eq!((report.delivered, report.lost), (1, 0));
//! assert!(std::fs::read_to_string(&path)?.ends_with(" order created order_id=42\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The two parts
//!
//! [`RollingFile`] is an [`io::Write`](std::io::Write) and a [`MakeWriter`](tracing_subscriber::fmt::MakeWriter): alone it writes
//! each record at once, in the thread that logs. It also goes into `tracing_appender::non_blocking`, or whatever else takes a writer.
//!
//! [`Background`] takes a `RollingFile`, `std::io::stdout()`, `std::io::stderr()` or any other writer, and is a `MakeWriter` itself.
//! Its callers copy a line into a buffer and go on; a thread writes many lines at once.
//!
//! # What it does not do
//!
//! It does not sync: what the kernel has, a loss of power may still take. It does not bring files anywhere, nor write to a file on behalf of
//! several processes: the second one gets an error, or a file of its own with [`RollingFileBuilder::per_process`].
//!
//! # Behaviour
//!
//! * *Order:* lines of one thread stay in order; each line is whole.
//! * *Memory:* the buffer, 8 MiB by default, one line that goes beyond, and eight bytes a line. Nothing is allocated for a line.
//! * *When the writer is behind:* [`WhenFull`], by level. *When it fails:* lines are held, and tried again, until the buffer is full.
//!   A reader that is gone for good costs its lines at once.
//! * *At the end:* the guard writes what is held, for at most five seconds; `std::process::exit` does too. A signal that is not
//!   handled, `exec`, `_exit` or a power loss takes what is not yet written: about a millisecond of lines, unless the writer is behind.
//! * *After the guard:* the threads that log write, and a line waits for a stalled reader for at most 100 ms.
//! * *Counted:* each line is in exactly one place of [`SinkStats`](spanwise_core::SinkStats). Lines missing from the log are told in the
//!   log, by an event at WARN of the target `spanwise`, and on stderr.
//!
//! All of it, with logrotate, containers and signals, is in `docs/operations.md` of the repository.
//!
//! # Features
//!
//! | feature | |
//! | --- | --- |
//! | `gzip`, `zstd` | compress rolled files |
//! | `sighup` | [`RollingFileBuilder`] can open the file again on SIGHUP |
//!
//! None is on by default. Outside of Unix it has no notion of free space, of files that were moved, and of forks, and was never run.
//!
//! # Troubleshooting
//!
//! * *`cannot log to …`:* the error says what stands in the way, and what to do.
//! * *Threads that log wait for a slow output:* the guard was dropped early; bind it with `let _guard = …`, in `main`.
//! * *Lines are missing:* look for `lines were left out` in the log, or at [`Background::stats`].

mod background;
mod byte_size;
mod process_hooks;
mod record_sink;
mod rolling;
#[cfg(unix)]
mod stdio_sink;
mod writer_sink;

pub use background::{Background, BackgroundBuilder, BackgroundWriter, FlushGuard, WhenFull};
pub use byte_size::ByteSize;
pub use process_hooks::{BeforeExit, before_exit};
pub use record_sink::{RecordSink, Records, StopFlag, WriteOutcome};
pub use rolling::{
    Compression, Interval, OpenError, OpenErrorKind, Retention, RollingFile, RollingFileBuilder,
    Rotation,
};
