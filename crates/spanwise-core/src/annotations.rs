//! What a wrapper says of the event that it hands on: a sink that knows how shows it on the line.

use std::cell::Cell;

/// Of one event, by the wrappers that stand before a sink. The default says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Annotations {
    /// The share of events such as this one that are handed on: above 0 and below 1. This one stands for the others too.
    pub sample_rate: Option<f64>,
    /// The line is kept, and written later or never.
    pub buffered: bool,
}

thread_local! {
    static CURRENT: Cell<Annotations> = const { Cell::new(Annotations { sample_rate: None, buffered: false }) };
}

impl Annotations {
    /// Calls `hand_on`, during which the first sink that asks gets what `change` makes of what was said by wrappers further out.
    pub fn with<R>(change: impl FnOnce(&mut Self), hand_on: impl FnOnce() -> R) -> R {
        let outer = CURRENT.get();
        let mut inner = outer;
        change(&mut inner);
        CURRENT.set(inner);
        let _restored = Restored(outer);
        hand_on()
    }

    /// What is said of the event that a sink was just handed. A sink takes it before it looks at the values: an event that is
    /// logged by one of them is another one.
    #[inline]
    #[must_use]
    pub fn take() -> Self {
        CURRENT.take()
    }
}

struct Restored(Annotations);

impl Drop for Restored {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
