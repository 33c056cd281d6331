//! Assertions on captured events and spans.

use std::{
    fmt,
    time::{Duration, Instant},
};

use spanwise_core::internal::suggest::closest;
use tracing_core::Level;

use crate::{Capture, Event, Pattern, Span, WaitFor, render, secret::Secret};

/// The maximum number of places of a secret that a failure shows. The number is limited because a
/// leaked secret is often in every line of a request.
const MAX_SHOWN_PLACES: usize = 10;

impl Capture {
    /// Returns the only event that has this message or matches this [`Pattern`].
    ///
    /// # Panics
    /// If there is none, or more than one.
    #[track_caller]
    pub fn one<'a>(&self, pattern: impl Into<Pattern<'a>>) -> Event {
        let pattern = pattern.into();
        let events = self.events();
        let mut matching = events.iter().filter(|event| pattern.matches(event));
        match (matching.next(), matching.count()) {
            (Some(event), 0) => event.clone(),
            (None, _) => self.fail_no_match(&pattern, &events),
            (Some(_), further) => self.fail(
                &events,
                format_args!(
                    "{} {}, expected one",
                    render::count(further + 1, "event"),
                    pattern.predicate(further + 1)
                ),
            ),
        }
    }

    /// Asserts that no event has this message, or matches this [`Pattern`].
    ///
    /// # Panics
    /// If an event matches.
    #[track_caller]
    pub fn none<'a>(&self, pattern: impl Into<Pattern<'a>>) {
        let pattern = pattern.into();
        let events = self.events();
        let count = events.iter().filter(|event| pattern.matches(event)).count();
        if count > 0 {
            self.fail(
                &events,
                format_args!(
                    "{} {}, expected none",
                    render::count(count, "event"),
                    pattern.predicate(count)
                ),
            );
        }
    }

    /// Asserts that no event is at ERROR.
    ///
    /// # Panics
    /// If an event is at ERROR. The message lists these events.
    #[track_caller]
    pub fn no_errors(&self) {
        let mut events = self.events();
        events.retain(|event| event.level() == Level::ERROR);
        if !events.is_empty() {
            panic!(
                "{} at ERROR, expected none:{}",
                render::count(events.len(), "event"),
                render::lines(&events)
            );
        }
    }

    /// Returns the number of events that have this message or match this [`Pattern`].
    #[must_use]
    pub fn count<'a>(&self, pattern: impl Into<Pattern<'a>>) -> usize {
        let pattern = pattern.into();
        let events = self.events();
        events.iter().filter(|event| pattern.matches(event)).count()
    }

    /// Returns whether an event has this message, or matches this [`Pattern`].
    ///
    /// A text is compared with the whole message. To search a part of the message, use
    /// [`matching`](crate::matching).
    #[must_use]
    pub fn contains<'a>(&self, pattern: impl Into<Pattern<'a>>) -> bool {
        self.count(pattern) > 0
    }

    /// Returns the only span with this name, open or closed.
    ///
    /// # Panics
    /// If there is none, or more than one.
    #[track_caller]
    pub fn one_span(&self, name: &str) -> Span {
        let spans = self.spans();
        let mut matching = spans.iter().filter(|span| span.name() == name);
        match (matching.next(), matching.count()) {
            (Some(span), 0) => span.clone(),
            (first, further) => {
                let count = further + usize::from(first.is_some());
                let similar_name = match first {
                    None => closest(name, spans.iter().map(Span::name)),
                    Some(_) => None,
                };
                panic!(
                    "{} named `{name}`, expected one{}\ncaptured {}{}",
                    render::count(count, "span"),
                    render::did_you_mean(similar_name),
                    render::count(spans.len(), "span"),
                    render::lines(&spans)
                );
            }
        }
    }

    /// Waits for an event that has this message or matches this [`Pattern`], and returns the first
    /// one.
    ///
    /// This blocks the thread. In async code, use [`wait_for_async`](Self::wait_for_async).
    ///
    /// # Panics
    /// If no event matches within `timeout`.
    #[track_caller]
    pub fn wait_for<'a>(&self, pattern: impl Into<Pattern<'a>>, timeout: Duration) -> Event {
        let pattern = pattern.into();
        let start = Instant::now();
        let mut seen_count = 0;
        loop {
            let new_events = self.store.lock().events[seen_count..].to_vec();
            // No lock is held here, because the closure of a pattern may log.
            if let Some(event) = new_events.iter().find(|event| pattern.matches(event)) {
                return event.clone();
            }
            seen_count += new_events.len();
            let remaining = timeout.checked_sub(start.elapsed());
            if !remaining.is_some_and(|remaining| self.store.wait_for_more(seen_count, remaining)) {
                self.fail_no_match(&pattern, &self.events());
            }
        }
    }

    /// Waits like [`wait_for`](Self::wait_for), on any executor, without blocking the thread.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// let logs = spanwise_testing::capture();
    /// tokio::spawn(async { tracing::info!("worker started") });
    /// logs.wait_for_async("worker started", Duration::from_secs(5)).await;
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Panics
    /// If no event matches within `timeout`. The message has the location of the call.
    #[track_caller]
    pub fn wait_for_async<'a>(
        &'a self,
        pattern: impl Into<Pattern<'a>>,
        timeout: Duration,
    ) -> WaitFor<'a> {
        WaitFor::new(self, pattern.into(), timeout)
    }

    /// Asserts that `secret` does not occur in the JSON line, target, message, fields or context of
    /// any event, or in the fields of any span. The search includes values that a later record
    /// replaced, and events and spans that belong to no live capture.
    ///
    /// The search is for the text itself, for its escaped forms in JSON and `Debug`, and for its
    /// bytes in hexadecimal and in the `Debug` form of `Vec<u8>`. The last two forms are searched
    /// only for secrets of at least four bytes. The search does not find a secret that is split,
    /// encoded (such as in base64), or in other letter case. For an error recorded as `&dyn Error`,
    /// the search covers the messages of the chain, not the `Debug` output.
    ///
    /// # Panics
    /// If `secret` was logged. The message names at most ten places and shows at most four
    /// characters of the secret. Also panics if `secret` is empty.
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
        let places = secret.places(&self.store.lock());
        if places.is_empty() {
            return;
        }
        let omitted_hint = match places.len().saturating_sub(MAX_SHOWN_PLACES) {
            0 => String::new(),
            omitted => format!("\n    … and {omitted} more"),
        };
        let description = secret.description();
        // The list that is printed at the end of the test must not show the secret either.
        self.store.lock().hidden.push(secret);
        panic!(
            "{description} was logged, in {}:{}{omitted_hint}",
            render::count(places.len(), "place"),
            render::lines(&places[..places.len().min(MAX_SHOWN_PLACES)]),
        );
    }

    /// Fails with a list of `events`, which is not printed again at the end of the test.
    #[track_caller]
    fn fail(&self, events: &[Event], why: fmt::Arguments<'_>) -> ! {
        let list = self.store.list(events);
        panic!("{why}\n{list}");
    }

    #[track_caller]
    fn fail_no_match(&self, pattern: &Pattern<'_>, events: &[Event]) -> ! {
        panic!("{}", self.no_match_message(pattern, events));
    }

    /// Returns the message that no event matches, with suggestions.
    pub(crate) fn no_match_message(&self, pattern: &Pattern<'_>, events: &[Event]) -> String {
        let unrouted = self.store.lock().unrouted_events.clone();
        format!(
            "no event {}{}\n{}{}",
            pattern.predicate(1),
            pattern.suggestion(events),
            self.store.list(events),
            render::unrouted_hint(&unrouted, |event| pattern.matches(event))
        )
    }
}
