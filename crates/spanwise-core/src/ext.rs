//! `layer.leveled(…)`: wrappers as methods.

use crate::{Leveled, TargetLevels};

/// Wraps any [`Layer`](tracing_subscriber::Layer), ours or not: the wrapper stands in front of it and decides what it gets to see.
///
/// A wrapper never decides for the layers beside it: it switches nothing off for anybody else.
///
/// It knows nothing of the subscriber the layer is for, so that the subscriber's type need not be spelled out; what is made of
/// something that is no layer is no layer either.
pub trait LayerExt: Sized {
    /// Lets only events of these levels through to this layer; spans all pass, since they carry the context. So do events of a
    /// target that no directive names, as far as the program's levels let them.
    ///
    /// With a filter of tracing-subscriber's, this comes first: `layer.leveled(…).with_filter(…)`. Around a layer that has one, it keeps
    /// events from it that the filter counts on seeing.
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

impl<L> LayerExt for L {}
