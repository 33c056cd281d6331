//! A future that waits for an event.

use std::{
    panic::Location,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use spanwise_core::internal::deadline_after;

use crate::{Capture, Event, Pattern, route::WeakStore};

/// The future of [`Capture::wait_for_async`].
#[derive(Debug)]
#[must_use = "it waits only while it is awaited"]
pub struct WaitFor<'a> {
    capture: &'a Capture,
    pattern: Pattern<'a>,
    deadline: Instant,
    called_at: &'static Location<'static>,
    /// The number of events that were checked against the pattern.
    seen_count: usize,
    timer: Option<Timer>,
}

impl<'a> WaitFor<'a> {
    #[track_caller]
    pub(crate) fn new(capture: &'a Capture, pattern: Pattern<'a>, timeout: Duration) -> Self {
        Self {
            capture,
            pattern,
            deadline: deadline_after(timeout),
            called_at: Location::caller(),
            seen_count: 0,
            timer: None,
        }
    }
}

impl Future for WaitFor<'_> {
    type Output = Event;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Event> {
        let this = &mut *self;
        let store = &this.capture.store;
        loop {
            let new_events = store.lock().events[this.seen_count..].to_vec();
            // No lock is held here, because the closure of a pattern may log.
            if let Some(event) = new_events.iter().find(|event| this.pattern.matches(event)) {
                return Poll::Ready(event.clone());
            }
            this.seen_count += new_events.len();
            if store.register_waker(this.seen_count, cx.waker()) {
                break;
            }
        }
        if Instant::now() >= this.deadline {
            let events = this.capture.events();
            let message = this.capture.no_match_message(&this.pattern, &events);
            panic!("{}: {message}", this.called_at);
        }
        this.timer.get_or_insert_with(|| {
            let store = Arc::downgrade(store);
            Timer::start(store, this.deadline)
        });
        Poll::Pending
    }
}

/// A thread that wakes the waiting tasks at the deadline. Unlike a timer of a runtime, it works
/// with any executor.
#[derive(Debug)]
struct Timer {
    thread: Thread,
    is_stopped: Arc<AtomicBool>,
}

impl Timer {
    fn start(store: WeakStore, deadline: Instant) -> Self {
        let is_stopped = Arc::new(AtomicBool::new(false));
        let is_timer_stopped = Arc::clone(&is_stopped);
        let wait = move || {
            while !is_timer_stopped.load(Ordering::Acquire) {
                let remaining = deadline.saturating_duration_since(Instant::now());
                if remaining.is_zero() {
                    if let Some(store) = store.upgrade() {
                        store.wake();
                    }
                    return;
                }
                thread::park_timeout(remaining);
            }
        };
        Self {
            thread: thread::spawn(wait).thread().clone(),
            is_stopped,
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
