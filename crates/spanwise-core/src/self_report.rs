//! What logging says about itself: counters, and a line on stderr when something is wrong.

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

/// Where layers report what became of their events, and what went wrong. Cheap to clone; clones share their counters.
///
/// The default is one for the whole process. A fault is counted always, and told on stderr at most once in ten seconds per kind
/// of fault, in a line of at most about a kilobyte; a stderr that is closed is ignored, and a pipe that is full is not waited for:
/// the fault is told when one of its kind comes next. Nothing is ever written to stdout.
#[derive(Debug, Clone)]
pub struct SelfReport(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    stderr: bool,
    redact: OnceLock<Arc<dyn Redact>>,
    sinks: Mutex<Vec<Weak<SinkCounters>>>,
    faults: [FaultCounter; Fault::ALL.len()],
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

const REPEAT_INTERVAL: Duration = Duration::from_secs(10);

/// A detail is cut at this many bytes.
const MAX_DETAIL_LEN: usize = 512;

/// A kind of failure of logging itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// An output refused a line.
    WriteFailed,
    /// An output could not hand on what it held.
    FlushFailed,
    /// Something that should be in place is not; logging goes on without it.
    Setup,
    /// An output is behind, and lines are left out by their level.
    Shed,
    /// Logging was shut down, and not all lines were delivered.
    Lost,
    /// The memory for lines that are kept is full, and some of them left.
    Evicted,
    /// More units of work failed than a recorder writes in a second, and lines of some were
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
            Self::Evicted => "kept lines evicted",
            Self::Suppressed => "kept lines suppressed",
        }
    }
}

impl SelfReport {
    /// A report of its own, with counters from zero, that tells faults on stderr.
    #[must_use]
    pub fn new() -> Self {
        Self::with_stderr(true)
    }

    /// A report of its own that only counts.
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
        }))
    }

    /// Hides in what is told from now on what `policy` says: an error may show what it is about. Its counters are part of
    /// [`stats`](Self::stats). The first policy stays. Default: nothing is hidden.
    pub fn redact(&self, policy: Arc<dyn Redact>) {
        // Another one is not wanted.
        let _ = self.0.redact.set(policy);
    }

    /// Counters for one sink, part of [`stats`](Self::stats) for as long as the sink keeps them.
    #[must_use]
    pub fn sink(&self, name: impl Into<String>) -> Arc<SinkCounters> {
        let counters = Arc::new(SinkCounters {
            name: name.into(),
            ..SinkCounters::default()
        });
        if let Some(mut sinks) = self.0.sinks() {
            sinks.retain(|sink| sink.strong_count() > 0);
            sinks.push(Arc::downgrade(&counters));
        }
        counters
    }

    /// Counts a fault, and tells it on stderr unless one of its kind was told in the last ten seconds.
    #[cold]
    pub fn fault(&self, fault: Fault, detail: &dyn fmt::Display) {
        self.count_and_print(fault, detail, REPEAT_INTERVAL);
    }

    /// Counts a fault, and tells it on stderr whatever was told before: there is no later time to tell it.
    #[cold]
    pub fn fault_unthrottled(&self, fault: Fault, detail: &dyn fmt::Display) {
        self.count_and_print(fault, detail, Duration::ZERO);
    }

    fn count_and_print(&self, fault: Fault, detail: &dyn fmt::Display, interval: Duration) {
        let counter = &self.0.faults[fault as usize];
        let count = counter.count.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.0.stderr {
            return;
        }
        // Before the lock: the detail may be anybody's `Display`.
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
        // Whoever tells this kind of fault right now tells it for us.
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
            since => format!(" ({since} since last told)"),
        };
        let line = format!("spanwise: {}: {text}{since}\n", fault.name());
        // Nothing is left to tell if stderr itself fails. If it is only behind, the next fault of this kind tries again.
        let written = stdio::write_to_stderr(line.as_bytes());
        if !written.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            *last_printed = Some(LastPrinted { at: now, count });
        }
    }

    /// All counters as they are now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let sinks = self.0.sinks();
        let sinks = sinks.iter().flat_map(|sinks| sinks.iter());
        let faults = Fault::ALL.map(|fault| {
            (
                fault,
                self.0.faults[fault as usize].count.load(Ordering::Relaxed),
            )
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
    /// The sinks; none in the child of a fork at which a thread had them that is not in the child.
    fn sinks(&self) -> Option<MutexGuard<'_, Vec<Weak<SinkCounters>>>> {
        for _ in 0..1000 {
            match self.sinks.try_lock() {
                Some(sinks) => return Some(sinks),
                None => thread::sleep(Duration::from_micros(50)),
            }
        }
        None
    }
}

