//! What a wrapper says of the event that it hands on: a sink that knows how shows it on the line.

use std::cell::Cell;

/// Of one event, by the wrappers that stand before a sink. The default says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct EventContext {
    /// The share of events such as this one that are handed on: above 0 and below 1. This one stands for the others too. A wrapper adds
    /// its own by [`multiply_sample_rate`](Self::multiply_sample_rate) or [`limit_trace_rate`](Self::limit_trace_rate).
    pub sample_rate: Option<f64>,
    /// The part of it that follows the id of the trace or of the request.
    trace_rate: Option<f64>,
    /// The line is kept, and written later or never.
    pub buffered: bool,
    /// It tells of other events that were shown or would have been: it is shown whatever the levels say of it.
    pub force_emit: bool,
    /// All events such as this one are handed on: no wrapper further in leaves it out.
    pub exempt_from_sampling: bool,
}

thread_local! {
    static CURRENT: Current = const {
        Current {
            flags: Cell::new(NOTHING),
            sample_rate: Cell::new(0.0),
            trace_rate: Cell::new(0.0),
        }
    };
}

struct Current {
    /// A bit for each thing that is said, in one number: most events have to know no more than that nothing is.
    flags: Cell<u8>,
    /// As far as its bit says so.
    sample_rate: Cell<f64>,
    trace_rate: Cell<f64>,
}

const NOTHING: u8 = 0;
const SAMPLE_RATE: u8 = 1;
const TRACE_RATE: u8 = 1 << 1;
const BUFFERED: u8 = 1 << 2;
const FORCE_EMIT: u8 = 1 << 3;
const EXEMPT_FROM_SAMPLING: u8 = 1 << 4;

impl EventContext {
    /// Calls `forward`, during which the first sink that asks gets what `change` makes of what was said by wrappers further out.
    #[inline]
    pub fn scope<R>(change: impl FnOnce(&mut Self), forward: impl FnOnce() -> R) -> R {
        if Self::is_set() {
            return Self::with_more(change, forward);
        }
        let mut said = Self::default();
        change(&mut said);
        said.set();
        let _restored = Silent;
        forward()
    }

    /// Something is said already.
    #[inline(never)]
    fn with_more<R>(change: impl FnOnce(&mut Self), forward: impl FnOnce() -> R) -> R {
        let outer = CURRENT.with(|current| current.read(current.flags.get()));
        let mut inner = outer;
        change(&mut inner);
        inner.set();
        let _restored = Restored(outer);
        forward()
    }

    /// What is said of the event that a sink was just handed. A sink takes it before it looks at the values: an event that is
    /// logged by one of them is another one.
    #[inline]
    #[must_use]
    pub fn take() -> Self {
        CURRENT.with(|current| current.read(current.flags.replace(NOTHING)))
    }

    /// Of events such as this one a `share` is handed on, chosen without regard to any other share.
    #[inline]
    pub fn multiply_sample_rate(&mut self, share: f64) {
        self.sample_rate = Some(self.sample_rate.unwrap_or(1.0) * share);
    }

    /// Of events such as this one those are handed on whose trace, or request, is among a `share` of them. Who is in a share is in every larger
    /// one too: of two such shares the smaller one counts, not their product.
    #[inline]
    pub fn limit_trace_rate(&mut self, share: f64) {
        let known = self.trace_rate.unwrap_or(1.0);
        if share >= known {
            return;
        }
        self.trace_rate = Some(share);
        self.sample_rate = match self.sample_rate {
            // Nothing but shares of traces was said: no rounding.
            Some(rate) if rate != known => Some(rate / known * share),
            _ => Some(share),
        };
    }

    /// Whether anything is said of the event at hand; it is not taken by it.
    #[inline]
    #[must_use]
    pub fn is_set() -> bool {
        CURRENT.with(|current| current.flags.get()) != NOTHING
    }

    /// Whether [`force_emit`](Self::force_emit) is said of the event at hand, which is not taken by it.
    #[inline]
    pub(crate) fn forces_emit() -> bool {
        CURRENT.with(|current| current.flags.get()) & FORCE_EMIT != 0
    }

    #[inline]
    fn set(self) {
        CURRENT.with(|current| {
            let mut said = NOTHING;
            if let Some(rate) = self.sample_rate {
                current.sample_rate.set(rate);
                said |= SAMPLE_RATE;
            }
            if let Some(rate) = self.trace_rate {
                current.trace_rate.set(rate);
                said |= TRACE_RATE;
            }
            let flags = [
                (self.buffered, BUFFERED),
                (self.force_emit, FORCE_EMIT),
                (self.exempt_from_sampling, EXEMPT_FROM_SAMPLING),
            ];
            for (flag, bit) in flags {
                said |= if flag { bit } else { NOTHING };
            }
            current.flags.set(said);
        });
    }
}

impl Current {
    #[inline]
    fn read(&self, said: u8) -> EventContext {
        if said == NOTHING {
            return EventContext::default();
        }
        let is = |bit| said & bit != 0;
        EventContext {
            sample_rate: is(SAMPLE_RATE).then(|| self.sample_rate.get()),
            trace_rate: is(TRACE_RATE).then(|| self.trace_rate.get()),
            buffered: is(BUFFERED),
            force_emit: is(FORCE_EMIT),
            exempt_from_sampling: is(EXEMPT_FROM_SAMPLING),
        }
    }
}

struct Restored(EventContext);

impl Drop for Restored {
    #[inline]
    fn drop(&mut self) {
        self.0.set();
    }
}

/// Nothing was said before.
struct Silent;

impl Drop for Silent {
    #[inline]
    fn drop(&mut self) {
        CURRENT.with(|current| current.flags.set(NOTHING));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_shares_of_traces_the_smallest_counts_and_others_are_multiplied() {
        let mut said = EventContext::default();
        said.limit_trace_rate(0.1);
        said.limit_trace_rate(0.5);
        assert_eq!(said.sample_rate, Some(0.1));
        said.multiply_sample_rate(0.5);
        assert_eq!(said.sample_rate, Some(0.05));
        said.limit_trace_rate(0.02);
        let rate = said.sample_rate.unwrap();
        assert!((rate - 0.01).abs() < 1e-12, "{rate}");
    }

    #[test]
    fn what_is_said_is_taken_once_and_ends_with_the_event() {
        let rate =
            |rate| move |annotations: &mut EventContext| annotations.sample_rate = Some(rate);
        EventContext::scope(rate(0.5), || {
            EventContext::scope(
                |annotations| annotations.buffered = true,
                || {
                    let taken = EventContext::take();
                    assert_eq!((taken.sample_rate, taken.buffered), (Some(0.5), true));
                    assert_eq!(EventContext::take(), EventContext::default());
                },
            );
            assert_eq!(EventContext::take().sample_rate, Some(0.5));
        });
        let panicking = || EventContext::scope(rate(0.1), || panic!("a sink"));
        assert!(crate::panic_safe::catch_panic(panicking).is_none());
        assert_eq!(EventContext::take(), EventContext::default());
    }
}
