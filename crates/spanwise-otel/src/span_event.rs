//! The encoding of the events and the links of a span.

use std::time::SystemTime;

use spanwise_core::internal::panic_safe;

use crate::{
    attributes::Attributes,
    open_span::unix_nanos,
    span_encoding::{HAS_IS_REMOTE, IS_REMOTE},
    wire::WireWriter as _,
};

/// The field number of the attributes in an `Event`.
pub(crate) const EVENT_ATTRIBUTES: u32 = 3;

/// The field number of the attributes in a `Link`.
pub(crate) const LINK_ATTRIBUTES: u32 = 4;

/// The maximum length of the name of an event in bytes.
const MAX_NAME_LEN: usize = 1024;

/// The span that a link refers to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinkedSpan<'a> {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    /// The flags of `traceparent`.
    pub(crate) flags: u8,
    /// The `tracestate`.
    pub(crate) state: Option<&'a str>,
    /// Whether it is a span of another process.
    pub(crate) is_remote: bool,
}

/// Encodes an `Event` into `to`.
pub(crate) fn encode_event(
    name: &str,
    time: SystemTime,
    attributes: &Attributes,
    to: &mut Vec<u8>,
) {
    const TIME: u32 = 1;
    const NAME: u32 = 2;
    const DROPPED_ATTRIBUTES: u32 = 4;

    to.fixed64(TIME, unix_nanos(time));
    to.bytes(NAME, panic_safe::truncate_at(name, MAX_NAME_LEN).as_bytes());
    to.extend_from_slice(attributes.as_bytes());
    if attributes.dropped() > 0 {
        to.uint(DROPPED_ATTRIBUTES, attributes.dropped().into());
    }
}

impl LinkedSpan<'_> {
    /// Encodes the `Link` into `to`.
    pub(crate) fn encode(self, attributes: Option<&Attributes>, to: &mut Vec<u8>) {
        const TRACE_ID: u32 = 1;
        const SPAN_ID: u32 = 2;
        const TRACE_STATE: u32 = 3;
        const DROPPED_ATTRIBUTES: u32 = 5;
        const FLAGS: u32 = 6;

        to.bytes(TRACE_ID, &self.trace_id);
        to.bytes(SPAN_ID, &self.span_id);
        if let Some(state) = self.state {
            to.bytes(TRACE_STATE, state.as_bytes());
        }
        if let Some(attributes) = attributes {
            to.extend_from_slice(attributes.as_bytes());
            if attributes.dropped() > 0 {
                to.uint(DROPPED_ATTRIBUTES, attributes.dropped().into());
            }
        }
        let remote = if self.is_remote { IS_REMOTE } else { 0 };
        to.fixed32(FLAGS, u32::from(self.flags) | HAS_IS_REMOTE | remote);
    }
}
