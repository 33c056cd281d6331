//! Data that a layer keeps for a span and that child spans inherit, such as encoded fields. Unless
//! values change, a read costs the same at any depth of the tree.

use std::{
    any::Any,
    cell::Cell,
    fmt, ops,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::internal::{
    LayerId, SpanValue,
    layer_values::LayerValues,
    span_tree::{FIRST_EPOCH, NEVER, TreeNode, TreePosition},
    sync::Mutex,
};

/// The data that a layer keeps for a span: a part of its own, and a part inherited from the parent.
pub trait Inherit: Sized + Send + Sync + 'static {
    /// Returns this span's own part combined with the current data of `parent`. Called without a
    /// lock.
    #[must_use]
    fn rebuild(&self, parent: Option<&Self>) -> Self;
}

/// The value of a span in the tree of a root span and its descendants.
///
/// The value is built once from the parent's value, so that a read does not visit the ancestors. A
/// *late record* (of fields, after the span was opened) increments the epoch of the tree. In a new
/// epoch, the first read of a span sums the numbers of late records of its ancestors, without a
/// lock. It rebuilds the value only if the sum has changed. So after a late record, only the values
/// of its own span and of the descendants are built again.
pub struct SpanData<T> {
    position: TreePosition<Self>,
    /// The number of late records of this span.
    records: AtomicU32,
    /// The number of closed spans that share this value: see [`SpanValue`].
    closed_spans: AtomicU32,
    first: Version<T>,
    /// The latest version, if it is not the first. No version is built or dropped under the lock.
    latest: Mutex<Option<Arc<Version<T>>>>,
}

/// A value, with the number of late records of the ancestors at the time when it was built.
struct Version<T> {
    value: T,
    /// The number of late records of all ancestors before this version was built.
    records_above: u64,
    /// The epoch in which this version was last found to be up to date.
    valid_at: AtomicU64,
}

/// The version that a thread read last, for [`SpanData::read_cached`].
pub struct SpanDataCache<T>(Option<Arc<Version<T>>>);

/// A version of a value. It never changes: a late record makes a new version.
pub struct SpanVersion<'a, T>(VersionRef<'a, T>);

