//! One plan per callsite: what follows from a callsite alone is worked out when it is first seen, and kept.

use std::{fmt, iter, ptr, sync::OnceLock};

use tracing_core::Metadata;

/// A cache from callsite to `P`, lock-free to read, filled once per callsite.
///
/// A `tracing` callsite is static, and so is its [`Metadata`]: its address is the key. Each layer owns one cache, since what it
/// plans depends on its own options. Nothing is ever removed: a program has as many callsites as its source.
///
/// Reading costs a multiplication, and one comparison for each callsite that shares the bucket.
///
/// ```
/// use spanwise_core::CallsitePlans;
/// use tracing::callsite::Callsite as _;
///
/// let plans: CallsitePlans<usize> = CallsitePlans::default();
/// let span = tracing::info_span!("request", id = 1, path = "/");
/// # let _keep = tracing::subscriber::set_default(tracing_subscriber::registry());
/// # let span = tracing::info_span!("request", id = 1, path = "/");
/// let callsite = span.metadata().expect("a registry enables every span");
/// assert_eq!(*plans.get(callsite, |metadata| metadata.fields().len()), 2);
/// assert_eq!(*plans.get(callsite, |_| unreachable!("planned already")), 2);
/// assert_eq!(plans.iter().sum::<usize>(), 2);
/// ```
pub struct CallsitePlans<P> {
    buckets: Box<[Bucket<P>; BUCKETS]>,
}

type Bucket<P> = OnceLock<Box<Planned<P>>>;

struct Planned<P> {
    callsite: &'static Metadata<'static>,
    plan: P,
    next: Bucket<P>,
}

/// 4 KiB a layer; a service of 1,000 callsites compares four addresses at the worst.
const BUCKETS: usize = 256;

impl<P> CallsitePlans<P> {
    /// The plan of `callsite`, made by `build` if this is the first time it is asked for.
    ///
    /// Two threads that ask for a new callsite at once may both call `build`; one result is kept and both see it.
    #[inline]
    pub fn get(
        &self,
        callsite: &'static Metadata<'static>,
        build: impl FnOnce(&'static Metadata<'static>) -> P,
    ) -> &P {
        let mut bucket = &self.buckets[bucket_of(callsite)];
        while let Some(planned) = bucket.get() {
            if ptr::eq(planned.callsite, callsite) {
                return &planned.plan;
            }
            bucket = &planned.next;
        }
        insert(bucket, callsite, build(callsite))
    }

    /// All plans there are, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &P> {
        self.buckets.iter().flat_map(|bucket| {
            let chain = iter::successors(bucket.get(), |planned| planned.next.get());
            chain.map(|planned| &planned.plan)
        })
    }
}

#[inline]
fn bucket_of(callsite: &'static Metadata<'static>) -> usize {
    const { assert!(BUCKETS == 1 << 8) };
    // Fibonacci hashing: the low bits of an address are all alike.
    let hash = (ptr::from_ref(callsite) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (hash >> 56) as usize
}

#[cold]
fn insert<'a, P>(
    mut bucket: &'a Bucket<P>,
    callsite: &'static Metadata<'static>,
    plan: P,
) -> &'a P {
    let mut planned = Box::new(Planned {
        callsite,
        plan,
        next: OnceLock::new(),
    });
    loop {
        // Another thread may have filled this bucket meanwhile, with this callsite or with another one.
        let ours = bucket.set(planned).err();
        let there = bucket.get_or_init(|| unreachable!("set above, by us or by another thread"));
        match ours {
            Some(refused) if !ptr::eq(there.callsite, callsite) => {
                planned = refused;
                bucket = &there.next;
            }
            _ => return &there.plan,
        }
    }
}

impl<P> Default for CallsitePlans<P> {
    fn default() -> Self {
        Self {
            buckets: Box::new([const { OnceLock::new() }; BUCKETS]),
        }
    }
}

impl<P> fmt::Debug for CallsitePlans<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallsitePlans").finish_non_exhaustive()
    }
}
