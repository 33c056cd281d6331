//! Values that the instances of a layer store in the extensions of a span.

use std::iter;

use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::internal::LayerId;

/// A list of values of type `V`, one for each layer that stored one in the span. It is a linked
/// list, because there is seldom more than one value.
pub(crate) struct LayerValues<V> {
    layer: LayerId,
    value: V,
    next: Option<Box<Self>>,
}

impl<V: Clone + Send + Sync + 'static> LayerValues<V> {
    /// Stores the value of `layer` in `span`, after the values of other layers.
    pub(crate) fn attach<R: for<'s> LookupSpan<'s>>(
        value: V,
        layer: LayerId,
        span: &SpanRef<'_, R>,
    ) {
        let stored = Self {
            layer,
            value,
            next: None,
        };
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<Self>() {
            Some(first) => {
                let mut end = &mut first.next;
                while let Some(next) = end {
                    end = &mut next.next;
                }
                *end = Some(Box::new(stored));
            }
            None => extensions.insert(stored),
        }
    }

    /// Returns whether any layer has stored a value of type `V` in `span`.
    pub(crate) fn exist<R: for<'s> LookupSpan<'s>>(span: &SpanRef<'_, R>) -> bool {
        span.extensions().get::<Self>().is_some()
    }

    /// Returns a clone of the first value in `span` for which `is_wanted` returns true.
    #[inline]
    pub(crate) fn find<R: for<'s> LookupSpan<'s>>(
        span: &SpanRef<'_, R>,
        is_wanted: impl Fn(LayerId, &V) -> bool,
    ) -> Option<V> {
        let extensions = span.extensions();
        let first = extensions.get::<Self>()?;
        let mut all = iter::successors(Some(first), |stored| stored.next.as_deref());
        all.find(|stored| is_wanted(stored.layer, &stored.value))
            .map(|stored| stored.value.clone())
    }
}
