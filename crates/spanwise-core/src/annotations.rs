//! What a wrapper says of the event that it hands on: a sink that knows how shows it on the line.

use std::cell::Cell;

/// Of one event, by the wrappers that stand before a sink. The default says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Annotations {
    /// The share of events such as this one that are handed on: above 0 and below 1. This one stands for the others too. A wrapper adds
    /// its own by [`share`](Self::share) or [`share_of_traces`](Self::share_of_traces).
    pub sample_rate: Option<f64>,
    /// The part of it that follows the id of the trace or of the request.
    trace_rate: Option<f64>,
    /// The line is kept, and written later or never.
    pub buffered: bool,
    /// It tells of other events that were shown or would have been: it is shown whatever the levels say of it.
    pub tells: bool,
    /// All events such as this one are handed on: no wrapper further in leaves it out.
    pub whole: bool,
}

thread_local! {
    /// A cell each: a number that was just written is read again at once, and one load over all would have to wait for the writes.
    static CURRENT: Current = const {
        Current {
            sample_rate: Cell::new(0.0),
            trace_rate: Cell::new(0.0),
            buffered: Cell::new(false),
            tells: Cell::new(false),
            whole: Cell::new(false),
        }
    };
}

struct Current {
    /// 0 is none.
    sample_rate: Cell<f64>,
    trace_rate: Cell<f64>,
    buffered: Cell<bool>,
    tells: Cell<bool>,
    whole: Cell<bool>,
}

impl Annotations {
    /// Calls `hand_on`, during which the first sink that asks gets what `change` makes of what was said by wrappers further out.
    #[inline]
    pub fn with<R>(change: impl FnOnce(&mut Self), hand_on: impl FnOnce() -> R) -> R {
        let outer = Self::current();
        let mut inner = outer;
        change(&mut inner);
        inner.set();
        let _restored = Restored(outer);
        hand_on()
    }

    /// [`with`](Self::with), to say no more than that the line is [`buffered`](Self::buffered) and [`whole`](Self::whole): that is said of most events
    /// of a service with a recorder.
    #[inline(always)]
    pub fn kept<R>(hand_on: impl FnOnce() -> R) -> R {
        if Self::are_said() {
            return Self::with_more(hand_on);
        }
        CURRENT.with(|current| {
            current.buffered.set(true);
            current.whole.set(true);
        });
        let _restored = Silent;
        hand_on()
    }

    #[cold]
    fn with_more<R>(hand_on: impl FnOnce() -> R) -> R {
        let change = |said: &mut Self| {
            said.buffered = true;
            said.whole = true;
        };
        Self::with(change, hand_on)
    }

    /// What is said of the event that a sink was just handed. A sink takes it before it looks at the values: an event that is
    /// logged by one of them is another one.
    #[inline]
    #[must_use]
    pub fn take() -> Self {
        let taken = Self::current();
        Self::default().set();
        taken
    }

    /// Of events such as this one a `share` is handed on, chosen without regard to any other share.
    pub fn share(&mut self, share: f64) {
        self.sample_rate = Some(self.sample_rate.unwrap_or(1.0) * share);
    }

    /// Of events such as this one those are handed on whose trace, or request, is among a `share` of them. Who is in a share is in every larger
    /// one too: of two such shares the smaller one counts, not their product.
    pub fn share_of_traces(&mut self, share: f64) {
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
    pub fn are_said() -> bool {
        CURRENT.with(|current| {
            current.sample_rate.get() != 0.0
                || current.buffered.get()
                || current.tells.get()
                || current.whole.get()
        })
    }

    /// Whether [`tells`](Self::tells) is said of the event at hand, which is not taken by it.
    #[inline]
    pub(crate) fn tells() -> bool {
        CURRENT.with(|current| current.tells.get())
    }

    #[inline]
    fn current() -> Self {
        CURRENT.with(|current| {
            let some = |rate: f64| (rate != 0.0).then_some(rate);
            Self {
                sample_rate: some(current.sample_rate.get()),
                trace_rate: some(current.trace_rate.get()),
                buffered: current.buffered.get(),
                tells: current.tells.get(),
                whole: current.whole.get(),
            }
        })
    }

    #[inline]
    fn set(self) {
        CURRENT.with(|current| {
            current.sample_rate.set(self.sample_rate.unwrap_or(0.0));
            current.trace_rate.set(self.trace_rate.unwrap_or(0.0));
            current.buffered.set(self.buffered);
            current.tells.set(self.tells);
            current.whole.set(self.whole);
        });
    }
}

struct Restored(Annotations);

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
        Annotations::default().set();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_shares_of_traces_the_smallest_counts_and_others_are_multiplied() {
        let mut said = Annotations::default();
        said.share_of_traces(0.1);
        said.share_of_traces(0.5);
        assert_eq!(said.sample_rate, Some(0.1));
        said.share(0.5);
        assert_eq!(said.sample_rate, Some(0.05));
        said.share_of_traces(0.02);
        let rate = said.sample_rate.unwrap();
        assert!((rate - 0.01).abs() < 1e-12, "{rate}");
    }

    #[test]
    fn what_is_said_is_taken_once_and_ends_with_the_event() {
        let rate = |rate| move |annotations: &mut Annotations| annotations.sample_rate = Some(rate);
        Annotations::with(rate(0.5), || {
            Annotations::with(
                |annotations| annotations.buffered = true,
                || {
                    let taken = Annotations::take();
                    assert_eq!((taken.sample_rate, taken.buffered), (Some(0.5), true));
                    assert_eq!(Annotations::take(), Annotations::default());
                },
            );
            assert_eq!(Annotations::take().sample_rate, Some(0.5));
        });
        let panicking = || Annotations::with(rate(0.1), || panic!("a sink"));
        assert!(crate::guarded::catch(panicking).is_none());
        assert_eq!(Annotations::take(), Annotations::default());
    }
}
