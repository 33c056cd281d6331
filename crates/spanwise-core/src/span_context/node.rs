//! The context values that a span recorded, in the tree of its unit of work.
//!
//! A span stores only its own values. The first read of its context joins them with those of its
//! ancestors, and stores the result for later reads. So a span costs little if its context is never
//! read, and a late record only stores the recorded value. The tree of the spans
//! (`internal/span_tree.rs`) shows whether the result is still valid.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::entries::{Entries, Entry, OwnEntries, ReadableEntries};
use crate::{
    Redact,
    internal::{
        LayerId,
        layer_values::LayerValues,
        span_tree::{TreeNode, TreePosition},
        sync::Mutex,
    },
};

/// The context of a span in the tree of spans.
pub(crate) struct ContextNode {
    position: TreePosition<Self>,
    /// The number of late records of this span: records after it was opened.
    records: AtomicU32,
    /// Whether the layer of the node is the first that stored a node in the root of the tree.
    is_first: bool,
    /// No user code runs under the lock.
    values: Mutex<Values>,
}

struct Values {
    own: OwnValues,
    /// The values of this span and of its ancestors, if they have been read.
    joined: Option<Joined>,
}

/// The values that a span recorded.
enum OwnValues {
    Unread(Entries),
    /// Readers share the values.
    Read(Arc<OwnEntries>),
}

struct Joined {
    entries: Arc<ReadableEntries>,
    /// The number of late records, from this span to the root, when the values were joined.
    records: u64,
    /// An epoch of the tree in which the values were up to date.
    epoch: u64,
}

impl ContextNode {
    /// Creates the node of `span` below `parent`, with the values that the span has when it opens.
    pub(crate) fn new<R: for<'s> LookupSpan<'s>>(
        span: &SpanRef<'_, R>,
        parent: Option<Arc<Self>>,
        own: Entries,
    ) -> Arc<Self> {
        let is_first = match &parent {
            None => !StoredNodes::exist(span),
            Some(parent) => parent.is_first,
        };
        Arc::new(Self {
            position: TreePosition::below(parent),
            records: AtomicU32::new(0),
            is_first,
            values: Mutex::new(Values {
                own: OwnValues::Unread(own),
                joined: None,
            }),
        })
    }

    /// Adds `recorded` to the values of the span, in place of earlier values of these keys. A value
    /// that is not pinned replaces no pinned value.
    pub(crate) fn record<'a>(
        &self,
        recorded: impl Iterator<Item = Entry<'a>> + Clone,
        policy: &Arc<dyn Redact>,
    ) {
        let mut values = self.values.lock();
        let replaced = values.own.record(recorded, policy);
        drop(values);
        drop(replaced);
        self.records.fetch_add(1, Ordering::Release);
        self.epoch().fetch_add(1, Ordering::Release);
    }

    /// Returns the values of the span and of its ancestors.
    pub(crate) fn entries(&self) -> Arc<ReadableEntries> {
        // Read the epoch before the values, so that a later read detects a record that happens
        // meanwhile.
        let now = self.current_epoch();
        let joined = match &self.values.lock().joined {
            Some(joined) if joined.epoch == now => Some(Arc::clone(&joined.entries)),
            _ => None,
        };
        joined.unwrap_or_else(|| self.join(now))
    }

    /// Joins the values of this node again, and first those of the ancestors below the nearest one
    /// whose joined values are still valid.
    ///
    /// Iterative, because a tree may be ten thousand spans deep.
    fn join(&self, now: u64) -> Arc<ReadableEntries> {
        let path = self.path_to_root();
        let mut outer = None;
        let mut stale_count = path.len();
        for (index, step) in path.iter().enumerate() {
            if let Some(joined) = &mut step.node.values.lock().joined
                && joined.records == step.records_above.wrapping_add(step.own_records)
            {
                joined.epoch = now;
                (outer, stale_count) = (Some(Arc::clone(&joined.entries)), index);
                break;
            }
        }
        for step in path[..stale_count].iter().rev() {
            let mut values = step.node.values.lock();
            let own_entries = values.own.share();
            let entries = ReadableEntries::join(outer.as_ref(), &own_entries);
            let replaced = values.joined.replace(Joined {
                entries: Arc::clone(&entries),
                records: step.records_above.wrapping_add(step.own_records),
                epoch: now,
            });
            drop(values);
            drop(replaced);
            outer = Some(entries);
        }
        outer.unwrap_or_else(|| ReadableEntries::join(None, &self.values.lock().own.share()))
    }

    /// Returns the node that `layer` stored in `span`, or else in the nearest ancestor. If `layer`
    /// is `None`, returns the node of the first layer of the stack.
    ///
    /// Another layer never answers for the first one, because its policy may show more.
    pub(crate) fn find<R: for<'s> LookupSpan<'s>>(
        layer: Option<LayerId>,
        span: &SpanRef<'_, R>,
    ) -> Option<Arc<Self>> {
        let find = |span: &SpanRef<'_, R>| {
            StoredNodes::find(span, |owner, node| match layer {
                Some(layer) => owner == layer,
                None => node.is_first,
            })
        };
        // The scope is the slow path, because it looks up each span.
        find(span).or_else(|| span.scope().skip(1).find_map(|span| find(&span)))
    }

    /// Stores the node in `span`, for `layer`.
    pub(crate) fn attach<R: for<'s> LookupSpan<'s>>(
        self: Arc<Self>,
        layer: LayerId,
        span: &SpanRef<'_, R>,
    ) {
        StoredNodes::attach(self, layer, span);
    }
}

impl OwnValues {
    /// Adds `recorded`, in place of earlier values of these keys. Returns the replaced values. The
    /// caller drops them after it has released the lock.
    fn record<'a>(
        &mut self,
        recorded: impl Iterator<Item = Entry<'a>> + Clone,
        policy: &Arc<dyn Redact>,
    ) -> Option<Self> {
        // Nearly always the values are unread and the keys are new.
        if let Self::Unread(entries) = self
            && entries.add_new(recorded.clone(), policy)
        {
            return None;
        }
        let before = match self {
            Self::Unread(entries) => entries,
            Self::Read(shared) => shared.latest(),
        };
        let changed = before.with(recorded, policy);
        Some(mem::replace(self, Self::Unread(changed)))
    }

    /// Returns the values for readers.
    fn share(&mut self) -> Arc<OwnEntries> {
        let shared = match self {
            Self::Read(shared) => return Arc::clone(shared),
            Self::Unread(entries) => OwnEntries::new(mem::take(entries)),
        };
        *self = Self::Read(Arc::clone(&shared));
        shared
    }
}

type StoredNodes = LayerValues<Arc<ContextNode>>;

impl TreeNode for ContextNode {
    fn position(&self) -> &TreePosition<Self> {
        &self.position
    }

    fn position_mut(&mut self) -> &mut TreePosition<Self> {
        &mut self.position
    }

    fn records(&self) -> &AtomicU32 {
        &self.records
    }
}

impl Drop for ContextNode {
    fn drop(&mut self) {
        self.drop_ancestors();
    }
}
