//! Values that a thread remembers for each layer whose lines it writes.

use spanwise_core::internal::LayerId;

/// One value for each layer. It is the default value until it is changed.
#[derive(Debug)]
pub(crate) struct PerLayer<T>(Vec<(LayerId, T)>);

/// The maximum number of layers with a value. If there are more layers, as in tests, all values are
/// dropped and created again, which is cheap.
const MAX_LAYERS: usize = 32;

impl<T> Default for PerLayer<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Default> PerLayer<T> {
    /// Returns the value of `layer`.
    #[inline]
    pub(crate) fn for_layer(&mut self, layer: LayerId) -> &mut T {
        let is_first = self.0.first().is_some_and(|(first, _)| *first == layer);
        let index = if is_first {
            0
        } else {
            self.find_or_insert(layer)
        };
        &mut self.0[index].1
    }

    /// Returns the index of the value of `layer`.
    #[inline(never)] // Most processes have one layer, whose value `for_layer` finds.
    fn find_or_insert(&mut self, layer: LayerId) -> usize {
        let known = self.0.iter().position(|(known, _)| *known == layer);
        known.unwrap_or_else(|| {
            if self.0.len() >= MAX_LAYERS {
                self.0.clear();
            }
            self.0.push((layer, T::default()));
            self.0.len() - 1
        })
    }
}
