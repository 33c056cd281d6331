//! Data of a span that its children inherit, read in O(1) however deep the tree is.

use std::{
    fmt, ops,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::SpanValue;

/// What a span keeps for a layer: a part of its own, and what it took over from its parent.
pub trait Inherit: Sized + Send + Sync + 'static {
    /// The same own part, over what `parent` has now.
    #[must_use]
    fn rebase(&self, parent: Option<&Self>) -> Self;
}

/// Tells the instances of a layer type apart, where they keep data side by side in one span.
///
/// Without it two layers of one type share a slot, and what one was asked to hide leaks through the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerId(u64);

impl LayerId {
    /// An id that no other layer of this process has.
    #[must_use]
    pub fn unique() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Its number: they are given out one after the other.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

/// A span's value in the tree of its unit of work.
///
/// The value is built once, over the parent's, so that reading it never climbs. When a span of the tree is recorded into later,
/// the root's epoch moves on and each node is built again when it is next read: descendants see late values, and a tree
/// without late records never pays for them.
pub struct Node<T> {
    parent: Option<Arc<Self>>,
    /// `None` in the root itself.
    root: Option<Arc<Self>>,
    /// Counts the changes in this tree; only the root's is used.
    epoch: AtomicU64,
    built: u64,
    /// How many of the spans with this node are closed.
    closed: AtomicU32,
    first: T,
    later: Mutex<Option<Later<T>>>,
}

struct Later<T> {
    /// The epoch this was built at, or [`STALE`] when the rest is yet to be taken over.
    built: u64,
    value: Arc<T>,
}

const STALE: u64 = 0;
const FIRST_EPOCH: u64 = 1;

impl<T: Inherit> Node<T> {
    /// A node under `parent`, whose value `make` builds over the parent's.
    pub fn new(parent: Option<&Arc<Self>>, make: impl FnOnce(Option<&T>) -> T) -> Arc<Self> {
        let root = parent.map(|parent| Arc::clone(parent.root.as_ref().unwrap_or(parent)));
        let built = root
            .as_ref()
            .map_or(FIRST_EPOCH, |root| root.epoch.load(Ordering::Acquire));
        let first = match parent {
            Some(parent) => parent.read(|value| make(Some(value))),
            None => make(None),
        };
        Arc::new(Self {
            parent: parent.map(Arc::clone),
            root,
            epoch: AtomicU64::new(FIRST_EPOCH),
            built,
            closed: AtomicU32::new(0),
            first,
            later: Mutex::new(None),
        })
    }

    /// Calls `f` with the value as it is now. Lock-free unless something in this tree was recorded late.
    #[inline]
    pub fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.current())
    }

    /// Replaces the value by what `change` makes of it and of the parent's; descendants take it over when they are next read.
    ///
    /// `change` is called under a lock: it must not call code that may log, such as a user's `Debug`.
    pub fn update(&self, change: impl FnOnce(&T, Option<&T>) -> T) {
        let epoch = &self.root().epoch;
        let before = epoch.load(Ordering::Acquire);
        let parent = self.parent.as_deref().map(Self::current);
        let mut later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
        let own = later.as_ref().map_or(&self.first, |later| &later.value);
        let value = Arc::new(change(own, parent.as_deref()));
        let later = later.insert(Later {
            built: STALE,
            value,
        });
        // If nothing else in the tree changed meanwhile, what was just built is up to date.
        let after = before + 1;
        match epoch.compare_exchange(before, after, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => later.built = after,
            Err(_) => {
                epoch.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    /// Keeps this node in `span`, in the slot of `layer`.
    pub fn attach<R: for<'s> LookupSpan<'s>>(
        self: Arc<Self>,
        layer: LayerId,
        span: &SpanRef<'_, R>,
    ) {
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<Attached<T>>() {
            Some(attached) => attached.more.push((layer, self)),
            None => extensions.insert(Attached {
                first: (layer, self),
                more: Vec::new(),
            }),
        }
    }

    /// The node that `layer` keeps in `span`; with `None`, that of the first layer that keeps a `T`.
    pub fn of<R: for<'s> LookupSpan<'s>>(
        layer: Option<LayerId>,
        span: &SpanRef<'_, R>,
    ) -> Option<Arc<Self>> {
        let extensions = span.extensions();
        let attached = extensions.get::<Attached<T>>()?;
        let mut all = std::iter::once(&attached.first).chain(&attached.more);
        all.find(|(owner, _)| layer.is_none_or(|layer| *owner == layer))
            .map(|(_, node)| Arc::clone(node))
    }

    fn root(&self) -> &Self {
        self.root.as_deref().unwrap_or(self)
    }

    fn now(&self) -> u64 {
        self.root().epoch.load(Ordering::Acquire)
    }

    #[inline]
    fn current(&self) -> Value<'_, T> {
        if self.now() == self.built {
            Value::First(&self.first)
        } else {
            self.up_to_date()
        }
    }

    /// Builds again what is older than the tree's last change: this node, and as many of its ancestors as need it.
    ///
    /// A loop, not a recursion: a tree may be ten thousand spans deep.
    #[cold]
    fn up_to_date(&self) -> Value<'_, T> {
        let now = self.now();
        let mut stale = Vec::new();
        let mut at = self;
        let mut value = loop {
            if let Some(value) = at.built_at(now) {
                break Some(value);
            }
            stale.push(at);
            match at.parent.as_deref() {
                Some(parent) => at = parent,
                None => break None,
            }
        };
        while let Some(node) = stale.pop() {
            let mut later = node.later.lock().unwrap_or_else(PoisonError::into_inner);
            let own = later.as_ref().map_or(&node.first, |later| &later.value);
            let rebuilt = Arc::new(own.rebase(value.as_deref()));
            *later = Some(Later {
                built: now,
                value: Arc::clone(&rebuilt),
            });
            value = Some(Value::Later(rebuilt));
        }
        value.unwrap_or(Value::First(&self.first))
    }

    fn built_at(&self, epoch: u64) -> Option<Value<'_, T>> {
        if let Some(later) = &*self.later.lock().unwrap_or_else(PoisonError::into_inner) {
            // A root has nothing to take over: its own part is all of it.
            let current = later.built == epoch || self.parent.is_none();
            return current.then(|| Value::Later(Arc::clone(&later.value)));
        }
        (self.built == epoch || self.parent.is_none()).then_some(Value::First(&self.first))
    }
}

