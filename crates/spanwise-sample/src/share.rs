//! What a kept event stands for.

use spanwise_core::EventContext;

/// What an event is kept as one of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Share {
    pub(crate) share: f64,
    /// Of traces or requests, not of events each for itself.
    pub(crate) of_traces: bool,
}

impl Share {
    #[inline]
    pub(crate) fn say(self, said: &mut EventContext) {
        if self.of_traces {
            said.share_of_traces(self.share);
        } else {
            said.share(self.share);
        }
    }
}
