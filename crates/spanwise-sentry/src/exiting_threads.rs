//! What threads log while they end, for the thread that sends.
//!
//! Sentry's client needs thread-locals, and a thread that ends has lost them. So it hands over its
//! events, and waits for nobody.

use std::{collections::VecDeque, mem, time::Instant};

use spanwise_core::internal::sync::{Condvar, Mutex, MutexGuard};

use sentry_core::{Envelope, protocol::Event};

use crate::pipeline::contents;

/// Something that was not given to sentry's client yet.
pub(crate) enum DeferredItem {
    Event(Box<Event<'static>>),
    Envelope(Box<Envelope>),
}

impl DeferredItem {
    /// As how many events it counts.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Event(_) => 1,
            Self::Envelope(envelope) => contents(envelope).1,
        }
    }
}

/// Items that wait for the thread that sends, [`MAX_ITEMS`] at most.
#[derive(Default)]
pub(crate) struct DeferredItems {
    state: Mutex<State>,
    /// Somebody took all of them, and is done with them.
    done: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<DeferredItem>,
    /// How many threads have taken some, and are not done.
    busy: u32,
    has_ended: bool,
}

/// More are lost, and counted.
const MAX_ITEMS: usize = 256;

/// What became of an item.
pub(crate) enum Pushed {
    Accepted,
    Full,
    /// Nothing is sent any more.
    Ended,
}

impl DeferredItems {
    pub(crate) fn push(&self, item: DeferredItem) -> Pushed {
        let mut state = self.lock();
        if state.has_ended {
            return Pushed::Ended;
        }
        if state.waiting.len() >= MAX_ITEMS {
            return Pushed::Full;
        }
        state.waiting.push_back(item);
        Pushed::Accepted
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    /// Calls `send` with each item that waits.
    pub(crate) fn send_all(&self, send: impl FnMut(DeferredItem)) {
        /// Also where `send` panics.
        struct Done<'a>(&'a DeferredItems);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.lock().busy -= 1;
                self.0.done.notify_all();
            }
        }
        let items = {
            let mut state = self.lock();
            if state.waiting.is_empty() {
                return;
            }
            state.busy += 1;
            mem::take(&mut state.waiting)
        };
        let _done = Done(self);
        items.into_iter().for_each(send);
    }

    /// Waits until nothing waits any more, until `deadline`.
    pub(crate) fn wait(&self, deadline: Instant) {
        let mut state = self.lock();
        while !(state.has_ended || state.waiting.is_empty() && state.busy == 0) {
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return;
            }
            let waited = self.done.wait_timeout(state, rest);
            (state, _) = waited;
        }
    }

    /// Takes no more items. Returns those that still wait.
    pub(crate) fn end(&self) -> VecDeque<DeferredItem> {
        let mut state = self.lock();
        state.has_ended = true;
        mem::take(&mut state.waiting)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
