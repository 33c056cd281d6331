//! Data of a span that its children inherit, read in O(1) however deep the tree is.

use std::{
    cell::Cell,
    fmt, iter, mem, ops,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::internal::{
    LayerId, SpanValue,
    sync::{Mutex, MutexGuard},
};

/// What a span keeps for a layer: a part of its own, and what it took over from its parent.
pub trait Inherit: Sized + Send + Sync + 'static {
    /// The same own part, over what `parent` has now. No lock is held meanwhile.
    #[must_use]
    fn rebuild(&self, parent: Option<&Self>) -> Self;
}

/// A span's value in the tree of its unit of work.
///
/// The value is built once, over the parent's, so that reading it never climbs. A late record
/// moves the epoch of the root. The next read of a node then sums the records of the spans above
/// it, without a lock, and builds the value again only if that sum changed: a record is paid for
/// by the spans below it alone, and a tree without late records never pays.
pub struct SpanData<T> {
    position: TreePosition<T>,
    /// How often this span was recorded into.
    records: AtomicU32,
    /// How many of the spans with this node are closed.
    closed: AtomicU32,
    first: Version<T>,
    /// The newest version, if it is not the first. Nothing is built or dropped under the lock.
    latest: Mutex<Option<Arc<Version<T>>>>,
}

/// Where a node is in its tree. Two words: open spans have no room to spare.
enum TreePosition<T> {
    /// Counts the late records of the tree.
    Root(AtomicU64),
    Child {
        parent: Arc<SpanData<T>>,
        root: Arc<SpanData<T>>,
    },
}

/// A value, and the spans above that it was built over.
struct Version<T> {
    value: T,
    /// How often the spans above were recorded into before this was built.
    above: u64,
    /// An epoch at which this was the newest and up to date.
    valid_at: AtomicU64,
}

/// A version of a node's value that a thread read before: see [`SpanData::read_cached`].
pub struct SpanDataCache<T>(Option<Arc<Version<T>>>);

thread_local! {
    /// How often this thread made a version the newest one.
    static REPLACED: Cell<u32> = const { Cell::new(0) };
}

/// A value that records into its own span whenever it is built is built this often, and then stands.
const MAX_NESTED: u32 = 3;

const NEVER: u64 = 0;
const FIRST_EPOCH: u64 = 1;

impl<T: Inherit> SpanData<T> {
    /// A node under `parent`, whose value `make` builds over the parent's.
    pub fn new(parent: Option<&Arc<Self>>, make: impl FnOnce(Option<&T>) -> T) -> Arc<Self> {
        let (position, first) = match parent {
            Some(parent) => {
                let root = match &parent.position {
                    TreePosition::Root(_) => parent,
                    TreePosition::Child { root, .. } => root,
                };
                let position = TreePosition::Child {
                    parent: Arc::clone(parent),
                    root: Arc::clone(root),
                };
                // Before the value: a record in between is then seen to be missing.
                let (epoch, records) = (parent.current_epoch(), parent.record_count());
                let current = parent.current();
                let first = Version {
                    value: make(Some(&current.value)),
                    above: current.above.wrapping_add(records),
                    valid_at: AtomicU64::new(epoch),
                };
                (position, first)
            }
            None => {
                let first = Version {
                    value: make(None),
                    above: 0,
                    valid_at: AtomicU64::new(FIRST_EPOCH),
                };
                (TreePosition::Root(AtomicU64::new(FIRST_EPOCH)), first)
            }
        };
        Arc::new(Self {
            position,
            records: AtomicU32::new(0),
            closed: AtomicU32::new(0),
            first,
            latest: Mutex::new(None),
        })
    }

