//! Counts of delivered and lost events, and reports on stderr of faults of logging itself.

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
        ShardedCounter,
        forks::PerProcess,
        panic_safe, stdio,
        sync::{Mutex, MutexGuard},
    },
};

/// Counts the outcome of the events of each sink, and the faults of logging. Cheap to clone, and
/// clones share their counters.
///
/// The default instance is process-wide. Every fault is counted. A fault is printed on stderr as
/// one line, whose detail is cut at 512 bytes before it is escaped. Each kind of fault is printed
/// at most once in ten seconds, separately for the server of each exporter.
/// [`fault_unthrottled`](Self::fault_unthrottled) prints without this limit. With the limit, a
/// fault is only counted if another thread is just printing one of the same kind. A closed stderr
/// is ignored. If stderr is a full pipe, the line is skipped, and the next fault of that kind tries
/// again. Nothing is written to stdout.
#[derive(Debug, Clone)]
pub struct SelfReport(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    prints_faults: bool,
    redact: OnceLock<Arc<dyn Redact>>,
    sinks: Mutex<Vec<Weak<SinkCounters>>>,
    faults: [FaultCounter; Fault::ALL.len()],
    /// The faults that [`fault_from`](SelfReport::fault_from) reports.
    source_faults: Mutex<Vec<SourceFaults>>,
    /// `None` if the configuration cannot be reloaded.
    reloads: Mutex<Option<ReloadStats>>,
}

/// The faults of one kind that are reported under the name of one source, such as the server that
/// an exporter sends to.
#[derive(Debug, Clone)]
struct SourceFaults {
    source: &'static str,
    fault: Fault,
    counter: Arc<FaultCounter>,
}

#[derive(Debug)]
struct FaultCounter {
    count: AtomicU64,
    /// Per process, because a forked child may inherit the lock of a thread that it does not have.
    last_printed: PerProcess<Mutex<Option<LastPrinted>>>,
}

impl Default for FaultCounter {
    fn default() -> Self {
        Self {
            count: AtomicU64::new(0),
            last_printed: PerProcess::new(Mutex::default()),
        }
    }
}

impl FaultCounter {
    /// Returns the lock of this process. In a forked child, the interval between printed faults
    /// continues, unless a thread of the parent was printing at the fork.
    fn last_printed(&self) -> &Mutex<Option<LastPrinted>> {
        self.last_printed
            .for_this_process(|parent| Mutex::new(parent.try_lock().and_then(|last| *last)))
    }
}

#[derive(Debug, Clone, Copy)]
struct LastPrinted {
    at: Instant,
    /// The number of faults at that time.
    count: u64,
}

/// The minimum time between two printed faults of the same kind and source.
const REPEAT_INTERVAL: Duration = Duration::from_secs(10);

/// A detail is cut at this many bytes.
const MAX_DETAIL_LEN: usize = 512;

/// A kind of fault of logging itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// An output or server refused a line or event, or an exporter gave up on it.
    WriteFailed,
    /// An output could not flush its buffer, or an exporter failed to send and will try again.
    FlushFailed,
    /// A part is missing or set up wrongly, and logging continues without it.
    Setup,
    /// An output is too slow, so lines or events are shed.
    Shed,
    /// Lines or events were lost, for example because the shutdown ended before their delivery.
    Lost,
    /// The memory of a recorder was full, so it dropped some of its buffered lines.
    Evicted,
    /// A recorder dropped the buffered lines of a unit of work, such as a failed request, instead
    /// of writing them, because the recorder had reached its limit of lines per second.
    Suppressed,
}

impl Fault {
    /// All kinds with their names, in the order of the variants.
    const ALL: [(Self, &str); 7] = [
        (Self::WriteFailed, "write failed"),
        (Self::FlushFailed, "flush failed"),
        (Self::Setup, "setup"),
        (Self::Shed, "shed"),
        (Self::Lost, "lines lost"),
        (Self::Evicted, "buffered lines evicted"),
        (Self::Suppressed, "buffered lines suppressed"),
    ];
}

impl SelfReport {
    /// Creates a separate instance that prints faults on stderr.
    #[must_use]
    pub fn new() -> Self {
        Self::with_stderr(true)
    }

