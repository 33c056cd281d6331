//! Routes events and spans to captures, by the rules in the
//! [crate docs](crate#what-belongs-to-a-capture).

use std::{
    borrow::Cow,
    cell::RefCell,
    mem,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Duration,
};

use spanwise_core::internal::sync::{Condvar, Mutex, MutexGuard};

use crate::{Event, render, secret::Secret, span::SpanRecord};

/// The data of one capture. Its [`Capture`](crate::Capture) guard owns the data. All other stored
/// references are weak.
#[derive(Debug, Default)]
pub(crate) struct CaptureStore {
    captured: Mutex<Captured>,
    /// Notified when an event arrives.
    event_arrived: Condvar,
    /// Whether the capture has ended. The number of strong references does not show this, because a
    /// thread has a strong reference while it adds an event.
    ended: AtomicBool,
}

#[derive(Debug, Default)]
pub(crate) struct Captured {
    pub(crate) events: Vec<Event>,
    pub(crate) spans: Vec<Arc<SpanRecord>>,
    /// Events during this capture that belonged to no live capture.
    pub(crate) unrouted_events: Vec<Event>,
    /// Spans during this capture that belonged to no live capture.
    pub(crate) unrouted_spans: Vec<Arc<SpanRecord>>,
    /// Secrets that were found. Failures hide them.
    pub(crate) hidden: Vec<Secret>,
    /// The number of events that the last failure listed, if there was one.
    listed_count: Option<usize>,
    /// Tasks that wait for an event.
    wakers: Vec<Waker>,
}

/// The live captures.
static LIVE: Mutex<Vec<WeakStore>> = Mutex::new(Vec::new());

thread_local! {
    /// The captures that this thread belongs to, the latest last. Some may have ended.
    static THREAD_CAPTURES: RefCell<Vec<WeakStore>> = const { RefCell::new(Vec::new()) };
}

impl CaptureStore {
    /// Starts a live capture.
    pub(crate) fn start() -> Arc<Self> {
        let store = Arc::new(Self::default());
        LIVE.lock().push(Arc::downgrade(&store));
        store
    }

    /// Ends the capture, so that no event or span is routed to it.
    pub(crate) fn end(self: &Arc<Self>) {
        self.ended.store(true, Ordering::Release);
        let ended = Arc::as_ptr(self);
        LIVE.lock().retain(|live| live.as_ptr() != ended);
    }

    /// Locks the data. Do not call user code while holding the lock, because user code may log.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Captured> {
        self.captured.lock()
    }

    /// Waits until there are more than `seen_count` events. Returns `false` if no further event
    /// arrives within `timeout`.
    pub(crate) fn wait_for_more(&self, seen_count: usize, timeout: Duration) -> bool {
        let has_no_new = |captured: &mut Captured| captured.events.len() <= seen_count;
        let waited = self
            .event_arrived
            .wait_timeout_while(self.lock(), timeout, has_no_new);
        let (captured, _) = waited;
        captured.events.len() > seen_count
    }

    /// Registers a task to be woken when there are more than `seen_count` events. Returns whether
    /// the task must wait. If there already are more events, registers nothing and returns `false`.
    pub(crate) fn register_waker(&self, seen_count: usize, waker: &Waker) -> bool {
        let mut captured = self.lock();
        let must_wait = captured.events.len() <= seen_count;
        if must_wait && !captured.wakers.iter().any(|known| known.will_wake(waker)) {
            captured.wakers.push(waker.clone());
        }
        must_wait
    }

    /// Wakes the waiting tasks and threads.
    pub(crate) fn wake(&self) {
        let wakers = mem::take(&mut self.lock().wakers);
        wakers.into_iter().for_each(Waker::wake);
        self.event_arrived.notify_all();
    }

    /// Lists `events` for a failure.
    pub(crate) fn list(&self, events: &[Event]) -> String {
        let mut captured = self.lock();
        captured.listed_count = Some(events.len());
        captured.list(events)
    }

    /// Lists all events. Returns `None` if the last failure listed them already.
    pub(crate) fn list_if_unlisted(&self) -> Option<String> {
        let captured = self.lock();
        let is_listed = captured.listed_count == Some(captured.events.len());
        (!is_listed).then(|| captured.list(&captured.events))
    }
}

impl Captured {
    /// Lists `events`, without the secrets in `hidden`.
    fn list(&self, events: &[Event]) -> String {
        render::list(events, &|text| {
            let hidden = self.hidden.iter();
            hidden.fold(Cow::Borrowed(text), |text, secret| {
                match secret.hide(&text) {
                    Cow::Borrowed(_) => text,
                    Cow::Owned(shown) => Cow::Owned(shown),
                }
            })
        })
    }
}

/// A reference to a capture that may have ended.
pub(crate) type WeakStore = Weak<CaptureStore>;

