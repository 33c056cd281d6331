//! Routes events and spans to captures.

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
    arrived: Condvar,
    /// Whether the capture has ended. The number of strong references does not show this, because a
    /// thread has a strong reference while it adds an event.
    ended: AtomicBool,
}

#[derive(Debug, Default)]
pub(crate) struct Captured {
    pub(crate) events: Vec<Event>,
    pub(crate) spans: Vec<Arc<SpanRecord>>,
    /// Events and spans during this capture that belonged to no live capture.
    pub(crate) unrouted_events: Vec<Event>,
    pub(crate) unrouted_spans: Vec<Arc<SpanRecord>>,
    /// Secrets that were found. Failures hide them.
    pub(crate) hidden: Vec<Secret>,
    /// The number of events that the last failure listed.
    listed: Option<usize>,
    /// Tasks that wait for an event.
    wakers: Vec<Waker>,
}

/// The live captures.
static LIVE: Mutex<Vec<Weak<CaptureStore>>> = Mutex::new(Vec::new());

thread_local! {
    /// The captures that adopted this thread, the latest last.
    static ADOPTED: RefCell<Vec<Weak<CaptureStore>>> = const { RefCell::new(Vec::new()) };
}

impl CaptureStore {
    pub(crate) fn start() -> Arc<Self> {
        let store = Arc::new(Self::default());
        LIVE.lock().push(Arc::downgrade(&store));
        store
    }

    pub(crate) fn end(self: &Arc<Self>) {
        self.ended.store(true, Ordering::Release);
        let ended = Arc::as_ptr(self);
        LIVE.lock().retain(|live| live.as_ptr() != ended);
    }

    /// Do not call user code while holding this lock, because it may log.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Captured> {
        self.captured.lock()
    }

    /// Waits until there are more than `seen` events. Returns false if no further event arrives
    /// within `timeout`.
    pub(crate) fn wait(&self, seen: usize, timeout: Duration) -> bool {
        let has_no_new = |captured: &mut Captured| captured.events.len() <= seen;
        let waited = self
            .arrived
            .wait_timeout_while(self.lock(), timeout, has_no_new);
        let (captured, _) = waited;
        captured.events.len() > seen
    }

    /// Registers a task to be woken when there are more than `seen` events. Returns true if the
    /// task must wait. If there already are more events, registers nothing and returns false.
    pub(crate) fn wake_after(&self, seen: usize, waker: &Waker) -> bool {
        let mut captured = self.lock();
        let must_wait = captured.events.len() <= seen;
        if must_wait && !captured.wakers.iter().any(|known| known.will_wake(waker)) {
            captured.wakers.push(waker.clone());
        }
        must_wait
    }

    /// Wakes the waiting tasks and threads.
    pub(crate) fn wake(&self) {
        let wakers = mem::take(&mut self.lock().wakers);
        wakers.into_iter().for_each(Waker::wake);
        self.arrived.notify_all();
    }

    /// Lists `events` for a failure.
    pub(crate) fn list(&self, events: &[Event]) -> String {
        let mut captured = self.lock();
        captured.listed = Some(events.len());
        captured.list(events)
    }

    /// Lists all events, unless the last failure listed them.
    pub(crate) fn list_unlisted(&self) -> Option<String> {
        let captured = self.lock();
        let is_listed = captured.listed == Some(captured.events.len());
        (!is_listed).then(|| captured.list(&captured.events))
    }
}

impl Captured {
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

/// The capture that a span belongs to. The capture may have ended.
pub(crate) type Owner = Weak<CaptureStore>;

/// The destination of an event or a span.
#[derive(Debug)]
pub(crate) enum Route {
    To(Arc<CaptureStore>),
    /// The event or span belongs to no capture. Each live capture stores it as unrouted.
    Unrouted(Vec<Arc<CaptureStore>>),
}

impl Route {
    /// Selects the route from the `owners` of the enclosing spans, the most significant first.
    ///
    /// A span has priority over the thread, because a span may move to other threads and tasks. If
    /// there is only one live capture, it receives everything that no capture claims. A capture
    /// that has ended still claims its events.
    pub(crate) fn new(owners: &[Option<Owner>; 2]) -> Self {
        let adopted = adopted();
        let mut claims = owners.iter().flatten().chain(adopted.iter().rev());
        if let Some(store) = claims.find_map(live) {
            return Self::To(store);
        }
        let is_claimed = !adopted.is_empty() || owners.iter().any(Option::is_some);
        let mut all = all_live();
        match all.pop() {
            Some(only) if all.is_empty() && !is_claimed => Self::To(only),
            last => {
                all.extend(last);
                Self::Unrouted(all)
            }
        }
    }

    /// Returns whether there is no live capture.
    pub(crate) fn is_nowhere(&self) -> bool {
        matches!(self, Self::Unrouted(live) if live.is_empty())
    }

    pub(crate) fn owner(&self) -> Option<Owner> {
        match self {
            Self::To(store) => Some(Arc::downgrade(store)),
            Self::Unrouted(_) => None,
        }
    }

    pub(crate) fn event(&self, event: &Event) {
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

    pub(crate) fn span(&self, span: &Arc<SpanRecord>) {
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
/// span that belongs to no live capture: captures that began after it was opened do not have it.
pub(crate) fn add_to_unrouted(span: &Arc<SpanRecord>) {
    for store in all_live() {
        let spans = &mut store.lock().unrouted_spans;
        if !spans.iter().rev().any(|known| Arc::ptr_eq(known, span)) {
            spans.push(Arc::clone(span));
        }
    }
}

/// Adds this thread to `store`. Does nothing on an exiting thread.
pub(crate) fn adopt_thread(store: Weak<CaptureStore>) {
    let _ = ADOPTED.try_with(|adopted| {
        let mut adopted = adopted.borrow_mut();
        adopted.retain(|store| live(store).is_some());
        adopted.push(store);
    });
}

/// Reverts one adoption by `store`, if there is one. Guards may be dropped in any order, so it may
/// not be the latest. A capture may be dropped on another thread, which has not adopted it.
pub(crate) fn release_thread(store: &Weak<CaptureStore>) {
    let _ = ADOPTED.try_with(|adopted| {
        let mut adopted = adopted.borrow_mut();
        if let Some(index) = adopted.iter().rposition(|known| known.ptr_eq(store)) {
            adopted.remove(index);
        }
    });
}

fn adopted() -> Vec<Weak<CaptureStore>> {
    ADOPTED
        .try_with(|adopted| adopted.borrow().clone())
        .unwrap_or_default()
}

fn all_live() -> Vec<Arc<CaptureStore>> {
    LIVE.lock().iter().filter_map(live).collect()
}

/// Returns the store, unless its capture has ended.
pub(crate) fn live(store: &Owner) -> Option<Arc<CaptureStore>> {
    store
        .upgrade()
        .filter(|store| !store.ended.load(Ordering::Acquire))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_capture_takes_nothing_while_still_held() {
        let store = CaptureStore::start();
        let owner = Arc::downgrade(&store);
        let held_by_another_thread = Arc::clone(&store);
        let is_ours = || matches!(Route::new(&[Some(owner.clone()), None]), Route::To(_));
        assert!(is_ours());
        store.end();
        assert!(!is_ours());
        drop(held_by_another_thread);
    }
}
