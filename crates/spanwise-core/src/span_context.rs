//! The context of a span: the values of context keys on the lines of the span.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    Registry,
    layer::Context as LayerContext,
    registry::{LookupSpan, SpanRef},
};

use crate::internal::{HexDigits, Inherit, SpanData, SpanIdentity};

/// The built-in context keys of every [`ContextLayer`](crate::ContextLayer). A span field with such
/// a name becomes part of the context.
pub const CONTEXT_KEYS: [&str; 5] = ["request_id", "tenant_id", "user_id", TRACE_ID, SPAN_ID];

/// The keys whose values come from the identity of a span, if it has one.
const TRACE_ID: &str = "trace_id";
const SPAN_ID: &str = "span_id";

/// A context value is cut at this many bytes, because it is copied to lines, headers and metric
/// labels.
pub const MAX_CONTEXT_VALUE_LEN: usize = 1024;

/// The values that a span and its ancestors recorded under the declared context keys.
///
/// The value of the nearest span wins. A value is *pinned* if [`context::set`](crate::context::set)
/// or `spanwise-http` recorded it. Only another pinned value replaces a pinned value.
///
/// If traces are exported, `trace_id` and `span_id` are the exported ids of the span itself.
///
/// Cheap to clone. Empty outside of spans, and without a [`ContextLayer`](crate::ContextLayer).
///
/// ```
/// use spanwise_core::{Context, ContextLayer};
/// use tracing::field::Empty;
/// use tracing_subscriber::prelude::*;
///
/// let stack = tracing_subscriber::registry().with(ContextLayer::default().key("order_id"));
/// let _default = stack.set_default();
///
/// let request = tracing::info_span!("request", request_id = "r-1", order_id = Empty);
/// let _entered = request.enter();
/// let _inner = tracing::info_span!("load").entered();
/// request.record("order_id", 42);
///
/// let context = Context::current();
/// assert_eq!(context.get("request_id"), Some("r-1"));
/// assert_eq!(context.iter().collect::<Vec<_>>(), [("request_id", "r-1"), ("order_id", "42")]);
/// ```
#[derive(Clone, Default)]
pub struct Context {
    entries: Option<Arc<Entries>>,
    /// If the span has an identity, its ids are the ids of the context.
    identity: Option<ShownIdentity>,
}

/// An identity. The digits of its ids are computed on first use, because only texts need them.
#[derive(Clone)]
struct ShownIdentity {
    identity: SpanIdentity,
    digits: OnceLock<(HexDigits<32>, HexDigits<16>)>,
}

/// Keys and values, with all values in one text. Allocated without spare capacity, because open
/// spans keep them.
#[derive(Debug)]
struct Entries {
    keys: Box<[Key]>,
    text: Box<str>,
}

#[derive(Debug, Clone, Copy)]
struct Key {
    name: &'static str,
    is_pinned: bool,
    /// The end of the value in the text.
    end: u32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) key: &'static str,
    pub(crate) value: &'a str,
    /// Whether span fields cannot replace the value.
    pub(crate) is_pinned: bool,
}

impl Context {
    /// Returns the context of the current span, for a response header, an outgoing call or a metric
    /// label.
    ///
    /// It runs no user code and formats nothing. It works under any subscriber built on
    /// [`Registry`].
    #[must_use]
    pub fn current() -> Self {
        tracing::dispatcher::get_default(|dispatch| {
            let registry = dispatch.downcast_ref::<Registry>()?;
            let current = registry.current_span();
            Some(Self::from_span(&registry.span(current.id()?)?))
        })
        .unwrap_or_default()
    }

    /// Returns the context of `span` with one look-up at any depth.
    #[must_use]
    pub fn from_span<R: for<'s> LookupSpan<'s>>(span: &SpanRef<'_, R>) -> Self {
        let data = SpanData::<Inherited>::find(None, span);
        Self {
            entries: data.and_then(|data| data.read(|inherited| inherited.entries.clone())),
            identity: SpanIdentity::nearest(span).map(ShownIdentity::new),
        }
    }

