//! Ids of layer instances.

use std::sync::atomic::{AtomicU64, Ordering};

/// Distinguishes the instances of a layer type that store data in the same span.
///
/// Without an id, two layers of one type would share one value per span. A value that one layer
/// redacts would leak through the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerId(u64);

impl LayerId {
    /// An id that no layer has.
    pub(crate) const NONE: Self = Self(0);

    /// Returns an id that no other layer of this process has.
    #[must_use]
    pub fn unique() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns the number of the id. Ids are numbered consecutively.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}
