//! The tree of the values that a layer keeps for a root span and its descendants.
//!
//! A *late record* records fields of a span after the span was opened. After it, the values in the
//! tree for the span and its descendants are out of date. So each late record increments the count
//! of its own span, and then the epoch, which the root stores. In a new epoch, a reader sums the
//! counts of the ancestors. It builds the value again only if the sum differs from that of the last
//! build.
//!
//! *Invariant:* a reader reads the epoch and the counts before the recorded values. A late record
//! changes the values first, then the count and the epoch. So if both happen at once, the next read
//! detects the record.

use std::{
    iter, mem,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

/// The value of a span in its tree.
pub(crate) trait TreeNode: Sized {
    fn position(&self) -> &TreePosition<Self>;

    fn position_mut(&mut self) -> &mut TreePosition<Self>;

    /// Returns the count of late records of this span.
    fn records(&self) -> &AtomicU32;

    /// Returns the epoch of the tree.
    #[inline]
    fn epoch(&self) -> &AtomicU64 {
        let root = match self.position() {
            TreePosition::Root(epoch) => return epoch,
            TreePosition::Child { root, .. } => root,
        };
        match root.position() {
            TreePosition::Root(epoch) => epoch,
            TreePosition::Child { .. } => unreachable!("a root is below nothing"),
        }
    }

    #[inline]
    fn current_epoch(&self) -> u64 {
        self.epoch().load(Ordering::Acquire)
    }

    fn parent(&self) -> Option<&Self> {
        match self.position() {
            TreePosition::Root(_) => None,
            TreePosition::Child { parent, .. } => Some(parent),
        }
    }

    /// Returns the ancestors, from the parent to the root.
    fn ancestors(&self) -> impl Iterator<Item = &Self> {
        iter::successors(self.parent(), |node| node.parent())
    }

    fn record_count(&self) -> u64 {
        u64::from(self.records().load(Ordering::Acquire))
    }

    /// Returns this node and its ancestors, with their record counts.
    fn path_to_root(&self) -> Vec<PathNode<'_, Self>> {
        let nodes = iter::successors(Some(self), |node| node.parent());
        let mut path: Vec<_> = nodes
            .map(|node| PathNode {
                node,
                own_records: node.record_count(),
                records_above: 0,
            })
            .collect();
        let mut records_above = 0_u64;
        for node in path.iter_mut().rev() {
            node.records_above = records_above;
            records_above = records_above.wrapping_add(node.own_records);
        }
        path
    }

    /// Drops the ancestors to which nothing else refers, one after the other, because recursive
    /// drops would overflow the stack in a deep tree. Call it when the node is dropped.
    fn drop_ancestors(&mut self) {
        let mut next = self.position_mut().take_parent();
        while let Some(mut parent) = next.and_then(Arc::into_inner) {
            next = parent.position_mut().take_parent();
        }
    }
}

/// The position of a span in its tree. Two words in size, so that open spans stay small.
pub(crate) enum TreePosition<N> {
    /// The epoch of the tree. Each late record increments it.
    Root(AtomicU64),
    Child {
        parent: Arc<N>,
        root: Arc<N>,
    },
}

/// A node on the path to its root.
pub(crate) struct PathNode<'a, N> {
    pub(crate) node: &'a N,
    /// The number of late records of the span.
    pub(crate) own_records: u64,
    /// The number of late records of its ancestors.
    pub(crate) records_above: u64,
}

/// An epoch that no tree ever has.
pub(crate) const NEVER: u64 = 0;
/// The epoch of a tree without late records.
pub(crate) const FIRST_EPOCH: u64 = 1;

impl<N: TreeNode> TreePosition<N> {
    /// Returns the position of a child of `parent`, or of a root.
    pub(crate) fn below(parent: Option<Arc<N>>) -> Self {
        match parent {
            None => Self::Root(AtomicU64::new(FIRST_EPOCH)),
            Some(parent) => Self::Child {
                root: Arc::clone(match parent.position() {
                    Self::Root(_) => &parent,
                    Self::Child { root, .. } => root,
                }),
                parent,
            },
        }
    }

    fn take_parent(&mut self) -> Option<Arc<N>> {
        match mem::replace(self, Self::Root(AtomicU64::new(NEVER))) {
            Self::Root(_) => None,
            Self::Child { parent, .. } => Some(parent),
        }
    }
}
