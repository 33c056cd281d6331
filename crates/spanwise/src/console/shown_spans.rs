//! The fields of open spans that no line has shown yet, so that each is shown once.
//!
//! A line that shows fields takes them. The data is dropped when the span closes.
//!
//! *Invariant:* no user code runs under a lock.

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

/// A line shows at most this many spans, the innermost ones: each costs a look-up.
const MAX_SPANS: usize = 32;

/// An open span.
#[derive(Debug, Clone)]
pub(crate) struct ConsoleSpan(Arc<State>);

#[derive(Debug)]
struct State {
    opened: SystemTime,
    /// The name of this span, or its method and path.
    label: Arc<SpanLabel>,
    /// The label that lines of this span show.
    unit_label: Arc<SpanLabel>,
    /// The number of spans from that of `unit_label` to this one.
    depth: u32,
    /// This span or one around it has an id or is a request.
    is_identified: bool,
    /// Changes whenever a span of this tree has new fields.
    tree_version: Arc<AtomicU32>,
    /// The version at which this span and all around it had nothing to show.
    shown_version: AtomicU32,
    pending: Mutex<Pending>,
}

/// What no line has shown yet.
#[derive(Debug, Default, Clone)]
struct Pending {
    fields: Fields,
    /// The names of own fields that are context. Their values are those of the context.
    context_keys: Vec<&'static str>,
    /// A line has shown this span.
    is_begun: bool,
    /// The label has changed.
    is_relabelled: bool,
    /// A buffered line has shown what is pending. Such a line may never be written.
    is_buffered: bool,
}

/// A span with something that the next line shows.
#[derive(Debug)]
pub(crate) struct NewSpan {
    /// No line has shown the span before.
    pub(crate) is_new: bool,
    /// Its label has changed since a line has shown it.
    pub(crate) is_relabelled: bool,
    /// The lines of the current span show its label anyway.
    pub(crate) is_unit: bool,
    pub(crate) opened: SystemTime,
    pub(crate) label: Arc<SpanLabel>,
    /// The fields that no line has shown yet.
    pub(crate) fields: Vec<(&'static str, Value)>,
}

/// The fields of a span, separated into those of the context and the others.
#[derive(Debug, Default)]
pub(crate) struct SpanFields {
    pub(crate) own: Fields,
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
        let parent = span.parent();
        let parent = parent.and_then(|parent| SpanData::<Self>::find(Some(layer), &parent));
        let outer = parent.as_ref().map(|parent| parent.read(Self::clone));
        let outer = outer.as_ref().map(|outer| &*outer.0);
        let label = Arc::new(SpanLabel::new(span.name(), &mut fields.own));
        let has_id = fields.context_keys.iter().any(|key| is_id(key));
        let is_identified = has_id || label.is_served();
        let begins_unit = match outer {
            None => true,
            Some(outer) => is_identified && !outer.is_identified || changes_request(span, &fields),
        };
        let (unit_label, depth) = match outer {
            Some(outer) if !begins_unit => (Arc::clone(&outer.unit_label), outer.depth + 1),
            _ => (Arc::clone(&label), 0),
        };
        let tree_version = match outer {
            Some(outer) => Arc::clone(&outer.tree_version),
            None => Arc::new(AtomicU32::new(1)),
        };
        if !fields.is_empty() {
            tree_version.fetch_add(1, Ordering::Release);
        }
        let state = Self(Arc::new(State {
            opened,
            label,
            unit_label,
            depth,
            is_identified: is_identified || outer.is_some_and(|outer| outer.is_identified),
            tree_version,
            shown_version: AtomicU32::new(0),
            pending: Mutex::new(Pending {
                fields: fields.own,
                context_keys: fields.context_keys,
                ..Pending::default()
            }),
        }));
        SpanData::new(parent.as_ref(), |_| state).attach(layer, span);
    }

    pub(crate) fn find<R: for<'s> LookupSpan<'s>>(
        layer: LayerId,
        span: &SpanRef<'_, R>,
    ) -> Option<Self> {
        SpanData::<Self>::find(Some(layer), span).map(|data| data.read(Self::clone))
    }

    /// Adds fields that were recorded late.
    pub(crate) fn record(&self, mut fields: SpanFields) {
        let is_relabelled = self.0.label.update(&mut fields.own);
        if fields.is_empty() && !is_relabelled {
            return;
        }
        let mut pending = self.0.pending.lock();
        pending.is_relabelled |= is_relabelled;
        for (name, value) in fields.own.others {
            pending.fields.set(name, value);
        }
        for key in fields.context_keys {
            if !pending.context_keys.contains(&key) {
                pending.context_keys.push(key);
            }
        }
        pending.is_buffered = false;
        drop(pending);
        self.0.tree_version.fetch_add(1, Ordering::Release);
    }

