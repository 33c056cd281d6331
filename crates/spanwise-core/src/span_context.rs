//! The context of a span: values such as the request id, which each line in the span shows.

mod entries;
mod node;

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

use self::entries::ReadableEntries;
pub(crate) use self::{
    entries::{Entries, Entry, PolicyStep},
    node::ContextNode,
};
use crate::internal::{HexDigits, SpanIdentity};

/// The built-in context keys of every [`ContextLayer`](crate::ContextLayer). A span field with such
/// a name becomes part of the context.
pub const CONTEXT_KEYS: [&str; 5] = ["request_id", "tenant_id", "user_id", TRACE_ID, SPAN_ID];

/// The keys whose values are the exported ids of a span, if it is exported.
const TRACE_ID: &str = "trace_id";
const SPAN_ID: &str = "span_id";

/// A context value is cut at this many bytes, because it is copied to lines, headers and metric
/// labels.
pub const MAX_CONTEXT_VALUE_LEN: usize = 1024;

/// The values that a span and its ancestors recorded under context keys: [`CONTEXT_KEYS`] and those
/// that [`ContextLayer::key`](crate::ContextLayer::key) declares.
///
/// The value of the nearest span wins. A value is *pinned* if [`context::set`](crate::context::set)
/// or `spanwise-http` recorded it, or if it is an id from a [`TraceParent`](crate::TraceParent).
/// Only another pinned value replaces a pinned value.
///
/// If traces are exported, `trace_id` and `span_id` are the exported ids of the span, or else of
/// its nearest exported ancestor.
///
/// A context does not change after it was returned. The values of a span are redacted together,
/// when one of them is first read. So a read may run the policy of the layer, on the thread of the
/// reader. If a policy itself reads a context, values that are not redacted yet are `[REDACTED]`.
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
    entries: Option<Arc<ReadableEntries>>,
    /// The exported ids, which replace recorded ids.
    identity: Option<ShownIdentity>,
}

/// The trace and span id of an exported span. Their digits are computed on first use, because only
/// texts need them.
#[derive(Clone)]
struct ShownIdentity {
    identity: SpanIdentity,
    digits: OnceLock<(HexDigits<32>, HexDigits<16>)>,
}

impl Context {
    /// Returns the context of the current span, for example for a response header, an outgoing call
    /// or a metric label.
    ///
    /// This call runs no user code and formats nothing, but a later read may run the policy. It
    /// works under any subscriber built on [`Registry`].
    #[must_use]
    pub fn current() -> Self {
        tracing::dispatcher::get_default(|dispatch| {
            let registry = dispatch.downcast_ref::<Registry>()?;
            let current = registry.current_span();
            Some(Self::from_span(&registry.span(current.id()?)?))
        })
        .unwrap_or_default()
    }

    /// Returns the context of `span`. Looks up ancestors until one stores a context. On average
    /// these are few, at any depth.
    #[must_use]
    pub fn from_span<R: for<'s> LookupSpan<'s>>(span: &SpanRef<'_, R>) -> Self {
        Self {
            entries: ContextNode::find(None, span).map(|node| node.entries()),
            identity: SpanIdentity::freeze_nearest(span).map(ShownIdentity::new),
        }
    }

    /// Returns the context of an event: the context of its explicit parent, or else of the current
    /// span. Empty for an event with `parent: None`.
    #[must_use]
    pub fn from_event<S>(event: &Event<'_>, ctx: &LayerContext<'_, S>) -> Self
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        ctx.event_span(event)
            .map(|span| Self::from_span(&span))
            .unwrap_or_default()
    }

    /// Returns the value of `key`. The first read of the values of a span may run the policy.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entry(key).map(|entry| entry.value)
    }

    /// Returns the value of `key` if it is pinned, so that fields of spans and events do not
    /// override it. Like [`get`](Self::get), it may run the policy.
    #[must_use]
    pub fn pinned(&self, key: &str) -> Option<&str> {
        self.entry(key)
            .filter(|entry| entry.is_pinned)
            .map(|entry| entry.value)
    }

    /// Returns keys with their values. Outer spans come first, and the values of a span are in the
    /// order in which they were recorded. If traces are exported, the exported ids come last.
    ///
    /// The first read may run the policy. The policy runs in this call, so the iterator can be used
    /// under a lock.
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
        id.or_else(|| self.entries.as_ref()?.find(key))
    }

    /// Returns the entries that spans recorded, including ids that exported ids replace.
    pub(crate) fn recorded(&self) -> impl Iterator<Item = Entry<'_>> {
        // Not lazy: the policy runs in this call.
        let shown = self.entries.as_ref().map(|entries| entries.shown());
        shown.into_iter().flatten()
    }

    /// Returns the exported ids of the span, or else of its nearest exported ancestor.
    pub(crate) fn identity(&self) -> Option<&SpanIdentity> {
        self.identity.as_ref().map(|shown| &shown.identity)
    }

    /// Returns whether the context has no values. Runs no policy.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.identity.is_none() && self.entries.as_ref().is_none_or(|it| it.is_empty())
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
            policy_step: PolicyStep::Done,
        };
        [
            entry(TRACE_ID, trace_id.as_str()),
            entry(SPAN_ID, span_id.as_str()),
        ]
    }
}

/// Shows the values of [`iter`](Context::iter), so it may run the policy.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
