//! [`capture`] and what it returns.

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
    route::{self, CaptureStore, Owner},
};

/// Captures what is logged on this thread, and in the spans opened on it wherever they go, until
/// the returned guard is dropped.
///
/// The first call installs one global subscriber that enables everything, and brings the records of
/// the `log` crate in, unless a subscriber with a [`CaptureLayer`] is there already. See the [crate
/// docs](crate#what-belongs-to-a-capture) for what belongs to which capture.
///
/// # Panics
/// If this thread has a subscriber without a [`CaptureLayer`]: nothing would reach the capture.
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

/// What was logged since [`capture`] returned this. Dropping it ends the capture and forgets all of
/// it.
///
/// Its assertions panic at the line that calls them, and list what was captured. Where the test
/// panics for another reason, the list is printed when this is dropped: the test harness shows it
/// with the failure.
#[must_use = "the capture ends when this is dropped"]
pub struct Capture {
    pub(crate) store: Arc<CaptureStore>,
}

impl Capture {
    /// The events captured so far, in the order in which they arrived.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.store.lock().events.clone()
    }

    /// The spans opened so far, closed or not, with the fields they have now.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let records = self.store.lock().spans.clone();
        records.iter().map(|record| record.snapshot()).collect()
    }

    /// What makes another thread belong to this capture.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle {
            store: Arc::downgrade(&self.store),
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if thread::panicking()
            && let Some(list) = self.store.list_unlisted()
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

/// Makes another thread belong to a [`Capture`], where no span of it goes. Made by
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
#[derive(Clone)]
pub struct Handle {
    store: Owner,
}

impl Handle {
    /// Makes this thread belong to the capture until the guard is dropped. Without effect once the
    /// capture has ended.
    pub fn enter(&self) -> Entered {
        route::adopt_thread(Weak::clone(&self.store));
        Entered {
            store: Weak::clone(&self.store),
            of_this_thread: PhantomData,
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// While it lives, its thread belongs to a capture. Made by [`Handle::enter`].
#[must_use = "the thread belongs to the capture while this lives"]
pub struct Entered {
    store: Owner,
    of_this_thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        route::release_thread(&self.store);
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").finish_non_exhaustive()
    }
}

/// Prints what was captured of a test that fails: the harness shows what a failed test printed.
#[expect(
    clippy::print_stderr,
    reason = "the harness captures what this macro prints"
)]
fn print(list: &str) {
    // The thread panics: a stderr that is closed must not panic, too.
    let _ = panic_safe::catch_panic(|| eprintln!("{list}"));
}

fn has_capture_layer() -> bool {
    tracing::dispatcher::get_default(|dispatch| dispatch.is::<CaptureLayer>())
}

/// Where somebody was faster the subscriber is theirs, and [`capture`] looks what it can do.
fn install() {
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(CaptureLayer::default());
    if tracing::subscriber::set_global_default(stack).is_ok() {
        // A logger of the program's own stays; then its records are not captured.
        let _ = log_bridge::install();
    }
}
