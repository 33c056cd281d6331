//! The state that all sinks of a recorder share, and the state of each sink.
//!
//! A sink is a wrapped layer with its output. A [`Unit`] is the buffer of one unit of work in one
//! sink.

use std::{
    sync::{Arc, Weak, atomic::AtomicUsize},
    time::Duration,
};

use spanwise_core::{
    Clock, SelfReport, TargetLevels,
    internal::{
        Counter, LayerId, ShardedCounter, SpanTable,
        consistent_sampling::{SampleRng, Threshold},
        forks,
        sync::{Mutex, RwLock},
    },
};
use tracing_core::{LevelFilter, Metadata, span::Id};

use crate::{RecorderStats, chunk_pool::ChunkPool, dump_limit::DumpLimit, unit::Unit};

/// The state of one recorder.
#[derive(Debug)]
pub(crate) struct RecorderState {
    pub(crate) options: Options,
    pub(crate) pool: ChunkPool,
    pub(crate) counters: Counters,
    pub(crate) report: SelfReport,
    /// The number of units with a pending dump request: see [`Unit::request_dump`].
    pub(crate) pending_dumps: AtomicUsize,
    /// Whether units store their start time, because the slow trigger or tail sampling needs it.
    pub(crate) is_timed: bool,
    /// Decides, under tail sampling, about units that have neither a trace id nor a request id.
    pub(crate) random: SampleRng,
    sinks: Mutex<Vec<Weak<SinkState>>>,
}

/// The options of [`RecorderBuilder`](crate::RecorderBuilder), which documents them.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) capture: TargetLevels,
    /// The age at which a unit is slow.
    pub(crate) slow: Option<Duration>,
    /// The ratio of sampled units. `None` without tail sampling.
    pub(crate) tail: Option<Threshold>,
    pub(crate) max_unit_bytes: usize,
    pub(crate) max_unit_records: usize,
    pub(crate) max_process_bytes: usize,
    pub(crate) max_record_bytes: usize,
    /// The maximum length of an event with the data of its span, in bytes. `build` computes it.
    pub(crate) max_event_bytes: usize,
    /// The limit of the lines of dumps in each sink.
    pub(crate) max_lines_per_second: u32,
    pub(crate) clock: Clock,
}

/// The default of `max_lines_per_second`: enough for ten dumps of 1,000 lines each second, or for
/// 500 small ones, each of which counts as 20 lines.
pub(crate) const DEFAULT_LINES_PER_SECOND: u32 = 10_000;

impl Default for Options {
    fn default() -> Self {
        Self {
            capture: LevelFilter::DEBUG.into(),
            slow: None,
            tail: None,
            max_unit_bytes: 64 * 1024,
            max_unit_records: 1000,
            max_process_bytes: 64 * 1024 * 1024,
            max_record_bytes: 16 * 1024,
            max_event_bytes: 0,
            max_lines_per_second: DEFAULT_LINES_PER_SECOND,
            clock: Clock::system(),
        }
    }
}

impl RecorderState {
    pub(crate) fn new(options: Options, report: SelfReport) -> Self {
        Self {
            pool: ChunkPool::new(options.max_process_bytes),
            is_timed: options.slow.is_some() || options.tail.is_some(),
            options,
            counters: Counters::default(),
            report,
            pending_dumps: AtomicUsize::new(0),
            random: SampleRng::default(),
            sinks: Mutex::default(),
        }
    }

    /// Calls `f` with the unit of `span` in each sink that has a unit for it.
    pub(crate) fn for_each_unit_of(&self, span: &Id, mut f: impl FnMut(Arc<Unit>)) {
        let sinks: Vec<_> = self.sinks.lock().iter().filter_map(Weak::upgrade).collect();
        for unit in sinks.iter().filter_map(|sink| sink.units.get(span)) {
            f(unit);
        }
    }
}

/// The state of one sink.
#[derive(Debug)]
pub(crate) struct SinkState {
    pub(crate) recorder: Arc<RecorderState>,
    pub(crate) id: LayerId,
    /// The unit of each open span.
    pub(crate) units: SpanTable<Arc<Unit>>,
    /// The unit of events outside spans.
    pub(crate) outside_unit: Arc<Unit>,
    pub(crate) dump_limit: Arc<DumpLimit>,
    /// The callsites of the sink. Records store the number of a callsite, which is its index in
    /// this list.
    callsites: RwLock<Vec<&'static Metadata<'static>>>,
}

impl SinkState {
    pub(crate) fn new(recorder: &Arc<RecorderState>) -> Arc<Self> {
        let options = &recorder.options;
        let sink = Arc::new(Self {
            recorder: Arc::clone(recorder),
            id: LayerId::unique(),
            units: SpanTable::default(),
            outside_unit: Unit::new(recorder, None),
            dump_limit: Arc::new(DumpLimit::new(options.max_lines_per_second, &options.clock)),
            callsites: RwLock::default(),
        });
        let mut sinks = recorder.sinks.lock();
        sinks.retain(|sink| sink.strong_count() > 0);
        sinks.push(Arc::downgrade(&sink));
        drop(sinks);
        sink
    }

    /// Adds a callsite, and returns its number.
    pub(crate) fn add_callsite(&self, callsite: &'static Metadata<'static>) -> u32 {
        let _no_fork = forks::defer();
        let mut callsites = self.callsites.write();
        callsites.push(callsite);
        // The number must be less than 2³⁰, because the two high bits of a `RecordTag` are flags.
        // No program has as many callsites.
        (callsites.len() - 1) as u32
    }

    pub(crate) fn callsite(&self, number: u32) -> Option<&'static Metadata<'static>> {
        let _no_fork = forks::defer();
        let callsites = self.callsites.read();
        callsites.get(number as usize).copied()
    }
}

/// Counts of records: see [`RecorderStats`]. A captured record is first held in a buffer, and later
/// counted by exactly one of the other counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) captured: ShardedCounter,
    pub(crate) written: Counter,
    pub(crate) forgotten: Counter,
    pub(crate) evicted: Counter,
    pub(crate) oversize: Counter,
    pub(crate) suppressed: Counter,
    pub(crate) failed: Counter,
}

impl Counters {
    pub(crate) fn stats(&self, pool: &ChunkPool) -> RecorderStats {
        RecorderStats {
            written: self.written.get(),
            forgotten: self.forgotten.get(),
            evicted: self.evicted.get(),
            oversize: self.oversize.get(),
            suppressed: self.suppressed.get(),
            failed: self.failed.get(),
            memory: pool.used_bytes(),
            // Read last, so that this count is seldom less than the sum of the others. It can be
            // less, because the fast path counts a record only after it was buffered.
            captured: self.captured.total(),
        }
    }
}
