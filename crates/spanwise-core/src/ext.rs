//! `layer.leveled(…)`: wrappers as methods.

use tracing::Subscriber;
use tracing_subscriber::Layer;

use crate::{Leveled, TargetLevels};

/// Wraps any [`Layer`], ours or not: the wrapper stands in front of it and decides what it gets to see.
///
/// A wrapper never decides for the layers beside it: it switches nothing off for anybody else.
pub trait LayerExt<S: Subscriber>: Layer<S> + Sized {
    /// Lets only events of these levels through to this layer; spans all pass, since they carry the context.
    ///
    /// ```
    /// use spanwise_core::LayerExt;
    /// use tracing_subscriber::prelude::*;
    ///
    /// let errors = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    /// let stack = tracing_subscriber::registry().with(errors.leveled("error,shop::payments=warn".parse()?));
    /// # drop(stack);
    /// # Ok::<(), spanwise_core::LevelsError>(())
    /// ```
    fn leveled(self, levels: TargetLevels) -> Leveled<Self> {
        Leveled::new(self, levels)
    }
}

impl<S: Subscriber, L: Layer<S>> LayerExt<S> for L {}
