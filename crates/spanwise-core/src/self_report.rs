//! Counters of logging itself, and reports of its faults on stderr.

use std::{
    borrow::Cow,
    fmt, io,
    sync::{
        Arc, LazyLock, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tracing_core::Level;

use crate::{
    Redact,
    internal::{
        panic_safe, stdio,
        sync::{Mutex, MutexGuard},
    },
};

/// Collects what became of the events of a sink, and what went wrong. Cheap to clone; clones share
/// their counters.
///
/// The default report is one for the whole process. Every fault is counted. stderr shows a line of
/// at most about a kilobyte, at most once in ten seconds per kind of fault, and for exporters also
/// per server. A closed stderr is ignored. A full pipe is not waited for: the next fault of that
/// kind tries again. Nothing is ever written to stdout.
#[derive(Debug, Clone)]
pub struct SelfReport(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    stderr: bool,
    redact: OnceLock<Arc<dyn Redact>>,
    sinks: Mutex<Vec<Weak<SinkCounters>>>,
    faults: [FaultCounter; Fault::ALL.len()],
    /// Those of [`fault_of`](SelfReport::fault_of).
    of_sources: Mutex<Vec<SourceFaults>>,
}

/// The faults of one kind that one source reports.
#[derive(Debug, Clone)]
struct SourceFaults {
    source: &'static str,
    fault: Fault,
    counter: Arc<FaultCounter>,
}

#[derive(Debug, Default)]
struct FaultCounter {
    count: AtomicU64,
    last_printed: Mutex<Option<LastPrinted>>,
}

#[derive(Debug, Clone, Copy)]
struct LastPrinted {
    at: Instant,
    count: u64,
}

/// A fault of the same kind is printed again after this time.
const REPEAT_INTERVAL: Duration = Duration::from_secs(10);

/// A longer detail is cut, in bytes.
const MAX_DETAIL_LEN: usize = 512;

/// A kind of failure of logging itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// An output refused a line.
    WriteFailed,
    /// An output could not flush its buffer.
    FlushFailed,
    /// Something is missing or set up wrongly; logging goes on without it.
    Setup,
    /// An output is behind and sheds lines by their level.
    Shed,
    /// Not all lines were delivered before the shutdown ended.
    Lost,
    /// The memory for buffered lines is full, and some were evicted.
    Evicted,
    /// More units of work failed in a second than a recorder writes, and the lines of some were
    /// dropped.
    Suppressed,
}

impl Fault {
    const ALL: [Self; 7] = [
        Self::WriteFailed,
        Self::FlushFailed,
        Self::Setup,
        Self::Shed,
        Self::Lost,
        Self::Evicted,
        Self::Suppressed,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::WriteFailed => "write failed",
            Self::FlushFailed => "flush failed",
            Self::Setup => "setup",
            Self::Shed => "shed",
            Self::Lost => "lines lost",
            Self::Evicted => "buffered lines evicted",
            Self::Suppressed => "buffered lines suppressed",
        }
    }
}

impl SelfReport {
    /// Creates a report with counters of its own, which prints faults on stderr.
    #[must_use]
    pub fn new() -> Self {
        Self::with_stderr(true)
    }

    /// Creates a report that only counts.
    #[must_use]
    pub fn silent() -> Self {
        Self::with_stderr(false)
    }

    fn with_stderr(stderr: bool) -> Self {
        Self(Arc::new(Inner {
            stderr,
            redact: OnceLock::new(),
            sinks: Mutex::default(),
            faults: Default::default(),
            of_sources: Mutex::default(),
        }))
    }

    /// Sets the policy for printed details, because the text of an error may contain secrets. Its
    /// counts are part of [`stats`](Self::stats). The first call wins. Defaults to no policy.
    pub fn redact(&self, policy: Arc<dyn Redact>) {
        let _ = self.0.redact.set(policy);
    }

    /// Creates counters for a sink. They are part of [`stats`](Self::stats) until the sink drops
    /// them.
    #[must_use]
    pub fn sink(&self, name: impl Into<String>) -> Arc<SinkCounters> {
        let counters = Arc::new(SinkCounters {
            name: name.into(),
            ..SinkCounters::default()
        });
        if let Some(mut sinks) = lock_in_any_process(&self.0.sinks) {
            sinks.retain(|sink| sink.strong_count() > 0);
            sinks.push(Arc::downgrade(&counters));
        }
        counters
    }

    /// Counts a fault, and prints it unless one of its kind was printed in the last ten seconds.
    #[cold]
    pub fn fault(&self, fault: Fault, detail: &dyn fmt::Display) {
        self.count_and_print(
            &self.0.faults[fault as usize],
            fault,
            detail,
            REPEAT_INTERVAL,
        );
    }

