//! Rolling log files, and a background writer that counts every line it loses.
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
//! let lines = tracing_subscriber::fmt::layer().with_ansi(false).without_time();
//! let stack = tracing_subscriber::registry().with(lines.with_writer(background));
//!
//! tracing::subscriber::with_default(stack, || {
//!     tracing::info!(target: "shop", order_id = 42, "order created");
//! });
//!
//! let report = guard.shutdown(Duration::from_secs(5)); // dropping the guard does the same
//! assert_eq!((report.delivered, report.lost), (1, 0));
//! assert_eq!(std::fs::read_to_string(&path)?, " INFO shop: order created order_id=42\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Parts
//!
//! Each part also works alone.
//!
//! * [`RollingFile`] is an [`io::Write`](std::io::Write) and a
//!   [`MakeWriter`](tracing_subscriber::fmt::MakeWriter). Alone, it writes each record immediately,
//!   on the thread that logs. It also works with `tracing_appender::non_blocking`.
//! * [`Background`] is a `MakeWriter` in front of a `RollingFile`, of `std::io::stdout()` or
//!   `std::io::stderr()`, of any other writer, or of your own [`RecordSink`]. The threads that log
//!   copy lines into a buffer, and one thread writes many lines together.
//!
//! # When not to use it
//!
//! * It does not sync lines to the disk. A power failure may lose lines that the kernel has not
//!   written there.
//! * It does not send files anywhere.
//! * It does not write to one file from several processes. The second process receives an error, or
//!   its own file with [`RollingFileBuilder::per_process`].
//!
//! # Behaviour and limits
//!
//! * **Order:** the lines of each thread keep their order, and no line is split over two files.
//! * **Memory:** the buffer holds 8 MiB of text by default. A single line may be longer. Each
//!   buffered line takes eight more bytes, which do not count. The memory of the buffer is reused.
//! * **A slow output:** [`WhenFull`] sheds lines by level, or makes callers wait.
//! * **A failing output:** the writes of buffered lines are retried until the output accepts them.
//!   [`WhenFull`] applies to new lines. If the reader of a pipe has closed it, the lines are lost
//!   at once.
//! * **Shutdown:** dropping the guard flushes the buffered lines, waiting at most five seconds. On
//!   Unix, so does `std::process::exit`. An unhandled signal, `exec`, `_exit` or a power failure
//!   loses the buffered lines. Usually, the buffer has only the lines of the last millisecond.
//! * **After the shutdown:** each thread writes its own lines. A stalled reader of stdout or stderr
//!   blocks a thread for at most 100 ms per line while the buffer has room. A file or a writer of
//!   your own may block it for longer.
//! * **Accounting:** each line that is no longer buffered is in exactly one counter of
//!   [`SinkStats`](spanwise_core::SinkStats). An event at WARN with the target `spanwise` reports
//!   lines that are missing from the log, and so does a line on stderr.
//!
//! `docs/operations.md` in the repository has the details, also for logrotate, containers and
//! signals. On systems other than Unix, the crate is untested, and cannot detect free space, moved
//! files, forks or the end of the process.
//!
//! # Settings
//!
//! [`Rotation`], [`Retention`], [`Compression`] and [`ByteSize`] have text forms with `FromStr` and
//! `Display`, for configuration files and variables. The facade `spanwise` reads them from the
//! `LOG_FILE…` variables.
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | effect |
//! | --- | --- |
//! | `gzip`, `zstd` | each adds a [`Compression`] of rolled files |
//! | `sighup` | adds `RollingFileBuilder::reopen_on_sighup` |
//!
//! # Troubleshooting
//!
//! * **`cannot log to …`**: the error states the cause and the remedy.
//! * **Threads that log wait for a slow output**: the guard was dropped early. Bind it in `main`,
//!   with `let _guard = …`.
//! * **Lines are missing**: search the log for `lines were dropped`, or read [`Background::stats`].

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