enum VersionRef<'a, T> {
    /// The first version of this data.
    First(&'a Arc<SpanData<T>>),
    Latest(&'a Arc<Version<T>>),
}

thread_local! {
    /// The number of versions that this thread has stored as the latest of any span.
    static STORED_VERSIONS: Cell<u32> = const { Cell::new(0) };
}

/// The maximum number of repeated builds of a value that records into its own span while it is
/// built.
const MAX_SELF_RECORDING_BUILDS: u32 = 3;

impl<T: Inherit> SpanData<T> {
    /// Creates the data of a span below `parent`. `make` builds the value from the parent's value.
    pub fn new(parent: Option<&Arc<Self>>, make: impl FnOnce(Option<&T>) -> T) -> Arc<Self> {
        let first = match parent {
            Some(parent) => {
                // Read the epoch and the count before the value, so that a later read detects a
                // record that happens in between.
                let (epoch, records) = (parent.current_epoch(), parent.record_count());
                let current = parent.current();
                Version {
                    value: make(Some(&current.value)),
                    records_above: current.records_above.wrapping_add(records),
                    valid_at: AtomicU64::new(epoch),
                }
            }
            None => Version {
                value: make(None),
                records_above: 0,
                valid_at: AtomicU64::new(FIRST_EPOCH),
            },
        };
        Arc::new(Self {
            position: TreePosition::below(parent.map(Arc::clone)),
            records: AtomicU32::new(0),
            closed_spans: AtomicU32::new(0),
            first,
            latest: Mutex::new(None),
        })
    }

    /// Calls `f` with the current value. If this span or an ancestor has a late record, each call
    /// locks. Otherwise, only the first call after each late record in the tree locks.
    #[inline]
    pub fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.current().value)
    }

    /// Like [`read`](Self::read), with a cache. Only the first call with this cache after each late
    /// record in the tree locks.
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

    /// Calls `f` with the current version. Locks as [`read_cached`](Self::read_cached) does.
    #[inline]
    pub fn read_version<R>(
        self: &Arc<Self>,
        cache: &mut SpanDataCache<T>,
        f: impl FnOnce(SpanVersion<'_, T>) -> R,
    ) -> R {
        let now = self.current_epoch();
        if !self.first.is_valid_at(now) {
            let is_cached = cache.0.as_ref().is_some_and(|it| it.is_valid_at(now));
            if !is_cached && let CurrentVersion::First(_) = self.refresh_cache(cache) {
                return f(SpanVersion(VersionRef::First(self)));
            }
            if let Some(version) = &cache.0 {
                return f(SpanVersion(VersionRef::Latest(version)));
            }
        }
        f(SpanVersion(VersionRef::First(self)))
    }

    /// Like [`refresh`](Self::refresh), and stores the version in the cache if it is not the first.
    #[cold]
    fn refresh_cache(&self, cache: &mut SpanDataCache<T>) -> CurrentVersion<'_, T> {
        let current = self.refresh();
        if let CurrentVersion::Latest(version) = &current {
            cache.0 = Some(Arc::clone(version));
        }
        current
    }

    /// Replaces the value with the result of `change`, as a late record. The arguments of `change`
    /// are the value and the parent's value. Descendants inherit the new value at their next read.
    ///
    /// `change` runs without a lock. If another thread records into the same span meanwhile, it is
    /// called again.
    pub fn update(&self, change: impl Fn(&T, Option<&T>) -> T) {
        let epoch = self.epoch();
        let epoch_before = Cell::new(NEVER);
        let version = self.replace_latest(|own_value| {
            epoch_before.set(epoch.load(Ordering::Acquire));
            let parent = self.parent().map(|parent| {
                let records = parent.record_count();
                (parent.current(), records)
            });
            let parent_value = parent.as_ref().map(|(parent, _)| &parent.value);
            Version {
                value: change(own_value, parent_value),
                records_above: parent.as_ref().map_or(0, |(parent, records)| {
                    parent.records_above.wrapping_add(*records)
                }),
                valid_at: AtomicU64::new(NEVER),
            }
        });
        let before = epoch_before.get();
        self.records.fetch_add(1, Ordering::Release);
        // If no other late record happened in the tree meanwhile, the new version is up to date.
        let after = before + 1;
        match epoch.compare_exchange(before, after, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => version.valid_at.store(after, Ordering::Release),
            Err(_) => {
                epoch.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    /// Replaces the latest version with the result of `build`. `build` runs again if another thread
    /// replaced the version meanwhile. Builds and drops happen without a lock.
    fn replace_latest(&self, build: impl Fn(&T) -> Version<T>) -> Arc<Version<T>> {
        let mut newest = self.latest.lock().clone();
        let mut self_recording_builds = 0;
        loop {
            let stored_before = STORED_VERSIONS.get();
            let newest_version = newest.as_deref().unwrap_or(&self.first);
            let version = Arc::new(build(&newest_version.value));
            // If `build` itself records into this span, it replaces the latest version each time,
            // and would be repeated endlessly. So limit the number of builds that record.
            self_recording_builds += u32::from(STORED_VERSIONS.get() != stored_before);
            let mut latest = self.latest.lock();
            let is_newest = match (&*latest, &newest) {
                (Some(now), Some(newest)) => Arc::ptr_eq(now, newest),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            if is_newest || self_recording_builds > MAX_SELF_RECORDING_BUILDS {
                let replaced = latest.replace(Arc::clone(&version));
                drop(latest);
                drop((replaced, newest));
                STORED_VERSIONS.set(STORED_VERSIONS.get().wrapping_add(1));
                return version;
            }
            let newer = latest.clone();
            drop(latest);
            newest = newer;
        }
    }

    /// Stores the data in `span`, in the slot of `layer`.
    pub fn attach<R: for<'s> LookupSpan<'s>>(
        self: Arc<Self>,
        layer: LayerId,
        span: &SpanRef<'_, R>,
    ) {
        LayerValues::attach(self, layer, span);
    }

    /// Returns the data that `layer` stored in `span`. If `layer` is `None`, returns the data of
    /// the first layer that stored a `T`.
    pub fn find<R: for<'s> LookupSpan<'s>>(
        layer: Option<LayerId>,
        span: &SpanRef<'_, R>,
    ) -> Option<Arc<Self>> {
        LayerValues::find(span, |owner, _: &Arc<Self>| {
            layer.is_none_or(|layer| owner == layer)
        })
    }

    #[inline]
    fn current(&self) -> CurrentVersion<'_, T> {
        if self.first.is_valid_at(self.current_epoch()) {
            CurrentVersion::First(&self.first)
        } else {
            self.refresh()
        }
    }

    /// Returns the latest version if it was built when the ancestors had `records_above` late
    /// records.
    fn latest_if_built_at(&self, records_above: u64) -> Option<CurrentVersion<'_, T>> {
        let latest = match self.latest.lock().clone() {
            Some(version) => CurrentVersion::Latest(version),
            None => CurrentVersion::First(&self.first),
        };
        (latest.records_above == records_above).then_some(latest)
    }

    /// Returns the current version. If an ancestor has a late record since the latest version was
    /// built, rebuilds the value, and first those of the ancestors that are also out of date.
    ///
    /// Iterative, because recursion would overflow the stack in a tree that is thousands of spans
    /// deep.
    #[cold]
    fn refresh(&self) -> CurrentVersion<'_, T> {
        // Read the epoch before the counts. A record in between increments it, so that the next
        // read compares the counts again.
        let now = self.current_epoch();
        let records_above = self
            .ancestors()
            .map(Self::record_count)
            .fold(0, u64::wrapping_add);
        if let Some(current) = self.latest_if_built_at(records_above) {
            current.valid_at.store(now, Ordering::Release);
            return current;
        }
        let path = self.path_to_root();
        // The current version of the last visited span on the path.
        let mut version = None;
        let mut stale_count = path.len();
        for (index, step) in path.iter().enumerate() {
            if let Some(current) = step.node.latest_if_built_at(step.records_above) {
                current.valid_at.store(now, Ordering::Release);
                (version, stale_count) = (Some(current), index);
                break;
            }
        }
        for step in path[..stale_count].iter().rev() {
            let (node, parent) = (step.node, version.as_deref());
            version = Some(node.rebuild_version(parent, step.records_above, now));
        }
        version.unwrap_or(CurrentVersion::First(&self.first))
    }

    fn rebuild_version(
        &self,
        parent: Option<&Version<T>>,
        records_above: u64,
        now: u64,
    ) -> CurrentVersion<'_, T> {
        CurrentVersion::Latest(self.replace_latest(|own_value| Version {
            value: own_value.rebuild(parent.map(|parent| &parent.value)),
            records_above,
            valid_at: AtomicU64::new(now),
        }))
    }
}

