//! A lock-free cache of one plan per callsite.

use std::{fmt, iter, ptr, sync::OnceLock};

use tracing_core::Metadata;

/// A cache from callsite to `P`, lock-free to read, filled once per callsite.
///
/// A plan is all that a layer derives from a callsite alone. The key is the address of the
/// callsite's static [`Metadata`]. Each layer has its own cache, because plans depend on the
/// options of the layer. Plans are never removed, because the source code limits the number of
/// callsites.
///
/// A read costs a multiplication and a few comparisons: on average one for up to 250 callsites, two
/// for 1,000, and one more for each factor of four. The table is a tree, because entries that are
/// read without a lock cannot move.
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
/// ```
pub struct CallsitePlans<P> {
    roots: Box<[PlanSlot<P>; ROOTS]>,
}

type PlanSlot<P> = OnceLock<Box<Planned<P>>>;

struct Planned<P> {
    callsite: &'static Metadata<'static>,
    plan: P,
    /// Callsites whose hashes have the same prefix. `next[i]` has the callsites whose hash
    /// continues with the bits `i`.
    next: [PlanSlot<P>; BRANCHES],
}

/// 4 KiB per layer. A service with 1,000 callsites compares two addresses on average.
const ROOTS: usize = 1 << ROOT_BITS;
const ROOT_BITS: u32 = 8;

/// 64 bytes per plan.
const BRANCHES: usize = 1 << BRANCH_BITS;
const BRANCH_BITS: u32 = 2;

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
        let mut hash = hash(callsite);
        let mut slot = &self.roots[take_bits(&mut hash, ROOT_BITS)];
        while let Some(planned) = slot.get() {
            if ptr::eq(planned.callsite, callsite) {
                return &planned.plan;
            }
            slot = &planned.next[take_bits(&mut hash, BRANCH_BITS)];
        }
        insert(slot, hash, callsite, build(callsite))
    }

    /// Returns all plans, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &P> {
        let mut open: Vec<&PlanSlot<P>> = self.roots.iter().collect();
        iter::from_fn(move || {
            loop {
                if let Some(planned) = open.pop()?.get() {
                    open.extend(&planned.next);
                    return Some(&planned.plan);
                }
            }
        })
    }
}

#[inline]
fn hash(callsite: &'static Metadata<'static>) -> u64 {
    // Fibonacci hashing, because the low bits of addresses are alike. The multiplier is odd, so
    // different addresses have different hashes, and separate in the tree.
    (ptr::from_ref(callsite) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Takes the highest remaining bits.
#[inline]
fn take_bits(hash: &mut u64, count: u32) -> usize {
    let bits = *hash >> (u64::BITS - count);
    *hash <<= count;
    bits as usize
}

#[cold]
fn insert<'a, P>(
    mut slot: &'a PlanSlot<P>,
    mut hash: u64,
    callsite: &'static Metadata<'static>,
    plan: P,
) -> &'a P {
    let mut planned = Box::new(Planned {
        callsite,
        plan,
        next: [const { OnceLock::new() }; BRANCHES],
    });
    loop {
        // Another thread may have filled the slot, with this callsite or with another one.
        let ours = slot.set(planned).err();
        let there = slot.get_or_init(|| unreachable!("set above, by us or by another thread"));
        match ours {
            Some(refused) if !ptr::eq(there.callsite, callsite) => {
                planned = refused;
                slot = &there.next[take_bits(&mut hash, BRANCH_BITS)];
            }
            _ => return &there.plan,
        }
    }
}

impl<P> Default for CallsitePlans<P> {
    fn default() -> Self {
        Self {
            roots: Box::new([const { OnceLock::new() }; ROOTS]),
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
        let one = |_| {
            let fields = FieldSet::new(&[], identify_callsite!(&SITE));
            Metadata::new("c", "t", Level::INFO, None, None, None, fields, Kind::EVENT)
        };
        let all: Vec<_> = (0..count).map(one).collect();
        all.leak()
    }

    /// Returns the number of comparisons until the callsite is found.
    fn comparisons<P>(plans: &CallsitePlans<P>, callsite: &'static Metadata<'static>) -> usize {
        let mut hash = hash(callsite);
        let mut slot = &plans.roots[take_bits(&mut hash, ROOT_BITS)];
        let path = iter::from_fn(|| {
            let planned = slot.get()?;
            slot = &planned.next[take_bits(&mut hash, BRANCH_BITS)];
            Some(planned.callsite)
        });
        1 + path.take_while(|other| !ptr::eq(*other, callsite)).count()
    }

    #[test]
    fn lookup_needs_few_comparisons() {
        for (count, average, worst) in [(1_000, 2.5, 8), (30_000, 5.0, 14)] {
            let (plans, all) = (CallsitePlans::default(), callsites(count));
            for callsite in all {
                plans.get(callsite, |_| ());
            }
            let steps: Vec<usize> = all
                .iter()
                .map(|callsite| comparisons(&plans, callsite))
                .collect();
            let mean = steps.iter().sum::<usize>() as f64 / count as f64;
            let max = steps.into_iter().max().unwrap_or(0);
            assert!(mean <= average && max <= worst, "{count}: {mean}, {max}");
        }
    }
}
