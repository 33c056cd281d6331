//! The fields of spans as attributes of the records inside them.

use spanwise_core::internal::Inherit;
use tracing_core::Metadata;

use crate::{attributes::Attributes, limits::MAX_ATTRIBUTES_LEN};

/// The attributes of a span, and those that it inherits.
#[derive(Debug)]
pub(crate) struct SpanAttributes {
    pub(crate) callsite: &'static Metadata<'static>,
    own: Attributes,
    /// Its own, and those of the spans around it whose keys it does not have.
    all: Attributes,
}

impl SpanAttributes {
    pub(crate) fn new(
        callsite: &'static Metadata<'static>,
        own: Attributes,
        parent: Option<&Self>,
    ) -> Self {
        let mut all = own.clone();
        if let Some(parent) = parent {
            all.append(&parent.all);
        }
        Self { callsite, own, all }
    }

    /// Returns the attributes with the recorded ones, which replace earlier ones.
    pub(crate) fn record(&self, recorded: &Attributes, parent: Option<&Self>) -> Self {
        let mut own = self.own.clone();
        own.merge(recorded, MAX_ATTRIBUTES_LEN);
        Self::new(self.callsite, own, parent)
    }

    pub(crate) fn all(&self) -> &Attributes {
        &self.all
    }
}

impl Inherit for SpanAttributes {
    fn rebuild(&self, parent: Option<&Self>) -> Self {
        Self::new(self.callsite, self.own.clone(), parent)
    }
}
