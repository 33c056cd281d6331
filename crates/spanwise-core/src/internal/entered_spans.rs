//! The stack of spans that a thread has entered, with the value that each layer keeps for them. So
//! an event finds the value of its span without a look-up in the registry.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tracing_core::span::Id;

use crate::internal::{LayerId, SpanTable};

/// A value that a layer stores for one or more spans, with a count of the closed spans among them.
///
/// [`SpanTable::close`] increments the count. Each read of a value that [`EnteredSpans`] has cached
/// compares the count. If it has changed, the span of the value may be closed.
pub trait SpanValue {
    /// Data that each thread caches while it is in the span.
    type Cache: Default;

    /// Returns the count of closed spans. It starts at 0, and only the [`SpanTable`] changes it.
    fn closed_spans(&self) -> &AtomicU32;
}

impl<T: SpanValue + ?Sized> SpanValue for Arc<T> {
    type Cache = T::Cache;

    #[inline]
    fn closed_spans(&self) -> &AtomicU32 {
        (**self).closed_spans()
    }
}

/// The spans that a thread has entered, with the value that each layer stores for them.
///
/// Each crate with layers that need it has an `EnteredSpans` in a thread-local. Entering a span
/// needs no look-up. The first event in the span finds the value in the layer's [`SpanTable`], and
/// later events cost one comparison.
///
/// The [current](Self::current) span is the same as that of `Registry`. Guards of entered spans may
/// be dropped in any order, on another thread, or never. So a span may be closed although this
/// thread has not left it. A closed span has no value here. If the registry gives its id to a new
/// span, the value is that of the new span.
///
/// ```
/// use std::sync::{Arc, atomic::AtomicU32};
/// use spanwise_core::internal::{CurrentSpan, EnteredSpans, LayerId, SpanTable, SpanValue};
/// use tracing::span::Id;
///
/// struct Data { name: &'static str, closed: AtomicU32 }
/// impl SpanValue for Data {
///     type Cache = ();
///     fn closed_spans(&self) -> &AtomicU32 { &self.closed }
/// }
///
/// let (layer, table, id) = (LayerId::unique(), SpanTable::default(), Id::from_u64(7));
/// table.insert(&id, Arc::new(Data { name: "request", closed: AtomicU32::new(0) }));
///
/// let mut entered = EnteredSpans::new();
/// entered.enter(layer, &id);
/// let current = |entered: &mut EnteredSpans<Arc<Data>>| match entered.current(layer, &table) {
///     CurrentSpan::Known { value, .. } => Some(value.name),
///     CurrentSpan::Unknown(_) | CurrentSpan::None => None,
/// };
/// assert_eq!(current(&mut entered), Some("request"));
/// table.close(&id);
/// assert_eq!(current(&mut entered), None);
/// ```
pub struct EnteredSpans<T: SpanValue> {
    layers: Vec<LayerSpans<T>>,
}

/// The entered spans of one layer.
struct LayerSpans<T: SpanValue> {
    layer: LayerId,
    entered: Vec<Entered<T>>,
}

struct Entered<T: SpanValue> {
    id: Id,
    /// Whether the thread was already in the span when it entered the span.
    is_reentry: bool,
    /// The value. The first event in the span looks it up.
    looked_up: Option<LookedUp<T>>,
}

struct LookedUp<T: SpanValue> {
    value: T,
    /// The value's count of closed spans when the table returned the value.
    closed_spans: u32,
    cache: T::Cache,
}

/// The current span of a thread, from [`EnteredSpans::current`].
#[derive(Debug)]
pub enum CurrentSpan<'a, T: SpanValue> {
    /// The table has a value for the span.
    Known {
        /// The index of the span among the entered spans, for [`EnteredSpans::at`].
        number: u32,
        /// The value in the table.
        value: &'a T,
        /// The cache of the thread, empty at first.
        cache: &'a mut T::Cache,
    },
    /// The table has no value, because the span is closed or was opened before the layer was
    /// installed.
    Unknown(&'a Id),
    /// The thread is in no span.
    None,
}

impl<T: SpanValue> EnteredSpans<T> {
    /// Creates the list of a thread that has entered no span.
    #[must_use]
    pub const fn new() -> Self {
        Self { layers: Vec::new() }
    }

    /// Records that the thread enters a span.
    pub fn enter(&mut self, layer: LayerId, id: &Id) {
        let entered = &mut self.find_or_insert(layer).entered;
        let is_reentry = entered.iter().any(|entered| entered.id == *id);
        entered.push(Entered {
            id: id.clone(),
            is_reentry,
            looked_up: None,
        });
    }

    /// Records that the thread leaves a span. Returns the index that the span had among the entered
    /// spans, and its value if an event has looked it up. Drop the value when the `EnteredSpans` is
    /// no longer borrowed, because the value's destructor may use it.
    pub fn exit(&mut self, layer: LayerId, id: &Id) -> Option<(u32, Option<T>)> {
        let entered = &mut self.find_or_insert(layer).entered;
        let index = entered.iter().rposition(|entered| entered.id == *id)?;
        let exited = entered.remove(index);
        let value = exited.looked_up.map(|looked_up| looked_up.value);
        Some((index as u32, value))
    }