    /// Does the same as [`fault`](Self::fault) for each source separately: for sinks that fail
    /// independently. There are few sources.
    #[doc(hidden)]
    #[cold]
    pub fn fault_of(&self, source: &'static str, fault: Fault, detail: &dyn fmt::Display) {
        let of_source = self.0.of_source(source, fault);
        let counter = of_source.as_deref();
        let counter = counter.unwrap_or(&self.0.faults[fault as usize]);
        self.count_and_print(counter, fault, detail, REPEAT_INTERVAL);
    }

    /// Counts a fault and prints it at once: for faults that no later fault would report.
    #[cold]
    pub fn fault_unthrottled(&self, fault: Fault, detail: &dyn fmt::Display) {
        self.count_and_print(
            &self.0.faults[fault as usize],
            fault,
            detail,
            Duration::ZERO,
        );
    }

    fn count_and_print(
        &self,
        counter: &FaultCounter,
        fault: Fault,
        detail: &dyn fmt::Display,
        interval: Duration,
    ) {
        let count = counter.count.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.0.stderr {
            return;
        }
        // Format before locking: the detail may run user code.
        let mut text = String::new();
        panic_safe::format_into(
            &mut text,
            format_args!("{detail}"),
            <dyn Redact>::MAX_COLLECT_LEN,
        );
        let text = match self.0.redact.get() {
            Some(policy) => policy.redact_text(&text),
            None => Cow::Borrowed(&*text),
        };
        let text = panic_safe::truncate_at(&text, MAX_DETAIL_LEN);
        let now = Instant::now();
        // A thread that is printing a fault of this kind prints for this one too.
        let Some(mut last_printed) = counter.last_printed.try_lock() else {
            return;
        };
        let since = match *last_printed {
            Some(last) if now.saturating_duration_since(last.at) < interval => return,
            Some(last) => count.saturating_sub(last.count),
            None => count,
        };
        let text = text.escape_debug();
        let since = match since {
            1 => String::new(),
            since => format!(" ({since} since the last report)"),
        };
        let line = format!("spanwise: {}: {text}{since}\n", fault.name());
        // If stderr fails there is nothing left to do. If it is full, the next fault tries again.
        let written = stdio::write_to_stderr(line.as_bytes());
        if !written.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            *last_printed = Some(LastPrinted { at: now, count });
        }
    }

    /// Returns the current counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let sinks = lock_in_any_process(&self.0.sinks);
        let sinks = sinks.iter().flat_map(|sinks| sinks.iter());
        let of_sources = lock_in_any_process(&self.0.of_sources);
        let of_sources = of_sources
            .map(|sources| sources.clone())
            .unwrap_or_default();
        let faults = Fault::ALL.map(|fault| {
            let of_sources = of_sources.iter().filter(|faults| faults.fault == fault);
            let counters = of_sources
                .map(|faults| &*faults.counter)
                .chain([&self.0.faults[fault as usize]]);
            let counts = counters.map(|counter| counter.count.load(Ordering::Relaxed));
            (fault, counts.sum::<u64>())
        });
        Stats {
            sinks: sinks
                .filter_map(Weak::upgrade)
                .map(|sink| sink.stats())
                .collect(),
            faults: faults.into_iter().filter(|(_, count)| *count > 0).collect(),
            redacted: self
                .0
                .redact
                .get()
                .map(|policy| policy.counts())
                .unwrap_or_default(),
        }
    }
}

impl Inner {
    /// Returns the counter of a source. Returns `None` in the child of a fork during which another
    /// thread had the lock.
    fn of_source(&self, source: &'static str, fault: Fault) -> Option<Arc<FaultCounter>> {
        let mut sources = lock_in_any_process(&self.of_sources)?;
        let is_wanted = |known: &&SourceFaults| known.source == source && known.fault == fault;
        if let Some(known) = sources.iter().find(is_wanted) {
            return Some(Arc::clone(&known.counter));
        }
        let counter = Arc::<FaultCounter>::default();
        sources.push(SourceFaults {
            source,
            fault,
            counter: Arc::clone(&counter),
        });
        Some(counter)
    }
}

/// Locks `mutex`, for a short time. Returns `None` in the child of a fork during which another
/// thread had the lock.
fn lock_in_any_process<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    for _ in 0..1000 {
        match mutex.try_lock() {
            Some(guard) => return Some(guard),
            None => thread::sleep(Duration::from_micros(50)),
        }
    }
    None
}

