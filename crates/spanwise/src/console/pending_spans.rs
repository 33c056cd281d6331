//! The fields of open spans that no line has shown yet, so that each is shown once.
//!
//! The line of an event shows the pending fields of its span and of the ancestors of the span. A
//! field is pending until a line has shown it. The data is dropped when the span closes.
//!
//! A *unit* is a span together with the descendants whose lines show its label. A root span begins
//! a unit. Further units begin at the outermost span with an id or with an incoming request, and at
//! each span that changes the request id.
//!
//! *Invariant:* no user code, such as `Debug`, runs under a lock, because it may log.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::SystemTime,
};

use spanwise_core::{
    CONTEXT_KEYS, Context,
    internal::{Inherit, LayerId, SpanData, sync::Mutex},
};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::{
    fields::{Fields, Value},
    span_label::SpanLabel,
};

/// A line shows the pending fields of at most this many spans, from the innermost one outwards. The
/// data of each span costs a look-up.
const MAX_SPANS: usize = 32;

/// An open span.
#[derive(Debug, Clone)]
pub(crate) struct ConsoleSpan(Arc<SpanState>);

#[derive(Debug)]
struct SpanState {
    opened: SystemTime,
    /// The name of this span, or the method and the path of its request.
    label: Arc<SpanLabel>,
    /// The label of the unit, which the lines of this span show.
    unit_label: Arc<SpanLabel>,
    /// The number of ancestors inside the unit: 0 for the span that begins the unit.
    unit_depth: u32,
    /// Whether this span or an ancestor has an id or an incoming request.
    is_identified: bool,
    /// A counter that all spans of the tree share. The counter grows when a span of the tree gets
    /// pending fields or a new label.
    tree_version: Arc<AtomicU32>,
    /// The value of `tree_version` at which nothing was pending in this span and its ancestors.
    shown_version: AtomicU32,
    pending: Mutex<Pending>,
}

/// The parts of a span that no line has shown yet.
#[derive(Debug, Default, Clone)]
struct Pending {
    fields: Fields,
    /// The names of fields that are context keys. Their values are read from the context.
    context_keys: Vec<&'static str>,
    /// Whether a line has shown the span.
    was_shown: bool,
    /// Whether the label has changed since a line showed it.
    is_relabelled: bool,
    /// Whether a buffered line contains everything that is pending. The parts stay pending, because
    /// the buffered line may never be written.
    is_in_buffered_line: bool,
}

/// The parts of a span that a line shows, because no earlier line has shown them.
#[derive(Debug)]
pub(crate) struct SpanUpdate {
    /// Whether no earlier line has shown the span.
    pub(crate) is_new_span: bool,
    /// Whether the label has changed since a line showed it.
    pub(crate) is_relabelled: bool,
    /// Whether the span begins the unit of the event. If so, the context of the line shows the
    /// label of the span.
    pub(crate) begins_unit: bool,
    pub(crate) opened: SystemTime,
    pub(crate) label: Arc<SpanLabel>,
    /// The pending fields. Those that are context keys are first.
    pub(crate) fields: Vec<(&'static str, Value)>,
}

/// The fields of a span, separated into those that are context and all others.
#[derive(Debug, Default)]
pub(crate) struct SpanFields {
    pub(crate) non_context: Fields,
    /// The names of the fields that are context.
    pub(crate) context_keys: Vec<&'static str>,
}

impl ConsoleSpan {
    /// Creates the data of a span, and stores it in the span.
    pub(crate) fn open<R: for<'s> LookupSpan<'s>>(
        layer: LayerId,
        span: &SpanRef<'_, R>,
        mut fields: SpanFields,
        opened: SystemTime,
    ) {
        let parent_span = span.parent();
        let parent_data = parent_span.and_then(|span| SpanData::<Self>::find(Some(layer), &span));
        let parent = parent_data.as_ref().map(|data| data.read(Self::clone));
        let parent = parent.as_ref().map(|parent| &*parent.0);
        let label = Arc::new(SpanLabel::new(span.name(), &mut fields.non_context));
        let has_id = fields.context_keys.iter().any(|key| identifies_unit(key));
        let is_identified = has_id || label.is_incoming();
        let begins_unit = match parent {
            None => true,
            Some(parent) => {
                is_identified && !parent.is_identified || changes_request_id(span, &fields)
            }
        };
        let (unit_label, unit_depth) = match parent {
            Some(parent) if !begins_unit => (Arc::clone(&parent.unit_label), parent.unit_depth + 1),
            _ => (Arc::clone(&label), 0),
        };
        let tree_version = match parent {
            Some(parent) => Arc::clone(&parent.tree_version),
            None => Arc::new(AtomicU32::new(1)),
        };
        if !fields.is_empty() {
            tree_version.fetch_add(1, Ordering::Release);
        }
        let data = Self(Arc::new(SpanState {
            opened,
            label,
            unit_label,
            unit_depth,
            is_identified: is_identified || parent.is_some_and(|parent| parent.is_identified),
            tree_version,
            shown_version: AtomicU32::new(0),
            pending: Mutex::new(Pending {
                fields: fields.non_context,
                context_keys: fields.context_keys,
                ..Pending::default()
            }),
        }));
        SpanData::new(parent_data.as_ref(), |_| data).attach(layer, span);
    }

