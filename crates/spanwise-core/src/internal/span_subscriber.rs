//! The subscriber bound that many functions share.

use tracing::Subscriber;
use tracing_subscriber::registry::LookupSpan;

/// A subscriber that stores its spans.
pub trait SpanSubscriber: Subscriber + for<'s> LookupSpan<'s> {}

impl<S: Subscriber + for<'s> LookupSpan<'s>> SpanSubscriber for S {}
