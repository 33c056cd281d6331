//! A bounded buffer in front of an output, and the thread that writes the buffered lines.
//!
//! With it, the threads that log do not wait for a slow output.

use std::{
    any::Any,
    fmt,
    io::{self, Write},
    panic,
    sync::Arc,
    time::{Duration, Instant},
};

use spanwise_core::{
    Fault, Flush, SelfReport, ShutdownReport, SinkStats,
    internal::{SinkCounters, deadline_after},
};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

#[cfg(unix)]
use crate::stdio_sink::{StdStream, StdioSink};
use crate::{RollingFile, record_sink::RecordSink, writer_sink::WriterSink};

mod admission;
mod buffer;
mod line_queue;
mod loss_events;
mod worker;

pub use admission::WhenFull;
use line_queue::{LineQueue, ProcessQueue};

/// A bounded buffer in front of an output. A dedicated thread writes the lines, and every line is
/// counted.
///
/// While the buffer has room, the threads that log do not wait for a disk or a reader. They only
/// copy a line into the buffer under a short lock. The writer thread collects lines for about a
/// millisecond and writes them together. It writes a line at ERROR immediately. [`WhenFull`]
/// decides what happens if the buffer fills.
///
/// A `Background` is a [`MakeWriter`] for `JsonLayer` and for `tracing_subscriber::fmt`. It is also
/// an [`io::Write`]: each `write` is one line at WARN. Clones write to the same buffer.
///
/// Each line is counted once in [`stats`](Self::stats): delivered, failed to write, shed (dropped
/// because the buffer was full), or lost at shutdown. Events at WARN with the target `spanwise`
/// report shed lines per level, and the lines that a failing output lost.
///
/// ```
/// use std::{io::Write, time::Duration};
/// use spanwise_appender::Background;
///
/// let (background, guard) = Background::builder(std::io::stdout()).build()?;
/// let log = tracing_subscriber::fmt().with_ansi(false).with_writer(background.clone()).finish();
/// tracing::subscriber::with_default(log, || tracing::info!("ready"));
///
/// let report = guard.shutdown(Duration::from_secs(5));
/// assert_eq!((report.delivered, report.lost), (1, 0));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Forks
/// `fork()` first waits up to 500 ms until the buffered lines are written, because a daemonizing
/// parent exits right after the fork. If a write is still in progress, `fork()` waits up to 1 s in
/// total, for all outputs together. After a timeout, later forks skip the wait while the output
/// stays blocked. The child does not inherit buffered lines; the parent writes them. The child
/// starts its own thread with its first line.
///
/// # Before an `exec`
/// `exec` and `_exit` replace or end the process without running any more of its code. Call
/// [`flush`](Self::flush) before them.
#[derive(Clone)]
pub struct Background {
    queue: Arc<ProcessQueue>,
}

/// Keeps the writer thread of a [`Background`] running. Dropping it flushes the buffered lines,
/// waiting at most five seconds.
///
/// On Unix, `std::process::exit` also flushes them, although it drops no guard. After a shutdown,
/// each line is written by the thread that logs it, as with
/// [`direct`](BackgroundBuilder::direct).
#[derive(Debug)]
#[must_use = "dropping it shuts the background writer down: bind it with `let _guard = …`, not `let _ = …`"]
pub struct FlushGuard {
    background: Background,
}

/// Sets up a [`Background`].
#[must_use = "no thread is started until `build` is called"]
pub struct BackgroundBuilder {
    sink: Box<dyn RecordSink>,
    options: Options,
    report: SelfReport,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    name: String,
    capacity: usize,
    when_full: WhenFull,
    sync_on: Option<Level>,
    flush_on_panic: bool,
    direct: bool,
}

/// The longest wait of the panic hook.
const PANIC_TIMEOUT: Duration = Duration::from_millis(500);
/// The longest wait of a flush or a drop for which the caller chooses no timeout.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// In bytes.
const MIN_CAPACITY: usize = 4 * 1024;

/// The assumed level of a line whose level is unknown. WARN, because the line may be important, and
/// by default lines at INFO and below are shed first.
const UNKNOWN_LEVEL: Level = Level::WARN;

impl Background {
    /// Creates a builder for a writer: a [`RollingFile`], `std::io::stdout()`, `std::io::stderr()`,
    /// or any other.
    ///
    /// On Unix, the standard streams are written without the buffer of `std`. Unless the stream is
    /// a regular file, each write has at most `PIPE_BUF` bytes, and is atomic on a pipe. So lines
    /// up to 4 KiB (the Linux value) do not interleave with lines of other processes. A shutdown
    /// interrupts a write that waits for a stalled reader, shortly before the shutdown times out.
    ///
    /// A writer of your own receives many lines in one `write`. After a partial write, the next
    /// `write` starts with the rest of the partial line.
    pub fn builder(writer: impl Write + Send + 'static) -> BackgroundBuilder {
        let (sink, name) = sink_for(writer);
        BackgroundBuilder::new(sink, name)
    }