    /// Calls `f` with the value as it is now. Lock-free unless this span or one above it was
    /// recorded into late.
    #[inline]
    pub fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.current().value)
    }

    /// [`read`](Self::read), with what an earlier call found: locks once for each late record.
    #[inline]
    pub fn read_cached<R>(&self, cache: &mut SpanDataCache<T>, f: impl FnOnce(&T) -> R) -> R {
        let now = self.current_epoch();
        if self.first.is_valid_at(now) {
            return f(&self.first.value);
        }
        match &cache.0 {
            Some(version) if version.is_valid_at(now) => f(&version.value),
            _ => f(&self.refresh_cache(cache).value),
        }
    }

    #[cold]
    fn refresh_cache(&self, cache: &mut SpanDataCache<T>) -> Current<'_, T> {
        let current = self.refresh();
        if let Current::Latest(version) = &current {
            cache.0 = Some(Arc::clone(version));
        }
        current
    }

    /// Replaces the value by what `change` makes of it and of the parent's; descendants take it over when they are next read.
    ///
    /// `change` is called again if somebody else records into the same span meanwhile. No lock is
    /// held while it runs.
    pub fn update(&self, change: impl Fn(&T, Option<&T>) -> T) {
        let epoch = self.epoch();
        let before = Cell::new(NEVER);
        let version = self.replace_latest(|own| {
            before.set(epoch.load(Ordering::Acquire));
            let parent = self.parent().map(|parent| {
                let records = parent.record_count();
                (parent.current(), records)
            });
            let parent_value = parent.as_ref().map(|(parent, _)| &parent.value);
            Version {
                value: change(own, parent_value),
                above: parent
                    .as_ref()
                    .map_or(0, |(parent, records)| parent.above.wrapping_add(*records)),
                valid_at: AtomicU64::new(NEVER),
            }
        });
        let before = before.get();
        self.records.fetch_add(1, Ordering::Release);
        // If nothing else in the tree changed meanwhile, what was just built is up to date.
        let after = before + 1;
        match epoch.compare_exchange(before, after, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => version.valid_at.store(after, Ordering::Release),
            Err(_) => {
                epoch.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    /// Makes what `build` makes of the newest value the newest, and builds it anew if there is
    /// another one meanwhile. No lock is held while it builds, or drops.
    fn replace_latest(&self, build: impl Fn(&T) -> Version<T>) -> Arc<Version<T>> {
        let mut newest = self.latest().clone();
        let mut nested = 0;
        loop {
            let before = REPLACED.get();
            let own = newest.as_deref().unwrap_or(&self.first);
            let version = Arc::new(build(&own.value));
            // Code that records into the span it builds a value of would never come to an end.
            nested += u32::from(REPLACED.get() != before);
            let mut latest = self.latest();
            let is_newest = match (&*latest, &newest) {
                (Some(now), Some(newest)) => Arc::ptr_eq(now, newest),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            if is_newest || nested > MAX_NESTED {
                let replaced = latest.replace(Arc::clone(&version));
                drop(latest);
                drop((replaced, newest));
                REPLACED.set(REPLACED.get().wrapping_add(1));
                return version;
            }
            let other = latest.clone();
            drop(latest);
            newest = other;
        }
    }

    /// Keeps this node in `span`, in the slot of `layer`.
    pub fn attach<R: for<'s> LookupSpan<'s>>(
        self: Arc<Self>,
        layer: LayerId,
        span: &SpanRef<'_, R>,
    ) {
        let attached = Attached {
            layer,
            node: self,
            next: None,
        };
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<Attached<T>>() {
            Some(first) => {
                let mut place = &mut first.next;
                while let Some(next) = place {
                    place = &mut next.next;
                }
                *place = Some(Box::new(attached));
            }
            None => extensions.insert(attached),
        }
    }

    /// The node that `layer` keeps in `span`; with `None`, that of the first layer that keeps a `T`.
    pub fn find<R: for<'s> LookupSpan<'s>>(
        layer: Option<LayerId>,
        span: &SpanRef<'_, R>,
    ) -> Option<Arc<Self>> {
        let extensions = span.extensions();
        let first = extensions.get::<Attached<T>>()?;
        let mut all = iter::successors(Some(first), |attached| attached.next.as_deref());
        all.find(|attached| layer.is_none_or(|layer| attached.layer == layer))
            .map(|attached| Arc::clone(&attached.node))
    }

    #[inline]
    fn epoch(&self) -> &AtomicU64 {
        let root = match &self.position {
            TreePosition::Root(epoch) => return epoch,
            TreePosition::Child { root, .. } => root,
        };
        match &root.position {
            TreePosition::Root(epoch) => epoch,
            TreePosition::Child { .. } => unreachable!("a root is below nothing"),
        }
    }

    #[inline]
    fn current_epoch(&self) -> u64 {
        self.epoch().load(Ordering::Acquire)
    }

    fn parent(&self) -> Option<&Self> {
        match &self.position {
            TreePosition::Root(_) => None,
            TreePosition::Child { parent, .. } => Some(parent),
        }
    }

    #[inline]
    fn current(&self) -> Current<'_, T> {
        if self.first.is_valid_at(self.current_epoch()) {
            Current::First(&self.first)
        } else {
            self.refresh()
        }
    }

    /// The newest version of this node, if it takes in what was recorded `above`.
    fn latest_over(&self, above: u64) -> Option<Current<'_, T>> {
        let newest = match self.latest().clone() {
            Some(version) => Current::Latest(version),
            None => Current::First(&self.first),
        };
        (newest.above == above).then_some(newest)
    }

    /// Builds again what lacks a late record: this node, and as many of its ancestors as need it.
    ///
    /// Loops, not recursion: a tree may be ten thousand spans deep.
    #[cold]
    fn refresh(&self) -> Current<'_, T> {
        // Before the records are read: one that comes later moves it, and the next read finds it.
        let now = self.current_epoch();
        let above = self
            .ancestors()
            .map(Self::record_count)
            .fold(0, u64::wrapping_add);
        if let Some(current) = self.latest_over(above) {
            current.valid_at.store(now, Ordering::Release);
            return current;
        }
        // The nodes from here to the root, each with the records above it.
        let mut path: Vec<(&Self, u64)> = vec![(self, 0)];
        path.extend(
            self.ancestors()
                .map(|node| (node, Self::record_count(node))),
        );
        let mut above = 0_u64;
        for (_, records) in path.iter_mut().rev() {
            above = above.wrapping_add(mem::replace(records, above));
        }
        let mut value = None;
        let mut stale = path.len();
        for (index, (node, above)) in path.iter().enumerate() {
            if let Some(current) = node.latest_over(*above) {
                current.valid_at.store(now, Ordering::Release);
                (value, stale) = (Some(current), index);
                break;
            }
        }
        for (node, above) in path[..stale].iter().rev() {
            value = Some(node.rebuild_version(value.as_deref(), *above, now));
        }
        value.unwrap_or(Current::First(&self.first))
    }

    /// The nodes above, from the parent to the root.
    fn ancestors(&self) -> impl Iterator<Item = &Self> {
        iter::successors(self.parent(), |node| node.parent())
    }

    fn record_count(&self) -> u64 {
        u64::from(self.records.load(Ordering::Acquire))
    }

    fn rebuild_version(&self, parent: Option<&Version<T>>, above: u64, now: u64) -> Current<'_, T> {
        Current::Latest(self.replace_latest(|own| Version {
            value: own.rebuild(parent.map(|parent| &parent.value)),
            above,
            valid_at: AtomicU64::new(now),
        }))
    }

    fn latest(&self) -> MutexGuard<'_, Option<Arc<Version<T>>>> {
        self.latest.lock()
    }
}