    /// Creates a separate instance that only counts.
    #[must_use]
    pub fn silent() -> Self {
        Self::with_stderr(false)
    }

    fn with_stderr(prints_faults: bool) -> Self {
        Self(Arc::new(Inner {
            prints_faults,
            redact: OnceLock::new(),
            sinks: Mutex::default(),
            faults: Default::default(),
            source_faults: Mutex::default(),
            reloads: Mutex::default(),
        }))
    }

    /// Sets the policy that redacts printed details, because the text of an error may contain
    /// secrets. The counts of the policy are part of [`stats`](Self::stats). The first call wins.
    /// Defaults to no policy.
    pub fn redact(&self, policy: Arc<dyn Redact>) {
        let _ = self.0.redact.set(policy);
    }

    /// Creates counters for a sink. The counters are part of [`stats`](Self::stats) until the sink
    /// drops them.
    #[must_use]
    pub fn sink(&self, name: impl Into<String>) -> Arc<SinkCounters> {
        let counters = Arc::new(SinkCounters {
            name: name.into(),
            ..SinkCounters::default()
        });
        if let Some(mut sinks) = lock_unless_orphaned(&self.0.sinks) {
            sinks.retain(|sink| sink.strong_count() > 0);
            sinks.push(Arc::downgrade(&counters));
        }
        counters
    }

    /// Removes a closed sink, whose counters may still be in use, from [`stats`](Self::stats).
    #[doc(hidden)]
    pub fn remove_sink(&self, counters: &Arc<SinkCounters>) {
        if let Some(mut sinks) = lock_unless_orphaned(&self.0.sinks) {
            sinks.retain(|sink| sink.as_ptr() != Arc::as_ptr(counters));
        }
    }

    /// Returns the counters of the newest sink of this name.
    #[doc(hidden)]
    #[must_use]
    pub fn counters_of(&self, name: &str) -> Option<Arc<SinkCounters>> {
        let sinks = lock_unless_orphaned(&self.0.sinks)?;
        let sinks = sinks.iter().rev();
        let mut newest_first = sinks.filter_map(Weak::upgrade);
        newest_first.find(|sink| sink.name == name)
    }

    /// Changes the counts of reloads. After the first call, they are part of
    /// [`stats`](Self::stats).
    #[doc(hidden)]
    pub fn count_reload(&self, change: impl FnOnce(&mut ReloadStats)) {
        if let Some(mut reloads) = lock_unless_orphaned(&self.0.reloads) {
            change(reloads.get_or_insert_default());
        }
    }

    /// Counts a fault. Prints it if this method printed none of the same kind in the last ten
    /// seconds.
    #[cold]
    pub fn fault(&self, fault: Fault, detail: &dyn fmt::Display) {
        self.count_and_print(
            &self.0.faults[fault as usize],
            fault,
            detail,
            REPEAT_INTERVAL,
        );
    }

    /// Like [`fault`](Self::fault), but counts and reports each source separately. Use it for sinks
    /// that fail independently. The number of sources must be small.
    #[doc(hidden)]
    #[cold]
    pub fn fault_from(&self, source: &'static str, fault: Fault, detail: &dyn fmt::Display) {
        let source_counter = self.0.source_counter(source, fault);
        let counter = source_counter.as_deref();
        let counter = counter.unwrap_or(&self.0.faults[fault as usize]);
        self.count_and_print(counter, fault, detail, REPEAT_INTERVAL);
    }