impl<T> SpanValue for Node<T> {
    #[inline]
    fn closed_spans(&self) -> &AtomicU32 {
        &self.closed
    }
}

enum Value<'a, T> {
    First(&'a T),
    Later(Arc<T>),
}

impl<T> ops::Deref for Value<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::First(value) => value,
            Self::Later(value) => value,
        }
    }
}

struct Attached<T> {
    first: (LayerId, Arc<Node<T>>),
    more: Vec<(LayerId, Arc<Node<T>>)>,
}

impl<T> Drop for Node<T> {
    /// Lets go of the ancestors one by one: the default, one inside the other, overflows the stack in a deep tree.
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(mut parent) = next.and_then(Arc::into_inner) {
            next = parent.parent.take();
        }
    }
}

impl<T> fmt::Debug for Node<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("root", &self.root.is_none())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Own names first, then the inherited ones.
    struct Names {
        own: Vec<&'static str>,
        all: Vec<&'static str>,
    }

    impl Names {
        fn new(own: &[&'static str], parent: Option<&Self>) -> Self {
            let inherited = parent
                .map(|parent| parent.all.as_slice())
                .unwrap_or_default();
            Self {
                own: own.to_vec(),
                all: [own, inherited].concat(),
            }
        }
    }

    impl Inherit for Names {
        fn rebase(&self, parent: Option<&Self>) -> Self {
            Self::new(&self.own, parent)
        }
    }

    fn node(own: &[&'static str], parent: Option<&Arc<Node<Names>>>) -> Arc<Node<Names>> {
        Node::new(parent, |parent| Names::new(own, parent))
    }

    #[test]
    fn a_late_value_reaches_every_descendant_and_no_sibling_loses_its_own() {
        let root = node(&["r"], None);
        let left = node(&["l"], Some(&root));
        let right = node(&["x"], Some(&root));
        let leaf = node(&["f"], Some(&left));

        left.update(|_, parent| Names::new(&["l", "late"], parent));
        assert_eq!(leaf.read(|names| names.all.join(" ")), "f l late r");
        assert_eq!(right.read(|names| names.all.join(" ")), "x r");
        root.update(|_, _| Names::new(&["R"], None));
        assert_eq!(leaf.read(|names| names.all.join(" ")), "f l late R");
        assert_eq!(root.read(|names| names.all.join(" ")), "R");
        assert_eq!(node(&["n"], Some(&leaf)).read(|names| names.all.len()), 5);
    }

    #[test]
    fn late_values_of_several_threads_all_arrive() {
        struct Last {
            own: u32,
            /// Of this node and those above it.
            all: Vec<u32>,
        }
        impl Last {
            fn new(own: u32, parent: Option<&Self>) -> Self {
                let outer = parent
                    .map(|parent| parent.all.as_slice())
                    .unwrap_or_default();
                Self {
                    own,
                    all: [&[own], outer].concat(),
                }
            }
        }
        impl Inherit for Last {
            fn rebase(&self, parent: Option<&Self>) -> Self {
                Self::new(self.own, parent)
            }
        }
        const LAST: u32 = 5_000;
        let root = Node::new(None, |parent| Last::new(0, parent));
        let child = Node::new(Some(&root), |parent| Last::new(0, parent));
        let leaf = Node::new(Some(&child), |parent| Last::new(0, parent));
        std::thread::scope(|scope| {
            for node in [&root, &child, &leaf] {
                scope.spawn(move || {
                    for value in 1..=LAST {
                        node.update(|_, parent| Last::new(value, parent));
                        // What a thread recorded itself it sees at once.
                        node.read(|last| assert_eq!((last.own, last.all[0]), (value, value)));
                    }
                });
            }
            scope.spawn(|| {
                let mut before = vec![0; 3];
                while before != [LAST; 3] {
                    let now = leaf.read(|last| last.all.clone());
                    assert!(
                        now.iter().zip(&before).all(|(now, before)| now >= before),
                        "{before:?}, {now:?}"
                    );
                    before = now;
                }
            });
        });
    }

    #[test]
    fn a_deep_tree_is_read_and_dropped_without_recursion() {
        let root = node(&["r"], None);
        let mut leaf = Arc::clone(&root);
        for _ in 0..100_000 {
            leaf = node(&[], Some(&leaf));
        }
        root.update(|_, _| Names::new(&["R"], None));
        assert_eq!(leaf.read(|names| names.all.join(" ")), "R");
        drop(root);
        drop(leaf);
    }
}