impl<T> Version<T> {
    #[inline]
    fn is_valid_at(&self, epoch: u64) -> bool {
        self.valid_at.load(Ordering::Acquire) == epoch
    }
}

impl<T> SpanValue for SpanData<T> {
    type Cache = SpanDataCache<T>;

    #[inline]
    fn closed_spans(&self) -> &AtomicU32 {
        &self.closed
    }
}

enum Current<'a, T> {
    First(&'a Version<T>),
    Latest(Arc<Version<T>>),
}

impl<T> ops::Deref for Current<'_, T> {
    type Target = Version<T>;

    fn deref(&self) -> &Version<T> {
        match self {
            Self::First(version) => version,
            Self::Latest(version) => version,
        }
    }
}

impl<T> Default for SpanDataCache<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> fmt::Debug for SpanDataCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SpanDataCache")
            .field(&self.0.is_some())
            .finish()
    }
}

/// The nodes that layers keep in a span: seldom more than one.
struct Attached<T> {
    layer: LayerId,
    node: Arc<SpanData<T>>,
    next: Option<Box<Self>>,
}

impl<T> SpanData<T> {
    fn take_parent(&mut self) -> Option<Arc<Self>> {
        match mem::replace(
            &mut self.position,
            TreePosition::Root(AtomicU64::new(NEVER)),
        ) {
            TreePosition::Root(_) => None,
            TreePosition::Child { parent, .. } => Some(parent),
        }
    }
}

impl<T> Drop for SpanData<T> {
    /// Lets go of the ancestors one by one: the default, one inside the other, overflows the stack in a deep tree.
    fn drop(&mut self) {
        let mut next = self.take_parent();
        while let Some(mut parent) = next.and_then(Arc::into_inner) {
            next = parent.take_parent();
        }
    }
}

