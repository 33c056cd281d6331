//! Ids of layer instances.

use std::sync::atomic::{AtomicU64, Ordering};

/// Tells the instances of a layer type apart, where they keep data side by side in one span.
///
/// Without it two layers of one type share a slot, and what one was asked to hide leaks through the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerId(u64);

impl LayerId {
    /// The id of no layer.
    pub(crate) const NONE: Self = Self(0);

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
