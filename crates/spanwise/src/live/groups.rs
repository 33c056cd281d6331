//! The layers that write lines. One layer encodes each line once for all outputs with the same
//! [`Rendering`], which is the format and all other settings that lines depend on.

use std::sync::Arc;

use spanwise_core::LevelHandle;
use spanwise_sample::Sampler;
use tracing::{Dispatch, level_filters::LevelFilter};
use tracing_subscriber::Layer as _;

use super::{LiveTee, SharedLayer};
use crate::{
    Stack,
    config::Config,
    outputs::{OpenOutput, Outputs, silent},
    rendering::{Rendering, add_lines},
    stack::{LineSink, Wrappers},
    tee::TeeOutput,
};

/// The outputs with the same rendering, and the layer that encodes their lines. A reload changes
/// the outputs.
pub(crate) struct LineGroup {
    rendering: Rendering,
    tee: LiveTee,
    pub(crate) layer: SharedLayer,
}

impl Outputs {
    /// Returns a group for each rendering, with the new outputs for the group. If `previous` has a
    /// group with the same rendering, the group keeps its layer and its present outputs, until the
    /// caller sets the new outputs with [`LineGroup::set_outputs`].
    pub(crate) fn groups(
        &self,
        config: &Config,
        previous: Option<&[LineGroup]>,
        levels: &LevelHandle,
        wrappers: &Wrappers,
    ) -> Vec<(LineGroup, Vec<TeeOutput>)> {
        let groups = self.by_rendering().into_iter().map(|(rendering, outputs)| {
            let outputs: Vec<TeeOutput> = outputs.into_iter().map(OpenOutput::tee_output).collect();
            let mut previous_groups = previous.unwrap_or_default().iter();
            let previous_group = previous_groups.find(|group| group.has_rendering(rendering));
            let group = previous_group.map(LineGroup::share).unwrap_or_else(|| {
                let tee = LiveTee::new();
                let bits = Arc::clone(&tee.bits);
                let sink = LineSink {
                    is_late: previous.is_some(),
                    ..rendering.line_sink(config, LevelFilter::TRACE, bits)
                };
                let levels = levels.clone();
                let (_, layers) = Stack::new(LevelFilter::OFF).collect(|stack| {
                    let writer = tee.clone();
                    add_lines(stack, config, levels, rendering, sink, writer, &silent())
                });
                LineGroup {
                    rendering: rendering.clone(),
                    tee,
                    layer: Arc::new(layers.wrapped(wrappers)),
                }
            });
            (group, outputs)
        });
        groups.collect()
    }
}

impl LineGroup {
    /// Returns a group with the same layer and the same outputs.
    fn share(&self) -> Self {
        Self {
            rendering: self.rendering.clone(),
            tee: self.tee.clone(),
            layer: Arc::clone(&self.layer),
        }
    }

    /// Returns whether both groups have the same layer.
    pub(crate) fn has_same_layer(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.layer, &other.layer)
    }

    /// Returns whether the lines of the group have this rendering.
    pub(crate) fn has_rendering(&self, rendering: &Rendering) -> bool {
        self.rendering.is_same(rendering)
    }

    /// Passes the subscriber to the layer of a new group.
    pub(crate) fn register(&self, dispatch: &Dispatch) {
        self.layer.on_register_dispatch(dispatch);
    }

    /// Adds outputs to the group. A new output replaces an output with the same router bit.
    pub(crate) fn add_outputs(&self, new: &[TeeOutput]) {
        let mut outputs = self.tee.outputs().to_vec();
        outputs.retain(|output| new.iter().all(|new| new.bit != output.bit));
        outputs.extend_from_slice(new);
        self.tee.set(&outputs);
    }

    /// Replaces all outputs of the group.
    pub(crate) fn set_outputs(&self, outputs: &[TeeOutput]) {
        self.tee.set(outputs);
    }

    /// Returns the sampler of the rendering: see [`Rendering::sampler`].
    pub(crate) fn sampler(&self) -> Option<Sampler> {
        self.rendering.sampler()
    }
}