    pub(crate) fn find<R: for<'s> LookupSpan<'s>>(
        layer: LayerId,
        span: &SpanRef<'_, R>,
    ) -> Option<Self> {
        SpanData::<Self>::find(Some(layer), span).map(|data| data.read(Self::clone))
    }

    /// Adds fields that were recorded after the span was opened.
    pub(crate) fn record(&self, mut fields: SpanFields) {
        let is_relabelled = self.0.label.update(&mut fields.non_context);
        if fields.is_empty() && !is_relabelled {
            return;
        }
        let mut pending = self.0.pending.lock();
        pending.is_relabelled |= is_relabelled;
        for (name, value) in fields.non_context.others {
            pending.fields.set(name, value);
        }
        for key in fields.context_keys {
            if !pending.context_keys.contains(&key) {
                pending.context_keys.push(key);
            }
        }
        pending.is_in_buffered_line = false;
        drop(pending);
        self.0.tree_version.fetch_add(1, Ordering::Release);
    }

    /// Takes the updates that the line of an event in `span` shows: those of the ancestors of
    /// `span`, from the outermost one, and that of `span` itself. `self` is the data of `span`, and
    /// `ids` selects the ids that the line shows.
    ///
    /// If the flight recorder buffers the line, the line may never be written. So everything stays
    /// pending for the next line that is not buffered. Further buffered lines show nothing of a
    /// span until a field of the span is recorded.
    ///
    /// If two threads log in the same span, only one of their lines shows the fields. The other
    /// line may be written first.
    pub(crate) fn take_updates<R: for<'s> LookupSpan<'s>>(
        &self,
        layer: LayerId,
        span: &SpanRef<'_, R>,
        ids: &ShownIds<'_>,
        is_buffered_line: bool,
    ) -> Vec<SpanUpdate> {
        // Read the version first. A field that is recorded from now on changes the version, so that
        // the next line looks for pending fields again.
        let version = self.0.tree_version.load(Ordering::Acquire);
        let is_shown = |span: &Self| span.0.shown_version.load(Ordering::Acquire) == version;
        let mut updates = Vec::new();
        if is_shown(self) {
            return updates;
        }
        for ancestor in span.scope().take(MAX_SPANS) {
            let Some(data) = Self::find(layer, &ancestor) else {
                continue;
            };
            if is_shown(&data) {
                break;
            }
            let Some(taken) = data.take_pending(is_buffered_line) else {
                continue;
            };
            let context_keys = taken.context_keys.iter().copied();
            let context_keys = context_keys.filter(|key| ids.shows_with_fields(key));
            // An exporter gives a span its trace ids, which are not fields. So the ids are looked
            // up when a line shows the span for the first time, or shows context keys of the span.
            let trace_keys = ids.trace_keys.iter().copied();
            let trace_keys =
                trace_keys.filter(|_| !taken.was_shown || !taken.context_keys.is_empty());
            let mut fields = changed_context_values(&ancestor, context_keys.chain(trace_keys));
            fields.extend(taken.fields.others);
            updates.push(SpanUpdate {
                is_new_span: !taken.was_shown,
                is_relabelled: taken.is_relabelled,
                begins_unit: Arc::ptr_eq(&data.0.label, &self.0.unit_label),
                opened: data.0.opened,
                label: Arc::clone(&data.0.label),
                fields,
            });
        }
        if !is_buffered_line {
            self.0.shown_version.store(version, Ordering::Release);
        }
        updates.reverse();
        updates
    }