impl<T> fmt::Debug for SpanData<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanData")
            .field("root", &matches!(self.position, TreePosition::Root(_)))
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
        fn rebuild(&self, parent: Option<&Self>) -> Self {
            Self::new(&self.own, parent)
        }
    }

    fn node(own: &[&'static str], parent: Option<&Arc<SpanData<Names>>>) -> Arc<SpanData<Names>> {
        SpanData::new(parent, |parent| Names::new(own, parent))
    }

    #[test]
    fn late_update_reaches_descendants_only() {
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

    /// A value that counts how often values were built again, and reads its node in every place.
    struct Counted {
        rebuilt: Arc<AtomicU32>,
        node: Arc<Mutex<Option<Arc<SpanData<Self>>>>>,
    }

    impl Counted {
        fn look_at_node(&self) {
            let node = self.node.lock().clone();
            // Not `read`: it would build again, and so on.
            let _ = node.map(|node| node.latest().is_some());
        }

        fn again(&self) -> Self {
            self.look_at_node();
            self.rebuilt.fetch_add(1, Ordering::Relaxed);
            Self {
                rebuilt: Arc::clone(&self.rebuilt),
                node: Arc::clone(&self.node),
            }
        }
    }

    impl Inherit for Counted {
        fn rebuild(&self, _: Option<&Self>) -> Self {
            self.again()
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.look_at_node();
        }
    }

    fn counted(
        parent: Option<&Arc<SpanData<Counted>>>,
    ) -> (Arc<SpanData<Counted>>, Arc<AtomicU32>) {
        let rebuilt = Arc::new(AtomicU32::new(0));
        let node = SpanData::new(parent, |_| Counted {
            rebuilt: Arc::clone(&rebuilt),
            node: Arc::default(),
        });
        (node, rebuilt)
    }

    #[test]
    fn late_record_rebuilds_only_descendants() {
        let (root, _) = counted(None);
        let (left, of_left) = counted(Some(&root));
        let (right, of_right) = counted(Some(&root));
        let (leaf, of_leaf) = counted(Some(&left));
        for _ in 0..10 {
            left.update(|own, _| own.again());
            for node in [&root, &left, &right, &leaf, &right, &leaf] {
                node.read(|_| ());
            }
        }
        let rebuilt = [of_left, of_right, of_leaf].map(|count| count.load(Ordering::Relaxed));
        assert_eq!(rebuilt, [10, 0, 10]);
    }

    #[test]
    fn cached_read_locks_once_per_record() {
        let root = node(&["r"], None);
        let leaf = node(&["l"], Some(&root));
        root.update(|_, _| Names::new(&["R"], None));
        let (mut of_root, mut of_leaf) = (SpanDataCache::default(), SpanDataCache::default());
        root.read_cached(&mut of_root, |_| ());
        leaf.read_cached(&mut of_leaf, |_| ());
        // With both held, a read that locks would not return.
        let _held = (root.latest(), leaf.latest());
        root.read_cached(&mut of_root, |names| assert_eq!(names.all, ["R"]));
        leaf.read_cached(&mut of_leaf, |names| assert_eq!(names.all, ["l", "R"]));
    }

    #[test]
    fn building_and_dropping_hold_no_lock() {
        let (root, _) = counted(None);
        let (leaf, _) = counted(Some(&root));
        for node in [&root, &leaf] {
            let place = node.read(|value| Arc::clone(&value.node));
            *place.lock() = Some(Arc::clone(node));
        }
        for _ in 0..3 {
            root.update(|own, _| own.again());
            leaf.update(|own, _| own.again());
            leaf.read(|_| ());
        }
        for node in [root, leaf] {
            let place = node.read(|value| Arc::clone(&value.node));
            drop(node);
            // The cycle.
            let last = place.lock().take();
            drop(last);
        }
    }

    #[test]
    fn recursive_update_terminates() {
        let root = node(&["r"], None);
        let changes = AtomicU32::new(0);
        root.update(|_, _| {
            let name = ["a", "b", "c"][changes.fetch_add(1, Ordering::Relaxed) as usize % 3];
            root.update(|_, _| Names::new(&[name], None));
            Names::new(&["last"], None)
        });
        assert_eq!(root.read(|names| names.all.join(" ")), "last");
        assert_eq!(changes.load(Ordering::Relaxed), MAX_NESTED + 1);
    }

    #[test]
    fn concurrent_updates_all_arrive() {
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
            fn rebuild(&self, parent: Option<&Self>) -> Self {
                Self::new(self.own, parent)
            }
        }
        const LAST: u32 = 5_000;
        let root = SpanData::new(None, |parent| Last::new(0, parent));
        let child = SpanData::new(Some(&root), |parent| Last::new(0, parent));
        let leaf = SpanData::new(Some(&child), |parent| Last::new(0, parent));
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
    fn deep_tree_reads_and_drops_iteratively() {
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
