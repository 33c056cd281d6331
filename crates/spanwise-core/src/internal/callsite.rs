//! A lock-free cache of one plan per callsite.

use std::{
    fmt, ptr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use tracing_core::Metadata;

use crate::internal::{forks, sync::Mutex};

/// A cache of one plan `P` per callsite. Reads take no lock.
///
/// A plan is all that a layer derives from a callsite alone. The first event or span of a callsite
/// creates it. The key is the address of the callsite's static [`Metadata`]. Each layer has its own
/// cache, because plans depend on the options of the layer. Plans are never removed, because the
/// source code limits the number of callsites.
///
/// A read costs a multiplication and, at any number of callsites, little more than one comparison.
/// The table is open-addressed. When it is half full, a table of twice the size replaces it.
/// Readers may still use the replaced table, so it stays in memory until the cache is dropped. All
/// replaced tables together are smaller than the current table.
///
/// ```
/// use spanwise_core::internal::CallsitePlans;
/// use tracing::callsite::Callsite as _;
///
/// let plans: CallsitePlans<usize> = CallsitePlans::default();
/// # let _keep = tracing::subscriber::set_default(tracing_subscriber::registry());
/// let span = tracing::info_span!("request", id = 1, path = "/");
/// let callsite = span.metadata().expect("a registry enables every span");
/// assert_eq!(*plans.get(callsite, |metadata| metadata.fields().len()), 2);
/// assert_eq!(*plans.get(callsite, |_| unreachable!("planned already")), 2);
/// assert_eq!(plans.iter().sum::<usize>(), 2);
/// assert!(plans.callsites().all(|planned| planned.name() == "request"));
/// ```
pub struct CallsitePlans<P> {
    tables: [OnceLock<Table<P>>; TABLES],
    /// The index of the current table in `tables`.
    current: AtomicUsize,
    /// The number of plans. The lock is held while a plan is added.
    count: Mutex<usize>,
}

/// The number of slots is a power of two.
type Table<P> = Box<[PlanSlot<P>]>;

type PlanSlot<P> = OnceLock<Arc<Planned<P>>>;

struct Planned<P> {
    callsite: &'static Metadata<'static>,
    plan: P,
}

/// The maximum number of tables. Each is twice as large as the one before it. The last has room for
/// 2³⁰ callsites.
const TABLES: usize = 26;

/// The number of slots of the first table: 1 KiB.
const FIRST_LEN: usize = 64;

impl<P> CallsitePlans<P> {
    /// Returns the plan of `callsite`, which `build` creates on the first call.
    ///
    /// Two threads may both call `build` for a new callsite. Only one plan is stored, and both
    /// threads receive it.
    #[inline]
    pub fn get(
        &self,
        callsite: &'static Metadata<'static>,
        build: impl FnOnce(&'static Metadata<'static>) -> P,
    ) -> &P {
        let table = self.tables.get(self.current.load(Ordering::Acquire));
        if let Some(table) = table.and_then(OnceLock::get)
            && let Some(planned) = find(table, callsite)
        {
            return &planned.plan;
        }
        self.insert(callsite, build(callsite))
    }

    /// Returns all plans, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &P> {
        let slots = self.current_table().iter();
        slots.filter_map(|slot| slot.get().map(|planned| &planned.plan))
    }

    /// Returns the callsites that have a plan, in no particular order.
    pub fn callsites(&self) -> impl Iterator<Item = &'static Metadata<'static>> {
        let slots = self.current_table().iter();
        slots.filter_map(|slot| slot.get().map(|planned| planned.callsite))
    }

    fn current_table(&self) -> &Table<P> {
        self.table(self.current.load(Ordering::Acquire))
    }

    fn table(&self, index: usize) -> &Table<P> {
        self.tables[index].get_or_init(|| {
            let slots = (0..FIRST_LEN << index).map(|_| OnceLock::new());
            slots.collect()
        })
    }

    #[cold]
    #[inline(never)] // Runs once per callsite. Inlined, it would enlarge every reader.
    fn insert(&self, callsite: &'static Metadata<'static>, plan: P) -> &P {
        let planned = Arc::new(Planned { callsite, plan });
        let _no_fork = forks::defer();
        let mut count = self.count.lock();
        let mut table = self.current_table();
        // Another thread may have stored a plan of this callsite, or a larger table, since `get`.
        if let Some(planned) = find(table, callsite) {
            return &planned.plan;
        }
        if *count >= table.len() / 2 {
            table = self.grow();
        }
        *count += 1;
        &store(table, planned).plan
    }

    /// Makes a larger table the current one. Only called under the lock.
    fn grow(&self) -> &Table<P> {
        let index = self.current.load(Ordering::Acquire);
        let larger = self.table(index + 1);
        for planned in self.table(index).iter().filter_map(OnceLock::get) {
            store(larger, Arc::clone(planned));
        }
        self.current.store(index + 1, Ordering::Release);
        larger
    }
}

