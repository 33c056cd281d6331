//! Data of a span that its children inherit. Unless values change, a read costs the same at any
//! depth.

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

/// The data that a layer keeps for a span: a part of the span itself, and a part inherited from the
/// parent.
pub trait Inherit: Sized + Send + Sync + 'static {
    /// Returns this span's own part combined with the current data of `parent`. Called without a
    /// lock.
    #[must_use]
    fn rebuild(&self, parent: Option<&Self>) -> Self;
}

/// The value of a span in the tree of its unit of work.
///
/// The value is built once from the parent's value, so that a read does not visit the ancestors. A
/// *late record* (a value that is recorded after its span was opened) increments the epoch of the
/// root. After that, the next read of a span sums the record counts of its ancestors, without a
/// lock. It rebuilds the value only if the sum changed. So after a record, only its own span and
/// the descendants rebuild.
pub struct SpanData<T> {
    position: TreePosition<Self>,
    /// The number of late records of this span.
    records: AtomicU32,
    /// The number of closed spans that share this value.
    closed: AtomicU32,
    first: Version<T>,
    /// The latest version, if it is not the first. No version is built or dropped under the lock.
    latest: Mutex<Option<Arc<Version<T>>>>,
}

/// A value, and the record count of the ancestors at the time when it was built.
struct Version<T> {
    value: T,
    /// The number of late records of all ancestors before this version was built.
    records_above: u64,
    /// An epoch at which this version was up to date.
    valid_at: AtomicU64,
}

/// The version that a thread read last, for [`SpanData::read_cached`].
pub struct SpanDataCache<T>(Option<Arc<Version<T>>>);

/// A version of a value. It never changes: a late record makes a new version.
pub struct SpanVersion<'a, T>(VersionRef<'a, T>);

enum VersionRef<'a, T> {
    First(&'a Arc<SpanData<T>>),
    Latest(&'a Arc<Version<T>>),
}

thread_local! {
    /// The number of versions that this thread has stored as the latest.
    static REPLACED: Cell<u32> = const { Cell::new(0) };
}

/// The maximum number of repeated builds of a value that records into its own span while it is
/// built.
const MAX_NESTED: u32 = 3;

impl<T: Inherit> SpanData<T> {
    /// Creates the data of a span below `parent`. `make` builds the value from the parent's value.
    pub fn new(parent: Option<&Arc<Self>>, make: impl FnOnce(Option<&T>) -> T) -> Arc<Self> {
        let first = match parent {
            Some(parent) => {
                // Read these before the value, so that a later read detects a record that happens
                // in between.
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
            closed: AtomicU32::new(0),
            first,
            latest: Mutex::new(None),
        })
    }

    /// Calls `f` with the current value. Locks on each call if this span or an ancestor has a late
    /// record. If neither has one, locks only once after each late record in the tree.
    #[inline]
    pub fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.current().value)
    }

    /// Like [`read`](Self::read), with a cache. Locks only once after each late record in the tree.
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
            if !is_cached && let Current::First(_) = self.refresh_cache(cache) {
                return f(SpanVersion(VersionRef::First(self)));
            }
            if let Some(version) = &cache.0 {
                return f(SpanVersion(VersionRef::Latest(version)));
            }
        }
        f(SpanVersion(VersionRef::First(self)))
    }

    #[cold]
    fn refresh_cache(&self, cache: &mut SpanDataCache<T>) -> Current<'_, T> {
        let current = self.refresh();
        if let Current::Latest(version) = &current {
            cache.0 = Some(Arc::clone(version));
        }
        current
    }

    /// Replaces the value with the result of `change`, which is passed the value and the parent's
    /// value. Descendants inherit the new value at their next read.
    ///
    /// `change` is called again if another thread records into the same span meanwhile. It runs
    /// without a lock.
    pub fn update(&self, change: impl Fn(&T, Option<&T>) -> T) {
        let epoch = self.epoch();
        let before = Cell::new(NEVER);
        let version = self.replace_latest(|own_value| {
            before.set(epoch.load(Ordering::Acquire));
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
        let before = before.get();
        self.records.fetch_add(1, Ordering::Release);
        // If no other span of the tree changed meanwhile, the new version is up to date.
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
        let mut nested = 0;
        loop {
            let before = REPLACED.get();
            let newest_version = newest.as_deref().unwrap_or(&self.first);
            let version = Arc::new(build(&newest_version.value));
            // `build` may record into the same span, and would do so in each repetition. So the
            // number of such repetitions is limited.
            nested += u32::from(REPLACED.get() != before);
            let mut latest = self.latest.lock();
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

    /// Stores the data in `span`, in the slot of `layer`.
    pub fn attach<R: for<'s> LookupSpan<'s>>(
        self: Arc<Self>,
        layer: LayerId,
        span: &SpanRef<'_, R>,
    ) {
        LayerValues::attach(self, layer, span);
    }

    /// Returns the data that `layer` stored in `span`, or with `None` the data of the first layer
    /// that stored a `T`.
    pub fn find<R: for<'s> LookupSpan<'s>>(
        layer: Option<LayerId>,
        span: &SpanRef<'_, R>,
    ) -> Option<Arc<Self>> {
        LayerValues::find(span, |owner, _: &Arc<Self>| {
            layer.is_none_or(|layer| owner == layer)
        })
    }

    #[inline]
    fn current(&self) -> Current<'_, T> {
        if self.first.is_valid_at(self.current_epoch()) {
            Current::First(&self.first)
        } else {
            self.refresh()
        }
    }

    /// Returns the latest version if it was built when the ancestors had `records_above` late
    /// records.
    fn latest_over(&self, records_above: u64) -> Option<Current<'_, T>> {
        let newest = match self.latest.lock().clone() {
            Some(version) => Current::Latest(version),
            None => Current::First(&self.first),
        };
        (newest.records_above == records_above).then_some(newest)
    }

    /// Rebuilds the values that were built before a late record of an ancestor: the value of this
    /// span, and if needed the values of ancestors.
    ///
    /// Iterative, because a tree may be ten thousand spans deep.
    #[cold]
    fn refresh(&self) -> Current<'_, T> {
        // Read the epoch first. A later record increments it, so the next read rebuilds again.
        let now = self.current_epoch();
        let records_above = self
            .ancestors()
            .map(Self::record_count)
            .fold(0, u64::wrapping_add);
        if let Some(current) = self.latest_over(records_above) {
            current.valid_at.store(now, Ordering::Release);
            return current;
        }
        let path = self.path_to_root();
        let mut value = None;
        let mut stale_count = path.len();
        for (index, step) in path.iter().enumerate() {
            if let Some(current) = step.node.latest_over(step.records_above) {
                current.valid_at.store(now, Ordering::Release);
                (value, stale_count) = (Some(current), index);
                break;
            }
        }
        for step in path[..stale_count].iter().rev() {
            value = Some(
                step.node
                    .rebuild_version(value.as_deref(), step.records_above, now),
            );
        }
        value.unwrap_or(Current::First(&self.first))
    }

    fn rebuild_version(
        &self,
        parent: Option<&Version<T>>,
        records_above: u64,
        now: u64,
    ) -> Current<'_, T> {
        Current::Latest(self.replace_latest(|own_value| Version {
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

    /// Returns the address of the data in the `Arc` that [`share`](Self::share) returns.
    #[inline]
    #[must_use]
    pub fn address(&self) -> usize {
        match self.0 {
            VersionRef::First(data) => Arc::as_ptr(data).addr(),
            VersionRef::Latest(version) => Arc::as_ptr(version).addr(),
        }
    }

    /// Returns a reference to the version that [`read_shared`] can read.
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