    /// Takes what is pending, or copies it for a buffered line. Returns `None` if there is nothing
    /// to show.
    fn take_pending(&self, is_buffered_line: bool) -> Option<Pending> {
        let mut pending = self.0.pending.lock();
        let taken = if is_buffered_line {
            if mem::replace(&mut pending.is_in_buffered_line, true) {
                return None;
            }
            pending.clone()
        } else {
            let nothing = Pending {
                was_shown: true,
                is_in_buffered_line: pending.is_in_buffered_line,
                ..Pending::default()
            };
            mem::replace(&mut *pending, nothing)
        };
        drop(pending);
        let has_fields = !taken.fields.is_empty() || !taken.context_keys.is_empty();
        (!taken.was_shown || taken.is_relabelled || has_fields).then_some(taken)
    }

    /// Returns the label of the unit, and the number of ancestors inside the unit.
    pub(crate) fn unit_label(&self) -> (&SpanLabel, u32) {
        (&self.0.unit_label, self.0.unit_depth)
    }
}

/// Returns whether a field of a span changes the request id that it would inherit. A field cannot
/// change an id that `context::set` has pinned.
fn changes_request_id<R: for<'s> LookupSpan<'s>>(
    span: &SpanRef<'_, R>,
    fields: &SpanFields,
) -> bool {
    let keys = fields.context_keys.iter().copied();
    !changed_context_values(span, keys.filter(|key| *key == REQUEST_ID)).is_empty()
}

/// Returns the `keys` that `span` sets or changes, with their values: the parent of `span` has
/// another value or none.
fn changed_context_values<R: for<'s> LookupSpan<'s>>(
    span: &SpanRef<'_, R>,
    keys: impl Iterator<Item = &'static str>,
) -> Vec<(&'static str, Value)> {
    let mut keys = keys.peekable();
    if keys.peek().is_none() {
        return Vec::new();
    }
    let context = Context::from_span(span);
    let parent_context = span
        .parent()
        .map(|parent| Context::from_span(&parent))
        .unwrap_or_default();
    let value = |key| {
        Some((
            key,
            context
                .get(key)
                .filter(|value| parent_context.get(key) != Some(value))?,
        ))
    };
    keys.filter_map(value)
        .map(|(key, value)| (key, value.to_owned().into()))
        .collect()
}

/// The ids that a line shows with the fields of its spans.
#[derive(Debug)]
pub(crate) struct ShownIds<'a> {
    /// The keys `trace_id` and `span_id`, each if `LOG_FIELDS` adds it to lines.
    pub(crate) trace_keys: Vec<&'static str>,
    /// The key of the id at the end of the line, if it is shown there in full.
    pub(crate) key_at_end: Option<&'a str>,
}

impl ShownIds<'_> {
    /// Returns whether the context key is shown with the fields of its span. `trace_keys` are shown
    /// there in addition.
    fn shows_with_fields(&self, key: &str) -> bool {
        !matches!(key, REQUEST_ID | "trace_id" | "span_id") && Some(key) != self.key_at_end
    }
}

/// Returns whether a context key identifies a unit: the request id, and each key that the
/// application declares. The tenant, the user and the trace do not identify a unit.
fn identifies_unit(key: &str) -> bool {
    key == REQUEST_ID || !CONTEXT_KEYS.contains(&key)
}

/// The context key of the request id.
pub(crate) const REQUEST_ID: &str = "request_id";

impl SpanFields {
    fn is_empty(&self) -> bool {
        self.non_context.is_empty() && self.context_keys.is_empty()
    }
}

impl Inherit for ConsoleSpan {
    /// Returns the data unchanged, because a span inherits only when it is opened.
    fn rebuild(&self, _: Option<&Self>) -> Self {
        self.clone()
    }
}
