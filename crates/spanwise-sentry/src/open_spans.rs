//! Open spans and the units of work that they belong to.

use std::{
    iter,
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::SystemTime,
};

use sentry_core::protocol::{SpanId, TraceId, Value};
use spanwise_core::internal::{
    SpanIdentity, panic_safe, pins_context,
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

/// A unit of work: a root span and its descendants, with their breadcrumbs, trace and finished
/// spans.
///
/// A span begins a nested unit if its callsite has the field `spanwise.unit`, or if its request id
/// differs from the request id of its ancestors. If an ancestor [pins](OpenSpan::pins) its request
/// id, the span must pin the different one. Nested units separate requests that run inside one span
/// of the application, such as the span of a listener.
#[derive(Debug)]
pub(crate) struct Unit {
    /// The unit in which this one is nested.
    outer: Option<Arc<Self>>,
    /// The number of outer units.
    depth: u32,
    pub(crate) breadcrumbs: BreadcrumbRing,
    /// The trace id, if neither a field nor another exporter sets one.
    trace_id: OnceLock<TraceId>,
    /// The finished spans of the unit, and whether its trace is sampled.
    pub(crate) collected: Mutex<CollectedSpans>,
    /// Whether the unit has logged an error event at ERROR, even if an ignore rule dropped it.
    pub(crate) has_failed: AtomicBool,
    /// The errors that were reported to Sentry, so that the access event does not repeat them.
    reported: Mutex<ReportedErrors>,
}

/// The maximum nesting depth. Deeper spans belong to the unit at this depth.
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

    /// Returns whether a unit may begin inside this one.
    pub(crate) fn can_nest(&self) -> bool {
        self.depth < MAX_UNIT_DEPTH
    }

    /// Returns this unit and its outer units.
    pub(crate) fn with_outer(&self) -> impl Iterator<Item = &Self> {
        iter::successors(Some(self), |unit| unit.outer.as_deref())
    }

    /// Stores the texts and errors of an error event that is sent or counted as a repetition.
    pub(crate) fn add_reported(&self, fields: &Fields) {
        self.reported.lock().add(fields);
    }

    /// Returns whether an error event of the unit has already reported an error of `fields`.
    pub(crate) fn has_reported(&self, fields: &Fields) -> bool {
        let reported = self.reported.lock();
        fields.errors.iter().any(|chain| reported.has(chain))
    }

    pub(crate) fn trace_id(&self) -> TraceId {
        *self.trace_id.get_or_init(ids::new_trace_id)
    }
}

/// The first errors that the events of a unit reported, up to [`MAX_REPORTED`].
#[derive(Debug, Default)]
struct ReportedErrors {
    /// The [keys](chain_key) of the errors, each with all of its causes.
    error_keys: Vec<u64>,
    /// Messages, and errors that were logged as texts.
    texts: Vec<String>,
}

/// A unit stores at most this many errors, and at most this many texts.
const MAX_REPORTED: usize = 16;

/// At most this many bytes of each text are compared.
const MAX_REPORTED_TEXT_LEN: usize = 512;

impl ReportedErrors {
    fn add(&mut self, fields: &Fields) {
        let errors = fields.errors.iter().map(|chain| chain_key(chain));
        let room = MAX_REPORTED - self.error_keys.len();
        self.error_keys.extend(errors.take(room));
        let texts = fields.message.as_deref().into_iter();
        let texts = texts.chain(fields.error_texts());
        let room = MAX_REPORTED - self.texts.len();
        let truncate = |text| panic_safe::truncate_at(text, MAX_REPORTED_TEXT_LEN).to_owned();
        self.texts.extend(texts.map(truncate).take(room));
    }

    /// Returns whether a stored error is the error of `chain` or one of its causes.
    ///
    /// Two different errors may have the same cause. So a match with a cause counts only if the
    /// text of the cause is specific.
    fn has(&self, chain: &[Cause]) -> bool {
        let Some(error) = chain.iter().find(|cause| !cause.text.trim().is_empty()) else {
            return false;
        };
        let is_reported = |start: usize| {
            let is_comparable = start == 0 || is_specific(&chain[start].text);
            is_comparable && self.error_keys.contains(&chain_key(&chain[start..]))
        };
        let text = panic_safe::truncate_at(&error.text, MAX_REPORTED_TEXT_LEN);
        let has_text =
            |known: &String| *known == *text || is_specific(text) && known.contains(text);
        (0..chain.len()).any(is_reported) || self.texts.iter().any(has_text)
    }
}

