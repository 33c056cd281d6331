//! Events and envelopes of exiting threads, which the sender thread passes to Sentry's client.
//!
//! The client needs thread-locals, which an exiting thread may have destroyed already. So an
//! exiting thread stores its items here, and does not wait until they are sent.

use std::{collections::VecDeque, fmt, mem, time::Instant};

use sentry_core::{Envelope, protocol::Event};
use spanwise_core::internal::sync::{Condvar, Mutex};

use crate::envelope::category_and_count;

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
            Self::Envelope(envelope) => category_and_count(envelope).1,
        }
    }
}

/// Up to [`MAX_ITEMS`] items that wait for the sender thread.
#[derive(Default)]
pub(crate) struct DeferredItems {
    state: Mutex<State>,
    /// Notified when a [`MoveGuard`] is dropped, and when sending ends.
    move_ended: Condvar,
}

/// Marks, until it is dropped, that a thread is moving items to the export queue. A flush waits for
/// the drop.
pub(crate) struct MoveGuard<'a>(&'a DeferredItems);

impl Drop for MoveGuard<'_> {
    fn drop(&mut self) {
        self.0.state.lock().moves -= 1;
        self.0.move_ended.notify_all();
    }
}

#[derive(Default)]
struct State {
    waiting: VecDeque<DeferredItem>,
    /// The number of [`MoveGuard`]s.
    moves: u32,
    /// Whether sending has ended, so that no further items are accepted.
    has_ended: bool,
}

/// The maximum number of waiting items. Further items are dropped and counted.
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

    /// Makes flushes wait while a thread moves items from elsewhere, such as a batch of logs, to
    /// the queue. Call this before the items leave their batch. A flush then either finds the items
    /// in the batch, or waits for the guard.
    pub(crate) fn begin_move(&self) -> MoveGuard<'_> {
        self.state.lock().moves += 1;
        MoveGuard(self)
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
        let _move = MoveGuard(self);
        items.into_iter().for_each(send);
    }

    /// Waits until no item is waiting and no thread is moving items. Stops waiting when sending
    /// ends, and at `deadline`.
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
