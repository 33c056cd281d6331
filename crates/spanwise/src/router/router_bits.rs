//! The bits by which a router identifies sinks.

use std::collections::VecDeque;

use spanwise_core::internal::SinkMask;

use crate::sink_settings::{Routing, SinkSettings};

/// The router bits that no sink has. The bit that has been free longest is used first, because a
/// flight recorder may still have lines for the last sink that had a bit.
#[derive(Debug, Clone)]
pub(crate) struct FreeBits(VecDeque<u64>);

impl FreeBits {
    /// Returns all bits except those of these sinks.
    #[cfg(feature = "config")]
    pub(crate) fn without(sinks: &[SinkSettings]) -> Self {
        let mut free = Self::default();
        free.0
            .retain(|bit| sinks.iter().all(|sink| sink.bit != *bit));
        free
    }

    /// Adds the bits of the sinks in `old` that are not among `new`.
    #[cfg(feature = "config")]
    pub(crate) fn add_removed(&mut self, old: &[SinkSettings], new: &[SinkSettings]) {
        let bits = old.iter().map(|sink| sink.bit);
        let removed = bits.filter(|bit| new.iter().all(|sink| sink.bit != *bit));
        self.0.extend(removed);
    }
}

impl Default for FreeBits {
    fn default() -> Self {
        Self((0..SinkMask::MAX_SINKS).map(|index| 1 << index).collect())
    }
}

impl Routing {
    /// Gives each sink a router bit. `kept_bit` returns the bit that a sink keeps. If it returns
    /// `None`, the sink takes the next bit out of `free`. Fails if `free` is empty.
    pub(crate) fn assign_bits(
        &mut self,
        free: &mut FreeBits,
        kept_bit: impl Fn(&SinkSettings) -> Option<u64>,
    ) -> Result<(), String> {
        let max_sinks = SinkMask::MAX_SINKS;
        let count = self.sinks.len();
        for sink in &mut self.sinks {
            let bit = kept_bit(sink).or_else(|| free.0.pop_front());
            sink.bit = bit.ok_or_else(|| match count > max_sinks {
                true => format!(
                    "there are {count} sinks, and events can have routes to {max_sinks}: remove some"
                ),
                false => format!(
                    "the new sinks and the present ones are more than {max_sinks}, which a reload \
                     cannot exchange: change fewer at once, or restart the program"
                ),
            })?;
        }
        Ok(())
    }
}