    /// Returns the context of an event: the context of its explicit parent, or else of the current
    /// span.
    #[must_use]
    pub fn from_event<S>(event: &Event<'_>, ctx: &LayerContext<'_, S>) -> Self
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        ctx.event_span(event)
            .map(|span| Self::from_span(&span))
            .unwrap_or_default()
    }

    /// Returns the value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entry(key).map(|entry| entry.value)
    }

    /// Returns the value of `key` if it is pinned, so that fields of spans and events do not
    /// override it.
    #[must_use]
    pub fn pinned(&self, key: &str) -> Option<&str> {
        self.entry(key)
            .filter(|entry| entry.is_pinned)
            .map(|entry| entry.value)
    }

    /// Returns keys with their values. Outer spans come first, and the values of a span are in the
    /// order of its fields. If traces are exported, the ids of the span come last.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let recorded = self
            .recorded()
            .filter(|entry| self.identity.is_none() || !matches!(entry.key, TRACE_ID | SPAN_ID));
        let ids = self.identity.iter().flat_map(ShownIdentity::entries);
        recorded.chain(ids).map(|entry| (entry.key, entry.value))
    }

    fn entry(&self, key: &str) -> Option<Entry<'_>> {
        let is_wanted = |entry: &Entry<'_>| entry.key == key;
        let identity = self.identity.as_ref();
        let id = identity.and_then(|identity| identity.entries().into_iter().find(is_wanted));
        id.or_else(|| self.recorded().find(is_wanted))
    }

    /// Returns the entries that span fields recorded, including entries that the identity replaces.
    pub(crate) fn recorded(&self) -> impl Iterator<Item = Entry<'_>> {
        self.entries.iter().flat_map(|entries| entries.iter())
    }

    /// Returns the identity of the span, if traces are exported.
    pub(crate) fn identity(&self) -> Option<&SpanIdentity> {
        self.identity.as_ref().map(|shown| &shown.identity)
    }

    /// Returns whether the context has no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_none() && self.identity.is_none()
    }
}

impl ShownIdentity {
    fn new(identity: SpanIdentity) -> Self {
        Self {
            identity,
            digits: OnceLock::new(),
        }
    }

    /// Returns the ids as entries.
    fn entries(&self) -> [Entry<'_>; 2] {
        let identity = &self.identity;
        let digits = || (identity.trace_id_digits(), identity.span_id_digits());
        let (trace_id, span_id) = self.digits.get_or_init(digits);
        let entry = |key, value| Entry {
            key,
            value,
            is_pinned: true,
        };
        [
            entry(TRACE_ID, trace_id.as_str()),
            entry(SPAN_ID, span_id.as_str()),
        ]
    }
}

impl Entries {
    fn new<'a>(entries: impl Iterator<Item = Entry<'a>> + Clone) -> Self {
        let lens = entries.clone().map(|entry| entry.value.len());
        let (count, len) = lens.fold((0, 0), |(count, sum), len| (count + 1, sum + len));
        let (mut keys, mut text) = (Vec::with_capacity(count), String::with_capacity(len));
        for entry in entries {
            text.push_str(entry.value);
            keys.push(Key {
                name: entry.key,
                is_pinned: entry.is_pinned,
                end: text.len() as u32,
            });
        }
        Self {
            keys: keys.into(),
            text: text.into(),
        }
    }

    fn iter(&self) -> impl Iterator<Item = Entry<'_>> + Clone {
        let mut start = 0;
        self.keys.iter().map(move |key| {
            let value = &self.text[start..key.end as usize];
            start = key.end as usize;
            Entry {
                key: key.name,
                value,
                is_pinned: key.is_pinned,
            }
        })
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The context of a span, in the form that child spans inherit.
pub(crate) struct Inherited {
    /// The number of entries at the end that the span itself recorded.
    own_len: u32,
    /// All entries.
    entries: Option<Arc<Entries>>,
}

impl Inherited {
    /// Joins the inherited entries with the entries of the span, which replace inherited ones.
    pub(crate) fn new<'a>(
        own: impl Iterator<Item = Entry<'a>> + Clone,
        parent: Option<&'a Self>,
    ) -> Self {
        let outer = parent.and_then(|parent| parent.entries.as_ref());
        let Some(outer) = outer else {
            let count = own.clone().count() as u32;
            return Self {
                own_len: count,
                entries: (count > 0).then(|| Arc::new(Entries::new(own))),
            };
        };
        let own = own.filter(|own| {
            own.is_pinned
                || !outer
                    .iter()
                    .any(|outer| outer.key == own.key && outer.is_pinned)
        });
        let count = own.clone().count() as u32;
        let entries = if count > 0 {
            let is_own = |key: &str| own.clone().any(|own| own.key == key);
            let inherited = outer.iter().filter(|outer| !is_own(outer.key));
            Arc::new(Entries::new(inherited.chain(own.clone())))
        } else {
            Arc::clone(outer)
        };
        Self {
            own_len: count,
            entries: Some(entries),
        }
    }

    pub(crate) fn own(&self) -> impl Iterator<Item = Entry<'_>> + Clone {
        let own = self.own_len as usize;
        self.entries.iter().flat_map(move |entries| {
            let inherited = entries.keys.len() - own;
            entries.iter().skip(inherited)
        })
    }
}

impl Inherit for Inherited {
    fn rebuild(&self, parent: Option<&Self>) -> Self {
        Self::new(self.own(), parent)
    }
}