impl Default for SelfReport {
    /// The report of the process.
    fn default() -> Self {
        static PROCESS: LazyLock<SelfReport> = LazyLock::new(SelfReport::new);
        PROCESS.clone()
    }
}

/// What became of the events that reached a sink: each is counted in exactly one place.
#[derive(Debug, Default)]
pub struct SinkCounters {
    name: String,
    delivered: AtomicU64,
    write_failed: AtomicU64,
    lost_at_shutdown: AtomicU64,
    /// By [`severity`].
    shed: [AtomicU64; 5],
}

/// From 0, the most severe.
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
    /// The output took the line.
    #[inline]
    pub fn delivered(&self) {
        self.add_delivered(1);
    }

    /// The output took this many lines.
    #[inline]
    pub fn add_delivered(&self, lines: u64) {
        self.delivered.fetch_add(lines, Ordering::Relaxed);
    }

    /// The output refused the line.
    #[inline]
    pub fn write_failed(&self) {
        self.add_write_failed(1);
    }

    /// The output refused this many lines.
    pub fn add_write_failed(&self, lines: u64) {
        self.write_failed.fetch_add(lines, Ordering::Relaxed);
    }

    /// The output is behind, and the line was left out.
    pub fn shed(&self, level: Level) {
        self.shed[severity(level)].fetch_add(1, Ordering::Relaxed);
    }

    /// This many lines were still held when the deadline of the shutdown came.
    pub fn add_lost_at_shutdown(&self, lines: u64) {
        self.lost_at_shutdown.fetch_add(lines, Ordering::Relaxed);
    }

    /// All of it, as it is now.
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

/// Counters of a [`SelfReport`], at one moment.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stats {
    /// One entry a sink, in the order in which they were made.
    pub sinks: Vec<SinkStats>,
    /// The kinds of fault there were, with how often.
    pub faults: Vec<(Fault, u64)>,
    /// What [`Redact::counts`] of the policy given to [`SelfReport::redact`] says: rules, with how often each hid something.
    pub redacted: Vec<(String, u64)>,
}

/// Counters of one sink, at one moment. Events that reached it = the sum of all counts and those still on their way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SinkStats {
    /// The sink's name, such as `json`.
    pub name: String,
    /// Lines the output took.
    pub delivered: u64,
    /// Lines the output refused.
    pub write_failed: u64,
    /// Lines left out because the output was behind.
    pub shed: ShedCounts,
    /// Lines still held when logging was shut down.
    pub lost_at_shutdown: u64,
}

impl SinkStats {
    /// Lines that were not delivered, for whatever reason.
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
    /// `stdout: 648 lines written, 19352 lost: 17025 left out (error 0, warn 3794, info 8644, debug 4587, trace 0), …`
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
            "{name}: {delivered} lines written, {} lost: {} left out (error {error}, warn {warn}, info {info}, debug {debug}, trace {trace}), \
             {write_failed} refused, {lost_at_shutdown} at the end",
            self.lost(),
            shed.total(),
        )
    }
}

/// How many lines were left out, by their level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "a field a level")]
pub struct ShedCounts {
    pub error: u64,
    pub warn: u64,
    pub info: u64,
    pub debug: u64,
    pub trace: u64,
}

impl ShedCounts {
    /// Of all levels.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.error + self.warn + self.info + self.debug + self.trace
    }
}
