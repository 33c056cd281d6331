//! A field formatter that keeps a `fmt` layer from sharing the text of span fields.

use std::mem;

use tracing_core::span::Record;
use tracing_subscriber::{
    field::RecordFields,
    fmt::{
        FormatFields, FormattedFields,
        format::{DefaultFields, Writer},
    },
};

/// Formats fields like `N`, and does not share the formatted text with `fmt` layers that use `N`.
///
/// `fmt` layers store the formatted fields of a span by the *type* of their field formatter. If two
/// layers use the same type, only the first one formats the fields. The second one prints the same
/// text, including secrets that only its own policy hides. So give the redacted layer a type of its
/// own:
///
/// ```
/// use std::sync::Arc;
/// use spanwise_core::{LayerExt, NoRedaction, UnsharedFields};
/// use tracing_subscriber::{fmt, prelude::*};
///
/// let policy = Arc::new(NoRedaction);
/// let stack = tracing_subscriber::registry()
///     .with(fmt::layer())
///     .with(fmt::layer().map_fmt_fields(UnsharedFields::new).redacted(policy));
/// # drop(stack);
/// ```
///
/// Call `map_fmt_fields` after `json()` and `pretty()`, which set the formatter. If two redacted
/// layers have different policies, they also need different types: call `map_fmt_fields` twice for
/// the second one. Fields that are recorded later are not coloured.
#[derive(Debug, Clone, Copy, Default)]
pub struct UnsharedFields<N = DefaultFields>(N);

impl<N> UnsharedFields<N> {
    /// Creates a formatter that formats like `fields`.
    #[must_use]
    pub fn new(fields: N) -> Self {
        Self(fields)
    }
}

impl<'w, N> FormatFields<'w> for UnsharedFields<N>
where
    N: for<'any> FormatFields<'any> + 'static,
{
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> std::fmt::Result {
        self.0.format_fields(writer, fields)
    }

    fn add_fields(
        &self,
        current: &'w mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> std::fmt::Result {
        let mut inner = FormattedFields::<N>::new(mem::take(&mut current.fields));
        let added = self.0.add_fields(&mut inner, fields);
        current.fields = inner.fields;
        added
    }
}
