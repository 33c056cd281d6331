//! A captured span.

use std::{fmt, sync::Arc};

use spanwise_core::internal::sync::Mutex;

use tracing_core::{Level, Metadata};

use crate::{
    FieldValue,
    fields::{self, Fields},
    render,
    route::WeakStore,
};

/// A snapshot of a span with its fields, taken when an event inside the span was captured, or when
/// [`Capture::spans`](crate::Capture::spans) was called.
#[derive(Clone)]
pub struct Span {
    metadata: &'static Metadata<'static>,
    fields: Arc<Fields>,
}

impl Span {
    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.metadata.name()
    }

    /// Returns the level.
    #[must_use]
    pub fn level(&self) -> Level {
        *self.metadata.level()
    }

    /// Returns the target. By default, it is the path of the module that opened the span.
    #[must_use]
    pub fn target(&self) -> &'static str {
        self.metadata.target()
    }

    /// Returns the fields that have a value, including values recorded after the span was opened.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &FieldValue)> {
        self.fields.iter().map(|(name, value)| (*name, value))
    }

    /// Returns the value of one field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&FieldValue> {
        fields::find(&self.fields, name)
    }

    /// Asserts that the field `name` has this value.
    ///
    /// # Panics
    /// If the field is missing or has another value. The message shows the span, and names a
    /// similar field if the field is missing.
    #[track_caller]
    pub fn assert_field(&self, name: &str, expected: impl Into<FieldValue>) -> &Self {
        if let Some(why) = fields::mismatch(&self.fields, name, &expected.into()) {
            panic!("{why}\n    in the span {self}");
        }
        self
    }
}

impl fmt::Display for Span {
    /// Writes one line: `create_order{order_id=42}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render::span(self, &render::show_unchanged))
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A captured span with its current fields. The layer stores it in the span's extensions.
#[derive(Debug)]
pub(crate) struct SpanRecord {
    metadata: &'static Metadata<'static>,
    /// The capture that the span belongs to.
    owner: Option<WeakStore>,
    recorded: Mutex<Recorded>,
}

#[derive(Debug)]
struct Recorded {
    fields: Arc<Fields>,
    /// Values that were replaced later. A secret among them was still logged.
    replaced: Fields,
}

impl SpanRecord {
    pub(crate) fn new(
        metadata: &'static Metadata<'static>,
        fields: Fields,
        owner: Option<WeakStore>,
    ) -> Self {
        let recorded = Recorded {
            fields: Arc::new(fields),
            replaced: Fields::new(),
        };
        Self {
            metadata,
            owner,
            recorded: Mutex::new(recorded),
        }
    }

    pub(crate) fn owner(&self) -> Option<&WeakStore> {
        self.owner.as_ref()
    }

    /// Records values after the span was opened. Each replaces the earlier value of its field.
    pub(crate) fn record(&self, late_fields: Fields) {
        let mut recorded = self.recorded.lock();
        let Recorded { fields, replaced } = &mut *recorded;
        // Copies the list if a snapshot still uses it.
        let fields = Arc::make_mut(fields);
        for (name, value) in late_fields {
            match fields.iter_mut().find(|(known, _)| *known == name) {
                Some((_, current)) => {
                    replaced.push((name, std::mem::replace(current, value)));
                }
                None => fields.push((name, value)),
            }
        }
    }

    /// Returns the span with its current fields.
    pub(crate) fn snapshot(&self) -> Span {
        let recorded = self.recorded.lock();
        Span {
            metadata: self.metadata,
            fields: Arc::clone(&recorded.fields),
        }
    }

    /// Returns the values that later values replaced.
    pub(crate) fn replaced_values(&self) -> Fields {
        let recorded = self.recorded.lock();
        recorded.replaced.clone()
    }
}