impl<T: Inherit> SpanVersion<'_, T> {
    /// Returns the value of the version.
    #[must_use]
    pub fn value(&self) -> &T {
        match self.0 {
            VersionRef::First(data) => &data.first.value,
            VersionRef::Latest(version) => &version.value,
        }
    }

    /// Returns the address of the data in the `Arc` that [`share`](Self::share) returns, which
    /// identifies the version while such an `Arc` exists.
    #[inline]
    #[must_use]
    pub fn address(&self) -> usize {
        match self.0 {
            VersionRef::First(data) => Arc::as_ptr(data).addr(),
            VersionRef::Latest(version) => Arc::as_ptr(version).addr(),
        }
    }

    /// Returns an `Arc` with the version, which [`read_shared`] reads.
    #[must_use]
    pub fn share(&self) -> Arc<dyn Any + Send + Sync> {
        match self.0 {
            VersionRef::First(data) => Arc::clone(data) as _,
            VersionRef::Latest(version) => Arc::clone(version) as _,
        }
    }
}

/// Calls `f` with the value of a version that [`SpanVersion::share`] returned. Returns `None` if it
/// is not of type `T`.
pub fn read_shared<T: Inherit, R>(
    shared: &(dyn Any + Send + Sync),
    f: impl FnOnce(&T) -> R,
) -> Option<R> {
    let first = shared.downcast_ref::<SpanData<T>>();
    let first = first.map(|data| &data.first);
    let version = first.or_else(|| shared.downcast_ref::<Version<T>>())?;
    Some(f(&version.value))
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
        &self.closed_spans
    }
}

/// The version of a value that is up to date.
enum CurrentVersion<'a, T> {
    First(&'a Version<T>),
    Latest(Arc<Version<T>>),
}

impl<T> ops::Deref for CurrentVersion<'_, T> {
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

impl<T> fmt::Debug for SpanVersion<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanVersion").finish_non_exhaustive()
    }
}

impl<T> TreeNode for SpanData<T> {
    #[inline]
    fn position(&self) -> &TreePosition<Self> {
        &self.position
    }

    fn position_mut(&mut self) -> &mut TreePosition<Self> {
        &mut self.position
    }

    #[inline]
    fn records(&self) -> &AtomicU32 {
        &self.records
    }
}

impl<T> Drop for SpanData<T> {
    fn drop(&mut self) {
        self.drop_ancestors();
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

    struct Value(u32);

    impl Inherit for Value {
        fn rebuild(&self, parent: Option<&Self>) -> Self {
            Self(parent.map_or(self.0, |parent| parent.0))
        }
    }

    #[test]
    fn cached_read_locks_once_per_record() {
        let root = SpanData::new(None, |_| Value(1));
        let leaf = SpanData::new(Some(&root), |_| Value(1));
        root.update(|_, _| Value(2));
        let mut root_cache = SpanDataCache::default();
        let mut leaf_cache = SpanDataCache::default();
        root.read_cached(&mut root_cache, |_| ());
        leaf.read_cached(&mut leaf_cache, |_| ());
        // Both locks are taken, so a read that locks would never return.
        let _held = (root.latest.lock(), leaf.latest.lock());
        root.read_cached(&mut root_cache, |value| assert_eq!(value.0, 2));
        leaf.read_cached(&mut leaf_cache, |value| assert_eq!(value.0, 2));
    }
}