    /// Counts a fault and prints it, without the limit of ten seconds. For faults that have no
    /// later chance to be printed.
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
        if !self.0.prints_faults {
            return;
        }
        // Format before locking, because the detail may run user code.
        let text = panic_safe::format_text(format_args!("{detail}"), <dyn Redact>::MAX_COLLECT_LEN);
        let text = match self.0.redact.get() {
            Some(policy) => policy.redact_text(&text),
            None => Cow::Borrowed(&*text),
        };
        let text = panic_safe::truncate_at(&text, MAX_DETAIL_LEN);
        let now = Instant::now();
        // If another thread is printing a fault of this kind, this fault is only counted, unless it
        // must be printed.
        let last_printed = match interval.is_zero() {
            true => lock_unless_orphaned(counter.last_printed()),
            false => counter.last_printed().try_lock(),
        };
        let Some(mut last_printed) = last_printed else {
            return;
        };
        let last_count = match *last_printed {
            Some(last) if now.saturating_duration_since(last.at) < interval => return,
            Some(last) => last.count,
            None => 0,
        };
        let text = escaped(text);
        let repeats = match count.saturating_sub(last_count) {
            // 0 if another thread has printed a later fault, with a count that includes this one.
            0 | 1 => String::new(),
            count => format!(" ({count} since the last report)"),
        };
        let (_, name) = Fault::ALL[fault as usize];
        let line = format!("spanwise: {name}: {text}{repeats}\n");
        // An error of stderr cannot be reported anywhere. If stderr is full, the next fault tries
        // again.
        let written = stdio::write_to_stderr(line.as_bytes());
        if !written.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            *last_printed = Some(LastPrinted {
                at: now,
                count: count.max(last_count),
            });
        }
    }

    /// Returns the current counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let sinks = lock_unless_orphaned(&self.0.sinks);
        let sinks = sinks.iter().flat_map(|sinks| sinks.iter());
        let per_source = lock_unless_orphaned(&self.0.source_faults);
        let per_source = per_source
            .map(|sources| sources.clone())
            .unwrap_or_default();
        let faults = Fault::ALL.map(|(fault, _)| {
            let same_fault = per_source.iter().filter(|faults| faults.fault == fault);
            let counters = same_fault
                .map(|faults| &*faults.counter)
                .chain([&self.0.faults[fault as usize]]);
            let counts = counters.map(|counter| counter.count.load(Ordering::Relaxed));
            (fault, counts.sum::<u64>())
        });
        let redact = self.0.redact.get();
        Stats {
            sinks: sinks
                .filter_map(Weak::upgrade)
                .map(|sink| sink.stats())
                .collect(),
            faults: faults.into_iter().filter(|(_, count)| *count > 0).collect(),
            redacted: redact.map(|policy| policy.counts()).unwrap_or_default(),
            reloads: lock_unless_orphaned(&self.0.reloads).and_then(|reloads| *reloads),
        }
    }
}

impl Inner {
    /// Returns the counter for `fault` of a source, or `None` if [`lock_unless_orphaned`] fails in
    /// a forked child.
    fn source_counter(&self, source: &'static str, fault: Fault) -> Option<Arc<FaultCounter>> {
        let mut sources = lock_unless_orphaned(&self.source_faults)?;
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

/// Locks `mutex`, which threads hold only for a short time. Returns `None` after 1,000 failed
/// attempts, at least 50 µs apart. All attempts fail in a forked child if another thread had the
/// lock at the fork.
fn lock_unless_orphaned<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    for _ in 0..1000 {
        match mutex.try_lock() {
            Some(guard) => return Some(guard),
            None => thread::sleep(Duration::from_micros(50)),
        }
    }
    None
}

impl Default for SelfReport {
    /// Returns the process-wide instance.
    fn default() -> Self {
        static PROCESS: LazyLock<SelfReport> = LazyLock::new(SelfReport::new);
        PROCESS.clone()
    }
}

/// Counts the outcome of the events that reached a sink. Each event is counted exactly once. For an
/// exporter, each "line" below is an event.
#[derive(Debug, Default)]
pub struct SinkCounters {
    name: String,
    /// Sharded, because every line of every thread is counted here.
    delivered: ShardedCounter,
    write_failed: AtomicU64,
    lost_at_shutdown: AtomicU64,
    /// Indexed by [`severity`].
    shed: [AtomicU64; 5],
    filtered: AtomicU64,
}

/// Returns the index of a level, from 0 for ERROR to 4 for TRACE.
pub(crate) fn severity(level: Level) -> usize {
    match level {
        Level::ERROR => 0,
        Level::WARN => 1,
        Level::INFO => 2,
        Level::DEBUG => 3,
        Level::TRACE => 4,
    }
}

impl SinkCounters {
    /// Counts lines that the output accepted.
    #[inline]
    pub fn add_delivered(&self, lines: u64) {
        self.delivered.add(lines);
    }