    /// Creates a builder for an output of your own: see [`RecordSink`].
    pub fn for_sink(sink: impl RecordSink + 'static) -> BackgroundBuilder {
        BackgroundBuilder::new(Box::new(sink), "sink")
    }

    /// Returns a writer for lines of this level.
    #[inline]
    #[must_use]
    pub fn writer(&self, level: Level) -> BackgroundWriter<'_> {
        BackgroundWriter {
            background: self,
            level,
        }
    }

    /// Returns the counts of the lines so far.
    #[must_use]
    pub fn stats(&self) -> SinkStats {
        self.queue().counters.stats()
    }

    /// Returns the counters of the lines.
    #[doc(hidden)]
    #[must_use]
    pub fn counters(&self) -> Arc<SinkCounters> {
        Arc::clone(&self.queue().counters)
    }

    /// Waits until all lines accepted so far are written, for at most `timeout`.
    ///
    /// # Errors
    /// * [`io::ErrorKind::TimedOut`] if lines are still in the buffer after `timeout`.
    /// * The kind of the writer's error if the writer refuses lines.
    /// * [`io::ErrorKind::Other`] if the writer itself calls this method.
    pub fn flush(&self, timeout: Duration) -> io::Result<()> {
        self.queue().flush(deadline_after(timeout))
    }

    /// Flushes like [`flush`](Self::flush), for a panic hook. After a timeout, the flushes of later
    /// panics return at once. They wait again when the writer has accepted or refused a line.
    ///
    /// # Errors
    /// The same as [`flush`](Self::flush).
    pub fn flush_in_panic(&self, timeout: Duration) -> io::Result<()> {
        self.queue().flush_in_panic(timeout)
    }

    /// Returns the queue of this process. After a fork, the first call in the child creates a
    /// queue.
    #[inline]
    fn queue(&self) -> &LineQueue {
        self.queue.for_this_process(LineQueue::for_child)
    }

    #[inline]
    fn append(&self, level: Level, line: &[u8]) {
        if !line.is_empty() {
            self.queue().append(level, line);
        }
    }

    fn install_panic_hook(self) {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let queue = self.queue();
            if let Err(error) = queue.flush_in_panic(PANIC_TIMEOUT) {
                if cfg!(panic = "abort") {
                    // The process ends without another flush, so the buffered lines are lost. This
                    // is the last chance to report the loss.
                    queue.report.fault_unthrottled(Fault::Lost, &error);
                } else {
                    queue.report.fault(Fault::FlushFailed, &error);
                }
            }
            previous(info);
        }));
    }
}

impl Flush for Background {
    fn flush_by(&self, deadline: Instant) -> io::Result<()> {
        self.queue().flush(deadline)
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background")
            .field("options", &self.queue().options)
            .finish_non_exhaustive()
    }
}

impl BackgroundBuilder {
    fn new(sink: Box<dyn RecordSink>, name: &str) -> Self {
        Self {
            sink,
            options: Options {
                name: name.to_owned(),
                capacity: 8 * 1024 * 1024,
                ..Options::default()
            },
            report: SelfReport::default(),
        }
    }

