//! Keys of rules that no event has: most likely misspelled, or not declared as keys of the context.

use std::sync::atomic::{AtomicU32, Ordering};

use spanwise_core::{Fault, SelfReport, internal::suggest};

/// Whether a key by which a rule looks at values was ever found. If it is not, that is told once.
#[derive(Debug, Default)]
pub(crate) struct Watched(AtomicU32);

/// It was found, or it was told that it is not.
const SETTLED: u32 = u32::MAX;

/// Of so many events it is looked whether they have a key that is nearly this one.
const LOOKED_AT: u32 = 100;

/// After so many a key by which buckets are told apart is told, whatever the events have: they all share one.
const TOLD_AFTER: u32 = 1000;

impl Watched {
    #[inline]
    pub(crate) fn found(&self) {
        if self.0.load(Ordering::Relaxed) != SETTLED {
            self.0.store(SETTLED, Ordering::Relaxed);
        }
    }

    /// An event has no `key`; it has those of `others`. `is_shared` if it shares a bucket with all such events.
    #[inline]
    pub(crate) fn missed<'a, K>(&self, key: &str, is_shared: bool, others: impl FnOnce() -> K)
    where
        K: Iterator<Item = &'a str>,
    {
        let missed = self.0.load(Ordering::Relaxed);
        if missed < TOLD_AFTER {
            self.count(missed, key, is_shared, others);
        }
    }

    #[inline(never)]
    fn count<'a, K>(&self, missed: u32, key: &str, is_shared: bool, others: impl FnOnce() -> K)
    where
        K: Iterator<Item = &'a str>,
    {
        // Threads may count one for two: it matters little.
        self.0.store(missed + 1, Ordering::Relaxed);
        let near = (missed < LOOKED_AT).then(|| suggest::closest(key, others()));
        let advice = match near.flatten() {
            Some(near) => format!("did you mean `{near}`?"),
            None if is_shared && missed + 1 == TOLD_AFTER => {
                "they share one bucket; a field of spans has to be a key of the context, declared with LOG_CONTEXT or `ContextLayer::key`".to_owned()
            }
            None => return,
        };
        if self.0.swap(SETTLED, Ordering::Relaxed) != SETTLED {
            let why = format_args!(
                "a rule of a sampler looks at `{key}`, which no event has had so far: {advice}"
            );
            // It is told once, whatever else was told.
            SelfReport::default().fault_unthrottled(Fault::Setup, &why);
        }
    }
}