impl Default for SelfReport {
    /// Returns the report of the process.
    fn default() -> Self {
        static PROCESS: LazyLock<SelfReport> = LazyLock::new(SelfReport::new);
        PROCESS.clone()
    }
}

/// What became of the events that reached a sink. Each is counted exactly once.
#[derive(Debug, Default)]
pub struct SinkCounters {
    name: String,
    delivered: AtomicU64,
    write_failed: AtomicU64,
    lost_at_shutdown: AtomicU64,
    /// Indexed by [`severity`].
    shed: [AtomicU64; 5],
}

/// Returns 0 for the most severe level.
fn severity(level: Level) -> usize {
    match level {
        Level::ERROR => 0,
        Level::WARN => 1,
        Level::INFO => 2,
        Level::DEBUG => 3,
        Level::TRACE => 4,
    }
}

impl SinkCounters {
    /// Counts lines that the output took.
    #[inline]
    pub fn add_delivered(&self, lines: u64) {
        self.delivered.fetch_add(lines, Ordering::Relaxed);
    }

    /// Counts lines that the output refused.
    pub fn add_write_failed(&self, lines: u64) {
        self.write_failed.fetch_add(lines, Ordering::Relaxed);
    }

    /// Counts a line that was shed because the output is behind.
    pub fn shed(&self, level: Level) {
        self.shed[severity(level)].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts lines that were not delivered by the deadline of the shutdown.
    pub fn add_lost_at_shutdown(&self, lines: u64) {
        self.lost_at_shutdown.fetch_add(lines, Ordering::Relaxed);
    }

    /// Returns the current counts.
    #[must_use]
    pub fn stats(&self) -> SinkStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let [error, warn, info, debug, trace] = &self.shed;
        SinkStats {
            name: self.name.clone(),
            delivered: load(&self.delivered),
            write_failed: load(&self.write_failed),
            lost_at_shutdown: load(&self.lost_at_shutdown),
            shed: ShedCounts {
                error: load(error),
                warn: load(warn),
                info: load(info),
                debug: load(debug),
                trace: load(trace),
            },
        }
    }
}

/// Counters of a [`SelfReport`] at one time.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stats {
    /// One entry per sink, in the order of their creation.
    pub sinks: Vec<SinkStats>,
    /// The kinds of fault that occurred, with their counts.
    pub faults: Vec<(Fault, u64)>,
    /// How often each rule of the policy of [`SelfReport::redact`] hid something.
    pub redacted: Vec<(String, u64)>,
}

/// Counters of one sink at one time.
///
/// Their sum, and the lines still in the buffer, are the events that reached the sink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SinkStats {
    /// The sink's name, such as `json`.
    pub name: String,
    /// Lines that the output took.
    pub delivered: u64,
    /// Lines that the output refused.
    pub write_failed: u64,
    /// Lines that were shed because the output was behind.
    pub shed: ShedCounts,
    /// Lines that were not delivered by the deadline of the shutdown.
    pub lost_at_shutdown: u64,
}

impl SinkStats {
    /// Returns the lines that were not delivered, for any reason.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.write_failed + self.shed.total() + self.lost_at_shutdown
    }
}

/// Totals of the lines of one or more sinks, at their shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Lines that the outputs took.
    pub delivered: u64,
    /// Lines that an output refused, that were shed, or that were still held at the deadline.
    pub lost: u64,
}

impl ShutdownReport {
    /// Creates the report of these sinks.
    #[must_use]
    pub fn from_stats(sinks: &[SinkStats]) -> Self {
        Self {
            delivered: sinks.iter().map(|sink| sink.delivered).sum(),
            lost: sinks.iter().map(SinkStats::lost).sum(),
        }
    }
}

impl fmt::Display for SinkStats {
    /// `stdout: 648 lines written, 19352 lost: 17025 shed (error 0, warn 3794, …), …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            delivered,
            write_failed,
            shed,
            lost_at_shutdown,
        } = self;
        let ShedCounts {
            error,
            warn,
            info,
            debug,
            trace,
        } = shed;
        write!(
            f,
            "{name}: {delivered} lines written, {} lost: {} shed (error {error}, warn {warn}, \
             info {info}, debug {debug}, trace {trace}), {write_failed} refused, \
             {lost_at_shutdown} at shutdown",
            self.lost(),
            shed.total(),
        )
    }
}

/// The number of shed lines by level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "one field per level")]
pub struct ShedCounts {
    pub error: u64,
    pub warn: u64,
    pub info: u64,
    pub debug: u64,
    pub trace: u64,
}

impl ShedCounts {
    /// Returns the sum of all levels.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.error + self.warn + self.info + self.debug + self.trace
    }
}