    /// Sets the name of the output in counters and reports. Defaults to `stdout`, `stderr`, `file`,
    /// `writer` or `sink`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.options.name = name.into();
        self
    }

    /// Sets the size of the buffer in bytes. A single line may be longer. Defaults to 8 MiB. The
    /// minimum is 4 KiB.
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.options.capacity = bytes.max(MIN_CAPACITY);
        self
    }

    /// Sets what happens to lines while the buffer fills. Defaults to [`WhenFull::ShedByLevel`]
    /// with 100 ms.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.options.when_full = when_full;
        self
    }

    /// Makes each logging call at this level or a more severe one wait, for at most one second,
    /// until its line is written. The call does not wait while the writer fails. This is not an
    /// fsync. Defaults to no level.
    pub fn sync_on(mut self, level: Level) -> Self {
        self.options.sync_on = Some(level);
        self
    }

    /// Installs a panic hook that flushes, for at most 500 ms, and then runs the previous hook.
    /// With `panic = "abort"` nothing else flushes, and the hook reports the lines it could not
    /// write. Defaults to no hook.
    pub fn flush_on_panic(mut self) -> Self {
        self.options.flush_on_panic = true;
        self
    }

    /// Writes each line on the thread that logs it, so that log lines and other output keep their
    /// order. Defaults to a background thread.
    ///
    /// If the buffer is full, the logging call first waits for room, as
    /// [`when_full`](Self::when_full) says. Then it waits at most 100 ms for stdout or stderr, or
    /// less if `when_full` has a shorter wait. A file or a writer of your own may block the call
    /// for longer. A line that the output did not accept in this time stays buffered. It is written
    /// together with the next line, or when the program ends.
    pub fn direct(mut self) -> Self {
        self.options.direct = true;
        self
    }

    /// Sets where lines are counted, and where losses are reported. Defaults to the process-wide
    /// [`SelfReport`].
    pub fn report(mut self, report: &SelfReport) -> Self {
        self.report = report.clone();
        self
    }

    /// Creates the buffer, and starts the writer thread unless [`direct`](Self::direct) is set.
    ///
    /// # Errors
    /// The I/O error if the thread cannot be started.
    pub fn build(self) -> io::Result<(Background, FlushGuard)> {
        let counters = self.report.sink(self.options.name.clone());
        let flush_on_panic = self.options.flush_on_panic;
        let queue = LineQueue::start(self.options, self.sink, counters, self.report)?;
        let background = Background { queue };
        if flush_on_panic {
            background.clone().install_panic_hook();
        }
        let guard = FlushGuard {
            background: background.clone(),
        };
        Ok((background, guard))
    }
}

impl fmt::Debug for BackgroundBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackgroundBuilder")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl FlushGuard {
    /// Flushes the buffered lines, waiting at most `timeout`, and returns the total counts of
    /// lines.
    #[expect(
        clippy::must_use_candidate,
        reason = "most programs end here and do not need the totals"
    )]
    pub fn shutdown(self, timeout: Duration) -> ShutdownReport {
        self.shut_down(timeout)
    }

    fn shut_down(&self, timeout: Duration) -> ShutdownReport {
        self.background.queue().shutdown(deadline_after(timeout))
    }
}

impl Drop for FlushGuard {
    fn drop(&mut self) {
        self.shut_down(FLUSH_TIMEOUT);
    }
}

/// A writer of a [`Background`] for lines of one level. Each `write` is one line.
#[derive(Debug)]
pub struct BackgroundWriter<'a> {
    background: &'a Background,
    level: Level,
}

impl Write for BackgroundWriter<'_> {
    #[inline]
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.background.append(self.level, line);
        Ok(line.len())
    }

    /// Does nothing, because the writer thread writes the line soon.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Background {
    type Writer = BackgroundWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        self.writer(UNKNOWN_LEVEL)
    }

    #[inline]
    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        self.writer(*metadata.level())
    }
}

impl Write for Background {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.append(UNKNOWN_LEVEL, line);
        Ok(line.len())
    }

    /// Waits until the lines accepted so far are written, for at most five seconds.
    fn flush(&mut self) -> io::Result<()> {
        Self::flush(self, FLUSH_TIMEOUT)
    }
}

/// Returns the sink for a writer, and the default name of the output. Files and standard streams
/// have sinks of their own.
fn sink_for<W: Write + Send + 'static>(writer: W) -> (Box<dyn RecordSink>, &'static str) {
    let mut writer = Some(writer);
    let as_any: &mut dyn Any = &mut writer;
    if as_any.is::<Option<io::Stdout>>() {
        return (stdout_sink(), "stdout");
    }
    if as_any.is::<Option<io::Stderr>>() {
        return (stderr_sink(), "stderr");
    }
    let file = as_any.downcast_mut::<Option<RollingFile>>();
    if let Some(file) = file.and_then(Option::take) {
        return (Box::new(file), "file");
    }
    match writer {
        Some(writer) => (Box::new(WriterSink::new(writer)), "writer"),
        // Unreachable: only a `RollingFile` is taken, and its sink was returned above.
        None => (Box::new(WriterSink::new(io::sink())), "writer"),
    }
}

fn stdout_sink() -> Box<dyn RecordSink> {
    #[cfg(unix)]
    return Box::new(StdioSink::new(StdStream::Stdout));
    #[cfg(not(unix))]
    Box::new(WriterSink::new(io::stdout()))
}

fn stderr_sink() -> Box<dyn RecordSink> {
    #[cfg(unix)]
    return Box::new(StdioSink::new(StdStream::Stderr));
    #[cfg(not(unix))]
    Box::new(WriterSink::new(io::stderr()))
}
