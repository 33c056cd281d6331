//! A writer in the background.

use std::{
    any::Any,
    fmt,
    io::{self, Write},
    panic,
    sync::Arc,
    time::{Duration, Instant},
};

use spanwise_core::{Fault, Flush, SelfReport, SinkStats, internal::SinkCounters};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use crate::{RollingFile, record_sink::RecordSink, writer_sink::WriterSink};

mod admission;
mod buffer;
mod line_queue;
mod loss_events;
mod worker;

pub use admission::WhenFull;
use line_queue::{LineQueue, deadline_after};

/// Takes lines without making anybody wait for a disk or a reader, and writes them on a thread of its own.
///
/// A line is copied into one bounded buffer under a short lock. The thread takes what has gathered, for about a millisecond, and writes
/// it in large pieces; a line at ERROR goes at once. What happens when the thread is behind is [`WhenFull`].
///
/// It is a [`MakeWriter`] for `JsonLayer` and for `tracing_subscriber::fmt`, and an [`io::Write`] of which each call is one record,
/// treated as if it were at WARN. Clones write to the same buffer.
///
/// Each line that was given to it is counted once in [`stats`](Self::stats): delivered, refused by the writer, shed, or lost at
/// shutdown. Lines missing from the log are told by the log: an event at WARN with the target `spanwise` says how many of which level.
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
/// # After a fork
/// The child writes only what it logs itself, on a thread of its own, which starts with its first line. What was held is written by
/// the parent: before the fork if the output takes it within a moment, so that the parent of a daemon may end at once.
///
/// # Before an `exec`
/// `exec` and `_exit` end a program without running any of its code. Call [`flush`](Self::flush) before them.
#[derive(Clone)]
pub struct Background {
    queue: Arc<LineQueue>,
}

/// Keeps the thread of a [`Background`]. Dropping it writes what is held, which takes at most five seconds.
///
/// A program that ends by `std::process::exit` ends it as well. After that, the threads that log write. A line then waits for a
/// stalled reader for at most 100 ms; what is not taken is held for the next line, or for the end of the program.
#[must_use = "dropping it shuts the background writer down: bind it with `let _guard = …`, not `let _ = …`"]
pub struct FlushGuard {
    background: Background,
}

/// What became of all lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Lines that the writer took.
    pub delivered: u64,
    /// Lines that it refused, that were shed, and that it had not taken at the deadline.
    pub lost: u64,
}

/// Chooses how a [`Background`] behaves.
#[must_use = "no thread is started until `build` is called"]
pub struct BackgroundBuilder {
    sink: Box<dyn RecordSink>,
    options: Options,
    report: SelfReport,
}

#[derive(Debug, Clone)]
struct Options {
    name: String,
    capacity: usize,
    when_full: WhenFull,
    sync_on: Option<Level>,
    flush_on_panic: bool,
    direct: bool,
}

const PANIC_TIMEOUT: Duration = Duration::from_millis(500);
const DROP_TIMEOUT: Duration = Duration::from_secs(5);
const MIN_CAPACITY: usize = 4 * 1024;

impl Background {
    /// Writes to `writer`: a [`RollingFile`], `std::io::stdout()`, `std::io::stderr()`, or any other.
    ///
    /// The two standard streams are written to directly, past the buffer of `std`, and in pieces that a pipe takes whole: lines of up
    /// to 4 KiB are not mixed with those of other processes, and a reader that stalls does not delay the shutdown. Any other writer
    /// gets many lines in one `write`; a line of which it took a part is completed when it takes more.
    pub fn builder(writer: impl Write + Send + 'static) -> BackgroundBuilder {
        let (sink, name) = sink_for(writer);
        BackgroundBuilder::new(sink, name)
    }

    /// Writes to an output of your own: see [`RecordSink`].
    pub fn for_sink(sink: impl RecordSink + 'static) -> BackgroundBuilder {
        BackgroundBuilder::new(Box::new(sink), "sink")
    }

    /// Takes lines of this level.
    #[inline]
    #[must_use]
    pub fn writer(&self, level: Level) -> BackgroundWriter<'_> {
        BackgroundWriter {
            background: self,
            level,
        }
    }

    /// What became of the lines so far.
    #[must_use]
    pub fn stats(&self) -> SinkStats {
        self.queue.here().counters.stats()
    }

    /// Writes all lines taken so far, waiting at most `deadline` for it.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] if some are still held at the deadline; what the writer said, if it refuses lines.
    pub fn flush(&self, deadline: Duration) -> io::Result<()> {
        self.queue.here().flush(deadline_after(deadline))
    }

    /// [`flush`](Self::flush), for a panic hook. Once one waited for `at_most` in vain, the next ones
    /// do not wait until the writer takes something.
    ///
    /// # Errors
    /// Those of [`flush`](Self::flush).
    pub fn flush_in_panic(&self, at_most: Duration) -> io::Result<()> {
        self.queue.here().flush_in_panic(at_most)
    }
}

