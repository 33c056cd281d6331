//! What can be asserted about all that was captured.

use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

use spanwise_core::nearest::nearest;

use crate::{Capture, Event, Span, render, secret::Secret};

/// A leaked secret is often in every line of a request: the first places tell enough.
const MOST_PLACES: usize = 10;

impl Capture {
    /// The only event with this message.
    ///
    /// # Panics
    /// If there is none, or more than one.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "it asserts")]
    pub fn one(&self, message: &str) -> Event {
        let events = self.events();
        let mut matching = events.iter().filter(|event| event.message() == message);
        match (matching.next(), matching.count()) {
            (Some(event), 0) => event.clone(),
            (None, _) => self.fail_without(message, &events),
            (Some(_), more) => panic!(
                "{} say {message:?}, expected one\n{}",
                render::count(more + 1, "event"),
                render::list(&events)
            ),
        }
    }

    /// Asserts that no event has this message.
    ///
    /// # Panics
    /// If one has.
    #[track_caller]
    pub fn none(&self, message: &str) {
        let events = self.events();
        let count = events
            .iter()
            .filter(|event| event.message() == message)
            .count();
        if count > 0 {
            panic!(
                "{} with the message {message:?}, expected none\n{}",
                render::count(count, "event"),
                render::list(&events)
            );
        }
    }

    /// The only span with this name, closed or not.
    ///
    /// # Panics
    /// If there is none, or more than one.
    #[track_caller]
    pub fn one_span(&self, name: &str) -> Span {
        let spans = self.spans();
        let mut matching = spans.iter().filter(|span| span.name() == name);
        match (matching.next(), matching.count()) {
            (Some(span), 0) => span.clone(),
            (found, more) => {
                let count = more + usize::from(found.is_some());
                let near = match found {
                    None => nearest(name, spans.iter().map(Span::name)),
                    Some(_) => None,
                };
                panic!(
                    "{} of the name `{name}`, expected one{}\ncaptured {}{}",
                    render::count(count, "span"),
                    render::did_you_mean(near),
                    render::count(spans.len(), "span"),
                    render::lines(&spans)
                );
            }
        }
    }

    /// The first event with this message, waiting until it arrives.
    ///
    /// It blocks the thread: in an async test, whatever logs the event must run on another one, as with
    /// `#[tokio::test(flavor = "multi_thread")]`.
    ///
    /// # Panics
    /// If none arrives within `timeout`.
    #[track_caller]
    pub fn wait_for(&self, message: &str, timeout: Duration) -> Event {
        let start = Instant::now();
        let mut seen = 0;
        let mut caught = self.sink.lock();
        loop {
            let new = &caught.events[seen..];
            if let Some(event) = new.iter().find(|event| event.message() == message) {
                return event.clone();
            }
            seen = caught.events.len();
            let Some(left) = timeout.checked_sub(start.elapsed()) else {
                break;
            };
            let waited = self.sink.arrived().wait_timeout(caught, left);
            caught = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let events = caught.events.clone();
        drop(caught);
        self.fail_without(message, &events)
    }

    /// Asserts that `secret` was written nowhere: not in the JSON line of any event, and in no message, field of an event or of a
    /// span, or context, replaced values included.
    ///
    /// It looks for the text itself, as JSON or a `Debug` escape it, and as the bytes that a `Vec<u8>` shows; also in events that
    /// belong to no capture. It does not find a secret that is split, encoded (base64), in another case, or only in what an error
    /// recorded as `&dyn Error` shows by `Debug`: of that the messages of its chain are searched.
    ///
    /// # Panics
    /// If it was; names each place and shows at most four characters of the secret. Also if `secret` is empty.
    ///
    /// # Examples
    /// ```
    /// let logs = spanwise_testing::capture();
    /// let card = "4111111111111111";
    /// tracing::info!(card.last4 = &card[12..], "paid");
    /// logs.assert_never_logged(card);
    /// ```
    #[track_caller]
    pub fn assert_never_logged(&self, secret: &str) {
        assert!(
            !secret.is_empty(),
            "nothing to look for: an empty text is everywhere"
        );
        let secret = Secret::new(secret);
        let places = secret.places(&self.sink.lock());
        if places.is_empty() {
            return;
        }
        let more = match places.len().saturating_sub(MOST_PLACES) {
            0 => String::new(),
            more => format!("\n    … and {more} more"),
        };
        panic!(
            "{} was logged, in {}:{}{more}",
            secret.shown(),
            render::count(places.len(), "place"),
            render::lines(&places[..places.len().min(MOST_PLACES)]),
        );
    }

    #[track_caller]
    fn fail_without(&self, message: &str, events: &[Event]) -> ! {
        let unrouted = self.sink.lock().unrouted_events.clone();
        panic!(
            "no event says {message:?}{}\n{}{}",
            render::near_message(events, message),
            render::list(events),
            render::unrouted_hint(&unrouted, message)
        );
    }
}