#[inline]
fn find<'t, P>(
    table: &'t [PlanSlot<P>],
    callsite: &'static Metadata<'static>,
) -> Option<&'t Planned<P>> {
    for slot in probes(table, callsite) {
        let planned = slot.get()?;
        if ptr::eq(planned.callsite, callsite) {
            return Some(planned);
        }
    }
    None
}

/// Stores a plan in the first free slot. The table must have a free slot, and the caller must hold
/// the lock.
fn store<P>(table: &[PlanSlot<P>], planned: Arc<Planned<P>>) -> &Planned<P> {
    let callsite = planned.callsite;
    let mut planned = Some(planned);
    for slot in probes(table, callsite) {
        let stored = slot.get_or_init(|| match planned.take() {
            Some(planned) => planned,
            None => unreachable!("stored in the first free slot"),
        });
        if planned.is_none() {
            return stored;
        }
    }
    unreachable!("half of the slots are free")
}

/// Returns the slots in which a callsite may be, in the order in which they are filled.
#[inline]
fn probes<'t, P>(
    table: &'t [PlanSlot<P>],
    callsite: &'static Metadata<'static>,
) -> impl Iterator<Item = &'t PlanSlot<P>> {
    let mask = table.len().wrapping_sub(1);
    let first_index = hash(callsite);
    (0..table.len()).filter_map(move |step| table.get(first_index.wrapping_add(step) & mask))
}

#[inline]
fn hash(callsite: &'static Metadata<'static>) -> usize {
    // Fibonacci hashing, because the low bits of addresses are alike. The upper half of the product
    // depends on all lower bits of the address.
    let hash = (ptr::from_ref(callsite) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (hash >> 32) as usize
}

impl<P> Default for CallsitePlans<P> {
    fn default() -> Self {
        // Detects forks from now on, because another thread may fork while the first plan is added.
        let _ = forks::generation();
        Self {
            tables: [const { OnceLock::new() }; TABLES],
            current: AtomicUsize::new(0),
            count: Mutex::new(0),
        }
    }
}

impl<P> fmt::Debug for CallsitePlans<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallsitePlans").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tracing_core::{
        Interest, Kind, Level, callsite::Callsite, field::FieldSet, identify_callsite,
    };

    use super::*;

    fn callsites(count: usize) -> &'static [Metadata<'static>] {
        struct Site;
        impl Callsite for Site {
            fn set_interest(&self, _: Interest) {}
            fn metadata(&self) -> &Metadata<'_> {
                unreachable!("never registered")
            }
        }
        static SITE: Site = Site;
        let new_callsite = |_| {
            let fields = FieldSet::new(&[], identify_callsite!(&SITE));
            Metadata::new("c", "t", Level::INFO, None, None, None, fields, Kind::EVENT)
        };
        let all: Vec<_> = (0..count).map(new_callsite).collect();
        all.leak()
    }

    /// Returns the number of comparisons until the callsite is found.
    fn comparisons<P>(plans: &CallsitePlans<P>, callsite: &'static Metadata<'static>) -> usize {
        let is_other =
            |slot: &&PlanSlot<P>| slot.get().is_some_and(|it| !ptr::eq(it.callsite, callsite));
        1 + probes(plans.current_table(), callsite)
            .take_while(is_other)
            .count()
    }

    #[test]
    fn lookup_needs_few_comparisons_at_any_count() {
        for (count, max_comparisons) in [(10, 8), (1_000, 24), (30_000, 48)] {
            let (plans, all) = (CallsitePlans::default(), callsites(count));
            for callsite in all {
                plans.get(callsite, |_| ());
            }
            let counts: Vec<usize> = all
                .iter()
                .map(|callsite| comparisons(&plans, callsite))
                .collect();
            let mean = counts.iter().sum::<usize>() as f64 / count as f64;
            let max = counts.into_iter().max().unwrap_or(0);
            assert!(
                mean <= 1.6 && max <= max_comparisons,
                "{count}: {mean}, {max}"
            );
        }
    }

    #[test]
    fn plan_stays_in_place_while_the_table_grows() {
        let (plans, all) = (CallsitePlans::default(), callsites(1_000));
        let first: Vec<*const usize> = (0..all.len())
            .map(|number| ptr::from_ref(plans.get(&all[number], |_| number)))
            .collect();
        for (number, callsite) in all.iter().enumerate() {
            let plan = plans.get(callsite, |_| unreachable!("planned already"));
            assert_eq!((*plan, ptr::from_ref(plan)), (number, first[number]));
        }
        assert_eq!(plans.iter().count(), all.len());
    }

    #[test]
    fn threads_share_the_plans_of_new_callsites() {
        let (plans, all) = (CallsitePlans::default(), callsites(2_000));
        let addresses = || {
            all.iter()
                .map(|site| ptr::from_ref(plans.get(site, |_| 0_u64)).addr())
                .collect::<Vec<_>>()
        };
        let addresses_by_thread = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(addresses)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect::<Vec<_>>()
        });
        let first = &addresses_by_thread[0];
        assert!(addresses_by_thread.iter().all(|thread| thread == first));
        assert_eq!(plans.iter().count(), all.len());
    }
}
