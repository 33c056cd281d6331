//! A field formatter whose output is not shared with other `fmt` layers.

use std::mem;

use tracing_core::span::Record;
use tracing_subscriber::{
    field::RecordFields,
    fmt::{
        FormatFields, FormattedFields,
        format::{DefaultFields, Writer},
    },
};

/// Formats fields like `N`, and stores them separately from other `fmt` layers.
///
/// `fmt` layers store the formatted fields of a span by the *type* of their field formatter. If two
/// layers use the same type, only the first one formats the fields, and the second one prints the
/// same text. So give the redacted layer its own type:
///
/// ```
/// use std::sync::Arc;
/// use spanwise_core::{LayerExt, NoRedaction, PrivateFields};
/// use tracing_subscriber::{fmt, prelude::*};
///
/// let policy = Arc::new(NoRedaction);
/// let stack = tracing_subscriber::registry()
///     .with(fmt::layer())
///     .with(fmt::layer().map_fmt_fields(PrivateFields::new).redacted(policy));
/// # drop(stack);
/// ```
///
/// Call `map_fmt_fields` after `json()` and `pretty()`, which set the formatter. If two redacted
/// layers have different policies, wrap the fields of the second one twice. Fields that are
/// recorded later are not coloured.
#[derive(Debug, Clone, Copy, Default)]
pub struct PrivateFields<N = DefaultFields>(N);

impl<N> PrivateFields<N> {
    /// Creates a formatter that formats like `fields`.
    #[must_use]
    pub fn new(fields: N) -> Self {
        Self(fields)
    }
}

impl<'w, N> FormatFields<'w> for PrivateFields<N>
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
        let mut theirs = FormattedFields::<N>::new(mem::take(&mut current.fields));
        let added = self.0.add_fields(&mut theirs, fields);
        current.fields = theirs.fields;
        added
    }
}
