//! Tokio tasks that keep the current span and the scoped subscriber of the code that spawns them.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    pin::Pin,
    task::{Context, Poll},
};

use ::tokio::{
    runtime::Handle,
    task::{self, AbortHandle, JoinHandle, LocalSet},
};
use pin_project_lite::pin_project;
use tracing::{Dispatch, Instrument, dispatcher, instrument::Instrumented};

use super::{in_current, scoped_dispatch};

/// Spawns a task like [`tokio::spawn`]. The task keeps the current span, its unit of work, and a
/// scoped subscriber.
///
/// See the [module](super) for a task that outlives its request.
///
/// ```
/// # use tracing_subscriber::prelude::*;
/// # let layer = spanwise::context::ContextLayer::default();
/// # let _default = tracing_subscriber::registry().with(layer).set_default();
/// # let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
/// # let _inside = runtime.enter();
/// use spanwise::{context::{self, Context}, task, unit_span};
///
/// let _request = unit_span!("request", request_id = "r-1").entered();
/// let task = task::spawn(async {
///     context::set("user_id", 42);
///     Context::current().get("request_id").map(str::to_owned)
/// });
/// # let task = runtime.block_on(task);
/// # stringify! {
/// let request_id = task.await?;
/// # };
/// # let request_id = task?;
/// assert_eq!(request_id.as_deref(), Some("r-1"));
/// assert_eq!(Context::current().get("user_id"), Some("42"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
/// Outside of a tokio runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    task::spawn(InCurrent::new(future))
}

/// Runs blocking work like [`tokio::task::spawn_blocking`]. The work keeps the current span, its
/// unit of work, and a scoped subscriber.
///
/// # Panics
/// Outside of a tokio runtime.
#[track_caller]
pub fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    task::spawn_blocking(in_current(work))
}

/// A [`tokio::task::JoinSet`] whose tasks keep the span that was current when they were spawned,
/// its unit of work, and a scoped subscriber.
///
/// This type dereferences to the `JoinSet` of tokio, so code that uses that type needs only another
/// import.
///
/// ```
/// # use tracing_subscriber::prelude::*;
/// # let layer = spanwise::context::ContextLayer::default();
/// # let _default = tracing_subscriber::registry().with(layer).set_default();
/// # let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
/// # let _inside = runtime.enter();
/// use spanwise::{context::Context, task::JoinSet, unit_span};
///
/// let request = unit_span!("request", request_id = "r-1");
/// let mut tasks = JoinSet::new();
/// request.in_scope(|| {
///     for _ in 0..3 {
///         tasks.spawn(async { Context::current().get("request_id").map(str::to_owned) });
///     }
/// });
/// # runtime.block_on(async {
/// while let Some(request_id) = tasks.join_next().await {
///     assert_eq!(request_id?.as_deref(), Some("r-1"));
/// }
/// # Ok::<(), tokio::task::JoinError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct JoinSet<T>(task::JoinSet<T>);

impl<T> JoinSet<T> {
    /// Creates a set without tasks.
    #[must_use]
    pub fn new() -> Self {
        Self(task::JoinSet::new())
    }
}

impl<T: 'static> JoinSet<T> {
    /// Spawns a task, like [`task::spawn`](spawn).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.0.spawn(InCurrent::new(future))
    }

    /// Spawns a task on the runtime of `handle`.
    #[track_caller]
    pub fn spawn_on<F>(&mut self, future: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.0.spawn_on(InCurrent::new(future), handle)
    }

    /// Spawns a task on the current `LocalSet`.
    ///
    /// # Panics
    /// Outside of a `LocalSet`.
    #[track_caller]
    pub fn spawn_local<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.0.spawn_local(InCurrent::new(future))
    }

    /// Spawns a task on `local_set`.
    #[track_caller]
    pub fn spawn_local_on<F>(&mut self, future: F, local_set: &LocalSet) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.0.spawn_local_on(InCurrent::new(future), local_set)
    }

    /// Runs blocking work, like [`task::spawn_blocking`](spawn_blocking).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, work: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.0.spawn_blocking(in_current(work))
    }

    /// Runs blocking work on the runtime of `handle`.
    #[track_caller]
    pub fn spawn_blocking_on<F>(&mut self, work: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.0.spawn_blocking_on(in_current(work), handle)
    }

    /// Waits for all tasks and returns their results, like [`tokio::task::JoinSet::join_all`].
    ///
    /// # Panics
    /// If a task panicked or was aborted.
    pub async fn join_all(self) -> Vec<T> {
        self.0.join_all().await
    }
}

impl<T> Deref for JoinSet<T> {
    type Target = task::JoinSet<T>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for JoinSet<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T, F> FromIterator<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    /// Spawns a task for each future.
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> Self {
        let futures = futures.into_iter().map(InCurrent::new);
        Self(futures.collect())
    }
}

pin_project! {
    /// A future that is polled and dropped in the span, and with the scoped subscriber, that were
    /// current when it was spawned.
    struct InCurrent<F> {
        // `None` after the future was dropped.
        #[pin]
        future: Option<Instrumented<F>>,
        // `None` if only the global subscriber was current.
        dispatch: Option<Dispatch>,
    }

    impl<F> PinnedDrop for InCurrent<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _default = this.dispatch.as_ref().map(dispatcher::set_default);
            this.future.set(None);
        }
    }
}

impl<F> InCurrent<F> {
    fn new(future: F) -> Self {
        Self {
            future: Some(future.in_current_span()),
            dispatch: scoped_dispatch(),
        }
    }
}

impl<F: Future> Future for InCurrent<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _default = this.dispatch.as_ref().map(dispatcher::set_default);
        match this.future.as_pin_mut() {
            Some(future) => future.poll(cx),
            None => unreachable!("it is polled after it was dropped"),
        }
    }
}