/// The destination of an event or a span.
#[derive(Debug)]
pub(crate) enum Route {
    To(Arc<CaptureStore>),
    /// The event or span belongs to no live capture. Each of these live captures stores it as
    /// unrouted.
    Unrouted(Vec<Arc<CaptureStore>>),
}

impl Route {
    /// Selects the route. `span_owners` are the captures of the enclosing spans, the most
    /// significant first.
    ///
    /// A span has priority over the thread, because a span may move to other threads and tasks. If
    /// there is only one live capture, it receives everything whose span and thread belong to no
    /// capture, not even to one that has ended.
    pub(crate) fn new(span_owners: &[Option<WeakStore>; 2]) -> Self {
        let thread_captures = thread_captures();
        let mut owners = span_owners
            .iter()
            .flatten()
            .chain(thread_captures.iter().rev());
        if let Some(store) = owners.find_map(upgrade_live) {
            return Self::To(store);
        }
        let has_ended_owner =
            !thread_captures.is_empty() || span_owners.iter().any(Option::is_some);
        let mut live = all_live();
        match live.pop() {
            Some(only) if live.is_empty() && !has_ended_owner => Self::To(only),
            last => {
                live.extend(last);
                Self::Unrouted(live)
            }
        }
    }

    /// Returns whether a live capture stores the event or span.
    pub(crate) fn has_destination(&self) -> bool {
        !matches!(self, Self::Unrouted(live) if live.is_empty())
    }

    /// Returns the capture that a span with this route belongs to.
    pub(crate) fn owner(&self) -> Option<WeakStore> {
        match self {
            Self::To(store) => Some(Arc::downgrade(store)),
            Self::Unrouted(_) => None,
        }
    }

    pub(crate) fn add_event(&self, event: &Event) {
        match self {
            Self::To(store) => {
                store.lock().events.push(event.clone());
                store.wake();
            }
            Self::Unrouted(live) => {
                for store in live {
                    store.lock().unrouted_events.push(event.clone());
                }
            }
        }
    }

    pub(crate) fn add_span(&self, span: &Arc<SpanRecord>) {
        match self {
            Self::To(store) => store.lock().spans.push(Arc::clone(span)),
            Self::Unrouted(live) => {
                for store in live {
                    store.lock().unrouted_spans.push(Arc::clone(span));
                }
            }
        }
    }
}

/// Adds a span to the unrouted spans of every live capture. Called when values are recorded into a
/// span that belongs to no live capture, because captures that began after the span was opened do
/// not have the span.
pub(crate) fn add_to_unrouted(span: &Arc<SpanRecord>) {
    for store in all_live() {
        let spans = &mut store.lock().unrouted_spans;
        if !spans.iter().rev().any(|known| Arc::ptr_eq(known, span)) {
            spans.push(Arc::clone(span));
        }
    }
}

/// Makes this thread belong to the capture. Does nothing on an exiting thread.
pub(crate) fn adopt_thread(store: WeakStore) {
    let _ = THREAD_CAPTURES.try_with(|captures| {
        let mut captures = captures.borrow_mut();
        captures.retain(|store| upgrade_live(store).is_some());
        captures.push(store);
    });
}

/// Reverts the latest [`adopt_thread`] of this thread for the capture. Does nothing if there is
/// none, because a capture may be dropped on another thread. The thread may have been adopted by
/// other captures since, because guards may be dropped in any order.
pub(crate) fn release_thread(store: &WeakStore) {
    let _ = THREAD_CAPTURES.try_with(|captures| {
        let mut captures = captures.borrow_mut();
        if let Some(index) = captures.iter().rposition(|known| known.ptr_eq(store)) {
            captures.remove(index);
        }
    });
}

/// Returns the captures that this thread belongs to, the latest last.
fn thread_captures() -> Vec<WeakStore> {
    THREAD_CAPTURES
        .try_with(|captures| captures.borrow().clone())
        .unwrap_or_default()
}

fn all_live() -> Vec<Arc<CaptureStore>> {
    LIVE.lock().iter().filter_map(upgrade_live).collect()
}

/// Returns the store, unless its capture has ended.
pub(crate) fn upgrade_live(store: &WeakStore) -> Option<Arc<CaptureStore>> {
    store
        .upgrade()
        .filter(|store| !store.ended.load(Ordering::Acquire))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_capture_gets_nothing_while_referenced() {
        let store = CaptureStore::start();
        let owner = Arc::downgrade(&store);
        let reference_of_another_thread = Arc::clone(&store);
        let is_routed_to_capture =
            || matches!(Route::new(&[Some(owner.clone()), None]), Route::To(_));
        assert!(is_routed_to_capture());
        store.end();
        assert!(!is_routed_to_capture());
        drop(reference_of_another_thread);
    }
}