/// Returns a hash of the texts of an error and its causes.
fn chain_key(chain: &[Cause]) -> u64 {
    let texts = chain.iter().map(|cause| &cause.text);
    dedup::key(texts.collect::<Vec<_>>())
}

/// Returns whether a text distinguishes its error from others. A word such as `timeout` is not
/// specific, and neither is a text of the operating system, which does not name the file or the
/// peer.
fn is_specific(text: &str) -> bool {
    const MIN_LEN: usize = 16;
    text.len() >= MIN_LEN && !text.contains("(os error ")
}

/// An open span.
#[derive(Debug)]
pub(crate) struct OpenSpan {
    pub(crate) callsite: &'static Metadata<'static>,
    fields: RwLock<Vec<(&'static str, Value)>>,
    /// The context keys that were pinned after the span was opened: see [`pins`](Self::pins).
    pinned_keys: RwLock<Vec<&'static str>>,
    pub(crate) unit: Arc<Unit>,
    /// Whether the span is the root of `unit`.
    pub(crate) begins_unit: bool,
    /// Present if traces are sent.
    pub(crate) timing: Option<Timing>,
    /// The ids that a layer of another exporter has given the span.
    identity: RwLock<Option<SpanIdentity>>,
}

/// The times and ids of a span that is sent as a part of a trace.
#[derive(Debug)]
pub(crate) struct Timing {
    /// The id of the span if no layer has given it a [`SpanIdentity`].
    span_id: SpanId,
    pub(crate) parent: Option<SpanId>,
    pub(crate) started: SystemTime,
}

impl Timing {
    pub(crate) fn new(span_id: SpanId, parent: Option<&OpenSpan>, started: SystemTime) -> Self {
        Self {
            span_id,
            parent: parent.and_then(OpenSpan::span_id),
            started,
        }
    }
}

impl OpenSpan {
    pub(crate) fn new(
        callsite: &'static Metadata<'static>,
        fields: Vec<(&'static str, Value)>,
        unit: Arc<Unit>,
        begins_unit: bool,
        timing: Option<Timing>,
        identity: Option<SpanIdentity>,
    ) -> Arc<Self> {
        Arc::new(Self {
            callsite,
            fields: RwLock::new(fields),
            pinned_keys: RwLock::default(),
            unit,
            begins_unit,
            timing,
            identity: RwLock::new(identity),
        })
    }

    /// Returns the ids of the span, if another layer exports traces.
    pub(crate) fn identity(&self) -> Option<SpanIdentity> {
        if !SpanIdentity::exist() {
            return None;
        }
        self.identity.read().clone()
    }

    pub(crate) fn set_identity(&self, identity: SpanIdentity) {
        let replaced = self.identity.write().replace(identity);
        drop(replaced);
    }

    /// Returns the id of the span in its trace. `None` if no traces are sent.
    pub(crate) fn span_id(&self) -> Option<SpanId> {
        let timing = self.timing.as_ref()?;
        let identity = self.identity();
        Some(identity.map_or(timing.span_id, |identity| identity.span_id().into()))
    }

    /// Returns whether the span *pins* a context key: inner spans and events do not replace its
    /// value.
    pub(crate) fn pins(&self, key: &str) -> bool {
        let pinned = self.pinned_keys.read();
        pins_context(self.callsite) || pinned.contains(&key)
    }

    /// Adds or replaces fields. If `is_pinned`, pins the fields. Otherwise, keeps the values of
    /// pinned fields.
    pub(crate) fn record(&self, mut values: Vec<(&'static str, Value)>, is_pinned: bool) {
        if !is_pinned {
            let pinned = self.pinned_keys.read();
            values.retain(|(name, _)| !pinned.contains(name));
        } else if !pins_context(self.callsite) {
            let mut pinned = self.pinned_keys.write();
            for (name, _) in &values {
                if !pinned.contains(name) {
                    pinned.push(name);
                }
            }
        }
        let mut fields = self.fields.write();
        for (name, value) in values {
            match fields.iter_mut().find(|(other, _)| *other == name) {
                Some((_, existing)) => *existing = value,
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
