//! Which capture an event or a span belongs to.

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

/// What one capture holds. Its [`Capture`](crate::Capture) guard owns it; everything else refers to it weakly.
#[derive(Debug, Default)]
pub(crate) struct CaptureStore {
    captured: Mutex<Captured>,
    arrived: Condvar,
    /// That nothing refers to it strongly would say too little: a thread about to hand it an event does for a moment.
    ended: AtomicBool,
}

#[derive(Debug, Default)]
pub(crate) struct Captured {
    pub(crate) events: Vec<Event>,
    pub(crate) spans: Vec<Arc<SpanRecord>>,
    /// Those that belong to no capture, or to one that is over, while this one lived.
    pub(crate) unrouted_events: Vec<Event>,
    pub(crate) unrouted_spans: Vec<Arc<SpanRecord>>,
    /// Those that were found where they must not be: no failure shows them.
    pub(crate) hidden: Vec<Secret>,
    /// How many events the last failure listed.
    listed: Option<usize>,
    /// Tasks that wait for an event.
    wakers: Vec<Waker>,
}

/// The captures that live.
static LIVE: Mutex<Vec<Weak<CaptureStore>>> = Mutex::new(Vec::new());

thread_local! {
    /// The captures that adopted this thread, the latest last.
    static ADOPTED: RefCell<Vec<Weak<CaptureStore>>> = const { RefCell::new(Vec::new()) };
}

impl CaptureStore {
    pub(crate) fn start() -> Arc<Self> {
        let store = Arc::new(Self::default());
        live_list().push(Arc::downgrade(&store));
        store
    }

    pub(crate) fn end(self: &Arc<Self>) {
        self.ended.store(true, Ordering::Release);
        live_list().retain(|live| !is(live, self));
    }

    /// Nobody calls user code, which may log, while this is locked.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Captured> {
        self.captured.lock()
    }

    /// Waits until there are more than `seen` events. False if there are not within `timeout`.
    pub(crate) fn wait(&self, seen: usize, timeout: Duration) -> bool {
        let has_none = |captured: &mut Captured| captured.events.len() <= seen;
        let waited = self
            .arrived
            .wait_timeout_while(self.lock(), timeout, has_none);
        let (captured, _) = waited;
        captured.events.len() > seen
    }

    /// Has a task woken once there are more than `seen` events. False if there are already.
    pub(crate) fn wake_after(&self, seen: usize, waker: &Waker) -> bool {
        let mut captured = self.lock();
        let is_early = captured.events.len() <= seen;
        if is_early && !captured.wakers.iter().any(|known| known.will_wake(waker)) {
            captured.wakers.push(waker.clone());
        }
        is_early
    }

    /// Wakes the tasks that wait, and the threads.
    pub(crate) fn wake(&self) {
        let wakers = mem::take(&mut self.lock().wakers);
        wakers.into_iter().for_each(Waker::wake);
        self.arrived.notify_all();
    }

    /// `events`, for a failure.
    pub(crate) fn list(&self, events: &[Event]) -> String {
        let mut captured = self.lock();
        captured.listed = Some(events.len());
        captured.list(events)
    }

    /// All events, unless the last failure listed them.
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

/// The capture that a span belongs to; it may be over.
pub(crate) type Owner = Weak<CaptureStore>;

/// Where an event or a span goes.
#[derive(Debug)]
pub(crate) enum Route {
    To(Arc<CaptureStore>),
    /// It is nobody's: each capture that lives keeps it aside.
    Unrouted(Vec<Arc<CaptureStore>>),
}

impl Route {
    /// The route of what is under, or in, spans of these `owners`, the most telling first.
    ///
    /// A span says more than a thread: it goes along to other threads and tasks. A capture that is alone takes what nobody
    /// claims, but not what is known to belong to a capture that is over.
    pub(crate) fn new(owners: &[Option<Owner>; 2]) -> Self {
        let adopted = adopted();
        let mut claims = owners.iter().flatten().chain(adopted.iter().rev());
        if let Some(store) = claims.find_map(live) {
            return Self::To(store);
        }
        let claimed = !adopted.is_empty() || owners.iter().any(Option::is_some);
        let mut all: Vec<_> = live_list().iter().filter_map(live).collect();
        match all.pop() {
            Some(alone) if all.is_empty() && !claimed => Self::To(alone),
            last => {
                all.extend(last);
                Self::Unrouted(all)
            }
        }
    }

    /// True if no capture lives.
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

/// Shows a span that has just been recorded into, and is no live capture's, to every capture that lives: it may be older than
/// they are.
pub(crate) fn recorded_into_unowned(span: &Arc<SpanRecord>) {
    let all: Vec<_> = live_list().iter().filter_map(live).collect();
    for store in all {
        let spans = &mut store.lock().unrouted_spans;
        if !spans.iter().rev().any(|known| Arc::ptr_eq(known, span)) {
            spans.push(Arc::clone(span));
        }
    }
}

/// Makes this thread belong to `store`. A thread that is ending belongs to nobody.
pub(crate) fn adopt_thread(store: Weak<CaptureStore>) {
    let _ = ADOPTED.try_with(|adopted| {
        let mut adopted = adopted.borrow_mut();
        adopted.retain(|store| live(store).is_some());
        adopted.push(store);
    });
}

/// Takes one adoption by `store` back. Guards may be dropped in any order, and a capture on any thread.
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

fn live_list() -> MutexGuard<'static, Vec<Weak<CaptureStore>>> {
    LIVE.lock()
}

/// The store, unless its capture has ended.
pub(crate) fn live(store: &Owner) -> Option<Arc<CaptureStore>> {
    store
        .upgrade()
        .filter(|store| !store.ended.load(Ordering::Acquire))
}

fn is(weak: &Weak<CaptureStore>, store: &Arc<CaptureStore>) -> bool {
    std::ptr::eq(weak.as_ptr(), Arc::as_ptr(store))
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