impl Flush for Background {
    fn flush_by(&self, deadline: Instant) -> io::Result<()> {
        self.queue.here().flush(deadline)
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background")
            .field("options", &self.queue.options)
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
                when_full: WhenFull::default(),
                sync_on: None,
                flush_on_panic: false,
                direct: false,
            },
            report: SelfReport::default(),
        }
    }

    /// Sets the name under which it is counted and complains. Default: `stdout`, `stderr`, `file` or `writer`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.options.name = name.into();
        self
    }

    /// Sets how many bytes of lines it holds before it is full; one line may go beyond. Default: 8 MiB; at least 4 KiB.
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.options.capacity = bytes.max(MIN_CAPACITY);
        self
    }

    /// Sets what happens to lines when it fills. Default: [`WhenFull::ShedByLevel`] with 100 ms.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.options.when_full = when_full;
        self
    }

    /// Makes the caller of a line of this level, or a more severe one, wait until the kernel has it: at most a second, and not while
    /// the writer refuses lines. Default: nobody waits.
    pub fn sync_on(mut self, level: Level) -> Self {
        self.options.sync_on = Some(level);
        self
    }

    /// Flushes whenever a thread panics, for at most 500 ms, and then runs the panic hook that was there before. With
    /// `panic = "abort"` nothing else would flush. Reports what is still held after that. Defaults to no hook.
    pub fn flush_on_panic(mut self) -> Self {
        self.options.flush_on_panic = true;
        self
    }

    /// Writes each line on the thread that logs it, in its place among what else the program prints, instead of on a thread of its own.
    /// Defaults to a thread.
    ///
    /// A line waits for its reader for at most 100 ms, or less if [`when_full`](Self::when_full) lets it wait less. What is not taken in
    /// that time is held, and written before the next line or at the end.
    pub fn direct(mut self) -> Self {
        self.options.direct = true;
        self
    }

    /// Reports to `report`. Default: the report of the process.
    pub fn report(mut self, report: &SelfReport) -> Self {
        self.report = report.clone();
        self
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// What the system says when it has no thread to give.
    pub fn build(self) -> io::Result<(Background, FlushGuard)> {
        let counters: Arc<SinkCounters> = self.report.sink(self.options.name.clone());
        let queue = LineQueue::start(self.options, self.sink, counters, self.report)?;
        let background = Background { queue };
        if background.queue.options.flush_on_panic {
            background.clone().flush_in_panic_hook();
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
    /// Writes what is held, waiting at most `deadline` for it, and says what became of all lines.
    #[expect(
        clippy::must_use_candidate,
        reason = "most programs end here and ask no more"
    )]
    pub fn shutdown(self, deadline: Duration) -> Report {
        self.end(deadline)
    }

    fn end(&self, deadline: Duration) -> Report {
        self.background
            .queue
            .here()
            .shutdown(deadline_after(deadline))
    }
}

impl Drop for FlushGuard {
    fn drop(&mut self) {
        self.end(DROP_TIMEOUT);
    }
}

impl fmt::Debug for FlushGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FlushGuard").field(&self.background).finish()
    }
}

/// Takes one record of a [`Background`] with each call.
#[derive(Debug)]
pub struct BackgroundWriter<'a> {
    background: &'a Background,
    level: Level,
}

impl Write for BackgroundWriter<'_> {
    #[inline]
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.background.append(self.level, record);
        Ok(record.len())
    }

    /// Does nothing: a line is on its way.
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

/// How a line of unknown level is treated: as one that may be important.
const UNKNOWN_LEVEL: Level = Level::WARN;

impl Background {
    fn flush_in_panic_hook(self) {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let queue = self.queue.here();
            if let Err(error) = queue.flush_in_panic(PANIC_TIMEOUT) {
                let report = &queue.report;
                if cfg!(panic = "abort") {
                    // What is held now is lost, and nobody comes to say so later.
                    report.fault_unthrottled(Fault::Lost, &error);
                } else {
                    report.fault(Fault::FlushFailed, &error);
                }
            }
            previous(info);
        }));
    }

    #[inline]
    fn append(&self, level: Level, record: &[u8]) {
        if !record.is_empty() {
            self.queue.here().append(level, record);
        }
    }
}

impl Write for Background {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.append(UNKNOWN_LEVEL, record);
        Ok(record.len())
    }

    /// Waits until what was taken is written, for at most five seconds.
    fn flush(&mut self) -> io::Result<()> {
        Self::flush(self, DROP_TIMEOUT)
    }
}

/// The writer as what it is, where that is more than any writer, and what to call it.
fn sink_for<W: Write + Send + 'static>(writer: W) -> (Box<dyn RecordSink>, &'static str) {
    let mut writer = Some(writer);
    let any: &mut dyn Any = &mut writer;
    if let Some(file) = any
        .downcast_mut::<Option<RollingFile>>()
        .and_then(Option::take)
    {
        return (Box::new(file), "file");
    }
    if any.is::<Option<io::Stdout>>() {
        return (stdout_sink(), "stdout");
    }
    if any.is::<Option<io::Stderr>>() {
        return (stderr_sink(), "stderr");
    }
    match writer {
        Some(writer) => (Box::new(WriterSink::new(writer)), "writer"),
        // It was a `RollingFile`, which returned above.
        None => (Box::new(WriterSink::new(io::sink())), "writer"),
    }
}

#[cfg(unix)]
fn stdout_sink() -> Box<dyn RecordSink> {
    use crate::stdio_sink::{StdStream, StdioSink};
    Box::new(StdioSink::new(StdStream::Stdout))
}

#[cfg(unix)]
fn stderr_sink() -> Box<dyn RecordSink> {
    use crate::stdio_sink::{StdStream, StdioSink};
    Box::new(StdioSink::new(StdStream::Stderr))
}

#[cfg(not(unix))]
fn stdout_sink() -> Box<dyn RecordSink> {
    Box::new(WriterSink::new(io::stdout()))
}

#[cfg(not(unix))]
fn stderr_sink() -> Box<dyn RecordSink> {
    Box::new(WriterSink::new(io::stderr()))
}
