//! What belongs together: a request, a job, a message, with all the spans under it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, atomic::AtomicBool};

use sentry_core::protocol::{SpanId, TraceId, Value};
use spanwise_core::{context::decides, guarded};
use tracing_core::Metadata;

use crate::{
    fields::{Cause, Fields},
    ids,
    traces::Collected,
    trail::{Room, Trail},
};

/// A unit of work: the breadcrumbs, the trace and the finished spans of a root span and all under it.
///
/// A span that names another request than the ones around it begins a unit inside theirs: so requests that are handled inside one
/// span of the program, such as that of a listener, do not mix.
#[derive(Debug)]
pub(crate) struct Unit {
    outer: Option<Arc<Self>>,
    depth: u32,
    pub(crate) trail: Trail,
    /// Its trace, where no field names one.
    trace_id: OnceLock<TraceId>,
    pub(crate) collected: Mutex<Collected>,
    /// An error was logged in it.
    pub(crate) has_failed: AtomicBool,
    /// What its errors said, of the first few.
    reported: Mutex<Vec<String>>,
}

/// Texts of errors that a unit keeps, and the bytes of each.
const MAX_REPORTED: usize = 16;
const MAX_REPORTED_LEN: usize = 512;

/// Units inside units: deeper than this they share one.
const DEEPEST: u32 = 8;

impl Unit {
    pub(crate) fn new(outer: Option<&Arc<Self>>, room: &Arc<Room>) -> Arc<Self> {
        Arc::new(Self {
            outer: outer.cloned(),
            depth: outer.map_or(0, |outer| outer.depth + 1),
            trail: Trail::new(room),
            trace_id: OnceLock::new(),
            collected: Mutex::default(),
            has_failed: AtomicBool::new(false),
            reported: Mutex::default(),
        })
    }

    pub(crate) fn may_hold_others(&self) -> bool {
        self.depth < DEEPEST
    }

    /// This unit, and those it is in.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |unit| unit.outer.as_deref())
    }

    /// Keeps what an error event of the unit says.
    pub(crate) fn report(&self, fields: &Fields) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        for text in fields.texts() {
            if reported.len() == MAX_REPORTED {
                return;
            }
            reported.push(guarded::cut_at(text, MAX_REPORTED_LEN).to_owned());
        }
    }

    /// Whether an event of the unit has reported an error of `fields`, or one of its causes.
    pub(crate) fn has_reported(&self, fields: &Fields) -> bool {
        let reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = |cause: &Cause| {
            let text = guarded::cut_at(&cause.text, MAX_REPORTED_LEN);
            reported.iter().any(|reported| reported.contains(text))
        };
        fields.errors.iter().flatten().any(is_known)
    }

    pub(crate) fn trace_id(&self) -> TraceId {
        *self.trace_id.get_or_init(ids::new_trace_id)
    }
}

/// An open span.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) callsite: &'static Metadata<'static>,
    fields: RwLock<Vec<(&'static str, Value)>>,
    /// The context keys that were set late: see [`Open::decides`].
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

impl Open {
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
        let decided = self.decided.read().unwrap_or_else(PoisonError::into_inner);
        decides(self.callsite) || decided.contains(&key)
    }

    pub(crate) fn record(&self, values: Vec<(&'static str, Value)>, is_decided: bool) {
        if is_decided && !decides(self.callsite) {
            let mut decided = self.decided.write().unwrap_or_else(PoisonError::into_inner);
            for (name, _) in &values {
                if !decided.contains(name) {
                    decided.push(name);
                }
            }
        }
        let mut fields = self.fields.write().unwrap_or_else(PoisonError::into_inner);
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
        read(&self.fields.read().unwrap_or_else(PoisonError::into_inner))
    }
}
