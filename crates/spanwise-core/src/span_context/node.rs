//! The node that stores the context values of a span. The nodes of a unit of work form a tree.
//!
//! A node stores only the values that its own span recorded. The first read of the context joins
//! them with those of the ancestors, and stores the joined values for later reads. So a span costs
//! little if its context is never read. A *late record* (a record after the span was opened) only
//! stores the recorded value. An epoch of the tree counts late records, and so shows whether joined
//! values are still valid; see `internal/span_tree.rs`.

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

/// The node of a span in the tree of its unit of work.
pub(crate) struct ContextNode {
    position: TreePosition<Self>,
    /// The number of late records of this span.
    late_records: AtomicU32,
    /// Whether this node belongs to the first context layer: the one that stored its node in the
    /// root span before any other layer did.
    is_of_first_layer: bool,
    /// No user code runs under the lock.
    values: Mutex<Values>,
}

struct Values {
    own: OwnEntriesState,
    /// The values of this span and of its ancestors, if they have been read.
    joined: Option<Joined>,
}

/// The values that a span recorded.
enum OwnEntriesState {
    /// No reader has a reference, so entries with new keys are added in place.
    Mutable(Entries),
    /// Readers may have references, so a late record creates a new list.
    Shared(Arc<OwnEntries>),
}

struct Joined {
    entries: Arc<ReadableEntries>,
    /// The number of late records of this span and its ancestors when the values were joined.
    late_records_to_root: u64,
    /// The last epoch of the tree in which the values were known to be up to date.
    epoch: u64,
}

impl ContextNode {
    /// Creates the node of `span` below `parent`, with the values that the span has when it opens.
    pub(crate) fn new<R: for<'s> LookupSpan<'s>>(
        span: &SpanRef<'_, R>,
        parent: Option<Arc<Self>>,
        own: Entries,
    ) -> Arc<Self> {
        let is_of_first_layer = match &parent {
            None => !StoredNodes::exist(span),
            Some(parent) => parent.is_of_first_layer,
        };
        Arc::new(Self {
            position: TreePosition::below(parent),
            late_records: AtomicU32::new(0),
            is_of_first_layer,
            values: Mutex::new(Values {
                own: OwnEntriesState::Mutable(own),
                joined: None,
            }),
        })
    }

    /// Adds `recorded` to the values of the span. An added value replaces an earlier value of its
    /// key, unless the earlier value is pinned and the added one is not; see [`Entry::is_pinned`].
    pub(crate) fn record<'a>(
        &self,
        recorded: impl Iterator<Item = Entry<'a>> + Clone,
        policy: &Arc<dyn Redact>,
    ) {
        let mut values = self.values.lock();
        let replaced = values.own.record(recorded, policy);
        drop(values);
        drop(replaced);
        self.late_records.fetch_add(1, Ordering::Release);
        self.epoch().fetch_add(1, Ordering::Release);
    }

    /// Returns the values of the span and of its ancestors.
    pub(crate) fn entries(&self) -> Arc<ReadableEntries> {
        // Reads the epoch before the values. If a record happens meanwhile, a later read finds a
        // newer epoch.
        let epoch = self.current_epoch();
        let joined = match &self.values.lock().joined {
            Some(joined) if joined.epoch == epoch => Some(Arc::clone(&joined.entries)),
            _ => None,
        };
        joined.unwrap_or_else(|| self.join(epoch))
    }

    /// Finds the nearest node, from this one to the root, whose joined values are still valid.
    /// Joins the values of all nodes below it, outermost first, down to this one. `epoch` is the
    /// current epoch of the tree.
    ///
    /// Iterative, because a tree may be ten thousand spans deep.
    fn join(&self, epoch: u64) -> Arc<ReadableEntries> {
        let path = self.path_to_root();
        let mut outer = None;
        let mut stale_count = path.len();
        for (index, step) in path.iter().enumerate() {
            if let Some(joined) = &mut step.node.values.lock().joined
                && joined.late_records_to_root == step.records_above.wrapping_add(step.own_records)
            {
                joined.epoch = epoch;
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
                late_records_to_root: step.records_above.wrapping_add(step.own_records),
                epoch,
            });
            drop(values);
            drop(replaced);
            outer = Some(entries);
        }
        outer.unwrap_or_else(|| ReadableEntries::join(None, &self.values.lock().own.share()))
    }

    /// Returns the node that `layer` stored in `span`, or else in the nearest ancestor. If `layer`
    /// is `None`, finds the node of the first context layer. Never returns the node of another
    /// layer instead, because the policy of that layer may hide less.
    pub(crate) fn find<R: for<'s> LookupSpan<'s>>(
        layer: Option<LayerId>,
        span: &SpanRef<'_, R>,
    ) -> Option<Arc<Self>> {
        let find = |span: &SpanRef<'_, R>| {
            StoredNodes::find(span, |owner, node| match layer {
                Some(layer) => owner == layer,
                None => node.is_of_first_layer,
            })
        };
        // The ancestors are the slow path, because each is looked up.
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

impl OwnEntriesState {
    /// Adds `recorded` as [`ContextNode::record`] does. If a new list replaces the previous one,
    /// returns the previous one, which the caller drops after it has released the lock.
    fn record<'a>(
        &mut self,
        recorded: impl Iterator<Item = Entry<'a>> + Clone,
        policy: &Arc<dyn Redact>,
    ) -> Option<Self> {
        // Nearly always no reader has the values, and the keys are new.
        if let Self::Mutable(entries) = self
            && entries.add_new(recorded.clone(), policy)
        {
            return None;
        }
        let before = match self {
            Self::Mutable(entries) => entries,
            Self::Shared(shared) => shared.latest(),
        };
        let changed = before.with_added(recorded, policy);
        Some(mem::replace(self, Self::Mutable(changed)))
    }

    /// Returns the values for readers.
    fn share(&mut self) -> Arc<OwnEntries> {
        let shared = match self {
            Self::Shared(shared) => return Arc::clone(shared),
            Self::Mutable(entries) => OwnEntries::new(mem::take(entries)),
        };
        *self = Self::Shared(Arc::clone(&shared));
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
        &self.late_records
    }
}

impl Drop for ContextNode {
    fn drop(&mut self) {
        self.drop_ancestors();
    }
}
