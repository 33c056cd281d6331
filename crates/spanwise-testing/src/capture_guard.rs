//! [`capture`] and the guards that it returns.

use std::{
    fmt,
    marker::PhantomData,
    sync::{Arc, Once, Weak},
    thread,
};

use spanwise_core::{
    ContextLayer,
    internal::{log_bridge, panic_safe},
};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::{
    CaptureLayer, Event, Span,
    route::{self, CaptureStore, WeakStore},
};

/// Captures events and spans until the returned guard is dropped. The capture gets those of this
/// thread, and those inside spans that this thread opens, on any thread.
///
/// The first call installs a global subscriber that enables everything, and also captures records
/// of the `log` crate. If this thread already has a subscriber with a [`CaptureLayer`], the call
/// installs none.
/// The [crate docs](crate#what-belongs-to-a-capture) define the capture that an event belongs to.
///
/// # Panics
/// If the subscriber of this thread has no [`CaptureLayer`], because nothing would be captured.
///
/// # Examples
/// ```
/// let logs = spanwise_testing::capture();
/// tracing::info!(order_id = 42, "order created");
/// logs.one("order created").assert_field("order_id", 42);
/// ```
#[must_use = "the capture ends when this is dropped"]
#[track_caller]
pub fn capture() -> Capture {
    static INSTALL: Once = Once::new();
    if !has_capture_layer() {
        INSTALL.call_once(install);
    }
    assert!(
        has_capture_layer(),
        "cannot capture: the subscriber of this thread has no `CaptureLayer`, so that nothing would be captured; \
         add `.with(spanwise_testing::CaptureLayer::default())` to it, or install none in tests"
    );
    let store = CaptureStore::start();
    route::adopt_thread(Arc::downgrade(&store));
    Capture { store }
}

/// The events and spans since the call of [`capture`]. Dropping it ends the capture and frees them.
///
/// Assertions panic with the location of the caller, and list the captured events. If the test
/// panics for another reason, dropping the capture prints the list, and the test harness shows it
/// with the failure.
#[must_use = "the capture ends when this is dropped"]
pub struct Capture {
    pub(crate) store: Arc<CaptureStore>,
}

impl Capture {
    /// Returns the events captured so far, in order of arrival.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.store.lock().events.clone()
    }

    /// Returns the spans opened so far, open or closed, with their current fields.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let records = self.store.lock().spans.clone();
        records.iter().map(|record| record.snapshot()).collect()
    }

    /// Returns a handle that adds another thread to this capture.
    #[must_use]
    pub fn handle(&self) -> CaptureHandle {
        CaptureHandle {
            store: Arc::downgrade(&self.store),
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if thread::panicking()
            && let Some(list) = self.store.list_if_unlisted()
        {
            print(&list);
        }
        self.store.end();
        route::release_thread(&Arc::downgrade(&self.store));
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let captured = self.store.lock();
        f.debug_struct("Capture")
            .field("events", &captured.events.len())
            .field("spans", &captured.spans.len())
            .finish_non_exhaustive()
    }
}

/// Adds a thread to a [`Capture`]. For threads that do not enter a span of the capture. Created by
/// [`Capture::handle`].
///
/// ```
/// let logs = spanwise_testing::capture();
/// let handle = logs.handle();
/// std::thread::spawn(move || {
///     let _entered = handle.enter();
///     tracing::info!("worker started");
/// });
/// logs.wait_for("worker started", std::time::Duration::from_secs(5));
/// ```
#[derive(Debug, Clone)]
pub struct CaptureHandle {
    store: WeakStore,
}

impl CaptureHandle {
    /// Adds this thread to the capture until the guard is dropped.
    ///
    /// If the capture ends first, the thread still belongs to it. Then an event of the thread that
    /// belongs to no live capture by rule 1 or 2 is [unrouted](crate#what-belongs-to-a-capture).
    pub fn enter(&self) -> Entered {
        route::adopt_thread(Weak::clone(&self.store));
        Entered {
            store: Weak::clone(&self.store),
            not_send: PhantomData,
        }
    }
}

/// Keeps its thread in a capture until it is dropped. Created by [`CaptureHandle::enter`].
#[derive(Debug)]
#[must_use = "the thread belongs to the capture while this lives"]
pub struct Entered {
    store: WeakStore,
    /// Makes the guard `!Send`, because the thread that created it must drop it.
    not_send: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        route::release_thread(&self.store);
    }
}

/// Prints the captured events of a failing test, so that the test harness shows them.
#[expect(
    clippy::print_stderr,
    reason = "the harness captures what this macro prints"
)]
fn print(list: &str) {
    // The thread is already panicking, so a closed stderr must not cause another panic.
    let _ = panic_safe::catch_panic(|| eprintln!("{list}"));
}

fn has_capture_layer() -> bool {
    tracing::dispatcher::get_default(|dispatch| dispatch.is::<CaptureLayer>())
}

/// Installs the global subscriber. Does nothing if there already is one, which [`capture`] then
/// checks.
fn install() {
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(CaptureLayer::default());
    if tracing::subscriber::set_global_default(stack).is_ok() {
        // If the application has its own logger, this logger stays in place, and records of the
        // `log` crate are not captured.
        let _ = log_bridge::install();
    }
}