    /// Counts lines that the output refused, or that an exporter gave up.
    pub fn add_write_failed(&self, lines: u64) {
        self.write_failed.fetch_add(lines, Ordering::Relaxed);
    }

    /// Counts a line that was shed because the output is too slow.
    pub fn shed(&self, level: Level) {
        self.shed[severity(level)].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an event that a filter of the sink or of its route dropped.
    pub fn add_filtered(&self) {
        self.filtered.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts lines that were not delivered by the deadline of the shutdown, or that came later.
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
            delivered: self.delivered.total(),
            write_failed: load(&self.write_failed),
            lost_at_shutdown: load(&self.lost_at_shutdown),
            filtered: load(&self.filtered),
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
    /// The kinds of faults that occurred, with their counts.
    pub faults: Vec<(Fault, u64)>,
    /// For each rule of the policy of [`SelfReport::redact`], the number of hidden values.
    pub redacted: Vec<(String, u64)>,
    /// The reloads of the configuration. `None` if it cannot be reloaded.
    pub reloads: Option<ReloadStats>,
}

/// Counts of the configurations that were read while the program runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReloadStats {
    /// Changed configurations that replaced the previous one.
    pub applied: u64,
    /// Configurations that were refused, so that the previous one stayed in use.
    pub refused: u64,
    /// The number of problems in the configuration that was read last. 0 if it is in use.
    pub problems: u64,
}

/// Counters of one sink at one time.
///
/// The sum of the counters and of the lines in the buffer is the number of events that reached the
/// sink. For an exporter, each "line" below is an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SinkStats {
    /// The sink's name, such as `json`.
    pub name: String,
    /// Lines that the output accepted.
    pub delivered: u64,
    /// Lines that the output refused, or that an exporter gave up.
    pub write_failed: u64,
    /// Lines that were shed because the output was too slow.
    pub shed: ShedCounts,
    /// Lines that were not delivered by the deadline of the shutdown, or that came later.
    pub lost_at_shutdown: u64,
    /// Events that a filter of the sink or of its route dropped. They are not lost.
    pub filtered: u64,
}

impl SinkStats {
    /// Adds the counts of another sink.
    #[doc(hidden)]
    pub fn add(&mut self, other: &Self) {
        self.delivered += other.delivered;
        self.write_failed += other.write_failed;
        self.lost_at_shutdown += other.lost_at_shutdown;
        self.filtered += other.filtered;
        let (shed, other_shed) = (&mut self.shed, other.shed);
        shed.error += other_shed.error;
        shed.warn += other_shed.warn;
        shed.info += other_shed.info;
        shed.debug += other_shed.debug;
        shed.trace += other_shed.trace;
    }

    /// Returns the number of lines that were refused, shed, or lost at the shutdown.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.write_failed + self.shed.total() + self.lost_at_shutdown
    }
}

/// Totals of the lines of one or more sinks, at their shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Lines that the outputs accepted.
    pub delivered: u64,
    /// Lines that an output refused, that were shed, or that were not delivered by the deadline.
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
    /// Writes `stdout: 648 lines written, 19352 lost: 17025 shed (error 0, warn 3794, …), …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, delivered, shed) = (&self.name, self.delivered, self.shed);
        write!(
            f,
            "{name}: {delivered} lines written, {} lost: {} shed (error {}, warn {}, info {}, \
             debug {}, trace {}), {} refused, {} at shutdown",
            self.lost(),
            shed.total(),
            shed.error,
            shed.warn,
            shed.info,
            shed.debug,
            shed.trace,
            self.write_failed,
            self.lost_at_shutdown,
        )?;
        match self.filtered {
            0 => Ok(()),
            filtered => write!(f, ", {filtered} dropped by filters"),
        }
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

/// Escapes a text as `Debug` does, except for quotes, so that it cannot break the line or control
/// the terminal.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn control_characters_are_escaped() {
        let text = super::escaped("the sink \"audit\"\n\u{1b}[31m isn't c:\\log");
        assert_eq!(text, "the sink \"audit\"\\n\\u{1b}[31m isn't c:\\\\log");
    }
}
