//! Items of exiting threads. The sender thread passes them to the client.
//!
//! Sentry's client needs thread-locals, which an exiting thread has destroyed. So the thread stores
//! its events here, and does not wait.

use std::{collections::VecDeque, fmt, mem, time::Instant};

use sentry_core::{Envelope, protocol::Event};
use spanwise_core::internal::sync::{Condvar, Mutex};

use crate::envelope::contents;

/// An item that was not yet passed to the client.
pub(crate) enum DeferredItem {
    Event(Box<Event<'static>>),
    Envelope(Box<Envelope>),
}

impl DeferredItem {
    /// Returns the number of events in the item.
    pub(crate) fn events(&self) -> u64 {
        match self {
            Self::Event(_) => 1,
            Self::Envelope(envelope) => contents(envelope).1,
        }
    }
}

/// Up to [`MAX_ITEMS`] items that wait for the sender thread.
#[derive(Default)]
pub(crate) struct DeferredItems {
    state: Mutex<State>,
    /// Notified when a [`Move`] ends, and when sending ends.
    move_ended: Condvar,
}

/// Marks, until it is dropped, that a thread is moving items to the queue. A flush waits for them.
pub(crate) struct Move<'a>(&'a DeferredItems);

impl Drop for Move<'_> {
    fn drop(&mut self) {
        self.0.state.lock().moves -= 1;
        self.0.move_ended.notify_all();
    }
}

#[derive(Default)]
struct State {
    waiting: VecDeque<DeferredItem>,
    /// The number of [`Move`]s.
    moves: u32,
    has_ended: bool,
}

/// Items beyond this are dropped and counted.
const MAX_ITEMS: usize = 256;

/// The result of deferring an item.
pub(crate) enum Deferral {
    Accepted,
    /// [`MAX_ITEMS`] items wait already.
    Full,
    /// Sending has ended.
    Ended,
}

impl DeferredItems {
    pub(crate) fn push(&self, item: DeferredItem) -> Deferral {
        let mut state = self.state.lock();
        if state.has_ended {
            return Deferral::Ended;
        }
        if state.waiting.len() >= MAX_ITEMS {
            return Deferral::Full;
        }
        state.waiting.push_back(item);
        Deferral::Accepted
    }

    /// Marks that items which do not wait here, such as a batch of logs, begin to move to the
    /// queue. Call it before they leave their batch, so that a flush finds them in the batch or
    /// waits for them.
    pub(crate) fn begin_move(&self) -> Move<'_> {
        self.state.lock().moves += 1;
        Move(self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().waiting.is_empty()
    }

    /// Removes all waiting items, and calls `send` with each.
    pub(crate) fn send_all(&self, send: impl FnMut(DeferredItem)) {
        let items = {
            let mut state = self.state.lock();
            if state.waiting.is_empty() {
                return;
            }
            state.moves += 1;
            mem::take(&mut state.waiting)
        };
        let _move = Move(self);
        items.into_iter().for_each(send);
    }

    /// Waits until no item waits here and no thread moves items, until sending ends, or until
    /// `deadline`.
    pub(crate) fn wait(&self, deadline: Instant) {
        let mut state = self.state.lock();
        while !(state.has_ended || state.waiting.is_empty() && state.moves == 0) {
            let time_left = deadline.saturating_duration_since(Instant::now());
            if time_left.is_zero() {
                return;
            }
            (state, _) = self.move_ended.wait_timeout(state, time_left);
        }
    }

    /// Stops accepting items, and returns the waiting ones.
    pub(crate) fn end(&self) -> VecDeque<DeferredItem> {
        let mut state = self.state.lock();
        state.has_ended = true;
        self.move_ended.notify_all();
        mem::take(&mut state.waiting)
    }
}

impl fmt::Debug for DeferredItems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeferredItems").finish_non_exhaustive()
    }
}
