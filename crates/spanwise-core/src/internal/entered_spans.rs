//! The spans that a thread is in, as the registry counts them, without asking the registry.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tracing_core::span::Id;

use crate::internal::{LayerId, SpanTable};

/// A value that a layer keeps for one or more spans, and that counts how many of them are closed.
///
/// [`SpanTable::close`] counts. By the count an [`EnteredSpans`] notices that what it remembers
/// may belong to a closed span.
pub trait SpanValue {
    /// What a thread that is in the span keeps beside the value, for itself.
    type Cache: Default;

    /// Returns the count of closed spans. Starts at 0, and nobody but the table changes it.
    fn closed_spans(&self) -> &AtomicU32;
}

impl<T: SpanValue + ?Sized> SpanValue for Arc<T> {
    type Cache = T::Cache;

    #[inline]
    fn closed_spans(&self) -> &AtomicU32 {
        (**self).closed_spans()
    }
}

/// The spans that one thread is in, with the value that each layer keeps for them.
///
/// A layer crate holds one in a thread-local. Entering a span looks nothing up: the first event
/// inside finds the value in the layer's [`SpanTable`], and those after it cost one comparison.
///
/// The current span is the one that `Registry` has. Guards may be dropped in any order, on another
/// thread, or never: a span that is closed is not current any more, also if this thread never left
/// it. An id that the registry gives to a new span stands for the new span.
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

struct LayerSpans<T: SpanValue> {
    layer: LayerId,
    entered: Vec<Entered<T>>,
}

struct Entered<T: SpanValue> {
    id: Id,
    /// It was entered before, and not left since.
    is_reentry: bool,
    /// Looked up when the first event needs it.
    found: Option<Found<T>>,
}

struct Found<T: SpanValue> {
    value: T,
    /// How many spans of the value were closed when the table gave it.
    closed: u32,
    cache: T::Cache,
}

/// The span that a thread is in, as [`EnteredSpans::current`] finds it.
#[derive(Debug)]
pub enum CurrentSpan<'a, T: SpanValue> {
    /// The table has a value for it.
    Known {
        /// For [`EnteredSpans::at`].
        number: u32,
        /// What the table has.
        value: &'a T,
        /// The thread's own, empty at first.
        cache: &'a mut T::Cache,
    },
    /// The table has no value: the span is closed, or older than the layer.
    Unknown(&'a Id),
    /// The thread is in no span.
    None,
}

impl<T: SpanValue> EnteredSpans<T> {
    /// Creates the spans of a thread that is in none.
    #[must_use]
    pub const fn new() -> Self {
        Self { layers: Vec::new() }
    }

    /// Notes that the thread enters a span.
    pub fn enter(&mut self, layer: LayerId, id: &Id) {
        let entered = &mut self.layer_spans(layer).entered;
        let is_reentry = entered.iter().any(|entered| entered.id == *id);
        entered.push(Entered {
            id: id.clone(),
            is_reentry,
            found: None,
        });
    }

    /// Notes that the thread leaves a span. Returns its former number, and the value if one was
    /// looked up: drop it where its destructor may run.
    pub fn exit(&mut self, layer: LayerId, id: &Id) -> Option<(u32, Option<T>)> {
        let entered = &mut self.layer_spans(layer).entered;
        let index = entered.iter().rposition(|entered| entered.id == *id)?;
        let left = entered.remove(index);
        Some((index as u32, left.found.map(|found| found.value)))
    }

    /// Returns the value at a number that [`current`](Self::current) gave.
    #[inline]
    #[must_use]
    pub fn at(&self, layer: LayerId, number: u32) -> Option<&T> {
        let layer_spans = match self.layers.first() {
            Some(first) if first.layer == layer => first,
            _ => self.layers.iter().find(|spans| spans.layer == layer)?,
        };
        let entered = layer_spans.entered.get(number as usize)?;
        entered.found.as_ref().map(|found| &found.value)
    }

    #[inline]
    fn layer_spans(&mut self, layer: LayerId) -> &mut LayerSpans<T> {
        let is_first = self
            .layers
            .first()
            .is_some_and(|spans| spans.layer == layer);
        let index = if is_first { 0 } else { self.find(layer) };
        &mut self.layers[index]
    }

    /// A stack with more than one such layer has more than one entry.
    #[inline(never)]
    fn find(&mut self, layer: LayerId) -> usize {
        let layers = &mut self.layers;
        let known = layers.iter().position(|spans| spans.layer == layer);
        known.unwrap_or_else(|| {
            // Layers come and go in tests: forget those that this thread is done with.
            if layers.len() >= MAX_IDLE_LAYERS {
                layers.retain(|spans| !spans.entered.is_empty());
            }
            layers.push(LayerSpans {
                layer,
                entered: Vec::new(),
            });
            layers.len() - 1
        })
    }
}

impl<T: Clone + SpanValue> EnteredSpans<T> {
    /// Returns the current span of the thread: the last one entered that was not entered already.
    ///
    /// Drops the value of a span that is closed: the destructor of a `T` must not log.
    #[inline(always)] // Each event asks: a call costs 1 % of a line.
    pub fn current(&mut self, layer: LayerId, table: &SpanTable<T>) -> CurrentSpan<'_, T> {
        let entered = &mut self.layer_spans(layer).entered;
        let index = match entered.last() {
            None => return CurrentSpan::None,
            Some(last) if !last.is_reentry => entered.len() - 1,
            Some(_) => match entered.iter().rposition(|entered| !entered.is_reentry) {
                Some(index) => index,
                None => return CurrentSpan::None,
            },
        };
        let Entered { id, found, .. } = &mut entered[index];
        let is_open = found.as_ref().is_some_and(|found| {
            // A close that this thread cannot know of yet is as good as one after the event.
            found.value.closed_spans().load(Ordering::Relaxed) == found.closed
        });
        if !is_open {
            look_up(id, table, found);
        }
        match found {
            Some(Found { value, cache, .. }) => CurrentSpan::Known {
                number: index as u32,
                value,
                cache,
            },
            None => CurrentSpan::Unknown(id),
        }
    }
}

#[inline(never)]
fn look_up<T: Clone + SpanValue>(id: &Id, table: &SpanTable<T>, found: &mut Option<Found<T>>) {
    *found = table.get_counted(id).map(|(value, closed)| Found {
        value,
        closed,
        cache: T::Cache::default(),
    });
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

/// From this many layers on, those without entered spans are forgotten.
const MAX_IDLE_LAYERS: usize = 32;