    /// Returns the spans from the outermost one to `span`, which this is, of which something was
    /// not shown yet. The next call does not return it again, unless `is_buffered`. The whole
    /// value of `id_key` is shown in another way.
    ///
    /// If two threads log in the same span, the line of the other one may be written before the
    /// line that shows the fields.
    pub(crate) fn take_new<R: for<'s> LookupSpan<'s>>(
        &self,
        layer: LayerId,
        span: &SpanRef<'_, R>,
        id_key: Option<&str>,
        is_buffered: bool,
    ) -> Vec<NewSpan> {
        // Read it first: a later record changes it, and the next line notices.
        let version = self.0.tree_version.load(Ordering::Acquire);
        let is_shown = |span: &Self| span.0.shown_version.load(Ordering::Acquire) == version;
        let mut new = Vec::new();
        if is_shown(self) {
            return new;
        }
        for around in span.scope().take(MAX_SPANS) {
            let Some(found) = Self::find(layer, &around) else {
                continue;
            };
            if is_shown(&found) {
                break;
            }
            let Some(taken) = found.take(is_buffered) else {
                continue;
            };
            let context_keys = taken.context_keys.into_iter();
            let context_keys = context_keys.filter(|key| !is_hidden(key) && Some(*key) != id_key);
            let mut shown = context_values(&around, context_keys);
            shown.extend(taken.fields.others);
            new.push(NewSpan {
                is_new: !taken.is_begun,
                is_relabelled: taken.is_relabelled,
                is_unit: Arc::ptr_eq(&found.0.label, &self.0.unit_label),
                opened: found.0.opened,
                label: Arc::clone(&found.0.label),
                fields: shown,
            });
        }
        if !is_buffered {
            self.0.shown_version.store(version, Ordering::Release);
        }
        new.reverse();
        new
    }

    /// Takes what was not shown yet.
    fn take(&self, is_buffered: bool) -> Option<Pending> {
        let mut pending = self.0.pending.lock();
        let taken = if is_buffered {
            if mem::replace(&mut pending.is_buffered, true) {
                return None;
            }
            pending.clone()
        } else {
            let begun = Pending {
                is_begun: true,
                is_buffered: pending.is_buffered,
                ..Pending::default()
            };
            mem::replace(&mut *pending, begun)
        };
        drop(pending);
        let has_fields = !taken.fields.is_empty() || !taken.context_keys.is_empty();
        (!taken.is_begun || taken.is_relabelled || has_fields).then_some(taken)
    }

    /// Returns the label that lines of this span show, and the number of spans from that of the
    /// label to this one.
    pub(crate) fn unit_label(&self) -> (&SpanLabel, u32) {
        (&self.0.unit_label, self.0.depth)
    }
}

/// Returns whether a span has a request id of its own. A field does not change a pinned id.
fn changes_request<R: for<'s> LookupSpan<'s>>(span: &SpanRef<'_, R>, fields: &SpanFields) -> bool {
    let keys = fields.context_keys.iter().copied();
    !context_values(span, keys.filter(|key| *key == REQUEST_ID)).is_empty()
}

/// Returns the values of context keys that `span` changes. A field does not change a pinned value.
fn context_values<R: for<'s> LookupSpan<'s>>(
    span: &SpanRef<'_, R>,
    keys: impl Iterator<Item = &'static str>,
) -> Vec<(&'static str, Value)> {
    let mut keys = keys.peekable();
    if keys.peek().is_none() {
        return Vec::new();
    }
    let context = Context::from_span(span);
    let outer = span
        .parent()
        .map(|parent| Context::from_span(&parent))
        .unwrap_or_default();
    let value = |key| {
        Some((
            key,
            context
                .get(key)
                .filter(|value| outer.get(key) != Some(value))?,
        ))
    };
    keys.filter_map(value)
        .map(|(key, value)| (key, value.to_owned().into()))
        .collect()
}

/// Returns whether lines show the id of the unit of work in another way, or not at all: those of a
/// trace are for programs.
fn is_hidden(key: &str) -> bool {
    matches!(key, REQUEST_ID | "trace_id" | "span_id")
}

/// Returns whether a context key names the unit of work. All others describe it.
fn is_id(key: &str) -> bool {
    key == REQUEST_ID || !CONTEXT_KEYS.contains(&key)
}

/// The context key that identifies a unit of work.
pub(crate) const REQUEST_ID: &str = "request_id";

impl SpanFields {
    fn is_empty(&self) -> bool {
        self.own.is_empty() && self.context_keys.is_empty()
    }
}

impl Inherit for ConsoleSpan {
    /// Nothing is inherited later than at the start of a span.
    fn rebuild(&self, _: Option<&Self>) -> Self {
        self.clone()
    }
}