    /// Returns the value of the span at this index, if [`current`](Self::current) has looked it up.
    #[inline]
    #[must_use]
    pub fn at(&self, layer: LayerId, index: u32) -> Option<&T> {
        let layer_spans = match self.layers.first() {
            Some(first) if first.layer == layer => first,
            _ => self.layers.iter().find(|spans| spans.layer == layer)?,
        };
        let entered = layer_spans.entered.get(index as usize)?;
        let looked_up = entered.looked_up.as_ref();
        looked_up.map(|looked_up| &looked_up.value)
    }

    /// Returns the entry of a layer. The first call inserts it.
    #[inline]
    fn find_or_insert(&mut self, layer: LayerId) -> &mut LayerSpans<T> {
        let is_first = self
            .layers
            .first()
            .is_some_and(|spans| spans.layer == layer);
        let index = if is_first {
            0
        } else {
            self.find_or_insert_slow(layer)
        };
        &mut self.layers[index]
    }

    /// Returns the index of the layer's entry in `layers`. The first call inserts the entry.
    #[inline(never)]
    fn find_or_insert_slow(&mut self, layer: LayerId) -> usize {
        let layers = &mut self.layers;
        let known = layers.iter().position(|spans| spans.layer == layer);
        if let Some(index) = known.filter(|index| *index >= MAX_IDLE_LAYERS) {
            // Moves the entry to the front, so that entries of removed layers collect at the end.
            layers[..=index].rotate_right(1);
            return 0;
        }
        known.unwrap_or_else(|| {
            // Tests create many layers, so remove entries without entered spans.
            if layers.len() >= MAX_IDLE_LAYERS {
                layers.retain(|spans| !spans.entered.is_empty());
            }
            // If a layer was removed while this thread was in a span, its entry keeps the span,
            // because the layer no longer receives `on_exit`. So limit entries with spans, too.
            layers.truncate(MAX_LAYERS - 1);
            // The newest layer is found first.
            let new = LayerSpans {
                layer,
                entered: Vec::new(),
            };
            layers.insert(0, new);
            0
        })
    }
}

impl<T: Clone + SpanValue> EnteredSpans<T> {
    /// Returns the current span of the thread: the last entered span, not counting re-entries of a
    /// span that the thread was already in.
    ///
    /// If the span is closed, drops the value while the `EnteredSpans` is borrowed. So the
    /// destructor of a `T` must not log.
    #[inline(always)] // Runs for each event, and a call costs 1 % of a line.
    pub fn current(&mut self, layer: LayerId, table: &SpanTable<T>) -> CurrentSpan<'_, T> {
        let entered = &mut self.find_or_insert(layer).entered;
        let index = match entered.last() {
            None => return CurrentSpan::None,
            Some(last) if !last.is_reentry => entered.len() - 1,
            Some(_) => match entered.iter().rposition(|entered| !entered.is_reentry) {
                Some(index) => index,
                None => return CurrentSpan::None,
            },
        };
        let Entered { id, looked_up, .. } = &mut entered[index];
        let is_up_to_date = looked_up.as_ref().is_some_and(|looked_up| {
            // Relaxed is enough. If a close is not visible yet, the event counts as earlier.
            looked_up.value.closed_spans().load(Ordering::Relaxed) == looked_up.closed_spans
        });
        if !is_up_to_date {
            *looked_up = look_up(id, table);
        }
        match looked_up {
            Some(LookedUp { value, cache, .. }) => CurrentSpan::Known {
                number: index as u32,
                value,
                cache,
            },
            None => CurrentSpan::Unknown(id),
        }
    }
}

#[inline(never)] // Once per span and thread.
fn look_up<T: Clone + SpanValue>(id: &Id, table: &SpanTable<T>) -> Option<LookedUp<T>> {
    let (value, closed_spans) = table.get_counted(id)?;
    Some(LookedUp {
        value,
        closed_spans,
        cache: T::Cache::default(),
    })
}

impl<T: SpanValue> Default for EnteredSpans<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: SpanValue> fmt::Debug for EnteredSpans<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spans = self.layers.iter().map(|spans| spans.entered.len());
        f.debug_struct("EnteredSpans")
            .field("spans", &spans.sum::<usize>())
            .finish_non_exhaustive()
    }
}

/// If a thread has at least this many entries of layers, a new entry replaces those without entered
/// spans.
const MAX_IDLE_LAYERS: usize = 32;

/// The maximum number of entries of layers. A new entry beyond it replaces the last entry.
const MAX_LAYERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    impl SpanValue for AtomicU32 {
        type Cache = ();

        fn closed_spans(&self) -> &AtomicU32 {
            self
        }
    }

    /// A reload removes layers while a thread is in spans. The layers then receive no `on_exit`.
    #[test]
    fn removed_layers_do_not_displace_others() {
        let (stable, table) = (LayerId::unique(), SpanTable::default());
        let mut entered = EnteredSpans::<Arc<AtomicU32>>::new();
        for number in 1..=200 {
            let id = Id::from_u64(number);
            table.insert(&id, Arc::new(AtomicU32::new(0)));
            entered.enter(stable, &id);
            entered.enter(LayerId::unique(), &id);
            let current = entered.current(stable, &table);
            assert!(matches!(current, CurrentSpan::Known { .. }), "{number}");
            assert!(entered.exit(stable, &id).is_some());
        }
        assert!(entered.layers.len() <= MAX_LAYERS);
    }
}
