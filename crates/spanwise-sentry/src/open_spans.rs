//! What belongs together: a request, a job, a message, with all the spans under it.

use std::sync::{Arc, OnceLock, atomic::AtomicBool};

use sentry_core::protocol::{SpanId, TraceId, Value};
use spanwise_core::internal::{
    panic_safe, pins_context,
    sync::{Mutex, RwLock},
};
use tracing_core::Metadata;

use crate::{
    breadcrumbs::{BreadcrumbRing, MemoryBudget},
    dedup,
    fields::{Cause, Fields},
    ids,
    transactions::CollectedSpans,
};

/// A unit of work: the breadcrumbs, the trace and the finished spans of a root span and all under it.
///
/// A span that names another request than the ones around it begins a unit inside theirs: so requests that are handled inside one
/// span of the program, such as that of a listener, do not mix.
#[derive(Debug)]
pub(crate) struct Unit {
    outer: Option<Arc<Self>>,
    depth: u32,
    pub(crate) breadcrumbs: BreadcrumbRing,
    /// Its trace, where no field names one.
    trace_id: OnceLock<TraceId>,
    pub(crate) collected: Mutex<CollectedSpans>,
    /// An error was logged in it.
    pub(crate) has_failed: AtomicBool,
    reported: Mutex<Reported>,
}

/// What the error events of a unit said, of the first few.
#[derive(Debug, Default)]
struct Reported {
    /// The keys of their errors, each with all of its causes.
    errors: Vec<u64>,
    /// Their messages, and their errors that came as texts.
    texts: Vec<String>,
}

/// Errors, and texts, that a unit keeps, and the bytes of each text.
const MAX_REPORTED: usize = 16;
const MAX_REPORTED_LEN: usize = 512;

impl Reported {
    fn add(&mut self, fields: &Fields) {
        let errors = fields.errors.iter().map(|chain| chain_key(chain));
        let memory = MAX_REPORTED - self.errors.len();
        self.errors.extend(errors.take(memory));
        let texts = fields.message.as_deref().into_iter();
        let texts = texts.chain(fields.error_texts());
        let memory = MAX_REPORTED - self.texts.len();
        let cut = |text| panic_safe::truncate_at(text, MAX_REPORTED_LEN).to_owned();
        self.texts.extend(texts.map(cut).take(memory));
    }

    /// Whether they said an error with its causes, or one of its causes with all of that one's own.
    /// Two errors may have one cause in common: alone, a cause counts only if its text is specific.
    fn has(&self, chain: &[Cause]) -> bool {
        let Some(error) = chain.iter().find(|cause| !cause.text.trim().is_empty()) else {
            return false;
        };
        let is_known = |at: usize| {
            (at == 0 || is_specific(&chain[at].text))
                && self.errors.contains(&chain_key(&chain[at..]))
        };
        let text = panic_safe::truncate_at(&error.text, MAX_REPORTED_LEN);
        let is_said = |said: &String| *said == *text || is_specific(text) && said.contains(text);
        (0..chain.len()).any(is_known) || self.texts.iter().any(is_said)
    }
}

fn chain_key(chain: &[Cause]) -> u64 {
    let texts = chain.iter().map(|cause| &cause.text);
    dedup::key(texts.collect::<Vec<_>>())
}

/// Whether a text tells its error from others: it is no word such as `timeout`, and none of the
/// operating system's, which say nothing about the file or the peer.
fn is_specific(text: &str) -> bool {
    const MIN_LEN: usize = 16;
    text.len() >= MIN_LEN && !text.contains("(os error ")
}

/// Units inside units: deeper than this they share one.
const MAX_UNIT_DEPTH: u32 = 8;

impl Unit {
    pub(crate) fn new(outer: Option<&Arc<Self>>, memory: &Arc<MemoryBudget>) -> Arc<Self> {
        Arc::new(Self {
            outer: outer.cloned(),
            depth: outer.map_or(0, |outer| outer.depth + 1),
            breadcrumbs: BreadcrumbRing::new(memory),
            trace_id: OnceLock::new(),
            collected: Mutex::default(),
            has_failed: AtomicBool::new(false),
            reported: Mutex::default(),
        })
    }

    pub(crate) fn can_nest(&self) -> bool {
        self.depth < MAX_UNIT_DEPTH
    }

    /// This unit, and those it is in.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |unit| unit.outer.as_deref())
    }

    /// Keeps what an error event of the unit says.
    pub(crate) fn report(&self, fields: &Fields) {
        let mut reported = self.reported.lock();
        reported.add(fields);
    }

    /// Whether an event of the unit has reported an error of `fields`.
    pub(crate) fn has_reported(&self, fields: &Fields) -> bool {
        let reported = self.reported.lock();
        fields.errors.iter().any(|chain| reported.has(chain))
    }

    pub(crate) fn trace_id(&self) -> TraceId {
        *self.trace_id.get_or_init(ids::new_trace_id)
    }
}

/// An open span.
#[derive(Debug)]
pub(crate) struct OpenSpan {
    pub(crate) callsite: &'static Metadata<'static>,
    fields: RwLock<Vec<(&'static str, Value)>>,
    /// The context keys that were set late: see [`OpenSpan::decides`].
    decided: RwLock<Vec<&'static str>>,
    pub(crate) unit: Arc<Unit>,
    pub(crate) begins_unit: bool,
    /// Where traces are asked for.
    pub(crate) timing: Option<Timing>,
}

#[derive(Debug)]
pub(crate) struct Timing {
    pub(crate) span_id: SpanId,
    pub(crate) parent: Option<SpanId>,
    pub(crate) started: std::time::SystemTime,
}

impl OpenSpan {
    pub(crate) fn new(
        callsite: &'static Metadata<'static>,
        fields: Vec<(&'static str, Value)>,
        unit: Arc<Unit>,
        begins_unit: bool,
        timing: Option<Timing>,
    ) -> Arc<Self> {
        Arc::new(Self {
            callsite,
            fields: RwLock::new(fields),
            decided: RwLock::default(),
            unit,
            begins_unit,
            timing,
        })
    }

    /// Whether no span inside, and no event, replaces the value of a context key.
    pub(crate) fn decides(&self, key: &str) -> bool {
        let decided = self.decided.read();
        pins_context(self.callsite) || decided.contains(&key)
    }

    pub(crate) fn record(&self, values: Vec<(&'static str, Value)>, is_decided: bool) {
        if is_decided && !pins_context(self.callsite) {
            let mut decided = self.decided.write();
            for (name, _) in &values {
                if !decided.contains(name) {
                    decided.push(name);
                }
            }
        }
        let mut fields = self.fields.write();
        for (name, value) in values {
            match fields.iter_mut().find(|(other, _)| *other == name) {
                Some(slot) => slot.1 = value,
                None => fields.push((name, value)),
            }
        }
    }

    pub(crate) fn fields(&self) -> Vec<(&'static str, Value)> {
        self.with_fields(<[_]>::to_vec)
    }

    pub(crate) fn with_fields<R>(&self, read: impl FnOnce(&[(&'static str, Value)]) -> R) -> R {
        read(&self.fields.read())
    }
}
