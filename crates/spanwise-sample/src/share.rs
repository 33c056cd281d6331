//! What a kept event stands for.

use spanwise_core::EventContext;

/// What an event is kept as one of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SampleRate {
    pub(crate) ratio: f64,
    /// Of traces or requests, not of events each for itself.
    pub(crate) by_trace: bool,
}

impl SampleRate {
    #[inline]
    pub(crate) fn say(self, said: &mut EventContext) {
        if self.by_trace {
            said.limit_trace_rate(self.ratio);
        } else {
            said.multiply_sample_rate(self.ratio);
        }
    }
}
